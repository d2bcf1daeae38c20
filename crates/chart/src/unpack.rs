//! Unpacks a chart's archive, trusting nothing in it.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{self, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    rc::Rc,
};

use flate2::read::MultiGzDecoder;
use openshifter_volumes::{
    FileKind, VolumeError,
    archive::{Chunk, Member, Reader},
};

use crate::{ChartError, FileRecord, disk, manifest::PATH};

/// What is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of all files together; at most what is free on the disk in any case.
    pub max_bytes: u64,
    /// Number of files and folders.
    pub max_files: u64,
    /// Unpacked bytes for each packed one, after the first 64 MiB. Text is packed to a tenth; the data of a
    /// chart is compressed already.
    pub max_ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 44,
            max_files: 1_000_000,
            max_ratio: 200,
        }
    }
}

/// Unpacked bytes before the ratio counts.
const FREE_RATIO: u64 = 64 << 20;

/// Unpacks a `.tgz` into a folder of `into`, which gets the name that it has in the archive; gives its path.
/// Only folders and files are unpacked, 0700 and 0600 whatever the archive says. Where the ledger comes
/// first, nothing that it does not name is unpacked. Blocks.
///
/// # Errors
/// When the archive is torn, hostile (absolute paths, `..`, links, devices, anything twice), or too large; when
/// the disk is full. Nothing is left then.
pub fn unpack(input: impl Read, into: &Path, limits: &UnpackLimits) -> Result<PathBuf, ChartError> {
    disk::folder(into)?;
    let folder = disk::temporary()
        .prefix(".openshifter-")
        .suffix(".partial")
        .tempdir_in(into)
        .map_err(ChartError::file("making a folder in", into))?;
    let mut unpacking = Unpacking {
        root: folder.path(),
        limits,
        max_bytes: limits.max_bytes,
        free: free_bytes(into)?,
        top: None,
        seen: BTreeMap::new(),
        ledger: None,
        bytes: 0,
    };
    let mut reader = Reader::new(BufReader::with_capacity(
        256 << 10,
        gunzip(input, limits.max_ratio),
    ));
    let first = |error| match error {
        VolumeError::NotTar { at: 0..=512, .. } => {
            ChartError::not_a_chart(into, "it is no tar archive")
        }
        other => broken(other),
    };
    while let Some(member) = reader.member().map_err(first)? {
        unpacking.member(&member, &mut reader)?;
    }
    let Some(top) = unpacking.top else {
        return Err(ChartError::not_a_chart(into, "its archive is empty"));
    };
    let place = into.join(&top);
    if std::fs::symlink_metadata(&place).is_ok() {
        return Err(ChartError::Exists(place));
    }
    disk::sync(folder.path())?;
    std::fs::rename(folder.path().join(&top), &place)
        .map_err(ChartError::file("naming", &place))?;
    disk::sync_parent(&place)?;
    Ok(place)
}

struct Unpacking<'a> {
    root: &'a Path,
    limits: &'a UnpackLimits,
    max_bytes: u64,
    free: u64,
    /// The one folder that everything is in.
    top: Option<String>,
    /// Every path, and whether it is a folder.
    seen: BTreeMap<String, bool>,
    /// Once it has come: what may still come.
    ledger: Option<BTreeMap<String, u64>>,
    bytes: u64,
}

