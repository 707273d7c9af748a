//! Rows that a bench reads: a mailbox that nobody syncs, with threads of messages.

use chrono::{DateTime, Duration, Utc};
use postroom::{
    model::{
        id::{self, TenantId},
        mailbox::Mailbox,
        message::{Address, Body, Message, Participant, ParticipantKind, Thread},
        state::{Facts, Phase},
    },
    service::App,
    store::{Conn, MessageInsert, NewMessages},
};
use uuid::Uuid;

use super::models;
pub(crate) use super::models::{Owner, at};

/// A disabled mailbox: no worker dials it.
pub(crate) async fn mailbox(app: &App, tenant: TenantId, address: &str) -> Owner {
    let mailbox = models::mailbox(address);
    let mailbox = Mailbox {
        name: Some("Reservations".to_owned()),
        facts: Facts {
            enabled: false,
            phase: Phase::Init,
            ..mailbox.facts
        },
        default_signature_html: Some("<p>Kind regards<br>Ann</p>".to_owned()),
        capabilities: ["IMAP4rev1", "IDLE", "CONDSTORE", "QRESYNC"]
            .map(str::to_owned)
            .to_vec(),
        last_synced_at: Some(at(0)),
        backfilled_at: Some(at(0)),
        ..mailbox
    };
    let folder = models::folder(mailbox.id);
    let owner = Owner {
        tenant,
        mailbox: mailbox.id,
        folder: folder.id,
    };
    let write = app.store.transaction(|tx| {
        Box::pin(async move {
            assert!(tx.create_mailbox(tenant, &mailbox).await?, "the address is free");
            tx.create_folder(tenant, &folder).await
        })
    });
    write.await.unwrap();
    owner
}

/// A thread of so many messages, a minute apart from `first` on; answers the thread and its messages.
pub(crate) async fn thread(app: &App, owner: Owner, first: DateTime<Utc>, count: usize) -> (Uuid, Vec<Uuid>) {
    let thread = Thread {
        id: id::new(),
        mailbox_id: owner.mailbox,
        subject: Some("Offer for twelve persons in June".to_owned()),
        message_count: count.try_into().unwrap(),
        participants: Vec::new(),
        last_message_at: first,
        messages: Vec::new(),
    };
    let thread_id = thread.id;
    let minutes = (0..).map(|minute| first + Duration::minutes(minute));
    let inserts: Vec<MessageInsert> = minutes
        .take(count)
        .map(|at| insert(owner, thread_id, at))
        .collect();
    let ids = inserts.iter().map(|insert| insert.message.id).collect();
    let write = app
        .store
        .transaction(|tx| Box::pin(write(tx, owner, thread, inserts)));
    write.await.unwrap();
    (thread_id, ids)
}

async fn write(
    tx: &mut Conn,
    owner: Owner,
    thread: Thread,
    inserts: Vec<MessageInsert>,
) -> postroom::model::Result<()> {
    let at = thread.last_message_at;
    let new = NewMessages {
        threads: vec![thread],
        inserts,
        ..NewMessages::default()
    };
    tx.create_messages(owner.tenant, owner.mailbox, new, at).await?;
    Ok(())
}

fn insert(owner: Owner, thread_id: Uuid, at: DateTime<Utc>) -> MessageInsert {
    let who = |kind, name: &str, address: &str| Participant {
        id: id::new(),
        kind,
        address: Address {
            name: Some(name.to_owned()),
            address: address.to_owned(),
        },
    };
    let text = "Dear Ann, thank you for your offer, which we accept with pleasure. ".repeat(12);
    let subject = "Re: Offer for twelve persons in June";
    let message = models::message(owner.mailbox, thread_id, 0, at, (subject, &text));
    let message_id = message.id;
    let message = Message {
        message_id: Some(format!("{message_id}@mail.example.test")),
        references: vec![format!("{thread_id}@mail.example.test")],
        participants: vec![
            who(ParticipantKind::From, "Ärne Åse", "arne@example.test"),
            who(ParticipantKind::To, "Ann Miller", "ann@hotel.test"),
            who(ParticipantKind::Cc, "Office", "office@hotel.test"),
        ],
        snippet: text[..200].to_owned(),
        body: Some(Body {
            html: Some(format!("<p>{text}</p>")),
            text: Some(text),
        }),
        flags: vec!["\\Flagged".to_owned()],
        folder_ids: vec![owner.folder],
        size: 2_000,
        ..message
    };
    MessageInsert {
        message,
        dedupe_key: message_id.as_bytes().to_vec(),
        sha256: [7; 32],
        raw: Some(vec![1; 900]),
    }
}
