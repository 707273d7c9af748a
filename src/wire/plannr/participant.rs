//! Participants of a message.

use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::{Resource, Time, firm::Firm};
use crate::model;

/// The header field that names a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", remote = "model::message::ParticipantKind")]
pub enum ParticipantType {
    /// `From`
    From,
    /// `To`
    To,
    /// `Cc`
    Cc,
    /// `Bcc`
    Bcc,
    /// `Reply-To`
    ReplyTo,
}

/// A participant of a message.
#[derive(Debug, Clone, PartialEq, Object)]
pub struct Participant {
    /// The UUID of the resource.
    pub uuid: Uuid,
    /// The timestamp of when the resource was created.
    pub created_at: Time,
    /// The timestamp of when the resource was updated.
    pub updated_at: Time,
    /// The firm that the message belongs to.
    pub firm: Firm,
    /// Always null: the message has it.
    #[oai(nullable)]
    pub mailbox: Option<Resource>,
    /// Always null: the message has the participant.
    #[oai(nullable)]
    pub mailbox_message: Option<Resource>,
    /// The display name.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The email address.
    pub email: String,
    /// The header field that names the participant: `from`, `to`, `cc`, `bcc` or `reply_to`.
    #[oai(rename = "type")]
    pub kind: ParticipantType,
}

/// The participant of a message that was stored at `stored_at`; a participant never changes.
pub(super) fn participant(
    participant: &model::message::Participant,
    firm: &Firm,
    stored_at: chrono::DateTime<chrono::Utc>,
) -> Participant {
    let model::message::Participant { id, kind, address } = participant;
    let model::message::Address { name, address } = address;
    Participant {
        uuid: *id,
        created_at: stored_at.into(),
        updated_at: stored_at.into(),
        firm: firm.clone(),
        mailbox: None,
        mailbox_message: None,
        name: name.clone(),
        email: address.clone(),
        kind: (*kind).into(),
    }
}
