//! Figures of the whole database, for its operator: they count rows of any tenant.

use diesel::prelude::*;

use super::{
    Conn, on,
    types::{At, Id},
    unreadable,
};
use crate::model::{
    Result,
    id::TenantId,
    state::{Facts, Phase},
    webhook::Failing,
};

/// How many mailboxes share these facts.
#[derive(Queryable)]
pub(crate) struct FactsRow {
    enabled: bool,
    has_credentials: bool,
    connected_before: bool,
    phase: String,
    count: i64,
}

impl FactsRow {
    fn read(self) -> Result<(Facts, i64)> {
        let facts = Facts {
            retired: false,
            enabled: self.enabled,
            has_credentials: self.has_credentials,
            connected_before: self.connected_before,
            phase: Phase::parse(&self.phase).ok_or_else(|| unreadable("mailboxes.phase"))?,
        };
        Ok((facts, self.count))
    }
}

/// An endpoint that fails.
#[derive(Queryable)]
pub(crate) struct FailingRow {
    tenant_id: Id,
    id: Id,
    url: String,
    enabled: bool,
    failures: i32,
    failing_since: Option<At>,
}

impl Conn {
    /// How many mailboxes there are, by what their state depends on; deleted ones are left out.
    pub async fn count_mailboxes(&mut self) -> Result<Vec<(Facts, i64)>> {
        on!(self, figures::mailboxes())?
            .into_iter()
            .map(FactsRow::read)
            .collect()
    }

    /// The same of some tenants, for each.
    pub async fn count_mailboxes_of(&mut self, tenants: &[TenantId]) -> Result<Vec<(TenantId, Facts, i64)>> {
        let rows = on!(self, figures::mailboxes_of(tenants))?;
        let rows = rows.into_iter().map(|(tenant, row)| {
            let (facts, count) = row.read()?;
            Ok((TenantId(tenant.0), facts, count))
        });
        rows.collect()
    }

    /// How many messages wait for the full-text index, counted up to `most`.
    pub async fn count_unindexed(&mut self, most: i64) -> Result<i64> {
        on!(self, figures::unindexed(most))
    }

    /// How many deliveries wait for an attempt, counted up to `most`.
    pub async fn count_undelivered(&mut self, most: i64) -> Result<i64> {
        on!(self, figures::undelivered(most))
    }

    /// Of how many endpoints nothing but failures is known, counted up to `most`.
    pub async fn count_failing(&mut self, most: i64) -> Result<i64> {
        on!(self, figures::count_failing(most))
    }

    /// The endpoints that have failed for longest.
    pub async fn list_failing(&mut self, limit: i64) -> Result<Vec<Failing>> {
        let rows = on!(self, figures::list_failing(limit))?;
        let read = |row: FailingRow| {
            Some(Failing {
                tenant: TenantId(row.tenant_id.0),
                endpoint: row.id.0,
                url: row.url,
                enabled: row.enabled,
                failures: row.failures,
                since: row.failing_since?.0,
            })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
