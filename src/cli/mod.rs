//! The commands, and the start of the process: settings, log, parts, and the loops.
//!
//! No rule may live here: what a command does beyond putting parts together belongs into `service`.

mod demo;
mod doctor;
mod sandbox;
mod serve;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{
    api,
    config::{Config, LogConfig, LogFormat, Settings},
    mail::tls,
    model::{caller::Identity, clock::Clock, id::TenantId, key::NewApiKey, scope::ScopeSet},
    service::{
        bootstrap::{self, Opened},
        keys, tenants,
    },
};

/// A self-hosted, multi-tenant mailbox gateway: IMAP, Gmail and Microsoft mailboxes behind one API.
#[derive(Parser)]
#[command(name = "postroom", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and sync mailboxes, in one process or split by role.
    Serve {
        /// What this process does.
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
        #[command(flatten)]
        settings: Settings,
    },
    /// Serve with a sandbox mail server and a demo tenant, to try everything without a mail account.
    Demo {
        #[command(flatten)]
        settings: Settings,
    },
    /// The sandbox mail server alone.
    Sandbox(sandbox::Options),
    /// Bring the database's schema up to date and end.
    Migrate {
        #[command(flatten)]
        settings: Settings,
    },
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
    Doctor {
        #[command(flatten)]
        settings: Settings,
    },
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
        #[command(flatten)]
        settings: Settings,
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
        #[command(flatten)]
        settings: Settings,
    },
}

/// The command line as clap knows it; its help lists the settings.
pub fn command() -> clap::Command {
    let mut help = String::from(
        "Settings, each a variable of the environment (a `.env` file in the working directory is read too) and an option \
         of the commands that use it, such as --listen for POSTROOM_LISTEN:\n",
    );
    let settings = Settings::augment_args(clap::Command::new("settings"));
    for setting in settings.get_arguments() {
        let name = setting.get_env().unwrap_or_default().to_string_lossy();
        let meaning = setting.get_help().map(ToString::to_string).unwrap_or_default();
        help.extend(["  ", &name, "\n          ", &meaning]);
        let values = setting.get_default_values().iter();
        for default in values.filter(|value| !value.is_empty()) {
            help.extend([" [default: ", &default.to_string_lossy(), "]"]);
        }
        help.push('\n');
    }
    Line::command().after_help(help)
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    // Points at which a test kills the process, read from FAILPOINTS: in the tests' build alone.
    let _points = fail::has_failpoints().then(fail::FailScenario::setup);
    // A file that is not there is fine; one that cannot be read is told.
    let dotenv = dotenvy::dotenv();
    let line = Line::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let result = match dotenv {
        Err(error) if !error.not_found() => Err(anyhow::anyhow!("the .env file cannot be read: {error}")),
        Ok(_) | Err(_) => run(line.command),
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

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { role, settings } => with(settings, async |config| serve::serve(config, role).await),
        Command::Demo { settings } => with(settings, demo::demo),
        Command::Sandbox(options) => {
            log(&LogConfig::default())?;
            block_on(sandbox::sandbox(options))
        }
        Command::Migrate { settings } => with(settings, migrate),
        Command::Openapi { dialect } => print(&document(dialect)?),
        Command::Tenants {
            command: Tenants::Create { name, settings },
        } => with(settings, async |config| create_tenant(config, name).await),
        Command::Keys {
            command:
                Keys::Create {
                    tenant,
                    name,
                    settings,
                },
        } => with(settings, async |config| create_key(config, tenant, name).await),
        Command::Doctor { settings } => with(settings, doctor::doctor),
    }
}

/// Runs a command that needs the settings.
fn with(settings: Settings, run: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let config = Config::check(settings)?;
    log(&config.log)?;
    block_on(run(config))
}

fn block_on(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(run)
}

async fn migrate(config: Config) -> anyhow::Result<()> {
    open(config).await?;
    print("The schema is up to date.\n")
}

async fn create_tenant(config: Config, name: String) -> anyhow::Result<()> {
    let opened = open(config).await?;
    let (tenant, _, key) = tenants::create(&opened.app, &Identity::Platform, name).await?;
    print(&format!("tenant {}\nkey    {}\n", tenant.id, key.expose_secret()))
}

async fn create_key(config: Config, tenant: Uuid, name: String) -> anyhow::Result<()> {
    let opened = open(config).await?;
    let new = NewApiKey {
        name,
        scopes: ScopeSet::tenant(),
        member_id: None,
        expires_at: None,
    };
    let (_, key) = keys::create_for(&opened.app, &Identity::Platform, TenantId(tenant), new).await?;
    print(&format!("key {}\n", key.expose_secret()))
}

/// Opens what the settings name, for a command that ends by itself. Its answer is alone on the standard output.
async fn open(config: Config) -> anyhow::Result<Opened> {
    let opened = bootstrap::open(config, Clock::system()).await.map_err(cause)?;
    if let Some(key) = &opened.new_admin_key {
        let file = opened.app.config.storage.data_dir.join("admin.key");
        let mut out = std::io::stderr().lock();
        writeln!(
            out,
            "The platform admin key, shown this once and kept in {}: {}",
            file.display(),
            key.expose_secret()
        )?;
    }
    Ok(opened)
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

fn log(config: &LogConfig) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.filter).map_err(|error| {
        anyhow::anyhow!(
            "POSTROOM_LOG is not a filter ({error}): write a level such as info, or target=level pairs."
        )
    })?;
    let error = std::io::stderr();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(error.is_terminal())
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
