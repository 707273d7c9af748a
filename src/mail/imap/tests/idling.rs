//! IDLE that is refused, ignored, ended or broken off.

use std::{
    future::{pending, ready},
    time::Duration,
};

use super::server::Server;
use crate::mail::imap::{
    Error, FetchItems, FetchRow, IdleEvent, Phase, ProtocolError, Session, StoredBody, UidSet,
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_refused_idle_gives_the_session_back() {
    for answer in ["NO not now", "BAD what"] {
        let server = Server::start(move |peer| {
            peer.let_in("IDLE");
            peer.expect("IDLE");
            peer.answer(answer);
            peer.expect("NOOP");
            peer.answer("OK");
        });
        let refused = server.session().await.idle().await.unwrap_err();
        assert!(matches!(refused.error, Error::No { .. } | Error::Bad { .. }));
        refused.session.unwrap().noop().await.unwrap();
        server.finish();
    }
    let server = Server::start(|peer| {
        peer.let_in("");
        assert_eq!(peer.line(), "");
    });
    let refused = server.session().await.idle().await.unwrap_err();
    assert!(matches!(refused.error, Error::Unsupported("IDLE")) && refused.session.is_some());
    drop(refused);
    server.finish();
}

#[tokio::test]
async fn an_idle_without_an_answer_is_given_up() {
    for (said, expected) in [("", "timeout"), ("* BYE no\r\n", "server_closed")] {
        let server = Server::start(move |peer| {
            peer.let_in("IDLE");
            peer.expect("IDLE");
            peer.say(said);
            peer.stay();
        });
        let refused = server.impatient_session().await.idle().await.unwrap_err();
        assert_eq!(refused.error.code(), expected);
        assert!(refused.session.is_none());
        server.finish();
    }
}

#[tokio::test]
async fn changes_are_told_and_chatter_is_not() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("* 1 EXISTS\r\n+ idling\r\n");
        peer.say("* OK still here\r\n* 2 EXI");
        assert_eq!(peer.line(), "DONE");
        peer.say("STS\r\n* 1 EXPUNGE\r\n");
        peer.answer("OK done");
    });
    let session = server.session().await;
    let mut idle = session.idle().await.unwrap();
    assert_eq!(
        idle.wait(LONG, pending()).await.unwrap(),
        IdleEvent::Changed,
        "what came before the wait"
    );
    // Chatter and half a line end no wait, and what was read of the line is kept.
    assert_eq!(
        idle.wait(Duration::from_millis(30), pending()).await.unwrap(),
        IdleEvent::Timeout
    );
    assert_eq!(idle.wait(LONG, ready(())).await.unwrap(), IdleEvent::Cancelled);
    let mut session = idle.done().await.unwrap();
    let pending = session.take_pending();
    assert_eq!((pending.exists, pending.expunged), (Some(2), true));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_server_may_end_idle_by_itself() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n");
        peer.answer("OK that was long enough");
        peer.expect("NOOP");
        peer.answer("OK");
    });
    let mut idle = server.session().await.idle().await.unwrap();
    assert_eq!(idle.wait(LONG, pending()).await.unwrap(), IdleEvent::Changed);
    let mut session = idle.done().await.unwrap();
    session.noop().await.unwrap();
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_wait_that_breaks_off_is_an_error() {
    for (said, code) in [
        ("* BYE shutting down\r\n", "server_closed"),
        ("", "connection_lost"),
        ("A2 NO too long\r\n", "command_refused"),
        ("* X {999999}\r\n", "protocol_violation"),
    ] {
        let server = Server::start(move |peer| {
            peer.let_in("IDLE");
            peer.expect("IDLE");
            peer.say("+ idling\r\n");
            peer.say(said);
        });
        let mut idle = server.session().await.idle().await.unwrap();
        assert_eq!(idle.wait(LONG, pending()).await.unwrap_err().code(), code);
        drop(idle);
        server.finish();
    }
}

#[tokio::test]
async fn done_does_not_wait_for_ever() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n");
        peer.stay();
    });
    let idle = server.impatient_session().await.idle().await.unwrap();
    assert!(matches!(idle.done().await, Err(Error::Timeout(Phase::Done))));
    server.finish();
}

/// Leaves IDLE because of news.
async fn leave(session: Session) -> Session {
    let mut idle = session.idle().await.unwrap();
    assert_eq!(idle.wait(LONG, pending()).await.unwrap(), IdleEvent::Changed);
    idle.leave().await.unwrap()
}

async fn fetch(session: &mut Session) -> Result<Vec<(FetchRow, Option<StoredBody>)>, Error> {
    let limits = (100, 100);
    session
        .fetch_small(&UidSet::range(7, 7), FetchItems::default(), limits)
        .await
}

