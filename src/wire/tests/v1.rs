//! The literal JSON of the unified answers.

use poem_openapi::types::{Example, ToJSON};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::sample;
use crate::{
    model::{
        agent::{Agent, AgentKind, Revision},
        caller::{Caller, Identity},
        folder::{Cursor, Folder, FolderRole},
        key::ApiKey,
        mailbox::Binding,
        member::Role,
        message::{Address, Participant, ParticipantKind, Thread},
        page::Page,
        scope::{Scope, ScopeSet},
    },
    wire::v1::{
        self,
        server::{ServerCheck, VerifyResult},
    },
};

fn json_of(answer: &impl ToJSON) -> Value {
    answer.to_json().unwrap()
}

fn member() -> Value {
    json!({
        "id": "01980000-0000-7000-8000-000000000002",
        "first_name": "Gareth",
        "last_name": "Thompson",
        "email": "gareth@example.org",
        "role": "senior",
        "created_at": "2025-06-25T15:12:40.125Z",
        "updated_at": "2025-06-25T15:13:40.125Z",
    })
}

/// What serde writes at once is byte for byte what the documented form would be.
fn written_alike(answer: &(impl ToJSON + serde::Serialize)) {
    let at_once = serde_json::to_string(answer).unwrap();
    assert_eq!(at_once, serde_json::to_string(&answer.to_json()).unwrap());
}

#[test]
fn both_ways_of_writing_give_the_same_bytes() {
    written_alike(&v1::mailbox::Mailbox::from(sample::mailbox()));
    written_alike(&v1::mailbox::Mailbox::example());
    written_alike(&v1::message::Message::from(sample::message(1)));
    written_alike(&v1::message::Message::example());
    written_alike(&v1::thread::Thread::example());
    written_alike(&v1::page::MailboxList::example());
    written_alike(&v1::page::MessageList::example());
    written_alike(&v1::page::ThreadList::example());
}

#[test]
fn a_mailbox() {
    let answer = v1::mailbox::Mailbox::from(sample::mailbox());
    let expected = json!({
        "id": "01980000-0000-7000-8000-000000000003",
        "address": "desk@example.org",
        "name": "Desk",
        "provider": "gmail",
        "state": "authentication_error",
        "status": "needs_reauth",
        "enabled": true,
        "message_count": 12,
        "created_by": member(),
        "agent_id": "01980000-0000-7000-8000-000000000004",
        "agent_revision_id": "01980000-0000-7000-8000-000000000005",
        "team_id": null,
        "team_revision_id": null,
        "default_signature_html": "<p>Desk</p>",
        "capabilities": ["idle"],
        "external_account_id": "1234",
        "error": {"code": "authentication_failed", "message": "No.", "since": "2025-06-25T15:14:40.125Z"},
        "last_synced_at": "2025-06-25T15:15:40.125Z",
        "sync_progress": {"folder": "INBOX", "done": 3, "total": 9},
        "created_at": "2025-06-25T15:16:40.125Z",
        "updated_at": "2025-06-25T15:17:40.125Z",
    });
    assert_eq!(json_of(&answer), expected);
}

