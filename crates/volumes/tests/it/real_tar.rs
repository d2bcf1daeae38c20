//! What GNU tar writes we read, and what we write it reads.

use std::{fs, os::unix::fs::PermissionsExt as _};

use openshifter_volumes::{
    Compare, FileKind, Progress, StoredVolume, VolumeError,
    commands::{self, Probe, Tar},
    compare,
};
use tempfile::tempdir;

use crate::support::{command, gnu_tar, odd_tree, recorded, run, scanned, text, touch, words};

fn gnu() -> Probe {
    Probe {
        tar: Tar::Gnu,
        shell: true,
        head: true,
        ..Probe::default()
    }
}

fn assert_same(
    expected: &openshifter_volumes::FileList,
    found: &openshifter_volumes::FileList,
    how: &Compare,
) {
    let differences: Vec<String> = compare(expected, found, how)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn every_form_of_archive_gives_the_same_list() {
    let tree = tempdir().unwrap();
    odd_tree(tree.path());
    let reference = scanned(&command(&commands::archive(text(tree.path()), &gnu()), b"")).unwrap();

    assert_eq!(reference.get("aa-hard").unwrap().kind, FileKind::File);
    let plain = reference.get("deep/er/plain.txt").unwrap();
    assert_eq!(
        plain.kind,
        FileKind::HardLink {
            target: b"aa-hard".to_vec()
        }
    );
    assert_eq!(reference.get("sparse").unwrap().size, 3 << 20);
    assert_eq!(reference.get("pipe").unwrap().kind, FileKind::Fifo);
    assert_eq!(reference.get("none").unwrap().mtime, -5);
    assert_eq!(
        reference.get("executable").unwrap().mtime_nanos,
        123_456_789
    );
    assert_eq!(reference.get("executable").unwrap().mode, 0o4751);
    assert!(reference.get(b"latin-\xe9\xff").is_some() && reference.get("new\nline").is_some());

    let to_the_second = Compare {
        nanoseconds: false,
        ..Compare::exact()
    };
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=posix"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
        &["--format=oldgnu", "--sparse"],
    ] {
        let list = scanned(&gnu_tar(tree.path(), options))
            .unwrap_or_else(|error| panic!("{options:?}: {error}"));
        assert_same(&reference, &list, &to_the_second);
    }
}

#[test]
fn a_volume_comes_back_as_it_was() {
    let (tree, spool, target) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    odd_tree(tree.path());
    let archive = command(&commands::archive(text(tree.path()), &gnu()), b"");
    let dir = spool.path().join("data");
    let recorded = recorded(&archive, &dir, 5_000).unwrap();
    assert!(recorded.segments().len() > 1);

    let stored = StoredVolume::open(&dir).unwrap();
    stored.verify().unwrap();
    assert_eq!(stored.list().unwrap(), scanned(&archive).unwrap());
    assert_eq!(stored.list().unwrap().digest(), recorded.digest());
    let mut tar = Vec::new();
    let sent = run(stored.copy_to(&mut tar, &Progress::none())).unwrap();
    assert_eq!(
        (sent, tar.len() as u64),
        (stored.tar_len(), stored.tar_len())
    );
    let root = usize::try_from(recorded.meta.root.unwrap().size).unwrap();
    assert!(
        tar[..] == archive[root..],
        "what is sent is what was read, the root excepted"
    );

    command(
        &commands::restore(text(target.path()), stored.tar_len(), true, &gnu()),
        &tar,
    );
    let found = scanned(&command(
        &commands::archive(text(target.path()), &gnu()),
        b"",
    ))
    .unwrap();
    assert_same(
        &stored.list().unwrap(),
        &found,
        &Compare {
            strict_root: false,
            owners: false,
            ..Compare::exact()
        },
    );
}

