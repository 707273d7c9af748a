//! Greetings, STARTTLS, and the limit of dials to one host.

use std::time::Duration;

use super::server::{Peer, Server, password};
use crate::mail::{
    egress::Guard,
    imap::{Client, Dialer, Error, FailureClass, Phase, ProtocolError, Security, Timeouts},
    tls,
};

#[tokio::test]
async fn greetings_that_end_a_connection() {
    let refused = |greeting: &'static str| async move {
        let server = Server::start(move |peer| peer.say(greeting));
        let error = server.connect(Security::None).await.unwrap_err();
        server.finish();
        error
    };
    let bye = refused("* BYE too many connections, try again in 30 seconds\r\n").await;
    assert_eq!(
        bye.class(),
        FailureClass::Transient {
            retry_after: Some(Duration::from_secs(30))
        }
    );
    assert!(matches!(
        refused("* BYE [AUTHENTICATIONFAILED] x\r\n").await,
        Error::Credentials(_)
    ));
    for text in [
        "SSH-2.0-x\r\n",
        "* 1 EXISTS\r\n",
        "HTTP/1.1 400 Bad\r\n",
        "* NO x\r\n",
        "+ x\r\n",
    ] {
        assert!(
            matches!(refused(text).await, Error::Protocol(ProtocolError::Greeting)),
            "{text}"
        );
    }
    assert!(matches!(refused("").await, Error::Closed));
    assert!(matches!(refused("* OK no end").await, Error::Closed));
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(Peer::stay);
    let timeouts = Timeouts {
        greeting: Duration::from_millis(20),
        ..Timeouts::default()
    };
    let dialer = server.dialer().with_timeouts(timeouts);
    let error = Client::connect(&dialer, &server.endpoint(Security::None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout(Phase::Greeting)), "{error}");
    server.finish();
}

#[tokio::test]
async fn what_is_said_before_starttls_is_forgotten() {
    let server = Server::start_tls(
        "127.0.0.1",
        |peer| {
            peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS INJECTED] hi\r\n");
            peer.expect("STARTTLS");
            peer.answer("OK go\r\n* CAPABILITY IMAP4rev1 INJECTED\r\nA2 OK injected\r\n* BYE injected");
        },
        |peer| {
            peer.expect("CAPABILITY");
            peer.say("* CAPABILITY IMAP4rev1 REAL\r\n");
            peer.answer("OK done");
            peer.expect("LOGIN");
            peer.answer("OK in");
            peer.expect("CAPABILITY");
            peer.say("* CAPABILITY IMAP4rev1 AFTER\r\n");
            peer.answer("OK done");
        },
    );
    let client = server.connect(Security::Starttls).await.unwrap();
    let session = client.login(&password("secret")).await.unwrap();
    assert!(session.capabilities().has("AFTER"));
    assert!(!session.capabilities().has("INJECTED") && !session.capabilities().has("REAL"));
    drop(session);
    server.finish();
}

#[tokio::test]
async fn capabilities_from_before_starttls_are_not_fallen_back_on() {
    let server = Server::start_tls(
        "127.0.0.1",
        |peer| {
            peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS INJECTED] hi\r\n");
            peer.expect("STARTTLS");
            peer.answer("OK go");
        },
        |peer| {
            peer.expect("CAPABILITY");
            peer.answer("OK without saying which");
        },
    );
    let error = server.connect(Security::Starttls).await.unwrap_err();
    assert!(
        matches!(error, Error::Protocol(ProtocolError::MissingData("CAPABILITY"))),
        "{error}"
    );
    server.finish();
}

#[tokio::test]
async fn starttls_never_goes_on_in_the_clear() {
    let server = Server::start(|peer| {
        peer.say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n");
        peer.stay();
    });
    assert!(matches!(
        server.connect(Security::Starttls).await.unwrap_err(),
        Error::Unsupported("STARTTLS")
    ));
    server.finish();

    let server = Server::start(|peer| {
        peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
        peer.expect("STARTTLS");
        peer.answer("NO not today");
        peer.stay();
    });
    assert!(matches!(
        server.connect(Security::Starttls).await.unwrap_err(),
        Error::No { .. }
    ));
    server.finish();

    let server = Server::start(|peer| {
        peer.say("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
        peer.stay();
    });
    let error = server.connect(Security::Starttls).await.unwrap_err();
    assert!(
        matches!(error, Error::Protocol(ProtocolError::EarlyPreauth)),
        "{error}"
    );
    server.finish();
}

#[tokio::test]
async fn certificates_are_always_verified() {
    for security in [Security::Tls, Security::Starttls] {
        for (name, trusted) in [("mail.example.com", true), ("127.0.0.1", false)] {
            let server = Server::start_tls(
                name,
                move |peer| {
                    if security == Security::Starttls {
                        peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
                        peer.expect("STARTTLS");
                        peer.answer("OK go");
                    }
                },
                Peer::stay,
            );
            let dialer = if trusted {
                server.dialer()
            } else {
                server.dialer_without_roots()
            };
            let error = Client::connect(&dialer, &server.endpoint(security))
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Certificate(_)), "{name}: {error}");
            server.finish();
        }
    }
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let server = Server::start_tls(
        "127.0.0.1",
        |_| (),
        |peer| {
            peer.say("* OK hi\r\n");
            peer.expect("CAPABILITY");
            peer.say("* CAPABILITY IMAP4rev1\r\n");
            peer.answer("OK done");
        },
    );
    drop(server.connect(Security::Tls).await.unwrap());
    server.finish();
    let server = Server::start(|peer| peer.say("* OK not TLS at all\r\n"));
    assert!(matches!(
        server.connect(Security::Tls).await.unwrap_err(),
        Error::Tls(_)
    ));
    server.finish();
}

#[tokio::test]
async fn ten_dials_to_one_host_at_once() {
    let timeouts = Timeouts {
        queue: Duration::from_millis(20),
        ..Timeouts::default()
    };
    let tls = tls::with_roots(rustls::RootCertStore::empty()).unwrap();
    let dialer = Dialer::new(Guard::default(), tls).with_timeouts(timeouts);
    let mut permits = Vec::new();
    for _ in 0..10 {
        permits.push(dialer.permit("Bücher.example.com").await.unwrap());
    }
    let waited = dialer.clone().permit("xn--bcher-kva.example.com.").await.err();
    assert!(matches!(waited, Some(Error::Timeout(Phase::Queue))));
    assert!(dialer.permit("other.example.com").await.is_ok());
    assert_eq!(dialer.hosts(), 1, "a host without dials is forgotten");
    permits.pop();
    assert!(dialer.permit("BÜCHER.example.com").await.is_ok());
    permits.clear();
    assert_eq!(dialer.hosts(), 0);
}

#[tokio::test]
async fn a_peer_that_dies_is_noticed_by_keepalive() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let guard = Guard::default().with_addresses([address]);
    let dialer = Dialer::new(guard, tls::with_roots(rustls::RootCertStore::empty()).unwrap());
    let stream = dialer.tcp("127.0.0.1", address.port()).await.unwrap();
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    let noticed = socket.tcp_keepalive_time().unwrap()
        + socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
    assert!(noticed <= Duration::from_secs(5 * 60), "only after {noticed:?}");
}
