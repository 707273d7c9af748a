//! Messages: lists that are narrowed and searched, one whole, and the raw bytes.

use uuid::Uuid;

use super::{App, attachments::Content};
use crate::{
    model::{
        Error, Result,
        caller::Caller,
        error::FieldError,
        message::{Message, MessageFilter},
        page::{Page, PageRequest},
        scope::Scope,
        search::Query,
    },
    store::StoredRaw,
};

const RESOURCE: &str = "message";
/// The header of a message that was stored without its body is at most this long, in bytes.
const MAX_HEADER: u64 = 1024 * 1024;

/// The messages that the caller sees, newest first.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: MessageFilter,
    page: PageRequest,
) -> Result<Page<Message>> {
    caller.require(Scope::MessagesRead)?;
    let mut faults = Vec::new();
    let words = parse("q", filter.q.as_deref(), &mut faults);
    let subject = parse("subject", filter.subject.as_deref(), &mut faults);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    app.store
        .read()
        .await?
        .list_messages(
            caller.tenant_id,
            caller.visibility(),
            &filter,
            (words.as_ref(), subject.as_ref()),
            page,
        )
        .await
}

fn parse(name: &str, text: Option<&str>, faults: &mut Vec<FieldError>) -> Option<Query> {
    match Query::parse(text?) {
        Ok(query) => Some(query),
        Err(error) => {
            faults.push(FieldError::query(name, format!("Not a search: {error}.")));
            None
        }
    }
}

/// One message, whole.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Message> {
    caller.require(Scope::MessagesRead)?;
    let found = app
        .store
        .read()
        .await?
        .get_message(caller.tenant_id, caller.visibility(), id)
        .await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

/// The bytes of a message as the server gave them (RFC 5322); of a truncated one, its header.
pub async fn raw(app: &App, caller: &Caller, id: Uuid) -> Result<Content> {
    caller.require(Scope::MessagesRead)?;
    let tenant = caller.tenant_id;
    let mut conn = app.store.read().await?;
    let found = conn.get_raw(tenant, caller.visibility(), id).await?;
    let (raw, size) = found.ok_or(Error::NotFound(RESOURCE))?;
    let StoredRaw::Blob(sha256) = &raw else {
        return Content::of_raw(app, tenant, raw, size);
    };
    let found = conn.get_messages(tenant, &[id], false).await?;
    drop(conn);
    if !found.first().is_some_and(|message| message.truncated) {
        return Content::of_raw(app, tenant, raw, size);
    }
    let header = app.blobs.get_range(tenant, sha256, 0..MAX_HEADER).await?;
    Ok(Content::of_bytes(header))
}
