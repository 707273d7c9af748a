//! Each setting: what is taken, and the sentence that refuses the rest.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

fn check(arguments: &[&str]) -> Result<Config, ConfigError> {
    let line = Line::try_parse_from(std::iter::once(&"postroom").chain(arguments)).unwrap();
    Config::check(line.settings)
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = check(&[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.public_url, "http://127.0.0.1:8080");
    assert_eq!(
        config.http.rate_limit,
        Rate {
            count: 6000,
            period: 60
        }
    );
    assert_eq!(
        config.http.tenant_rate_limit,
        Rate {
            count: 30_000,
            period: 60
        }
    );
    assert_eq!(config.mail.max_message, 50 << 20);
    assert!(config.mail.egress_allow.is_empty());
    assert!(config.storage.database == DatabaseUrl::Sqlite("./data/postroom.db".into()));
    assert_eq!(config.storage.blobs, BlobUrl::Folder("./data/blobs".into()));
    assert_eq!(config.storage.event_retention, Duration::from_secs(30 * 86_400));
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn a_wrong_value_is_named_with_what_to_write() {
    for (argument, name) in [
        ("--listen=here", "POSTROOM_LISTEN"),
        ("--data-dir=", "POSTROOM_DATA_DIR"),
        ("--database-url=mysql://x", "DATABASE_URL"),
        ("--blob-url=ftp://x", "POSTROOM_BLOB_URL"),
        ("--secret-key=short", "POSTROOM_SECRET_KEY"),
        ("--admin-key=short", "POSTROOM_ADMIN_KEY"),
        ("--public-url=mail.example.com", "POSTROOM_PUBLIC_URL"),
        ("--egress-allow=10.0.0.0/8,everything", "POSTROOM_EGRESS_ALLOW"),
        ("--rate-limit=fast", "POSTROOM_RATE_LIMIT"),
        ("--tenant-rate-limit=0/min", "POSTROOM_TENANT_RATE_LIMIT"),
        ("--ca-file=/nonexistent.pem", "POSTROOM_CA_FILE"),
        ("--max-message=1KiB", "POSTROOM_MAX_MESSAGE"),
        ("--event-retention=forever", "POSTROOM_EVENT_RETENTION"),
        ("--trusted-proxies=me", "POSTROOM_TRUSTED_PROXIES"),
        ("--log-format=xml", "POSTROOM_LOG_FORMAT"),
    ] {
        let sentence = check(&[argument])
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            sentence.starts_with(name) && sentence.contains(": write "),
            "{argument}: {sentence}"
        );
    }
}

#[test]
fn a_secret_is_not_repeated_in_the_sentence() {
    for argument in [
        "--secret-key=hunter2",
        "--admin-key=hunter2",
        "--database-url=mysql://u:hunter2@h/d",
    ] {
        let sentence = check(&[argument])
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            !sentence.is_empty() && !sentence.contains("hunter2"),
            "{sentence}"
        );
    }
}
