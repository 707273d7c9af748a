//! The queries, in plain Diesel: compiled once as a module of `pg.rs` and once of `sqlite.rs`.
//!
//! Every list is a keyset page over an index that begins with the tenant. What differs between the databases is a
//! macro or a function of the file above. No rule of the domain may live here.

pub(crate) mod agents;
pub(crate) mod arrivals;
pub(crate) mod attachments;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod folders;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod mailboxes;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod moves;
pub(crate) mod nodes;
pub(crate) mod placements;
pub(crate) mod quarantine;
pub(crate) mod search;
pub(crate) mod sweep;
pub(crate) mod tenants;
pub(crate) mod threads;
pub(crate) mod webhooks;

use uuid::Uuid;

use super::{
    BOTH, Backend, Connection, advisory_lock, append_events, find_messages, find_refs, lock_threads, padded,
    place, plan_anew, plan_once, relabel, render, try_advisory_lock, write_words,
};
use crate::store::types::Id;

/// Ids as a statement names them.
fn ids(ids: &[Uuid]) -> Vec<Id> {
    padded(&ids.iter().copied().map(Id).collect::<Vec<_>>())
}

/// Orders a boxed query newest first and cuts it to one row beyond the page, which tells whether more follow.
macro_rules! paged {
    ($query:expr, $at:expr, $id:expr, $page:expr) => {{
        use $crate::store::types::{At, Id};
        let mut query = $query;
        if let Some(after) = $page.after {
            query = query.filter(
                $at.le(At(after.at))
                    .and($at.lt(At(after.at)).or($id.lt(Id(after.id)))),
            );
        }
        $crate::store::statement::Limited::new(
            query.order(($at.desc(), $id.desc())),
            i64::from($page.limit) + 1,
        )
    }};
}
use paged;
