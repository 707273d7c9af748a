//! The processes that share a database: how one joins them under a name of its own, and how they wake one another.
//!
//! What one process tells another only hastens: each looks in the store by itself every few seconds, and takes no word of
//! another's for the truth.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{App, signals::Nudge};
use crate::{
    model::{
        Error, Result,
        id::{self, TenantId},
        lease::Node,
    },
    store::{Conn, Listener},
};

/// So many processes share a database at most; further ones are not counted.
pub(super) const MOST: i64 = 1_000;
/// So many processes of one machine are told apart.
const NAMES: usize = 64;
/// So many nudges are told at once: PostgreSQL takes 8,000 bytes.
const AT_ONCE: usize = 100;

/// This process, among those that share its database.
pub struct Joined {
    /// Its name, which no other living process has, and which stays over restarts where it can.
    pub name: String,
    /// How it hears the others; `None` where there are none.
    pub line: Option<Line>,
}

/// The line between the processes of one database.
pub struct Line {
    listener: Listener,
    outbox: mpsc::Receiver<Nudge>,
    name: String,
    /// Tells what this process said from what others did.
    id: Uuid,
}

#[derive(Serialize, Deserialize)]
struct Said {
    from: Uuid,
    nudges: Vec<Nudge>,
}

/// Joins the processes of the database under `name`, or under `name#2` and so on while another process lives under it.
pub async fn join(app: &App, name: String) -> Result<Joined> {
    let Some(mut listener) = app.store.listen().await? else {
        return Ok(Joined { name, line: None });
    };
    let name = take_name(&mut listener, name).await?;
    let line = Line {
        listener,
        outbox: app.signals.connect(),
        name: name.clone(),
        id: id::new(),
    };
    // Those who were alone learn that they are not any more.
    line.say(app, vec![Nudge::Sync]).await?;
    Ok(Joined {
        name,
        line: Some(line),
    })
}

/// The lock goes with the connection, and so with the process however it ends.
async fn take_name(listener: &mut Listener, name: String) -> Result<String> {
    for number in 1..=NAMES {
        let tried = if number == 1 {
            name.clone()
        } else {
            format!("{name}#{number}")
        };
        if listener.take_name(&tried).await? {
            return Ok(tried);
        }
    }
    Err(Error::internal(format!(
        "{NAMES} processes already share the database under the name {name}: set POSTROOM_LISTEN apart"
    )))
}

/// The processes that share the database; none for the embedded one.
pub(super) async fn list(app: &App, conn: &mut Conn) -> Result<Vec<Node>> {
    if app.store.is_embedded() {
        return Ok(Vec::new());
    }
    conn.list_nodes(MOST).await
}

/// Says that a process that syncs no mailbox lives.
pub async fn attend(app: &App, name: &str) -> Result<()> {
    let node = Node {
        name: name.to_owned(),
        worker: false,
        held: 0,
    };
    let nodes = app.write(move |tx| {
        Box::pin(async move {
            tx.save_node(&node).await?;
            tx.list_nodes(MOST).await
        })
    });
    app.signals.set_alone(nodes.await?.len() <= 1);
    Ok(())
}

/// Says that a process ends, so that the others take over what it held without waiting for it.
pub async fn leave(app: &App, name: &str) -> Result<()> {
    let name = name.to_owned();
    app.write(move |tx| Box::pin(async move { tx.delete_node(&name).await }))
        .await?;
    app.signals.tell(Nudge::Sync);
    Ok(())
}

/// What a line has to do next.
pub enum Turn {
    /// Another process said this.
    Heard(String),
    /// This process has this to say.
    Say(Vec<Nudge>),
}

impl Line {
    /// Waits for something to do; dropped before, it has lost nothing.
    pub async fn next(&mut self) -> Result<Turn> {
        let mut nudges = Vec::new();
        tokio::select! {
            heard = self.listener.next() => heard.map(Turn::Heard),
            // Its other end lives as long as the app.
            _ = self.outbox.recv_many(&mut nudges, AT_ONCE) => Ok(Turn::Say(nudges)),
        }
    }

    /// Does it. What cannot be said now is left unsaid: the others find it in the store.
    pub async fn act(&self, app: &App, turn: Turn) -> Result<()> {
        match turn {
            Turn::Heard(said) => {
                self.hear(app, &said);
                Ok(())
            }
            Turn::Say(nudges) => self.say(app, nudges).await,
        }
    }

    fn hear(&self, app: &App, said: &str) {
        match serde_json::from_str::<Said>(said) {
            Ok(said) if said.from == self.id => {}
            Ok(said) => {
                app.signals.set_alone(false);
                for nudge in said.nudges {
                    app.hear(nudge);
                }
            }
            // Of another version, say: what it meant is seen in the store.
            Err(error) => tracing::debug!(%error, "what another node said is not understood"),
        }
    }

    /// Each thing once.
    async fn say(&self, app: &App, nudges: Vec<Nudge>) -> Result<()> {
        let once: HashSet<Nudge> = nudges.into_iter().collect();
        let said = Said {
            from: self.id,
            nudges: once.into_iter().collect(),
        };
        let said = serde_json::to_string(&said).map_err(Error::internal)?;
        app.store.read().await?.notify(&said).await
    }

    /// Says what this process still has to say at its end.
    pub async fn finish(&mut self, app: &App) -> Result<()> {
        let left = std::iter::from_fn(|| self.outbox.try_recv().ok());
        let left: Vec<Nudge> = left.take(AT_ONCE).collect();
        if left.is_empty() {
            return Ok(());
        }
        self.say(app, left).await
    }

    /// Asks whether the connection still works.
    pub async fn ping(&mut self) -> Result<()> {
        self.listener.ping().await
    }

    /// Connects anew. What was said meanwhile is not known, so everything is looked at.
    pub async fn reopen(&mut self, app: &App) -> Result<()> {
        if let Some(mut listener) = app.store.listen().await? {
            if !listener.take_name(&self.name).await? {
                tracing::warn!(node = %self.name, "another process has taken this node's name");
            }
            self.listener = listener;
        }
        app.signals.wake_all();
        Ok(())
    }
}

impl App {
    /// Does what another process says.
    fn hear(&self, nudge: Nudge) {
        match nudge {
            Nudge::Close(mailbox) => self.close_here(mailbox),
            Nudge::Sync => self.signals.sync_here(),
            Nudge::Deliver => self.signals.deliver_here(),
            Nudge::Events(tenant) => self.signals.events_here(TenantId(tenant)),
        }
    }
}
