//! The start: opens what the settings name, makes the secrets that are missing, and puts the parts together.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::{
    App, Parts,
    credentials::Credentials,
    figures::Pictures,
    limits::Limits,
    links::Links,
    metrics::Metrics,
    oauth::Turns,
    signals::Signals,
    tokens::Tokens,
    vault::{self, Vault},
    write_back::Writers,
};
use crate::{
    config::{BlobUrl, Config, DatabaseUrl, StorageConfig},
    mail::{
        egress::Guard,
        http::HttpClient,
        imap::{Dialer, Timeouts},
        tls,
    },
    model::{Error, Result, clock::Clock, key::KeyText},
    store::{Blobs, Database, PostgresUrl, Store},
};

/// An app, and what its start has to say.
pub struct Opened {
    /// The app.
    pub app: App,
    /// The platform admin key, when it was made by this very start.
    pub new_admin_key: Option<SecretString>,
    /// Held while the process runs: the embedded database belongs to one process at a time.
    pub lock: Option<File>,
}

/// Opens the database, brings its schema up to date, and puts the parts together.
pub async fn open(config: Config, clock: Clock) -> Result<Opened> {
    open_with(config, clock, Timeouts::default()).await
}

/// The same with other deadlines for mail servers: those of a test that cannot wait for minutes.
pub async fn open_with(config: Config, clock: Clock, timeouts: Timeouts) -> Result<Opened> {
    let storage = &config.storage;
    private_folder(&storage.data_dir).map_err(|error| start_error("the data dir cannot be made", &error))?;
    let lock = match &storage.database {
        DatabaseUrl::Sqlite(path) => Some(lock(path)?),
        DatabaseUrl::Postgres(_) => None,
    };
    let store = open_store(storage)?;
    store.migrate().await?;
    let vault = Vault::new(&secret_keys(&config)?)?;
    let (admin_key, new) = admin_key(&config)?;
    let guard = Guard::new(config.mail.egress_allow.iter().copied())
        .with_addresses(config.mail.egress_allow_addresses.iter().copied());
    let tls = tls::client_config(config.mail.ca_file.as_deref()).map_err(Error::internal)?;
    let app = App::new(Parts {
        store,
        blobs: open_blobs(storage)?,
        clock,
        credentials: Credentials::default(),
        limits: Limits::new(config.http.rate_limit, config.http.tenant_rate_limit),
        tokens: Tokens::new(&vault, &config.http.public_url)?,
        links: Links::new(&vault, &config.http.public_url)?,
        vault,
        http: HttpClient::new(guard.clone(), Arc::clone(&tls)),
        dialer: Dialer::new(guard, tls).with_timeouts(timeouts),
        refreshes: Turns::default(),
        signals: Signals::default(),
        metrics: Metrics::default(),
        pictures: Pictures::default(),
        writers: Writers::default(),
        admin_key: admin_key.clone(),
        config,
    });
    Ok(Opened {
        app,
        new_admin_key: new.then_some(admin_key),
        lock,
    })
}

/// Opens the database that the settings name.
pub fn open_store(storage: &StorageConfig) -> Result<Store> {
    Store::open(&match &storage.database {
        DatabaseUrl::Sqlite(path) => Database::Sqlite(path.clone()),
        DatabaseUrl::Postgres(url) => Database::Postgres(PostgresUrl(url.clone())),
    })
}

/// Opens the blobs that the settings name.
pub fn open_blobs(storage: &StorageConfig) -> Result<Blobs> {
    match &storage.blobs {
        BlobUrl::Folder(path) => Blobs::open_folder(path),
        BlobUrl::S3 { bucket, prefix } => Blobs::open_s3(bucket, prefix),
    }
}

fn start_error(what: &str, error: &std::io::Error) -> Error {
    Error::internal(format!("{what}: {error}"))
}

/// Takes the lock beside the database's file, which the operating system frees when the process ends, however it ends.
fn lock(database: &Path) -> Result<File> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private_folder(folder)
            .map_err(|error| start_error("the database's folder cannot be made", &error))?;
    }
    let path = database.with_extension("lock");
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = open.map_err(|error| start_error(&format!("{} cannot be opened", path.display()), &error))?;
    file.try_lock().map_err(|_| {
        Error::internal(format!(
            "another process has {} open: stop it, or use PostgreSQL, which several processes can share",
            database.display()
        ))
    })?;
    Ok(file)
}

fn secret_keys(config: &Config) -> Result<Vec<[u8; 32]>> {
    if !config.secrets.secret_keys.is_empty() {
        return Ok(config.secrets.secret_keys.clone());
    }
    let path = config.storage.data_dir.join("secret.key");
    let (text, _) = read_or_make(&path, || STANDARD.encode(vault::random::<32>()))?;
    let key = STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    let key = key.ok_or_else(|| Error::internal(format!("{} does not hold a key", path.display())))?;
    Ok(vec![key])
}

fn admin_key(config: &Config) -> Result<(SecretString, bool)> {
    if let Some(key) = &config.secrets.admin_key {
        return Ok((key.clone(), false));
    }
    let path = config.storage.data_dir.join("admin.key");
    let make = || {
        KeyText::from_random(&vault::random())
            .secret()
            .expose_secret()
            .replace("pr_live_", "pr_admin_")
    };
    let (text, new) = read_or_make(&path, make)?;
    Ok((text.trim().to_owned().into(), new))
}

/// Reads a secret's file, or makes it with mode 600; answers whether it was made.
fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> Result<(String, bool)> {
    let failed = |error: std::io::Error| start_error(&format!("{} cannot be used", path.display()), &error);
    match File::open(path) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(failed)?;
            Ok((text, false))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make();
            write_secret(path, &text)?;
            Ok((text, true))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a secret's file with mode 600, in place of what was there.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    let failed =
        |error: std::io::Error| start_error(&format!("{} cannot be written", path.display()), &error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Makes a folder that only its owner can look into: mail lies in it. One that is there stays as it is.
fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
