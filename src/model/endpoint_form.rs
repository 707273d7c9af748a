//! The forms in which webhook endpoints are sent events: our own, and that of Plannr's webhook subscriptions.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::{
    error::{Error, Result},
    event::EventType,
};

/// How many letters and digits the secret of an endpoint in Plannr's form has.
pub const PLANNR_SECRET: usize = 60;

/// In which form an endpoint is sent events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointForm {
    /// That of the unified API, signed as Standard Webhooks says.
    Standard,
    /// That of a webhook subscription of Plannr's, signed by `X-Signature`.
    Plannr {
        /// The names of the events as the subscriber wrote them; most of Plannr's own never happen here.
        events: Vec<String>,
    },
}

impl EndpointForm {
    /// The types of events that Plannr's form has, under the names that they have everywhere.
    pub const OF_PLANNR: [EventType; 9] = [
        EventType::MessageReceived,
        EventType::MessageUpdated,
        EventType::MessageDeleted,
        EventType::MailboxCreated,
        EventType::MailboxUpdated,
        EventType::MailboxDeleted,
        EventType::MailboxStateChanged,
        EventType::MailboxReauthRequired,
        EventType::MailboxBackfillCompleted,
    ];

    /// The word on the wire and in the store.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Plannr { events: _ } => "plannr",
        }
    }

    /// Whether an event of this type is sent, as far as the form says: one that is subscribed to nothing of ours hears
    /// nothing.
    pub fn takes(&self, kind: EventType) -> bool {
        match self {
            Self::Standard => true,
            Self::Plannr { events } => {
                Self::OF_PLANNR.contains(&kind) && events.iter().any(|name| name == kind.as_str())
            }
        }
    }
}

/// The signature of a request in Plannr's form, as its header `X-Signature` says it: the HMAC-SHA256 of the raw body, keyed
/// with the secret's own characters, in lower-case hexadecimal digits.
///
/// # Errors
/// A fault of ours, when the secret cannot be a key.
pub fn sign_body(secret: &SecretString, body: &[u8]) -> Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map_err(Error::internal)?
        .chain_update(body)
        .finalize()
        .into_bytes();
    Ok(base16ct::lower::encode_string(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_vectors() {
        // RFC 4231, test case 2.
        let signed = sign_body(&"Jefe".into(), b"what do ya want for nothing?").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed, expected);
    }

    #[test]
    fn a_subscription_takes_what_it_names_and_nothing_where_it_names_nothing_of_ours() {
        let of = |names: &[&str]| EndpointForm::Plannr {
            events: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let taken = |form: &EndpointForm| {
            EventType::ALL
                .into_iter()
                .filter(|kind| form.takes(*kind))
                .count()
        };
        assert_eq!(taken(&EndpointForm::Standard), EventType::ALL.len());
        assert_eq!(taken(&of(&[])), 0);
        assert_eq!(
            taken(&of(&["account.created", "conversation.message.created"])),
            0
        );
        assert_eq!(taken(&of(&["ping", "webhook_endpoint.disabled"])), 0);
        let one = of(&["account.created", "message.received", "message.received"]);
        assert!(one.takes(EventType::MessageReceived) && !one.takes(EventType::MessageUpdated));
        assert_eq!(taken(&of(&EndpointForm::OF_PLANNR.map(EventType::as_str))), 9);
    }
}
