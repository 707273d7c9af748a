//! Mailboxes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    Conn, members, on,
    schema::mailboxes,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Error, Result,
    agent::AgentKind,
    caller::Visibility,
    event::Draft,
    id::TenantId,
    mailbox::{Binding, ConnectionError, Labels, Mailbox, MailboxFilter, SyncProgress},
    member::Member,
    message::address_key,
    page::{Page, PageRequest, Position},
    provider::Provider,
    state::{Facts, Phase},
};

/// A row of `mailboxes`.
#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = mailboxes, treat_none_as_default_value = false)]
pub(crate) struct Row {
    id: Id,
    address: String,
    name: Option<String>,
    provider: String,
    enabled: bool,
    has_credentials: bool,
    phase: String,
    connected_before: bool,
    halted: bool,
    message_count: i64,
    created_by: Option<Id>,
    agent_id: Option<Id>,
    agent_revision_id: Option<Id>,
    team_id: Option<Id>,
    team_revision_id: Option<Id>,
    default_signature_html: Option<String>,
    capabilities: String,
    external_account_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_since: Option<At>,
    last_synced_at: Option<At>,
    sync_folder: Option<String>,
    sync_done: i64,
    sync_total: i64,
    retired_at: Option<At>,
    created_at: At,
    updated_at: At,
    backfilled_at: Option<At>,
}

/// The columns of `mailboxes` that a change may set; counters and progress are the sync's own.
#[derive(AsChangeset)]
#[diesel(table_name = mailboxes, treat_none_as_null = true)]
pub(crate) struct Changes {
    name: Option<String>,
    provider: String,
    enabled: bool,
    has_credentials: bool,
    phase: String,
    connected_before: bool,
    halted: bool,
    agent_id: Option<Id>,
    agent_revision_id: Option<Id>,
    team_id: Option<Id>,
    team_revision_id: Option<Id>,
    default_signature_html: Option<String>,
    capabilities: String,
    external_account_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_since: Option<At>,
    updated_at: At,
}

/// A change of a mailbox's labels, with the event that is written where it changes something.
pub(crate) struct Relabel {
    pub(crate) tenant: Id,
    /// The member who must have created it, if it must be one.
    pub(crate) seen: Option<Id>,
    pub(crate) mailbox: Id,
    pub(crate) labels: Labels,
    pub(crate) at: At,
    pub(crate) event: Id,
    pub(crate) kind: &'static str,
}

/// A row with the member who created it.
pub(crate) type Found = (Row, Option<members::Row>);

fn words(list: &[String]) -> Result<String> {
    serde_json::to_string(list).map_err(Error::internal)
}

impl Row {
    fn write(mailbox: &Mailbox) -> Result<Self> {
        let error = mailbox.error.as_ref();
        let binding = mailbox.binding;
        Ok(Self {
            id: mailbox.id.into(),
            address: mailbox.address.clone(),
            name: mailbox.name.clone(),
            provider: mailbox.provider.as_str().to_owned(),
            enabled: mailbox.facts.enabled,
            has_credentials: mailbox.facts.has_credentials,
            phase: mailbox.facts.phase.as_str().to_owned(),
            connected_before: mailbox.facts.connected_before,
            halted: mailbox.halted,
            message_count: mailbox.message_count,
            created_by: mailbox.created_by.as_ref().map(|member| Id(member.id)),
            agent_id: binding.id(AgentKind::Agent).map(Id),
            agent_revision_id: binding.revision_id(AgentKind::Agent).map(Id),
            team_id: binding.id(AgentKind::Team).map(Id),
            team_revision_id: binding.revision_id(AgentKind::Team).map(Id),
            default_signature_html: mailbox.default_signature_html.clone(),
            capabilities: words(&mailbox.capabilities)?,
            external_account_id: mailbox.external_account_id.clone(),
            error_code: error.map(|error| error.code.clone()),
            error_message: error.map(|error| error.message.clone()),
            error_since: error.map(|error| At(error.since)),
            last_synced_at: mailbox.last_synced_at.map(At),
            sync_folder: mailbox
                .sync_progress
                .as_ref()
                .map(|progress| progress.folder.clone()),
            sync_done: mailbox.sync_progress.as_ref().map_or(0, |progress| progress.done),
            sync_total: mailbox
                .sync_progress
                .as_ref()
                .map_or(0, |progress| progress.total),
            retired_at: None,
            created_at: mailbox.created_at.into(),
            updated_at: mailbox.updated_at.into(),
            backfilled_at: mailbox.backfilled_at.map(At),
        })
    }

