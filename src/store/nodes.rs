//! The nodes that share the database. They belong to no tenant.

use diesel::prelude::*;

use super::{Conn, on};
use crate::model::{Result, lease::Node};

/// A row of `nodes` that has not run out.
#[derive(Queryable)]
pub(crate) struct Row {
    name: String,
    worker: bool,
    held: i64,
}

impl From<Row> for Node {
    fn from(row: Row) -> Self {
        let Row { name, worker, held } = row;
        Self { name, worker, held }
    }
}

impl Conn {
    /// Says that a node lives, for as long as a lease lasts.
    pub async fn save_node(&mut self, node: &Node) -> Result<()> {
        on!(self, nodes::save(node))
    }

    /// The nodes that live: at most so many.
    pub async fn list_nodes(&mut self, limit: i64) -> Result<Vec<Node>> {
        Ok(on!(self, nodes::list(limit))?
            .into_iter()
            .map(Into::into)
            .collect())
    }

    /// Notes that a node took so many leases more.
    pub async fn add_held(&mut self, name: &str, more: i64) -> Result<()> {
        on!(self, nodes::add_held(name, more))
    }

    /// Forgets a node that ends, and those that ran out a day ago.
    pub async fn delete_node(&mut self, name: &str) -> Result<()> {
        on!(self, nodes::delete(name))
    }
}
