//! What the layers of one request tell one another: its id, where it comes from, and what was found out about it.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use ipnet::IpNet;
use poem::{Addr, Request};

use crate::{
    model::id::{self, TenantId},
    service::limits::Verdict,
};

/// A request id has at most this many characters.
const MAX_REQUEST_ID: usize = 128;
/// The header in which a request id comes and goes.
pub(super) const REQUEST_ID: &str = "x-request-id";
/// The header that names the caller's trace.
const TRACEPARENT: &str = "traceparent";

/// One request's facts; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct RequestContext(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    request_id: String,
    trace_id: Option<String>,
    address: Option<IpAddr>,
    verdict: OnceLock<Verdict>,
    tenant: OnceLock<TenantId>,
}

impl RequestContext {
    /// The facts of a request that has just come in.
    pub(super) fn of(request: &Request, trusted_proxies: &[IpNet]) -> Self {
        Self(Arc::new(Facts {
            request_id: request_id(request),
            trace_id: request.header(TRACEPARENT).and_then(trace_id).map(str::to_owned),
            address: client_address(request, trusted_proxies),
            verdict: OnceLock::new(),
            tenant: OnceLock::new(),
        }))
    }

    /// The id that the caller gave, or one of ours.
    pub(super) fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The trace that the caller says it belongs to.
    pub(super) fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// Where the request comes from.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// What the rate limits say of it, once it was counted.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.0.verdict.get().copied()
    }

    /// Whose request it is, once that is known.
    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.0.tenant.get().copied()
    }

    /// Notes what the rate limits say.
    pub(super) fn set_verdict(&self, verdict: Verdict) {
        self.0.verdict.get_or_init(|| verdict);
    }

    /// Notes whose request it is.
    pub(super) fn set_tenant(&self, tenant: TenantId) {
        self.0.tenant.get_or_init(|| tenant);
    }
}

/// The id that was sent, when it is at most 128 visible ASCII characters; else a new one.
fn request_id(request: &Request) -> String {
    let sane = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let sent = request.header(REQUEST_ID).filter(sane);
    sent.map_or_else(|| id::new().to_string(), str::to_owned)
}

/// The trace's id in a `traceparent` (W3C Trace Context, section 3.2): of a later version too, as that asks for.
fn trace_id(header: &str) -> Option<&str> {
    let is_hex = |text: &&str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut fields = header.split('-');
    fields
        .next()
        .filter(|version| version.len() == 2 && *version != "ff")
        .filter(is_hex)?;
    let id = fields.next().filter(|id| id.len() == 32).filter(is_hex)?;
    id.bytes().any(|byte| byte != b'0').then_some(id)
}

/// The peer, or, when the peer is a trusted proxy, the last address of `X-Forwarded-For` that is none.
fn client_address(request: &Request, trusted_proxies: &[IpNet]) -> Option<IpAddr> {
    let Addr::SocketAddr(peer) = &request.remote_addr().0 else {
        return None;
    };
    let trusted = |address: &IpAddr| trusted_proxies.iter().any(|net| net.contains(address));
    let mut address = peer.ip().to_canonical();
    let values = request.headers().get_all("x-forwarded-for");
    let listed = values
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.rsplit(','));
    for hop in listed {
        if !trusted(&address) {
            break;
        }
        // Beyond what cannot be read nothing can be believed.
        let Some(next) = hop_address(hop) else { break };
        address = next;
    }
    Some(address)
}

/// An address of `X-Forwarded-For`; some proxies write the port, and brackets around IPv6.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse().ok().map(|address: std::net::SocketAddr| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse()
        .ok()
        .or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::{
        Body, RequestParts,
        http::uri::Scheme,
        web::{LocalAddr, RemoteAddr},
    };

    use super::*;

    #[test]
    fn a_trace_is_named_as_the_w3c_writes_it() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for good in [
            format!("00-{id}-00f067aa0ba902b7-01"),
            format!("cc-{id}-00f067aa0ba902b7-01-later"),
        ] {
            assert_eq!(trace_id(&good), Some(id));
        }
        for bad in [
            String::new(),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            "00-4bf9-00f067aa0ba902b7-01".to_owned(),
        ] {
            assert_eq!(trace_id(&bad), None, "{bad}");
        }
    }

    fn context(peer: &str, forwarded: &[&str], id: Option<&str>) -> RequestContext {
        let mut request = http::Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        if let Some(id) = id {
            request = request.header(REQUEST_ID, id);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = RemoteAddr(Addr::SocketAddr(peer.parse().unwrap()));
        let parts = RequestParts::from((parts, LocalAddr::default(), peer, Scheme::HTTP));
        let request = Request::from_parts(parts, Body::empty());
        RequestContext::of(&request, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1:9", vec![], "192.0.2.1"),
            ("192.0.2.1:9", vec!["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1:9", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1:9",
                vec!["203.0.113.5, 198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
            ),
            (
                "10.0.0.1:9",
                vec!["203.0.113.5", "198.51.100.7:443"],
                "198.51.100.7",
            ),
            ("10.0.0.1:9", vec!["203.0.113.5, nonsense"], "10.0.0.1"),
            ("10.0.0.1:9", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("[::ffff:10.0.0.1]:9", vec!["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1:9", vec![], "10.0.0.1"),
        ] {
            let seen = context(peer, &forwarded, None).address();
            assert_eq!(seen, Some(expected.parse().unwrap()), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_sane_request_id_is_kept_and_another_replaced() {
        assert_eq!(context("192.0.2.1:9", &[], Some("abc-1")).request_id(), "abc-1");
        for wrong in ["", "a b", &"x".repeat(129), "ü"] {
            let id = context("192.0.2.1:9", &[], Some(wrong)).request_id().to_owned();
            assert!(id != wrong && id.len() == 36, "{wrong}");
        }
    }
}
