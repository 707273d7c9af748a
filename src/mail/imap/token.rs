//! Tokens of one response. The tokeniser never fails: what it does not understand it reads as well as it can.

use std::borrow::Cow;

use super::frame::Raw;

/// How deep lists may nest; what lies deeper is skipped.
const MAX_DEPTH: usize = 8;

/// One value of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// An atom, as it is written; `NIL` is one.
    Atom(&'r [u8]),
    /// A quoted string or a literal.
    Text(Cow<'r, [u8]>),
    /// The streamed literal with this place among the response's streamed literals.
    Streamed(usize),
    /// A parenthesised list.
    List(Vec<Value<'r>>),
}

impl<'r> Value<'r> {
    /// The bytes of an atom or a string, `None` for NIL and for lists.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(atom) if atom.eq_ignore_ascii_case(b"NIL") => None,
            Self::Atom(atom) => Some(atom),
            Self::Text(text) => Some(text),
            Self::Streamed(_) | Self::List(_) => None,
        }
    }

    /// The same as text; bytes that are not UTF-8 are replaced.
    pub(super) fn string(&self) -> Option<String> {
        self.bytes()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A number.
    pub(super) fn number(&self) -> Option<u64> {
        parse_number(self.bytes()?)
    }

    /// The values of a list; none for anything else.
    pub(super) fn items(&self) -> &[Value<'r>] {
        match self {
            Self::List(items) => items,
            Self::Atom(_) | Self::Text(_) | Self::Streamed(_) => &[],
        }
    }
}

/// A decimal number without sign.
pub(super) fn parse_number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Walks through a response.
#[derive(Debug)]
pub(super) struct Cursor<'r> {
    raw: &'r Raw,
    at: usize,
    /// How many literals lie before `at`, and how many of them were streamed.
    literal: usize,
    streamed: usize,
}

impl<'r> Cursor<'r> {
    pub(super) const fn new(raw: &'r Raw) -> Self {
        Self {
            raw,
            at: 0,
            literal: 0,
            streamed: 0,
        }
    }