#[test]
fn a_mailbox_of_a_team_and_what_it_does_not_have() {
    let mut mailbox = sample::mailbox();
    mailbox.binding = Binding::To {
        kind: AgentKind::Team,
        id: sample::id(6),
        revision_id: sample::id(7),
    };
    mailbox.facts.retired = true;
    (mailbox.name, mailbox.created_by, mailbox.error) = (None, None, None);
    let answer = json_of(&v1::mailbox::Mailbox::from(mailbox));
    assert_eq!(
        (&answer["state"], &answer["status"]),
        (&json!("disconnected"), &json!("retired"))
    );
    assert_eq!(
        (&answer["agent_id"], &answer["agent_revision_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(answer["team_id"], sample::id(6).to_string());
    assert_eq!(answer["team_revision_id"], sample::id(7).to_string());
    for field in ["name", "created_by", "error"] {
        assert_eq!(answer.get(field), Some(&Value::Null), "{field} is sent as null");
    }
}

#[test]
fn a_message_whole_and_in_a_list() {
    let mut expected = json!({
        "id": "01980000-0000-7000-8000-000000000008",
        "mailbox_id": "01980000-0000-7000-8000-000000000003",
        "thread_id": "01980000-0000-7000-8000-000000000009",
        "thread_count": 3,
        "message_id": "8@example.com",
        "in_reply_to": "0@example.com",
        "references": ["0@example.com"],
        "subject": "Hello World",
        "from": [{"name": "John Doe", "address": "john.doe@example.com"}],
        "to": [{"name": null, "address": "desk@example.org"}],
        "cc": [],
        "bcc": [],
        "reply_to": [],
        "sent_at": "2025-06-25T15:18:40.125Z",
        "received_at": "2025-06-25T15:19:40.125Z",
        "snippet": "Plain",
        "incoming": true,
        "unread": true,
        "flags": ["$Forwarded"],
        "folders": ["01980000-0000-7000-8000-000000000007"],
        "size": 2048,
        "attachments": [{
            "id": "01980000-0000-7000-8000-000000000014",
            "mailbox_id": "01980000-0000-7000-8000-000000000003",
            "message_id": "01980000-0000-7000-8000-000000000008",
            "name": "Report.PDF",
            "content_type": "application/pdf",
            "size": 123_456,
            "inline": false,
            "content_id": "part1",
            "sha256": "ab".repeat(32),
            "created_at": "2025-06-25T15:18:40.125Z",
        }],
        "truncated": false,
        "created_at": "2025-06-25T15:20:40.125Z",
        "updated_at": "2025-06-25T15:21:40.125Z",
    });
    let page = Page {
        data: vec![sample::message(8)],
        next: None,
    };
    let list = json_of(&v1::page::MessageList::from(page));
    assert_eq!(list, json!({"data": [expected], "next_cursor": null}));
    expected["text"] = "Plain text".into();
    expected["html"] = "<p>HTML</p>".into();
    assert_eq!(json_of(&v1::message::Message::from(sample::message(8))), expected);
}

#[test]
fn each_kind_of_participant_has_its_own_list() {
    let mut message = sample::message(8);
    message.participants = ParticipantKind::ALL
        .into_iter()
        .map(|kind| {
            let address = format!("{}@example.org", kind.as_str());
            Participant {
                id: sample::id(1),
                kind,
                address: Address { name: None, address },
            }
        })
        .collect();
    let answer = json_of(&v1::message::Message::from(message));
    for kind in ParticipantKind::ALL {
        let expected = json!([{"name": null, "address": format!("{}@example.org", kind.as_str())}]);
        assert_eq!(answer[kind.as_str()], expected);
    }
}

#[test]
fn a_try_is_good_when_every_server_that_was_tried_is() {
    let good = || ServerCheck::passed(vec!["IDLE".into()]);
    let bad = || ServerCheck::failed("authentication_failed", "No.");
    let expected = json!({
        "ok": false,
        "imap": {"ok": true, "error": null, "capabilities": ["IDLE"]},
        "smtp": {
            "ok": false,
            "error": {"code": "authentication_failed", "message": "No."},
            "capabilities": [],
        },
    });
    assert_eq!(json_of(&VerifyResult::new(good(), Some(bad()))), expected);
    for (imap, smtp, ok) in [
        (good(), None, true),
        (good(), Some(good()), true),
        (bad(), None, false),
        (bad(), Some(good()), false),
    ] {
        assert_eq!(VerifyResult::new(imap, smtp).ok, ok);
    }
}

#[test]
fn a_thread_whole_and_in_a_list() {
    let thread = Thread {
        id: sample::id(9),
        mailbox_id: sample::id(3),
        subject: None,
        message_count: 3,
        participants: vec![Address {
            name: None,
            address: "a@b.example".into(),
        }],
        last_message_at: sample::at(8),
        messages: vec![sample::message(8)],
    };
    let mut expected = json!({
        "id": "01980000-0000-7000-8000-000000000009",
        "mailbox_id": "01980000-0000-7000-8000-000000000003",
        "subject": null,
        "message_count": 3,
        "participants": [{"name": null, "address": "a@b.example"}],
        "last_message_at": "2025-06-25T15:18:40.125Z",
    });
    assert_eq!(
        json_of(&v1::thread::ThreadSummary::from(thread.clone())),
        expected
    );
    expected["messages"] = json!([json_of(&v1::message::MessageSummary::from(sample::message(8)))]);
    assert_eq!(json_of(&v1::thread::Thread::from(thread)), expected);
}

#[test]
fn a_folder_before_and_after_its_first_pass() {
    let mut folder = Folder {
        id: sample::id(7),
        mailbox_id: sample::id(3),
        raw_name: b"INBOX".to_vec(),
        name: "INBOX".into(),
        delimiter: Some("/".into()),
        role: Some(FolderRole::Inbox),
        object_id: Some("F1".into()),
        cursor: Cursor {
            uid_validity: 77,
            last_uid: 9,
            backfill_low: 1,
            highest_modseq: 5,
        },
        message_count: 8,
        missing: 0,
        created_at: sample::at(0),
        updated_at: sample::at(1),
    };
    let expected = json!({
        "id": "01980000-0000-7000-8000-000000000007",
        "mailbox_id": "01980000-0000-7000-8000-000000000003",
        "name": "INBOX",
        "role": "inbox",
        "delimiter": "/",
        "message_count": 8,
        "uid_validity": 77,
        "backfilled": true,
        "created_at": "2025-06-25T15:10:40.125Z",
        "updated_at": "2025-06-25T15:11:40.125Z",
    });
    assert_eq!(json_of(&v1::folder::Folder::from(folder.clone())), expected);
    folder.cursor = Cursor::default();
    let answer = json_of(&v1::folder::Folder::from(folder));
    assert_eq!(
        (&answer["uid_validity"], &answer["backfilled"]),
        (&Value::Null, &json!(false))
    );
}

#[test]
fn agents_and_teams_name_their_own_ids() {
    let agent = Agent {
        id: sample::id(4),
        kind: AgentKind::Team,
        name: "Support".into(),
        active_revision_id: sample::id(5),
        created_at: sample::at(0),
        updated_at: sample::at(1),
    };
    let expected = json!({
        "id": "01980000-0000-7000-8000-000000000004",
        "name": "Support",
        "active_revision_id": "01980000-0000-7000-8000-000000000005",
        "created_at": "2025-06-25T15:10:40.125Z",
        "updated_at": "2025-06-25T15:11:40.125Z",
    });
    assert_eq!(json_of(&v1::agent::Team::from(agent.clone())), expected);
    assert_eq!(json_of(&v1::agent::Agent::from(agent)), expected);
    let revision = Revision {
        id: sample::id(5),
        agent_id: sample::id(4),
        number: 1,
        description: None,
        created_at: sample::at(0),
    };
    let of_team = json_of(&v1::agent::TeamRevision::from(revision.clone()));
    assert_eq!(
        (&of_team["team_id"], of_team.get("agent_id")),
        (&json!(sample::id(4)), None)
    );
    let of_agent = json_of(&v1::agent::AgentRevision::from(revision));
    assert_eq!(
        (&of_agent["agent_id"], of_agent.get("team_id")),
        (&json!(sample::id(4)), None)
    );
}

fn key() -> ApiKey {
    ApiKey {
        id: sample::id(30),
        name: "CRM".into(),
        prefix: "pr_live_abc".into(),
        scopes: [Scope::AuditRead, Scope::MailboxesRead].into_iter().collect(),
        member_id: Some(sample::id(2)),
        expires_at: Some(sample::at(1)),
        revoked_at: None,
        created_at: sample::at(0),
    }
}

#[test]
fn a_key_shows_its_secret_only_where_it_was_made() {
    let mut expected = json!({
        "id": "01980000-0000-7000-8000-00000000001e",
        "name": "CRM",
        "prefix": "pr_live_abc",
        "scopes": ["mailboxes:read", "audit:read"],
        "member_id": "01980000-0000-7000-8000-000000000002",
        "expires_at": "2025-06-25T15:11:40.125Z",
        "revoked_at": null,
        "created_at": "2025-06-25T15:10:40.125Z",
    });
    assert_eq!(json_of(&v1::api_key::ApiKey::from(key())), expected);
    let made = v1::api_key::CreatedApiKey::new(key(), &SecretString::from("pr_live_abcdef"));
    expected["key"] = "pr_live_abcdef".into();
    assert_eq!(json_of(&made), expected);
    let made = v1::tenant::CreatedTenant::new(sample::tenant(), key(), &SecretString::from("pr_live_abcdef"));
    let tenant = json_of(&v1::tenant::Tenant::from(sample::tenant()));
    assert_eq!(json_of(&made), json!({"tenant": tenant, "api_key": expected}));
}

#[test]
fn a_token_says_how_long_it_works() {
    let scopes: ScopeSet = [Scope::MessagesRead].into_iter().collect();
    let token = v1::token::Token::new(
        &SecretString::from("x.y.z"),
        scopes,
        sample::at(0),
        sample::at(15),
    );
    let expected = json!({
        "access_token": "x.y.z",
        "token_type": "Bearer",
        "expires_in": 900,
        "expires_at": "2025-06-25T15:25:40.125Z",
        "scopes": ["messages:read"],
    });
    assert_eq!(json_of(&token), expected);
}

#[test]
fn whoami_of_a_key_and_of_the_platform() {
    let caller = Caller {
        tenant_id: sample::tenant().id,
        key: key(),
        scopes: [Scope::MailboxesRead].into_iter().collect(),
        member: Some(sample::member()),
        role: Role::Employee,
    };
    let identity = Identity::Tenant(Box::new(caller));
    let expected = json!({
        "tenant": json_of(&v1::tenant::Tenant::from(sample::tenant())),
        "member": member(),
        "api_key": json_of(&v1::api_key::ApiKey::from(key())),
        "scopes": ["mailboxes:read"],
    });
    assert_eq!(
        json_of(&v1::identity::Whoami::new(&identity, Some(sample::tenant()))),
        expected
    );
    let platform = json!({"tenant": null, "member": null, "api_key": null, "scopes": ["platform:admin"]});
    assert_eq!(
        json_of(&v1::identity::Whoami::new(&Identity::Platform, None)),
        platform
    );
}
