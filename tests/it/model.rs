//! Random histories of a mailbox against a reference model: after quiescence the store equals the model.
//!
//! The server is a Dovecot, offering QRESYNC, CONDSTORE or neither; what happens to it while the gateway syncs is drawn.
//! What the model itself does with a step is `reference`.

mod reference;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use postroom::mail::imap::{Session, StoreFlags, UidSet, utf7};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use uuid::Uuid;

use self::reference::{Done, Reference, Step, steps};
use crate::{
    crash::truth,
    dovecot_sync::account::{ADDRESS, USER, World, letter, log_in},
    sandbox::connected,
    support::{
        api::Api,
        dovecot::Dovecot,
        gateway::{Backend, Gateway, both, eventually},
        postgres::Database,
        soak,
    },
};

mod loops {
    use super::both;
    both!(dovecot_of_random_histories_ends_equal_to_the_model);
}

/// What a server offers beyond the plain protocol.
#[derive(Debug, Clone, Copy)]
enum Offer {
    Qresync,
    Condstore,
    Plain,
}

impl Offer {
    /// Dovecot's setting; a client uses only what it is told of.
    fn settings(self) -> String {
        let more = match self {
            Self::Qresync => return String::new(),
            Self::Condstore => " CONDSTORE",
            Self::Plain => "",
        };
        format!(
            "imap_capability = IMAP4rev1 SASL-IR LITERAL+ IDLE ENABLE MOVE UIDPLUS SPECIAL-USE LIST-EXTENDED{more}\n"
        )
    }
}

/// A mailbox whose history is being made.
struct History {
    world: World,
    /// What every start of the gateway is given, so that it finds its rows again.
    options: Vec<String>,
    mailbox: Uuid,
    model: Reference,
    /// The id that each letter was first shown with.
    ids: HashMap<usize, String>,
    #[expect(dead_code, reason = "held: dropping it removes the folder")]
    data: tempfile::TempDir,
    #[expect(dead_code, reason = "held: dropping it drops the database")]
    database: Option<Database>,
}