#[test]
fn the_plain_form_is_one_that_a_simple_tar_takes() {
    let (tree, spool, target) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    odd_tree(tree.path());
    fs::create_dir(tree.path().join("read-only")).unwrap();
    fs::write(tree.path().join("read-only/file"), "x").unwrap();
    fs::set_permissions(
        tree.path().join("read-only"),
        fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    let archive = command(&commands::archive(text(tree.path()), &gnu()), b"");
    let dir = spool.path().join("data");
    recorded(&archive, &dir, 1 << 20).unwrap();
    let stored = StoredVolume::open(&dir).unwrap();
    assert!(stored.needs_full_tar());

    let mut tar = Vec::new();
    run(stored.copy_plain_to(&mut tar, &Progress::none())).unwrap();
    assert_eq!(tar.len() as u64, stored.plain_tar_len().unwrap());
    // Only what every tar knows: files, links, folders, pipes and GNU's long names.
    let flags: Vec<u8> = tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .raw(true)
        .map(|entry| entry.unwrap().header().entry_type().as_byte())
        .collect();
    assert!(
        flags.iter().all(|flag| b"012456LK".contains(flag)),
        "{flags:?}"
    );

    let simple = Probe {
        tar: Tar::BusyBox,
        ..gnu()
    };
    command(
        &commands::restore(text(target.path()), tar.len() as u64, false, &simple),
        &tar,
    );
    let found = scanned(&command(
        &commands::archive(text(target.path()), &gnu()),
        b"",
    ))
    .unwrap();
    assert_same(&stored.list().unwrap(), &found, &Compare::default());
}

#[test]
fn other_tools_alone_can_read_the_segments() {
    let (tree, spool) = (tempdir().unwrap(), tempdir().unwrap());
    odd_tree(tree.path());
    let dir = spool.path().join("data");
    recorded(&gnu_tar(tree.path(), &[]), &dir, 50_000).unwrap();
    let line = words(&[
        "sh",
        "-c",
        "cat \"$1\"/segments/* | zstd -d | tar t",
        "sh",
        text(&dir),
    ]);
    let listing = String::from_utf8_lossy(&command(&line, b"")).into_owned();
    assert!(
        listing.lines().any(|line| line == "./deep/er/plain.txt"),
        "{listing}"
    );
    assert_eq!(
        listing.lines().count(),
        StoredVolume::open(&dir)
            .unwrap()
            .list()
            .unwrap()
            .entries()
            .len()
    );
}

#[test]
fn ten_thousand_files_are_as_many_again() {
    let (tree, spool) = (tempdir().unwrap(), tempdir().unwrap());
    for folder in 0..100 {
        let folder = tree.path().join(format!("f{folder}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..100 {
            fs::write(folder.join(format!("{file}.txt")), format!("{file}")).unwrap();
        }
    }
    let dir = spool.path().join("data");
    let recorded = recorded(&gnu_tar(tree.path(), &[]), &dir, 1 << 20).unwrap();
    assert_eq!((recorded.files(), recorded.meta.entries), (10_000, 10_101));
    StoredVolume::open(&dir).unwrap().verify().unwrap();
}

#[test]
fn differences_are_named() {
    let (tree, copy) = (tempdir().unwrap(), tempdir().unwrap());
    for root in [tree.path(), copy.path()] {
        fs::create_dir(root.join("d")).unwrap();
        for name in ["d/same", "d/content", "d/size", "d/time", "gone"] {
            fs::write(root.join(name), name).unwrap();
            touch(&root.join(name), 1000, 0);
        }
        touch(&root.join("d"), 1000, 0);
    }
    fs::write(copy.path().join("d/content"), "d/CONTENT").unwrap();
    fs::write(copy.path().join("d/size"), "x").unwrap();
    touch(&copy.path().join("d/content"), 1000, 0);
    touch(&copy.path().join("d/size"), 1000, 0);
    touch(&copy.path().join("d/time"), 1001, 0);
    fs::remove_file(copy.path().join("gone")).unwrap();
    fs::create_dir(copy.path().join("lost+found")).unwrap();
    std::os::unix::fs::symlink("x", copy.path().join("new")).unwrap();
    let (a, b) = (
        scanned(&gnu_tar(tree.path(), &[])).unwrap(),
        scanned(&gnu_tar(copy.path(), &[])).unwrap(),
    );
    let lines: Vec<String> = compare(&a, &b, &Compare::default())
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    `d/content` has another content
    `d/size` has 1 bytes and not 6
    `d/time` was changed at 1001.000000000 and not at 1000.000000000
    `gone` is missing
    `new` should not be there
    ");
}

#[test]
fn a_full_disk_at_the_receiver_is_told() {
    struct Full(usize);
    impl tokio::io::AsyncWrite for Full {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            let length = bytes.len().min(self.0);
            self.0 -= length;
            std::task::Poll::Ready(if length == 0 {
                Err(std::io::ErrorKind::StorageFull.into())
            } else {
                Ok(length)
            })
        }
        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
    let (tree, spool) = (tempdir().unwrap(), tempdir().unwrap());
    odd_tree(tree.path());
    let dir = spool.path().join("data");
    recorded(&gnu_tar(tree.path(), &[]), &dir, 1 << 20).unwrap();
    let error = run(StoredVolume::open(&dir)
        .unwrap()
        .copy_to(Full(5000), &Progress::none()))
    .unwrap_err();
    assert!(
        matches!(&error, VolumeError::Send { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{error:?}"
    );
}
