//! HTML of mail: made safe to show, and turned into text.
//!
//! The sanitiser's parser takes quadratic time where elements nest deeply, so a linear pass comes first. It
//! lets only known tags through, at most [`MAX_DEPTH`] deep, each written anew, so that what the parser
//! meets is plain and bounded; safety itself rests on the sanitiser alone.

mod prepass;
mod text;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

pub use text::to_text;

/// At most this many bytes of HTML are read.
pub const MAX_HTML: usize = 1024 * 1024;
/// Tags that are nested deeper than this are dropped; their text stays.
pub const MAX_DEPTH: usize = 256;

/// What sets the look without loading anything.
const STYLES: [&str; 40] = [
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-spacing",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "direction",
    "display",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-width",
    "min-width",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "text-align",
    "text-decoration",
    "vertical-align",
    "white-space",
    "width",
    "word-break",
];
const ATTRIBUTES: [&str; 18] = [
    "align",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "color",
    "colspan",
    "dir",
    "face",
    "height",
    "lang",
    "rowspan",
    "size",
    "style",
    "title",
    "type",
    "valign",
    "width",
];
const EXTRA_TAGS: [&str; 4] = ["address", "big", "font", "tfoot"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .add_tags(EXTRA_TAGS)
        .add_generic_attributes(ATTRIBUTES)
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid", "data"]))
        .url_relative(UrlRelative::Deny)
        .filter_style_properties(HashSet::from(STYLES))
        .attribute_filter(|element, attribute, value| {
            keep_data(element, attribute, value).then_some(Cow::Borrowed(value))
        });
    builder
});

/// HTML that is safe to show in a page of its own: no scripts, forms or frames, and no style that loads
/// anything. Images of other servers, `cid:` ones and `data:image/…` ones stay.
///
/// Reads at most [`MAX_HTML`] bytes, and takes time in proportion to them.
pub fn sanitise(html: &str) -> String {
    if html.is_empty() {
        return String::new();
    }
    let cut = html.get(..html.floor_char_boundary(MAX_HTML)).unwrap_or_default();
    CLEANER.clean(&prepass::run(cut, &CLEANER_TAGS)).to_string()
}

static CLEANER_TAGS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| CLEANER.clone_tags());

/// `data:` is for the pictures of an `img` alone, and not for SVG, which is a document.
fn keep_data(element: &str, attribute: &str, value: &str) -> bool {
    // As a browser reads a URL: leading white space and control characters do not count.
    let url: String = value
        .chars()
        .filter(|char| !char.is_whitespace() && !char.is_control())
        .take(16)
        .collect::<String>()
        .to_ascii_lowercase();
    let is_picture = ["png", "jpeg", "jpg", "gif", "webp", "bmp"].iter().any(|kind| {
        url.strip_prefix("data:image/")
            .is_some_and(|rest| rest.starts_with(kind))
    });
    !url.starts_with("data:") || (element == "img" && attribute == "src" && is_picture)
}

#[cfg(test)]
mod tests;
