//! What each dialect has of the unified fields: a field is mapped, or listed here as having no counterpart.

use std::collections::BTreeSet;

use poem_openapi::types::ToJSON;
use serde_json::Value;

use super::sample;
use crate::wire::{feather, plannr, v1};

/// A unified field, and its name in Plannr's and in Feather's answer.
type Row = (&'static str, Option<&'static str>, Option<&'static str>);

const MAILBOX: [Row; 21] = [
    ("id", Some("uuid"), Some("id")),
    ("address", Some("email"), Some("address")),
    ("name", Some("name"), None),
    ("provider", Some("type"), Some("provider")),
    ("state", Some("state"), None),
    ("status", None, Some("status")),
    ("enabled", Some("enabled"), None),
    ("message_count", Some("message_count"), None),
    ("created_by", Some("created_by"), None),
    ("agent_id", None, Some("agent_id")),
    ("agent_revision_id", None, Some("agent_revision_id")),
    ("team_id", None, Some("team_id")),
    ("team_revision_id", None, Some("team_revision_id")),
    ("default_signature_html", None, Some("default_signature_html")),
    ("capabilities", None, Some("capabilities")),
    ("external_account_id", None, Some("external_account_id")),
    ("error", None, None),
    ("last_synced_at", None, None),
    ("sync_progress", None, None),
    ("created_at", Some("created_at"), Some("created_at")),
    ("updated_at", Some("updated_at"), Some("updated_at")),
];

/// A unified field of a message, and its name in Plannr's answer.
const MESSAGE: [(&str, Option<&str>); 27] = [
    ("id", Some("uuid")),
    ("mailbox_id", Some("mailbox")),
    ("thread_id", None),
    ("thread_count", Some("thread_count")),
    ("message_id", None),
    ("in_reply_to", None),
    ("references", None),
    ("subject", Some("subject")),
    ("from", Some("participants")),
    ("to", Some("participants")),
    ("cc", Some("participants")),
    ("bcc", Some("participants")),
    ("reply_to", Some("participants")),
    ("sent_at", Some("message_created_at")),
    ("received_at", None),
    ("snippet", None),
    ("text", Some("text")),
    ("html", Some("html")),
    ("incoming", Some("incoming")),
    ("unread", None),
    ("flags", None),
    ("folders", None),
    ("size", None),
    ("attachments", Some("attachments")),
    ("truncated", None),
    ("created_at", Some("created_at")),
    ("updated_at", Some("updated_at")),
];

/// Fields that hold the same value, written in another form.
const OTHER_FORM: [&str; 6] = [
    "provider",
    "state",
    "status",
    "created_by",
    "created_at",
    "updated_at",
];

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_field_of_a_mailbox_is_mapped_or_has_no_counterpart() {
    let mailbox = sample::mailbox();
    let plannr = plannr::mailbox::mailbox(&mailbox, &sample::tenant())
        .to_json()
        .unwrap();
    let feather = feather::account::account(&mailbox).unwrap().to_json().unwrap();
    let unified = v1::mailbox::Mailbox::from(mailbox).to_json().unwrap();
    assert_eq!(
        MAILBOX.map(|row| row.0).into_iter().collect::<BTreeSet<_>>(),
        keys(&unified)
    );
    assert_eq!(
        MAILBOX.iter().filter_map(|row| row.1).collect::<BTreeSet<_>>(),
        keys(&plannr)
    );
    assert_eq!(
        MAILBOX.iter().filter_map(|row| row.2).collect::<BTreeSet<_>>(),
        keys(&feather)
    );
    for (field, in_plannr, in_feather) in MAILBOX {
        if !OTHER_FORM.contains(&field) {
            assert!(
                in_plannr.is_none_or(|name| plannr[name] == unified[field]),
                "{field}"
            );
            assert!(
                in_feather.is_none_or(|name| feather[name] == unified[field]),
                "{field}"
            );
        }
    }
}

#[test]
fn every_field_of_a_message_is_mapped_or_has_no_counterpart() {
    let (message, mailbox, tenant) = (sample::message(8), sample::mailbox(), sample::tenant());
    let view = plannr::message::MessageView {
        message: &message,
        mailbox: &mailbox,
        tenant: &tenant,
        ancestors: &[],
        descendants: &[],
    };
    let plannr = plannr::message::message(&view, |_| String::new())
        .to_json()
        .unwrap();
    let unified = v1::message::Message::from(message.clone()).to_json().unwrap();
    assert_eq!(
        MESSAGE.map(|row| row.0).into_iter().collect::<BTreeSet<_>>(),
        keys(&unified)
    );
    // Plannr's answer nests what the unified one has an operation of its own for.
    let nested = ["firm", "ancestors", "descendants"];
    let mapped = MESSAGE
        .iter()
        .filter_map(|row| row.1)
        .chain(nested)
        .collect::<BTreeSet<_>>();
    assert_eq!(mapped, keys(&plannr));
    for field in ["thread_count", "subject", "text", "html", "incoming"] {
        assert_eq!(plannr[field], unified[field], "{field}");
    }
    assert_eq!(plannr["mailbox"]["uuid"], unified["mailbox_id"]);
    let addresses = |value: &Value, name: &str| -> Vec<Value> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one[name].clone())
            .collect()
    };
    let mut named = addresses(&unified["from"], "address");
    named.extend(addresses(&unified["to"], "address"));
    assert_eq!(addresses(&plannr["participants"], "email"), named);
}

#[test]
fn every_field_of_a_tenant_is_a_field_of_the_firm() {
    let tenant = sample::tenant();
    let firm = plannr::firm::Firm::from(&tenant).to_json().unwrap();
    let unified = v1::tenant::Tenant::from(tenant).to_json().unwrap();
    let renamed = keys(&unified)
        .into_iter()
        .map(|key| if key == "id" { "uuid" } else { key });
    assert_eq!(renamed.collect::<BTreeSet<_>>(), keys(&firm));
}
