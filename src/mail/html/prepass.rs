//! The linear pass before the sanitiser: known tags, written anew, nested to a limit.

use std::collections::HashSet;

use super::MAX_DEPTH;

/// At most this many tags are kept; the text of the rest stays.
const MAX_TAGS: usize = 50_000;
/// At most this many elements may be open that the parser opens again by itself: were one left open, it would
/// be copied into every paragraph that follows.
const MAX_FORMATTING: usize = 12;

/// A text longer than this is broken with `<wbr>`: the writer looks for the next `<` at every `&`, to the end
/// of the text.
const MAX_RUN: usize = 4_096;
/// Attributes with more characters to escape than this are dropped, for the same reason.
const MAX_ESCAPES: usize = 1_000;

const VOID: [&str; 7] = ["area", "br", "col", "hr", "img", "wbr", "input"];
/// Elements whose content is not shown and is not HTML.
const HIDDEN: [&str; 11] = [
    "script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp", "template", "object",
    "applet",
];
const FORMATTING: [&str; 12] = [
    "a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "u",
];
/// Elements that end tags do not reach through (HTML, 13.2.4.2).
const SCOPES: [&str; 4] = ["table", "td", "th", "caption"];

/// Start tags that end an open paragraph.
const ENDS_PARAGRAPH: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "li",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "ul",
];

/// One piece of HTML.
enum Piece<'a> {
    Text(&'a str),
    Start { name: String, attributes: &'a str },
    End { name: String },
}

/// The same HTML with only the tags of `known`, without comments and hidden content, and not too deep.
pub(super) fn run(html: &str, known: &HashSet<&'static str>) -> String {
    let mut filter = Filter {
        known,
        out: String::with_capacity(html.len()),
        open: Vec::new(),
        formatting: 0,
        tags: 0,
        run: 0,
    };
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, after) = next(rest);
        rest = after;
        match piece {
            Some(Piece::Text(text)) => filter.text(text),
            Some(Piece::Start { name, .. }) if HIDDEN.contains(&name.as_str()) => {
                rest = after_hidden(after, &name);
            }
            Some(Piece::Start { name, attributes }) => filter.start(&name, attributes),
            Some(Piece::End { name }) => filter.end(&name),
            None => {}
        }
    }
    filter.out
}

struct Filter<'a> {
    known: &'a HashSet<&'static str>,
    out: String,
    open: Vec<&'static str>,
    formatting: usize,
    tags: usize,
    /// How long the text is that the next text is added to.
    run: usize,
}

