//! Settings: read from the environment once, checked once, and explained where they are wrong.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use ipnet::IpNet;
use secrecy::SecretString;

/// The settings as they are written, all optional; an empty one counts as left out where there is no default. `--help`
/// shows each with its default and meaning.
#[derive(Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Address to listen on.
    #[arg(long, env = "POSTROOM_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME` [default: sqlite://DATA_DIR/postroom.db].
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where the embedded database, blobs and generated secrets live.
    #[arg(long, env = "POSTROOM_DATA_DIR", default_value = "./data")]
    pub data_dir: String,
    /// Where large messages go: `file://PATH` or `s3://BUCKET/PREFIX` [default: file://DATA_DIR/blobs].
    #[arg(long, env = "POSTROOM_BLOB_URL")]
    pub blob_url: Option<String>,
    /// Encrypts stored credentials: 32 bytes in base64, or several separated by commas, of which the first encrypts
    /// [default: made on first start, kept in the data dir with mode 600].
    #[arg(long, env = "POSTROOM_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// Platform admin key: 32 to 256 visible ASCII characters [default: made and printed once on first start].
    #[arg(long, env = "POSTROOM_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<String>,
    /// Base of the links that are handed out [default: http:// and the listen address].
    #[arg(long, env = "POSTROOM_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// CIDRs, separated by commas, that webhooks and mail connections may reach though they are private or loopback.
    #[arg(long, env = "POSTROOM_EGRESS_ALLOW", default_value = "")]
    pub egress_allow: String,
    /// Requests for one API key: COUNT/s, COUNT/min or COUNT/h. The burst equals the count.
    #[arg(long, env = "POSTROOM_RATE_LIMIT", default_value = "6000/min")]
    pub rate_limit: String,
    /// Requests for one tenant, over all its keys.
    #[arg(long, env = "POSTROOM_TENANT_RATE_LIMIT", default_value = "30000/min")]
    pub tenant_rate_limit: String,
    /// Extra root certificates (PEM) for mail servers and webhooks.
    #[arg(long, env = "POSTROOM_CA_FILE")]
    pub ca_file: Option<String>,
    /// Larger messages are stored header-only: a number of bytes, or with KiB, MiB or GiB.
    #[arg(long, env = "POSTROOM_MAX_MESSAGE", default_value = "50MiB")]
    pub max_message: String,
    /// How long the event log is kept: a number with s, m, h or d.
    #[arg(long, env = "POSTROOM_EVENT_RETENTION", default_value = "30d")]
    pub event_retention: String,
    /// CIDRs, separated by commas, whose `X-Forwarded-For` is believed.
    #[arg(long, env = "POSTROOM_TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: String,
    /// Log filter: error, warn, info, debug, trace, or `target=level` separated by commas.
    #[arg(long, env = "POSTROOM_LOG", default_value = "info")]
    pub log: String,
    /// Log format: `text` or `json`.
    #[arg(long, env = "POSTROOM_LOG_FORMAT", default_value = "text")]
    pub log_format: String,
}

/// A setting that cannot be used: one sentence that names it and says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {problem}: write {expected}.")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
    expected: &'static str,
}

impl ConfigError {
    fn new(name: &'static str, problem: impl fmt::Display, expected: &'static str) -> Self {
        Self {
            name,
            problem: problem.to_string(),
            expected,
        }
    }
}

/// Where the rows are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// In the embedded database, in this file.
    Sqlite(PathBuf),
    /// In PostgreSQL, at this URL, which carries a password.
    Postgres(String),
}

/// Where the raw bytes of large messages are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobUrl {
    /// In a folder.
    Folder(PathBuf),
    /// In an S3 bucket, under a prefix.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every object's name begins with.
        prefix: String,
    },
}

/// How many requests are answered in a period; the burst equals the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub count: u32,
    /// Seconds.
    pub period: u32,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The HTTP side.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Base of the links that are handed out, without a slash at its end.
    pub public_url: String,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests for one API key.
    pub rate_limit: Rate,
    /// Requests for one tenant.
    pub tenant_rate_limit: Rate,
    /// How long a stream of events is silent before it shows that it lives.
    pub heartbeat: Duration,
}

/// What [`HttpConfig::heartbeat`] is; `GET /v1/events/stream` says so in its description.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The mail side.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// What may be reached though it is not public.
    pub egress_allow: Vec<IpNet>,
    /// Single addresses that may be reached though they are not public: the demo's own mail server.
    pub egress_allow_addresses: Vec<SocketAddr>,
    /// Extra root certificates.
    pub ca_file: Option<PathBuf>,
    /// Larger messages are stored header-only, in bytes.
    pub max_message: u64,
    /// How long a change of a message waits for the mail server, the connection included.
    pub write_timeout: Duration,
}

