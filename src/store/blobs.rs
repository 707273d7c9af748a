//! The raw bytes of large messages, content-addressed within their tenant: in a folder, or in an S3 bucket.

use std::{fmt::Write, ops::Range, path::Path as FsPath, sync::Arc};

use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path,
};
use tokio::io::{AsyncRead, AsyncReadExt};

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
}

impl Blobs {
    /// In a folder, which is made when it is missing. Each object is synced to the disk before its row is written.
    pub fn open_folder(folder: &FsPath) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::internal)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(Error::internal)?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: String::new(),
            piece: FOLDER_PIECE,
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
        let mut name = String::with_capacity(64);
        for byte in sha256 {
            let _ = write!(name, "{byte:02x}");
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SHA256: [u8; 32] = [7; 32];

    fn tenant() -> TenantId {
        TenantId(uuid::Uuid::nil())
    }

    fn files(folder: &FsPath) -> usize {
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
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
            std::io::Seek::rewind(&mut file).unwrap();
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
