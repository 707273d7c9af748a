//! One HTTP request to an outside address: vetted, pinned, without redirects, proxies or cookies, small and in time.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;

use super::egress::{EgressError, Guard};

/// How long a request may take, from the look-up of the name to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// For how many hosts connections are kept open, how many of each, and for how long: servers close idle ones after 5 s and
/// more.
const KEPT_HOSTS: usize = 256;
const KEPT_OPEN: usize = 4;
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an `https` or `http` URL with a host, or one with user information.
    #[error("the URL is not one of https with a host and without user information")]
    Url,
    /// Plain HTTP to an address that the settings do not name.
    #[error("the URL is not https, and its address is not one that is allowed here by name")]
    Insecure,
    /// The egress guard refused the host, or it did not resolve.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The answer did not come in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than 64 KiB.
    #[error("the answer is longer than 64 KiB")]
    TooLarge,
    /// The connection, TLS or HTTP failed.
    #[error("the request failed: {0}")]
    Failed(String),
}

/// What becomes of an answer that is longer than so many bytes.
#[derive(Debug, Clone, Copy)]
enum Longest {
    Refused(usize),
    Cut(usize),
}

/// Sends requests. Cloning is cheap.
#[derive(Clone)]
pub struct HttpClient {
    guard: Guard,
    tls: Arc<ClientConfig>,
    deadline: Duration,
    kept: Arc<Mutex<HashMap<Vec<SocketAddr>, Kept>>>,
}

/// A client with open connections, all of them to the addresses under which it is kept.
struct Kept {
    client: reqwest::Client,
    used: Instant,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client with a deadline of 20 s.
    pub fn new(guard: Guard, tls: Arc<ClientConfig>) -> Self {
        Self {
            guard,
            tls,
            deadline: DEADLINE,
            kept: Arc::default(),
        }
    }

    /// The same client with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends one request over a connection of its own; an answer of any status is an answer, a redirect too.
    pub async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, HttpError> {
        self.in_time(async {
            let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Url)?;
            let client = self.client(self.vet(request.url()).await?, 0)?;
            exchange(&client, request, Longest::Refused(MAX_ANSWER)).await
        })
        .await
    }

    /// The same for one of many requests, over a connection that may have served before, and for an answer of which only the
    /// first bytes matter. `still` has the last word when the address is found, which may take a while: `None` where it says no.
    pub async fn send_cut(
        &self,
        request: http::Request<Vec<u8>>,
        bytes: usize,
        still: impl Future<Output = bool> + Send,
    ) -> Result<Option<http::Response<Vec<u8>>>, HttpError> {
        self.in_time(async {
            let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Url)?;
            let client = self.kept(self.vet(request.url()).await?)?;
            if !still.await {
                return Ok(None);
            }
            exchange(&client, request, Longest::Cut(bytes)).await.map(Some)
        })
        .await
    }

    /// Whether a request to this URL would be sent now.
    pub async fn check(&self, url: &str) -> Result<(), HttpError> {
        let url = reqwest::Url::parse(url).map_err(|_| HttpError::Url)?;
        self.in_time(self.vet(&url)).await.map(drop)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, HttpError>>) -> Result<T, HttpError> {
        let ended = tokio::time::timeout(self.deadline, work).await;
        ended.unwrap_or(Err(HttpError::Timeout))
    }

    /// A client that connects to these addresses alone, and keeps so many idle connections to each host.
    fn client(&self, addresses: Vec<SocketAddr>, idle: usize) -> Result<reqwest::Client, HttpError> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(KEPT_FOR)
            .dns_resolver(Pinned(addresses))
            .build()
            .map_err(failed)
    }

    /// The one that is kept for addresses that were just vetted. A name that leads elsewhere now gets another one: an open
    /// connection serves nobody whose address was not vetted for this very request.
    fn kept(&self, addresses: Vec<SocketAddr>) -> Result<reqwest::Client, HttpError> {
        let mut place = addresses.clone();
        place.sort_unstable();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let used = Instant::now();
        if let Some(known) = kept.get_mut(&place) {
            known.used = used;
            return Ok(known.client.clone());
        }
        if kept.len() >= KEPT_HOSTS {
            let oldest = kept.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                kept.remove(&oldest);
            }
        }
        let client = self.client(addresses, KEPT_OPEN)?;
        kept.insert(
            place,
            Kept {
                client: client.clone(),
                used,
            },
        );
        Ok(client)
    }

    /// The addresses of the URL's host, all of them permitted.
    async fn vet(&self, url: &reqwest::Url) -> Result<Vec<SocketAddr>, HttpError> {
        let port = url.port_or_known_default().ok_or(HttpError::Url)?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(HttpError::Url)?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(HttpError::Url),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpError::Url);
        }
        let addresses = self.guard.resolve(host, port).await?;
        if !encrypted && !addresses.iter().all(|address| self.guard.allows(*address)) {
            return Err(HttpError::Insecure);
        }
        Ok(addresses)
    }
}

async fn exchange(
    client: &reqwest::Client,
    request: reqwest::Request,
    longest: Longest,
) -> Result<http::Response<Vec<u8>>, HttpError> {
    let mut answer = client.execute(request).await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        match longest {
            Longest::Refused(most) if body.len() + chunk.len() > most => {
                return Err(HttpError::TooLarge);
            }
            Longest::Cut(most) if body.len() + chunk.len() > most => {
                body.extend(chunk.iter().take(most - body.len()));
                break;
            }
            Longest::Refused(_) | Longest::Cut(_) => body.extend_from_slice(&chunk),
        }
    }
    let mut whole = http::Response::new(body);
    *whole.status_mut() = answer.status();
    *whole.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(whole)
}

/// The URL may hold what is nobody's business: it is left out.
fn failed(error: reqwest::Error) -> HttpError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    HttpError::Failed(text)
}

/// Answers the vetted addresses, whatever name is asked for: nothing is looked up a second time.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
