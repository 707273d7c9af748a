//! Mailboxes: connect, list, change, disable, delete.

use uuid::Uuid;

use super::{
    App,
    vault::{self, Key, Place},
};
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Visibility},
        error::{Conflict, FieldError},
        folder::Folder,
        id::{self, TenantId},
        mailbox::{
            Binding, Mailbox, MailboxFilter, MailboxPatch, NewMailbox, Rebind, ServerLogin, ServerPatch,
            ServerSettings, Service,
        },
        message::address_key,
        page::{Page, PageRequest},
        patch::Patch,
        provider::Provider,
        scope::Scope,
        state::{Facts, Phase, Signal},
    },
    store::{Conn, SealedLogin},
};

const RESOURCE: &str = "mailbox";

/// The mailboxes that the caller sees, newest first.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: MailboxFilter,
    page: PageRequest,
) -> Result<Page<Mailbox>> {
    caller.require(Scope::MailboxesRead)?;
    app.store
        .read()
        .await?
        .list_mailboxes(caller.tenant_id, caller.visibility(), &filter, page)
        .await
}

/// One mailbox that the caller sees; a retired one too.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Mailbox> {
    caller.require(Scope::MailboxesRead)?;
    let found = app
        .store
        .read()
        .await?
        .get_mailbox(caller.tenant_id, caller.visibility(), id)
        .await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

/// The folders of a mailbox, by name.
pub async fn folders(app: &App, caller: &Caller, id: Uuid) -> Result<Vec<Folder>> {
    caller.require(Scope::MailboxesRead)?;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_mailbox(caller.tenant_id, caller.visibility(), id)
        .await?;
    found
        .filter(|mailbox| !mailbox.facts.retired)
        .ok_or(Error::NotFound(RESOURCE))?;
    conn.list_folders(caller.tenant_id, id).await
}

/// Stores a new mailbox and wakes the sync; the answer does not wait for a connection.
pub async fn create(app: &App, caller: &Caller, new: NewMailbox) -> Result<Mailbox> {
    caller.require(Scope::MailboxesWrite)?;
    let tenant = caller.tenant_id;
    let now = app.clock.now();
    let id = id::new();
    let data_key = data_key(app, tenant).await?;
    let imap = seal(&data_key, tenant, id, Service::Imap, &new.imap)?;
    let smtp = new
        .smtp
        .as_ref()
        .map(|smtp| seal(&data_key, tenant, id, Service::Smtp, smtp))
        .transpose()?;
    let mailbox = Mailbox {
        id,
        provider: new
            .provider
            .unwrap_or_else(|| Provider::of_host(&new.imap.settings.host)),
        address: new.address,
        name: new.name,
        facts: Facts {
            retired: false,
            enabled: true,
            has_credentials: true,
            connected_before: false,
            phase: Phase::Init,
        },
        halted: false,
        message_count: 0,
        created_by: caller.member.clone(),
        binding: Binding::None,
        default_signature_html: new.default_signature_html,
        capabilities: Vec::new(),
        external_account_id: None,
        error: None,
        last_synced_at: None,
        sync_progress: None,
        created_at: now,
        updated_at: now,
    };
    let binding = new.binding;
    let created = app
        .write(move |tx| {
            Box::pin(async move {
                let mut mailbox = mailbox;
                mailbox.binding = bind(tx, tenant, Binding::None, binding.decide(Binding::None)).await?;
                if !tx.create_mailbox(tenant, &mailbox).await? {
                    let existing = tx
                        .find_mailbox(tenant, &mailbox.address)
                        .await?
                        .unwrap_or_default();
                    return Err(Error::Conflict(Conflict::MailboxExists(existing)));
                }
                tx.set_login(tenant, id, Service::Imap, &imap).await?;
                if let Some(smtp) = smtp {
                    tx.set_login(tenant, id, Service::Smtp, &smtp).await?;
                }
                Ok(mailbox)
            })
        })
        .await?;
    app.signals.wake_sync();
    Ok(created)
}

