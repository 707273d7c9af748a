//! The raw bytes of large messages, content-addressed within their tenant: in a folder, or in an S3 bucket.

use std::{fmt::Write, ops::Range, path::Path as FsPath, sync::Arc};

use bytes::Bytes;
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};

use crate::model::{Error, Result, id::TenantId};

/// Where the raw bytes of large messages are kept.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: String,
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
        })
    }

    /// Stores an object under its SHA-256; storing it again changes nothing.
    pub async fn put(&self, tenant: TenantId, sha256: &[u8; 32], bytes: Bytes) -> Result<()> {
        self.store
            .put(&self.path(tenant, sha256), PutPayload::from(bytes))
            .await
            .map_err(Error::internal)?;
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
