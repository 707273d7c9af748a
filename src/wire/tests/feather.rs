//! Feather's answers against that API's own published document.

use poem_openapi::{
    registry::Registry,
    types::{ToJSON, Type},
};
use serde_json::{Value, json};

use super::sample;
use crate::{
    model::{
        Error,
        error::{Conflict, FieldError, Unauthenticated},
        mailbox::Binding,
        provider::Provider,
        state::{Facts, Phase},
    },
    wire::feather::{
        account::{
            ListMailboxAccountsResponse, MailboxAccountResponse, MailboxProvider, MailboxStatus,
            UpdateMailboxAccountRequest, account, accounts,
        },
        problem::{ErrorResponse, HttpValidationError, ProblemResponse, problem},
    },
};

const PUBLISHED: &str = include_str!("../../../openapi/examples/feather/published.openapi.json");

fn published() -> Value {
    serde_json::from_str(PUBLISHED).unwrap()
}

fn assert_valid(name: &str, answer: &impl ToJSON) {
    let answer = answer.to_json().unwrap();
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": published()["components"],
    });
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&answer)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0], "{answer}");
}

#[test]
fn an_account() {
    let answer = account(&sample::mailbox()).unwrap();
    let expected = json!({
        "id": "01980000-0000-7000-8000-000000000003",
        "address": "desk@example.org",
        "provider": "gmail",
        "status": "needs_reauth",
        "agent_id": "01980000-0000-7000-8000-000000000004",
        "agent_revision_id": "01980000-0000-7000-8000-000000000005",
        "team_id": null,
        "team_revision_id": null,
        "external_account_id": "1234",
        "capabilities": ["idle"],
        "default_signature_html": "<p>Desk</p>",
        "created_at": "2025-06-25T15:16:40Z",
        "updated_at": "2025-06-25T15:17:40Z",
    });
    assert_eq!(answer.to_json().unwrap(), expected);
}

#[test]
fn every_account_that_there_can_be_fits_the_published_schema() {
    let mut all = Vec::new();
    for provider in Provider::ALL {
        for phase in Phase::ALL {
            for bits in 0..16_u8 {
                let mut mailbox = sample::mailbox();
                let on = |bit: u8| bits & (1 << bit) != 0;
                mailbox.provider = provider;
                mailbox.facts = Facts {
                    retired: on(0),
                    enabled: on(1),
                    has_credentials: on(2),
                    connected_before: on(3),
                    phase,
                };
                if on(0) {
                    mailbox.binding = Binding::None;
                    mailbox.default_signature_html = None;
                    mailbox.external_account_id = None;
                }
                all.push(mailbox);
            }
        }
    }
    let list = accounts(&all);
    assert_eq!(
        list.accounts.len(),
        all.len() / 3 * 2,
        "an imap mailbox is not in the list"
    );
    assert_valid("ListMailboxAccountsResponse", &list);
}

#[test]
fn every_error_fits_the_published_schemas() {
    let faults = vec![
        FieldError::body("", "What is wrong."),
        FieldError::query("limit", "Too large."),
    ];
    for error in [
        Error::Invalid(faults),
        Error::Malformed("The body is not JSON.".into()),
    ] {
        let ProblemResponse::Unprocessable(body) = problem(&error) else {
            panic!("{error} is not 422");
        };
        assert_valid("HTTPValidationError", &body.0);
    }
    let fault = FieldError::body("accounts.3.team_id", "Set agent_id or team_id, not both.");
    let ProblemResponse::Unprocessable(body) = problem(&Error::Invalid(vec![fault])) else {
        panic!("not 422");
    };
    let expected = json!({"detail": [{
        "loc": ["body", "accounts", 3, "team_id"],
        "msg": "Set agent_id or team_id, not both.",
        "type": "value_error",
    }]});
    assert_eq!(body.0.to_json().unwrap(), expected);
    assert_valid("HTTPValidationError", &body.0);
    for (error, expected) in [
        (
            Error::Unauthenticated(Unauthenticated::Missing),
            json!([false, null]),
        ),
        (Error::Conflict(Conflict::LastOwner), json!([false, null])),
        (Error::RateLimited { retry_after: 7 }, json!([true, 7])),
        (Error::Unavailable("Not now."), json!([true, 5])),
        (Error::internal("secret"), json!([true, null])),
    ] {
        let (ProblemResponse::Unauthorized(body, _)
        | ProblemResponse::Conflict(body)
        | ProblemResponse::TooManyRequests(body, _)
        | ProblemResponse::Unavailable(body, _)
        | ProblemResponse::Internal(body)) = problem(&error)
        else {
            panic!("{error} has another answer");
        };
        assert_valid("ErrorResponse", &body.0);
        let answer = body.0.to_json().unwrap();
        assert_eq!(json!([answer["retryable"], answer["retry_after"]]), expected);
        assert!(!answer.to_string().contains("secret"));
    }
}

/// The names of the fields, or the values of the enum, that a schema has.
fn members(schema: &Value) -> Vec<String> {
    let mut members: Vec<String> = match (schema.get("properties"), schema.get("enum")) {
        (Some(Value::Object(fields)), None) => fields.keys().cloned().collect(),
        (None, Some(Value::Array(values))) => values
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect(),
        _ => panic!("{schema} is neither an object nor an enum"),
    };
    members.sort();
    members
}

#[test]
fn our_schemas_have_the_published_names_and_fields() {
    let mut registry = Registry::new();
    ListMailboxAccountsResponse::register(&mut registry);
    UpdateMailboxAccountRequest::register(&mut registry);
    ErrorResponse::register(&mut registry);
    HttpValidationError::register(&mut registry);
    let published = published();
    for name in [
        MailboxAccountResponse::name(),
        MailboxProvider::name(),
        MailboxStatus::name(),
        ListMailboxAccountsResponse::name(),
        UpdateMailboxAccountRequest::name(),
        ErrorResponse::name(),
        HttpValidationError::name(),
    ] {
        let ours = serde_json::to_value(&registry.schemas[name.as_ref()]).unwrap();
        let theirs = &published["components"]["schemas"][name.as_ref()];
        assert_eq!(members(&ours), members(theirs), "{name}");
    }
}
