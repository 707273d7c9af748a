//! The floor: a client that reads the same bodies over one TLS connection and throws them away.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::dovecot::Dovecot;

/// A logged-in connection that looks at nothing but the end of an answer.
pub(crate) struct Plain {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
    tags: u32,
}

impl Plain {
    pub(crate) async fn log_in(server: &Dovecot, user: &str) -> Self {
        let config = postroom::mail::tls::client_config(Some(server.ca_pem())).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", server.imaps_port()))
            .await
            .unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = Dovecot::HOST.try_into().unwrap();
        let stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        let mut plain = Self {
            stream,
            buffer: vec![0; 64 * 1024],
            tags: 0,
        };
        plain
            .command(&format!("LOGIN {user} \"{user}'s password\""))
            .await;
        plain.command("EXAMINE INBOX").await;
        plain
    }

    /// Runs a command to its tagged answer; answers how many bytes came.
    pub(crate) async fn command(&mut self, command: &str) -> u64 {
        self.tags += 1;
        let tag = format!("P{}", self.tags);
        self.stream
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .await
            .unwrap();
        let end = format!("\r\n{tag} OK");
        let mut tail: Vec<u8> = b"\r\n".to_vec();
        let mut bytes = 0;
        loop {
            let read = self.stream.read(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server hung up");
            bytes += read as u64;
            tail.extend_from_slice(&self.buffer[read.saturating_sub(512)..read]);
            tail.drain(..tail.len().saturating_sub(512));
            let text = String::from_utf8_lossy(&tail);
            assert!(!text.contains(&format!("\r\n{tag} NO")), "{command}: {text}");
            if text.contains(&end) && text.ends_with("\r\n") {
                return bytes;
            }
        }
    }

    /// Reads every body; answers the seconds that it took.
    pub(crate) async fn read_all(&mut self) -> f64 {
        let begun = Instant::now();
        self.command("UID FETCH 1:* (UID BODY.PEEK[])").await;
        begun.elapsed().as_secs_f64()
    }
}
