//! A folder in the form of the OCI image layout: blobs once each, and an index of the images that they make.

mod write;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::manifest::{Descriptor, LIMIT};
use crate::registry::Blob;
use crate::{Digest, ImagesError, media};

/// The annotation that names an image of a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Longest index that is read.
const INDEX_LIMIT: u64 = 16 << 20;

/// An OCI image layout, cheap to clone. Images may be written to it concurrently; blobs they share are copied once.
///
/// Manifests keep their bytes and with them their type, Docker's included, which not every reader of layouts looks for
/// by name. Its files are readable by their owner only: a layer may hold whatever a build was given.
#[derive(Clone)]
pub struct Layout(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// One writer for each blob.
    locks: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
    /// Blobs whose bytes were seen to be right.
    verified: Mutex<HashSet<Digest>>,
    index: Mutex<()>,
    /// Blobs that are on their way.
    incoming: std::sync::Mutex<usize>,
}

/// An image in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutImage {
    /// Its name (`org.opencontainers.image.ref.name`).
    pub name: String,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layout").field(&self.0.path).finish()
    }
}

impl Layout {
    fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner {
            path,
            locks: Mutex::default(),
            verified: Mutex::default(),
            index: Mutex::default(),
            incoming: std::sync::Mutex::default(),
        }))
    }

    /// Opens a layout to write to, and makes it if the folder is missing or empty.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds something else.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self, ImagesError> {
        let layout = Self::new(path.into());
        let marker = layout.0.path.join("oci-layout");
        if fs::try_exists(&marker)
            .await
            .map_err(io_error("read", &marker))?
        {
            return Self::open(layout.0.path.clone()).await;
        }
        if let Ok(mut entries) = fs::read_dir(&layout.0.path).await {
            while let Some(entry) = entries
                .next_entry()
                .await
                .map_err(io_error("read", &layout.0.path))?
            {
                // What is left of one that was being made is ours.
                let name = entry.file_name();
                let ours = ["blobs", "index.json", "index.json.new", "oci-layout.new"];
                if !ours.iter().any(|known| name == *known) {
                    return Err(layout.bad("it holds other files"));
                }
            }
        }
        layout.folder("blobs/sha256").await?;
        layout
            .replace("index.json", &Bytes::from(index_text(&[])))
            .await?;
        layout
            .replace(
                "oci-layout",
                &Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#),
            )
            .await?;
        Ok(layout)
    }

    /// Opens a layout that exists.
    ///
    /// # Errors
    /// When the folder is none, or of a version that is not known.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, ImagesError> {
        let layout = Self::new(path.into());
        let marker = layout.file("oci-layout", 4096).await?;
        let value: Value = serde_json::from_slice(&marker)
            .map_err(|error| layout.bad(&format!("oci-layout: {error}")))?;
        match value["imageLayoutVersion"].as_str() {
            Some(version) if version.starts_with("1.") => {}
            _ => return Err(layout.bad("its version is not 1")),
        }
        layout.images().await?;
        Ok(layout)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The images that have a name, in order of their names.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn images(&self) -> Result<Vec<LayoutImage>, ImagesError> {
        let bytes = self.file("index.json", INDEX_LIMIT).await?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.bad(&format!("index.json: {error}")))?;
        let entries = value["manifests"]
            .as_array()
            .ok_or_else(|| self.bad("index.json lists no manifests"))?;
        let mut images = Vec::new();
        for entry in entries {
            let descriptor = serde_json::from_value(entry.clone())
                .map_err(|error| self.bad(&format!("index.json: {error}")))?;
            if let Some(name) = entry
                .pointer(&format!("/annotations/{REF_NAME}"))
                .and_then(Value::as_str)
            {
                images.push(LayoutImage {
                    name: name.to_owned(),
                    descriptor,
                });
            }
        }
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// The image of this name.
    ///
    /// # Errors
    /// When there is none, or the index cannot be read.
    pub async fn image(&self, name: &str) -> Result<LayoutImage, ImagesError> {
        self.images()
            .await?
            .into_iter()
            .find(|image| image.name == name)
            .ok_or_else(|| ImagesError::NotInLayout {
                path: self.0.path.clone(),
                name: crate::words::shortened(name, 200),
            })
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.0.path.join("blobs").join("sha256").join(digest.hex())
    }

    /// The bytes of a manifest; `None` when it is not here.
    pub(crate) async fn manifest(&self, digest: Digest) -> Result<Option<Bytes>, ImagesError> {
        let name = format!("blobs/sha256/{}", digest.hex());
        match self.file(&name, LIMIT as u64).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ImagesError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A blob's file, once its length was found to be right.
    pub(crate) async fn open_blob(&self, blob: &Blob) -> Result<(File, PathBuf), ImagesError> {
        let path = self.blob_path(blob.descriptor.digest);
        self.check_blob(blob).await?;
        let file = File::open(&path).await.map_err(io_error("read", &path))?;
        Ok((file, path))
    }

    /// Whether a blob is here and as long as it should be.
    pub(crate) async fn check_blob(&self, blob: &Blob) -> Result<(), ImagesError> {
        let path = self.blob_path(blob.descriptor.digest);
        // Not through a link, which may lead anywhere.
        let found = match fs::symlink_metadata(&path).await {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Err(self.bad(&format!("{} is no file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImagesError::BlobGone {
                    place: self.0.path.display().to_string(),
                    image: blob.image.clone(),
                    digest: blob.descriptor.digest,
                });
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        if found != blob.descriptor.size {
            return Err(ImagesError::WrongSize {
                place: self.0.path.display().to_string(),
                what: format!("the blob {} of {}", blob.descriptor.digest, blob.image),
                expected: blob.descriptor.size,
                actual: found,
            });
        }
        Ok(())
    }

    /// A file of the layout, which may not be longer than `limit`.
    async fn file(&self, name: &str, limit: u64) -> Result<Bytes, ImagesError> {
        let path = self.0.path.join(name);
        let found = fs::symlink_metadata(&path)
            .await
            .map_err(io_error("read", &path))?;
        if !found.is_file() || found.len() > limit {
            return Err(self.bad(&format!("{name} is no file, or longer than {limit} bytes")));
        }
        let file = File::open(&path).await.map_err(io_error("read", &path))?;
        let mut bytes = Vec::with_capacity(found.len() as usize);
        file.take(limit)
            .read_to_end(&mut bytes)
            .await
            .map_err(io_error("read", &path))?;
        Ok(bytes.into())
    }

    fn bad(&self, reason: &str) -> ImagesError {
        ImagesError::BadLayout {
            path: self.0.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn index_text(images: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": images}).to_string()
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ImagesError + 'a {
    move |source| ImagesError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
