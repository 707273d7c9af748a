//! Attachments: what is known of one, and its content, decoded while it streams.

use std::{io, ops::Range};

use bytes::Bytes;
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::{App, links::Link};
use crate::{
    mail::decode::{Decoder, Window},
    model::{
        Error, Result,
        attachment::{Attachment, PartSpan, TransferEncoding},
        caller::{Caller, Visibility},
        id::TenantId,
        scope::Scope,
    },
    store::{Blobs, StoredRaw},
};

const RESOURCE: &str = "attachment";
/// How many raw bytes are read at a time.
const STEP: u64 = 256 * 1024;

/// One attachment.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Attachment> {
    caller.require(Scope::MessagesRead)?;
    find(app, caller.tenant_id, caller.visibility(), id).await
}

/// An attachment with its content.
pub async fn content(app: &App, caller: &Caller, id: Uuid) -> Result<(Attachment, Content)> {
    caller.require(Scope::MessagesRead)?;
    open(app, caller.tenant_id, caller.visibility(), id).await
}

/// The attachment that a signed link leads to, with its content. `token` is the last part of the link's path.
pub async fn linked_content(app: &App, token: &str) -> Result<(Attachment, Content)> {
    let Link { tenant, attachment } = app.links.check(token, app.clock.now())?;
    open(app, tenant, Visibility::All, attachment).await
}

/// A link that leads to an attachment's content without a credential, for a limited time.
pub fn link(app: &App, tenant: TenantId, attachment: &Attachment) -> String {
    let link = Link {
        tenant,
        attachment: attachment.id,
    };
    app.links.to_attachment(link, app.clock.now())
}

async fn find(app: &App, tenant: TenantId, seen: Visibility, id: Uuid) -> Result<Attachment> {
    let found = app.store.read().await?.get_attachment(tenant, seen, id).await?;
    found.ok_or(Error::NotFound(RESOURCE))
}

async fn open(app: &App, tenant: TenantId, seen: Visibility, id: Uuid) -> Result<(Attachment, Content)> {
    let attachment = find(app, tenant, seen, id).await?;
    let found = app
        .store
        .read()
        .await?
        .get_raw(tenant, seen, attachment.message_id)
        .await?;
    let (raw, size) = found.ok_or(Error::NotFound(RESOURCE))?;
    let whole = Content::of_raw(app, tenant, raw, size)?;
    let PartSpan {
        offset,
        length,
        encoding,
    } = attachment.part.span;
    let start = unsigned(offset);
    let content = Content {
        size: unsigned(attachment.part.size),
        span: start..start.saturating_add(unsigned(length)),
        encoding,
        source: whole.source,
    };
    Ok((attachment, content))
}

/// Bytes that can be streamed, whole or in part.
pub struct Content {
    size: u64,
    span: Range<u64>,
    encoding: TransferEncoding,
    source: Source,
}

enum Source {
    Memory(Bytes),
    Blob {
        blobs: Blobs,
        tenant: TenantId,
        sha256: [u8; 32],
    },
}

impl Content {
    /// The raw bytes of a message of `size` bytes.
    pub(super) fn of_raw(app: &App, tenant: TenantId, raw: StoredRaw, size: i64) -> Result<Self> {
        match raw {
            StoredRaw::Compressed(data) => {
                let limit = usize::try_from(size).unwrap_or_default();
                let bytes = zstd::bulk::decompress(&data, limit).map_err(Error::internal)?;
                Ok(Self::of_bytes(bytes.into()))
            }
            StoredRaw::Blob(sha256) => {
                let blobs = app.blobs.clone();
                let source = Source::Blob {
                    blobs,
                    tenant,
                    sha256,
                };
                Ok(Self::identity(unsigned(size), source))
            }
        }
    }

    /// Bytes that are at hand.
    pub(super) fn of_bytes(bytes: Bytes) -> Self {
        Self::identity(
            u64::try_from(bytes.len()).unwrap_or_default(),
            Source::Memory(bytes),
        )
    }

    fn identity(size: u64, source: Source) -> Self {
        Self {
            size,
            span: 0..size,
            encoding: TransferEncoding::Identity,
            source,
        }
    }

    /// The size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range that lies within the size, read and decoded piece by piece while they are taken.
    pub fn stream(self, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (mut start, length) = (range.start, range.end.saturating_sub(range.start));
        let mut span = self.span;
        if self.encoding == TransferEncoding::Identity {
            // Nothing has to be decoded on the way to the range.
            span.start = span.start.saturating_add(start).min(span.end);
            start = 0;
        }
        let reading = Reading {
            source: self.source,
            span,
            decoder: Decoder::new(self.encoding),
            window: Window::new(start, length),
            ended: false,
        };
        stream::try_unfold(reading, Reading::next)
    }
}

/// How far a stream has come.
struct Reading {
    source: Source,
    span: Range<u64>,
    decoder: Decoder,
    window: Window,
    ended: bool,
}

impl Reading {
    /// The next piece that is not empty.
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        while !self.ended && !self.window.is_done() {
            let end = self.span.end.min(self.span.start.saturating_add(STEP));
            let piece = self.source.read(self.span.start..end).await?;
            let mut decoded = Vec::new();
            self.decoder.push(&piece, &mut decoded);
            // A source that ends early ends the stream: it never waits for bytes that do not come.
            self.ended = end >= self.span.end || piece.is_empty();
            self.span.start = end;
            if self.ended {
                self.decoder.finish(&mut decoded);
            }
            self.window.keep(&mut decoded);
            if !decoded.is_empty() {
                return Ok(Some((decoded.into(), self)));
            }
        }
        Ok(None)
    }
}

impl Source {
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self {
            Self::Memory(bytes) => {
                let at = |position| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(at(range.start)..at(range.end)))
            }
            Self::Blob {
                blobs,
                tenant,
                sha256,
            } => blobs
                .get_range(*tenant, sha256, range)
                .await
                .map_err(io::Error::other),
        }
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn read(content: Content, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<Bytes> = content.stream(range).try_collect().await.unwrap();
        pieces.concat()
    }

    #[tokio::test]
    async fn every_range_of_a_part_is_cut_out_of_what_is_decoded() {
        let raw = Bytes::from_static(b"Subject: x\r\n\r\nVGVzdCBvZg==\r\nrest");
        let part = |encoding| Content {
            size: 7,
            span: 14..28,
            encoding,
            source: Source::Memory(raw.clone()),
        };
        for (start, end) in [(0, 7), (0, 1), (3, 5), (6, 7), (7, 7)] {
            let expected = b"Test of".get(start..end).unwrap();
            let range = start as u64..end as u64;
            assert_eq!(read(part(TransferEncoding::Base64), range).await, expected);
        }
        assert_eq!(read(part(TransferEncoding::Identity), 1..4).await, b"GVz");
        assert_eq!(read(Content::of_bytes(raw.clone()), 9..12).await, b"x\r\n");
    }

    #[tokio::test]
    async fn a_part_that_lies_outside_of_the_message_ends_the_stream() {
        let content = Content {
            size: 100,
            span: 5..1_000_000_000_000,
            encoding: TransferEncoding::Identity,
            source: Source::Memory(Bytes::from_static(b"0123456789")),
        };
        assert_eq!(read(content, 0..100).await, b"56789");
    }
}
