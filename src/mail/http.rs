//! One HTTP request to an outside address: vetted, pinned, without redirects, proxies or cookies, small and in time.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;

use super::egress::{EgressError, Guard};

/// How long a request may take, from the look-up of the name to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

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
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client with a deadline of 20 s.
    pub const fn new(guard: Guard, tls: Arc<ClientConfig>) -> Self {
        Self {
            guard,
            tls,
            deadline: DEADLINE,
        }
    }

    /// The same client with another deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends one request over a connection of its own; an answer of any status is an answer, a redirect too.
    pub async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, HttpError> {
        self.in_time(self.exchange(request, Longest::Refused(MAX_ANSWER)))
            .await
    }

    /// The same for an answer of which only the first bytes matter: the rest is not read.
    pub async fn send_cut(
        &self,
        request: http::Request<Vec<u8>>,
        bytes: usize,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        self.in_time(self.exchange(request, Longest::Cut(bytes))).await
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

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
        longest: Longest,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Url)?;
        let addresses = self.vet(request.url()).await?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .dns_resolver(Pinned(addresses))
            .build()
            .map_err(failed)?;
        let mut answer = client.execute(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            match longest {
                Longest::Refused(most) if body.len() + chunk.len() > most => {
                    return Err(HttpError::TooLarge);
                }
                Longest::Cut(most) if body.len() + chunk.len() >= most => {
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
