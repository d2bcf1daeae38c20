//! `files.jsonl.zst`: the list of files on disk.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use crate::{
    FileEntry, FileList, VolumeError,
    digest::{Hasher, hex},
    list::line,
    meta::FileDigest,
    write,
};

pub(crate) const NAME: &str = "files.jsonl.zst";

/// Longest line: a path and a link of 4 KiB each and attributes of 64 KiB, all in base64, with room.
const MAX_LINE: u64 = 16 << 20;

/// A writer that hashes and counts what passes.
pub(crate) struct Hashing<W> {
    pub(crate) inner: W,
    pub(crate) hasher: Hasher,
    pub(crate) size: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::default(),
            size: 0,
        }
    }

    pub(crate) fn digest(self) -> (W, FileDigest) {
        (
            self.inner,
            FileDigest {
                size: self.size,
                sha256: hex(&self.hasher.finish()),
            },
        )
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes the list into the volume's folder; gives the file's digest and its decompressed size.
pub(crate) fn store(dir: &Path, list: &FileList) -> Result<(FileDigest, u64), VolumeError> {
    let path = dir.join(NAME);
    let file = write::create(&path)?;
    let mut plain = 0;
    let written = || -> io::Result<FileDigest> {
        let mut encoder = zstd::Encoder::new(Hashing::new(io::BufWriter::new(file)), 3)?;
        encoder.include_checksum(true)?;
        for entry in list.entries() {
            let line = line(entry);
            plain += line.len() as u64;
            encoder.write_all(&line)?;
        }
        let (buffer, digest) = encoder.finish()?.digest();
        buffer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        Ok(digest)
    };
    let digest = written().map_err(VolumeError::file("writing", &path))?;
    Ok((digest, plain))
}

/// Opens the list of a volume's folder, whose digest is checked before the first entry.
pub(crate) fn read(dir: &Path, expected: &FileDigest, plain: u64) -> Result<Entries, VolumeError> {
    let path = dir.join(NAME);
    let mut file = File::open(&path).map_err(VolumeError::file("reading", &path))?;
    check_digest(&mut file, &path, expected)?;
    io::Seek::rewind(&mut file).map_err(VolumeError::file("reading", &path))?;
    let mut decoder = zstd::Decoder::new(file).map_err(VolumeError::file("reading", &path))?;
    decoder
        .window_log_max(27)
        .map_err(VolumeError::file("reading", &path))?;
    Ok(Entries {
        // One byte more than declared is enough to see that there is more.
        lines: BufReader::new(decoder.take(plain.saturating_add(1))),
        path,
        plain,
        read: 0,
        count: 0,
        last: None,
        buffer: Vec::new(),
    })
}

/// The entries of a list on disk, in order. After an error there is nothing more to be had.
pub(crate) struct Entries {
    lines: BufReader<io::Take<zstd::Decoder<'static, BufReader<File>>>>,
    path: PathBuf,
    /// Length of all lines, as it was declared.
    plain: u64,
    /// Length of the lines so far.
    read: u64,
    count: u64,
    last: Option<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Entries {
    fn damaged(&self, what: &str) -> VolumeError {
        VolumeError::damaged(&self.path, what)
    }

    fn entry(&mut self) -> Result<Option<FileEntry>, VolumeError> {
        self.buffer.clear();
        let length = (&mut self.lines)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.buffer);
        let length = length
            .map_err(|error| self.damaged(&format!("it cannot be decompressed ({error})")))?;
        if length == 0 {
            if self.read != self.plain {
                return Err(self.damaged("it is shorter than declared"));
            }
            return Ok(None);
        }
        self.read += length as u64;
        self.count += 1;
        if self.buffer.last() != Some(&b'\n') || self.read > self.plain {
            return Err(self.damaged("it is longer than declared, or a line has no end"));
        }
        let entry: FileEntry = serde_json::from_slice(&self.buffer)
            .map_err(|error| self.damaged(&format!("line {} is no entry ({error})", self.count)))?;
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err(self.damaged(&format!("line {} is not in order", self.count)));
        }
        self.last = Some(entry.path.clone());
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<FileEntry, VolumeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entry().transpose()
    }
}

/// Reads a file to its end and compares its size and SHA-256.
pub(crate) fn check_digest(
    file: &mut File,
    path: &Path,
    expected: &FileDigest,
) -> Result<(), VolumeError> {
    let size = file
        .metadata()
        .map_err(VolumeError::file("reading", path))?
        .len();
    if size != expected.size {
        return Err(VolumeError::damaged(
            path,
            format!("it has {size} bytes and not {}", expected.size),
        ));
    }
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = file
            .read(&mut buffer)
            .map_err(VolumeError::file("reading", path))?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
    }
    let sha256 = hex(&hasher.finish());
    if sha256 != expected.sha256 {
        return Err(VolumeError::damaged(
            path,
            format!("its SHA-256 is {sha256} and not {}", expected.sha256),
        ));
    }
    Ok(())
}