#[tokio::test]
async fn a_fetch_follows_done_before_idle_is_answered() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        let line = peer.line();
        let (tag, command) = line.split_once(' ').unwrap();
        assert!(command.starts_with("UID FETCH 7 "), "{line}");
        // Flags that are told before IDLE is answered are not of the fetch.
        peer.say("* 2 EXISTS\r\n* 1 FETCH (UID 7 FLAGS ())\r\n");
        peer.answer("OK done");
        peer.say("* 1 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 4 BODY[]<0> {4}\r\nabcd)\r\n");
        peer.say(format!("{tag} OK fetched\r\n"));
        peer.expect("NOOP");
        peer.answer("OK");
    });
    let mut session = leave(server.session().await).await;
    assert!(session.is_usable());
    let rows = fetch(&mut session).await.unwrap();
    let seen = rows[0].0.flags.as_ref().is_some_and(|flags| flags.len() == 1);
    assert!(rows.len() == 1 && rows[0].0.uid == 7 && seen);
    assert!(rows[0].1.is_some());
    assert_eq!(session.take_pending().exists, Some(2));
    session.noop().await.unwrap();
    drop(session);
    server.finish();
}

#[tokio::test]
async fn other_commands_wait_until_idle_is_answered() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        assert_eq!(peer.line(), "", "nothing is sent before the client goes");
    });
    let mut session = leave(server.impatient_session().await).await;
    assert!(matches!(session.noop().await, Err(Error::Timeout(Phase::Done))));
    assert!(!session.is_usable());
    drop(session);
    server.finish();
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        peer.answer("OK done");
        peer.expect("NOOP");
        peer.answer("OK");
    });
    let mut session = leave(server.session().await).await;
    session.noop().await.unwrap();
    drop(session);
    server.finish();
}

#[tokio::test]
async fn what_follows_an_idle_that_ends_badly_is_not_taken_for_answered() {
    for said in ["NO what", "BAD what"] {
        let server = Server::start(move |peer| {
            peer.let_in("IDLE");
            peer.expect("IDLE");
            peer.say("+ idling\r\n* 1 EXISTS\r\n");
            assert_eq!(peer.line(), "DONE");
            peer.answer(said);
            peer.expect("UID FETCH");
            peer.answer("OK nothing there");
        });
        let mut session = leave(server.session().await).await;
        let rows = fetch(&mut session).await;
        assert!(matches!(
            rows,
            Err(Error::No { command: "IDLE", .. } | Error::Bad { .. })
        ));
        assert!(!session.is_usable());
        drop(session);
        server.finish();
    }
}

#[tokio::test]
async fn an_answer_before_that_of_idle_is_none() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        let line = peer.line();
        let (tag, _) = line.split_once(' ').unwrap();
        peer.say(format!("{tag} BAD still idling\r\n"));
        peer.stay();
    });
    let mut session = leave(server.session().await).await;
    let rows = fetch(&mut session).await;
    assert!(matches!(rows, Err(Error::Protocol(ProtocolError::Status))));
    assert!(!session.is_usable());
    drop(session);
    server.finish();
}

#[tokio::test]
async fn an_idle_that_has_ended_or_breaks_off_can_be_left() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say_later("+ idling\r\n* 1 EXISTS\r\n");
        peer.answer("OK that was long enough");
        peer.expect("UID FETCH");
        peer.answer("OK nothing there");
    });
    let mut idle = server.session().await.idle().await.unwrap();
    assert_eq!(idle.wait(LONG, pending()).await.unwrap(), IdleEvent::Changed);
    assert_eq!(idle.wait(LONG, pending()).await.unwrap(), IdleEvent::Changed);
    let mut session = idle.leave().await.unwrap();
    assert!(fetch(&mut session).await.unwrap().is_empty());
    drop(session);
    server.finish();
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        peer.say("* BYE enough\r\n");
        peer.stay();
    });
    let mut session = leave(server.session().await).await;
    assert_eq!(fetch(&mut session).await.unwrap_err().code(), "server_closed");
    assert!(!session.is_usable());
    drop(session);
    server.finish();
}

#[tokio::test]
async fn a_call_that_is_dropped_while_idle_is_not_answered_leaves_no_use() {
    let server = Server::start(|peer| {
        peer.let_in("IDLE");
        peer.expect("IDLE");
        peer.say("+ idling\r\n* 1 EXISTS\r\n");
        assert_eq!(peer.line(), "DONE");
        peer.stay();
    });
    let mut session = leave(server.session().await).await;
    assert!(futures_util::FutureExt::now_or_never(session.settle()).is_none());
    assert!(!session.is_usable());
    assert!(matches!(session.noop().await, Err(Error::Poisoned)));
    drop(session);
    server.finish();
}
