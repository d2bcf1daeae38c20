//! Where segments are cut does not matter, and what is kept is exact.

use std::{fs, io::Cursor, os::unix::fs::PermissionsExt as _};

use openshifter_volumes::{
    FileEntry, FileKind, Progress, RecordOptions, StoredVolume, archive::Writer, record, scan,
};
use proptest::prelude::*;
use tempfile::tempdir;
use tokio::io::AsyncReadExt as _;

use crate::support::{recorded, run};

/// A tree of files and links with any names and contents.
fn any_tree() -> impl Strategy<Value = Vec<FileEntry>> {
    let part = proptest::collection::vec(
        any::<u8>().prop_filter("", |byte| !matches!(byte, 0 | b'/' | b'.')),
        1..140,
    );
    let entry = (
        part,
        any::<u16>(),
        any::<i32>(),
        any::<u32>(),
        0u64..3000,
        0..4u8,
    );
    proptest::collection::btree_map(entry.clone().prop_map(|entry| entry.0), entry, 0..12).prop_map(
        |entries| {
            entries
                .into_iter()
                .map(|(path, (target, mode, mtime, uid, size, kind))| FileEntry {
                    path,
                    size: if kind == 0 { size } else { 0 },
                    kind: match kind {
                        0 => FileKind::File,
                        1 => FileKind::Directory,
                        2 => FileKind::Symlink { target },
                        _ => FileKind::Fifo,
                    },
                    mode: u32::from(mode) & 0o7777,
                    uid,
                    gid: uid / 2,
                    mtime: mtime.into(),
                    mtime_nanos: 0,
                    xattrs: std::collections::BTreeMap::new(),
                    sha256: None,
                })
                .collect()
        },
    )
}

fn written(entries: &[FileEntry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        writer.member(entry).unwrap();
        writer
            .data(&vec![entry.path[0]; usize::try_from(entry.size).unwrap()])
            .unwrap();
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_tree_and_any_cut(entries in any_tree(), segment_size in 2000u64..20000, piece in 1usize..5000) {
        let tar = written(&entries);
        let spool = tempdir().unwrap();
        let dir = spool.path().join("data");
        // The stream arrives in pieces of any size.
        let stream = Cursor::new(tar.clone()).chain(tokio::io::empty());
        let stream = tokio::io::BufReader::with_capacity(piece, stream);
        let threads = 1 + u32::from(piece % 2 == 0);
        let options = RecordOptions { segment_size, threads, ..RecordOptions::default() };
        let recorded = run(record(stream, &dir, &options)).unwrap();

        let stored = StoredVolume::open(&dir).unwrap();
        let list = stored.list().unwrap();
        let found: Vec<FileEntry> =
            list.entries().iter().map(|entry| FileEntry { sha256: None, ..entry.clone() }).collect();
        prop_assert_eq!(&found, &entries);
        let count = (tar.len() as u64).div_ceil(segment_size);
        prop_assert_eq!(recorded.segments().len() as u64, count);

        stored.verify_with(openshifter_volumes::Allow { devices: true, escaping_links: true }, &Progress::none()).unwrap();
        let mut back = Vec::new();
        run(stored.copy_to(&mut back, &Progress::none())).unwrap();
        prop_assert!(back == tar);
        let mut plain = Vec::new();
        run(stored.copy_plain_to(&mut plain, &Progress::none())).unwrap();
        prop_assert_eq!(plain.len() as u64, stored.plain_tar_len().unwrap());
        let again = run(scan(Cursor::new(plain))).unwrap();
        prop_assert_eq!(&again, &list);
        let how = openshifter_volumes::Compare::exact();
        prop_assert_eq!(stored.compare(&again, &how).unwrap().count, 0);
    }

    #[test]
    fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000), fix in any::<bool>()) {
        if fix && bytes.len() >= 512 {
            // A right checksum lets the other fields be looked at.
            bytes[148..156].fill(b' ');
            let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        prop_assert!(run(scan(Cursor::new(bytes))).is_err());
    }
}

#[test]
fn only_the_owner_can_read_what_is_kept() {
    let spool = tempdir().unwrap();
    let dir = spool.path().join("above/data");
    recorded(&[0; 1024], &dir, 1 << 20).unwrap();
    let mut todo = vec![spool.path().join("above")];
    let mut files = 0;
    while let Some(path) = todo.pop() {
        let meta = fs::metadata(&path).unwrap();
        if meta.is_dir() {
            assert_eq!(
                meta.permissions().mode() & 0o777,
                0o700,
                "{}",
                path.display()
            );
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            assert_eq!(
                meta.permissions().mode() & 0o777,
                0o600,
                "{}",
                path.display()
            );
            files += 1;
        }
    }
    assert_eq!(files, 3);
}

#[test]
fn progress_adds_up() {
    let spool = tempdir().unwrap();
    let dir = spool.path().join("data");
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = seen.clone();
    let progress = Progress::new(move |bytes| {
        counter.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    });
    let options = RecordOptions {
        progress: progress.clone(),
        ..RecordOptions::default()
    };
    run(record(Cursor::new(vec![0; 700_000]), &dir, &options)).unwrap();
    assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 700_000);
    run(StoredVolume::open(&dir)
        .unwrap()
        .copy_to(tokio::io::sink(), &progress))
    .unwrap();
    assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 1_400_000);
}
