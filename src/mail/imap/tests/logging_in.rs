//! Every way to log in, and every way to be refused.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::server::{Peer, Server, password, token};
use crate::mail::imap::{Credentials, Error, FailureClass, ProtocolError, Security, Session};

/// Greets with these capabilities and then follows the script.
async fn login(
    capabilities: &'static str,
    credentials: Credentials,
    script: impl FnOnce(&mut Peer) + Send + 'static,
) -> Result<Session, Error> {
    let server = Server::start(move |peer| {
        peer.say(format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hi\r\n"));
        script(peer);
    });
    let session = server.login(&credentials).await;
    server.finish();
    session
}

fn welcome(peer: &mut Peer) {
    peer.answer("OK [CAPABILITY IMAP4rev1 IDLE] in");
}

#[tokio::test]
async fn plain_with_and_without_an_initial_response() {
    let payload = STANDARD.encode("\0anna\0secret");
    let expected = payload.clone();
    let with = login("AUTH=PLAIN SASL-IR", password("secret"), move |peer| {
        assert_eq!(peer.expect("AUTHENTICATE PLAIN"), expected);
        welcome(peer);
    });
    assert!(with.await.unwrap().capabilities().has("IDLE"));
    let expected = payload.clone();
    let without = login("AUTH=PLAIN", password("secret"), move |peer| {
        assert_eq!(peer.expect("AUTHENTICATE PLAIN"), "");
        peer.say("+ \r\n");
        assert_eq!(peer.line(), expected);
        welcome(peer);
    });
    without.await.unwrap();
    let back = login("AUTH=PLAIN SASL-IR", password("secret"), move |peer| {
        peer.expect("AUTHENTICATE PLAIN");
        peer.answer("BAD no initial response, please");
        assert_eq!(peer.expect("AUTHENTICATE PLAIN"), "");
        peer.answer("BAD no PLAIN either");
        assert_eq!(peer.expect("LOGIN"), "\"anna\" \"secret\"");
        welcome(peer);
    });
    back.await.unwrap();
}

#[tokio::test]
async fn login_with_quoted_strings_and_literals() {
    let quoted = login("X", password("a\"b\\c"), |peer| {
        assert_eq!(peer.expect("LOGIN"), r#""anna" "a\"b\\c""#);
        welcome(peer);
    });
    quoted.await.unwrap();
    let literal = login("X", password("pässword"), |peer| {
        assert_eq!(peer.expect("LOGIN"), "\"anna\" {9}");
        peer.say("* 1 EXISTS\r\n+ go on\r\n");
        assert_eq!(peer.bytes(11), "pässword\r\n".as_bytes());
        welcome(peer);
    });
    literal.await.unwrap();
    let free = login("LITERAL-", password("pässword"), |peer| {
        assert_eq!(peer.expect("LOGIN"), "\"anna\" {9+}");
        assert_eq!(peer.bytes(11), "pässword\r\n".as_bytes());
        welcome(peer);
    });
    free.await.unwrap();
    let refused = login("X", password("pässword"), |peer| {
        peer.expect("LOGIN");
        peer.answer("NO go away");
    });
    assert_eq!(refused.await.unwrap_err().class(), FailureClass::Credentials);
    let early = login("X", password("pässword"), |peer| {
        peer.expect("LOGIN");
        peer.answer("OK before the password");
        peer.stay();
    });
    assert!(matches!(
        early.await.unwrap_err(),
        Error::Protocol(ProtocolError::Status)
    ));
}

#[tokio::test]
async fn access_tokens_and_their_refusal() {
    let xoauth2 = STANDARD.encode("user=anna@example.com\x01auth=Bearer t0ken\x01\x01");
    let expected = xoauth2.clone();
    let accepted = login("AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", token(), move |peer| {
        assert_eq!(peer.expect("AUTHENTICATE XOAUTH2"), expected);
        welcome(peer);
    });
    accepted.await.unwrap();
    let refused = login("AUTH=XOAUTH2", token(), move |peer| {
        assert_eq!(peer.expect("AUTHENTICATE XOAUTH2"), "");
        peer.say("+\r\n");
        assert_eq!(peer.line(), xoauth2);
        peer.say("+ eyJzdGF0dXMiOiI0MDAifQ==\r\n");
        assert_eq!(peer.line(), "");
        peer.answer("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    });
    assert_eq!(refused.await.unwrap_err().class(), FailureClass::Credentials);
    let bearer = login("AUTH=OAUTHBEARER SASL-IR", token(), |peer| {
        let payload = STANDARD.decode(peer.expect("AUTHENTICATE OAUTHBEARER")).unwrap();
        let payload = String::from_utf8(payload).unwrap();
        assert!(
            payload.starts_with("n,a=anna@example.com,\x01host=127.0.0.1\x01port="),
            "{payload:?}"
        );
        assert!(payload.ends_with("\x01auth=Bearer t0ken\x01\x01"));
        peer.say("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n");
        assert_eq!(peer.line(), "AQ==");
        peer.answer("NO failed");
    });
    assert_eq!(bearer.await.unwrap_err().class(), FailureClass::Credentials);
    let endless = login("AUTH=XOAUTH2 SASL-IR", token(), |peer| {
        peer.expect("AUTHENTICATE");
        peer.say("+ more\r\n+ more\r\n+ more\r\n");
        peer.stay();
    });
    assert!(matches!(
        endless.await.unwrap_err(),
        Error::Protocol(ProtocolError::Continuation)
    ));
}

#[tokio::test]
async fn no_common_way_is_said_without_sending_anything() {
    let disabled = login("LOGINDISABLED", password("secret"), |peer| {
        assert_eq!(peer.line(), "");
    });
    assert!(matches!(disabled.await.unwrap_err(), Error::Unsupported(_)));
    let oauth = login("AUTH=PLAIN", token(), |peer| assert_eq!(peer.line(), ""));
    assert!(matches!(oauth.await.unwrap_err(), Error::Unsupported(_)));
    let nul = login("AUTH=PLAIN", password("a\0b"), |peer| assert_eq!(peer.line(), ""));
    assert!(matches!(nul.await.unwrap_err(), Error::Invalid(_)));
    let control = Credentials::OAuth {
        username: "a\x01auth=x".to_owned(),
        access_token: "t".into(),
    };
    let control = login("AUTH=XOAUTH2", control, |peer| assert_eq!(peer.line(), ""));
    assert!(matches!(control.await.unwrap_err(), Error::Invalid(_)));
}

#[tokio::test]
async fn refusals_are_told_from_passing_faults() {
    let transient = FailureClass::Transient { retry_after: None };
    for (answer, class) in [
        ("NO [AUTHENTICATIONFAILED] x", FailureClass::Credentials),
        ("NO LOGIN failed.", FailureClass::Credentials),
        ("NO [UNAVAILABLE] x", transient),
        ("NO User is authenticated but not connected.", transient),
        ("BAD User is authenticated but not connected.", transient),
        ("BAD what?", FailureClass::Permanent),
        ("OK\r\n* BYE x", transient),
    ] {
        let said = login("X", password("secret"), move |peer| {
            peer.expect("LOGIN");
            peer.answer(answer);
        });
        assert_eq!(said.await.unwrap_err().class(), class, "{answer}");
    }
    let bye = login("X", password("secret"), |peer| {
        peer.expect("LOGIN");
        peer.say("* BYE busy\r\n");
    });
    assert_eq!(bye.await.unwrap_err().class(), transient);
}

#[tokio::test]
async fn a_repeated_secret_is_never_shown() {
    for mechanism in ["X", "AUTH=PLAIN SASL-IR"] {
        let server = Server::start(move |peer| {
            peer.say(format!("* OK [CAPABILITY IMAP4rev1 {mechanism}] hi\r\n"));
            let said = peer.expect(if mechanism == "X" {
                "LOGIN"
            } else {
                "AUTHENTICATE PLAIN"
            });
            peer.say(format!("* OK [ALERT] you said {said}\r\n"));
            peer.answer(&format!("NO you said {said}, hunter2hunter2"));
        });
        let client = server.connect(Security::None).await.unwrap();
        let error = client.login(&password("hunter2hunter2")).await.unwrap_err();
        server.finish();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(&STANDARD.encode("\0anna\0hunter2hunter2")),
            "{shown}"
        );
    }
    assert_eq!(format!("{:?}", password("hunter2")), "Credentials::Password");
}

#[tokio::test]
async fn the_server_is_told_who_talks_and_may_refuse_to_know() {
    for answer in ["OK thanks", "NO", "BAD"] {
        let session = login("X", password("secret"), move |peer| {
            peer.expect("LOGIN");
            peer.answer("OK in");
            peer.expect("CAPABILITY");
            peer.say("* CAPABILITY IMAP4rev1 ID\r\n");
            peer.answer("OK");
            assert_eq!(peer.expect("ID"), "(\"name\" \"postroom\")");
            peer.say("* ID NIL\r\n");
            peer.answer(answer);
        });
        assert!(session.await.unwrap().capabilities().has("ID"));
    }
}
