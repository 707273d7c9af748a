//! Plannr's answers: the literal JSON, and the fields of that API's own examples.

use std::collections::BTreeSet;

use poem_openapi::types::ToJSON;
use serde_json::{Value, json};

use super::sample;
use crate::{
    model::attachment::Attachment,
    wire::plannr::{
        mailbox::{mailbox, mailboxes},
        message::{MessageView, message},
    },
};

const MAILBOX: &str = include_str!("../../../openapi/examples/plannr/mailbox.json");
const MESSAGE: &str = include_str!("../../../openapi/examples/plannr/message.json");
/// The fields of an account that are only there in some views.
const VIEWS: [&str; 2] = ["joint_account_circle", "ownership_percentage"];

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|key| !VIEWS.contains(key))
        .collect()
}

fn url(attachment: &Attachment) -> String {
    format!("https://mail.example.org/download/{}", attachment.id)
}

fn answer() -> Value {
    let (tenant, mailbox) = (sample::tenant(), sample::mailbox());
    let (one, before, after) = (sample::message(8), [sample::message(7)], [sample::message(9)]);
    let view = MessageView {
        message: &one,
        mailbox: &mailbox,
        tenant: &tenant,
        ancestors: &before,
        descendants: &after,
    };
    message(&view, url).to_json().unwrap()
}

fn without(value: &Value, fields: &[&str]) -> Value {
    let mut rest = value.clone();
    for field in fields {
        rest.as_object_mut().unwrap().remove(*field).unwrap();
    }
    rest
}

#[test]
fn a_mailbox_has_the_fields_of_the_example_and_its_own_values() {
    let example: Value = serde_json::from_str(MAILBOX).unwrap();
    let answer = mailbox(&sample::mailbox(), &sample::tenant()).to_json().unwrap();
    assert_eq!(keys(&answer), keys(&example));
    assert_eq!(keys(&answer["created_by"]), keys(&example["created_by"]));
    let expected = json!({
        "uuid": "01980000-0000-7000-8000-000000000003",
        "created_at": "2025-06-25T15:16:40+00:00",
        "updated_at": "2025-06-25T15:17:40+00:00",
        "type": "gmail",
        "email": "desk@example.org",
        "name": "Desk",
        "state": "authenticationError",
        "enabled": true,
        "message_count": 12,
    });
    assert_eq!(without(&answer, &["created_by"]), expected);
    let list = mailboxes(&[sample::mailbox()], &sample::tenant())
        .to_json()
        .unwrap();
    assert_eq!(list, json!({"data": [answer]}));
}

#[test]
fn an_account_answers_nothing_that_is_not_known() {
    let answer = mailbox(&sample::mailbox(), &sample::tenant()).to_json().unwrap();
    let account = &answer["created_by"];
    let known = json!({
        "uuid": "01980000-0000-7000-8000-000000000002",
        "created_at": "2025-06-25T15:12:40+00:00",
        "updated_at": "2025-06-25T15:13:40+00:00",
        "type": "senior",
        "role": "senior",
        "first_name": "Gareth",
        "last_name": "Thompson",
        "name": "Gareth Thompson",
        "email": "gareth@example.org",
    });
    for (field, value) in account.as_object().unwrap() {
        match known.get(field) {
            Some(expected) => assert_eq!(value, expected, "{field}"),
            None if field == "firm" => assert_eq!(value["uuid"], sample::id(1).to_string()),
            None => {
                let example: Value = serde_json::from_str(MAILBOX).unwrap();
                let collection = example["created_by"][field]["collection"] == true;
                assert_eq!(
                    *value,
                    if collection { json!([]) } else { Value::Null },
                    "{field}"
                );
            }
        }
    }
    let mut own = sample::mailbox();
    own.created_by = None;
    assert_eq!(
        mailbox(&own, &sample::tenant()).to_json().unwrap()["created_by"],
        Value::Null
    );
}

