//! Messages that are made to cost a reader its memory or its time.

/// Such messages, with their subjects; those of HTML have about so many bytes each.
pub(super) fn messages(html: usize) -> Vec<(&'static str, Vec<u8>)> {
    let page = |subject: &str, begin: &str, filler: &str, end: &str| {
        let header = format!(
            "Subject: {subject}\r\nFrom: a@example.net\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{begin}"
        );
        // A line break now and then, as lines have a limit in mail.
        let body = format!("{}\r\n", filler.repeat(500 / filler.len() + 1)).repeat(html / 500);
        format!("{header}{body}{end}\r\n").into_bytes()
    };
    vec![
        ("deep multiparts", deep()),
        ("many addresses", addresses()),
        ("many parts", parts()),
        ("deep elements", page("deep elements", "", "<div><b><table>", "x")),
        (
            "attributes",
            page("attributes", "<p ", "a=1 title=\"x\" ", ">x</p>"),
        ),
        (
            "entities",
            page("entities", "", "&amp;&#x1F600;&notanentity;&", ""),
        ),
        (
            "styles",
            page("styles", "<p style='", "color:red;background:url(x);", "'>x</p>"),
        ),
        ("comments", page("comments", "", "<!--<!--><![CDATA[", "")),
        ("open quotes", page("open quotes", "", "<a href=\"", "")),
    ]
}

/// 10,000 multiparts, each within the one before.
fn deep() -> Vec<u8> {
    let mut raw = String::from("Subject: deep multiparts\r\n");
    for level in 0..10_000 {
        let part = format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        raw.push_str(&part);
    }
    raw.push_str("\r\nat the bottom\r\n");
    raw.into_bytes()
}

/// 200,000 addresses in one field.
fn addresses() -> Vec<u8> {
    let mut raw = String::from("Subject: many addresses\r\nTo: first@example.net");
    for number in 0..200_000 {
        let address = format!(",\r\n \"N{number}\" <a{number}@example.net>");
        raw.push_str(&address);
    }
    raw.push_str("\r\n\r\nto all\r\n");
    raw.into_bytes()
}

/// 50,000 parts.
fn parts() -> Vec<u8> {
    let part = "--b\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n";
    let body = part.repeat(50_000);
    format!("Subject: many parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{body}--b--\r\n")
        .into_bytes()
}
