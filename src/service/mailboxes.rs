//! Mailboxes: connect, list, change, disable, delete.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{App, barrier, journal, logins, vault::Key};
use crate::{
    model::{
        Error, Result,
        caller::{Caller, Visibility},
        error::{Conflict, FieldError},
        event::EventType,
        folder::Folder,
        id::{self, TenantId},
        mailbox::{
            Binding, Labels, Mailbox, MailboxFilter, MailboxPatch, NewMailbox, Rebind, ServerPatch, Service,
        },
        member::Member,
        message::address_key,
        page::{Page, PageRequest},
        patch::Patch,
        provider::Provider,
        scope::Scope,
        state::{Facts, Phase, Signal},
    },
    store::Conn,
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

/// Refuses, to a caller who wants to change it, a mailbox that is no account of a provider: an `imap` one, a retired
/// one, and one that the caller does not see are not found alike.
pub async fn require_account(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    caller.require(Scope::MailboxesWrite)?;
    let mut conn = app.store.read().await?;
    let found = conn
        .get_mailbox(caller.tenant_id, caller.visibility(), id)
        .await?;
    found
        .filter(|mailbox| mailbox.provider != Provider::Imap && !mailbox.facts.retired)
        .map(|_| ())
        .ok_or(Error::NotFound(RESOURCE))
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
    let data_key = logins::data_key(app, tenant).await?;
    let imap = logins::seal(&data_key, now, tenant, id, Service::Imap, &new.imap)?;
    let smtp = new
        .smtp
        .as_ref()
        .map(|smtp| logins::seal(&data_key, now, tenant, id, Service::Smtp, smtp))
        .transpose()?;
    let binding = new.binding;
    let mailbox = fresh(id, new, caller.member.clone(), now);
    let created = app
        .write_journal(tenant, move |tx, journal| {
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
                journal.of(&mailbox);
                journal.mailbox(EventType::MailboxCreated);
                Ok(mailbox)
            })
        })
        .await?;
    app.signals.wake_sync();
    Ok(created)
}

/// A mailbox as it is before its first connection, bound to nobody.
fn fresh(id: Uuid, new: NewMailbox, created_by: Option<Member>, now: DateTime<Utc>) -> Mailbox {
    Mailbox {
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
        created_by,
        binding: Binding::None,
        default_signature_html: new.default_signature_html,
        capabilities: Vec::new(),
        external_account_id: None,
        error: None,
        last_synced_at: None,
        sync_progress: None,
        backfilled_at: None,
        created_at: now,
        updated_at: now,
    }
}

/// Changes a mailbox.
///
/// Disabling moves the lease's epoch on in the same transaction, so that no write of the running sync passes the fence
/// after the answer, and then closes its connection. New credentials let dialling begin again.
pub async fn update(app: &App, caller: &Caller, id: Uuid, patch: MailboxPatch) -> Result<Mailbox> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let (now, shared) = (app.clock.now(), app.clock.shared());
    if let Some(labels) = patch.labels() {
        return relabel(app, caller, id, labels).await;
    }
    let data_key = sealing_key(app, tenant, &patch).await?;
    let (updated, restart) = app
        .write_journal(tenant, move |tx, journal| {
            Box::pin(async move {
                let before = bar(tx, tenant, seen, id, patch.enabled == Some(false)).await?;
                let mut mailbox = before.clone();
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
                let switched = switch(&mut mailbox, enabled);
                let relogin = imap.is_some();
                if let Some(patch) = imap {
                    change_imap(tx, data_key.as_ref(), now, tenant, &mut mailbox, patch).await?;
                }
                let changed = relogin || smtp.is_present() || mailbox != before;
                change_smtp(tx, data_key.as_ref(), now, tenant, id, smtp).await?;
                // From this event on they go to the new agent or team.
                journal.of(&mailbox);
                if changed {
                    mailbox.updated_at = now;
                    tx.update_mailbox(tenant, &mailbox).await?;
                    journal.mailbox(EventType::MailboxUpdated);
                    journal.state(before.state(), &mailbox);
                }
                if switched || relogin {
                    tx.revoke_lease(tenant, id).await?;
                }
                if switched && mailbox.facts.enabled {
                    tx.release_deliveries(tenant, id, shared).await?;
                }
                Ok((mailbox, switched || relogin))
            })
        })
        .await?;
    if restart {
        app.close(id);
        app.signals.wake_sync();
        app.signals.wake_deliver();
        if !updated.facts.enabled {
            barrier::settle(app, tenant, id).await?;
        }
    }
    Ok(updated)
}

/// Enables or disables a mailbox; answers whether that is a change.
fn switch(mailbox: &mut Mailbox, enabled: Option<bool>) -> bool {
    let Some(enabled) = enabled.filter(|enabled| *enabled != mailbox.facts.enabled) else {
        return false;
    };
    mailbox.facts.enabled = enabled;
    mailbox.facts.phase = mailbox.facts.phase.after(Signal::Closed);
    true
}

/// The change that is asked for most and concerns no connection: one trip to the database.
async fn relabel(app: &App, caller: &Caller, id: Uuid, labels: Labels) -> Result<Mailbox> {
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let now = app.clock.now();
    let event = journal::draft(EventType::MailboxUpdated);
    let relabelled = app
        .write_once(move |conn| {
            Box::pin(async move {
                conn.relabel_mailbox(tenant, seen, id, labels, (&event, now))
                    .await
            })
        })
        .await?;
    let (mailbox, changed) = relabelled.ok_or(Error::NotFound(RESOURCE))?;
    if changed {
        app.signals.wake_events(tenant);
    }
    Ok(mailbox)
}

