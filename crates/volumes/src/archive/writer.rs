//! Writes archives in the form that every tar reads: GNU's long names, no extended headers, holes as zeros.

use std::io::{self, Write};

use super::{BLOCK, padded};
use crate::{FileEntry, FileKind};

/// How `tar -C PATH -cf - .` names everything.
const DOT: &[u8] = b"./";

/// A writer of plain tar archives.
///
/// Times lose their fractions of seconds and attributes are left out, since the plain form has no place for
/// them.
pub struct Writer<W> {
    output: W,
    prefix: &'static [u8],
    /// Bytes of the present member's content still to come.
    left: u64,
    padding: u64,
}

impl<W: Write> Writer<W> {
    /// Writes from the beginning, paths as `./a/b`.
    pub fn new(output: W) -> Self {
        Self {
            output,
            prefix: DOT,
            left: 0,
            padding: 0,
        }
    }

    /// Writes from the beginning, paths as `a/b`.
    pub fn without_dot(output: W) -> Self {
        Self {
            prefix: b"",
            ..Self::new(output)
        }
    }

    /// Begins a member. Exactly `entry.size` bytes of content have to follow for a file, and none for
    /// everything else.
    ///
    /// # Errors
    /// When the output fails, or the content of the last member is not complete.
    pub fn member(&mut self, entry: &FileEntry) -> io::Result<()> {
        self.end_member()?;
        let path = stored_path(self.prefix, entry);
        let link = stored_link(self.prefix, entry);
        if path.len() > 100 {
            self.long_name(b'L', &path)?;
        }
        if link.len() > 100 {
            self.long_name(b'K', &link)?;
        }
        let flag = match entry.kind {
            FileKind::File => b'0',
            FileKind::HardLink { .. } => b'1',
            FileKind::Symlink { .. } => b'2',
            FileKind::CharDevice { .. } => b'3',
            FileKind::BlockDevice { .. } => b'4',
            FileKind::Directory => b'5',
            FileKind::Fifo => b'6',
        };
        let size = if entry.kind == FileKind::File {
            entry.size
        } else {
            0
        };
        let mut block = [0; BLOCK];
        copy(&mut block[..100], &path);
        number(&mut block[100..108], entry.mode.into());
        number(&mut block[108..116], entry.uid.into());
        number(&mut block[116..124], entry.gid.into());
        number(&mut block[124..136], size.into());
        number(&mut block[136..148], entry.mtime.into());
        copy(&mut block[157..257], &link);
        if let FileKind::CharDevice { major, minor } | FileKind::BlockDevice { major, minor } =
            entry.kind
        {
            number(&mut block[329..337], major.into());
            number(&mut block[337..345], minor.into());
        }
        self.header(block, flag)?;
        self.left = size;
        self.padding = padded(size) - size;
        Ok(())
    }

    /// Writes content of the present member.
    ///
    /// # Errors
    /// When the output fails, or this is more than the member's size.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("more content than the member's size"))?;
        self.output.write_all(bytes)
    }

    /// Writes a hole as zeros.
    ///
    /// # Errors
    /// As [`Writer::data`].
    pub fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while count > 0 {
            let part = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(ZEROS.len());
            self.data(&ZEROS[..part])?;
            count -= part as u64;
        }
        Ok(())
    }

    /// Writes the end marker and gives the output back.
    ///
    /// # Errors
    /// When the output fails, or the content of the last member is not complete.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_member()?;
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }

    /// What a member takes in an archive of [`Writer::new`].
    pub(crate) fn length(entry: &FileEntry) -> u64 {
        let long = |name: Vec<u8>| {
            if name.len() > 100 {
                BLOCK as u64 + padded(name.len() as u64 + 1)
            } else {
                0
            }
        };
        let content = if entry.kind == FileKind::File {
            padded(entry.size)
        } else {
            0
        };
        (BLOCK as u64 + long(stored_path(DOT, entry)) + long(stored_link(DOT, entry)))
            .saturating_add(content)
    }

    fn end_member(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("less content than the member's size"));
        }
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or_default();
        self.output.write_all(&[0; BLOCK][..padding])
    }

    fn long_name(&mut self, flag: u8, name: &[u8]) -> io::Result<()> {
        let mut block = [0; BLOCK];
        copy(&mut block[..100], b"././@LongLink");
        for field in [100..108, 108..116, 116..124] {
            number(&mut block[field], 0);
        }
        number(&mut block[124..136], name.len() as i128 + 1);
        number(&mut block[136..148], 0);
        self.header(block, flag)?;
        self.output.write_all(name)?;
        let padding = name.len().next_multiple_of(BLOCK) - name.len();
        // One NUL ends the name, and is padding too.
        let zeros = if padding == 0 { BLOCK } else { padding };
        self.output.write_all(&[0; BLOCK][..zeros])
    }

    fn header(&mut self, mut block: [u8; BLOCK], flag: u8) -> io::Result<()> {
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar  \0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.output.write_all(&block)
    }
}

fn stored_path(prefix: &[u8], entry: &FileEntry) -> Vec<u8> {
    let mut path = prefix.to_vec();
    path.extend_from_slice(&entry.path);
    if entry.kind == FileKind::Directory && !entry.path.is_empty() {
        path.push(b'/');
    }
    path
}

fn stored_link(prefix: &[u8], entry: &FileEntry) -> Vec<u8> {
    match &entry.kind {
        FileKind::Symlink { target } => target.clone(),
        FileKind::HardLink { target } => [prefix, target].concat(),
        _ => Vec::new(),
    }
}

fn copy(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

/// Octal where it fits, else GNU's binary form.
fn number(field: &mut [u8], value: i128) {
    let digits = field.len() - 1;
    if value >= 0 && value < 1i128 << (3 * digits) {
        let text = format!("{value:0digits$o}\0");
        field.copy_from_slice(text.as_bytes());
    } else {
        let bytes = value.to_be_bytes();
        let start = bytes.len() - field.len();
        field.copy_from_slice(&bytes[start..]);
        field[0] = if value < 0 { 0xff } else { 0x80 };
    }
}
