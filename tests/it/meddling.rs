//! A server that fails at chosen commands: nothing is lost, skipped, deleted or believed without proof.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use postroom::{
    mail::imap::{StoreFlags, UidSet},
    model::mailbox::Mailbox,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    dovecot_sync::account::{World, letter, login},
    sandbox::connected,
    support::gateway::{Backend, both, eventually},
};

mod on {
    use super::both;
    both!(
        dovecot_that_refuses_one_message_blocks_no_other,
        dovecot_that_refuses_every_message_loses_none,
        dovecot_without_qresync_is_compared_by_windows,
        dovecot_that_refuses_or_breaks_off_costs_nothing,
    );
}

/// What is done with a command instead of passing it on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meddling {
    /// It is answered with NO.
    Refuse,
    /// The connection ends.
    Cut,
    /// It is not passed on, and nothing is heard on this connection from then on.
    Stall,
    /// It is passed on, and nothing is heard on this connection from then on.
    Mute,
    /// It is answered with this and a tagged OK.
    Answer(&'static str),
}

type Rule = Box<dyn Fn(&str) -> Option<Meddling> + Send>;

/// A forwarder that reads the client's commands and meddles with those that its rule names.
#[derive(Clone)]
pub(crate) struct Meddler {
    rule: Arc<Mutex<Rule>>,
    hidden: Arc<Mutex<Vec<String>>>,
    hits: Arc<AtomicUsize>,
    dials: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Meddler {
    /// Forwards to a loopback port; answers the port to connect to.
    pub(crate) async fn before(port: u16) -> (Self, u16) {
        let rule: Rule = Box::new(|_| None);
        let meddler = Self {
            rule: Arc::new(Mutex::new(rule)),
            hidden: Arc::default(),
            hits: Arc::default(),
            dials: Arc::default(),
            open: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = meddler.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.dials.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let shared = shared.clone();
                tokio::spawn(async move {
                    shared.open.fetch_add(1, Ordering::SeqCst);
                    let open = Arc::clone(&shared.open);
                    Box::pin(shared.forward(client, server)).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (meddler, own)
    }

    async fn forward(self, client: TcpStream, server: TcpStream) {
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut lines = BufReader::new(from_client).lines();
        let mut mute = false;
        loop {
            let mut answers = [0; 16 * 1024];
            tokio::select! {
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    let meddling = (self.rule.lock().unwrap())(&line);
                    let done = match meddling {
                        None => to_server.write_all(format!("{line}\r\n").as_bytes()).await,
                        Some(meddling) => {
                            mute |= matches!(meddling, Meddling::Stall | Meddling::Mute);
                            let done = match meddling {
                                Meddling::Cut => Err(std::io::ErrorKind::ConnectionReset.into()),
                                Meddling::Refuse => {
                                    let tag = line.split(' ').next().unwrap();
                                    to_client.write_all(format!("{tag} NO not for you\r\n").as_bytes()).await
                                }
                                Meddling::Answer(data) => {
                                    let tag = line.split(' ').next().unwrap();
                                    to_client.write_all(format!("{data}\r\n{tag} OK done\r\n").as_bytes()).await
                                }
                                Meddling::Stall => Ok(()),
                                Meddling::Mute => to_server.write_all(format!("{line}\r\n").as_bytes()).await,
                            };
                            self.hits.fetch_add(1, Ordering::SeqCst);
                            done
                        }
                    };
                    if done.is_err() { return }
                }
                read = tokio::io::AsyncReadExt::read(&mut from_server, &mut answers) => {
                    let Ok(read @ 1..) = read else { return };
                    self.cover(&mut answers[..read]);
                    if !mute && to_client.write_all(&answers[..read]).await.is_err() { return }
                }
            }
        }
    }

    /// Writes another word of the same length for each hidden one.
    fn cover(&self, answers: &mut [u8]) {
        for word in self.hidden.lock().unwrap().iter() {
            let mut from = 0;
            while let Some(at) = answers[from..]
                .windows(word.len())
                .position(|window| window == word.as_bytes())
            {
                from += at + word.len();
                answers[from - 1] = b'_';
            }
        }
    }

    /// These words of the server are not heard from now on, and no others.
    pub(crate) fn hide(&self, words: &[&str]) {
        *self.hidden.lock().unwrap() = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// How many connections were made.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, rule: impl Fn(&str) -> Option<Meddling> + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
        self.hits.store(0, Ordering::SeqCst);
    }

    pub(crate) async fn hit(&self) {
        let hit = eventually(async || (self.hits.load(Ordering::SeqCst) > 0).then_some(()));
        assert!(hit.await.is_some(), "the command was never given");
    }
}

/// The part of `TAG UID FETCH SET ITEMS` that names messages, where it asks for bytes.
pub(crate) fn fetched(line: &str) -> Option<UidSet> {
    let mut words = line.split(' ').skip(1);
    let is_fetch = words.next()? == "UID" && words.next()? == "FETCH" && line.contains("BODY.PEEK[");
    UidSet::parse(words.next()?.as_bytes()).filter(|_| is_fetch)
}

async fn dovecot_that_refuses_one_message_blocks_no_other(backend: Backend) {
    let mut world = World::start(backend).await;
    world.deliver("INBOX", 0..20).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    meddler.set(|line| {
        fetched(line)
            .filter(|set| set.contains(7))
            .map(|_| Meddling::Refuse)
    });
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    let count = world.wait(mailbox.id, "connected", connected).await;
    assert_eq!(count, 19);
    let messages = world.messages().await;
    assert!(
        messages
            .iter()
            .all(|message| message["subject"] != "Letter 6" && message["truncated"] == false)
    );
    // Later mail comes, though the server has one message more than is stored.
    world.deliver("INBOX", [20]).await;
    let more = |mailbox: &Mailbox| connected(mailbox).filter(|count| *count == 20);
    world.wait(mailbox.id, "one message richer", more).await;
    assert_eq!(meddler.dials.load(Ordering::SeqCst), 1, "all on one connection");
    world.gateway.stop().await;
}

async fn dovecot_that_refuses_every_message_loses_none(backend: Backend) {
    let mut world = World::start(backend).await;
    world.deliver("INBOX", 0..20).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    meddler.set(|line| fetched(line).map(|_| Meddling::Refuse));
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    let failed = |mailbox: &Mailbox| mailbox.error.clone();
    let error = world.wait(mailbox.id, "refused", failed).await;
    assert_eq!(error.code, "command_refused");
    meddler.set(|_| None);
    world.reconnect(mailbox.id).await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 20);
    let messages = world.messages().await;
    assert!(
        messages.iter().all(|message| message["truncated"] == false),
        "it was not about the messages"
    );
    world.gateway.stop().await;
}

async fn dovecot_without_qresync_is_compared_by_windows(backend: Backend) {
    let mut world = World::start(backend).await;
    world.deliver("INBOX", 0..30).await;
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    meddler.set(|line| line.contains(" ENABLE ").then_some(Meddling::Refuse));
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 30);

    world.session.select(b"INBOX", None).await.unwrap();
    world
        .session
        .uid_store(&UidSet::range(5, 5), StoreFlags::Add, &["\\Seen"])
        .await
        .unwrap();
    world.expunge("INBOX", 3, 4).await;
    let fewer = |count: i64| move |mailbox: &Mailbox| connected(mailbox).filter(|now| *now == count);
    world.wait(mailbox.id, "two messages poorer", fewer(28)).await;
    let read = eventually(async || {
        let messages = world.messages().await;
        messages
            .iter()
            .any(|message| message["subject"] == "Letter 4" && message["unread"] == false)
            .then_some(())
    });
    assert!(read.await.is_some(), "the flag was not followed");
    assert_eq!(meddler.dials.load(Ordering::SeqCst), 1);

    // So much at once is looked at again on another connection before it is believed.
    world.expunge("INBOX", 5, 29).await;
    world.wait(mailbox.id, "almost empty", fewer(3)).await;
    assert_eq!(meddler.dials.load(Ordering::SeqCst), 2);
    world.gateway.stop().await;
}

async fn dovecot_that_refuses_or_breaks_off_costs_nothing(backend: Backend) {
    let mut world = World::start(backend).await;
    for number in 0..30 {
        world
            .append("INBOX", &["\\Seen"], &letter(number, "bela@example.net", 500))
            .await;
        world.deliver("Archive", [1_000 + number]).await;
    }
    let (meddler, port) = Meddler::before(world.server.imap_port()).await;
    let mailbox = world.gateway.connect(&world.tenant, login(port)).await;
    assert_eq!(world.wait(mailbox.id, "connected", connected).await, 60);
    let mut count = 60;
    for command in ["LIST", "EXAMINE", "UID SEARCH", "UID FETCH", "IDLE"] {
        for meddling in [Meddling::Refuse, Meddling::Cut] {
            let named = format!(" {command}");
            meddler.set(move |line| line.contains(&named).then_some(meddling));
            world.deliver("INBOX", [100 + count]).await;
            let path = format!("/v1/mailboxes/{}/reconnect", mailbox.id);
            let (status, answer) = world.gateway.call("POST", &world.tenant.key, &path, None).await;
            assert_eq!(status, 200, "{answer}");
            meddler.hit().await;
            let stored = world.messages().await.len();
            assert!(
                stored == count || stored == count + 1,
                "{command}, {meddling:?}: {stored} of {count} are left"
            );
            meddler.set(|_| None);
            count += 1;
            world.reconnect(mailbox.id).await;
            let now = world.wait(mailbox.id, "connected", connected).await;
            assert_eq!(usize::try_from(now).unwrap(), count, "{command}, {meddling:?}");
            assert_eq!(world.messages().await.len(), count);
        }
    }
    world.gateway.stop().await;
}
