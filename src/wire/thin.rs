//! What a webhook is sent is thin in every form: long words and lists of an event are cut.

use crate::model::{Result, event::Event};

/// What an endpoint is sent has less than this many bytes.
pub const MAX_PAYLOAD: usize = 20_000;
/// How much of a subject, of a name and of an address is sent at most, in characters, and how many authors.
const MAX_SUBJECT: usize = 1_000;
const MAX_WORD: usize = 320;
const MAX_AUTHORS: usize = 10;

/// The body of a request about an event, less than [`MAX_PAYLOAD`] bytes of whatever `write` makes of an event that was cut.
pub(super) fn thin(mut event: Event, write: impl Fn(&Event) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut authors = MAX_AUTHORS;
    loop {
        let known = event.message.as_mut().and_then(|message| message.known.as_mut());
        if let Some(message) = known {
            message.from.truncate(authors);
            if let Some(subject) = &mut message.subject {
                cut(subject, MAX_SUBJECT);
            }
            for author in &mut message.from {
                cut(&mut author.address, MAX_WORD);
                if let Some(name) = &mut author.name {
                    cut(name, MAX_WORD);
                }
            }
        }
        let bytes = write(&event)?;
        if bytes.len() < MAX_PAYLOAD || authors == 0 {
            return Ok(bytes);
        }
        authors /= 2;
    }
}

/// Cuts a text to so many characters.
fn cut(text: &mut String, characters: usize) {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
}
