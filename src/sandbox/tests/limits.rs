//! What the server refuses, and how it ends: too much, too many, the stop.

use super::*;

#[tokio::test]
async fn too_many_refused_logins_end_the_connection() {
    let server = Server::start(None).await;
    let mut client = server.connect().await;
    for _ in 0..9 {
        client.refused("LOGIN a b").await;
    }
    client.send(b"x LOGIN a b\r\n").await;
    assert_eq!(client.rest().await, "* BYE Too many refused logins\r\n");

    // Before the login, what succeeds does not clear the count; after it, it does.
    let mut client = server.connect().await;
    for _ in 0..9 {
        client.refused("LOGIN a b").await;
        client.ok("NOOP").await;
    }
    client.login().await;
    for _ in 0..9 {
        client.refused("NONSENSE").await;
    }
    client.ok("NOOP").await;
    client.refused("NONSENSE").await;
    client.ok("NOOP").await;
}

#[tokio::test]
async fn limits_lines_and_literals() {
    let server = Server::start(None).await;
    let mut client = server.connect().await;
    assert!(client.refused("LOGIN {5000}").await.starts_with("NO [TOOBIG]"));
    // The limit is one for all literals of a command.
    let half = "b".repeat(3000);
    client
        .send(format!("y LOGIN {{3000+}}\r\n{half} {{3000+}}\r\n").as_bytes())
        .await;
    assert_eq!(client.rest().await, "* BYE Literal is too large\r\n");
    let mut client = server.connect().await;
    client.send(b"x LOGIN {5000+}\r\n").await;
    assert_eq!(client.rest().await, "* BYE Literal is too large\r\n");

    let mut client = server.connect().await;
    client.login().await;
    assert!(
        client
            .refused("APPEND INBOX {60000000}")
            .await
            .starts_with("NO [TOOBIG]")
    );
    let many = "{1+}\r\na ".repeat(40);
    client.send(format!("x ID ({many}\r\n").as_bytes()).await;
    assert_eq!(client.rest().await, "* BYE Literal is too large\r\n");

    let mut client = server.connect().await;
    client.send(b"x NONSENSE {3+}\r\nabc\r\n").await;
    assert!(client.rest().await.starts_with("* BYE Literal in a command"));

    let mut client = server.connect().await;
    client.send(&vec![b'x'; 64 * 1024 + 1]).await;
    assert_eq!(client.rest().await, "* BYE Line is too long\r\n");
}

#[tokio::test]
async fn the_stop_says_bye_and_ends() {
    let server = Server::start(None).await;
    let mut waiting = server.connect().await;
    let mut idling = server.in_inbox().await;
    idling.send(b"i IDLE\r\n").await;
    assert_eq!(idling.line().await, "+ idling");
    server.stop.cancel();
    assert_eq!(waiting.rest().await, "* BYE Server is stopping\r\n");
    assert_eq!(idling.rest().await, "* BYE Server is stopping\r\n");
    timeout(PATIENCE, server.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let server = Server::start(None).await;
    let mut clients = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        clients.push(server.connect().await);
    }
    let mut extra = Client::new(TcpStream::connect(server.address).await.unwrap());
    assert_eq!(extra.rest().await, "* BYE [UNAVAILABLE] Too many connections\r\n");
    clients[0].ok("NOOP").await;
}
