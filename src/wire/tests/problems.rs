//! Every error of the domain, as each dialect answers it.

use std::time::Duration;

use poem::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::{
    model::{
        Error,
        error::{Conflict, FieldError, Forbidden, Unauthenticated, Upstream},
        scope::Scope,
    },
    wire::{feather, plannr, v1},
};

/// One of each error, with the status of the unified, Plannr's and Feather's answer.
fn errors() -> Vec<(Error, [u16; 3])> {
    vec![
        (Error::Unauthenticated(Unauthenticated::Unknown), [401; 3]),
        (Error::Forbidden(Forbidden::Scope(Scope::MessagesRead)), [403; 3]),
        (Error::NotFound("mailbox"), [404; 3]),
        (
            Error::Invalid(vec![
                FieldError::body("imap.a/b~c", "Wrong."),
                FieldError::query("limit", "Too large."),
            ]),
            [422; 3],
        ),
        (Error::Malformed("The body is not JSON.".into()), [400, 400, 422]),
        (Error::Conflict(Conflict::LastOwner), [409; 3]),
        (Error::RateLimited { retry_after: 7 }, [429; 3]),
        (Error::TooLarge { limit: 10 }, [413; 3]),
        (Error::UnsupportedMediaType, [415; 3]),
        (
            Error::MethodNotAllowed {
                allow: vec!["GET".into(), "PATCH".into()],
            },
            [405; 3],
        ),
        (Error::RangeNotSatisfiable { size: 9 }, [416, 400, 400]),
        (Error::Unavailable("Not now."), [503; 3]),
        (
            Error::Upstream(Upstream::Timeout {
                after: Duration::from_secs(20),
                sent: true,
            }),
            [504, 503, 503],
        ),
        (
            Error::Upstream(Upstream::Refused("Over quota.".into())),
            [502, 503, 503],
        ),
        (Error::internal("the password is 1234"), [500; 3]),
    ]
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.into_body().into_string().await.unwrap()).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_error_has_its_status_headers_and_form_in_every_dialect() {
    for (error, statuses) in errors() {
        let unified = v1::problem::problem(&error, Some("/v1/x"), "r1").into_response();
        let plannr = plannr::problem::problem(&error).into_response();
        let feather = feather::problem::problem(&error).into_response();
        assert_eq!(
            header(&unified, "content-type"),
            Some("application/problem+json"),
            "{error}"
        );
        for (response, status) in [&unified, &plannr, &feather].into_iter().zip(statuses) {
            assert_eq!(response.status().as_u16(), status, "{error}");
            let expected = match status {
                429 => Some("7"),
                503 => Some("5"),
                _ => None,
            };
            assert_eq!(header(response, "retry-after"), expected, "{error}");
            assert_eq!(
                header(response, "allow"),
                (status == 405).then_some("GET, PATCH"),
                "{error}"
            );
            assert_eq!(
                header(response, "www-authenticate").is_some(),
                status == 401,
                "{error}"
            );
        }
        assert_eq!(
            header(&unified, "content-range"),
            (statuses[0] == 416).then_some("bytes */9")
        );
        let body = json_of(unified).await;
        assert_eq!(body["type"], format!("urn:postroom:problem:{}", error.code()));
        assert_eq!(
            (&body["code"], &body["status"]),
            (&json!(error.code()), &json!(statuses[0]))
        );
        assert_eq!(
            (&body["instance"], &body["request_id"]),
            (&json!("/v1/x"), &json!("r1"))
        );
        assert_eq!(
            (&body["detail"], &body["fix"]),
            (&json!(error.to_string()), &json!(error.fix()))
        );
        assert!(!body["title"].as_str().unwrap().is_empty());
        assert_eq!(body.get("errors").is_some(), statuses[0] == 422, "{error}");
        let bodies = format!("{body}{}{}", json_of(plannr).await, json_of(feather).await);
        assert!(!bodies.contains("1234"), "{bodies}");
    }
}

#[tokio::test]
async fn the_faults_of_fields_are_named_in_every_form() {
    let (error, _) = errors().swap_remove(3);
    let unified = json_of(v1::problem::problem(&error, None, "r1").into_response()).await;
    let expected = json!([
        {"pointer": "/imap/a~1b~0c", "place": "body", "detail": "Wrong."},
        {"pointer": "/limit", "place": "query", "detail": "Too large."},
    ]);
    assert_eq!(
        (&unified["errors"], &unified["instance"]),
        (&expected, &Value::Null)
    );
    let plannr = json_of(plannr::problem::problem(&error).into_response()).await;
    let expected = json!({
        "message": "Wrong. (and 1 more error)",
        "errors": {"imap.a/b~c": ["Wrong."], "limit": ["Too large."]},
    });
    assert_eq!(plannr, expected);
    let unknown = Error::Unauthenticated(Unauthenticated::Missing);
    let plannr = json_of(plannr::problem::problem(&unknown).into_response()).await;
    assert_eq!(plannr, json!({"message": "Unauthenticated."}));
}
