//! The raw bytes of large messages, content-addressed within their tenant: in a folder, or in an S3 bucket.

use std::{
    fs, io,
    ops::Range,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, future::ready, stream::BoxStream};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

use crate::model::{Error, Result, id::TenantId};

/// How many bytes are given to a folder at a time.
const FOLDER_PIECE: u64 = 1024 * 1024;
/// How many bytes are given to a bucket at a time: S3 takes no smaller part of an upload.
const S3_PIECE: u64 = 5 * 1024 * 1024;

/// Where the raw bytes of large messages are kept.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// An object's bytes are held up to this many at a time while it is stored.
    piece: u64,
    /// Where the objects lie, when that is a folder.
    folder: Option<PathBuf>,
}

/// An object, as a listing tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub tenant: TenantId,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// When it was last put, by the clock of the object store.
    pub modified: DateTime<Utc>,
}

impl Blobs {
    /// In a folder, which is made when it is missing. Each object is synced to the disk before its row is written.
    pub fn open_folder(folder: &FsPath) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::internal)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(Error::internal)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: String::new(),
            piece: FOLDER_PIECE,
            folder: Some(folder.to_owned()),
        })
    }

    /// In an S3 bucket; credentials and endpoint come from the `AWS_…` variables.
    pub fn open_s3(bucket: &str, prefix: &str) -> Result<Self> {
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            store: Arc::new(store),
            prefix: prefix.to_owned(),
            piece: S3_PIECE,
            folder: None,
        })
    }

    /// Stores the first `size` bytes as an object under their SHA-256; storing it again changes nothing. Of a large one only
    /// a piece is held: 1 MiB for a folder, 5 MiB for S3.
    ///
    /// # Errors
    /// The bytes cannot be read, are fewer, or cannot be written. Then there is no object.
    pub async fn put(
        &self,
        tenant: TenantId,
        sha256: &[u8; 32],
        size: u64,
        mut bytes: impl AsyncRead + Unpin,
    ) -> Result<()> {
        let path = self.path(tenant, sha256);
        if size <= self.piece {
            let payload = PutPayload::from(read(&mut bytes, size).await?);
            self.store.put(&path, payload).await.map_err(Error::internal)?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&path).await.map_err(Error::internal)?;
        let stored = self.upload(upload.as_mut(), size, bytes).await;
        if stored.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what was uploaded of an object was left"
            );
        }
        stored
    }

    /// The same, of bytes that are at hand and few.
    ///
    /// # Errors
    /// They cannot be written. Then there is no object.
    pub async fn put_bytes(&self, tenant: TenantId, sha256: &[u8; 32], bytes: Bytes) -> Result<()> {
        let path = self.path(tenant, sha256);
        self.store
            .put(&path, bytes.into())
            .await
            .map_err(Error::internal)?;
        Ok(())
    }

    async fn upload(
        &self,
        upload: &mut dyn MultipartUpload,
        size: u64,
        mut bytes: impl AsyncRead + Unpin,
    ) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let piece = left.min(self.piece);
            let payload = PutPayload::from(read(&mut bytes, piece).await?);
            upload.put_part(payload).await.map_err(Error::internal)?;
            left -= piece;
        }
        upload.complete().await.map_err(Error::internal)?;
        Ok(())
    }

    /// A range of an object's bytes.
    pub async fn get_range(&self, tenant: TenantId, sha256: &[u8; 32], range: Range<u64>) -> Result<Bytes> {
        self.store
            .get_range(&self.path(tenant, sha256), range)
            .await
            .map_err(Error::internal)
    }

    /// True when the object is there.
    pub async fn has(&self, tenant: TenantId, sha256: &[u8; 32]) -> Result<bool> {
        match self.store.head(&self.path(tenant, sha256)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Deletes an object; one that is not there is as good as deleted.
    pub async fn delete(&self, tenant: TenantId, sha256: &[u8; 32]) -> Result<()> {
        match self.store.delete(&self.path(tenant, sha256)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Every object of every tenant, at most `page` of them at a time, in no order. What is put or deleted meanwhile may be
    /// told or not. Objects whose names are not ours are left out.
    pub fn list(&self, page: usize) -> BoxStream<'static, Result<Vec<Listed>>> {
        let prefix = Some(self.path_of(&[])).filter(|prefix| !prefix.as_ref().is_empty());
        let depth = prefix.as_ref().map_or(0, |prefix| prefix.parts().count());
        self.store
            .list(prefix.as_ref())
            .try_filter_map(move |object| ready(Ok(listed(depth, &object))))
            .try_chunks(page)
            .map_err(|error| Error::internal(error.1))
            .boxed()
    }

    /// Deletes what a process that was killed in the midst of a put left behind in a folder, if it is older than `before`;
    /// answers how much it was. No listing tells of it. (A bucket has its own rule for uploads that were never ended.)
    pub async fn delete_unfinished(&self, before: DateTime<Utc>) -> Result<usize> {
        let Some(folder) = self.folder.clone() else {
            return Ok(0);
        };
        tokio::task::spawn_blocking(move || unfinished(&folder, before))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)
    }

    /// Writes a small object, reads it back and removes it.
    pub async fn check(&self) -> Result<()> {
        let path = self.path_of(&["check"]);
        let bytes = Bytes::from_static(b"postroom");
        self.store
            .put(&path, PutPayload::from(bytes.clone()))
            .await
            .map_err(Error::internal)?;
        let read = self
            .store
            .get(&path)
            .await
            .map_err(Error::internal)?
            .bytes()
            .await
            .map_err(Error::internal)?;
        self.store.delete(&path).await.map_err(Error::internal)?;
        if read == bytes {
            Ok(())
        } else {
            Err(Error::internal("an object read back is not what was written"))
        }
    }

    fn path(&self, tenant: TenantId, sha256: &[u8; 32]) -> Path {
        let name = base16ct::lower::encode_string(sha256);
        let folder = name.get(..2).unwrap_or_default();
        self.path_of(&[&tenant.0.simple().to_string(), folder, &name])
    }

    fn path_of(&self, parts: &[&str]) -> Path {
        let prefix = Some(self.prefix.as_str()).filter(|prefix| !prefix.is_empty());
        prefix.into_iter().chain(parts.iter().copied()).collect()
    }
}

/// The next `size` bytes, a piece that can be held.
async fn read(bytes: &mut (impl AsyncRead + Unpin), size: u64) -> Result<Bytes> {
    let mut piece = vec![0; usize::try_from(size).map_err(Error::internal)?];
    bytes.read_exact(&mut piece).await.map_err(Error::internal)?;
    Ok(piece.into())
}

/// Reads the name `…/TENANT/XX/SHA256` of an object, `depth` parts below the root.
fn listed(depth: usize, object: &object_store::ObjectMeta) -> Option<Listed> {
    let mut parts = object.location.parts().skip(depth);
    let (tenant, folder, name) = (parts.next()?, parts.next()?, parts.next()?);
    let name = name.as_ref();
    if parts.next().is_some() || name.len() != 64 || !name.is_ascii() || !name.starts_with(folder.as_ref()) {
        return None;
    }
    let mut sha256 = [0; 32];
    for (at, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Listed {
        tenant: TenantId(Uuid::try_parse(tenant.as_ref()).ok()?),
        sha256,
        modified: object.last_modified,
    })
}

/// Deletes the files `TENANT/XX/SHA256#NUMBER` under which the library writes what it renames when it is whole.
fn unfinished(root: &FsPath, before: DateTime<Utc>) -> io::Result<usize> {
    let mut deleted = 0;
    for tenant in entries(root)? {
        for folder in entries(&tenant)? {
            for file in entries(&folder)? {
                let name = file
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                let is_part = name.split_once('#').is_some_and(|(name, number)| {
                    name.len() == 64 && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                });
                if is_part && remove_older(&file, before)? {
                    deleted += 1;
                }
            }
        }
    }
    Ok(deleted)
}

/// Deletes a file that was last written before this time; one that was given its own name meanwhile is none.
fn remove_older(file: &FsPath, before: DateTime<Utc>) -> io::Result<bool> {
    let removed = fs::metadata(file)
        .and_then(|file| file.modified())
        .and_then(|modified| {
            let is_older = DateTime::<Utc>::from(modified) < before;
            if is_older { fs::remove_file(file) } else { Ok(()) }.map(|()| is_older)
        });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed,
    }
}

