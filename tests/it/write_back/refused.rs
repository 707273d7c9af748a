//! Changes that are not made: a server that is silent, refuses or breaks off, and callers that may not.

use serde_json::{Value, json};

use super::Wired;
use crate::{
    dovecot_sync::account::{USER, log_in},
    meddling::Meddling,
    support::gateway::{Backend, both, eventually},
    world::{send, unreachable_mailbox},
};

mod on {
    use super::both;
    both!(
        a_silent_server_is_a_504_and_the_truth_is_shown_later,
        a_server_that_refuses_or_breaks_off_is_a_502,
        nobody_changes_what_they_may_not,
        a_disabled_mailbox_is_not_written_to,
        refused_credentials_are_told,
    );
}

fn is_problem(answer: &Value, status: u16, code: &str) {
    assert_eq!(
        (&answer["status"], &answer["code"]),
        (&json!(status), &json!(code)),
        "{answer:#}"
    );
    for member in ["type", "title", "detail", "fix", "request_id"] {
        assert!(
            answer[member].as_str().is_some_and(|text| !text.is_empty()),
            "{answer:#}"
        );
    }
}

async fn a_silent_server_is_a_504_and_the_truth_is_shown_later(backend: Backend) {
    let wired = Wired::start(backend, 3, 1).await;
    let archive = wired.folder("Archive").await;
    let one = wired.letter(0).await;
    // It never answers, and never did it.
    wired
        .meddler
        .set(|line| line.contains(" UID STORE ").then_some(Meddling::Stall));
    let (status, answer) = wired.patch(&one, json!({"unread": false})).await;
    assert_eq!(status, 504);
    is_problem(&answer, 504, "upstream_timeout");
    assert!(
        answer["detail"].as_str().unwrap().contains("may or may not"),
        "{answer}"
    );
    assert_eq!(wired.world.get(&one.0).await["unread"], true);
    // It never answers a login: then nothing was asked of it.
    wired
        .meddler
        .set(|line| (line.contains(" AUTHENTICATE ") || line.contains(" LOGIN ")).then_some(Meddling::Stall));
    let (status, answer) = wired.patch(&one, json!({"unread": false})).await;
    assert_eq!(status, 504);
    assert!(
        answer["detail"].as_str().unwrap().contains("Nothing was changed"),
        "{answer}"
    );
    // It did it, and never says so.
    for command in [" UID STORE ", " UID MOVE "] {
        wired
            .meddler
            .set(move |line| line.contains(command).then_some(Meddling::Mute));
        let body = json!({"unread": false, "folder_id": archive});
        let (status, answer) = wired.patch(&one, body).await;
        assert_eq!(status, 504, "{answer:#}");
        let (status, _) = wired.call("GET", &one.0, None).await;
        assert_eq!(status, 200, "it is looked for and not taken for deleted");
        wired.meddler.set(|_| None);
        wired.world.reconnect(wired.mailbox.id).await;
        let shown = wired.world.get(&one.0).await;
        assert_eq!(shown["unread"], false, "{command}");
        assert_eq!(shown["folders"] == json!([archive]), command == " UID MOVE ");
    }
    wired.counts(&[("INBOX", 2), ("Archive", 1)], 3).await;
    let two = wired.letter(1).await;
    wired.change(&two, json!({"folder_id": archive})).await;
    wired.world.gateway.stop().await;
}

async fn a_server_that_refuses_or_breaks_off_is_a_502(backend: Backend) {
    let mut wired = Wired::start(backend, 3, 20).await;
    let archive = wired.folder("Archive").await;
    let one = wired.letter(0).await;
    for command in [" SELECT ", " UID STORE ", " UID MOVE "] {
        wired
            .meddler
            .set(move |line| line.contains(command).then_some(Meddling::Refuse));
        let body = json!({"add_flags": ["\\Flagged"], "folder_id": archive});
        let (status, answer) = wired.patch(&one, body).await;
        assert_eq!(status, 502, "{command}");
        is_problem(&answer, 502, "upstream_refused");
        assert!(
            answer["detail"].as_str().unwrap().contains("not for you"),
            "{answer}"
        );
        // What was done before the refusal is shown as it is.
        let flagged = command == " UID MOVE ";
        let flags = wired.world.get(&one.0).await["flags"].clone();
        assert_eq!(flags == json!(["\\Flagged"]), flagged, "{command}: {flags}");
    }
    wired
        .meddler
        .set(|line| line.contains(" UID MOVE ").then_some(Meddling::Cut));
    let (status, answer) = wired.patch(&one, json!({"folder_id": archive})).await;
    assert_eq!(status, 502);
    is_problem(&answer, 502, "upstream_unavailable");
    wired.meddler.set(|_| None);
    wired.counts(&[("INBOX", 3), ("Archive", 0)], 3).await;
    // A connection that was kept and is gone is replaced without a word.
    wired.change(&one, json!({"unread": false})).await;
    wired.world.server.doveadm(&["kick", "anna"]);
    wired.change(&one, json!({"unread": true})).await;
    // One that another client erased is not where it was: whoever of us sees that first.
    wired.world.session = log_in(&wired.world.server, USER).await;
    wired.world.expunge("INBOX", 1, 1).await;
    let (status, answer) = wired.patch(&one, json!({"unread": false})).await;
    assert!(
        status == 404 || answer["code"] == "message_elsewhere",
        "{status}: {answer}"
    );
    wired.world.gateway.stop().await;
}