#[test]
fn a_firm_has_every_field_of_the_example() {
    let example: Value = serde_json::from_str(MESSAGE).unwrap();
    let firm = &answer()["firm"];
    assert_eq!(keys(firm), keys(&example["firm"]));
    for object in ["billing", "brand_colours"] {
        assert_eq!(keys(&firm[object]), keys(&example["firm"][object]), "{object}");
    }
    assert_eq!(
        (&firm["addon_subscriptions"], &firm["ip_whitelist"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(firm["created_at"], "2025-06-25T15:10:40+00:00");
}

#[test]
fn a_profile_of_the_example_comes_back_as_it_is() {
    let example: Value = serde_json::from_str(MESSAGE).unwrap();
    let placeholders = ["addon_subscriptions", "task_board_template"];
    let own = ["uuid", "name", "created_at", "updated_at"];
    let patch = without(&without(&example["firm"], &own), &placeholders);
    let mut tenant = sample::tenant();
    tenant.profile = tenant.profile.merge(patch.clone()).unwrap();
    let firm = crate::wire::plannr::firm::Firm::from(&tenant).to_json().unwrap();
    assert_eq!(without(&without(&firm, &own), &placeholders), patch);
    let unified = crate::wire::v1::tenant::Tenant::from(tenant).to_json().unwrap();
    let own = ["id", "name", "created_at", "updated_at"];
    assert_eq!(without(&without(&unified, &own), &placeholders), patch);
}

#[test]
fn a_message_has_the_fields_of_the_example_and_its_own_values() {
    let example: Value = serde_json::from_str(MESSAGE).unwrap();
    let answer = answer();
    assert_eq!(keys(&answer), keys(&example));
    assert_eq!(
        answer["mailbox"],
        mailbox(&sample::mailbox(), &sample::tenant()).to_json().unwrap()
    );
    let nested = [
        "mailbox",
        "firm",
        "ancestors",
        "descendants",
        "participants",
        "attachments",
    ];
    let expected = json!({
        "uuid": "01980000-0000-7000-8000-000000000008",
        "created_at": "2025-06-25T15:20:40+00:00",
        "updated_at": "2025-06-25T15:21:40+00:00",
        "message_created_at": "2025-06-25T15:18:40+00:00",
        "thread_count": 3,
        "subject": "Hello World",
        "incoming": true,
        "text": "Plain text",
        "html": "<p>HTML</p>",
    });
    assert_eq!(without(&answer, &nested), expected);
}

#[test]
fn participants_and_attachments_have_a_firm_and_nothing_else_nested() {
    let example: Value = serde_json::from_str(MESSAGE).unwrap();
    let answer = answer();
    let participant = &answer["participants"][0];
    assert_eq!(keys(participant), keys(&example["participants"][0]));
    let expected = json!({
        "uuid": sample::id(801),
        "created_at": "2025-06-25T15:20:40+00:00",
        "updated_at": "2025-06-25T15:20:40+00:00",
        "mailbox": null,
        "mailbox_message": null,
        "name": "John Doe",
        "email": "john.doe@example.com",
        "type": "from",
    });
    assert_eq!(without(participant, &["firm"]), expected);
    let attachment = &answer["attachments"][0];
    assert_eq!(keys(attachment), keys(&example["attachments"][0]));
    let expected = json!({
        "uuid": sample::id(20),
        "created_at": "2025-06-25T15:18:40+00:00",
        "updated_at": "2025-06-25T15:18:40+00:00",
        "name": "Report.PDF",
        "extension": "pdf",
        "type": "application/pdf",
        "size": 123_456,
        "status": "uploaded",
        "download_url": format!("https://mail.example.org/download/{}", sample::id(20)),
    });
    assert_eq!(without(attachment, &["firm"]), expected);
    for firm in [&participant["firm"], &attachment["firm"]] {
        assert_eq!(firm, &answer["firm"]);
    }
}

#[test]
fn nesting_stops_after_one_level() {
    let example: Value = serde_json::from_str(MESSAGE).unwrap();
    let answer = answer();
    for (side, number) in [("ancestors", 7), ("descendants", 9)] {
        let neighbours = answer[side].as_array().unwrap();
        assert_eq!(neighbours.len(), 1);
        let neighbour = &neighbours[0];
        let mut expected = keys(&example[side][0]);
        assert!(expected.remove("html"));
        assert_eq!(keys(neighbour), expected);
        assert_eq!(neighbour["uuid"], sample::id(number).to_string());
        assert_eq!(
            (&neighbour["ancestors"], &neighbour["descendants"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(
            (&neighbour["firm"], &neighbour["mailbox"]),
            (&answer["firm"], &answer["mailbox"])
        );
        assert_eq!(
            (&neighbour["thread_count"], &neighbour["text"]),
            (&json!(3), &json!("Plain text"))
        );
        assert_eq!(neighbour["participants"].as_array().unwrap().len(), 2);
        assert_eq!(neighbour["attachments"].as_array().unwrap().len(), 1);
    }
}
