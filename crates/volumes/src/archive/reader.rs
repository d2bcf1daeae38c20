//! Reads an archive member by member, without ever holding a file.

use std::{collections::BTreeMap, collections::VecDeque, io::BufRead, mem};

use super::{
    BLOCK,
    header::Header,
    padded,
    pax::{self, Pax},
};
use crate::{FileKind, VolumeError, path::normalise};

/// Longest extended header or long name. Linux allows names of 4 KiB and attributes of 64 KiB; sparse maps of
/// PAX 0.x are the longest of all.
const MAX_EXTENDED: u64 = 8 << 20;
/// Most headers that one member may have before its own.
const MAX_HEADERS: usize = 16;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path as it is in the archive, as in `./a/b`: unchecked, may be hostile.
    pub path: Vec<u8>,
    /// What it is. The target of a hard link is as unchecked as the path.
    pub kind: FileKind,
    /// Size of a file's content, holes included.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds; 0 where the archive has none.
    pub mtime_nanos: u32,
    /// Extended attributes of users.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Member {
    /// The path from the root of the tree, as in `a/b`; the empty path for the root.
    ///
    /// # Errors
    /// When it is absolute, holds `..` or a NUL byte, or is empty.
    pub fn safe_path(&self) -> Result<Vec<u8>, VolumeError> {
        normalise(&self.path).map_err(|why| VolumeError::refused(&self.path, why))
    }
}

/// A part of a file's content.
#[derive(Debug)]
pub enum Chunk<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// A hole: so many zero bytes.
    Zeros(u64),
}

/// Forms that a simple tar (BusyBox) cannot unpack, found while reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forms {
    pub(crate) pax: bool,
    pub(crate) sparse: bool,
}

#[derive(Debug, Default)]
pub(super) struct Content {
    /// Bytes of the present member that are still in the archive.
    pub(super) stored: u64,
    /// Zeros after them up to the next block.
    padding: u64,
    /// Of a sparse file: the parts to come, and where the file's end is.
    sparse: Option<(VecDeque<(u64, u64)>, u64)>,
    /// Position in the file.
    position: u64,
}

