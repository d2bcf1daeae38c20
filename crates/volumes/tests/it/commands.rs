//! The remote commands, run here.

use std::{fs, os::unix::fs::PermissionsExt as _};

use openshifter_volumes::commands::{
    Probe, Tar, archive, changed, parse_probe, parse_stat_list, probe, stat_list, wipe,
};
use tempfile::tempdir;

use crate::support::{command, odd_tree, scanned, text, words};

#[test]
fn the_probe_finds_this_machines_tar() {
    let tree = tempdir().unwrap();
    let found = parse_probe(&command(&probe(text(tree.path())), b""));
    assert_eq!(found.tar, Tar::Gnu, "{found:?}; install GNU tar");
    assert!(
        found.shell && found.head && found.stat && found.writable && !found.lost_found_unreadable
    );
    assert_eq!(found.uid, Some(rustix::process::getuid().as_raw()));
}

#[test]
fn wiping_leaves_the_mount_point_alone() {
    let (outside, tree) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(outside.path().join("keep"), "x").unwrap();
    odd_tree(tree.path());
    fs::write(tree.path().join(".hidden"), "x").unwrap();
    fs::write(tree.path().join("..two-dots"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), tree.path().join("out")).unwrap();
    let locked = tree.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(locked.join("x"), "x").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();

    command(&wipe(text(tree.path())), b"");
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 0);
    assert!(outside.path().join("keep").exists());
    command(&wipe(text(tree.path())), b"");
}

#[test]
fn what_is_mounted_inside_of_a_volume_is_seen_and_not_emptied() {
    let (other, tree) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(other.path().join("keep"), "x").unwrap();
    fs::create_dir(tree.path().join("inside")).unwrap();
    fs::write(tree.path().join("a"), "x").unwrap();
    let inside = tree.path().join("inside");
    let mounted = |line: Vec<String>| {
        let bwrap = [
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            "--bind",
            text(other.path()),
            text(&inside),
            "--",
        ];
        [words(&bwrap), line].concat()
    };
    let found = parse_probe(&command(&mounted(probe(text(tree.path()))), b""));
    assert_eq!(found.nested_mounts, [text(&inside)]);

    let line = mounted(wipe(text(tree.path())));
    let output = std::process::Command::new(&line[0])
        .args(&line[1..])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).trim(),
        format!("{} is mounted inside of the volume", text(&inside))
    );
    assert!(other.path().join("keep").exists() && tree.path().join("a").exists());
}

#[test]
fn a_file_that_changes_is_noticed() {
    let tree = tempdir().unwrap();
    odd_tree(tree.path());
    let listing = || parse_stat_list(&command(&stat_list(text(tree.path())), b"")).unwrap();
    let mut before = listing();
    let archive = command(
        &words(&["tar", "-C", text(tree.path()), "-cf", "-", "."]),
        b"",
    );
    let names: Vec<Vec<u8>> = scanned(&archive)
        .unwrap()
        .entries()
        .iter()
        .map(|entry| entry.path.clone())
        .collect();
    assert_eq!(before.entries.keys().cloned().collect::<Vec<_>>(), names);

    // As if the listing had been taken a while after the tree was made.
    before.taken += 10;
    assert!(changed(&before, &listing()).is_empty());
    fs::write(tree.path().join("deep/er/plain.txt"), "other content").unwrap();
    fs::remove_file(tree.path().join("dangling")).unwrap();
    let found = changed(&before, &listing());
    for path in [
        &b"deep/er/plain.txt"[..],
        b"aa-hard",
        b"zz-hard",
        b"dangling",
    ] {
        assert!(found.contains(&path.to_vec()), "{found:?}");
    }
    assert!(!found.contains(&b"executable".to_vec()));
}

#[test]
fn a_lost_found_is_left_out_by_every_tar() {
    for tar in [Tar::Gnu, Tar::BusyBox] {
        let tree = tempdir().unwrap();
        fs::create_dir(tree.path().join("lost+found")).unwrap();
        fs::write(tree.path().join("lost+found/x"), "x").unwrap();
        let probe = Probe {
            tar,
            lost_found_unreadable: true,
            shell: true,
            ..Probe::default()
        };
        let names = || {
            let list = scanned(&command(&archive(text(tree.path()), &probe), b"")).unwrap();
            list.entries()
                .iter()
                .map(|entry| entry.shown())
                .filter(|path| path != ".")
                .collect::<Vec<_>>()
        };
        assert!(names().is_empty(), "{tar:?}");
        for name in ["-dash", ".hidden", "..dots", "two words", "d/below"] {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", tree.path().join("dangling")).unwrap();
        assert_eq!(
            names(),
            [
                "-dash",
                "..dots",
                ".hidden",
                "d",
                "d/below",
                "dangling",
                "two words"
            ],
            "{tar:?}"
        );
    }
}
