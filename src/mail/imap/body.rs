//! Message bytes while they arrive: hashed, kept in memory or put into a temporary file, or dropped.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use sha2::{Digest, Sha256};

use super::{error::Error, frame::Section};

/// How much of a message is kept, and where.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// The largest message that is kept, in bytes. Default 50 MiB.
    pub max_bytes: u64,
    /// The largest message that stays in memory, in bytes. Default 256 KiB.
    pub memory_bytes: u64,
    /// Where larger ones are put, in files without a name. Default: the system's folder for temporary files.
    pub spool_dir: Option<PathBuf>,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            max_bytes: 50 * 1024 * 1024,
            memory_bytes: 256 * 1024,
            spool_dir: None,
        }
    }
}

/// A message's bytes, as far as they were kept.
#[derive(Debug)]
pub enum Body {
    /// All of them.
    Stored(StoredBody),
    /// The message is larger than [`BodyLimits::max_bytes`]; its bytes were read and dropped.
    TooLarge {
        /// Its size, in bytes.
        size: u64,
    },
    /// The server had the message's row but no bytes for it.
    Missing,
}

/// A message's bytes and their hash.
#[derive(Debug)]
pub struct StoredBody {
    sha256: [u8; 32],
    len: u64,
    content: Content,
}

/// Where a message's bytes are.
#[derive(Debug)]
pub enum Content {
    /// At hand.
    Memory(Vec<u8>),
    /// In a temporary file without a name, which is gone when it is closed; to be read from its start.
    File(File),
}

impl StoredBody {
    /// Bytes that are at hand.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            sha256: Sha256::digest(&bytes).into(),
            len: bytes.len() as u64,
            content: Content::Memory(bytes),
        }
    }

    /// SHA-256 of the bytes.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// How many bytes there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True for a message without a byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes themselves.
    pub fn into_content(self) -> Content {
        self.content
    }
}

/// Where the streamed literals of one response go.
#[derive(Debug, Default)]
pub(super) struct Spooler {
    /// `None`: bodies are dropped.
    bodies: Option<BodyLimits>,
    /// The most bytes that are kept of a header; 0: headers are dropped.
    header_bytes: usize,
    /// How many streamed literals this response has had.
    count: usize,
    current: Current,
    body: Option<(usize, Body)>,
    header: Option<(usize, Vec<u8>)>,
}

#[derive(Debug, Default)]
enum Current {
    #[default]
    Drop,
    Header(Vec<u8>),
    Body(Box<Writer>),
}

impl Spooler {
    /// Drops everything.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Keeps headers, each up to so many bytes.
    pub(super) fn headers(header_bytes: usize) -> Self {
        Self {
            header_bytes,
            ..Self::default()
        }
    }

    /// Keeps bodies.
    pub(super) fn bodies(limits: BodyLimits) -> Self {
        Self {
            bodies: Some(limits),
            ..Self::default()
        }
    }

    /// Forgets what the last response brought.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.body = None;
        self.header = None;
    }

    /// The body, when it is the streamed literal with this place.
    pub(super) fn take_body(&mut self, place: usize) -> Option<Body> {
        self.body
            .take_if(|(known, _)| *known == place)
            .map(|(_, body)| body)
    }

    /// The header, when it is the streamed literal with this place.
    pub(super) fn take_header(&mut self, place: usize) -> Option<Vec<u8>> {
        self.header
            .take_if(|(known, _)| *known == place)
            .map(|(_, header)| header)
    }

    /// Keeps a body that came as a quoted string.
    pub(super) fn inline(&self, bytes: &[u8]) -> Result<Body, Error> {
        let size = bytes.len() as u64;
        match &self.bodies {
            Some(limits) if size <= limits.max_bytes => {
                let mut writer = Writer::new(limits, size)?;
                writer.write(bytes)?;
                writer.finish()
            }
            _ => Ok(Body::TooLarge { size }),
        }
    }

    /// Cuts a header that came as a quoted string.
    pub(super) fn inline_header(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(self.header_bytes);
        bytes
    }

    /// A streamed literal begins. Only the first body and the first header of a response are kept.
    pub(super) fn begin(&mut self, section: Section, size: u64) -> Result<(), Error> {
        self.count += 1;
        self.current = match (section, &self.bodies) {
            (Section::Full, Some(limits)) if self.body.is_none() => {
                if size <= limits.max_bytes {
                    Current::Body(Box::new(Writer::new(limits, size)?))
                } else {
                    self.body = Some((self.count - 1, Body::TooLarge { size }));
                    Current::Drop
                }
            }
            (Section::Header, _) if self.header_bytes > 0 && self.header.is_none() => {
                Current::Header(Vec::new())
            }
            (Section::Full | Section::Header | Section::Other, _) => Current::Drop,
        };
        Ok(())
    }

    /// Some of its bytes.
    pub(super) fn chunk(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.current {
            Current::Drop => Ok(()),
            Current::Body(writer) => writer.write(bytes),
            Current::Header(header) => {
                let room = self.header_bytes.saturating_sub(header.len());
                header.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                Ok(())
            }
        }
    }

    /// It has ended.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        let place = self.count.saturating_sub(1);
        match std::mem::take(&mut self.current) {
            Current::Drop => {}
            Current::Header(header) => self.header = Some((place, header)),
            Current::Body(writer) => self.body = Some((place, writer.finish()?)),
        }
        Ok(())
    }
}

