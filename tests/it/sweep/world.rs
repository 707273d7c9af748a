//! A gateway without its workers and with a clock that the test moves; what a sync stores is stored here by hand.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use postroom::{
    config::BlobUrl,
    model::{
        caller::{Caller, Identity},
        clock::Clock,
        folder::Folder,
        id::TenantId,
        lease::Fence,
        mailbox::Security,
        member::{NewMember, Role},
    },
    service::{
        App,
        auth::{self, Presented},
        bootstrap, leases, mailboxes, members,
        sync::{self, Halt, Listed, Raw},
        tenants,
    },
    worker::sweep::{self, Swept},
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    crash::fence::arrival,
    fixture::ask,
    support::{
        gateway::{Backend, Login, config},
        postgres::Database,
    },
};

/// The node of the test.
const NODE: &str = "test";

/// The gateway.
pub(crate) struct World {
    pub(crate) app: App,
    now: Arc<Mutex<DateTime<Utc>>>,
    #[expect(dead_code, reason = "held: the lock of the embedded database")]
    lock: Option<std::fs::File>,
    data: tempfile::TempDir,
    database: Option<Database>,
}

/// A tenant with a mailbox that this node syncs.
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) caller: Caller,
    pub(crate) fence: Fence,
    pub(crate) folder: Folder,
}

impl World {
    pub(crate) async fn start(backend: Backend) -> Self {
        postroom::mail::tls::install_provider();
        let data = tempfile::tempdir().unwrap();
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(Database::create().await),
        };
        let url = database.as_ref().map(Database::url);
        let now = Arc::new(Mutex::new(Clock::system().now()));
        let shared = now.clone();
        let clock = Clock::from_fn(move || *shared.lock().unwrap());
        let opened = bootstrap::open(config(data.path(), url.as_deref(), &[]), clock).await;
        let opened = opened.unwrap_or_else(|error| panic!("{error:?}"));
        Self {
            app: opened.app,
            now,
            lock: opened.lock,
            data,
            database,
        }
    }

    /// Another node on the same database, with a clock of its own.
    pub(crate) async fn beside(&self, clock: Clock) -> App {
        let url = self.database.as_ref().map(Database::url);
        let opened = bootstrap::open(config(self.data.path(), url.as_deref(), &[]), clock).await;
        opened.unwrap_or_else(|error| panic!("{error:?}")).app
    }

    /// Moves the clock.
    pub(crate) fn wait(&self, time: TimeDelta) {
        *self.now.lock().unwrap() += time;
    }

    /// A tenant with a mailbox of one folder.
    pub(crate) async fn owner(&self, name: &str) -> Owner {
        let (tenant, _, key) = tenants::create(&self.app, &Identity::Platform, name.to_owned())
            .await
            .unwrap();
        let presented = Presented {
            credential: Some(key.expose_secret()),
            act_as: None,
            address: Some([127, 0, 0, 1].into()),
        };
        let Identity::Tenant(caller) = auth::authenticate(&self.app, &presented).await.1.unwrap() else {
            panic!("the key is a tenant's");
        };
        let (fence, folder) = self.mailbox(&caller, &format!("{name}@example.org")).await;
        Owner {
            tenant: tenant.id,
            caller: *caller,
            fence,
            folder,
        }
    }

    /// A caller who acts as an employee of the owner's tenant.
    pub(crate) async fn employee(&self, owner: &Owner) -> Caller {
        let new = NewMember {
            first_name: "Ada".to_owned(),
            last_name: "Byron".to_owned(),
            email: "ada@example.org".to_owned(),
            role: Role::Employee,
        };
        let member = members::create(&self.app, &owner.caller, new).await.unwrap();
        owner.caller.clone().act_as(member).unwrap()
    }

    pub(crate) async fn mailbox(&self, caller: &Caller, address: &str) -> (Fence, Folder) {
        let login = Login {
            address,
            host: "127.0.0.1",
            port: 1,
            security: Security::None,
            username: "anna",
            password: "secret",
        };
        let made = mailboxes::create(&self.app, caller, login.into_new()).await;
        let mailbox = made.unwrap_or_else(|error| panic!("{error:?}")).id;
        let claimed = leases::claim(&self.app, NODE).await.unwrap();
        let fence = *claimed.iter().find(|lease| lease.mailbox == mailbox).unwrap();
        let listed = Listed {
            raw_name: b"INBOX".to_vec(),
            name: "INBOX".to_owned(),
            delimiter: None,
            role: None,
            object_id: None,
        };
        let mut folder = sync::save_folders(&self.app, fence, vec![listed], true)
            .await
            .unwrap()
            .remove(0);
        folder.cursor.uid_validity = 1;
        (fence, folder)
    }

    /// Sweeps once.
    pub(crate) async fn sweep(&self) -> Swept {
        sweep::step(&self.app)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Puts the bytes of a large message into the object store, as a sync does before it writes the row.
    pub(crate) async fn put(&self, tenant: TenantId, raw: &[u8]) -> [u8; 32] {
        let sha256: [u8; 32] = Sha256::digest(raw).into();
        let put = self.app.blobs.put(tenant, &sha256, raw.len() as u64, raw);
        put.await.unwrap_or_else(|error| panic!("{error:?}"));
        sha256
    }

    /// Where blobs lie.
    pub(crate) fn blobs(&self) -> PathBuf {
        match &self.app.config.storage.blobs {
            BlobUrl::Folder(path) => path.clone(),
            BlobUrl::S3 { .. } => panic!("the blobs are in a folder"),
        }
    }

    /// The names of the files that hold blobs, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = crate::crash::loops::files(&self.blobs());
        let mut names: Vec<String> = names
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let rows = ask(
            &self.app.config.storage.database,
            &format!("SELECT count(*) FROM {table}"),
        )
        .await;
        rows[0][0].parse().unwrap()
    }
}