impl History {
    async fn begin(backend: Backend, offer: Offer) -> Self {
        let server = Dovecot::start_with(&offer.settings());
        server.user(USER);
        let session = log_in(&server, USER).await;
        let data = tempfile::tempdir().unwrap();
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(Database::create().await),
        };
        let mut options = vec![format!("--data-dir={}", data.path().display())];
        options.extend(database.iter().map(|one| format!("--database-url={}", one.url())));
        let gateway = Gateway::start_with(Backend::Sqlite, &options).await;
        let tenant = gateway.tenant("Acme").await;
        let world = World {
            server,
            gateway,
            tenant,
            session,
        };
        let mailbox = world.connect().await.id;
        Self {
            world,
            options,
            mailbox,
            model: Reference::default(),
            ids: HashMap::new(),
            data,
            database,
        }
    }

    /// Does one step to the server, or to the gateway, and to the model.
    async fn go(mut self, step: Step) -> Self {
        let Some(done) = self.model.apply(step) else {
            return self;
        };
        if done.ends_sessions() {
            // Dovecot disconnects who has such a folder open, the test among them.
            self.world.session = log_in(&self.world.server, USER).await;
        }
        match done {
            Done::Disconnect => {
                self.world.server.doveadm(&["kick", USER]);
                self.world.session = log_in(&self.world.server, USER).await;
            }
            Done::Restart => {
                let World {
                    server,
                    gateway,
                    tenant,
                    session,
                } = self.world;
                gateway.stop().await;
                let gateway = Gateway::start_with(Backend::Sqlite, &self.options).await;
                self.world = World {
                    server,
                    gateway,
                    tenant,
                    session,
                };
            }
            Done::Look => self.look().await,
            Done::Create { .. } | Done::Rename { .. } | Done::Remove { .. } | Done::Renumber { .. } => {
                self.change_folders(&done);
            }
            done => self.change_letters(done).await,
        }
        self
    }

    async fn change_letters(&mut self, done: Done) {
        match done {
            Done::Append {
                folder,
                letter: number,
                flags,
            } => {
                let flags: Vec<&str> = flags.into_iter().collect();
                self.world.append(&folder, &flags, &raw(number)).await;
            }
            Done::Expunge { folder, place } => {
                let uids = self.at(&folder, place).await;
                let session = &mut self.world.session;
                session
                    .uid_store(&uids, StoreFlags::Add, &["\\Deleted"])
                    .await
                    .unwrap();
                session.uid_expunge(&uids).await.unwrap();
            }
            Done::Flag {
                folder,
                place,
                flag,
                set,
            } => {
                let uids = self.at(&folder, place).await;
                let how = if set { StoreFlags::Add } else { StoreFlags::Remove };
                self.world.session.uid_store(&uids, how, &[flag]).await.unwrap();
            }
            Done::Move { from, place, to } => {
                let uids = self.at(&from, place).await;
                self.world
                    .session
                    .uid_move(&uids, &utf7::encode(&to))
                    .await
                    .unwrap();
            }
            Done::Copy { from, place, to } => {
                let uids = self.at(&from, place).await;
                self.world
                    .session
                    .uid_copy(&uids, &utf7::encode(&to))
                    .await
                    .unwrap();
            }
            _ => unreachable!("not a change of a letter"),
        }
    }

    fn change_folders(&self, done: &Done) {
        match done {
            Done::Create { folder } => self.world.server.create(USER, folder),
            Done::Rename { from, to } => self.mailbox_command(&["rename", "-u", USER, from, to]),
            Done::Remove { folder } => self.mailbox_command(&["delete", "-u", USER, folder]),
            Done::Renumber { folder, uid_validity } => {
                let number = uid_validity.to_string();
                self.mailbox_command(&["update", "-u", USER, "--uid-validity", &number, folder]);
            }
            _ => unreachable!("not a change of a folder"),
        }
    }

    fn mailbox_command(&self, arguments: &[&str]) {
        self.world.server.doveadm(&[&["mailbox"], arguments].concat());
    }

    /// The UID of the message at this place of a folder, which is opened.
    async fn at(&mut self, folder: &str, place: usize) -> UidSet {
        // Opened anew, so that what other sessions did is known.
        self.world.open(folder).await;
        let session: &mut Session = &mut self.world.session;
        let uids = session.search_uids(1, u32::MAX).await.unwrap();
        let uid = uids
            .iter()
            .nth(place)
            .expect("the model knows how many there are");
        UidSet::range(uid, uid)
    }

    /// Waits until all is quiet, and compares.
    async fn look(&mut self) {
        self.world.wait(self.mailbox, "connected", connected).await;
        // A folder goes when two connections have missed it.
        self.world.reconnect(self.mailbox).await;
        self.world.reconnect(self.mailbox).await;
        let expected = self.model.messages();
        let mut shown = BTreeMap::new();
        let equal = eventually(async || {
            shown = self.shown().await;
            (shown == expected).then_some(())
        });
        if equal.await.is_none() {
            assert_eq!(shown, expected, "what is shown is not what the server has");
        }
        self.counts_are_right(&expected).await;
        self.bytes_and_ids_are_right().await;
    }

    /// The letters that the API shows: each with its folders and flags.
    async fn shown(&self) -> BTreeMap<usize, (BTreeSet<String>, BTreeSet<String>)> {
        let folders = self.world.folders(self.mailbox).await;
        let names: HashMap<&str, &String> = folders
            .iter()
            .map(|(name, folder)| (folder["id"].as_str().unwrap(), name))
            .collect();
        let strings = |value: &serde_json::Value| -> Vec<String> {
            let values = value.as_array().unwrap().iter();
            values.map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let mut shown = BTreeMap::new();
        for message in self.world.messages().await {
            let lies_in = strings(&message["folders"]);
            let lies_in = lies_in.iter().map(|id| {
                names
                    .get(id.as_str())
                    .map_or_else(|| id.clone(), |name| (*name).clone())
            });
            let before = shown.insert(
                number_of(&message),
                (
                    lies_in.collect(),
                    strings(&message["flags"]).into_iter().collect(),
                ),
            );
            assert!(before.is_none(), "shown twice: {message:#}");
        }
        shown
    }

    async fn counts_are_right(&self, expected: &BTreeMap<usize, (BTreeSet<String>, BTreeSet<String>)>) {
        let mailbox = self
            .world
            .wait(self.mailbox, "read", |mailbox| Some(mailbox.clone()))
            .await;
        assert_eq!(usize::try_from(mailbox.message_count).unwrap(), expected.len());
        let folders = self.world.folders(self.mailbox).await;
        let counted: BTreeMap<String, usize> = folders
            .iter()
            .map(|(name, folder)| {
                (
                    name.clone(),
                    usize::try_from(folder["message_count"].as_u64().unwrap()).unwrap(),
                )
            })
            .collect();
        for (name, count) in self.model.counts() {
            assert_eq!(counted.get(&name), Some(&count), "{name} of {counted:?}");
        }
        for (name, count) in counted {
            // Dovecot lists what it made by itself, too.
            assert!(
                self.model.counts().contains_key(&name) || count == 0,
                "{name} is not there any more"
            );
        }
    }

    async fn bytes_and_ids_are_right(&mut self) {
        let messages = self.world.messages().await;
        for (message, bytes) in messages.iter().zip(self.world.raws(&messages).await) {
            let number = number_of(message);
            assert_eq!(bytes, raw(number), "the bytes of letter {number}");
            assert_eq!(message["thread_count"], 1, "{message:#}");
            let id = message["id"].as_str().unwrap();
            let first = self.ids.entry(number).or_insert_with(|| id.to_owned());
            assert_eq!(first, id, "letter {number} has another id than before");
        }
    }
}