    fn changes(self) -> Changes {
        Changes {
            name: self.name,
            provider: self.provider,
            enabled: self.enabled,
            has_credentials: self.has_credentials,
            phase: self.phase,
            connected_before: self.connected_before,
            halted: self.halted,
            agent_id: self.agent_id,
            agent_revision_id: self.agent_revision_id,
            team_id: self.team_id,
            team_revision_id: self.team_revision_id,
            default_signature_html: self.default_signature_html,
            capabilities: self.capabilities,
            external_account_id: self.external_account_id,
            error_code: self.error_code,
            error_message: self.error_message,
            error_since: self.error_since,
            updated_at: self.updated_at,
        }
    }

    pub(crate) const fn is_retired(&self) -> bool {
        self.retired_at.is_some()
    }

    pub(crate) const fn created_by(&self) -> Option<Id> {
        self.created_by
    }

    /// The agent or team that it is bound to.
    pub(crate) fn bound_to(&self) -> Option<Id> {
        self.agent_id.or(self.team_id)
    }

    /// Sets those labels that are given; true when one is another than before.
    pub(crate) fn relabel(&mut self, labels: Labels) -> bool {
        let before = self.labels();
        self.name = labels.name.apply(self.name.take());
        self.default_signature_html = labels
            .default_signature_html
            .apply(self.default_signature_html.take());
        self.labels() != before
    }

    /// Its name and its signature.
    pub(crate) fn labels(&self) -> (Option<String>, Option<String>) {
        (self.name.clone(), self.default_signature_html.clone())
    }

    fn binding(&self) -> Binding {
        let side = |kind, id: Option<Id>, revision: Option<Id>| {
            id.zip(revision).map(|(id, revision)| Binding::To {
                kind,
                id: id.0,
                revision_id: revision.0,
            })
        };
        side(AgentKind::Agent, self.agent_id, self.agent_revision_id)
            .or_else(|| side(AgentKind::Team, self.team_id, self.team_revision_id))
            .unwrap_or_default()
    }
}

fn found((row, member): Found) -> Result<Mailbox> {
    read(row, member.map(members::Row::read).transpose()?)
}

fn read(row: Row, created_by: Option<Member>) -> Result<Mailbox> {
    let error = row
        .error_code
        .as_ref()
        .zip(row.error_since)
        .map(|(code, since)| ConnectionError {
            code: code.clone(),
            message: row.error_message.clone().unwrap_or_default(),
            since: since.0,
        });
    Ok(Mailbox {
        id: row.id.into(),
        provider: Provider::parse(&row.provider).ok_or_else(|| unreadable("mailboxes.provider"))?,
        facts: Facts {
            retired: row.retired_at.is_some(),
            enabled: row.enabled,
            has_credentials: row.has_credentials,
            connected_before: row.connected_before,
            phase: Phase::parse(&row.phase).ok_or_else(|| unreadable("mailboxes.phase"))?,
        },
        halted: row.halted,
        message_count: row.message_count,
        created_by,
        binding: row.binding(),
        capabilities: serde_json::from_str(&row.capabilities)
            .map_err(|_| unreadable("mailboxes.capabilities"))?,
        error,
        last_synced_at: row.last_synced_at.map(DateTime::from),
        sync_progress: row.sync_folder.map(|folder| SyncProgress {
            folder,
            done: row.sync_done,
            total: row.sync_total,
        }),
        backfilled_at: row.backfilled_at.map(DateTime::from),
        address: row.address,
        name: row.name,
        default_signature_html: row.default_signature_html,
        external_account_id: row.external_account_id,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    })
}

impl Conn {
    /// Stores a new mailbox with its free lease; false when the address is connected already.
    pub async fn create_mailbox(&mut self, tenant: TenantId, mailbox: &Mailbox) -> Result<bool> {
        let row = Row::write(mailbox)?;
        on!(
            self,
            mailboxes::create(tenant, &row, &address_key(&mailbox.address))
        )
    }

