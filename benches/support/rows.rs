//! Rows that a bench reads: a mailbox that nobody syncs, with threads of messages.

use chrono::{DateTime, Duration, Utc};
use postroom::{
    model::{
        folder::{Cursor, Folder},
        id::{self, TenantId},
        mailbox::{Binding, Mailbox},
        message::{Address, Body, Message, Participant, ParticipantKind, Thread},
        provider::Provider,
        state::{Facts, Phase},
    },
    service::App,
    store::{Conn, MessageInsert},
};
use uuid::Uuid;

/// A mailbox with its one folder.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) mailbox: Uuid,
    pub(crate) folder: Uuid,
}

/// So many seconds after the first of this year.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap() + Duration::seconds(seconds)
}

/// A disabled mailbox: no worker dials it.
pub(crate) async fn mailbox(app: &App, tenant: TenantId, address: &str) -> Owner {
    let mailbox = Mailbox {
        id: id::new(),
        address: address.to_owned(),
        name: Some("Reservations".to_owned()),
        provider: Provider::Imap,
        facts: Facts {
            retired: false,
            enabled: false,
            has_credentials: true,
            connected_before: true,
            phase: Phase::Init,
        },
        halted: false,
        message_count: 0,
        created_by: None,
        binding: Binding::None,
        default_signature_html: Some("<p>Kind regards<br>Ann</p>".to_owned()),
        capabilities: ["IMAP4rev1", "IDLE", "CONDSTORE", "QRESYNC"]
            .map(str::to_owned)
            .to_vec(),
        external_account_id: None,
        error: None,
        last_synced_at: Some(at(0)),
        sync_progress: None,
        created_at: at(0),
        updated_at: at(0),
    };
    let folder = folder(mailbox.id);
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

fn folder(mailbox_id: Uuid) -> Folder {
    Folder {
        id: id::new(),
        mailbox_id,
        raw_name: b"INBOX".to_vec(),
        name: "INBOX".to_owned(),
        delimiter: Some("/".to_owned()),
        role: None,
        object_id: None,
        cursor: Cursor {
            uid_validity: 1,
            last_uid: 0,
            backfill_low: 0,
            highest_modseq: 0,
        },
        message_count: 0,
        missing: 0,
        created_at: at(0),
        updated_at: at(0),
    }
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
        .transaction(|tx| Box::pin(write(tx, owner.tenant, thread, inserts)));
    write.await.unwrap();
    (thread_id, ids)
}

async fn write(
    tx: &mut Conn,
    tenant: TenantId,
    thread: Thread,
    inserts: Vec<MessageInsert>,
) -> postroom::model::Result<()> {
    let at = thread.last_message_at;
    tx.save_threads(tenant, &[thread], at).await?;
    tx.create_messages(tenant, inserts).await
}

fn insert(owner: Owner, thread_id: Uuid, at: DateTime<Utc>) -> MessageInsert {
    let message_id = id::new();
    let who = |kind, name: &str, address: &str| Participant {
        id: id::new(),
        kind,
        address: Address {
            name: Some(name.to_owned()),
            address: address.to_owned(),
        },
    };
    let text = "Dear Ann, thank you for your offer, which we accept with pleasure. ".repeat(12);
    let message = Message {
        id: message_id,
        mailbox_id: owner.mailbox,
        thread_id,
        thread_count: 1,
        message_id: Some(format!("{message_id}@mail.example.test")),
        in_reply_to: None,
        references: vec![format!("{thread_id}@mail.example.test")],
        subject: Some("Re: Offer for twelve persons in June".to_owned()),
        participants: vec![
            who(ParticipantKind::From, "Ärne Åse", "arne@example.test"),
            who(ParticipantKind::To, "Ann Miller", "ann@hotel.test"),
            who(ParticipantKind::Cc, "Office", "office@hotel.test"),
        ],
        sent_at: at,
        received_at: at,
        snippet: text[..200].to_owned(),
        body: Some(Body {
            html: Some(format!("<p>{text}</p>")),
            text: Some(text),
        }),
        incoming: true,
        unread: true,
        flags: vec!["\\Flagged".to_owned()],
        folder_ids: vec![owner.folder],
        size: 2_000,
        truncated: false,
        attachments: Vec::new(),
        created_at: at,
        updated_at: at,
    };
    MessageInsert {
        message,
        dedupe_key: message_id.as_bytes().to_vec(),
        sha256: [7; 32],
        raw: Some(vec![1; 900]),
    }
}
