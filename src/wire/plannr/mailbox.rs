//! Mailboxes in Plannr's shape, and the body that changes one.

use poem_openapi::{
    Enum, Object,
    types::{Example, MaybeUndefined},
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Time,
    account::{Account, account},
    check::Faults,
    example,
    firm::Firm,
};
use crate::model::{self, Error, Result, mailbox::MailboxPatch, patch::Patch, provider::Provider};

/// The type of the mailbox. More values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MailboxType {
    /// Any IMAP server.
    Imap,
    /// Gmail and Google Workspace.
    Gmail,
    /// Outlook.com and Microsoft 365.
    Outlook,
}

impl From<Provider> for MailboxType {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Imap => Self::Imap,
            Provider::Gmail => Self::Gmail,
            Provider::Microsoft => Self::Outlook,
        }
    }
}

/// The status of the mailbox. More values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "camelCase")]
#[oai(rename_all = "camelCase", remote = "model::state::State")]
pub enum MailboxState {
    /// Not tried yet.
    Init,
    /// First sync, or catching up.
    Syncing,
    /// The connection is being made.
    Connecting,
    /// Up to date.
    Connected,
    /// The server refused the credentials.
    AuthenticationError,
    /// The server could not be reached, or broke off.
    ConnectError,
    /// No usable credentials yet.
    Unset,
    /// Disabled or deleted.
    Disconnected,
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(example)]
pub struct Mailbox {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// The account that created this mailbox; null when it was the firm itself.
    #[oai(nullable)]
    pub created_by: Option<Account>,
    /// The type of mailbox this is.
    #[oai(rename = "type")]
    pub kind: MailboxType,
    /// The email address of the mailbox.
    pub email: String,
    /// The name of the mailbox.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The status of the mailbox.
    pub state: MailboxState,
    /// Whether the mailbox is enabled or not.
    pub enabled: bool,
    /// The number of messages synced by this mailbox.
    pub message_count: i64,
}

/// The mailbox of a tenant.
pub fn mailbox(mailbox: &model::mailbox::Mailbox, tenant: &model::tenant::Tenant) -> Mailbox {
    with_firm(mailbox, &tenant.into())
}

/// The same, where the firm is at hand already.
pub(super) fn with_firm(mailbox: &model::mailbox::Mailbox, firm: &Firm) -> Mailbox {
    let model::mailbox::Mailbox {
        id,
        address,
        name,
        provider,
        facts,
        halted: _,
        message_count,
        created_by,
        binding: _,
        default_signature_html: _,
        capabilities: _,
        external_account_id: _,
        error: _,
        last_synced_at: _,
        backfilled_at: _,
        sync_progress: _,
        created_at,
        updated_at,
    } = mailbox;
    Mailbox {
        uuid: *id,
        created_at: (*created_at).into(),
        updated_at: (*updated_at).into(),
        created_by: created_by.as_ref().map(|member| account(member, firm)),
        kind: (*provider).into(),
        email: address.clone(),
        name: name.clone(),
        state: mailbox.state().into(),
        enabled: facts.enabled,
        message_count: *message_count,
    }
}

impl Example for Mailbox {
    fn example() -> Self {
        let member = model::member::Member {
            id: example::id(2),
            first_name: "Gareth".into(),
            last_name: "Thompson".into(),
            email: "gareth@example.org".into(),
            role: model::member::Role::Owner,
            created_at: example::at(),
            updated_at: example::at(),
        };
        Self {
            uuid: example::id(4),
            created_at: example::at().into(),
            updated_at: example::at().into(),
            created_by: Some(account(&member, &Firm::example())),
            kind: MailboxType::Imap,
            email: "test@example.org".into(),
            name: Some("Test Mailbox".into()),
            state: MailboxState::Connected,
            enabled: true,
            message_count: 1,
        }
    }
}

/// The mailboxes that the account sees.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(example)]
pub struct MailboxList {
    /// The mailboxes.
    pub data: Vec<Mailbox>,
}

/// The list of a tenant's mailboxes.
pub fn mailboxes(list: &[model::mailbox::Mailbox], tenant: &model::tenant::Tenant) -> MailboxList {
    let firm = tenant.into();
    MailboxList {
        data: list.iter().map(|mailbox| with_firm(mailbox, &firm)).collect(),
    }
}

impl Example for MailboxList {
    fn example() -> Self {
        Self {
            data: vec![Mailbox::example()],
        }
    }
}

/// The page on which the mailbox's owner connects it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(example)]
pub struct ConnectLink {
    /// The page's address.
    pub url: String,
}