    /// One mailbox that the caller sees, retired ones included.
    pub async fn get_mailbox(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Mailbox>> {
        on!(self, mailboxes::get(tenant, seen, id))?
            .map(found)
            .transpose()
    }

    /// The same, its row locked until the transaction ends.
    pub async fn lock_mailbox(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
    ) -> Result<Option<Mailbox>> {
        // Boxed: the futures of the sync, which lock a mailbox deep inside, would grow by the row.
        Box::pin(async move {
            let Some(row) = on!(&mut *self, mailboxes::lock(tenant, id))? else {
                return Ok(None);
            };
            if let Visibility::CreatedBy(member) = seen
                && row.created_by.map(Uuid::from) != Some(member)
            {
                return Ok(None);
            }
            self.with_creator(tenant, row).await.map(Some)
        })
        .await
    }

    /// The mailbox of a row, with the member who created it.
    pub(super) async fn with_creator(&mut self, tenant: TenantId, row: Row) -> Result<Mailbox> {
        let member = match row.created_by {
            None => None,
            Some(member) => self.get_member(tenant, member.into()).await?,
        };
        read(row, member)
    }

    /// The live mailbox with this address.
    pub async fn find_mailbox(&mut self, tenant: TenantId, address: &str) -> Result<Option<Uuid>> {
        Ok(on!(self, mailboxes::find(tenant, &address_key(address)))?.map(Uuid::from))
    }

    /// The mailboxes that the caller sees, newest first.
    pub async fn list_mailboxes(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        filter: &MailboxFilter,
        page: PageRequest,
    ) -> Result<Page<Mailbox>> {
        let rows = on!(self, mailboxes::list(tenant, seen, filter, page))?;
        let rows = rows.into_iter().map(found).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, page.limit, |mailbox| Position {
            at: mailbox.created_at,
            id: mailbox.id,
        }))
    }

    /// Stores what changed about a mailbox, except its counters and its progress.
    pub async fn update_mailbox(&mut self, tenant: TenantId, mailbox: &Mailbox) -> Result<()> {
        let changes = Row::write(mailbox)?.changes();
        on!(self, mailboxes::update(tenant, mailbox.id, &changes))
    }

    /// Stores the labels of a mailbox that the caller sees and that is not retired; answers what the mailbox then is, and
    /// whether that was a change. Only then `event` is written, with the next numbers. A transaction of its own.
    pub async fn relabel_mailbox(
        &mut self,
        tenant: TenantId,
        seen: Visibility,
        id: Uuid,
        labels: Labels,
        (event, now): (&Draft, DateTime<Utc>),
    ) -> Result<Option<(Mailbox, bool)>> {
        let change = Relabel {
            tenant: Id(tenant.0),
            seen: match seen {
                Visibility::All => None,
                Visibility::CreatedBy(member) => Some(Id(member)),
            },
            mailbox: Id(id),
            labels,
            at: At(now),
            event: Id(event.id),
            kind: event.kind.as_str(),
        };
        let Some((row, changed)) = on!(&mut *self, mailboxes::relabel(change))? else {
            return Ok(None);
        };
        let member = match row.created_by.map(Uuid::from) {
            None => None,
            Some(member) => self.get_member(tenant, member).await?,
        };
        Ok(Some((read(row, member)?, changed)))
    }

    /// Retires a mailbox and erases its logins.
    pub async fn retire_mailbox(&mut self, tenant: TenantId, id: Uuid, now: DateTime<Utc>) -> Result<()> {
        on!(self, mailboxes::retire(tenant, id, now))
    }

    /// Makes tombstones of every message of a mailbox.
    pub async fn delete_messages_of(
        &mut self,
        tenant: TenantId,
        mailbox: Uuid,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let live = on!(self, messages::live_of_mailbox(tenant, mailbox))?;
        // In the order in which everything queues messages, so that two transactions never wait for each other.
        let live: Vec<Uuid> = live
            .into_iter()
            .map(Uuid::from)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        self.queue_index(tenant, &live, now).await?;
        on!(self, messages::delete_of_mailbox(tenant, mailbox, now))
    }

    /// Adds to the count of a mailbox's messages.
    pub async fn add_message_count(&mut self, tenant: TenantId, id: Uuid, delta: i64) -> Result<()> {
        if delta == 0 {
            return Ok(());
        }
        on!(self, mailboxes::add_message_count(tenant, id, delta))
    }

    /// Stores how far a first sync has come; `None` when it is done.
    pub async fn set_progress(
        &mut self,
        tenant: TenantId,
        id: Uuid,
        progress: Option<&SyncProgress>,
    ) -> Result<()> {
        on!(self, mailboxes::set_progress(tenant, id, progress))
    }

    /// Stores that the first backfill is done.
    pub async fn end_backfill(&mut self, tenant: TenantId, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        on!(self, mailboxes::end_backfill(tenant, id, at))
    }

    /// Stores when a pass over the folders ended.
    pub async fn set_last_synced(&mut self, tenant: TenantId, id: Uuid, at: DateTime<Utc>) -> Result<()> {
        on!(self, mailboxes::set_last_synced(tenant, id, at))
    }
}
