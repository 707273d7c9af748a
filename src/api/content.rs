//! The documented form of content that streams.

use poem::Body;
use poem_openapi::{ApiResponse, payload::Binary};

use super::downloads::{SANDBOX, asked_range, content_range, disposition};
use crate::{model::Result, service::attachments::Content};

/// What is said of content that is served.
pub(super) struct Served<'a> {
    /// Its file name.
    pub(super) name: Option<&'a str>,
    /// The name where it has none.
    pub(super) fallback: &'a str,
    /// Names its bytes.
    pub(super) entity_tag: String,
}

/// Content, whole or a range of it.
#[derive(ApiResponse)]
pub(super) enum ContentResponse {
    /// The content.
    #[oai(status = 200)]
    Whole(
        Binary<Body>,
        /// The size of what follows, in bytes.
        #[oai(header = "Content-Length")]
        u64,
        /// Always `attachment`, with the file's name (RFC 6266).
        #[oai(header = "Content-Disposition")]
        String,
        /// Names these bytes.
        #[oai(header = "ETag")]
        String,
        /// Always `bytes`.
        #[oai(header = "Accept-Ranges")]
        String,
        /// Keeps a browser from running what it gets.
        #[oai(header = "Content-Security-Policy")]
        String,
    ),
    /// The range that was asked for.
    #[oai(status = 206)]
    Part(
        Binary<Body>,
        /// The size of what follows, in bytes.
        #[oai(header = "Content-Length")]
        u64,
        /// Which bytes follow, and of how many.
        #[oai(header = "Content-Range")]
        String,
        /// Always `attachment`, with the file's name (RFC 6266).
        #[oai(header = "Content-Disposition")]
        String,
        /// Names the whole bytes.
        #[oai(header = "ETag")]
        String,
        /// Keeps a browser from running what it gets.
        #[oai(header = "Content-Security-Policy")]
        String,
    ),
}

impl ContentResponse {
    /// The answer, given the `Range` that was sent. One that cannot be read is passed over (RFC 9110, section 14.2).
    pub(super) fn of(content: Content, served: &Served<'_>, range: Option<&str>) -> Result<Self> {
        let size = content.size();
        let name = disposition(served.name, served.fallback);
        let (tag, policy) = (served.entity_tag.clone(), SANDBOX.to_owned());
        let Some(range) = asked_range(range, size)? else {
            let body = Binary(Body::from_bytes_stream(content.stream(0..size)));
            return Ok(Self::Whole(body, size, name, tag, "bytes".to_owned(), policy));
        };
        let (length, place) = (range.end - range.start, content_range(&range, size));
        let body = Binary(Body::from_bytes_stream(content.stream(range)));
        Ok(Self::Part(body, length, place, name, tag, policy))
    }
}
