//! A mailbox on a mail server of the test's own, a gateway that syncs it, and a session of the test beside the gateway's.

use std::{collections::HashMap, fmt::Write as _};

use chrono::{DateTime, TimeDelta};
use futures_util::{StreamExt, stream};
use postroom::{
    config::Config,
    mail::{
        egress::Guard,
        imap::{Client, Credentials, Dialer, Endpoint, Session, StoreFlags, UidSet, utf7},
        tls,
    },
    model::mailbox::{Mailbox, Security},
};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{
    dovecot::Dovecot,
    gateway::{Backend, Gateway, Login, Tenant},
    server::MailServer,
};

pub(crate) const USER: &str = "anna";
pub(crate) const ADDRESS: &str = "anna@example.org";

/// The user's mailbox, on a loopback port.
pub(crate) const fn login(port: u16) -> Login<'static> {
    Login {
        address: ADDRESS,
        host: "127.0.0.1",
        port,
        security: Security::None,
        username: USER,
        password: "anna's password",
    }
}

/// A mailbox on a mail server of the test's own, and a session of the test beside the gateway's.
pub(crate) struct World<S = Dovecot> {
    pub(crate) server: S,
    pub(crate) gateway: Gateway,
    pub(crate) tenant: Tenant,
    pub(crate) session: Session,
}

/// Logs in beside the gateway.
pub(crate) async fn log_in(server: &impl MailServer, username: &str) -> Session {
    let guard = Guard::new(["127.0.0.0/8".parse().unwrap()]);
    let dialer = Dialer::new(guard, tls::client_config(None).unwrap());
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        security: Security::None,
    };
    let password = format!("{username}'s password").into();
    let credentials = Credentials::Password {
        username: username.to_owned(),
        password,
    };
    Client::connect(&dialer, &endpoint)
        .await
        .unwrap()
        .login(&credentials)
        .await
        .unwrap()
}

impl World {
    /// On Dovecot.
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_tweaked(backend, |_| {}).await
    }

    pub(crate) async fn start_tweaked(backend: Backend, tweak: impl FnOnce(&mut Config)) -> Self {
        Self::launch_tweaked(backend, tweak).await
    }
}

impl<S: MailServer> World<S> {
    /// On a server of this kind.
    pub(crate) async fn launch(backend: Backend) -> Self {
        Self::launch_tweaked(backend, |_| {}).await
    }

    pub(crate) async fn launch_tweaked(backend: Backend, tweak: impl FnOnce(&mut Config)) -> Self {
        let server = S::launch();
        server.add_user(USER);
        Self::on_tweaked(server, backend, tweak).await
    }

    /// On this server, which has the user.
    pub(crate) async fn on(server: S, backend: Backend) -> Self {
        Self::on_tweaked(server, backend, |_| {}).await
    }

    async fn on_tweaked(server: S, backend: Backend, tweak: impl FnOnce(&mut Config)) -> Self {
        let session = log_in(&server, USER).await;
        let gateway = Gateway::start_tweaked(backend, &[], tweak).await;
        let tenant = gateway.tenant("Acme").await;
        Self {
            server,
            gateway,
            tenant,
            session,
        }
    }

    pub(crate) async fn connect(&self) -> Mailbox {
        self.gateway
            .connect(&self.tenant, login(self.server.port()))
            .await
    }

    pub(crate) async fn append(&mut self, folder: &str, flags: &[&str], raw: &[u8]) -> u32 {
        let at = DateTime::from_timestamp(1_700_000_000 + i64::try_from(raw.len()).unwrap(), 0);
        self.session
            .append(&utf7::encode(folder), flags, at, raw)
            .await
            .unwrap()
            .unwrap()
            .uid
    }

    /// Letters with these numbers come into a folder, unread.
    pub(crate) async fn deliver(&mut self, folder: &str, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.append(folder, &[], &letter(number, "bela@example.net", 500))
                .await;
        }
    }

    pub(crate) async fn open(&mut self, folder: &str) {
        self.session.select(&utf7::encode(folder), None).await.unwrap();
    }

    /// Erases the messages with these UIDs, both included.
    pub(crate) async fn expunge(&mut self, folder: &str, low: u32, high: u32) {
        self.open(folder).await;
        let uids = UidSet::range(low, high);
        self.session
            .uid_store(&uids, StoreFlags::Add, &["\\Deleted"])
            .await
            .unwrap();
        self.session.uid_expunge(&uids).await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.gateway.get(&self.tenant.key, path).await
    }

    /// Every message that the API lists, by its raw bytes' `Message-ID` and all.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        self.gateway.all(&self.tenant.key, "/v1/messages").await
    }

    /// The message with this subject.
    pub(crate) async fn by_subject(&self, subject: &str) -> Option<Value> {
        self.messages()
            .await
            .into_iter()
            .find(|message| message["subject"] == subject)
    }

    pub(crate) async fn folders(&self, mailbox: Uuid) -> HashMap<String, Value> {
        let folders = self.get(&format!("/v1/mailboxes/{mailbox}/folders")).await;
        let named = |folder: &Value| (folder["name"].as_str().unwrap().to_owned(), folder.clone());
        folders["data"].as_array().unwrap().iter().map(named).collect()
    }

    pub(crate) async fn wait<T>(&self, mailbox: Uuid, what: &str, done: impl Fn(&Mailbox) -> Option<T>) -> T {
        self.gateway.wait_for(&self.tenant, mailbox, what, done).await
    }

    /// Has the gateway dial again, and waits until it has caught up.
    pub(crate) async fn reconnect(&self, mailbox: Uuid) {
        self.gateway.reconnect(&self.tenant, mailbox).await;
    }

    pub(crate) async fn raw(&self, id: &str) -> Vec<u8> {
        let url = format!("{}/v1/messages/{id}/raw", self.gateway.url);
        let answer = self
            .gateway
            .http
            .get(url)
            .header("x-api-key", &self.tenant.key)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }

    /// The raw bytes of these messages.
    pub(crate) async fn raws(&self, messages: &[Value]) -> Vec<Vec<u8>> {
        let ids = messages.iter().map(|message| message["id"].as_str().unwrap());
        stream::iter(ids)
            .map(|id| self.raw(id))
            .buffered(8)
            .collect()
            .await
    }
}

/// A message; `number` makes it unlike the others.
pub(crate) fn letter(number: usize, from: &str, bytes: usize) -> Vec<u8> {
    let date = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_600_000_000 + i64::try_from(number).unwrap() * 61);
    let mut text = format!(
        "From: {from}\r\nTo: {ADDRESS}\r\nDate: {}\r\nMessage-ID: <m{number}@example.net>\r\nSubject: Letter {number}\r\n\r\n",
        date.to_rfc2822()
    );
    while text.len() < bytes {
        write!(text, "Line {} of letter {number}.\r\n", text.len()).unwrap();
    }
    text.into_bytes()
}
