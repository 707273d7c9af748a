//! A message's words as the text of a PostgreSQL `tsvector`.
//!
//! PostgreSQL's own parser would cut words by the rules of the database's locale; these were cut in the model, alike for
//! both databases, and are written as they are.

use std::{collections::HashMap, fmt::Write};

use super::search::Words;

/// PostgreSQL knows no position behind this one: words that come later can be found, but not as a phrase.
const LAST_POSITION: u16 = 16_383;
/// PostgreSQL keeps this many positions of one word.
const MAX_POSITIONS: usize = 255;
/// How large a vector may grow, in bytes; PostgreSQL refuses one of 1 MiB. What is beyond cannot be found.
const MAX_BYTES: usize = 1_000_000;

/// The words with their positions and weights: A for the subject, B for names and addresses, C for the text.
///
/// A gap parts the fields, so that no phrase reaches from one into the next.
pub(super) fn write(words: &Words) -> String {
    let mut out = String::new();
    let mut position = 0;
    let mut bytes = 0;
    let mut counts = HashMap::<&str, usize>::new();
    for (weight, text) in [
        ('A', &words.subject),
        ('B', &words.participants),
        ('C', &words.body),
    ] {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let count = counts.entry(word).or_default();
            // A word is padded to two bytes and followed by the number of its positions; each takes two bytes.
            bytes += match *count {
                0 => word.len() + 5,
                1..MAX_POSITIONS => 2,
                _ => 0,
            };
            if bytes > MAX_BYTES {
                return out;
            }
            *count += 1;
            position = LAST_POSITION.min(position + 1);
            // A word is letters and digits: nothing in it ends its quotes.
            let _ = write!(out, "'{word}':{position}{weight} ");
        }
        position = LAST_POSITION.min(position + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(subject: &str, participants: &str, body: &str) -> Words {
        Words {
            subject: subject.to_owned(),
            participants: participants.to_owned(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn fields_are_weighted_and_apart() {
        assert_eq!(
            write(&words("new offer", "ann", "see offer")),
            "'new':1A 'offer':2A 'ann':4B 'see':6C 'offer':7C "
        );
        assert_eq!(write(&Words::default()), "");
    }

    #[test]
    fn a_vector_stays_below_the_limit() {
        let many: Vec<String> = (0..200_000).map(|number| format!("w{number}")).collect();
        let text = write(&words("", "", &many.join(" ")));
        let found = text.split(' ').filter(|word| !word.is_empty()).count();
        assert!((50_000..200_000).contains(&found), "{found} words");
        let again = write(&words("", "", &"again ".repeat(60_000)));
        assert_eq!(again.split_whitespace().count(), 60_000);
        assert!(again.ends_with("'again':16383C "));
    }
}
