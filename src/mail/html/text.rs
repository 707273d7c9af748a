//! Text from sanitised HTML.

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "header",
    "hr",
    "li",
    "nav",
    "ol",
    "pre",
    "summary",
    "table",
    "tr",
    "ul",
    "section",
];
/// Elements with an empty line before and after them.
const PARAGRAPHS: [&str; 8] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup"];

/// The text of HTML that [`super::sanitise`] wrote: lines for blocks, `- ` for list items, white space folded
/// outside `pre`. It relies on what the sanitiser's writer guarantees: balanced tags and five entities.
///
/// Takes time in proportion to its input.
pub fn to_text(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while !rest.is_empty() {
        if let Some(tag) = rest.strip_prefix('<') {
            let end = tag_end(tag);
            text.tag(tag.get(..end).unwrap_or_default());
            rest = tag.get(end + 1..).unwrap_or_default();
        } else {
            let (words, after) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            text.words(words);
            rest = after;
        }
    }
    text.out.truncate(text.out.trim_end().len());
    text.out
}

/// The index of the `>` that ends a tag; the writer leaves `>` as it is in quoted values.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (index, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return index,
            _ => {}
        }
    }
    tag.len()
}

#[derive(Default)]
struct Text {
    out: String,
    /// How many line breaks must precede the next word.
    breaks: usize,
    /// True when white space must precede the next word.
    space: bool,
    /// How many `pre` are open.
    verbatim: usize,
    /// What starts the next line.
    mark: &'static str,
}

impl Text {
    fn tag(&mut self, tag: &str) {
        let (closes, name) = tag.strip_prefix('/').map_or((false, tag), |name| (true, name));
        let name = name
            .split(|char: char| !char.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        match (name, closes) {
            ("br", _) => self.breaks = (self.breaks + 1).min(2),
            ("td" | "th", _) => self.space = true,
            ("pre", false) => self.verbatim += 1,
            ("pre", true) => self.verbatim = self.verbatim.saturating_sub(1),
            ("li", false) => self.mark = "- ",
            ("li", true) => self.mark = "",
            _ => {}
        }
        if PARAGRAPHS.contains(&name) {
            self.breaks = 2;
        } else if BLOCKS.contains(&name) {
            self.breaks = self.breaks.max(1);
        }
    }

    fn words(&mut self, words: &str) {
        if self.verbatim > 0 {
            self.start_word();
            decode(words, |char| self.out.push(char));
            return;
        }
        decode(words, |char| {
            if char.is_whitespace() {
                self.space = true;
            } else {
                self.start_word();
                self.out.push(char);
            }
        });
    }

    /// Writes the line breaks or the space that are due.
    fn start_word(&mut self) {
        if !self.out.is_empty() {
            match (self.breaks, self.space) {
                (0, true) => self.out.push(' '),
                (0, false) => {}
                (1, _) => self.out.push('\n'),
                _ => self.out.push_str("\n\n"),
            }
        }
        self.out.push_str(std::mem::take(&mut self.mark));
        (self.breaks, self.space) = (0, false);
    }
}

/// Gives the characters of escaped text to `each`.
fn decode(text: &str, mut each: impl FnMut(char)) {
    const ENTITIES: [(&str, char); 5] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&nbsp;", ' '),
    ];
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let found = (char == '&')
            .then(|| {
                ENTITIES
                    .iter()
                    .find_map(|(name, value)| Some((*value, rest.strip_prefix(name)?)))
            })
            .flatten();
        let (value, after) = found.unwrap_or((char, rest.get(char.len_utf8()..).unwrap_or_default()));
        each(value);
        rest = after;
    }
}