/// What is in a folder; nothing where it is a file, or has gone.
fn entries(folder: &FsPath) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SHA256: [u8; 32] = [7; 32];

    fn tenant() -> TenantId {
        TenantId(Uuid::nil())
    }

    fn files(folder: &FsPath) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| if path.is_dir() { files(&path) } else { 1 })
            .sum()
    }

    #[tokio::test]
    async fn an_object_of_many_pieces_is_stored_from_a_file_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open_folder(folder.path()).unwrap();
        for size in [0, 1, FOLDER_PIECE, FOLDER_PIECE + 1, 3 * FOLDER_PIECE] {
            let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            let file = tokio::fs::File::from_std(file);
            blobs.put(tenant(), &SHA256, size, file).await.unwrap();
            let read = blobs.get_range(tenant(), &SHA256, 0..size.max(1)).await;
            assert!(size == 0 || read.unwrap() == bytes, "{size}");
            assert_eq!(files(folder.path()), 1);
        }
    }

    #[tokio::test]
    async fn an_object_whose_bytes_end_early_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open_folder(folder.path()).unwrap();
        for size in [10, 2 * FOLDER_PIECE] {
            let few = vec![1; usize::try_from(size - 1).unwrap()];
            assert!(blobs.put(tenant(), &SHA256, size, few.as_slice()).await.is_err());
            assert!(blobs.get_range(tenant(), &SHA256, 0..1).await.is_err());
            assert_eq!(files(folder.path()), 0, "a part of it was left");
        }
    }
}
