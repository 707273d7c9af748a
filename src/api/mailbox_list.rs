//! The whole list of mailboxes, for the dialects whose lists have no pages.

use super::auth::Call;
use crate::{
    model::{
        Result,
        mailbox::{Mailbox, MailboxFilter},
        page::PageRequest,
    },
    service::mailboxes,
};

/// A list without pages has at most this many mailboxes, the newest ones.
const MAX: usize = 1_000;

/// The mailboxes that the caller sees, newest first, at most [`MAX`].
pub(super) async fn whole(call: &Call, include_retired: bool) -> Result<Vec<Mailbox>> {
    let (mut found, mut page) = (Vec::new(), PageRequest::first());
    loop {
        let filter = MailboxFilter {
            include_retired,
            ..MailboxFilter::default()
        };
        let rows = mailboxes::list(&call.app, call.caller()?, filter, page).await?;
        found.extend(rows.data);
        match rows.next {
            Some(next) if found.len() < MAX => page.after = Some(next),
            Some(_) | None => break,
        }
    }
    found.truncate(MAX);
    Ok(found)
}
