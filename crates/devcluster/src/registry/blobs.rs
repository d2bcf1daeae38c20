//! Blobs: content on disk under its digest, and which repository it was pushed to.
//!
//! A blob appears under its name only when it is whole and its digest is right; a repository knows a
//! blob by an empty file of that name, so that what somebody pushed to one project is not found in
//! another.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::digest::Digest;

/// What a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linked {
    /// Layers, configs and whatever else manifests refer to.
    Blob,
    /// Manifests.
    Manifest,
}

/// The blobs of one cluster. Clones mean the same folder.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

/// A blob on its way to the disk, hashed as it comes.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: NamedTempFile,
    hash: Sha256,
    size: u64,
    blobs: Blobs,
}

impl Blobs {
    /// The blobs below `folder`, made if it is missing. What an earlier run did not finish is removed.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        let blobs = Self { folder };
        fs_err::create_dir_all(blobs.folder.join("sha256"))?;
        fs_err::create_dir_all(blobs.folder.join("repositories"))?;
        let uploads = blobs.folder.join("uploads");
        crate::trees::remove(&uploads)?;
        fs_err::create_dir_all(uploads)?;
        Ok(blobs)
    }

    /// Where a blob is, if it is there.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    /// Size of a blob that is here.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let found = std::fs::metadata(self.path(digest)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// A small blob's bytes.
    pub(crate) fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        fs_err::read(self.path(digest))
    }

    /// Keeps these bytes.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if self.size(&digest).is_none() {
            let mut writer = self.writer()?;
            writer.write_all(bytes)?;
            writer.keep()?;
        }
        Ok(digest)
    }

    /// Takes over a file of this content (already verified), unless it is here.
    pub(crate) fn adopt(&self, file: &Path, digest: &Digest) -> io::Result<()> {
        if self.size(digest).is_some() {
            return Ok(());
        }
        fs_err::rename(file, self.path(digest))
    }

    /// Begins a blob whose digest is known at its end.
    pub(crate) fn writer(&self) -> io::Result<BlobWriter> {
        Ok(BlobWriter {
            file: NamedTempFile::new_in(self.folder.join("uploads"))?,
            hash: Sha256::new(),
            size: 0,
            blobs: self.clone(),
        })
    }

    fn repository(&self, repository: &str) -> PathBuf {
        self.folder.join("repositories").join(repository)
    }

    fn link_path(&self, repository: &str, kind: Linked, digest: &Digest) -> PathBuf {
        let folder = match kind {
            Linked::Blob => "_blobs",
            Linked::Manifest => "_manifests",
        };
        self.repository(repository).join(folder).join(digest.hex())
    }

    /// Makes a blob known in a repository, `namespace/name` (already checked).
    pub(crate) fn link(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        self.write_link(repository, Linked::Blob, digest, "")
    }

    /// Makes a manifest known in a repository. Its type need not be in it, so it is kept beside it.
    pub(crate) fn link_manifest(
        &self,
        repository: &str,
        digest: &Digest,
        media_type: &str,
    ) -> io::Result<()> {
        self.write_link(repository, Linked::Manifest, digest, media_type)
    }

    fn write_link(
        &self,
        repository: &str,
        kind: Linked,
        digest: &Digest,
        text: &str,
    ) -> io::Result<()> {
        let path = self.link_path(repository, kind, digest);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        // Written aside first: an empty one must never be read as a manifest's.
        let mut file = NamedTempFile::new_in(self.folder.join("uploads"))?;
        file.write_all(text.as_bytes())?;
        keep_file(file, &path)
    }

    /// A repository's manifest of this digest, with its type.
    pub(crate) fn manifest(&self, repository: &str, digest: &Digest) -> Option<(Vec<u8>, String)> {
        let link = self.link_path(repository, Linked::Manifest, digest);
        let media_type = std::fs::read_to_string(link).ok()?;
        Some((self.read(digest).ok()?, media_type))
    }

    /// Whether a repository has it, and it is here.
    pub(crate) fn is_linked(&self, repository: &str, kind: Linked, digest: &Digest) -> bool {
        self.link_path(repository, kind, digest).exists() && self.path(digest).exists()
    }

    /// Makes a repository forget one of its blobs or manifests. Its bytes stay: others may have it.
    pub(crate) fn unlink(&self, repository: &str, kind: Linked, digest: &Digest) -> io::Result<()> {
        fs_err::remove_file(self.link_path(repository, kind, digest))
    }

    /// Forgets everything that a repository has.
    pub(crate) fn forget(&self, repository: &str) -> io::Result<()> {
        crate::trees::remove(&self.repository(repository))
    }
}

impl BlobWriter {
    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The digest of what was written so far.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_hash(self.hash.clone())
    }

    /// Puts the blob under its name.
    pub(crate) fn keep(self) -> io::Result<Digest> {
        let digest = Digest::from_hash(self.hash);
        let path = self.blobs.path(&digest);
        keep_file(self.file, &path)?;
        Ok(digest)
    }
}

fn keep_file(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.as_file_mut().write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_known_where_it_was_pushed_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("registry")).unwrap();
        let digest = blobs.put(b"content").unwrap();
        assert_eq!(blobs.size(&digest), Some(7));
        assert_eq!(blobs.read(&digest).unwrap(), b"content");
        assert!(!blobs.is_linked("shop/web", Linked::Blob, &digest));
        blobs.link("shop/web", &digest).unwrap();
        assert!(blobs.is_linked("shop/web", Linked::Blob, &digest));
        assert!(!blobs.is_linked("shop/web", Linked::Manifest, &digest));
        assert!(!blobs.is_linked("other/web", Linked::Blob, &digest));
        blobs.forget("shop/web").unwrap();
        assert!(!blobs.is_linked("shop/web", Linked::Blob, &digest));
        assert_eq!(blobs.size(&digest), Some(7));
    }

    #[test]
    fn what_was_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("registry")).unwrap();
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"half").unwrap();
        let digest = writer.digest();
        drop(writer);
        assert_eq!(blobs.size(&digest), None);
        let left = std::fs::read_dir(folder.path().join("registry/uploads")).unwrap();
        assert_eq!(left.count(), 0);
    }
}