impl Unpacking<'_> {
    fn member(
        &mut self,
        member: &Member,
        reader: &mut Reader<impl io::BufRead>,
    ) -> Result<(), ChartError> {
        let path = String::from_utf8_lossy(&member.path).into_owned();
        let refused = |why: &str| ChartError::Refused {
            path: path.replace(char::is_control, "?"),
            why: why.into(),
        };
        let folder = match member.kind {
            FileKind::Directory => true,
            FileKind::File => false,
            _ => {
                return Err(refused(&format!(
                    "is a {}; a chart has files and folders only",
                    member.kind.name()
                )));
            }
        };
        let inside = path
            .strip_prefix("./")
            .unwrap_or(&path)
            .trim_end_matches('/');
        if folder && (inside.is_empty() || inside == ".") {
            return Ok(());
        }
        if member.path.len() != path.len() || !is_safe(inside) {
            return Err(refused("is not a path that a chart has"));
        }
        let top = inside.split('/').next().unwrap_or_default();
        if self.top.get_or_insert_with(|| top.to_owned()) != top || (!folder && top == inside) {
            return Err(refused(
                "is not in the one folder that a chart's archive is",
            ));
        }
        self.remember(inside, folder).map_err(refused)?;
        if self.seen.len() as u64 > self.limits.max_files {
            return Err(ChartError::TooLarge {
                what: format!("it has more than {} files", self.limits.max_files),
            });
        }

        let place = self.root.join(inside);
        if folder {
            return disk::folder(&place);
        }
        let in_chart = inside[top.len() + 1..].to_owned();
        if let Some(ledger) = &mut self.ledger
            && ledger.remove(&in_chart) != Some(member.size)
        {
            return Err(refused(
                "is not in the chart's ledger, or of another size there",
            ));
        }
        self.bytes = self.bytes.saturating_add(member.size);
        self.check_room(self.bytes)?;
        disk::folder(disk::parent(&place))?;
        let mut file = disk::create(&place)?;
        while let Some(chunk) = reader.chunk().map_err(broken)? {
            match chunk {
                Chunk::Data(bytes) => file
                    .write_all(bytes)
                    .map_err(ChartError::file("writing", &place))?,
                Chunk::Zeros(_) => {
                    return Err(refused("is a sparse file, which a chart does not have"));
                }
            }
        }
        if in_chart == PATH {
            self.read_ledger(&place)?;
        }
        Ok(())
    }

    /// Notes a path and the folders it is in; they may not be there as something else.
    fn remember(&mut self, path: &str, folder: bool) -> Result<(), &'static str> {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        for end in ends {
            let part = &path[..end];
            let is_folder = folder || end < path.len();
            if self
                .seen
                .insert(part.to_owned(), is_folder)
                .is_some_and(|before| !(before && is_folder))
            {
                return Err("is there twice, or as something else");
            }
        }
        Ok(())
    }

    /// From now on only what the ledger names may come, and it has to fit.
    fn read_ledger(&mut self, place: &Path) -> Result<(), ChartError> {
        #[derive(serde::Deserialize)]
        struct Ledger {
            files: Vec<FileRecord>,
        }
        let bytes = disk::read(place, 512 << 20)?;
        let ledger: Ledger = serde_json::from_slice(&bytes)
            .map_err(|error| ChartError::damaged(PATH, format!("is no ledger ({error})")))?;
        let declared = ledger
            .files
            .iter()
            .fold(0u64, |sum, file| sum.saturating_add(file.size));
        self.check_room(declared)?;
        let mut files: BTreeMap<String, u64> = ledger
            .files
            .into_iter()
            .map(|file| (file.path, file.size))
            .collect();
        let top = self.top.as_deref().unwrap_or_default();
        let prefix = format!("{top}/");
        let present: BTreeSet<&str> = self
            .seen
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .collect();
        files.retain(|path, _| !present.contains(path.as_str()));
        self.ledger = Some(files);
        Ok(())
    }

    fn check_room(&self, bytes: u64) -> Result<(), ChartError> {
        if bytes > self.max_bytes {
            return Err(ChartError::TooLarge {
                what: format!(
                    "it has {bytes} bytes or more, and {} are allowed",
                    self.max_bytes
                ),
            });
        }
        if bytes > self.free {
            return Err(ChartError::NoRoom {
                bytes,
                free: self.free,
            });
        }
        Ok(())
    }
}

/// Whether a path with `/` stays inside wherever it is put, on any file system.
pub(crate) fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 4096
        && !path.contains(['\\', '\0'])
        && !path.chars().any(char::is_control)
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

fn free_bytes(folder: &Path) -> Result<u64, ChartError> {
    let stat = rustix::fs::statvfs(folder)
        .map_err(|error| ChartError::file("reading", folder)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Decompresses, and refuses what grows beyond reason.
pub(crate) fn gunzip(input: impl Read, max_ratio: u64) -> impl Read {
    let packed = Rc::new(Cell::new(0));
    let counting = CountingRead {
        input,
        count: packed.clone(),
    };
    Bounded {
        inner: MultiGzDecoder::new(BufReader::with_capacity(64 << 10, counting)),
        packed,
        unpacked: 0,
        max_ratio,
    }
}

struct CountingRead<R> {
    input: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingRead<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

struct Bounded<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    max_ratio: u64,
}

/// Travels through [`io::Error`], which is all that a reader may give.
#[derive(Debug, thiserror::Error)]
#[error("it grows to more than {0} times its size when it is unpacked")]
struct Bomb(u64);

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.unpacked += length as u64;
        if self.unpacked > FREE_RATIO && self.unpacked / self.max_ratio > self.packed.get() {
            return Err(io::Error::other(Bomb(self.max_ratio)));
        }
        Ok(length)
    }
}

/// What is wrong with the archive, in the chart's terms.
pub(crate) fn broken(error: VolumeError) -> ChartError {
    match error {
        VolumeError::Read { at, source } => match source.downcast::<Bomb>() {
            Ok(bomb) => ChartError::TooLarge {
                what: bomb.to_string(),
            },
            Err(source) => ChartError::Torn {
                what: format!("after {at} bytes, {source}"),
            },
        },
        VolumeError::Refused { path, why } => ChartError::Refused {
            path: String::from_utf8_lossy(&path).replace(char::is_control, "?"),
            why: format!("cannot be unpacked: {why}"),
        },
        other => ChartError::Torn {
            what: other.to_string(),
        },
    }
}
