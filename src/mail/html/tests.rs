//! Tests of the sanitiser and of the text that is made of HTML. Those of deep nesting test that they end.

use proptest::prelude::*;

use super::*;

/// How deep the elements of well-formed HTML nest.
fn depth(html: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        if tag.starts_with('/') {
            now = now.saturating_sub(1);
        } else if !["br", "img", "hr", "wbr", "col", "area"]
            .iter()
            .any(|void| tag.starts_with(void))
        {
            now += 1;
            most = most.max(now);
        }
    }
    most
}

#[test]
fn what_runs_or_loads_is_removed() {
    for (html, safe) in [
        ("<p onclick=x()>a</p>", "<p>a</p>"),
        ("<script>x</script>a<style>@import 'x'</style>", "a"),
        ("<form action=x><input name=y><button>a</button></form>", "a"),
        (
            "<iframe src=x>y</iframe><object data=x>y</object><embed src=x>a",
            "a",
        ),
        (
            "<a href=\"javascript:x\">a</a>",
            "<a rel=\"noopener noreferrer\">a</a>",
        ),
        (
            "<a href=\"data:text/html,x\">a</a>",
            "<a rel=\"noopener noreferrer\">a</a>",
        ),
        (
            "<p style=\"color:red;background:url(http://x/)\">a</p>",
            "<p style=\"color:red\">a</p>",
        ),
        (
            "<p style=\"background-image:url(x);position:fixed\">a</p>",
            "<p style=\"\">a</p>",
        ),
        ("<img src=\"data:image/svg+xml,<svg onload=x>\">a", "<img>a"),
        ("<svg><script>x</script></svg><math><mi>a</mi></math>", "a"),
        ("<!--[if mso]><p>x</p><![endif]-->a<!doctype html><?php x ?>", "a"),
        (
            "<title>x</title><base href=x><meta http-equiv=refresh content=x><link rel=stylesheet href=x>a",
            "a",
        ),
    ] {
        assert_eq!(sanitise(html), safe, "{html}");
    }
}

#[test]
fn pictures_stay_wherever_they_come_from() {
    for html in [
        "<img src=\"https://example.com/a.png\" width=\"1\">",
        "<img src=\"cid:a@b\">",
        "<img src=\"data:image/png;base64,AAAA\">",
    ] {
        assert_eq!(sanitise(html), html);
    }
}

#[test]
fn half_a_megabyte_of_nested_elements_ends() {
    for open in [
        "<div>",
        "<b>",
        "<p><b>",
        "<table><tr><td>",
        "<ul><li>",
        "<p><blockquote>",
        "<font size=1>",
        "<a b==\"><div>",
        "<span x='<div>'>",
    ] {
        let html = format!("{}deep", open.repeat(500_000 / open.len()));
        let safe = sanitise(&html);
        // The parser adds a `tbody` for every table.
        assert!(depth(&safe) <= 2 * MAX_DEPTH, "{open} {}", depth(&safe));
        assert!(to_text(&safe).contains("deep"), "{open}");
    }
}

#[test]
fn elements_that_reopen_themselves_do_not_multiply() {
    let fonts: String = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
        .map(|size| format!("<font size={size}>"))
        .concat();
    let html = format!("{fonts}{}", "<p>x".repeat(100_000));
    assert!(sanitise(&html).len() < 2 * html.len());
    let html = format!("<p>{}", format!("{fonts}</p><p>").repeat(3_000));
    assert!(sanitise(&html).len() < 4 * html.len());
}

#[test]
fn comments_and_quotes_without_end_end() {
    for piece in [
        "<!--",
        "<a b=\"",
        "<script>",
        "</script",
        "<![CDATA[",
        "<",
        "</",
        "<!",
        "&",
        "<a <b ",
    ] {
        let html = format!("shown{}", piece.repeat(300_000 / piece.len()));
        assert!(sanitise(&html).starts_with("shown"), "{piece}");
    }
}

#[test]
fn a_long_attribute_ends() {
    for piece in ["&", "\u{a0}", "&amp;x"] {
        let html = format!("<p title=\"{}\">shown", piece.repeat(100_000));
        assert_eq!(sanitise(&html), "<p>shown</p>", "{piece}");
    }
}

#[test]
fn lists_paragraphs_and_cells_without_end_tags_stay() {
    let html = "<ul><li>x".replace("<li>x", &"<li>x".repeat(1_000));
    assert_eq!(sanitise(&html).matches("<li>").count(), 1_000);
    assert_eq!(sanitise(&"<p>x".repeat(1_000)).matches("<p>").count(), 1_000);
    let table = format!("<table>{}</table>", "<tr><td>a<td>b".repeat(500));
    assert_eq!(sanitise(&table).matches("<td>").count(), 1_000);
}

#[test]
fn text_reads_as_the_page_does() {
    for (html, text) in [
        ("<p>one\n two</p><p>three<br>four</p>", "one two\n\nthree\nfour"),
        (
            "<div>a</div><div>b &amp; c &lt;d&gt; &eacute;&nbsp;x</div>",
            "a\nb & c <d> é x",
        ),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        (
            "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>",
            "a b\nc",
        ),
        ("<pre>a  b\n  c</pre>d", "a  b\n  c\nd"),
        ("a <b>b</b><i>c</i> d", "a bc d"),
        ("<h1>T</h1>x<style>y</style><a title='>'>z</a>", "T\n\nxz"),
        ("", ""),
    ] {
        assert_eq!(to_text(&sanitise(html)), text, "{html}");
    }
}

#[test]
fn html_is_cut_at_its_limit() {
    assert_eq!(sanitise(&"é".repeat(MAX_HTML)).matches('é').count(), MAX_HTML / 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_html_becomes_safe_flat_and_stays_so(pieces in prop::collection::vec(prop::sample::select(vec![
        "<div>", "</div>", "<p>", "</p>", "<b>", "</b>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<li>", "<ul>", "</ul>",
        "<script>", "</script>", "<!--", "-->", "<a href='", "'", "\"", ">", "<", "<img src=x onerror=y>", "javascript:", "&lt;",
        "<svg>", "<style>", "</style>", "é", " ", "<span style=\"color:red\">", "<title>", "</title>", "=", "/", "<font>", "<h1>",
    ]), 0..80)) {
        let safe = sanitise(&pieces.concat());
        for bad in ["<script", "onerror=", "<svg", "<style", "<!--"] {
            prop_assert!(!safe.contains(bad), "{}", safe);
        }
        to_text(&safe);
    }
}
