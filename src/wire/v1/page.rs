//! Lists: one page of rows, and the cursor of the next.

use poem_openapi::{Object, types::Example};
use serde::Serialize;

use super::{
    agent::{Agent, AgentRevision, Team, TeamRevision},
    api_key::ApiKey,
    delivery::WebhookDelivery,
    folder::Folder,
    mailbox::Mailbox,
    member::Member,
    message::MessageSummary,
    tenant::Tenant,
    thread::ThreadSummary,
    webhook::WebhookEndpoint,
};
use crate::model::{self, page::Page};

/// Writes the list of one type: its name is that of the row with `List` behind, so that clients have one type for each.
macro_rules! lists {
    ($($(#[$doc:meta])* $list:ident of $row:ident from $model:ty,)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Object)]
            #[oai(example)]
            pub struct $list {
                /// The rows of this page.
                pub data: Vec<$row>,
                /// Send it as `cursor` for the next page; null on the last page.
                #[oai(nullable)]
                pub next_cursor: Option<String>,
            }

            impl From<Page<$model>> for $list {
                fn from(page: Page<$model>) -> Self {
                    let Page { data, next } = page;
                    Self {
                        data: data.into_iter().map(Into::into).collect(),
                        next_cursor: next.map(model::page::Position::to_cursor),
                    }
                }
            }

            impl Example for $list {
                fn example() -> Self {
                    Self { data: vec![Example::example()], next_cursor: None }
                }
            }
        )*
    };
}

lists! {
    /// A page of tenants, newest first.
    TenantList of Tenant from model::tenant::Tenant,
    /// A page of members, newest first.
    MemberList of Member from model::member::Member,
    /// A page of API keys, newest first.
    ApiKeyList of ApiKey from model::key::ApiKey,
    /// A page of agents, newest first.
    AgentList of Agent from model::agent::Agent,
    /// A page of an agent's revisions, newest first.
    AgentRevisionList of AgentRevision from model::agent::Revision,
    /// A page of teams, newest first.
    TeamList of Team from model::agent::Agent,
    /// A page of a team's revisions, newest first.
    TeamRevisionList of TeamRevision from model::agent::Revision,
    /// A page of mailboxes, newest first.
    #[derive(Serialize)]
    MailboxList of Mailbox from model::mailbox::Mailbox,
    /// A page of webhook endpoints, newest first.
    WebhookEndpointList of WebhookEndpoint from model::webhook::Endpoint,
    /// A page of webhook deliveries, newest first.
    WebhookDeliveryList of WebhookDelivery from model::webhook::Delivery,
    /// The folders of a mailbox.
    FolderList of Folder from model::folder::Folder,
    /// A page of messages without text and HTML, newest first.
    #[derive(Serialize)]
    MessageList of MessageSummary from model::message::Message,
    /// A page of threads without their messages, newest first.
    #[derive(Serialize)]
    ThreadList of ThreadSummary from model::message::Thread,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::page::Position;

    #[test]
    fn the_cursor_of_the_next_page_reads_back() {
        let next = Position {
            at: chrono::DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(7),
        };
        let list = MemberList::from(Page {
            data: Vec::new(),
            next: Some(next),
        });
        assert_eq!(
            list.next_cursor.as_deref().and_then(Position::from_cursor),
            Some(next)
        );
        assert_eq!(
            MemberList::from(Page {
                data: Vec::new(),
                next: None
            })
            .next_cursor,
            None
        );
    }
}
