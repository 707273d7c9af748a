//! A thin HTTP/1.1 client that asks the same again and again over connections that stay open, from a thread of its own.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use poem::http::{HeaderMap, HeaderName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    rounds::by_turns,
    table::{Table, Wanted},
};

const ROUNDS: usize = 7;
/// Of the rate of a floor.
const WANTED: Wanted = Wanted::AtLeast(0.8);
/// The longest that one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// One request, as it is sent; or several by turns.
#[derive(Clone)]
pub(crate) struct Ask {
    address: SocketAddr,
    /// Sent by turns on each connection, which begin apart from one another.
    requests: Vec<Vec<u8>>,
}

impl Ask {
    /// A GET with an API key.
    pub(crate) fn get(url: &str, key: &str, path: &str) -> Self {
        Self::new(url, "GET", key, path, "")
    }

    /// A request with a JSON body.
    pub(crate) fn new(url: &str, method: &str, key: &str, path: &str, body: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n");
        if !body.is_empty() {
            let length = body.len();
            text = format!("{text}content-type: application/json\r\ncontent-length: {length}\r\n");
        }
        Self {
            address: address.parse().unwrap(),
            requests: vec![format!("{text}\r\n{body}").into_bytes()],
        }
    }

    /// This and then the other, by turns on each connection.
    pub(crate) fn then(mut self, other: &Self) -> Self {
        self.requests.extend(other.requests.iter().cloned());
        self
    }

    /// The body of one answer, which has to be 200.
    pub(crate) async fn body(&self) -> Vec<u8> {
        self.answer().await.1
    }

    /// The headers and the body of one answer, which has to be 200; without the headers that every server writes itself.
    pub(crate) async fn answer(&self) -> (HeaderMap, Vec<u8>) {
        let mut connection = Connection::open(self.address).await;
        let (head, length) = connection.ask(&self.requests[0]).await;
        let (head, rest) = connection.buffer.split_at(head);
        let mut headers = HeaderMap::new();
        for line in std::str::from_utf8(head).unwrap().lines().skip(1) {
            if let Some((name, value)) = line.split_once(": ") {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
        }
        headers.remove("content-length");
        headers.remove("date");
        (headers, rest[..length].to_vec())
    }

    /// Asks over so many connections for so long; answers how many requests were answered in a second.
    pub(crate) async fn rate(&self, connections: usize, time: Duration) -> f64 {
        let answered = self.clone().asks(connections, time).await.len();
        f64::from(u32::try_from(answered).unwrap()) / time.as_secs_f64()
    }

    /// The rate against that of a floor, measured by turns in rounds of this length: a row of the table for each of these
    /// numbers of connections. `what` is asked, of a gateway `on` a database.
    pub(crate) async fn against(
        &self,
        floor: &Self,
        table: &mut Table,
        (what, on): (&str, &str),
        connections: &[usize],
        round: Duration,
    ) {
        for &connections in connections {
            let (measured, floor) = by_turns(
                ROUNDS,
                async || self.rate(connections, round).await,
                async || floor.rate(connections, round).await,
            )
            .await;
            let what = format!("{what}, {connections} connections, {on}");
            table.ratio(what, "/s", measured, floor, WANTED);
        }
    }

    /// Asks again and again, with a pause between, over a connection of its own; answers when the answer first was another
    /// than at first, which is there when this returns.
    pub(crate) async fn watch(&self, pause: Duration) -> tokio::sync::oneshot::Receiver<Instant> {
        let ask = self.clone();
        let (changed, change) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let watch = async move {
            let mut connection = Connection::open(ask.address).await;
            let mut body = async || {
                let (head, length) = connection.ask(&ask.requests[0]).await;
                connection.buffer[head..head + length].to_vec()
            };
            let before = body().await;
            ready.send(()).unwrap();
            while body().await == before && !changed.is_closed() {
                std::thread::sleep(pause);
            }
            let _ = changed.send(Instant::now());
        };
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(watch);
        });
        is_ready.await.unwrap();
        change
    }

    /// Asks over so many connections for so long; answers how long each request took, in milliseconds.
    pub(crate) async fn asks(self, connections: usize, time: Duration) -> Vec<f64> {
        let load = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut open = Vec::new();
                for _ in 0..connections {
                    open.push(Connection::open(self.address).await);
                }
                let end = Instant::now() + time;
                let apart = self.requests.len() / connections.max(1);
                let asks = open.into_iter().enumerate().map(|(at, connection)| {
                    let requests = self.requests.iter().cycle().skip(at * apart);
                    connection.ask_until(requests, end)
                });
                futures_util::future::join_all(asks).await.concat()
            })
        };
        let (answer, answered) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || drop(answer.send(load())));
        answered.await.expect("every request is answered with 200")
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 4096],
        }
    }

    async fn ask_until<'a>(mut self, requests: impl Iterator<Item = &'a Vec<u8>>, end: Instant) -> Vec<f64> {
        let mut took = Vec::new();
        let mut begin = Instant::now();
        for request in requests {
            if begin >= end {
                break;
            }
            self.ask(request).await;
            let now = Instant::now();
            took.push((now - begin).as_secs_f64() * 1000.0);
            begin = now;
        }
        took
    }

    /// Sends the request and reads its answer into the buffer: where the body begins, and its length.
    async fn ask(&mut self, bytes: &[u8]) -> (usize, usize) {
        self.stream.write_all(bytes).await.unwrap();
        let mut filled = 0;
        let mut body = None;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]);
            let read = if body.is_none() {
                read.await
            } else {
                tokio::time::timeout(DEADLINE, read).await.unwrap()
            };
            let read = read.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            body = body.or_else(|| head(&self.buffer[..filled]));
            if let Some((head, length)) = body {
                if filled >= head + length {
                    return (head, length);
                }
                self.buffer.resize(self.buffer.len().max(head + length), 0);
            }
        }
    }
}

/// Where the body begins, and its length, once the head is there.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(bytes)
    );
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    Some((end + 4, length.expect("the answer has a length")))
}