impl Owner {
    /// Stores a message as a sync does; a large one's bytes have been put before.
    pub(crate) async fn try_store(
        &mut self,
        world: &World,
        uid: i64,
        raw: &[u8],
        large: bool,
    ) -> Result<(), Halt> {
        let mut new = arrival(raw, uid);
        if large {
            new.raw = Raw::Blob;
        }
        self.folder.cursor.last_uid = uid;
        let folder = self.folder.clone();
        self.folder = sync::store_arrivals(
            &world.app,
            self.fence,
            folder,
            (sync::Found::Since, vec![new]),
            None,
        )
        .await?;
        Ok(())
    }

    pub(crate) async fn store(&mut self, world: &World, uid: i64, raw: &[u8]) {
        self.try_store(world, uid, raw, false).await.unwrap();
    }

    /// Puts and stores a large message.
    pub(crate) async fn store_large(&mut self, world: &World, uid: i64, raw: &[u8]) {
        world.put(self.tenant, raw).await;
        self.try_store(world, uid, raw, true).await.unwrap();
    }

    /// Takes messages away, as when the server has them no more.
    pub(crate) async fn expunge(&mut self, world: &World, uids: &[i64]) {
        let folder = self.folder.clone();
        self.folder = sync::apply_expunges(&world.app, self.fence, folder, uids.to_vec())
            .await
            .unwrap();
    }

    /// The message at this UID.
    pub(crate) async fn at(&self, world: &World, uid: i64) -> Option<Uuid> {
        let mut conn = world.app.store.read().await.unwrap();
        let seen = conn
            .placements_in(self.tenant, self.folder.id, 1, (uid, uid))
            .await
            .unwrap();
        seen.first().map(|seen| seen.message_id)
    }
}

/// A message; `number` makes it unlike the others, `references` are the numbers of those that it answers.
pub(crate) fn letter(number: usize, references: &[usize]) -> Vec<u8> {
    let ids: Vec<String> = references
        .iter()
        .map(|one| format!("<s{one}@example.net>"))
        .collect();
    let references = if ids.is_empty() {
        String::new()
    } else {
        format!("References: {}\r\n", ids.join(" "))
    };
    format!(
        "From: bela@example.net\r\nTo: anna@example.org\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <s{number}@example.net>\r\n{references}Subject: Letter {number}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords of {number}\r\n--b\r\n\
         Content-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n--b--\r\n"
    )
    .into_bytes()
}
