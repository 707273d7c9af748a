//! `postroom sandbox`: the sandbox mail server alone, with the demo's mailbox in it.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::{print, serve::stop_signal};
use crate::{
    model::clock::Clock,
    sandbox::{Account, Sandbox, story, tls},
};

/// The password of the sandbox's account, which guards nothing.
pub(super) const PASSWORD: &str = "sandbox";

#[derive(Args)]
pub(super) struct Options {
    /// Address to listen on, for IMAP.
    #[arg(long, default_value = "127.0.0.1:1143")]
    listen: SocketAddr,
    /// A PEM file with a certificate chain and its private key: IMAP is then served over TLS.
    #[arg(long)]
    tls_cert: Option<PathBuf>,
}

pub(super) async fn sandbox(options: Options) -> anyhow::Result<()> {
    let tls = options.tls_cert.map(|path| read_tls(&path)).transpose()?;
    let secured = if tls.is_some() { "tls" } else { "none" };
    let listener = TcpListener::bind(options.listen)
        .await
        .context("the sandbox cannot listen")?;
    let address = listener.local_addr()?;
    let sandbox = open()?;
    let stop = stop_signal()?;
    print(&format!(
        "A sandbox IMAP server listens on {address} (security: {secured}).\nUser {}, password {PASSWORD}.\n\n\
         A gateway reaches it with POSTROOM_EGRESS_ALLOW={}.\n",
        story::ADDRESS,
        address.ip(),
    ))?;
    sandbox.serve(listener, tls, stop).await?;
    Ok(())
}

/// A sandbox with one account and its story.
pub(super) fn open() -> anyhow::Result<Sandbox> {
    let clock = Clock::system();
    let now = clock.now();
    let sandbox = Sandbox::new(clock);
    sandbox.add_account(Account {
        username: story::ADDRESS.to_owned(),
        password: PASSWORD.to_owned().into(),
    });
    story::populate(&sandbox, story::ADDRESS, now)?;
    Ok(sandbox)
}

fn read_tls(path: &PathBuf) -> anyhow::Result<tls::ServerConfig> {
    let pem = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    tls::config(&pem, &pem)
        .with_context(|| format!("{} does not hold a certificate and its key", path.display()))
}