    /// What is left of the text, literals included.
    pub(super) fn rest(&self) -> &'r [u8] {
        self.raw.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.raw.text.get(self.at).copied()
    }

    fn at_literal(&self) -> bool {
        self.raw
            .literals
            .get(self.literal)
            .is_some_and(|span| span.start == self.at)
    }

    fn spaces(&mut self) {
        while !self.at_literal() && self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// The next word up to a space, upper-cased: the name of a response or of an item.
    pub(super) fn word(&mut self) -> Option<Vec<u8>> {
        match self.value()? {
            Value::Atom(word) => Some(word.to_ascii_uppercase()),
            Value::Text(_) | Value::Streamed(_) | Value::List(_) => None,
        }
    }

    /// Steps into a list if one comes next.
    pub(super) fn open(&mut self) -> bool {
        self.spaces();
        let open = !self.at_literal() && self.peek() == Some(b'(');
        if open {
            self.at += 1;
        }
        open
    }

    /// The next value; `None` at the end of the list or of the response.
    pub(super) fn value(&mut self) -> Option<Value<'r>> {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: usize) -> Option<Value<'r>> {
        self.spaces();
        if self.at_literal() {
            return self.take_literal();
        }
        match self.peek()? {
            b')' => None,
            b'"' => Some(self.quoted()),
            b'(' => {
                self.at += 1;
                let mut items = Vec::new();
                if depth < MAX_DEPTH {
                    while let Some(item) = self.value_at(depth + 1) {
                        items.push(item);
                    }
                    self.close();
                } else {
                    self.skip_list();
                }
                Some(Value::List(items))
            }
            _ => Some(Value::Atom(self.atom())),
        }
    }

    /// Reads over the `)` at which a list ended, if it did not end with the response.
    fn close(&mut self) {
        if !self.at_literal() && self.peek() == Some(b')') {
            self.at += 1;
        }
    }

    /// Skips to the end of the list that was just opened.
    fn skip_list(&mut self) {
        let mut open = 1_usize;
        while open > 0 {
            if self.at_literal() {
                self.take_literal();
                continue;
            }
            match self.peek() {
                None => return,
                Some(b'"') => {
                    self.quoted();
                    continue;
                }
                Some(b'(') => open += 1,
                Some(b')') => open -= 1,
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    fn take_literal(&mut self) -> Option<Value<'r>> {
        let span = self.raw.literals.get(self.literal)?;
        self.literal += 1;
        if span.streamed {
            self.streamed += 1;
            return Some(Value::Streamed(self.streamed - 1));
        }
        self.at = span.end;
        Some(Value::Text(Cow::Borrowed(
            self.raw.text.get(span.start..span.end).unwrap_or_default(),
        )))
    }

    /// A quoted string; one that is not closed ends with the response or before the next literal.
    fn quoted(&mut self) -> Value<'r> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        while !self.at_literal() {
            let Some(byte) = self.peek() else { break };
            let read = self.raw.text.get(start..self.at).unwrap_or_default();
            self.at += 1;
            let byte = match byte {
                b'"' => {
                    return Value::Text(unescaped.map_or(Cow::Borrowed(read), Cow::Owned));
                }
                b'\\' if !self.at_literal() => {
                    unescaped.get_or_insert_with(|| read.to_vec());
                    let escaped = self.peek();
                    self.at += usize::from(escaped.is_some());
                    escaped.unwrap_or(b'\\')
                }
                byte => byte,
            };
            if let Some(text) = &mut unescaped {
                text.push(byte);
            }
        }
        let read = self.raw.text.get(start..self.at).unwrap_or_default();
        Value::Text(unescaped.map_or(Cow::Borrowed(read), Cow::Owned))
    }

    /// An atom. The section of `BODY[…]` belongs to it, with the spaces and lists inside.
    fn atom(&mut self) -> &'r [u8] {
        let start = self.at;
        let mut in_section = false;
        while !self.at_literal() {
            let Some(byte) = self.peek() else { break };
            match byte {
                b'[' if !in_section => {
                    let name = self.raw.text.get(start..self.at).unwrap_or_default();
                    in_section = [&b"BODY"[..], b"BINARY", b"BINARY.SIZE"]
                        .iter()
                        .any(|known| name.eq_ignore_ascii_case(known));
                }
                b']' => in_section = false,
                b' ' | b'(' | b')' | b'"' if !in_section && self.at > start => break,
                _ => {}
            }
            self.at += 1;
        }
        self.raw.text.get(start..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::frame::{Event, Framer},
        *,
    };

    fn raw(bytes: &[u8]) -> Raw {
        let mut input = bytes;
        let mut framer = Framer::new();
        loop {
            if let Event::Response(raw) = framer.next(&mut input).unwrap().unwrap() {
                return raw;
            }
        }
    }

    fn text(bytes: &[u8]) -> Value<'_> {
        Value::Text(Cow::Borrowed(bytes))
    }

    #[test]
    fn values_of_every_kind() {
        let raw = raw(b"* X atom \"quo\\\"ted\" {3}\r\nli) (a (b \"c\") {0}\r\n) NIL \"open\r\n");
        let mut cursor = Cursor::new(&raw);
        assert_eq!(cursor.word(), Some(b"*".to_vec()));
        assert_eq!(cursor.word(), Some(b"X".to_vec()));
        assert_eq!(cursor.value(), Some(Value::Atom(b"atom")));
        assert_eq!(cursor.value(), Some(text(b"quo\"ted")));
        assert_eq!(cursor.value(), Some(text(b"li)")));
        let inner = Value::List(vec![Value::Atom(b"b"), text(b"c")]);
        assert_eq!(
            cursor.value(),
            Some(Value::List(vec![Value::Atom(b"a"), inner, text(b"")]))
        );
        assert_eq!(cursor.value().unwrap().bytes(), None);
        assert_eq!(cursor.value(), Some(text(b"open")));
        assert_eq!(cursor.value(), None);
    }

    #[test]
    fn sections_belong_to_their_name_and_other_brackets_do_not() {
        let raw = raw(b"* 1 FETCH (BODY[HEADER.FIELDS (DATE \"TO\")] {2}\r\nab X [Gmail]/A b[c d])\r\n");
        let mut cursor = Cursor::new(&raw);
        cursor.word();
        assert_eq!(cursor.value().unwrap().number(), Some(1));
        assert_eq!(cursor.word(), Some(b"FETCH".to_vec()));
        assert!(cursor.open());
        assert_eq!(
            cursor.value(),
            Some(Value::Atom(b"BODY[HEADER.FIELDS (DATE \"TO\")]"))
        );
        assert_eq!(cursor.value(), Some(Value::Streamed(0)));
        for atom in [&b"X"[..], b"[Gmail]/A", b"b[c", b"d]"] {
            assert_eq!(cursor.value(), Some(Value::Atom(atom)));
        }
        assert_eq!(cursor.value(), None);
    }

    #[test]
    fn deep_lists_are_skipped_not_followed() {
        let line = [
            b"* ".as_slice(),
            &b"(".repeat(200_000),
            b"x ) \")\" ",
            &b")".repeat(199_998),
            b" y\r\n",
        ]
        .concat();
        let raw = raw(&line);
        let mut cursor = Cursor::new(&raw);
        cursor.word();
        while cursor.value().is_some() {}
    }

    proptest! {
        #[test]
        fn any_text_ends(mut line in proptest::collection::vec(
            prop_oneof![Just(b'('), Just(b')'), Just(b'"'), Just(b'\\'), Just(b'['), Just(b' '), any::<u8>()], 0..60
        )) {
            line.retain(|byte| *byte != b'\n');
            line.push(b'\n');
            let raw = Raw { text: line, literals: Vec::new() };
            let mut cursor = Cursor::new(&raw);
            for _ in 0..200 {
                if cursor.value().is_none() && cursor.rest().is_empty() {
                    break;
                }
            }
        }
    }
}
