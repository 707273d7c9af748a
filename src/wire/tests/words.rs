//! The words of the enums: the wire says what the domain says.

use poem_openapi::types::{ParseFromJSON, ToJSON};
use serde_json::{Value, json};

use crate::{
    model::{
        folder::FolderRole,
        mailbox::Security,
        member::Role,
        message::ParticipantKind,
        provider::Provider,
        scope::Scope,
        state::{Facts, Phase, State, project},
    },
    wire::{plannr, v1},
};

fn word(value: &impl ToJSON) -> String {
    value.to_json().unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_unified_words_are_the_domains_words() {
    for role in Role::ALL {
        assert_eq!(word(&v1::member::Role::from(role)), role.as_str());
        assert_eq!(word(&plannr::account::AccountRole::from(role)), role.as_str());
    }
    for scope in Scope::ALL {
        assert_eq!(word(&v1::api_key::Scope::from(scope)), scope.as_str());
    }
    for provider in Provider::ALL {
        assert_eq!(word(&v1::mailbox::Provider::from(provider)), provider.as_str());
    }
    for security in Security::ALL {
        assert_eq!(word(&v1::server::Security::from(security)), security.as_str());
    }
    for role in FolderRole::ALL {
        assert_eq!(word(&v1::folder::FolderRole::from(role)), role.as_str());
    }
    for kind in ParticipantKind::ALL {
        assert_eq!(
            word(&plannr::participant::ParticipantType::from(kind)),
            kind.as_str()
        );
    }
}

#[test]
fn the_states_are_written_as_each_dialect_spells_them() {
    for (state, unified, camel) in [
        (State::Init, "init", "init"),
        (State::Syncing, "syncing", "syncing"),
        (State::Connecting, "connecting", "connecting"),
        (State::Connected, "connected", "connected"),
        (
            State::AuthenticationError,
            "authentication_error",
            "authenticationError",
        ),
        (State::ConnectError, "connect_error", "connectError"),
        (State::Unset, "unset", "unset"),
        (State::Disconnected, "disconnected", "disconnected"),
    ] {
        assert_eq!(word(&v1::mailbox::State::from(state)), unified);
        assert_eq!(word(&plannr::mailbox::MailboxState::from(state)), camel);
    }
    let types = Provider::ALL.map(|provider| word(&plannr::mailbox::MailboxType::from(provider)));
    assert_eq!(types, ["imap", "gmail", "outlook"]);
    let facts = Facts {
        retired: false,
        enabled: true,
        has_credentials: true,
        connected_before: false,
        phase: Phase::AuthenticationError,
    };
    assert_eq!(word(&v1::mailbox::Status::from(project(facts).1)), "needs_reauth");
}

#[test]
fn an_unknown_word_of_a_request_is_refused() {
    for wrong in [json!("TLS"), json!("ssl"), json!(""), Value::Null, json!(1)] {
        assert!(
            v1::server::Security::parse_from_json(Some(wrong.clone())).is_err(),
            "{wrong}"
        );
    }
}