/// What [`MailConfig::write_timeout`] is; `PATCH` and `DELETE` of a message say so in their descriptions.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// What is kept and where.
#[derive(Clone)]
pub struct StorageConfig {
    /// Where generated secrets live.
    pub data_dir: PathBuf,
    /// Where rows are kept.
    pub database: DatabaseUrl,
    /// Where large messages are kept.
    pub blobs: BlobUrl,
    /// How long the event log is kept.
    pub event_retention: Duration,
}

/// What must not be known.
#[derive(Clone, Default)]
pub struct SecretConfig {
    /// The keys that encrypt stored credentials, the one that encrypts first; empty makes one.
    pub secret_keys: Vec<[u8; 32]>,
    /// The platform admin key; none makes one.
    pub admin_key: Option<SecretString>,
}

/// How to log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The filter.
    pub filter: String,
    /// The format.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// Every setting, checked.
#[derive(Clone)]
pub struct Config {
    /// The HTTP side.
    pub http: HttpConfig,
    /// The mail side.
    pub mail: MailConfig,
    /// What is kept and where.
    pub storage: StorageConfig,
    /// What must not be known.
    pub secrets: SecretConfig,
    /// How to log.
    pub log: LogConfig,
}

impl Config {
    /// Checks the settings; the first wrong one is named.
    pub fn check(settings: Settings) -> Result<Self, ConfigError> {
        let listen: SocketAddr = settings.listen.parse().map_err(|_| {
            ConfigError::new(
                "POSTROOM_LISTEN",
                quoted(&settings.listen),
                "an address and a port such as 127.0.0.1:8080",
            )
        })?;
        let data_dir = data_dir(settings.data_dir)?;
        Ok(Self {
            http: HttpConfig {
                listen,
                public_url: public_url(settings.public_url, listen)?,
                trusted_proxies: networks("POSTROOM_TRUSTED_PROXIES", &settings.trusted_proxies)?,
                rate_limit: rate("POSTROOM_RATE_LIMIT", &settings.rate_limit)?,
                tenant_rate_limit: rate("POSTROOM_TENANT_RATE_LIMIT", &settings.tenant_rate_limit)?,
                heartbeat: HEARTBEAT,
            },
            mail: MailConfig {
                egress_allow: networks("POSTROOM_EGRESS_ALLOW", &settings.egress_allow)?,
                egress_allow_addresses: Vec::new(),
                ca_file: ca_file(settings.ca_file)?,
                max_message: max_message(&settings.max_message)?,
                write_timeout: WRITE_TIMEOUT,
            },
            storage: StorageConfig {
                database: database(settings.database_url, &data_dir)?,
                blobs: blobs(settings.blob_url, &data_dir)?,
                event_retention: retention(&settings.event_retention)?,
                data_dir,
            },
            secrets: SecretConfig {
                secret_keys: secret_keys(settings.secret_key.as_deref())?,
                admin_key: admin_key(settings.admin_key)?,
            },
            log: LogConfig {
                filter: settings.log,
                format: log_format(&settings.log_format)?,
            },
        })
    }
}

fn quoted(value: &str) -> String {
    format!("`{value}`")
}

fn public_url(value: Option<String>, listen: SocketAddr) -> Result<String, ConfigError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(format!("http://{listen}"));
    };
    let url = value.trim_end_matches('/');
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .unwrap_or_default();
    if host.is_empty() || host.contains(['?', '#', ' ', '@']) {
        let expected = "an http or https URL such as https://mail.example.com";
        return Err(ConfigError::new("POSTROOM_PUBLIC_URL", quoted(&value), expected));
    }
    Ok(url.to_owned())
}

fn networks(name: &'static str, value: &str) -> Result<Vec<IpNet>, ConfigError> {
    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let network = entry
                .parse()
                .ok()
                .or_else(|| entry.parse().ok().map(|address: std::net::IpAddr| address.into()));
            network.ok_or_else(|| {
                ConfigError::new(
                    name,
                    quoted(value),
                    "CIDR ranges separated by commas, such as 10.0.0.0/8,127.0.0.1/32",
                )
            })
        })
        .collect()
}