fn raw(number: usize) -> Vec<u8> {
    letter(number, "Béla <bela@example.net>", 200 + number % 7 * 30)
}

fn number_of(message: &serde_json::Value) -> usize {
    let subject = message["subject"].as_str().unwrap();
    subject.strip_prefix("Letter ").unwrap().parse().unwrap()
}

async fn history(backend: Backend, offer: Offer, steps: Vec<Step>) {
    let mut history = History::begin(backend, offer).await;
    for step in steps {
        history = history.go(step).await;
    }
    history.look().await;
    let api = Api::of(&history.world.gateway, &history.world.tenant);
    truth::announced(&api, &history.mailbox.to_string()).await;
    history.world.gateway.stop().await;
}

async fn dovecot_of_random_histories_ends_equal_to_the_model(backend: Backend) {
    assert_eq!(ADDRESS, "anna@example.org", "not the author of the letters");
    let seed = soak::seed("model");
    let histories = soak::rounds(2, 60);
    let length = soak::rounds(24, 60);
    // Of a runner, whose work blocks: the histories run on the threads of this test.
    let handle = tokio::runtime::Handle::current();
    let run = move || {
        let config = Config {
            cases: u32::try_from(histories).unwrap(),
            max_shrink_iters: u32::try_from(soak::rounds(0, 40)).unwrap(),
            failure_persistence: None,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let offers = prop::sample::select(vec![Offer::Qresync, Offer::Condstore, Offer::Plain]);
        TestRunner::new_with_rng(config, random).run(&(offers, steps(length)), |(offer, steps)| {
            handle.block_on(history(backend, offer, steps));
            Ok::<(), TestCaseError>(())
        })
    };
    tokio::task::spawn_blocking(run)
        .await
        .unwrap()
        .unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    soak::record(
        "random histories end equal to the model",
        histories,
        seed,
        format!("{length} steps each, {backend:?}"),
    );
}
