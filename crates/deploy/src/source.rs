//! A file or folder of this machine as a tar stream: never whole in memory, and never torn without saying so.

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use futures::Stream;
use ring::digest::{Context, Digest, SHA256};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::{DeployError, Ignore};

/// Bytes per piece, of which a few are on the way.
const PIECE: usize = 128 << 10;
const ON_THE_WAY: usize = 4;

/// What a file or folder holds, listed once; contents are read when they are sent.
#[derive(Debug, Clone, Default)]
pub struct SourceTree {
    root: PathBuf,
    entries: Vec<Entry>,
    /// What cannot be sent: sockets, pipes and devices.
    left_out: Vec<PathBuf>,
    /// Known once somebody asked for it; clones share it.
    digest: Arc<OnceLock<String>>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Where it is, below the root.
    path: PathBuf,
    /// What it is called in the archive.
    name: PathBuf,
    kind: Kind,
    mode: u32,
    mtime: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Folder,
    File { size: u64 },
    Link { to: PathBuf },
}

impl SourceTree {
    /// Lists the source of a build: a folder without `.git` and what its `.s2iignore` names. Links stay links.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub fn of_build(root: &Path) -> Result<Self, DeployError> {
        let file = root.join(".s2iignore");
        let ignore = match std::fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(DeployError::Read { path: file, source }),
        };
        Self::of_folder(root, None, &Ignore::of_source(&ignore))
    }

    /// Lists a file, a link or a folder, to be called `name`.
    ///
    /// # Errors
    /// When it, or something in it, cannot be read.
    pub fn named(path: &Path, name: &Path) -> Result<Self, DeployError> {
        let read = |source| DeployError::Read {
            path: path.to_owned(),
            source,
        };
        // A link that was named is followed, as every copying program does.
        if std::fs::metadata(path).map_err(read)?.is_dir() {
            return Self::of_folder(path, Some(name), &Ignore::nothing());
        }
        let metadata = std::fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            return Err(DeployError::NotA {
                path: path.to_owned(),
                wanted: "a file or folder",
            });
        }
        let mut tree = Self {
            root: path.to_owned(),
            ..Self::default()
        };
        tree.add(PathBuf::new(), name.to_owned(), &metadata, None);
        Ok(tree)
    }

    fn of_folder(root: &Path, name: Option<&Path>, ignore: &Ignore) -> Result<Self, DeployError> {
        let read = |path: &Path, source| DeployError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = std::fs::metadata(root).map_err(|error| read(root, error))?;
        if !metadata.is_dir() {
            return Err(DeployError::NotA {
                path: root.to_owned(),
                wanted: "a folder",
            });
        }
        let mut tree = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        if let Some(name) = name {
            tree.add(PathBuf::new(), name.to_owned(), &metadata, None);
        }
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let here = root.join(&folder);
            let mut found: Vec<_> = std::fs::read_dir(&here)
                .and_then(Iterator::collect)
                .map_err(|error| read(&here, error))?;
            found.sort_by_key(std::fs::DirEntry::file_name);
            let mut inner = Vec::new();
            for entry in found {
                let path = folder.join(entry.file_name());
                if ignore.leaves_out(&path) {
                    continue;
                }
                let whole = entry.path();
                let metadata = entry.metadata().map_err(|error| read(&whole, error))?;
                let to = metadata
                    .is_symlink()
                    .then(|| std::fs::read_link(&whole))
                    .transpose()
                    .map_err(|error| read(&whole, error))?;
                if metadata.is_dir() {
                    inner.push(path.clone());
                }
                let called = match name {
                    Some(name) => name.join(&path),
                    None => path.clone(),
                };
                tree.add(path, called, &metadata, to);
            }
            // The first is the next.
            folders.extend(inner.into_iter().rev());
        }
        Ok(tree)
    }

    fn add(
        &mut self,
        path: PathBuf,
        name: PathBuf,
        metadata: &std::fs::Metadata,
        to: Option<PathBuf>,
    ) {
        let kind = match to {
            Some(to) => Kind::Link { to },
            None if metadata.is_dir() => Kind::Folder,
            None if metadata.is_file() => Kind::File {
                size: metadata.len(),
            },
            None => {
                self.left_out.push(path);
                return;
            }
        };
        self.entries.push(Entry {
            path,
            name,
            kind,
            mode: metadata.permissions().mode() & 0o777,
            mtime: u64::try_from(metadata.mtime()).unwrap_or(0),
        });
    }

    /// What cannot be sent: sockets, pipes and devices.
    pub fn left_out(&self) -> &[PathBuf] {
        &self.left_out
    }

    /// How many files it has.
    pub fn files(&self) -> usize {
        self.sizes().count()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.sizes().map(|(_, size)| size).sum()
    }

    /// Names in the archive and sizes of all files.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.entries.iter().filter_map(|entry| match entry.kind {
            Kind::File { size } => Some((entry.name.as_path(), size)),
            _ => None,
        })
    }

    /// The SHA-256 of names, modes, links and contents, in hexadecimal: equal for equal sources, whenever and wherever they
    /// were written. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read, or is changed meanwhile.
    pub fn digest(&self) -> Result<String, DeployError> {
        if let Some(known) = self.digest.get() {
            return Ok(known.clone());
        }
        let mut context = Context::new(&SHA256);
        let mut field = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_le_bytes());
            context.update(bytes);
        };
        let mut contents = Vec::new();
        for entry in &self.entries {
            field(entry.name.as_os_str().as_encoded_bytes());
            match &entry.kind {
                Kind::Folder => field(b"folder"),
                Kind::Link { to } => {
                    field(b"link");
                    field(to.as_os_str().as_encoded_bytes());
                }
                Kind::File { size } => {
                    field(if entry.mode & 0o100 == 0 {
                        b"file"
                    } else {
                        b"program"
                    });
                    field(&size.to_le_bytes());
                    contents.push(entry);
                }
            }
        }
        let mut buffer = vec![0; PIECE];
        for entry in contents {
            let path = self.root.join(&entry.path);
            let mut read = || -> io::Result<()> {
                let mut file = self.open(entry)?;
                loop {
                    match file.read(&mut buffer)? {
                        0 => return Ok(()),
                        count => context.update(&buffer[..count]),
                    }
                }
            };
            read().map_err(|source| DeployError::Read { path, source })?;
        }
        let digest = hexadecimal(&context.finish());
        Ok(self.digest.get_or_init(|| digest).clone())
    }

    /// The content of a file, of exactly the listed size.
    fn open(&self, entry: &Entry) -> io::Result<Exactly<fs::File>> {
        let Kind::File { size } = entry.kind else {
            return Err(io::Error::other("it is no file"));
        };
        let path = if entry.path.as_os_str().is_empty() {
            self.root.clone()
        } else {
            self.root.join(&entry.path)
        };
        Ok(Exactly {
            left: size,
            path: path.clone(),
            inner: fs::File::open(path)?,
        })
    }

    /// Writes the archive; contents come from `open`.
    fn write<W: Write, R: Read>(
        &self,
        to: W,
        open: impl Fn(&Self, &Entry) -> io::Result<R>,
    ) -> io::Result<W> {
        let mut archive = tar::Builder::new(to);
        for entry in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_mtime(entry.mtime);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match &entry.kind {
                Kind::Folder => {
                    header.set_entry_type(tar::EntryType::Directory);
                    archive.append_data(&mut header, &entry.name, io::empty())?;
                }
                Kind::Link { to } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    archive.append_link(&mut header, &entry.name, to)?;
                }
                Kind::File { size } => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_size(*size);
                    archive.append_data(&mut header, &entry.name, open(self, entry)?)?;
                }
            }
        }
        archive.into_inner()
    }

    /// Bytes of the archive, uncompressed.
    pub fn length(&self) -> u64 {
        // Written to nowhere, with nothing in its files: names decide on more blocks than one can count by hand.
        let open = |_: &Self, entry: &Entry| match entry.kind {
            Kind::File { size } => Ok(io::repeat(0).take(size)),
            _ => Ok(io::repeat(0).take(0)),
        };
        self.write(Counting(0), open).map_or(0, |counted| counted.0)
    }

    /// The archive as a stream, gzipped if asked; `passed` counts bytes of it before compression.
    ///
    /// A file that cannot be read, or is changed meanwhile, fails the stream.
    pub fn into_stream(self, gzip: bool, passed: Arc<AtomicU64>) -> impl AsyncRead + Send + Unpin {
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        let failed = sender.clone();
        tokio::task::spawn_blocking(move || {
            let pieces = Pieces {
                buffer: BytesMut::with_capacity(PIECE),
                sender,
            };
            let written = if gzip {
                let gzip = GzEncoder::new(pieces, Compression::fast());
                self.write(Passing(gzip, passed), Self::open)
                    .and_then(|gzip| gzip.0.finish())
                    .and_then(Pieces::finish)
            } else {
                self.write(Passing(pieces, passed), Self::open)
                    .and_then(|pieces| pieces.0.finish())
            };
            if let Err(error) = written {
                // Nobody may read any more; then nobody asks why either.
                let _ = failed.blocking_send(Err(error));
            }
        });
        StreamReader::new(Received(receiver))
    }
}

