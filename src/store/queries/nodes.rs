//! SQL for nodes. The database's clock decides who lives.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::{
    model::{Result, lease::Node},
    store::{leases::LEASE_SECONDS, nodes::Row, schema::nodes, statement::Limited},
};

/// After so many seconds the row of a node that ran out is deleted.
const FORGOTTEN: i64 = 24 * 60 * 60;

pub(crate) async fn save(conn: &mut Connection, node: &Node) -> Result<()> {
    let said = (
        nodes::worker.eq(node.worker),
        nodes::held.eq(node.held),
        nodes::until.eq(db_later!(LEASE_SECONDS)),
    );
    diesel::insert_into(nodes::table)
        .values((nodes::name.eq(&node.name), said.clone()))
        .on_conflict(nodes::name)
        .do_update()
        .set(said)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn list(conn: &mut Connection, limit: i64) -> Result<Vec<Row>> {
    let nodes = nodes::table
        .filter(nodes::until.gt(db_now!()))
        .select((nodes::name, nodes::worker, nodes::held))
        .order(nodes::until);
    Ok(Limited::new(nodes, limit).load(conn).await?)
}

pub(crate) async fn add_held(conn: &mut Connection, name: &str, more: i64) -> Result<()> {
    diesel::update(nodes::table.find(name))
        .set(nodes::held.eq(nodes::held + more))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn delete(conn: &mut Connection, name: &str) -> Result<()> {
    diesel::delete(nodes::table.find(name)).execute(conn).await?;
    diesel::delete(nodes::table.filter(nodes::until.lt(db_later!(-FORGOTTEN))))
        .execute(conn)
        .await?;
    Ok(())
}
