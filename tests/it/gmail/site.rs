//! A mailbox on an account of the sandbox server that offers more than others, and a gateway that syncs it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use postroom::{
    model::{
        clock::Clock,
        mailbox::{Mailbox, Security},
    },
    sandbox::{Account, Offer, Sandbox},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    sandbox::connected,
    support::gateway::{Backend, Gateway, Login, Tenant, eventually},
};

pub(crate) const USER: &str = "anna@example.org";
pub(crate) const BELA: &str = "Béla <bela@example.net>";

/// A server with labels, and three of its folders.
pub(crate) const GMAIL: Offer = Offer {
    gmail: true,
    object_id: false,
};
pub(crate) const ALL: &str = "[Gmail]/All Mail";
pub(crate) const TRASH: &str = "[Gmail]/Trash";
pub(crate) const SPAM: &str = "[Gmail]/Spam";
/// A label below another, with a name beyond ASCII.
pub(crate) const SIZE: &str = "Projekte/Größe";

/// A mailbox on the sandbox server.
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    pub(crate) gateway: Gateway,
    pub(crate) tenant: Tenant,
    pub(crate) mailbox: Option<Uuid>,
    port: u16,
    stop: CancellationToken,
}

impl Site {
    pub(crate) async fn start(backend: Backend, offer: Offer) -> Self {
        let sandbox = Sandbox::new(Clock::system());
        let account = Account {
            username: USER.to_owned(),
            password: "secret".to_owned().into(),
        };
        sandbox.add_account_offering(account, offer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(sandbox.clone().serve(listener, None, stop.clone()));
        let gateway = Gateway::start(backend).await;
        let tenant = gateway.tenant("Acme").await;
        Self {
            sandbox,
            gateway,
            tenant,
            mailbox: None,
            port,
            stop,
        }
    }

    /// Connects the mailbox and waits until it has caught up; answers how many messages it has.
    pub(crate) async fn connect(&mut self) -> i64 {
        let login = Login {
            address: USER,
            host: "127.0.0.1",
            port: self.port,
            security: Security::None,
            username: USER,
            password: "secret",
        };
        let mailbox = self.gateway.connect(&self.tenant, login).await;
        self.mailbox = Some(mailbox.id);
        self.wait("connected", connected).await
    }

    pub(crate) async fn wait<T>(&self, what: &str, done: impl Fn(&Mailbox) -> Option<T>) -> T {
        self.gateway
            .wait_for(&self.tenant, self.mailbox.unwrap(), what, done)
            .await
    }

    /// Has the gateway dial again, and waits until it has caught up.
    pub(crate) async fn reconnect(&self) {
        self.gateway.reconnect(&self.tenant, self.mailbox.unwrap()).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.gateway.get(&self.tenant.key, path).await
    }

    pub(crate) async fn messages(&self) -> Vec<Value> {
        self.gateway.all(&self.tenant.key, "/v1/messages").await
    }

    /// The id of each message, with when it was stored.
    pub(crate) async fn ids(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = self.messages().await;
        messages
            .iter()
            .map(|message| (text(&message["id"]), text(&message["created_at"])))
            .collect()
    }

    pub(crate) async fn by_subject(&self, subject: &str) -> Option<Value> {
        let messages = self.messages().await;
        messages.into_iter().find(|message| message["subject"] == subject)
    }

    pub(crate) async fn folders(&self) -> BTreeMap<String, Value> {
        let path = format!("/v1/mailboxes/{}/folders", self.mailbox.unwrap());
        let folders = self.get(&path).await["data"].as_array().unwrap().clone();
        let named = |folder: Value| (folder["name"].as_str().unwrap().to_owned(), folder);
        folders.into_iter().map(named).collect()
    }

    /// The names of the folders that the message with this subject lies in.
    pub(crate) async fn places(&self, subject: &str) -> BTreeSet<String> {
        let folders = self.folders().await;
        let message = self.by_subject(subject).await;
        let ids = message.map_or_else(Vec::new, |message| message["folders"].as_array().unwrap().clone());
        let of = |name: &String| ids.contains(&folders[name]["id"]);
        let names: BTreeSet<String> = folders.keys().filter(|name| of(name)).cloned().collect();
        assert_eq!(
            names.len(),
            ids.len(),
            "{subject} lies in a folder that is not listed"
        );
        names
    }

    /// Waits until the message with this subject lies in these folders.
    pub(crate) async fn placed(&self, subject: &str, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        let mut last = BTreeSet::new();
        let found = eventually(async || {
            last = self.places(subject).await;
            (last == wanted).then_some(())
        });
        assert!(
            found.await.is_some(),
            "{subject} lies in {last:?}, not in {wanted:?}"
        );
    }

    /// Every folder that the server shows has as many messages here as there.
    pub(crate) async fn counts_agree(&self) {
        let counts = |folders: &BTreeMap<String, Value>| -> BTreeMap<String, (i64, i64)> {
            let count = |name: &String| {
                let theirs = self.sandbox.uids(USER, name).map_or(0, |uids| uids.len());
                let ours = folders[name]["message_count"].as_i64().unwrap();
                (name.clone(), (i64::try_from(theirs).unwrap(), ours))
            };
            folders.keys().map(count).collect()
        };
        let mut last = BTreeMap::new();
        let agreed = eventually(async || {
            last = counts(&self.folders().await);
            last.values().all(|(theirs, ours)| theirs == ours).then_some(())
        });
        assert!(agreed.await.is_some(), "(the server's count, ours): {last:#?}");
    }

    /// Delivers a letter and answers its UID.
    pub(crate) fn deliver(&self, folder: &str, number: usize, from: &str) -> u32 {
        let at = DateTime::from_timestamp(1_700_000_000 + i64::try_from(number).unwrap() * 60, 0).unwrap();
        self.sandbox
            .append(USER, folder, &[], at, &letter(number, from))
            .unwrap()
    }

    pub(crate) async fn end(self) {
        self.gateway.stop().await;
        self.stop.cancel();
    }
}

/// A letter with the subject `Letter {number}`.
pub(crate) fn letter(number: usize, from: &str) -> Vec<u8> {
    format!(
        "From: {from}\r\nTo: {USER}\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
         Message-ID: <m{number}@example.net>\r\nSubject: Letter {number}\r\n\r\nNumber {number}.\r\n"
    )
    .into_bytes()
}
