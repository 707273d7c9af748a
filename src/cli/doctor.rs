//! `postroom doctor`: tries what the settings name, and says what is wrong.

use super::print;
use crate::{
    config::{BlobUrl, Config, DatabaseUrl},
    mail::tls,
    model::{Error, Result},
    service::bootstrap,
};

pub(super) async fn doctor(config: Config) -> anyhow::Result<()> {
    let storage = &config.storage;
    let database = match &storage.database {
        DatabaseUrl::Sqlite(path) => format!("SQLite in {}", path.display()),
        DatabaseUrl::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let blobs = match &storage.blobs {
        BlobUrl::Folder(path) => format!("the folder {}", path.display()),
        BlobUrl::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
    };
    let checks = [
        ("settings", "every value can be used".to_owned(), Ok(())),
        ("database", database, check_database(&config).await),
        ("blobs", blobs, check_blobs(&config).await),
        (
            "certificates",
            "the system's roots and POSTROOM_CA_FILE".to_owned(),
            check_tls(&config),
        ),
    ];
    let mut failed = 0;
    for (name, what, result) in checks {
        match result {
            Ok(()) => print(&format!("ok    {name}: {what}\n"))?,
            Err(error) => {
                failed += 1;
                let reason = match error {
                    Error::Internal(source) => source.to_string(),
                    other => other.to_string(),
                };
                print(&format!("wrong {name}: {what}: {reason}\n"))?;
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of the checks failed");
    Ok(())
}

async fn check_database(config: &Config) -> Result<()> {
    if let DatabaseUrl::Sqlite(path) = &config.storage.database
        && !path.exists()
    {
        return Err(Error::internal(
            "there is none yet; `postroom serve` or `postroom migrate` makes it",
        ));
    }
    bootstrap::open_store(&config.storage)?.read().await?.ping().await
}

async fn check_blobs(config: &Config) -> Result<()> {
    bootstrap::open_blobs(&config.storage)?.check().await
}

fn check_tls(config: &Config) -> Result<()> {
    tls::client_config(config.mail.ca_file.as_deref())
        .map(drop)
        .map_err(Error::internal)
}