fn rate(name: &'static str, value: &str) -> Result<Rate, ConfigError> {
    let parse = || {
        let (count, unit) = value.split_once('/')?;
        let count = count
            .trim()
            .parse()
            .ok()
            .filter(|count| (1..=1_000_000_000).contains(count))?;
        let period = match unit.trim() {
            "s" | "sec" => 1,
            "min" | "m" => 60,
            "h" | "hour" => 3600,
            _ => return None,
        };
        Some(Rate { count, period })
    };
    parse().ok_or_else(|| {
        ConfigError::new(
            name,
            quoted(value),
            "a count and a period such as 6000/min or 100/s",
        )
    })
}

fn max_message(value: &str) -> Result<u64, ConfigError> {
    let parse = || {
        let (number, factor) = ["KiB", "MiB", "GiB"]
            .iter()
            .zip([1_u64 << 10, 1 << 20, 1 << 30])
            .find_map(|(unit, factor)| value.strip_suffix(unit).map(|number| (number, factor)))
            .unwrap_or((value, 1));
        let bytes = number.trim().parse::<u64>().ok()?.checked_mul(factor)?;
        (64 * 1024..=256 << 20).contains(&bytes).then_some(bytes)
    };
    parse().ok_or_else(|| {
        ConfigError::new(
            "POSTROOM_MAX_MESSAGE",
            quoted(value),
            "a size between 64KiB and 256MiB such as 50MiB",
        )
    })
}

fn retention(value: &str) -> Result<Duration, ConfigError> {
    let parse = || {
        let unit = value.chars().last()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let number: u64 = value.strip_suffix(unit)?.trim().parse().ok()?;
        let seconds = number.checked_mul(seconds)?;
        (60..=3660 * 86_400)
            .contains(&seconds)
            .then(|| Duration::from_secs(seconds))
    };
    parse().ok_or_else(|| {
        ConfigError::new(
            "POSTROOM_EVENT_RETENTION",
            quoted(value),
            "a time of one minute or more such as 30d or 12h",
        )
    })
}

fn data_dir(path: String) -> Result<PathBuf, ConfigError> {
    if path.is_empty() {
        return Err(ConfigError::new(
            "POSTROOM_DATA_DIR",
            "empty",
            "the path of a folder such as ./data",
        ));
    }
    Ok(path.into())
}

fn ca_file(path: Option<String>) -> Result<Option<PathBuf>, ConfigError> {
    match path.filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) if !path.is_file() => Err(ConfigError::new(
            "POSTROOM_CA_FILE",
            format!("`{}`, which is not a file", path.display()),
            "the path of a file with PEM certificates",
        )),
        path => Ok(path),
    }
}

fn database(url: Option<String>, data_dir: &std::path::Path) -> Result<DatabaseUrl, ConfigError> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(DatabaseUrl::Sqlite(data_dir.join("postroom.db")));
    };
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() => Ok(DatabaseUrl::Sqlite(path.into())),
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(DatabaseUrl::Postgres(url)),
        _ => {
            let expected = "sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME";
            Err(ConfigError::new("DATABASE_URL", "of no known kind", expected))
        }
    }
}

fn blobs(url: Option<String>, data_dir: &std::path::Path) -> Result<BlobUrl, ConfigError> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(BlobUrl::Folder(data_dir.join("blobs")));
    };
    match url.split_once("://") {
        Some(("file", path)) if !path.is_empty() => Ok(BlobUrl::Folder(path.into())),
        Some(("s3", rest)) if !rest.is_empty() => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(BlobUrl::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_end_matches('/').to_owned(),
            })
        }
        _ => Err(ConfigError::new(
            "POSTROOM_BLOB_URL",
            quoted(&url),
            "file://PATH or s3://BUCKET/PREFIX",
        )),
    }
}

fn secret_keys(value: Option<&str>) -> Result<Vec<[u8; 32]>, ConfigError> {
    let entries = value
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let key = STANDARD
                .decode(entry)
                .ok()
                .and_then(|bytes| bytes.try_into().ok());
            key.ok_or_else(|| {
                let expected =
                    "32 bytes in base64 (`openssl rand -base64 32`), or several separated by commas";
                ConfigError::new("POSTROOM_SECRET_KEY", "not a key", expected)
            })
        })
        .collect()
}

fn admin_key(value: Option<String>) -> Result<Option<SecretString>, ConfigError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if !(32..=256).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = "32 to 256 visible ASCII characters, without spaces";
        return Err(ConfigError::new(
            "POSTROOM_ADMIN_KEY",
            "too short, too long or not plain text",
            expected,
        ));
    }
    Ok(Some(value.into()))
}

fn log_format(value: &str) -> Result<LogFormat, ConfigError> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(ConfigError::new(
            "POSTROOM_LOG_FORMAT",
            quoted(value),
            "text or json",
        )),
    }
}

#[cfg(test)]
mod tests;
