//! How a command ends, and how responses become bytes.

use std::borrow::Cow;

use imap_codec::{
    ResponseCodec,
    encode::Encoder,
    imap_types::{
        core::{Tag, Text},
        response::{Code, CodeOther, Data, Response, Status, StatusKind},
    },
};

use super::Error;

/// The tagged status of one command.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) kind: StatusKind,
    pub(super) code: Option<Code<'static>>,
    pub(super) text: Cow<'static, str>,
}

impl Reply {
    pub(super) fn ok(text: &'static str) -> Self {
        Self {
            kind: StatusKind::Ok,
            code: None,
            text: Cow::Borrowed(text),
        }
    }

    pub(super) fn no(text: &'static str) -> Self {
        Self {
            kind: StatusKind::No,
            code: None,
            text: Cow::Borrowed(text),
        }
    }

    pub(super) fn bad(text: &'static str) -> Self {
        Self {
            kind: StatusKind::Bad,
            code: None,
            text: Cow::Borrowed(text),
        }
    }

    pub(super) fn with(mut self, code: Code<'static>) -> Self {
        self.code = Some(code);
        self
    }

    /// A response code that the codec has no word for, such as `LIMIT`.
    pub(super) fn with_word(self, word: &'static str) -> Self {
        self.with(Code::Other(CodeOther::unvalidated(word.as_bytes())))
    }

    /// Writes `tag OK [code] text`.
    pub(super) fn put(self, out: &mut Vec<u8>, tag: Tag<'_>) {
        put_status(out, Some(tag), self);
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        let word = match error {
            Error::NoAccount => "UNAVAILABLE",
            Error::NoFolder | Error::NoMessage => "NONEXISTENT",
            Error::FolderExists => "ALREADYEXISTS",
            Error::FolderName | Error::FolderInUse | Error::Flag | Error::NulByte => "CANNOT",
            Error::Full => "OVERQUOTA",
        };
        let reply = Self {
            kind: StatusKind::No,
            code: None,
            text: Cow::Owned(error.to_string()),
        };
        reply.with_word(word)
    }
}

/// Writes an untagged response.
pub(super) fn put(out: &mut Vec<u8>, data: Data<'_>) {
    out.extend(ResponseCodec::default().encode(&Response::Data(data)).dump());
}

/// Writes a status, untagged where there is no tag.
pub(super) fn put_status(out: &mut Vec<u8>, tag: Option<Tag<'_>>, reply: Reply) {
    let Reply { kind, code, text } = reply;
    let text = Text::try_from(text.into_owned()).unwrap_or_else(|_| Text::unvalidated("Done"));
    let Ok(status) = Status::new(tag, kind, code, text);
    out.extend(ResponseCodec::default().encode(&Response::Status(status)).dump());
}
