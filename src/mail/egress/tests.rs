//! Tables of hosts and addresses, and what the guard says of each.

use super::*;

fn loopback() -> Guard {
    Guard::new(["127.0.0.0/8".parse().unwrap()])
}

#[tokio::test]
async fn every_spelling_of_a_forbidden_address_is_refused() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0X7F.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "[::1]",
        "::1",
        "::",
        "①②⑦.⓪.⓪.①",
        "１２７。０。０。１",
        "localhost",
        "LOCALHOST",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        assert_eq!(
            Guard::default().resolve(host, 993).await,
            Err(EgressError::Forbidden),
            "{host}"
        );
    }
}

#[tokio::test]
async fn what_is_not_a_host_is_refused() {
    for host in [
        "",
        "user@mail.example.com",
        "user:secret@127.0.0.1",
        "mail.example.com:993",
        "mail.example.com/x",
        "https://mail.example.com",
        "mail example.com",
        "127.0.0.1%25",
        "fe80::1%eth0",
        "[::1",
        "1.2.3.4.5",
        "256.256.256.256",
        "0x100000000",
        "mail.\u{0}.example",
        "mail\r\n.example",
    ] {
        assert_eq!(
            Guard::default().resolve(host, 993).await,
            Err(EgressError::InvalidHost),
            "{host:?}"
        );
    }
    assert_eq!(
        Guard::default().resolve(&"a".repeat(600), 993).await,
        Err(EgressError::InvalidHost)
    );
}

#[tokio::test]
async fn an_unknown_name_is_unresolved() {
    assert_eq!(
        Guard::default().resolve("nothing.invalid", 993).await,
        Err(EgressError::Unresolved)
    );
}

#[tokio::test]
async fn allowed_networks_and_exact_addresses_pass() {
    let there: SocketAddr = "127.0.0.1:143".parse().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "①②⑦.⓪.⓪.①",
    ] {
        assert_eq!(loopback().resolve(host, 143).await, Ok(vec![there]), "{host}");
    }
    assert_eq!(
        loopback().resolve("10.0.0.1", 143).await,
        Err(EgressError::Forbidden)
    );
    let exact = Guard::default().with_addresses([there]);
    assert_eq!(exact.resolve("127.0.0.1", 143).await, Ok(vec![there]));
    assert_eq!(exact.resolve("127.0.0.1", 144).await, Err(EgressError::Forbidden));
    assert_eq!(exact.resolve("127.0.0.2", 143).await, Err(EgressError::Forbidden));
    assert!(exact.allows(there) && !exact.allows("8.8.8.8:143".parse().unwrap()));
}

#[test]
fn one_forbidden_address_among_public_ones_refuses_them_all() {
    let public: SocketAddr = "8.8.8.8:993".parse().unwrap();
    let private: SocketAddr = "10.1.2.3:993".parse().unwrap();
    assert_eq!(
        Guard::default().vet([public, private]),
        Err(EgressError::Forbidden)
    );
    assert_eq!(Guard::default().vet([public, public]), Ok(vec![public]));
    assert_eq!(Guard::default().vet([]), Err(EgressError::Unresolved));
}

#[test]
fn blocks_that_are_not_public() {
    for ip in [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.255.255.255",
        "169.254.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:808:808:0:0:80ff:fffe",
        "2001:0:a00:1::f7f7:f7f7",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn addresses_that_are_public() {
    for ip in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001:0:808:808:0:0:f7f7:f7f7",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2002:808:808::1",
        "2606:4700::1111",
        "2a00:1450::1",
    ] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn names_are_mapped_to_ascii() {
    assert_eq!(
        parse_host("MAIL.Example.COM"),
        Ok(Host::Domain("mail.example.com".to_owned()))
    );
    assert_eq!(
        parse_host("bücher.example"),
        Ok(Host::Domain("xn--bcher-kva.example".to_owned()))
    );
    assert_eq!(
        parse_host("_imap.example.com"),
        Ok(Host::Domain("_imap.example.com".to_owned()))
    );
    assert_eq!(
        parse_host("[::ffff:8.8.8.8]"),
        Ok(Host::Ipv4(Ipv4Addr::new(8, 8, 8, 8)))
    );
}
