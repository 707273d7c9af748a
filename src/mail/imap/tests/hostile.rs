//! The table of the session: each command, those that write included, against each way to misbehave. None is answered
//! well that was not; after a NO, a BAD and an OK without its data the session goes on, and after anything else it is of no
//! use any more.

use std::time::Duration;

use super::server::{Peer, Server};
use crate::mail::imap::{BodyLimits, Error, FetchItems, ProtocolError, Session, StoreFlags, UidSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Noop,
    Enable,
    List,
    Status,
    Select,
    Examine,
    Search,
    Metadata,
    Flags,
    Headers,
    Bodies,
    Store,
    Move,
    Copy,
    Expunge,
    /// Where it asks whether it may send the message.
    AppendBegin,
    /// When the message was sent.
    AppendEnd,
    Logout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misbehaviour {
    No,
    Bad,
    Perhaps,
    BareOk,
    WrongTag,
    Plus,
    Bye,
    Eof,
    HalfLine,
    Stall,
    Drip,
    EndlessLine,
    LiteralTooLong,
    LiteralHuge,
}

const COMMANDS: [Command; 18] = [
    Command::Noop,
    Command::Enable,
    Command::List,
    Command::Status,
    Command::Select,
    Command::Examine,
    Command::Search,
    Command::Metadata,
    Command::Flags,
    Command::Headers,
    Command::Bodies,
    Command::Store,
    Command::Move,
    Command::Copy,
    Command::Expunge,
    Command::AppendBegin,
    Command::AppendEnd,
    Command::Logout,
];

const MISBEHAVIOURS: [Misbehaviour; 14] = [
    Misbehaviour::No,
    Misbehaviour::Bad,
    Misbehaviour::Perhaps,
    Misbehaviour::BareOk,
    Misbehaviour::WrongTag,
    Misbehaviour::Plus,
    Misbehaviour::Bye,
    Misbehaviour::Eof,
    Misbehaviour::HalfLine,
    Misbehaviour::Stall,
    Misbehaviour::Drip,
    Misbehaviour::EndlessLine,
    Misbehaviour::LiteralTooLong,
    Misbehaviour::LiteralHuge,
];

/// True where an OK by itself is a good answer.
fn is_good(command: Command, how: Misbehaviour) -> bool {
    use Command as C;
    match how {
        Misbehaviour::BareOk => !matches!(
            command,
            C::List | C::Status | C::Select | C::Examine | C::AppendBegin
        ),
        // `+` is what it waits for.
        Misbehaviour::Plus => command == C::AppendBegin,
        _ => false,
    }
}

fn misbehave(peer: &mut Peer, command: Command, how: Misbehaviour) {
    let line = peer.line();
    let tag = line.split(' ').next().unwrap_or_default().to_owned();
    if command == Command::AppendEnd {
        peer.say("+ go on\r\n");
        peer.line();
    }
    match how {
        Misbehaviour::No => peer.say(format!("{tag} NO not for you\r\n")),
        Misbehaviour::Bad => peer.say(format!("{tag} BAD what?\r\n")),
        Misbehaviour::Perhaps => peer.say(format!("{tag} PERHAPS\r\n")),
        Misbehaviour::BareOk => peer.say(format!("{tag} OK done\r\n")),
        Misbehaviour::WrongTag => peer.say(format!("X{tag} OK done\r\n")),
        Misbehaviour::Plus => peer.say("+ go on\r\n"),
        Misbehaviour::Bye => peer.say("* BYE enough\r\n"),
        Misbehaviour::Eof => return,
        Misbehaviour::HalfLine => return peer.say(format!("{tag} O")),
        Misbehaviour::Stall => {}
        Misbehaviour::Drip => {
            for byte in b"* OK still here\r\n* OK still here\r\n".iter().cycle().take(400) {
                peer.say([*byte]);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Misbehaviour::EndlessLine => peer.say(format!("* OK {}", "a".repeat((1 << 20) + 1))),
        Misbehaviour::LiteralTooLong => peer.say(format!("* XLIT {{60000}}\r\n{tag} OK done\r\n")),
        Misbehaviour::LiteralHuge => peer.say("* 1 FETCH (UID 1 BODY[] {4294967296}\r\n"),
    }
    match (how, command) {
        // An answer without data is asked about once more, and a bare `+` is followed by what it was for.
        (Misbehaviour::BareOk, Command::Search) => {
            peer.expect("UID FETCH");
            peer.answer("OK none");
        }
        (Misbehaviour::Plus, Command::AppendBegin) => {
            peer.line();
            peer.say(format!("{tag} OK appended\r\n"));
        }
        _ => {}
    }
    peer.stay();
}

/// Gives the command; the session comes back unless the command takes it.
async fn give(mut session: Session, command: Command) -> (Result<(), Error>, Option<Session>) {
    let uids = UidSet::range(1, 9);
    let items = FetchItems::default();
    let message = b"Subject: one\r\n\r\ntext\r\n";
    let done = match command {
        Command::Noop => session.noop().await,
        Command::Enable => session.enable(&["QRESYNC"]).await.map(drop),
        Command::List => session.list().await.map(drop),
        Command::Status => session.status(b"Archive").await.map(drop),
        Command::Select => session.select(b"INBOX", None).await.map(drop),
        Command::Examine => session.examine(b"INBOX", None).await.map(drop),
        Command::Search => session.search_uids(1, 9).await.map(drop),
        Command::Metadata => session.fetch_metadata(&uids, items).await.map(drop),
        Command::Flags => session.fetch_flags(&uids, None, false).await.map(drop),
        Command::Headers => session.fetch_headers(&uids, items, 1_000).await.map(drop),
        Command::Bodies => {
            let mut fetch = session.fetch_bodies(&uids, items, BodyLimits::default());
            fetch.next().await.map(drop)
        }
        Command::Store => session.uid_store(&uids, StoreFlags::Add, &["\\Seen"]).await,
        Command::Move => session.uid_move(&uids, b"Archive").await.map(drop),
        Command::Copy => session.uid_copy(&uids, b"Archive").await.map(drop),
        Command::Expunge => session.uid_expunge(&uids).await,
        Command::AppendBegin | Command::AppendEnd => {
            session.append(b"Archive", &[], None, message).await.map(drop)
        }
        Command::Logout => return (session.logout().await, None),
    };
    (done, Some(session))
}

async fn cell(command: Command, how: Misbehaviour) -> Result<(), String> {
    let server = Server::start(move |peer| {
        peer.let_in("ENABLE QRESYNC UIDPLUS MOVE");
        misbehave(peer, command, how);
    });
    let session = server.impatient_session().await;
    let (done, session) = give(session, command).await;
    let usable = session.as_ref().map(Session::is_usable);
    drop(session);
    let refused = matches!(done, Err(Error::No { .. } | Error::Bad { .. }));
    let was_refused = matches!(how, Misbehaviour::No | Misbehaviour::Bad);
    let good = is_good(command, how);
    // A message that was not asked for is half a command; the server may take what comes next for the other half.
    let half = command == Command::AppendBegin;
    if done.is_ok() != good {
        return Err(format!("{done:?}"));
    }
    if !half && refused != was_refused {
        return Err(format!("{done:?} is or is not a refusal"));
    }
    // It ended with its tagged OK, and what comes next is answered again.
    let ended = good || refused || matches!(done, Err(Error::Protocol(ProtocolError::MissingData(_))));
    if usable.is_some_and(|usable| usable != ended) {
        return Err(format!("after {done:?} it is usable: {usable:?}"));
    }
    server.finish();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_no_command_is_answered_well_that_was_not() {
    let cells = COMMANDS
        .into_iter()
        .flat_map(|command| MISBEHAVIOURS.map(|how| (command, how)));
    let run = cells.map(|(command, how)| async move {
        let seen = cell(command, how).await;
        seen.err().map(|what| format!("{command:?} × {how:?}: {what}"))
    });
    let failed: Vec<String> = futures_util::future::join_all(run)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
