//! Content that streams: attachments and raw messages, whole or a range of them, and signed links to attachments.

use std::ops::Range;

use poem::{
    Body, Request, Response, handler,
    http::{HeaderValue, StatusCode, header},
    web::Path,
};

use super::pages;
use crate::{
    model::{Error, Result, attachment::Attachment},
    service::{
        App,
        attachments::{self, Content},
    },
};

/// Whatever content is, a browser must not run it.
pub(super) const SANDBOX: &str = "default-src 'none'; sandbox";

/// The content behind a signed link; needs no credential.
#[handler]
pub(super) async fn download(request: &Request, Path(token): Path<String>) -> poem::Result<Response> {
    let app = request
        .data::<App>()
        .ok_or_else(|| Error::internal("the endpoint was built without its app"))?;
    match attachments::linked_content(app, &token).await {
        Ok((attachment, content)) => Ok(linked(request, &attachment, content)?),
        Err(error @ Error::Unauthenticated(_)) => {
            Ok(pages::broken_link(StatusCode::FORBIDDEN, &error.to_string()))
        }
        Err(Error::NotFound(_)) => Ok(pages::broken_link(
            StatusCode::NOT_FOUND,
            "What it led to is not there any more.",
        )),
        Err(error) => Err(error.into()),
    }
}

fn linked(request: &Request, attachment: &Attachment, content: Content) -> Result<Response> {
    let size = content.size();
    let range = asked_range(request.header(header::RANGE), size)?;
    let media_type = HeaderValue::from_str(&attachment.part.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(
            header::CONTENT_DISPOSITION,
            disposition(attachment.part.name.as_deref(), "attachment"),
        )
        .header(header::CONTENT_SECURITY_POLICY, SANDBOX)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, entity_tag(&attachment.part.sha256));
    if let Some(range) = &range {
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, content_range(range, size));
    }
    let range = range.unwrap_or(0..size);
    let response = response.header(header::CONTENT_LENGTH, range.end - range.start);
    Ok(response.body(Body::from_bytes_stream(content.stream(range))))
}

/// The one range that `Range` asks for; `None` is all of it. Several at once, other units, and what cannot be read are
/// answered whole (RFC 9110, section 14.2).
pub(super) fn asked_range(asked: Option<&str>, size: u64) -> Result<Option<Range<u64>>> {
    let Some((first, last)) = asked.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())?
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        _ => return Ok(None),
    };
    if range.is_empty() {
        return Err(Error::RangeNotSatisfiable { size });
    }
    Ok(Some(range))
}

/// `Content-Range` (RFC 9110, section 14.4).
pub(super) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// A strong entity tag of a SHA-256.
pub(super) fn entity_tag(sha256: &[u8; 32]) -> String {
    let mut tag = String::with_capacity(2 * sha256.len() + 2);
    tag.push('"');
    for byte in sha256 {
        for digit in [byte >> 4, byte & 15] {
            tag.push(char::from(if digit < 10 {
                b'0' + digit
            } else {
                b'a' - 10 + digit
            }));
        }
    }
    tag.push('"');
    tag
}

/// `Content-Disposition: attachment` with the name in ASCII and, where that is not the whole of it, in UTF-8 (RFC 6266).
pub(super) fn disposition(name: Option<&str>, fallback: &str) -> String {
    let name = name.filter(|name| !name.trim().is_empty()).unwrap_or(fallback);
    let plain = |letter: char| letter.is_ascii_graphic() && !"\"\\%;".contains(letter) || letter == ' ';
    let ascii: String = name
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_and_one_outside_is_refused() {
        let range = |text: &str| asked_range(Some(text), 10);
        for (text, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-4", Some(2..5)),
            ("bytes=7-", Some(7..10)),
            ("bytes=7-99", Some(7..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=0-1,4-5", None),
            ("lines=1-2", None),
            ("bytes=4-2", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
        ] {
            assert_eq!(range(text).ok().flatten(), expected, "{text}");
        }
        for text in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=18446744073709551615-",
        ] {
            assert!(
                matches!(range(text), Err(Error::RangeNotSatisfiable { size: 10 })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            disposition(Some("a b.pdf"), "x"),
            "attachment; filename=\"a b.pdf\""
        );
        assert_eq!(disposition(None, "x.eml"), "attachment; filename=\"x.eml\"");
        let nasty = disposition(Some("a\"\r\nX: y;ü%.pdf"), "x");
        assert_eq!(
            nasty,
            "attachment; filename=\"a___X: y___.pdf\"; filename*=UTF-8''a%22%0D%0AX%3A%20y%3B%C3%BC%25.pdf"
        );
        assert_eq!(disposition(Some("  "), "x"), "attachment; filename=\"x\"");
    }
}
