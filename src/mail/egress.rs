//! The egress guard: which addresses postroom may connect to, however a host is spelled or resolved.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use url::Host;

/// How long a name may take to resolve.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(15);

/// The longest host that is looked at, in bytes; a DNS name has at most 253.
const MAX_HOST: usize = 512;

/// The most addresses that are taken from one answer.
const MAX_ADDRESSES: usize = 32;

/// Why a host may not be connected to, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The host is empty, carries user information, a port or a path, or is not a name or an address.
    #[error("the host is not a valid host name or IP address")]
    InvalidHost,
    /// The host is, or resolves to, an address that is not public and not allowed.
    #[error("the host leads to an address that is not public, and connections to it are not allowed here")]
    Forbidden,
    /// The name has no address, or its name servers failed.
    #[error("the host name could not be resolved")]
    Unresolved,
    /// The name did not resolve in time.
    #[error("the host name did not resolve in time")]
    Timeout,
}

/// The one guard for every outgoing connection.
///
/// An address passes when it is public unicast, when it lies in an allowed network, or when it is an allowed address and
/// port. A host passes only when all its addresses do. Connect to the addresses that [`Guard::resolve`] answers, never to
/// the name again: a second look-up could answer differently.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    networks: Arc<[IpNet]>,
    addresses: Arc<[SocketAddr]>,
    names: Option<Names>,
}

/// What a name and a port lead to.
type LookUp = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Looks names up in the system's place.
#[derive(Clone)]
pub struct Names(Arc<LookUp>);

impl Names {
    /// What `look_up` answers.
    pub fn new(
        look_up: impl Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look_up))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Guard {
    /// A guard that lets these networks pass besides the public addresses.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            networks: networks.into_iter().collect(),
            addresses: Arc::default(),
            names: None,
        }
    }

    /// The same guard, which asks these for what a name leads to, and not the system.
    #[must_use]
    pub fn with_names(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
    }

    /// The same guard, which lets these exact addresses and ports pass too.
    #[must_use]
    pub fn with_addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = self.addresses.iter().copied().chain(addresses).collect();
        self
    }

    /// True when a connection to this address may be made.
    pub fn permits(&self, address: SocketAddr) -> bool {
        is_public(address.ip()) || self.allows(address)
    }

    /// True when the settings name this address, so that it passes whether it is public or not.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let address = SocketAddr::new(ip, address.port());
        self.networks.iter().any(|network| network.contains(&ip))
            || self
                .addresses
                .iter()
                .any(|known| SocketAddr::new(known.ip().to_canonical(), known.port()) == address)
    }

    /// Resolves a host and answers its addresses, all of them permitted, at least one, none twice.
    ///
    /// # Errors
    /// [`EgressError::Forbidden`] if any one address is not permitted; otherwise what the variant says. The look-up has a
    /// deadline of 15 s.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        match parse_host(host)? {
            Host::Ipv4(ip) => self.vet([SocketAddr::new(ip.into(), port)]),
            Host::Ipv6(ip) => self.vet([SocketAddr::new(ip.into(), port)]),
            Host::Domain(name) => {
                let lookup = async {
                    match &self.names {
                        Some(Names(names)) => names(name, port).await,
                        None => Ok(tokio::net::lookup_host((name, port)).await?.collect()),
                    }
                };
                match tokio::time::timeout(RESOLVE_DEADLINE, lookup).await {
                    Err(_) => Err(EgressError::Timeout),
                    Ok(Err(_)) => Err(EgressError::Unresolved),
                    Ok(Ok(addresses)) => self.vet(addresses),
                }
            }
        }
    }

    fn vet(&self, found: impl IntoIterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, EgressError> {
        let mut vetted = Vec::new();
        for address in found {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            if !self.permits(address) {
                return Err(EgressError::Forbidden);
            }
            if vetted.len() < MAX_ADDRESSES && !vetted.contains(&address) {
                vetted.push(address);
            }
        }
        if vetted.is_empty() {
            Err(EgressError::Unresolved)
        } else {
            Ok(vetted)
        }
    }
}

/// Reads a host as a URL would (WHATWG URL, section 3.5): names are mapped by UTS 46, and every spelling of an IPv4
/// address (short, decimal, octal, hexadecimal, fullwidth) is read as that address. IPv6 may stand with or without brackets.
///
/// # Errors
/// [`EgressError::InvalidHost`].
pub fn parse_host(host: &str) -> Result<Host, EgressError> {
    // A percent sign would be decoded, or name an interface; neither belongs in a mail server's name.
    if host.is_empty() || host.len() > MAX_HOST || host.contains(['%', '@']) {
        return Err(EgressError::InvalidHost);
    }
    if let Ok(ip) = host.parse::<Ipv6Addr>() {
        return Ok(canonical(Host::Ipv6(ip)));
    }
    Host::parse(host)
        .map(canonical)
        .map_err(|_| EgressError::InvalidHost)
}

fn canonical(host: Host) -> Host {
    match host {
        Host::Ipv6(ip) => match IpAddr::V6(ip).to_canonical() {
            IpAddr::V4(ip) => Host::Ipv4(ip),
            IpAddr::V6(ip) => Host::Ipv6(ip),
        },
        Host::Ipv4(_) | Host::Domain(_) => host,
    }
}

/// IPv4 blocks that are not public unicast: first address and prefix length (IANA special-purpose registry).
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|&(block, prefix)| (ip.to_bits() ^ block.to_bits()).leading_zeros() >= prefix)
}

/// Public IPv6 is `2000::/3` without its special blocks, and whatever carries a public IPv4 address inside.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let bits = ip.to_bits();
    let starts = |prefix: u128, length: u32| (bits ^ prefix).leading_zeros() >= length;
    // Cutting the 32 bits out is what is meant.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an IPv4 address is 32 bits of the IPv6 address"
    )]
    let inner = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if starts(0, 96) || starts(0xffff << 32, 96) {
        // IPv4-compatible (deprecated) and IPv4-mapped; `::` and `::1` are of the first and not public inside.
        return is_public_v4(inner(0));
    }
    if starts(0x0064_ff9b << 96, 96) {
        return is_public_v4(inner(0)); // NAT64, RFC 6052
    }
    if starts(0x2002 << 112, 16) {
        return is_public_v4(inner(80)); // 6to4, RFC 3056
    }
    if starts(0x2001_0000 << 96, 32) {
        // Teredo, RFC 4380: the server, and the client with its bits turned over.
        return is_public_v4(inner(64)) && is_public_v4(Ipv4Addr::from_bits(!inner(0).to_bits()));
    }
    starts(0x2 << 124, 3)
        && !starts(0x2001 << 112, 23) // IETF protocol assignments
        && !starts(0x2001_0db8 << 96, 32) // documentation
        && !starts(0x3fff << 112, 20) // documentation, RFC 9637
}

#[cfg(test)]
mod tests;
