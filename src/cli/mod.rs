//! The commands, and the start of the process: settings, log, parts, and the loops.
//!
//! What a command does beyond putting parts together belongs into `service`.

mod demo;
mod doctor;
mod sandbox;
mod serve;

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{
    api,
    config::{Config, LogFormat, Settings},
    mail::tls,
    model::{caller::Identity, clock::Clock, id::TenantId, key::NewApiKey, scope::ScopeSet},
    service::{
        bootstrap::{self, Opened},
        keys, tenants,
    },
};

/// A self-hosted, multi-tenant mailbox gateway: IMAP, Gmail and Microsoft mailboxes behind one API.
///
/// Every setting is an option and an environment variable; a `.env` file in the working directory is read too.
#[derive(Parser)]
#[command(name = "postroom", version, max_term_width = 120)]
struct Line {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and sync mailboxes, in one process or split by role.
    Serve {
        /// What this process does.
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
    },
    /// Serve with a sandbox mail server and a demo tenant, to try everything without a mail account.
    Demo,
    /// The sandbox mail server alone.
    Sandbox(sandbox::Options),
    /// Bring the database's schema up to date and end.
    Migrate,
    /// Print an API document as YAML.
    Openapi {
        /// Which document.
        #[arg(value_enum, default_value_t = Dialect::Unified)]
        dialect: Dialect,
    },
    /// Work on tenants.
    Tenants {
        #[command(subcommand)]
        command: Tenants,
    },
    /// Work on API keys.
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Check the settings, the database and the blobs, and say what is wrong.
    Doctor,
}

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Serve the API.
    Api,
    /// Sync mailboxes.
    Worker,
    /// Both.
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dialect {
    Unified,
    Plannr,
    Feather,
}

#[derive(Subcommand)]
enum Tenants {
    /// Create a tenant and print its first key.
    Create {
        /// The tenant's name.
        name: String,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Create a key that acts as the tenant, and print it.
    Create {
        /// The tenant's id.
        #[arg(long)]
        tenant: Uuid,
        /// The key's name.
        #[arg(long, default_value = "Command line")]
        name: String,
    },
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    // A file that is not there is fine; one that cannot be read is told.
    let dotenv = dotenvy::dotenv();
    let line = Line::parse();
    let result = match dotenv {
        Err(error) if !error.not_found() => Err(anyhow::anyhow!("the .env file cannot be read: {error}")),
        Ok(_) | Err(_) => start(line),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut out = std::io::stderr().lock();
            drop(writeln!(out, "postroom: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(line: Line) -> anyhow::Result<()> {
    let config = Config::check(line.settings)?;
    if let Command::Openapi { dialect } = line.command {
        return print(&document(dialect)?);
    }
    log(&config)?;
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(run(line.command, config))
}

async fn run(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve { role } => serve::serve(config, role).await,
        Command::Demo => demo::demo(config).await,
        Command::Sandbox(options) => sandbox::sandbox(options).await,
        Command::Migrate => {
            open(config).await?;
            print("The schema is up to date.\n")
        }
        Command::Openapi { dialect } => print(&document(dialect)?),
        Command::Tenants {
            command: Tenants::Create { name },
        } => {
            let app = open(config).await?.app;
            let (tenant, _, key) = tenants::create(&app, &Identity::Platform, name).await?;
            print(&format!("tenant {}\nkey    {}\n", tenant.id, key.expose_secret()))
        }
        Command::Keys {
            command: Keys::Create { tenant, name },
        } => {
            let app = open(config).await?.app;
            let new = NewApiKey {
                name,
                scopes: ScopeSet::tenant(),
                member_id: None,
                expires_at: None,
            };
            let (_, key) = keys::create_for(&app, &Identity::Platform, TenantId(tenant), new).await?;
            print(&format!("key {}\n", key.expose_secret()))
        }
        Command::Doctor => doctor::doctor(config).await,
    }
}

/// Opens what the settings name, for a command that ends by itself.
async fn open(config: Config) -> anyhow::Result<Opened> {
    bootstrap::open(config, Clock::system()).await.map_err(cause)
}

/// An error of the start, with what is behind it.
fn cause(error: crate::model::Error) -> anyhow::Error {
    match error {
        crate::model::Error::Internal(source) => anyhow::anyhow!("{source}"),
        other => other.into(),
    }
}

fn document(dialect: Dialect) -> anyhow::Result<String> {
    let documents = api::documents()?;
    let document = match dialect {
        Dialect::Unified => &documents.unified,
        Dialect::Plannr => &documents.plannr,
        Dialect::Feather => &documents.feather,
    };
    Ok(document.yaml().to_owned())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter).map_err(|error| {
        anyhow::anyhow!(
            "POSTROOM_LOG is not a filter ({error}): write a level such as info, or target=level pairs."
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
