//! Fixed values of the domain.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::model::{
    agent::AgentKind,
    attachment::{Attachment, ParsedAttachment, PartSpan, TransferEncoding},
    id::TenantId,
    mailbox::{Binding, ConnectionError, Mailbox, SyncProgress},
    member::{Member, Role},
    message::{Address, Body, Message, Participant, ParticipantKind},
    provider::Provider,
    state::{Facts, Phase},
    tenant::{Profile, Tenant},
};

/// The id that ends in this number.
pub(super) const fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// 2025-06-25T15:10:40.125Z, and later by so many minutes.
pub(super) fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_750_864_240_125 + minutes * 60_000).unwrap()
}

pub(super) fn tenant() -> Tenant {
    Tenant {
        id: TenantId(id(1)),
        name: "Codepotato".into(),
        profile: Profile::default(),
        created_at: at(0),
        updated_at: at(1),
    }
}

pub(super) fn member() -> Member {
    Member {
        id: id(2),
        first_name: "Gareth".into(),
        last_name: "Thompson".into(),
        email: "gareth@example.org".into(),
        role: Role::Senior,
        created_at: at(2),
        updated_at: at(3),
    }
}

/// A Gmail mailbox that is bound to an agent, and whose credentials were refused.
pub(super) fn mailbox() -> Mailbox {
    Mailbox {
        id: id(3),
        address: "desk@example.org".into(),
        name: Some("Desk".into()),
        provider: Provider::Gmail,
        facts: Facts {
            retired: false,
            enabled: true,
            has_credentials: true,
            connected_before: true,
            phase: Phase::AuthenticationError,
        },
        halted: true,
        message_count: 12,
        created_by: Some(member()),
        binding: Binding::To {
            kind: AgentKind::Agent,
            id: id(4),
            revision_id: id(5),
        },
        default_signature_html: Some("<p>Desk</p>".into()),
        capabilities: vec!["idle".into()],
        external_account_id: Some("1234".into()),
        error: Some(ConnectionError {
            code: "authentication_failed".into(),
            message: "No.".into(),
            since: at(4),
        }),
        last_synced_at: Some(at(5)),
        backfilled_at: None,
        sync_progress: Some(SyncProgress {
            folder: "INBOX".into(),
            done: 3,
            total: 9,
        }),
        created_at: at(6),
        updated_at: at(7),
    }
}

pub(super) fn attachment() -> Attachment {
    Attachment {
        id: id(20),
        mailbox_id: id(3),
        message_id: id(8),
        part: ParsedAttachment {
            name: Some("Report.PDF".into()),
            content_type: "application/pdf".into(),
            size: 123_456,
            inline: false,
            content_id: Some("part1".into()),
            sha256: [0xab; 32],
            span: PartSpan {
                offset: 10,
                length: 20,
                encoding: TransferEncoding::Base64,
            },
        },
        created_at: at(8),
    }
}

/// The n-th message of a thread.
pub(super) fn message(number: u128) -> Message {
    let participant = |part: u128, kind, name: Option<&str>, address: &str| Participant {
        id: id(100 * number + part),
        kind,
        address: Address {
            name: name.map(str::to_owned),
            address: address.into(),
        },
    };
    Message {
        id: id(number),
        mailbox_id: id(3),
        thread_id: id(9),
        thread_count: 3,
        message_id: Some(format!("{number}@example.com")),
        in_reply_to: Some("0@example.com".into()),
        references: vec!["0@example.com".into()],
        subject: Some("Hello World".into()),
        participants: vec![
            participant(1, ParticipantKind::From, Some("John Doe"), "john.doe@example.com"),
            participant(2, ParticipantKind::To, None, "desk@example.org"),
        ],
        sent_at: at(8),
        received_at: at(9),
        snippet: "Plain".into(),
        body: Some(Body {
            text: Some("Plain text".into()),
            html: Some("<p>HTML</p>".into()),
        }),
        incoming: true,
        unread: true,
        flags: vec!["$Forwarded".into()],
        folder_ids: vec![id(7)],
        size: 2_048,
        truncated: false,
        attachments: vec![attachment()],
        created_at: at(10),
        updated_at: at(11),
    }
}
