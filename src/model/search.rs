//! Full-text search: the words of a text, and what a caller asks for, in one form for both databases.
//!
//! The text is cut into words here, not in the database, so that both find the same. An index over the
//! output of [`words`] needs a tokeniser that cuts at spaces alone: `tokenize = 'ascii'` in FTS5, the
//! `simple` configuration in `PostgreSQL`.

use std::fmt::Write;

use unicode_normalization::UnicodeNormalization;

/// At most this many bytes of words are made of a text: `PostgreSQL` refuses an index entry over 1 MiB.
pub const MAX_WORDS: usize = 256 * 1024;
/// A word is cut to this many characters: what is longer is an encoding, not a word.
pub const MAX_WORD_CHARS: usize = 64;
/// A query has at most this many terms.
pub const MAX_TERMS: usize = 32;
/// A query has at most this many characters.
pub const MAX_QUERY_CHARS: usize = 1_000;

/// The words of a text, joined by single spaces, at most [`MAX_WORDS`] bytes.
///
/// Compatibility forms are made equal (NFKC), case and diacritics are removed, words are runs of letters and
/// digits, and each character of a script that is written without spaces is a word of its own.
pub fn words(text: &str) -> String {
    let mut words = Words::default();
    // No form of Unicode reaches over white space, and most runs between it are ASCII, which is its own form.
    for run in text.split_ascii_whitespace() {
        words.length = 0;
        let complete = if run.is_ascii() {
            run.bytes()
                .try_for_each(|byte| words.push(char::from(byte.to_ascii_lowercase())))
        } else {
            folded(run).try_for_each(|char| words.push(char))
        };
        if complete.is_none() {
            break;
        }
    }
    words.out
}

/// Words that are being cut.
#[derive(Default)]
struct Words {
    out: String,
    /// How many characters the last word has; 0 when the next character begins a new one.
    length: usize,
}

impl Words {
    /// Takes the next character; `None` when there is no room for it.
    fn push(&mut self, char: char) -> Option<()> {
        if !is_word(char) {
            self.length = 0;
            return Some(());
        }
        let alone = stands_alone(char);
        if alone || self.length == 0 {
            if self.out.len() + 1 + char.len_utf8() > MAX_WORDS {
                return None;
            }
            if !self.out.is_empty() {
                self.out.push(' ');
            }
            self.out.push(char);
            self.length = usize::from(!alone);
        } else if self.length < MAX_WORD_CHARS {
            if self.out.len() + char.len_utf8() > MAX_WORDS {
                return None;
            }
            self.out.push(char);
            self.length += 1;
        }
        Some(())
    }
}

/// Decomposed, in lower case, without diacritics, composed again.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkd()
        .flat_map(char::to_lowercase)
        .map(|char| if char == 'ς' { 'σ' } else { char })
        .filter(|char| !is_diacritic(*char))
        .nfkd()
        .nfc()
}

/// The marks that readers leave out. Vowel signs of Indic scripts and the voicing marks of kana make other
/// words and stay.
fn is_diacritic(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}'
        | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || (!char.is_ascii() && unicode_normalization::char::is_combining_mark(char))
}

/// Han, kana, Hangul, Thai, Lao, Khmer and Burmese.
fn stands_alone(char: char) -> bool {
    matches!(u32::from(char),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x2e80..=0x2fdf | 0x3005..=0x3007
        | 0x3021..=0x3029 | 0x3031..=0x3035 | 0x3038..=0x30ff | 0x3100..=0x31ff | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xa960..=0xa97f | 0xac00..=0xd7ff | 0xf900..=0xfaff | 0x1_b000..=0x1_b16f
        | 0x2_0000..=0x3_ffff)
}

/// Why a query cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It has no letter and no digit.
    #[error("the query has no word to search for")]
    Empty,
    /// It has more than [`MAX_TERMS`] terms.
    #[error("the query has more than {MAX_TERMS} terms")]
    TooManyTerms,
    /// It has more than [`MAX_QUERY_CHARS`] characters.
    #[error("the query is longer than {MAX_QUERY_CHARS} characters")]
    TooLong,
}

/// What a caller searches for: terms that must all be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Term>,
}

/// Words that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    words: Vec<String>,
    /// True when the last word is only the start of one.
    prefix: bool,
}

impl Query {
    /// Reads words, `"quoted phrases"` and `starts*`; every other sign separates words, and what hangs
    /// together by one (`e-mail`) or has no spaces (Chinese) is a phrase. A quote that is not closed ends with
    /// the query.
    ///
    /// # Errors
    /// When it has no word, or too many.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        if query.chars().count() > MAX_QUERY_CHARS {
            return Err(QueryError::TooLong);
        }
        let mut terms = Vec::new();
        // Between two quotes is a phrase; outside, white space separates.
        for (position, run) in query.split(['"', '“', '”', '„']).enumerate() {
            if position % 2 == 1 {
                terms.extend(Term::new(run, false));
                continue;
            }
            let mut run = run;
            // A star after a closing quote belongs to the phrase.
            if let Some(rest) = run.strip_prefix('*') {
                run = rest;
                if position > 0
                    && let Some(Term { prefix, .. }) = terms.last_mut()
                {
                    *prefix = true;
                }
            }
            terms.extend(
                run.split_whitespace()
                    .filter_map(|word| Term::new(word, word.ends_with('*'))),
            );
        }
        match terms.len() {
            0 => Err(QueryError::Empty),
            1..=MAX_TERMS => Ok(Self { terms }),
            _ => Err(QueryError::TooManyTerms),
        }
    }

    /// The right side of an FTS5 `MATCH`, of one column where one is named. Words are letters and digits in
    /// quotes, so nothing in them is syntax; to add a condition write `(…) AND (…)`.
    pub fn fts5(&self, column: Option<&str>) -> String {
        let terms: Vec<String> = self
            .terms
            .iter()
            .map(|term| {
                format!(
                    "\"{}\"{}",
                    term.words.join(" "),
                    if term.prefix { " *" } else { "" }
                )
            })
            .collect();
        let all = terms.join(" AND ");
        column.map_or(all.clone(), |column| {
            format!("\"{}\" : ({all})", column.replace('"', "\"\""))
        })
    }

    /// The text of a `PostgreSQL` `tsquery`, for `to_tsquery('simple', …)` or a cast, of words that have one
    /// weight (`A` to `D`) where one is given.
    pub fn tsquery(&self, weight: Option<char>) -> String {
        let weight = weight.filter(|weight| matches!(weight, 'A'..='D'));
        let mut out = String::new();
        for (position, term) in self.terms.iter().enumerate() {
            if position > 0 {
                out.push_str(" & ");
            }
            for (place, word) in term.words.iter().enumerate() {
                if place > 0 {
                    out.push_str(" <-> ");
                }
                // A word has neither quote nor backslash, so it cannot end its quotes.
                let _ = write!(out, "'{word}'");
                let prefix = term.prefix && place + 1 == term.words.len();
                if prefix || weight.is_some() {
                    out.push(':');
                    out.extend(prefix.then_some('*'));
                    out.extend(weight);
                }
            }
        }
        out
    }
}

impl Term {
    fn new(text: &str, prefix: bool) -> Option<Self> {
        let words: Vec<String> = words(text)
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        (!words.is_empty()).then_some(Self { words, prefix })
    }
}

#[cfg(test)]
mod tests;