/// A reader of tar archives. [`Reader::member`] and [`Reader::chunk`] alternate; content that is not asked
/// for is skipped.
pub struct Reader<R> {
    input: R,
    at: u64,
    /// Bytes handed out by `chunk` that are still to be consumed from `input`.
    lent: usize,
    global: Pax,
    /// Bytes of all global headers.
    global_size: u64,
    pub(super) content: Content,
    forms: Forms,
    /// Where the present member's first header is; `None` when it may change others too.
    start: Option<u64>,
    finished: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the beginning of an archive.
    pub fn new(input: R) -> Self {
        Self {
            input,
            at: 0,
            lent: 0,
            global: Pax::default(),
            global_size: 0,
            content: Content::default(),
            forms: Forms::default(),
            start: None,
            finished: false,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    pub(crate) fn forms(&self) -> Forms {
        self.forms
    }

    /// Where the headers of the present member are, before any of its content was read: position and length.
    /// `None` for one that global headers came with.
    pub(crate) fn headers(&self) -> Option<(u64, u64)> {
        self.start.map(|start| (start, self.at - start))
    }

    /// The next member; `None` when the archive is complete: its end marker was seen and the input is at its
    /// end.
    ///
    /// # Errors
    /// When the input fails, ends early, or is not tar.
    pub fn member(&mut self) -> Result<Option<Member>, VolumeError> {
        if self.finished {
            return Ok(None);
        }
        self.skip_content()?;
        self.start = Some(self.at);
        let mut pax = self.global.clone();
        let mut extended = false;
        let (mut long_path, mut long_link) = (None, None);
        let mut headers = 0;
        loop {
            headers += 1;
            if headers > MAX_HEADERS {
                return Err(self.not_tar("a member with too many headers"));
            }
            let torn = if extended || long_path.is_some() || long_link.is_some() {
                "between a member's headers"
            } else {
                "without its end marker"
            };
            let mut block = [0; BLOCK];
            self.fill(&mut block, torn)?;
            if block.iter().all(|&byte| byte == 0) {
                if torn != "without its end marker" {
                    return Err(self.not_tar("an extended header that belongs to nothing"));
                }
                self.finish()?;
                return Ok(None);
            }
            let Some(header) = Header::checked(&block) else {
                return Err(self.not_tar("a header with a wrong checksum"));
            };
            let Some(size) = header.size() else {
                return Err(self.not_tar("a header with a wrong size"));
            };
            match header.typeflag() {
                b'x' => {
                    extended = true;
                    self.forms.pax = true;
                    let data = self.extended(size)?;
                    pax.add(&data)
                        .ok_or_else(|| self.not_tar("a malformed extended header"))?;
                }
                b'g' => {
                    self.start = None;
                    self.global_size = self.global_size.saturating_add(size);
                    if self.global_size > MAX_EXTENDED {
                        return Err(self.not_tar("global headers of more than 8 MiB"));
                    }
                    let data = self.extended(size)?;
                    let added = self.global.add(&data).and_then(|()| pax.add(&data));
                    added.ok_or_else(|| self.not_tar("a malformed global header"))?;
                }
                b'L' => long_path = Some(self.long_name(size)?),
                b'K' => long_link = Some(self.long_name(size)?),
                _ => {
                    return self
                        .finish_member(&header, &pax, long_path, long_link)
                        .map(Some);
                }
            }
        }
    }

    /// The next part of the present member's content; `None` at its end.
    ///
    /// # Errors
    /// When the input fails or ends.
    pub fn chunk(&mut self) -> Result<Option<Chunk<'_>>, VolumeError> {
        self.settle();
        if let Some((parts, real)) = &mut self.content.sparse {
            let hole_until = parts.front().map_or(*real, |part| part.0);
            if self.content.position < hole_until {
                let hole = hole_until - self.content.position;
                self.content.position = hole_until;
                return Ok(Some(Chunk::Zeros(hole)));
            }
        }
        if self.content.stored == 0 {
            return Ok(None);
        }
        let limit = match &self.content.sparse {
            Some((parts, _)) => match parts.front() {
                Some((offset, length)) => offset + length - self.content.position,
                None => 0,
            },
            None => self.content.stored,
        };
        let available = {
            // Asked for twice, since the first borrow cannot be returned from a condition.
            let buffer = fill(&mut self.input, self.at)?;
            buffer.len()
        };
        if available == 0 {
            return Err(self.torn("in the middle of a file"));
        }
        let length = usize::try_from(limit).unwrap_or(usize::MAX).min(available);
        self.content.stored -= length as u64;
        self.content.position += length as u64;
        if let Some((parts, _)) = &mut self.content.sparse
            && parts
                .front()
                .is_some_and(|part| part.0 + part.1 == self.content.position)
        {
            parts.pop_front();
        }
        self.at += length as u64;
        self.lent = length;
        let buffer = fill(&mut self.input, self.at)?;
        Ok(Some(Chunk::Data(&buffer[..length])))
    }

    fn finish_member(
        &mut self,
        header: &Header<'_>,
        pax: &Pax,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Member, VolumeError> {
        let at = self.at;
        let bad = |what: &str| VolumeError::NotTar {
            what: what.into(),
            at,
        };
        let number = |key: &str| {
            pax.number(key)
                .map(|n| n.ok_or_else(|| bad(&format!("a malformed {key}"))))
                .transpose()
        };

        let stored = match number("size")? {
            Some(size) => size,
            None => header
                .size()
                .ok_or_else(|| bad("a header with a wrong size"))?,
        };
        let path = match (pax.get("GNU.sparse.name").or(pax.get("path")), long_path) {
            (Some(path), _) => path.to_vec(),
            (None, Some(path)) => path,
            (None, None) => header.path(),
        };
        let link = match (pax.get("linkpath"), long_link) {
            (Some(link), _) => link.to_vec(),
            (None, Some(link)) => link,
            (None, None) => header.link().to_vec(),
        };
        let id = |key: &str, field: Option<i128>| -> Result<u32, VolumeError> {
            let id = match number(key)? {
                Some(id) => i128::from(id),
                None => field.ok_or_else(|| bad("a header with a wrong owner"))?,
            };
            u32::try_from(id).map_err(|_| bad("an owner that is no user or group id"))
        };
        let (mtime, mtime_nanos) = match pax.get("mtime") {
            Some(text) => pax::time(text).ok_or_else(|| bad("a malformed mtime"))?,
            None => (
                header
                    .mtime()
                    .ok_or_else(|| bad("a header with a wrong time"))?,
                0,
            ),
        };
        let mode = header
            .mode()
            .ok_or_else(|| bad("a header with a wrong mode"))?;

        let device = || {
            header
                .device()
                .ok_or_else(|| bad("a device with wrong numbers"))
        };
        let kind = match header.typeflag() {
            // Very old archives mark a directory by its name's end alone.
            0 | b'0' if path.ends_with(b"/") => FileKind::Directory,
            0 | b'0' | b'7' | b'S' => FileKind::File,
            b'1' => FileKind::HardLink { target: link },
            b'2' => FileKind::Symlink { target: link },
            b'3' => device().map(|(major, minor)| FileKind::CharDevice { major, minor })?,
            b'4' => device().map(|(major, minor)| FileKind::BlockDevice { major, minor })?,
            b'5' => FileKind::Directory,
            b'6' => FileKind::Fifo,
            flag => {
                return Err(bad(&format!(
                    "a member of the unknown type {:?}",
                    char::from(flag)
                )));
            }
        };
        if stored > 0 && kind != FileKind::File {
            return Err(bad(&format!("a {} with content", kind.name())));
        }

        self.content = Content {
            stored,
            padding: padded(stored) - stored,
            ..Content::default()
        };
        let mut size = stored;
        if kind == FileKind::File
            && let Some((map, real)) = self.sparse(header, pax)?
        {
            self.forms.sparse = true;
            size = real;
            self.content.sparse = Some((map.0.into(), real));
        }
        Ok(Member {
            path,
            kind,
            size,
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            uid: id("uid", header.uid())?,
            gid: id("gid", header.gid())?,
            mtime,
            mtime_nanos,
            xattrs: pax.user_xattrs(),
        })
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, VolumeError> {
        let mut name = self.extended(size)?;
        if let Some(end) = name.iter().position(|&byte| byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    /// Content of an extended header, with its padding consumed.
    fn extended(&mut self, size: u64) -> Result<Vec<u8>, VolumeError> {
        if size > MAX_EXTENDED {
            return Err(self.not_tar("an extended header of more than 8 MiB"));
        }
        let size = usize::try_from(size).unwrap_or_default();
        let mut data = vec![0; size.next_multiple_of(BLOCK)];
        self.fill(&mut data, "between a member's headers")?;
        data.truncate(size);
        Ok(data)
    }

    fn skip_content(&mut self) -> Result<(), VolumeError> {
        while self.chunk()?.is_some() {}
        let padding = usize::try_from(mem::take(&mut self.content.padding)).unwrap_or_default();
        let mut block = [0; BLOCK];
        self.fill(&mut block[..padding], "in the middle of a file")?;
        self.content = Content::default();
        Ok(())
    }

    /// After the first zero block: the second, and nothing but zeros behind it.
    fn finish(&mut self) -> Result<(), VolumeError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block, "without its end marker")?;
        let mut zeros = block.iter().all(|&byte| byte == 0);
        loop {
            let buffer = fill(&mut self.input, self.at)?;
            if buffer.is_empty() {
                break;
            }
            zeros &= buffer.iter().all(|&byte| byte == 0);
            let length = buffer.len();
            self.input.consume(length);
            self.at += length as u64;
            if !zeros {
                break;
            }
        }
        if !zeros {
            return Err(self.not_tar("something after the end of the archive"));
        }
        self.finished = true;
        Ok(())
    }

    fn settle(&mut self) {
        self.input.consume(mem::take(&mut self.lent));
    }

    pub(super) fn fill(
        &mut self,
        mut block: &mut [u8],
        torn: &'static str,
    ) -> Result<(), VolumeError> {
        self.settle();
        while !block.is_empty() {
            let buffer = fill(&mut self.input, self.at)?;
            if buffer.is_empty() {
                return Err(self.torn(torn));
            }
            let length = buffer.len().min(block.len());
            block[..length].copy_from_slice(&buffer[..length]);
            self.input.consume(length);
            self.at += length as u64;
            block = &mut block[length..];
        }
        Ok(())
    }

    fn torn(&self, what: &'static str) -> VolumeError {
        VolumeError::Torn { what, at: self.at }
    }

    pub(super) fn not_tar(&self, what: &str) -> VolumeError {
        VolumeError::NotTar {
            what: what.into(),
            at: self.at,
        }
    }
}

/// The errors of our own sources pass through an [`std::io::Error`] and come out whole.
fn fill<R: BufRead>(input: &mut R, at: u64) -> Result<&[u8], VolumeError> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match error.downcast::<VolumeError>() {
                    Ok(own) => own,
                    Err(source) => VolumeError::Read { at, source },
                });
            }
        }
    }
    input
        .fill_buf()
        .map_err(|source| VolumeError::Read { at, source })
}