/// One body that is being written. Nothing is allocated by the announced size: memory grows as bytes arrive.
#[derive(Debug)]
struct Writer {
    hasher: Sha256,
    len: u64,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

impl Writer {
    fn new(limits: &BodyLimits, size: u64) -> Result<Self, Error> {
        let target = if size <= limits.memory_bytes {
            Target::Memory(Vec::new())
        } else {
            let file = limits
                .spool_dir
                .as_ref()
                .map_or_else(tempfile::tempfile, tempfile::tempfile_in);
            Target::File(BufWriter::with_capacity(64 * 1024, file.map_err(Error::Spool)?))
        };
        Ok(Self {
            hasher: Sha256::new(),
            len: 0,
            target,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        match &mut self.target {
            Target::Memory(memory) => memory.extend_from_slice(bytes),
            Target::File(file) => file.write_all(bytes).map_err(Error::Spool)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Body, Error> {
        let content = match self.target {
            Target::Memory(mut memory) => {
                memory.shrink_to_fit();
                Content::Memory(memory)
            }
            Target::File(file) => Content::File(
                file.into_inner()
                    .map_err(|failed| Error::Spool(failed.into_error()))?,
            ),
        };
        Ok(Body::Stored(StoredBody {
            sha256: self.hasher.finalize().into(),
            len: self.len,
            content,
        }))
    }
}

/// All bytes of a body.
#[cfg(test)]
pub(super) fn read(body: StoredBody) -> Vec<u8> {
    use std::io::{Read, Seek};
    match body.into_content() {
        Content::Memory(bytes) => bytes,
        Content::File(mut file) => {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(spooler: &mut Spooler, section: Section, bytes: &[u8]) {
        spooler.begin(section, bytes.len() as u64).unwrap();
        for chunk in bytes.chunks(3) {
            spooler.chunk(chunk).unwrap();
        }
        spooler.end().unwrap();
    }

    #[test]
    fn small_bodies_stay_in_memory_and_large_ones_go_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let limits = BodyLimits {
            max_bytes: 20,
            memory_bytes: 5,
            spool_dir: Some(folder.path().into()),
        };
        let mut spooler = Spooler::bodies(limits);
        for (bytes, in_memory) in [(&b"12345"[..], true), (b"123456", false), (b"", true)] {
            spooler.clear();
            stream(&mut spooler, Section::Full, bytes);
            let Some(Body::Stored(body)) = spooler.take_body(0) else {
                panic!()
            };
            assert_eq!(matches!(body.content, Content::Memory(_)), in_memory);
            assert_eq!(*body.sha256(), <[u8; 32]>::from(Sha256::digest(bytes)));
            assert_eq!(body.is_empty(), bytes.is_empty());
            assert_eq!(read(body), bytes);
        }
        spooler.clear();
        stream(&mut spooler, Section::Full, &[0; 21]);
        assert!(matches!(spooler.take_body(0), Some(Body::TooLarge { size: 21 })));
        assert!(matches!(
            spooler.inline(&[0; 21]),
            Ok(Body::TooLarge { size: 21 })
        ));
    }

    #[test]
    fn only_the_first_body_and_header_are_kept_and_only_when_asked_for() {
        let mut spooler = Spooler {
            header_bytes: 4,
            ..Spooler::bodies(BodyLimits::default())
        };
        for (section, bytes) in [
            (Section::Other, b"part 0"),
            (Section::Header, b"header"),
            (Section::Full, b"body 2"),
            (Section::Header, b"second"),
            (Section::Full, b"body 4"),
        ] {
            stream(&mut spooler, section, bytes);
        }
        assert!(spooler.take_body(4).is_none() && spooler.take_header(3).is_none());
        assert_eq!(spooler.take_header(1).as_deref(), Some(&b"head"[..]));
        assert!(matches!(spooler.take_body(2), Some(Body::Stored(body)) if body.len() == 6));
        let mut none = Spooler::none();
        stream(&mut none, Section::Full, b"x");
        stream(&mut none, Section::Header, b"x");
        assert!(none.take_body(0).is_none() && none.take_header(1).is_none());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let limits = BodyLimits {
            memory_bytes: 0,
            spool_dir: Some("/nowhere".into()),
            ..BodyLimits::default()
        };
        assert!(matches!(
            Spooler::bodies(limits).begin(Section::Full, 1),
            Err(Error::Spool(_))
        ));
    }
}
