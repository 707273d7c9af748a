//! The demo mailbox: made-up but realistic conversations of one Avery Stone, in many languages and forms.
//!
//! Pure: the same `now` gives the same bytes. What must not live here: the server, and anything of the gateway.

mod bulk;
mod languages;
mod letter;
mod live;
mod travel;
mod work;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use super::{Error, Sandbox};
use letter::{Letter, Thread};

pub use live::next_message;

/// The name of the mailbox's owner.
pub const OWNER: &str = "Avery Stone";
/// The address of the mailbox's owner.
pub const ADDRESS: &str = "avery@sandbox.example";
/// A folder below another, with a name that is not ASCII.
pub const PROJECT_FOLDER: &str = "Projekte/Übersicht";

/// Fills an account with the story, oldest first; answers how many messages it has now got. Dates lie in the 60 days
/// before `now`. Mail is addressed to [`ADDRESS`], whatever the user name.
///
/// # Errors
/// [`Error::NoAccount`]; [`Error::Full`]; [`Error::NoFolder`] when one of the first folders was deleted.
pub fn populate(sandbox: &Sandbox, username: &str, now: DateTime<Utc>) -> Result<usize, Error> {
    match sandbox.create_folder(username, PROJECT_FOLDER) {
        Ok(()) | Err(Error::FolderExists) => {}
        Err(error) => return Err(error),
    }
    let letters = letters(now);
    for letter in &letters {
        sandbox.append(username, letter.folder, &letter.flags, letter.date, &letter.raw)?;
    }
    Ok(letters.len())
}

/// Every message of the story, by date.
fn letters(now: DateTime<Utc>) -> Vec<Letter> {
    let threads = [
        work::threads(now),
        travel::threads(),
        languages::threads(),
        bulk::threads(),
    ];
    let mut letters: Vec<Letter> = threads
        .iter()
        .flatten()
        .flat_map(|t: &Thread| t.letters(now))
        .collect();
    letters.sort_by_key(|letter| letter.date);
    letters
}