impl Filter<'_> {
    fn text(&mut self, text: &str) {
        for char in text.chars() {
            // Neither starts within an entity.
            if self.run >= MAX_RUN && (char == '&' || !char.is_ascii()) {
                self.out.push_str("<wbr>");
                self.run = 0;
            }
            self.out.push(char);
            self.run += char.len_utf8();
        }
    }

    fn start(&mut self, name: &str, attributes: &str) {
        let Some(&name) = self.known.get(name) else { return };
        self.close_implied(name);
        let formats = FORMATTING.contains(&name);
        let is_void = VOID.contains(&name);
        if self.tags >= MAX_TAGS
            || (!is_void && self.open.len() >= MAX_DEPTH)
            || (formats && self.formatting >= MAX_FORMATTING)
        {
            return;
        }
        self.tags += 1;
        self.run = 0;
        self.out.push('<');
        self.out.push_str(name);
        let escapes = attributes
            .bytes()
            .filter(|&byte| byte == b'&' || !byte.is_ascii())
            .count();
        if !attributes.is_empty() && escapes <= MAX_ESCAPES {
            self.out.push(' ');
            // Were the parser to see the tag end sooner, what is left could open nothing.
            self.out.push_str(&attributes.replace('<', "&lt;"));
        }
        self.out.push('>');
        if !is_void {
            self.open.push(name);
            self.formatting += usize::from(formats);
        }
    }

    /// Ends the nearest open element of that name, and all within it, if an end tag reaches it.
    fn end(&mut self, name: &str) {
        let met = |open: &&'static str| {
            **open == *name || (SCOPES.contains(open) && name != "table" && !is_row(name))
        };
        if let Some(index) = self.open.iter().rposition(met)
            && self.open.get(index).is_some_and(|open| *open == name)
        {
            self.close(index);
        }
    }

    /// Ends what a start tag ends by itself, so that paragraphs, lists and tables without end tags stay flat.
    fn close_implied(&mut self, name: &str) {
        let (ended, container): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol"]),
            "dd" | "dt" => (&["dd", "dt"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
            _ => (&[], &[]),
        };
        self.close_nearest(ended, |open| {
            container.contains(&open) || (SCOPES.contains(&open) && !is_row(name))
        });
        if ENDS_PARAGRAPH.contains(&name) {
            self.close_nearest(&["p"], |open| SCOPES.contains(&open));
        }
    }

    fn close_nearest(&mut self, ended: &[&str], stops: impl Fn(&str) -> bool) {
        if let Some(index) = self
            .open
            .iter()
            .rposition(|open| ended.contains(open) || stops(open))
            && self.open.get(index).is_some_and(|open| ended.contains(open))
        {
            self.close(index);
        }
    }

    /// Ends all that is open from `index` on, innermost first, so that the parser need not guess.
    fn close(&mut self, index: usize) {
        self.run = 0;
        for name in self.open.drain(index..).rev() {
            self.formatting -= usize::from(FORMATTING.contains(&name));
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }
}

fn is_row(name: &str) -> bool {
    matches!(
        name,
        "td" | "th" | "tr" | "tbody" | "thead" | "tfoot" | "caption" | "colgroup"
    )
}

/// The first piece and what follows it; `None` stands for what is dropped.
fn next(html: &str) -> (Option<Piece<'_>>, &str) {
    let Some(tag) = html.strip_prefix('<') else {
        let end = html.find('<').unwrap_or(html.len());
        let (text, rest) = html.split_at(end);
        return (Some(Piece::Text(text)), rest);
    };
    match tag.as_bytes() {
        [b'!', b'-', b'-', ..] => (None, after_comment(tag.get(3..).unwrap_or_default())),
        [b'/', letter, ..] if letter.is_ascii_alphabetic() => {
            let (name, rest) = tag_name(tag.get(1..).unwrap_or_default());
            let (_, rest) = attributes(rest);
            (Some(Piece::End { name }), rest)
        }
        [b'!' | b'?' | b'/', ..] => (None, after(tag, ">")),
        [letter, ..] if letter.is_ascii_alphabetic() => {
            let (name, rest) = tag_name(tag);
            match attributes(rest) {
                (Some(attributes), rest) => (Some(Piece::Start { name, attributes }), rest),
                (None, rest) => (None, rest),
            }
        }
        _ => (Some(Piece::Text("&lt;")), tag),
    }
}

fn after<'a>(html: &'a str, end: &str) -> &'a str {
    html.split_once(end).map_or("", |(_, rest)| rest)
}

/// What follows a comment; `html` starts after its `<!--`.
fn after_comment(html: &str) -> &str {
    if let Some(rest) = html.strip_prefix('>').or_else(|| html.strip_prefix("->")) {
        return rest;
    }
    after(html, "-->")
}

/// What follows the end tag of an element whose content is hidden.
fn after_hidden<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once("</") {
        if tag
            .get(..name.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(name))
        {
            return after(tag, ">");
        }
        rest = tag;
    }
    ""
}

/// The name in lower case; a name that no known tag can have is not kept.
fn tag_name(tag: &str) -> (String, &str) {
    let end = tag
        .find(|char: char| char.is_ascii_whitespace() || char == '/' || char == '>')
        .unwrap_or(tag.len());
    let (name, rest) = tag.split_at(end);
    (
        if name.len() <= 16 {
            name.to_ascii_lowercase()
        } else {
            String::new()
        },
        rest,
    )
}

/// The attributes up to the `>` that ends the tag, by the quoting of HTML (13.2.5.32 to 39); `None` when it
/// does not end.
fn attributes(rest: &str) -> (Option<&str>, &str) {
    let mut at = At::Name;
    for (index, byte) in rest.bytes().enumerate() {
        at = match (at, byte) {
            (At::Quoted(quote), _) if byte == quote => At::Name,
            (At::Quoted(_), _) => at,
            (_, b'>') => {
                let attributes = rest.get(..index).unwrap_or_default();
                let attributes = attributes.trim_start_matches('/').trim_ascii();
                return (Some(attributes), rest.get(index + 1..).unwrap_or_default());
            }
            (At::BeforeValue, b'"' | b'\'') => At::Quoted(byte),
            (At::Name, b'=') => At::BeforeValue,
            (At::Name | At::BeforeValue, _) if byte.is_ascii_whitespace() => at,
            (At::Unquoted, _) if byte.is_ascii_whitespace() => At::Name,
            (At::BeforeValue | At::Unquoted, _) => At::Unquoted,
            (At::Name, _) => At::Name,
        };
    }
    (None, "")
}

/// Where in a tag's attributes the scan stands.
#[derive(Clone, Copy)]
enum At {
    Name,
    BeforeValue,
    Unquoted,
    Quoted(u8),
}