/// The key that seals what belongs to the tenant, when the change brings a password or tokens.
async fn sealing_key(app: &App, tenant: TenantId, patch: &MailboxPatch) -> Result<Option<Key>> {
    let mut logins = patch.imap.iter().chain(patch.smtp.value());
    if logins.any(|login| login.secret.is_some()) {
        Ok(Some(logins::data_key(app, tenant).await?))
    } else {
        Ok(None)
    }
}

/// Retires a mailbox: its credentials are erased at once, its messages become tombstones, its connection closes.
pub async fn delete(app: &App, caller: &Caller, id: Uuid) -> Result<()> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let (now, shared) = (app.clock.now(), app.clock.shared());
    app.write_journal(tenant, move |tx, journal| {
        Box::pin(async move {
            let mailbox = bar(tx, tenant, seen, id, true).await?;
            // It stands for the end of every message of it.
            journal.of(&mailbox);
            journal.mailbox(EventType::MailboxDeleted);
            tx.revoke_lease(tenant, id).await?;
            tx.delete_messages_of(tenant, id, now).await?;
            // Those that waited for it to be enabled: they end when they are looked at.
            tx.release_deliveries(tenant, id, shared).await?;
            tx.retire_mailbox(tenant, id, now).await
        })
    })
    .await?;
    app.close(id);
    app.signals.wake_index();
    barrier::settle(app, tenant, id).await
}

/// Drops the connection, if there is one, and dials again at once, also after the credentials were refused.
pub async fn reconnect(app: &App, caller: &Caller, id: Uuid) -> Result<Mailbox> {
    caller.require(Scope::MailboxesWrite)?;
    let (tenant, seen) = (caller.tenant_id, caller.visibility());
    let now = app.clock.now();
    let mailbox = app
        .write_journal(tenant, move |tx, journal| {
            Box::pin(async move {
                let mut mailbox = lock(tx, tenant, seen, id).await?;
                let before = mailbox.state();
                mailbox.halted = false;
                mailbox.facts.phase = mailbox.facts.phase.after(Signal::Closed);
                mailbox.updated_at = now;
                tx.update_mailbox(tenant, &mailbox).await?;
                journal.of(&mailbox);
                journal.state(before, &mailbox);
                tx.revoke_lease(tenant, id).await?;
                // Whoever asks for this may have mended what kept messages from being stored.
                let folders = tx.list_folders(tenant, id).await?;
                let ids: Vec<Uuid> = folders.into_iter().map(|folder| folder.id).collect();
                tx.hasten_aside(tenant, &ids).await?;
                Ok(mailbox)
            })
        })
        .await?;
    app.close(id);
    app.signals.wake_sync();
    Ok(mailbox)
}

/// Sets, changes or takes away what mail is sent with.
async fn change_smtp(
    tx: &mut Conn,
    data_key: Option<&Key>,
    now: DateTime<Utc>,
    tenant: TenantId,
    id: Uuid,
    smtp: Patch<ServerPatch>,
) -> Result<()> {
    match smtp {
        Patch::Absent => Ok(()),
        Patch::Null => tx.delete_login(tenant, id, Service::Smtp).await,
        Patch::Value(patch) => {
            let login = logins::merge(tx, data_key, now, tenant, id, Service::Smtp, patch).await?;
            tx.set_login(tenant, id, Service::Smtp, &login).await
        }
    }
}

/// Stores new settings or credentials of the server where mail is read; dialling may begin again.
async fn change_imap(
    tx: &mut Conn,
    data_key: Option<&Key>,
    now: DateTime<Utc>,
    tenant: TenantId,
    mailbox: &mut Mailbox,
    patch: ServerPatch,
) -> Result<()> {
    let before = tx.get_login(tenant, mailbox.id, Service::Imap).await?;
    let login = logins::merge(tx, data_key, now, tenant, mailbox.id, Service::Imap, patch).await?;
    // A provider that was recognised from the host follows the host; one that was given stays.
    let given = before.is_some_and(|login| Provider::of_host(&login.settings.host) != mailbox.provider);
    if !given {
        mailbox.provider = Provider::of_host(&login.settings.host);
    }
    tx.set_login(tenant, mailbox.id, Service::Imap, &login).await?;
    mailbox.facts.has_credentials = true;
    mailbox.halted = false;
    Ok(())
}

/// A mailbox that can be changed: one that the caller sees and that is not retired, its row locked.
async fn lock(tx: &mut Conn, tenant: TenantId, seen: Visibility, id: Uuid) -> Result<Mailbox> {
    let found = tx.lock_mailbox(tenant, seen, id).await?;
    found
        .filter(|mailbox| !mailbox.facts.retired)
        .ok_or(Error::NotFound(RESOURCE))
}

/// The same, with the barrier before it where the mailbox is about to be disabled or deleted.
async fn bar(tx: &mut Conn, tenant: TenantId, seen: Visibility, id: Uuid, bars: bool) -> Result<Mailbox> {
    if bars {
        tx.bar_mailbox(tenant, id).await?;
    }
    lock(tx, tenant, seen, id).await
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

/// True when a message is the owner's own: its author has the mailbox's address.
pub fn is_own(mailbox: &Mailbox, author: Option<&str>) -> bool {
    author.is_some_and(|author| address_key(author) == address_key(&mailbox.address))
}
