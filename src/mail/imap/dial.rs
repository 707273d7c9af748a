//! Making connections: the egress guard, at most ten dials to a host at once, TLS, and a deadline on each step.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use super::{
    connection::after,
    error::{Error, Phase},
};
use crate::mail::egress::{self, Guard};

/// How many connections to one host may be made at once; one counts until it is logged in.
const DIALS_PER_HOST: usize = 10;
/// The most hosts that are dialled at once.
const MAX_HOSTS: usize = 16 * 1024;
/// The most addresses of a host that are tried.
const MAX_TRIES: usize = 4;

/// A peer that died is noticed after so much silence and so many probes: after four minutes, while IDLE alone would wait for
/// half an hour. It also keeps the connection in the tables of routers on the way.
const SILENCE: Duration = Duration::from_secs(120);
const PROBE: Duration = Duration::from_secs(30);
const PROBES: u32 = 4;

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(PROBE)
        .with_retries(PROBES)
}

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Waiting for other dials to the same host. Default 120 s.
    pub queue: Duration,
    /// The TCP connection, over all addresses. Default 20 s.
    pub connect: Duration,
    /// The TLS handshake. Default 20 s.
    pub tls: Duration,
    /// The greeting. Default 20 s.
    pub greeting: Duration,
    /// Logging in, with the commands around it. Default 60 s.
    pub login: Duration,
    /// Silence within a command. Default 60 s.
    pub silence: Duration,
    /// A whole command. Default 5 minutes.
    pub command: Duration,
    /// A whole FETCH or APPEND. Default 30 minutes.
    pub transfer: Duration,
    /// The end of IDLE, and LOGOUT. Default 15 s.
    pub done: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            queue: Duration::from_secs(120),
            connect: Duration::from_secs(20),
            tls: Duration::from_secs(20),
            greeting: Duration::from_secs(20),
            login: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            command: Duration::from_secs(5 * 60),
            transfer: Duration::from_secs(30 * 60),
            done: Duration::from_secs(15),
        }
    }
}

type Hosts = Arc<Mutex<HashMap<String, Arc<Semaphore>>>>;

/// Makes connections to mail servers. Cloning is cheap, and clones share the limit for each host.
#[derive(Clone)]
pub struct Dialer {
    guard: Guard,
    tls: Arc<ClientConfig>,
    pub(super) timeouts: Timeouts,
    hosts: Hosts,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// A dialer with the default deadlines.
    pub fn new(guard: Guard, tls: Arc<ClientConfig>) -> Self {
        Self {
            guard,
            tls,
            timeouts: Timeouts::default(),
            hosts: Hosts::default(),
        }
    }

    /// The same dialer with other deadlines.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Waits for one of the host's ten places.
    pub(super) async fn permit(&self, host: &str) -> Result<Permit, Error> {
        // By the host that is meant, however it is spelled.
        let host = egress::parse_host(host)?.to_string();
        let host = host.trim_end_matches('.').to_owned();
        let mut place = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&host) {
                return Err(Error::Busy);
            }
            let semaphore = hosts
                .entry(host.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(DIALS_PER_HOST)))
                .clone();
            Permit {
                hosts: Arc::clone(&self.hosts),
                host,
                semaphore: Some(semaphore),
                place: None,
            }
        };
        if let Some(semaphore) = place.semaphore.clone() {
            let waited = timeout(self.timeouts.queue, semaphore.acquire_owned()).await;
            // The semaphore is never closed, so the inner error cannot happen.
            place.place = waited.map_err(|_| Error::Timeout(Phase::Queue))?.ok();
        }
        Ok(place)
    }

    /// Connects to the first address that answers; every one was vetted by the guard.
    pub(super) async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let mut addresses = self.guard.resolve(host, port).await?;
        addresses.truncate(MAX_TRIES);
        let deadline = after(self.timeouts.connect);
        let mut last = Error::Timeout(Phase::Connect);
        for (tried, address) in addresses.iter().enumerate() {
            // A fair share of what is left, so that one silent address does not use up the time of all.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(Error::Connect)?;
                    SockRef::from(&stream)
                        .set_tcp_keepalive(&keepalive())
                        .map_err(Error::Connect)?;
                    return Ok(stream);
                }
                Ok(Err(failed)) => last = Error::Connect(failed),
                Err(_) => last = Error::Timeout(Phase::Connect),
            }
        }
        Err(last)
    }

    /// Starts TLS; the certificate must be valid for the host.
    pub(super) async fn secure(&self, host: &str, stream: TcpStream) -> Result<Transport, Error> {
        let name = match egress::parse_host(host)? {
            Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|_| egress::EgressError::InvalidHost)?,
            Host::Ipv4(ip) => ServerName::IpAddress(std::net::IpAddr::from(ip).into()),
            Host::Ipv6(ip) => ServerName::IpAddress(std::net::IpAddr::from(ip).into()),
        };
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        match timeout(self.timeouts.tls, handshake).await {
            Err(_) => Err(Error::Timeout(Phase::Tls)),
            Ok(Err(failed)) => Err(tls_error(&failed)),
            Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
        }
    }
}

fn tls_error(failed: &std::io::Error) -> Error {
    let inner = failed
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            Error::Certificate(error.to_string())
        }
        Some(error) => Error::Tls(error.to_string()),
        None => Error::Tls(failed.to_string()),
    }
}

/// One of the places of a host; given back when dropped.
pub(super) struct Permit {
    hosts: Hosts,
    host: String,
    semaphore: Option<Arc<Semaphore>>,
    place: Option<OwnedSemaphorePermit>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        self.place = None;
        self.semaphore = None;
        // Under the lock nobody else can come by it: the map's own handle is the last.
        if hosts
            .get(&self.host)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            hosts.remove(&self.host);
        }
    }
}

/// A connection, plain or TLS.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between plain and TLS, and after a failed handshake.
    Gone,
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(std::io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
impl Dialer {
    /// How many hosts are being dialled.
    pub(super) fn hosts(&self) -> usize {
        self.hosts.lock().unwrap().len()
    }
}