impl Example for ConnectLink {
    fn example() -> Self {
        Self {
            url: "https://mail.example.org/connect/5fQ3kVx0Zt1B".into(),
        }
    }
}

/// What changes about a mailbox. Everything may be left out, and so may the body; other keys are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(skip_serializing_if_is_none, example)]
pub struct UpdateMailbox {
    /// The name of the mailbox, at most 200 characters; null or empty clears it.
    #[oai(nullable, validator(max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// False closes the connection and stops webhooks for new messages.
    pub enabled: Option<bool>,
}

impl Example for UpdateMailbox {
    fn example() -> Self {
        Self {
            enabled: Some(false),
            ..Self::default()
        }
    }
}

impl UpdateMailbox {
    /// Reads the body as that API does: none, an empty one and `[]` (PHP's empty array) change nothing, an empty name is
    /// null, a boolean may be written as 1, 0, "1" or "0", and unknown keys are passed over.
    pub fn read(body: &[u8]) -> Result<MailboxPatch> {
        if body.trim_ascii().is_empty() {
            return Ok(MailboxPatch::default());
        }
        let value = serde_json::from_slice(body)
            .map_err(|error| Error::Malformed(format!("The body is not JSON: {error}.")))?;
        match value {
            Value::Null => Ok(MailboxPatch::default()),
            Value::Array(list) if list.is_empty() => Ok(MailboxPatch::default()),
            Value::Object(fields) => fields_of(&fields),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Error::Malformed("The body is not a JSON object.".into()))
            }
        }
    }
}

fn fields_of(fields: &Map<String, Value>) -> Result<MailboxPatch> {
    let mut faults = Faults::default();
    let name = match fields.get("name") {
        None => Patch::Absent,
        Some(Value::Null) => Patch::Null,
        Some(Value::String(name)) if name.trim().is_empty() => Patch::Null,
        Some(Value::String(name)) => {
            faults.name("name", name.trim());
            Patch::Value(name.trim().to_owned())
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            faults.add("name", "The name field must be a string.");
            Patch::Absent
        }
    };
    let enabled = fields.get("enabled").and_then(|value| {
        let read = boolean(value);
        if read.is_none() {
            faults.add("enabled", "The enabled field must be true or false.");
        }
        read
    });
    faults.or(MailboxPatch {
        name,
        enabled,
        ..MailboxPatch::default()
    })
}

/// What Laravel's rule `boolean` takes.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => match number.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_says_nothing_changes_nothing() {
        for body in ["", " \n", "{}", "[]", "null", r#"{"colour": "red", "type": 7}"#] {
            let patch = UpdateMailbox::read(body.as_bytes()).unwrap();
            assert_eq!((patch.name, patch.enabled), (Patch::Absent, None), "{body}");
            assert!(
                patch.imap.is_none()
                    && !patch.smtp.is_present()
                    && !patch.default_signature_html.is_present()
            );
        }
    }

    #[test]
    fn name_and_enabled_are_read_as_laravel_reads_them() {
        for (body, name, enabled) in [
            (r#"{"name": " Desk "}"#, Patch::Value("Desk".to_owned()), None),
            (r#"{"name": ""}"#, Patch::Null, None),
            (r#"{"name": null, "enabled": false}"#, Patch::Null, Some(false)),
            (r#"{"enabled": "1", "other": {}}"#, Patch::Absent, Some(true)),
            (r#"{"enabled": 0}"#, Patch::Absent, Some(false)),
        ] {
            let patch = UpdateMailbox::read(body.as_bytes()).unwrap();
            assert_eq!((patch.name, patch.enabled), (name, enabled), "{body}");
        }
    }

    #[test]
    fn a_wrong_body_is_refused_field_by_field() {
        for (body, fields) in [
            (r#"{"name": 5, "enabled": "yes"}"#, vec!["name", "enabled"]),
            (r#"{"enabled": null}"#, vec!["enabled"]),
            (r#"{"enabled": 2}"#, vec!["enabled"]),
            (r#"{"name": "a\u0000b"}"#, vec!["name"]),
        ] {
            let Err(Error::Invalid(errors)) = UpdateMailbox::read(body.as_bytes()) else {
                panic!("{body} was taken");
            };
            assert_eq!(
                errors
                    .iter()
                    .map(|error| error.path.join("."))
                    .collect::<Vec<_>>(),
                fields,
                "{body}"
            );
        }
        for body in ["{", "[1]", "5", "\"x\""] {
            assert!(
                matches!(UpdateMailbox::read(body.as_bytes()), Err(Error::Malformed(_))),
                "{body}"
            );
        }
    }
}
