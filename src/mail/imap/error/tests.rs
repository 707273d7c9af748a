//! Failures as providers write them, and what each means for the next try.

use super::*;

fn answer(code: &str, text: &str) -> Answer {
    Answer::new((!code.is_empty()).then_some(code), text.as_bytes())
}

#[test]
fn refusals_of_a_login_as_providers_write_them() {
    for (code, text) in [
        ("AUTHENTICATIONFAILED", "Invalid credentials (Failure)"),
        ("AUTHENTICATIONFAILED", "please try again later"),
        ("EXPIRED", "password has expired"),
        ("AUTHORIZATIONFAILED", "no"),
        (
            "ALERT",
            "Application-specific password required: https://support.google.com/x (Failure)",
        ),
        ("", "AUTHENTICATE failed."),
        ("", "LOGIN failed."),
    ] {
        let error = Error::login_refused(answer(code, text));
        assert_eq!(error.class(), FailureClass::Credentials, "{code} {text}");
    }
    for (code, text) in [
        ("UNAVAILABLE", "Temporary authentication failure."),
        ("LIMIT", "LOGIN Rate limit hit."),
        ("INUSE", "mailbox locked"),
        ("ALERT", "Too many simultaneous connections. (Failure)"),
        ("", "User is authenticated but not connected."),
        ("", "Service unavailable"),
    ] {
        let error = Error::login_refused(answer(code, text));
        assert_eq!(
            error.class(),
            FailureClass::Transient { retry_after: None },
            "{code} {text}"
        );
    }
    let asked = Error::login_refused(answer("CONTACTADMIN", "call us"));
    assert_eq!(asked.class(), FailureClass::Permanent);
}

#[test]
fn a_suggested_back_off_is_read() {
    for (text, millis) in [
        (
            "Request is throttled. Suggested Backoff Time: 297499 milliseconds",
            Some(297_499),
        ),
        ("Too many logins, try again in 30 seconds", Some(30_000)),
        ("wait 5 minutes", Some(300_000)),
        ("retry after 90s", Some(90_000)),
        ("wait 99999999999999999 hours", Some(3_600_000)),
        ("20 seconds have passed", None),
        ("try again later", None),
        ("try again, error 42", None),
    ] {
        let error = Error::Bye(answer("", text));
        let retry_after = millis.map(Duration::from_millis);
        assert_eq!(error.class(), FailureClass::Transient { retry_after }, "{text}");
    }
}

#[test]
fn refused_commands_are_told_apart() {
    let no = |code, text| {
        Error::No {
            command: "SELECT",
            answer: answer(code, text),
        }
        .class()
    };
    let bad = |text| {
        Error::Bad {
            command: "SELECT",
            answer: answer("", text),
        }
        .class()
    };
    assert_eq!(no("NONEXISTENT", "no such folder"), FailureClass::Permanent);
    assert_eq!(no("", "failed"), FailureClass::Transient { retry_after: None });
    assert_eq!(bad("parse error"), FailureClass::Permanent);
    assert_eq!(
        bad("User is authenticated but not connected."),
        FailureClass::Transient { retry_after: None }
    );
}

#[test]
fn a_repeated_secret_is_not_shown() {
    let said = answer("", "no such user hunter2secret, hunter2").without(&["hunter2secret"]);
    assert_eq!(said.text, "no such user ***, ");
    let said = answer("", "a\r\nb\u{7}c").without(&[""]);
    assert_eq!(said.text, "abc");
    assert_eq!(answer("", &"x".repeat(1_000)).text.len(), MAX_TEXT);
    let said = answer("SECRET", "no \u{1b}[31m").without(&["sec\tret"]);
    assert_eq!((said.code, said.text.as_str()), (None, "no [31m"));
    let said = answer("ALERT", "sec\tret").without(&["sec\tret"]);
    assert_eq!(said.to_string(), "[ALERT] ***");
}
