//! Trees, archives and stored volumes for the tests.

use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
    path::Path,
    process::{Command, Stdio},
};

use openshifter_volumes::{FileList, RecordOptions, Recorded, VolumeError, record, scan};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Runs a command, feeds it and gives its output; it has to succeed.
pub(crate) fn command(words: &[String], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`{}` is needed by this test, install it: {error}", words[0])
        });
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

pub(crate) fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|&word| word.to_owned()).collect()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The archive of a folder by GNU tar with these options.
pub(crate) fn gnu_tar(folder: &Path, options: &[&str]) -> Vec<u8> {
    let mut line = words(&["tar", "-C", text(folder)]);
    line.extend(words(options));
    line.extend(words(&["-cf", "-", "."]));
    command(&line, b"")
}

pub(crate) fn scanned(archive: &[u8]) -> Result<FileList, VolumeError> {
    run(scan(Cursor::new(archive.to_vec())))
}

pub(crate) fn recorded(
    archive: &[u8],
    dir: &Path,
    segment_size: u64,
) -> Result<Recorded, VolumeError> {
    let options = RecordOptions {
        segment_size,
        ..RecordOptions::default()
    };
    run(record(Cursor::new(archive.to_vec()), dir, &options))
}

/// Sets a time before and one after the decimal point.
pub(crate) fn touch(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A tree with everything that a volume can hold and its user can make.
pub(crate) fn odd_tree(root: &Path) {
    let name = |bytes: &[u8]| root.join(std::ffi::OsStr::from_bytes(bytes));
    fs::create_dir_all(root.join("empty/inside")).unwrap();
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::write(root.join("deep/er/plain.txt"), "content\n").unwrap();
    fs::write(root.join("none"), "").unwrap();
    fs::write(name(b"new\nline"), "n").unwrap();
    fs::write(name(b"latin-\xe9\xff"), "l").unwrap();
    fs::write(name(b"-rf \\ \"quoted\""), "q").unwrap();
    let long = "long-".repeat(40);
    fs::create_dir_all(root.join(&long).join(&long)).unwrap();
    fs::write(root.join(&long).join(&long).join(&long), "x".repeat(513)).unwrap();
    symlink("deep/er", root.join("link")).unwrap();
    symlink(format!("{long}/{long}/{long}"), root.join("long-link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    fs::hard_link(root.join("deep/er/plain.txt"), root.join("zz-hard")).unwrap();
    fs::hard_link(root.join("deep/er/plain.txt"), root.join("aa-hard")).unwrap();
    command(&words(&["mkfifo", text(&root.join("pipe"))]), b"");
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"head", 0).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"middle", 1 << 20).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let hole = fs::File::create(root.join("all-hole")).unwrap();
    hole.set_len(1 << 20).unwrap();
    fs::write(root.join("executable"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("executable"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o1770)).unwrap();
    fs::set_permissions(root.join("none"), fs::Permissions::from_mode(0o000)).unwrap();
    touch(&root.join("executable"), 1_000_000_000, 123_456_789);
    touch(&root.join("dangling"), 900_000_000, 0);
    touch(&root.join("empty"), 800_000_000, 0);
    touch(&root.join("none"), -5, 0);
}

/// A member of an archive, made by hand so that it can be wrong.
pub(crate) struct Raw<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) flag: u8,
    pub(crate) link: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn file(name: &'a str, content: &'a str) -> Self {
        Self {
            name: name.as_bytes(),
            flag: b'0',
            link: b"",
            content: content.as_bytes(),
        }
    }

    pub(crate) fn other(name: &'a str, flag: u8, link: &'a str) -> Self {
        Self {
            name: name.as_bytes(),
            flag,
            link: link.as_bytes(),
            content: b"",
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut block = [0u8; 512];
        block[..self.name.len()].copy_from_slice(self.name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0001750\0");
        block[116..124].copy_from_slice(b"0001750\0");
        block[124..136].copy_from_slice(format!("{:011o}\0", self.content.len()).as_bytes());
        block[136..148].copy_from_slice(b"14000000000\0");
        block[148..156].copy_from_slice(b"        ");
        block[156] = self.flag;
        block[157..157 + self.link.len()].copy_from_slice(self.link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = block.to_vec();
        bytes.extend_from_slice(self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

pub(crate) fn archive(members: &[Raw<'_>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.iter().flat_map(Raw::bytes).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// One record of an extended header, with its length before it.
pub(crate) fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}
