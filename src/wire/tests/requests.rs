//! What the request bodies take, refuse, and turn into.

use poem_openapi::types::{Example, ParseFromJSON, ToJSON};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::sample;
use crate::{
    model::{
        Error, Result,
        credentials::Secret,
        mailbox::{BindingPatch, NewMailbox, Security},
        patch::Patch,
        provider::Provider,
        tenant::{Profile, Tenant},
    },
    wire::{feather::account::UpdateMailboxAccountRequest, v1},
};

fn read<T: ParseFromJSON>(body: Value) -> T {
    T::parse_from_json(Some(body))
        .map_err(|error| error.message().to_owned())
        .unwrap()
}

/// The dotted paths of the faults.
fn paths<T>(result: Result<T>) -> Vec<String> {
    match result {
        Err(Error::Invalid(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

fn server() -> Value {
    json!({
        "host": "imap.gmail.com",
        "port": 993,
        "security": "tls",
        "username": "desk@example.org",
        "password": "s3cret-word",
    })
}

fn create(change: impl FnOnce(&mut Value)) -> Result<NewMailbox> {
    let mut body = json!({"address": "desk@example.org", "imap": server(), "smtp": server()});
    change(&mut body);
    read::<v1::mailbox::CreateMailbox>(body).into_model()
}

#[test]
fn a_mailbox_to_create_keeps_its_password_out_of_sight() {
    let new = create(|body| {
        body["provider"] = "gmail".into();
        body["team_id"] = json!(sample::id(6));
    })
    .unwrap();
    assert_eq!(
        (new.address.as_str(), new.name.as_deref()),
        ("desk@example.org", None)
    );
    assert_eq!(new.provider, Some(Provider::Gmail));
    assert_eq!(
        (new.imap.settings.port, new.imap.settings.security),
        (993, Security::Tls)
    );
    assert!(
        matches!(&new.imap.secret, Secret::Password(password) if password.expose_secret() == "s3cret-word")
    );
    assert_eq!(
        new.binding,
        BindingPatch {
            team_id: Patch::Value(sample::id(6)),
            ..BindingPatch::default()
        }
    );
    assert!(!format!("{new:?}").contains("s3cret-word"));
}

#[test]
fn every_fault_of_a_mailbox_to_create_is_named_with_its_path() {
    let faults = create(|body| {
        body["address"] = "no address".into();
        body["name"] = " ".into();
        body["imap"]["host"] = "https://x".into();
        body["smtp"]["username"] = "a\0b".into();
        body["smtp"]["password"] = "a\0b".into();
        body["agent_id"] = json!(sample::id(4));
        body["team_id"] = json!(sample::id(6));
    });
    let expected = [
        "address",
        "name",
        "imap.host",
        "smtp.username",
        "smtp.password",
        "team_id",
    ];
    assert_eq!(paths(faults), expected);
}

fn tokens() -> Value {
    json!({
        "token_url": "https://id.example.org/token",
        "client_id": "desk",
        "refresh_token": "s3cret-refresh",
        "access_token": "s3cret-access",
        "expires_at": "2026-01-01T00:00:00Z",
    })
}

/// A mailbox's server with tokens in place of the password.
fn give_tokens(body: &mut Value) {
    body["imap"].as_object_mut().unwrap().remove("password");
    body["imap"]["oauth2"] = tokens();
}

#[test]
fn a_login_has_a_password_or_tokens_and_tokens_are_whole() {
    let with = |change: &dyn Fn(&mut Value)| {
        create(|body| {
            give_tokens(body);
            change(body);
        })
    };
    let new = with(&|_| {}).unwrap();
    assert!(!format!("{new:?}").contains("s3cret"));
    let Secret::OAuth2(given) = new.imap.secret else {
        panic!("these are tokens")
    };
    assert_eq!(given.refresh_token.expose_secret(), "s3cret-refresh");
    assert_eq!(given.access_token.unwrap().expose_secret(), "s3cret-access");
    assert!(given.expires_at.is_some() && given.client_secret.is_none());

    let faults = |change: &dyn Fn(&mut Value)| paths(with(change));
    assert_eq!(
        faults(&|body| body["imap"]["password"] = "x".into()),
        ["imap.oauth2"]
    );
    assert_eq!(
        faults(&|body| body["imap"]["oauth2"] = Value::Null),
        ["imap.password"]
    );
    let wrong = |body: &mut Value| {
        let tokens = &mut body["imap"]["oauth2"];
        tokens["token_url"] = "https://me:secret@id.example.org/token".into();
        tokens["client_id"] = "a\0".into();
        tokens["refresh_token"] = "a\nb".into();
    };
    let expected = [
        "imap.oauth2.token_url",
        "imap.oauth2.client_id",
        "imap.oauth2.refresh_token",
    ];
    assert_eq!(faults(&wrong), expected);
    for url in [
        "ftp://id.example.org/",
        "id.example.org/token",
        "https://id.example.org/#x",
    ] {
        let found = faults(&|body| body["imap"]["oauth2"]["token_url"] = url.into());
        assert_eq!(found, ["imap.oauth2.token_url"], "{url}");
    }
}

#[test]
fn tokens_are_verified_by_the_access_token_that_is_given() {
    let mut body = json!({"imap": server()});
    give_tokens(&mut body);
    assert!(
        read::<v1::server::VerifyMailbox>(body.clone())
            .into_model()
            .is_ok()
    );
    body["imap"]["oauth2"]
        .as_object_mut()
        .unwrap()
        .remove("access_token");
    let refused = read::<v1::server::VerifyMailbox>(body).into_model();
    assert_eq!(paths(refused), ["imap.oauth2.access_token"]);
}

#[test]
fn what_the_schema_says_is_refused_when_the_body_is_read() {
    for (field, value) in [
        ("port", json!(0)),
        ("port", json!(65_536)),
        ("security", json!("ssl")),
        ("host", json!("")),
        ("password", json!("")),
        ("pasword", json!("x")),
    ] {
        let mut body = json!({"address": "desk@example.org", "imap": server()});
        body["imap"][field] = value.clone();
        let read = v1::mailbox::CreateMailbox::parse_from_json(Some(body));
        assert!(read.is_err(), "{field}: {value}");
    }
}

#[test]
fn a_signature_is_counted_in_characters() {
    let with = |length: usize| {
        let body = json!({"default_signature_html": "ü".repeat(length)});
        v1::mailbox::UpdateMailbox::parse_from_json(Some(body.clone())).is_ok()
            && UpdateMailboxAccountRequest::parse_from_json(Some(body)).is_ok()
    };
    assert!(with(20_000));
    assert!(!with(20_001));
}

#[test]
fn a_patch_tells_left_out_null_and_value_apart() {
    let patch = read::<v1::mailbox::UpdateMailbox>(json!({}))
        .into_model()
        .unwrap();
    assert_eq!(
        (patch.name, patch.enabled, patch.binding),
        (Patch::Absent, None, BindingPatch::default())
    );
    assert!(patch.imap.is_none() && !patch.smtp.is_present());
    let body = json!({
        "name": null,
        "enabled": false,
        "agent_id": null,
        "team_id": sample::id(6),
        "team_revision_id": sample::id(7),
        "default_signature_html": "<p>x</p>",
        "imap": {"password": "new"},
        "smtp": null,
    });
    let patch = read::<v1::mailbox::UpdateMailbox>(body).into_model().unwrap();
    assert_eq!((patch.name, patch.enabled), (Patch::Null, Some(false)));
    let binding = BindingPatch {
        agent_id: Patch::Null,
        agent_revision_id: Patch::Absent,
        team_id: Patch::Value(sample::id(6)),
        team_revision_id: Patch::Value(sample::id(7)),
    };
    assert_eq!(patch.binding, binding);
    assert_eq!(patch.default_signature_html, Patch::Value("<p>x</p>".into()));
    let imap = patch.imap.unwrap();
    assert_eq!(
        (imap.host, imap.port, imap.security, imap.username),
        (None, None, None, None)
    );
    assert!(matches!(imap.secret, Some(Secret::Password(password)) if password.expose_secret() == "new"));
    assert!(matches!(patch.smtp, Patch::Null));
    let faults = read::<v1::mailbox::UpdateMailbox>(json!({"smtp": {"host": "a b"}, "name": "\u{7}"}));
    assert_eq!(paths(faults.into_model()), ["name", "smtp.host"]);
}

#[test]
fn feathers_patch_is_three_valued_and_refuses_unknown_keys() {
    let body = json!({"default_signature_html": null, "agent_id": sample::id(4), "agent_revision_id": null});
    let patch = read::<UpdateMailboxAccountRequest>(body).into_model().unwrap();
    assert_eq!(patch.default_signature_html, Patch::Null);
    let binding = BindingPatch {
        agent_id: Patch::Value(sample::id(4)),
        agent_revision_id: Patch::Null,
        ..BindingPatch::default()
    };
    assert_eq!(patch.binding, binding);
    assert_eq!((patch.name, patch.enabled), (Patch::Absent, None));
    assert!(UpdateMailboxAccountRequest::parse_from_json(Some(json!({"name": "x"}))).is_err());
    assert!(UpdateMailboxAccountRequest::parse_from_json(Some(json!({"agent_id": "x"}))).is_err());
}

#[test]
fn a_tenants_change_is_a_merge_patch_of_what_was_sent() {
    let body = json!({
        "name": "New",
        "tax": null,
        "billing": {"invoice_county": "Hampshire", "invoice_country": null},
        "brand_colours": {"sidebar_text": "#fff", "email_sub_text": null},
        "ip_whitelist": ["192.0.2.0/24"],
        "addon_subscriptions": [{"plan": 1}],
    });
    let (name, patch) = read::<v1::tenant::UpdateTenant>(body.clone())
        .into_model()
        .unwrap();
    assert_eq!(name.as_deref(), Some("New"));
    let mut expected = body;
    expected.as_object_mut().unwrap().remove("name");
    assert_eq!(patch, expected);
    let profile = Profile {
        tax: Some(17.5),
        ..Profile::default()
    }
    .merge(patch)
    .unwrap();
    assert_eq!(
        (profile.tax, profile.billing.invoice_county.as_deref()),
        (None, Some("Hampshire"))
    );
    let profile = profile
        .merge(json!({"task_board_template": {"name": "Board"}}))
        .unwrap();
    let tenant = Tenant {
        profile,
        ..sample::tenant()
    };
    let answer = v1::tenant::Tenant::from(tenant).to_json().unwrap();
    assert_eq!(answer["addon_subscriptions"], json!([{"plan": 1}]));
    assert_eq!(answer["task_board_template"], json!({"name": "Board"}));
    let (name, patch) = read::<v1::tenant::UpdateTenant>(json!({})).into_model().unwrap();
    assert_eq!((name, patch), (None, json!({})));
    for wrong in [
        json!({"uuid": "x"}),
        json!({"brand_colours": {"nothing": "#fff"}}),
    ] {
        assert!(
            v1::tenant::UpdateTenant::parse_from_json(Some(wrong.clone())).is_err(),
            "{wrong}"
        );
    }
    let faults = read::<v1::tenant::UpdateTenant>(json!({"name": "\t"})).into_model();
    assert_eq!(paths(faults), ["name"]);
}

#[test]
fn a_key_needs_scopes_that_a_tenant_can_have() {
    let body = json!({"name": "CRM", "scopes": ["audit:read", "platform:admin"]});
    assert_eq!(
        paths(read::<v1::api_key::CreateApiKey>(body).into_model()),
        ["scopes.1"]
    );
    let body = json!({"scopes": ["messages:read"]});
    let scopes = read::<v1::token::CreateToken>(body)
        .into_model()
        .unwrap()
        .unwrap();
    assert_eq!(scopes.to_words(), "messages:read");
    assert_eq!(
        read::<v1::token::CreateToken>(json!({})).into_model().unwrap(),
        None
    );
    assert_eq!(
        paths(
            v1::token::CreateToken {
                scopes: Some(Vec::new())
            }
            .into_model()
        ),
        ["scopes"]
    );
    assert!(
        v1::api_key::CreateApiKey::parse_from_json(Some(json!({"name": "x", "scopes": ["all"]}))).is_err()
    );
    let body = json!({"name": "x", "scopes": ["audit:read"], "expires_at": "2026-01-02T03:04:05+01:00"});
    let key = read::<v1::api_key::CreateApiKey>(body).into_model().unwrap();
    assert_eq!(key.expires_at.unwrap().to_rfc3339(), "2026-01-02T02:04:05+00:00");
}

#[test]
fn the_other_bodies_are_checked_too() {
    let body = json!({"first_name": "A", "last_name": "\n", "email": "a", "role": "owner"});
    let body = v1::member::CreateMember::parse_from_json(Some(body));
    assert!(body.is_err(), "an address has three characters at least");
    let body = json!({"first_name": "A", "last_name": "\n", "email": "a@@b", "role": "owner"});
    assert_eq!(
        paths(read::<v1::member::CreateMember>(body).into_model()),
        ["last_name", "email"]
    );
    let body = json!({"first_name": " ", "email": "a@@b"});
    assert_eq!(
        paths(read::<v1::member::UpdateMember>(body).into_model()),
        ["first_name", "email"]
    );
    assert_eq!(
        paths(read::<v1::tenant::CreateTenant>(json!({"name": " "})).into_model()),
        ["name"]
    );
    assert_eq!(
        paths(read::<v1::agent::CreateAgent>(json!({"name": " "})).into_model()),
        ["name"]
    );
    assert_eq!(
        paths(read::<v1::agent::UpdateTeam>(json!({"name": " "})).into_model()),
        ["name"]
    );
    let mut wrong = server();
    wrong["host"] = "a/b".into();
    let body = json!({"imap": server(), "smtp": wrong});
    assert_eq!(
        paths(read::<v1::server::VerifyMailbox>(body).into_model()),
        ["smtp.host"]
    );
    let imap = v1::server::MailServer {
        port: 0,
        ..Example::example()
    };
    assert_eq!(
        paths(v1::server::VerifyMailbox { imap, smtp: None }.into_model()),
        ["imap.port"]
    );
}
