//! `files.jsonl.zst`: the list of files on disk.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write},
    path::Path,
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

/// Reads the list of a volume's folder, after its digest was checked.
pub(crate) fn load(dir: &Path, expected: &FileDigest, plain: u64) -> Result<FileList, VolumeError> {
    let path = dir.join(NAME);
    let mut file = File::open(&path).map_err(VolumeError::file("reading", &path))?;
    check_digest(&mut file, &path, expected)?;
    io::Seek::rewind(&mut file).map_err(VolumeError::file("reading", &path))?;

    let damaged = |what: &str| VolumeError::damaged(&path, what);
    let mut decoder = zstd::Decoder::new(file).map_err(VolumeError::file("reading", &path))?;
    decoder
        .window_log_max(27)
        .map_err(VolumeError::file("reading", &path))?;
    // One byte more than declared is enough to see that there is more.
    let mut lines = BufReader::new(decoder.take(plain.saturating_add(1)));
    let mut entries: Vec<FileEntry> = Vec::new();
    let (mut read, mut buffer) = (0, Vec::new());
    loop {
        buffer.clear();
        let length = (&mut lines)
            .take(MAX_LINE)
            .read_until(b'\n', &mut buffer)
            .map_err(|error| damaged(&format!("it cannot be decompressed ({error})")))?;
        if length == 0 {
            break;
        }
        read += length as u64;
        if buffer.last() != Some(&b'\n') || read > plain {
            return Err(damaged("it is longer than declared, or a line has no end"));
        }
        let entry: FileEntry = serde_json::from_slice(&buffer).map_err(|error| {
            damaged(&format!("line {} is no entry ({error})", entries.len() + 1))
        })?;
        if entries.last().is_some_and(|last| last.path >= entry.path) {
            return Err(damaged(&format!(
                "line {} is not in order",
                entries.len() + 1
            )));
        }
        entries.push(entry);
    }
    if read != plain {
        return Err(damaged("it is shorter than declared"));
    }
    Ok(FileList::from_sorted(entries))
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