/// A digest as it is written.
pub(crate) fn hexadecimal(digest: &Digest) -> String {
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The receiving end as a stream.
struct Received(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Received {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Sends what is written in pieces.
struct Pieces {
    buffer: BytesMut,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let piece = self.buffer.split().freeze();
        self.buffer.reserve(PIECE);
        if piece.is_empty() {
            return Ok(());
        }
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    fn finish(mut self) -> io::Result<()> {
        self.send()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what passes.
struct Passing<W>(W, Arc<AtomicU64>);

impl<W: Write> Write for Passing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Only counts.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of the size that was announced; one that is shorter or longer by now is an error.
struct Exactly<R> {
    inner: R,
    left: u64,
    path: PathBuf,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let changed = || {
            io::Error::other(format!(
                "{} was changed while it was read",
                self.path.display()
            ))
        };
        if self.left == 0 {
            // Read once more: there must be nothing.
            let mut more = [0];
            return match self.inner.read(&mut more)? {
                0 => Ok(0),
                _ => Err(changed()),
            };
        }
        let room = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        match self.inner.read(&mut buffer[..room])? {
            0 if room > 0 => Err(changed()),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("wsgi/deep")).unwrap();
        std::fs::create_dir_all(at(".git/objects")).unwrap();
        std::fs::write(at(".git/config"), "no").unwrap();
        std::fs::write(at(".s2iignore"), "*.md\n").unwrap();
        std::fs::write(at("README.md"), "no").unwrap();
        std::fs::write(at("app.py"), "print(1)\n").unwrap();
        std::fs::write(at("wsgi/deep/empty"), "").unwrap();
        let long = "x".repeat(180);
        std::fs::write(at(&format!("wsgi/{long}")), vec![7; 300_000]).unwrap();
        std::os::unix::fs::symlink("../nowhere", at("wsgi/link")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(at("app.py"), mode).unwrap();
        folder
    }

    async fn sent(tree: SourceTree, gzip: bool) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let passed = Arc::new(AtomicU64::new(0));
        let mut stream = tree.into_stream(gzip, Arc::clone(&passed));
        stream.read_to_end(&mut bytes).await?;
        if !gzip {
            assert_eq!(passed.load(Ordering::Relaxed), bytes.len() as u64);
        }
        Ok(bytes)
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mode = entry.header().mode().unwrap();
                let link = entry.link_name().unwrap();
                let link = link.map_or(String::new(), |to| format!(" -> {}", to.display()));
                format!("{mode:o} {}{link}", path.replace(&"x".repeat(180), "x…"))
            })
            .collect()
    }

    #[tokio::test]
    async fn a_source_is_sent_without_what_is_left_out() {
        let folder = tree();
        // Whatever the umask of this process is.
        for path in ["wsgi", "wsgi/deep"] {
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path().join(path), mode).unwrap();
        }
        let tree = SourceTree::of_build(folder.path()).unwrap();
        let plain = sent(tree.clone(), false).await.unwrap();
        assert_eq!(plain.len() as u64, tree.length());
        let listed = names(&plain);
        assert_eq!(
            listed
                .iter()
                .map(|line| line.split_once(' ').unwrap().1)
                .collect::<Vec<_>>(),
            [
                ".s2iignore",
                "app.py",
                "wsgi",
                "wsgi/deep",
                "wsgi/link -> ../nowhere",
                "wsgi/x…",
                "wsgi/deep/empty"
            ]
        );
        assert!(listed[1].starts_with("755 "), "{listed:?}");
        let zipped = sent(tree.clone(), true).await.unwrap();
        assert!(zipped.len() < 5000);
        let mut unzipped = Vec::new();
        flate2::read::GzDecoder::new(&zipped[..])
            .read_to_end(&mut unzipped)
            .unwrap();
        assert!(unzipped == plain);
        assert_eq!((tree.files(), tree.bytes()), (4, 300_014));
    }

    #[tokio::test]
    async fn a_file_that_is_changed_meanwhile_fails_the_stream() {
        for content in ["longer than it was before", "x"] {
            let folder = tree();
            let tree = SourceTree::of_build(folder.path()).unwrap();
            std::fs::write(folder.path().join("app.py"), content).unwrap();
            let error = sent(tree.clone(), true).await.unwrap_err();
            assert!(error.to_string().contains("was changed"), "{error}");
            assert!(tree.digest().is_err());
        }
    }

    #[test]
    fn a_digest_is_that_of_the_content() {
        let (one, other) = (tree(), tree());
        let of = |folder: &tempfile::TempDir| {
            SourceTree::of_build(folder.path())
                .unwrap()
                .digest()
                .unwrap()
        };
        assert_eq!(of(&one), of(&other));
        std::fs::write(other.path().join("README.md"), "left out anyway").unwrap();
        assert_eq!(of(&one), of(&other));
        std::fs::write(other.path().join("app.py"), "print(2)\n").unwrap();
        assert_ne!(of(&one), of(&other));
    }

    #[tokio::test]
    async fn a_file_may_have_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("-a b\n");
        std::fs::write(&odd, "odd").unwrap();
        let tree = SourceTree::named(&odd, Path::new("-c d\n")).unwrap();
        let archive = sent(tree, false).await.unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("-c d\n"));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "odd");
        assert!(SourceTree::named(Path::new("/dev/null"), Path::new("x")).is_err());
    }
}