/// Changes a mailbox.
///
/// Disabling moves the lease's epoch on in the same transaction, so that no write of the running sync passes the fence
/// after the answer, and then closes its connection. New credentials let dialling begin again.
pub async fn update(app: &App, caller: &Caller, id: Uuid, patch: MailboxPatch) -> Result<Mailbox> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let now = app.clock.now();
    let data_key = data_key(app, tenant).await?;
    let (updated, restart) = app
        .write(move |tx| {
            Box::pin(async move {
                let mut mailbox = lock(tx, tenant, seen, id).await?;
                let MailboxPatch {
                    name,
                    enabled,
                    binding,
                    default_signature_html,
                    imap,
                    smtp,
                } = patch;
                mailbox.binding = bind(tx, tenant, mailbox.binding, binding.decide(mailbox.binding)).await?;
                mailbox.name = name.apply(mailbox.name);
                mailbox.default_signature_html = default_signature_html.apply(mailbox.default_signature_html);
                let switched = enabled.is_some_and(|enabled| enabled != mailbox.facts.enabled);
                if let Some(enabled) = enabled.filter(|_| switched) {
                    mailbox.facts.enabled = enabled;
                    mailbox.facts.phase = mailbox.facts.phase.after(Signal::Closed);
                }
                let mut relogin = false;
                if let Some(patch) = imap {
                    relogin = true;
                    let login = merge(tx, &data_key, tenant, id, Service::Imap, patch).await?;
                    mailbox.provider = Provider::of_host(&login.settings.host);
                    tx.set_login(tenant, id, Service::Imap, &login).await?;
                    mailbox.facts.has_credentials = true;
                    mailbox.halted = false;
                }
                match smtp {
                    Patch::Absent => {}
                    Patch::Null => tx.delete_login(tenant, id, Service::Smtp).await?,
                    Patch::Value(patch) => {
                        let login = merge(tx, &data_key, tenant, id, Service::Smtp, patch).await?;
                        tx.set_login(tenant, id, Service::Smtp, &login).await?;
                    }
                }
                mailbox.updated_at = now;
                tx.update_mailbox(tenant, &mailbox).await?;
                if switched || relogin {
                    tx.revoke_lease(tenant, id).await?;
                }
                Ok((mailbox, switched || relogin))
            })
        })
        .await?;
    if restart {
        app.signals.close(id);
        app.signals.wake_sync();
    }
    Ok(updated)
}

/// Retires a mailbox: its credentials are erased at once, its messages become tombstones, its connection closes.
pub async fn delete(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let now = app.clock.now();
    app.write(move |tx| {
        Box::pin(async move {
            lock(tx, tenant, seen, id).await?;
            tx.revoke_lease(tenant, id).await?;
            tx.delete_messages_of(tenant, id, now).await?;
            tx.retire_mailbox(tenant, id, now).await
        })
    })
    .await?;
    app.signals.close(id);
    app.signals.wake_index();
    Ok(())
}

/// Drops the connection, if there is one, and dials again at once, also after the credentials were refused.
pub async fn reconnect(app: &App, caller: &Caller, id: Uuid) -> Result<Mailbox> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let now = app.clock.now();
    let mailbox = app
        .write(move |tx| {
            Box::pin(async move {
                let mut mailbox = lock(tx, tenant, seen, id).await?;
                mailbox.halted = false;
                mailbox.facts.phase = mailbox.facts.phase.after(Signal::Closed);
                mailbox.updated_at = now;
                tx.update_mailbox(tenant, &mailbox).await?;
                tx.revoke_lease(tenant, id).await?;
                Ok(mailbox)
            })
        })
        .await?;
    app.signals.close(id);
    app.signals.wake_sync();
    Ok(mailbox)
}

/// A mailbox that can be changed: one that the caller sees and that is not retired, its row locked.
async fn lock(tx: &mut Conn, tenant: TenantId, seen: Visibility, id: Uuid) -> Result<Mailbox> {
    let found = tx.lock_mailbox(tenant, seen, id).await?;
    found
        .filter(|mailbox| !mailbox.facts.retired)
        .ok_or(Error::NotFound(RESOURCE))
}