async fn nobody_changes_what_they_may_not(backend: Backend) {
    let wired = Wired::start(backend, 1, 20).await;
    let gateway = &wired.world.gateway;
    let tenant = &wired.world.tenant;
    let one = wired.letter(0).await;
    let before = wired.world.get(&one.0).await;
    let other = gateway.tenant("Other").await;
    let (_, employee) = gateway.member(tenant, "e@example.org", "employee").await;
    let body = json!({"name": "Reader", "scopes": ["messages:read"]});
    let reader = gateway.make(&tenant.key, "/v1/api-keys", body).await;
    let reader = reader["key"].as_str().unwrap();
    for (key, expected) in [(other.key.as_str(), 404), (&employee, 404), (reader, 403)] {
        for (method, body) in [("PATCH", Some(json!({"unread": false}))), ("DELETE", None)] {
            let (status, answer) = gateway.call(method, key, &one.0, body).await;
            assert_eq!(status, expected, "{method}: {answer}");
        }
    }
    let strange = gateway
        .make(
            &tenant.key,
            "/v1/mailboxes",
            unreachable_mailbox("b@example.org", "imap"),
        )
        .await;
    for (body, pointer) in [
        (json!({"folder_id": strange["id"]}), "/folder_id"),
        (json!({"add_flags": ["\\Deleted"]}), "/add_flags/0"),
        (json!({"add_flags": ["a", "\\Recent"]}), "/add_flags/1"),
        (json!({"remove_flags": ["two words"]}), "/remove_flags/0"),
        (json!({"add_flags": [""]}), "/add_flags/0"),
        (json!({"add_flags": ["a\r\nb LOGOUT"]}), "/add_flags/0"),
        (json!({"unread": true, "add_flags": ["\\seen"]}), "/remove_flags"),
        (json!({"add_flags": vec!["k"; 51]}), "/add_flags"),
        (json!({"unread": null}), "/unread"),
        (json!({"flags": []}), "/flags"),
    ] {
        let (status, answer) = wired.patch(&one, body.clone()).await;
        assert_eq!(
            (status, &answer["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body}: {answer}"
        );
    }
    assert_eq!(wired.meddler.dials(), 1, "nothing was asked of the server");
    assert_eq!(wired.world.get(&one.0).await, before);
    wired.world.gateway.stop().await;
}

async fn enable(wired: &Wired, enabled: bool) {
    let path = format!("/v1/mailboxes/{}", wired.mailbox.id);
    let (status, answer) = wired
        .call("PATCH", &path, Some(json!({"enabled": enabled})))
        .await;
    assert_eq!(status, 200, "{answer}");
    if enabled {
        wired
            .world
            .wait(wired.mailbox.id, "connected", crate::sandbox::connected)
            .await;
    }
}

async fn closed(wired: &Wired) {
    let closed = eventually(async || (wired.meddler.open() == 0).then_some(()));
    assert!(
        closed.await.is_some(),
        "{} connections are open",
        wired.meddler.open()
    );
}

async fn a_disabled_mailbox_is_not_written_to(backend: Backend) {
    let wired = Wired::start(backend, 2, 60).await;
    let archive = wired.folder("Archive").await;
    let one = wired.letter(0).await;
    wired.change(&one, json!({"unread": false})).await;
    assert_eq!(
        wired.meddler.open(),
        2,
        "the one that idles, and the one that is kept"
    );
    enable(&wired, false).await;
    closed(&wired).await;
    let (status, answer) = wired.patch(&one, json!({"unread": true})).await;
    assert_eq!(status, 409);
    is_problem(&answer, 409, "mailbox_disabled");
    let (status, _) = wired.call("DELETE", &one.0, None).await;
    assert_eq!(status, 409);
    enable(&wired, true).await;

    // One that is under way ends with the mailbox, and stores nothing after the answer.
    wired
        .meddler
        .set(|line| line.contains(" UID MOVE ").then_some(Meddling::Mute));
    let request = wired
        .world
        .gateway
        .request("PATCH", &wired.world.tenant.key, &one.0)
        .json(&json!({"folder_id": archive}));
    let under_way = tokio::spawn(send(request));
    wired.meddler.hit().await;
    enable(&wired, false).await;
    let before = wired.world.get(&one.0).await;
    let answer = under_way.await.unwrap();
    assert_eq!(answer.status, 409, "{answer:?}");
    is_problem(&answer.json(), 409, "mailbox_disabled");
    closed(&wired).await;
    assert_eq!(wired.world.get(&one.0).await, before);
    wired.meddler.set(|_| None);
    enable(&wired, true).await;
    assert_eq!(wired.world.get(&one.0).await["folders"], json!([archive]));
    wired.counts(&[("INBOX", 1), ("Archive", 1)], 2).await;
    wired.world.gateway.stop().await;
}

async fn refused_credentials_are_told(backend: Backend) {
    let wired = Wired::start(backend, 1, 20).await;
    let one = wired.letter(0).await;
    wired.world.server.set_password("anna", "another");
    let (status, answer) = wired.patch(&one, json!({"unread": false})).await;
    assert_eq!(status, 409);
    is_problem(&answer, 409, "credentials_refused");
    assert!(!answer.to_string().contains("anna's password"), "{answer}");
    let path = format!("/v1/mailboxes/{}", wired.mailbox.id);
    let body = json!({"imap": {"password": "another"}});
    assert_eq!(wired.call("PATCH", &path, Some(body)).await.0, 200);
    let changed = wired.change(&one, json!({"unread": false})).await;
    assert_eq!(changed["unread"], false);
    wired.world.gateway.stop().await;
}
