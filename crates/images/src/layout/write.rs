//! Writing to an image layout: whole and verified files only, under their final names.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::{INDEX_LIMIT, Layout, REF_NAME, index_text, io_error};
use crate::digest::Hasher;
use crate::manifest::Descriptor;
use crate::progress::{BlobWay, Progress};
use crate::registry::Blob;
use crate::source::Source;
use crate::{Digest, ImagesError};

/// Bytes that are collected before they are written.
const BLOCK: usize = 1 << 20;

/// Where blobs are until they are whole. What a broken run leaves here the next one goes on with.
const INCOMING: &str = ".incoming";

impl Layout {
    /// Makes a folder below the layout's, and those above it.
    pub(super) async fn folder(&self, name: &str) -> Result<PathBuf, ImagesError> {
        let path = self.path().join(name);
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder
            .create(&path)
            .await
            .map_err(io_error("make", &path))?;
        Ok(path)
    }

    /// Writes a small file so that its name never shows half of it.
    pub(super) async fn replace(&self, name: &str, bytes: &Bytes) -> Result<(), ImagesError> {
        let path = self.path().join(name);
        let new = self.path().join(format!("{name}.new"));
        let mut file = private()
            .truncate(true)
            .open(&new)
            .await
            .map_err(io_error("write", &new))?;
        file.write_all(bytes)
            .await
            .map_err(io_error("write", &new))?;
        file.sync_all().await.map_err(io_error("write", &new))?;
        fs::rename(&new, &path)
            .await
            .map_err(io_error("write", &path))
    }

    /// Puts a manifest, whose digest was computed from these bytes.
    pub(crate) async fn put_manifest(
        &self,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), ImagesError> {
        let lock = self.lock(descriptor.digest).await;
        let _one_writer = lock.lock().await;
        self.folder("blobs/sha256").await?;
        self.replace(&format!("blobs/sha256/{}", descriptor.digest.hex()), bytes)
            .await
    }

    /// Names an image, whose manifests and blobs are all here. A former image of that name loses it.
    pub(crate) async fn name_image(
        &self,
        name: &str,
        descriptor: &Descriptor,
    ) -> Result<(), ImagesError> {
        let _one_at_a_time = self.0.index.lock().await;
        let bytes = self.file("index.json", INDEX_LIMIT).await?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.bad(&format!("index.json: {error}")))?;
        let at = format!("/annotations/{REF_NAME}");
        let name_of = |entry: &Value| {
            entry
                .pointer(&at)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut entries: Vec<Value> = value["manifests"].as_array().cloned().unwrap_or_default();
        entries.retain(|entry| name_of(entry) != name);
        entries.push(json!({
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
            "annotations": {REF_NAME: name},
        }));
        entries.sort_by_key(name_of);
        self.replace("index.json", &Bytes::from(index_text(&entries)))
            .await
    }

    /// Puts a blob, unless it is here. What a broken run left of it is gone on with.
    pub(crate) async fn put_blob(
        &self,
        blob: &Blob,
        source: &Source,
        progress: &dyn Progress,
    ) -> Result<BlobWay, ImagesError> {
        let digest = blob.descriptor.digest;
        let lock = self.lock(digest).await;
        let _one_writer = lock.lock().await;
        if self.has(blob).await? {
            return Ok(BlobWay::Present);
        }
        self.folder("blobs/sha256").await?;
        let incoming = Incoming::enter(self)?;
        let part = incoming.folder.join(digest.hex());
        let resumed = fs::metadata(&part).await.map_or(0, |found| found.len());
        match self.receive(blob, source, &part, progress).await {
            // Which part of it is wrong nobody knows: perhaps the one that was left over.
            Err(ImagesError::WrongDigest { .. }) if resumed > 0 => {
                self.receive(blob, source, &part, progress).await?;
            }
            other => other?,
        }
        let path = self.blob_path(digest);
        fs::rename(&part, &path)
            .await
            .map_err(io_error("write", &path))?;
        self.0.verified.lock().await.insert(digest);
        Ok(BlobWay::Copied)
    }