/// What the mailbox is bound to after a request; an agent, team or revision of another tenant is not found.
async fn bind(
    tx: &mut Conn,
    tenant: TenantId,
    current: Binding,
    rebind: std::result::Result<Rebind, Vec<FieldError>>,
) -> Result<Binding> {
    match rebind.map_err(Error::Invalid)? {
        Rebind::Keep => Ok(current),
        Rebind::Clear => Ok(Binding::None),
        Rebind::To {
            kind,
            id,
            revision_id,
        } => {
            // Locked, so that it cannot be deleted between this look and the write of the binding.
            let agent = tx
                .lock_agent(tenant, kind, id)
                .await?
                .ok_or(Error::NotFound(kind.as_str()))?;
            let revision_id = match revision_id {
                None => agent.active_revision_id,
                Some(wanted) => {
                    let found = tx.get_revision(tenant, id, wanted).await?;
                    found.ok_or(Error::NotFound("revision"))?.id
                }
            };
            Ok(Binding::To {
                kind,
                id,
                revision_id,
            })
        }
    }
}

/// The settings that are stored with what a PATCH changes; where there were none, the PATCH must give them all.
async fn merge(
    tx: &mut Conn,
    data_key: &Key,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    patch: ServerPatch,
) -> Result<SealedLogin> {
    let stored = tx.get_login(tenant, mailbox, service).await?;
    let (settings, secret) = stored.map(|login| (login.settings, login.secret)).unzip();
    let mut errors = Vec::new();
    let mut missing = |name: &str| {
        errors.push(FieldError::body(
            &format!("{}.{name}", service.as_str()),
            "This has no value yet: give one.",
        ));
    };
    let given = settings.is_some();
    for (name, present) in [
        ("host", patch.host.is_some()),
        ("port", patch.port.is_some()),
        ("security", patch.security.is_some()),
        ("username", patch.username.is_some()),
        ("password", patch.password.is_some()),
    ] {
        if !given && !present {
            missing(name);
        }
    }
    let sealed = match (&patch.password, secret) {
        (Some(password), _) => Some(vault::seal_secret(
            data_key,
            place(tenant, mailbox, service),
            password,
        )?),
        (None, secret) => secret,
    };
    let merged = merge_settings(settings.as_ref(), patch);
    merged
        .zip(sealed)
        .map(|(settings, secret)| SealedLogin { settings, secret })
        .ok_or(Error::Invalid(errors))
}

fn merge_settings(current: Option<&ServerSettings>, patch: ServerPatch) -> Option<ServerSettings> {
    let ServerPatch {
        host,
        port,
        security,
        username,
        password: _,
    } = patch;
    Some(ServerSettings {
        host: host.or_else(|| current.map(|current| current.host.clone()))?,
        port: port.or_else(|| current.map(|current| current.port))?,
        security: security.or_else(|| current.map(|current| current.security))?,
        username: username.or_else(|| current.map(|current| current.username.clone()))?,
    })
}

fn seal(
    data_key: &Key,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
    login: &ServerLogin,
) -> Result<SealedLogin> {
    let secret = vault::seal_secret(data_key, place(tenant, mailbox, service), &login.password)?;
    Ok(SealedLogin {
        settings: login.settings.clone(),
        secret,
    })
}

/// Where a login's password lies.
const fn place(tenant: TenantId, mailbox: Uuid, service: Service) -> Place {
    let column = match service {
        Service::Imap => "imap.secret",
        Service::Smtp => "smtp.secret",
    };
    Place {
        table: "mailbox_credentials",
        column,
        tenant,
        row: mailbox,
    }
}

/// A mailbox's login with its password opened.
pub async fn login(
    app: &App,
    tenant: TenantId,
    mailbox: Uuid,
    service: Service,
) -> Result<Option<ServerLogin>> {
    let Some(sealed) = app
        .store
        .read()
        .await?
        .get_login(tenant, mailbox, service)
        .await?
    else {
        return Ok(None);
    };
    let data_key = data_key(app, tenant).await?;
    let password = vault::open_secret(&data_key, place(tenant, mailbox, service), &sealed.secret)?;
    Ok(Some(ServerLogin {
        settings: sealed.settings,
        password,
    }))
}

async fn data_key(app: &App, tenant: TenantId) -> Result<Key> {
    let sealed = app
        .store
        .read()
        .await?
        .get_data_key(tenant)
        .await?
        .ok_or(Error::NotFound("tenant"))?;
    app.vault.open_data_key(tenant, &sealed)
}

/// True when a message is the owner's own: its author has the mailbox's address.
pub fn is_own(mailbox: &Mailbox, author: Option<&str>) -> bool {
    author.is_some_and(|author| address_key(author) == address_key(&mailbox.address))
}