    async fn lock(&self, digest: Digest) -> Arc<Mutex<()>> {
        self.0.locks.lock().await.entry(digest).or_default().clone()
    }

    /// Whether a blob is here and right. One that is not right is removed.
    async fn has(&self, blob: &Blob) -> Result<bool, ImagesError> {
        let digest = blob.descriptor.digest;
        match self.check_blob(blob).await {
            Ok(()) => {}
            Err(ImagesError::BlobGone { .. }) => return Ok(false),
            Err(ImagesError::WrongSize { .. }) => {
                self.remove(digest).await?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        if self.0.verified.lock().await.contains(&digest) {
            return Ok(true);
        }
        let path = self.blob_path(digest);
        let mut file = File::open(&path).await.map_err(io_error("read", &path))?;
        let (hasher, _) = hash(&mut file).await.map_err(io_error("read", &path))?;
        if hasher.finish() != digest {
            self.remove(digest).await?;
            return Ok(false);
        }
        self.0.verified.lock().await.insert(digest);
        Ok(true)
    }

    async fn remove(&self, digest: Digest) -> Result<(), ImagesError> {
        let path = self.blob_path(digest);
        fs::remove_file(&path)
            .await
            .map_err(io_error("remove", &path))
    }

    /// Receives a blob into `part`, from where that ends, and verifies the whole.
    async fn receive(
        &self,
        blob: &Blob,
        source: &Source,
        part: &PathBuf,
        progress: &dyn Progress,
    ) -> Result<(), ImagesError> {
        let fail = |error| io_error("write", part)(error);
        let mut file = private().read(true).open(part).await.map_err(fail)?;
        let (mut hasher, mut at) = hash(&mut file).await.map_err(fail)?;
        if at > blob.descriptor.size {
            file.set_len(0).await.map_err(fail)?;
            file = private().read(true).open(part).await.map_err(fail)?;
            (hasher, at) = (Hasher::default(), 0);
        }
        file.set_max_buf_size(2 * BLOCK);
        let mut stream = source.read(blob, at).await?;
        let mut block = Vec::with_capacity(BLOCK);
        while let Some(piece) = stream.next().await? {
            hasher.update(&piece);
            progress.bytes(piece.len() as u64);
            block.extend_from_slice(&piece);
            if block.len() >= BLOCK {
                file.write_all(&block).await.map_err(fail)?;
                block.clear();
            }
        }
        file.write_all(&block).await.map_err(fail)?;
        file.sync_all().await.map_err(fail)?;
        let actual = hasher.finish();
        if actual == blob.descriptor.digest {
            return Ok(());
        }
        fs::remove_file(part).await.map_err(fail)?;
        Err(ImagesError::WrongDigest {
            place: source.place(),
            what: format!("the blob of {}", blob.image),
            expected: blob.descriptor.digest,
            actual,
        })
    }
}

/// The folder of what is on its way, there as long as anything is.
struct Incoming<'a> {
    layout: &'a Layout,
    folder: PathBuf,
}

impl<'a> Incoming<'a> {
    fn enter(layout: &'a Layout) -> Result<Self, ImagesError> {
        let folder = layout.path().join(INCOMING);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let mut writers = layout
            .0
            .incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        builder.create(&folder).map_err(io_error("make", &folder))?;
        *writers += 1;
        Ok(Self { layout, folder })
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        let mut writers = self
            .layout
            .0
            .incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *writers -= 1;
        if *writers == 0 {
            // It stays when something was left in it, to be gone on with.
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}

/// Options for files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Reads a file to its end.
async fn hash(file: &mut File) -> std::io::Result<(Hasher, u64)> {
    let mut hasher = Hasher::default();
    let mut block = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut block).await? {
            0 => return Ok((hasher, length)),
            read => {
                hasher.update(&block[..read]);
                length += read as u64;
            }
        }
    }
}
