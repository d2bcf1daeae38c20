//! Archives and stored volumes that somebody made to do harm, and damage of every kind.

use std::{fs, path::Path};

use openshifter_volumes::{Allow, FileKind, Progress, StoredVolume, VolumeError};
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::support::{Raw, archive, pax, recorded, run, scanned};

#[test]
fn hostile_members_are_refused_by_name() {
    let long_link = "x/".repeat(10);
    let cases: Vec<(&str, Vec<Raw<'_>>)> = vec![
        ("absolute", vec![Raw::file("/etc/passwd", "x")]),
        ("parent", vec![Raw::file("a/../../b", "x")]),
        ("parent folder", vec![Raw::other("..", b'5', "")]),
        ("empty", vec![Raw::file("", "x")]),
        ("root as file", vec![Raw::file(".", "")]),
        ("root as link", vec![Raw::other("./", b'2', "a")]),
        ("twice", vec![Raw::file("a", "x"), Raw::file("./a", "y")]),
        (
            "file then folder",
            vec![Raw::file("a", "x"), Raw::other("a", b'5', "")],
        ),
        (
            "folder then link",
            vec![Raw::other("a", b'5', ""), Raw::other("a", b'2', "b")],
        ),
        (
            "content then link",
            vec![Raw::file("a/b", "x"), Raw::other("a", b'2', "c")],
        ),
        (
            "through a link",
            vec![Raw::other("a", b'2', "b"), Raw::file("a/passwd", "x")],
        ),
        (
            "through a link deeply",
            vec![Raw::other("a", b'2', "b"), Raw::file("a/b/c/passwd", "x")],
        ),
        (
            "below a file",
            vec![Raw::file("a", "x"), Raw::file("a/b", "x")],
        ),
        ("hard link out", vec![Raw::other("a", b'1', "/etc/shadow")]),
        ("hard link up", vec![Raw::other("a", b'1', "../x")]),
        (
            "hard link to nothing",
            vec![Raw::other("a", b'1', "b"), Raw::file("b", "x")],
        ),
        (
            "hard link to a folder",
            vec![Raw::other("b", b'5', ""), Raw::other("a", b'1', "b")],
        ),
        (
            "hard link with content",
            vec![
                Raw::file("b", "x"),
                Raw {
                    name: b"a",
                    flag: b'1',
                    link: b"b",
                    content: b"y",
                },
            ],
        ),
        ("link to nothing", vec![Raw::other("a", b'2', "")]),
        (
            "folder with content",
            vec![Raw {
                name: b"a",
                flag: b'5',
                link: b"",
                content: b"y",
            }],
        ),
        (
            "link through a hard link",
            vec![
                Raw::other("l", b'2', &long_link),
                Raw::other("h", b'1', "l"),
                Raw::file("h/x", ""),
            ],
        ),
    ];
    let mut lines = String::new();
    let spool = tempdir().unwrap();
    for (name, members) in &cases {
        let bytes = archive(members);
        let error = scanned(&bytes)
            .err()
            .unwrap_or_else(|| panic!("{name} was accepted"));
        lines.push_str(&format!("{name}: {error}\n"));
        let dir = spool.path().join("data");
        assert_eq!(
            recorded(&bytes, &dir, 1 << 20).unwrap_err().to_string(),
            error.to_string()
        );
        assert!(!dir.exists());
    }
    insta::assert_snapshot!(lines, @r"
    absolute: refused `/etc/passwd` of the volume's archive: its path is absolute
    parent: refused `a/../../b` of the volume's archive: its path holds `..`
    parent folder: refused `..` of the volume's archive: its path holds `..`
    empty: refused `.` of the volume's archive: its path is empty or holds a NUL byte
    root as file: refused `.` of the volume's archive: its path is empty or holds a NUL byte
    root as link: refused `./` of the volume's archive: its path is empty or holds a NUL byte
    twice: refused `./a` of the volume's archive: the archive holds this path twice
    file then folder: refused `a` of the volume's archive: the archive holds this path twice
    folder then link: refused `a` of the volume's archive: the archive holds this path twice
    content then link: refused `a` of the volume's archive: the archive holds this path twice
    through a link: refused `a/passwd` of the volume's archive: it would be written through a link
    through a link deeply: refused `a/b/c/passwd` of the volume's archive: it would be written through a link
    below a file: refused `a/b` of the volume's archive: it would be written below something that is not a directory
    hard link out: refused `a` of the volume's archive: it is a hard link to `/etc/shadow`, which is no file that comes before it
    hard link up: refused `a` of the volume's archive: it is a hard link to `../x`, which is no file that comes before it
    hard link to nothing: refused `a` of the volume's archive: it is a hard link to `b`, which is no file that comes before it
    hard link to a folder: refused `a` of the volume's archive: it is a hard link to `b`, which is no file that comes before it
    hard link with content: not a tar archive that can be trusted: a hardlink with content, at byte 1536
    link to nothing: refused `a` of the volume's archive: its path is empty or holds a NUL byte
    folder with content: not a tar archive that can be trusted: a directory with content, at byte 512
    link through a hard link: refused `h/x` of the volume's archive: it would be written through a link
    ");
}

#[test]
fn devices_and_links_out_are_recorded_and_need_to_be_allowed() {
    let spool = tempdir().unwrap();
    for (flag, link, allow) in [
        (
            b'3',
            "",
            Allow {
                devices: true,
                ..Allow::default()
            },
        ),
        (
            b'4',
            "",
            Allow {
                devices: true,
                ..Allow::default()
            },
        ),
        (
            b'2',
            "/dev/stdout",
            Allow {
                escaping_links: true,
                ..Allow::default()
            },
        ),
        (
            b'2',
            "../out",
            Allow {
                escaping_links: true,
                ..Allow::default()
            },
        ),
    ] {
        let dir = spool.path().join(format!("{flag}{}", link.len()));
        recorded(&archive(&[Raw::other("thing", flag, link)]), &dir, 1 << 20).unwrap();
        let stored = StoredVolume::open(&dir).unwrap();
        let error = stored.verify().unwrap_err();
        assert!(
            error.to_string().contains("refused `thing`") && error.to_string().contains("allowed"),
            "{error}"
        );
        stored.verify_with(allow, &Progress::none()).unwrap();
    }
}

#[test]
fn sparse_maps_cannot_lie() {
    let sparse = |records: &[(&str, &str)]| -> String {
        let content: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| pax(&format!("GNU.sparse.{key}"), value))
            .collect();
        let data = "7\n".repeat(256);
        let bytes = archive(&[
            Raw {
                name: b"p",
                flag: b'x',
                link: b"",
                content: &content,
            },
            Raw::file("a", &data),
        ]);
        scanned(&bytes)
            .map(|list| list.bytes().to_string())
            .unwrap_or_else(|error| match error {
                VolumeError::NotTar { what, .. } => what,
                other => format!("{other:?}"),
            })
    };
    let wrong = "a sparse file with a wrong map";
    let endless = sparse(&[("size", "9000000000000000000"), ("map", "5,512")]);
    assert!(endless.contains("holes of more than 1 TiB"), "{endless}");
    assert_eq!(sparse(&[("size", "100000"), ("map", "5,512")]), "100000");
    assert_eq!(
        sparse(&[("size", "100000"), ("offset", "5"), ("numbytes", "512")]),
        "100000"
    );
    assert_eq!(
        sparse(&[("size", "100000"), ("map", "5,1,2,511")]),
        wrong,
        "parts out of order"
    );
    assert_eq!(
        sparse(&[("size", "100"), ("map", "5,512")]),
        wrong,
        "a part beyond the end"
    );
    assert_eq!(
        sparse(&[("size", "100000"), ("map", "5,513")]),
        wrong,
        "more than is stored"
    );
    assert_eq!(
        sparse(&[("size", "100000"), ("map", "5")]),
        wrong,
        "half a part"
    );
    assert_eq!(
        sparse(&[("size", "100000"), ("map", "18446744073709551615,512")]),
        wrong,
        "an overflow"
    );
    assert_eq!(
        sparse(&[("size", "x"), ("map", "5,512")]),
        wrong,
        "no number"
    );
    // The map in the data says 7 parts, and then has no more room.
    assert_eq!(
        sparse(&[("major", "1"), ("minor", "0"), ("realsize", "99")]),
        wrong
    );
}

#[test]
fn headers_without_end_are_refused() {
    let record = pax("comment", "x");
    let mut bytes = Vec::new();
    for _ in 0..20 {
        bytes.extend(
            Raw {
                name: b"p",
                flag: b'x',
                link: b"",
                content: &record,
            }
            .bytes(),
        );
    }
    bytes.extend(archive(&[Raw::file("a", "x")]));
    assert!(
        scanned(&bytes)
            .unwrap_err()
            .to_string()
            .contains("too many headers")
    );
}

/// Flips one byte of each file of a stored volume in turn.
#[test]
fn a_flipped_byte_is_found_and_its_file_named() {
    let spool = tempdir().unwrap();
    let dir = spool.path().join("data");
    recorded(
        &archive(&[Raw::file("a", &"content ".repeat(200)), Raw::file("b", "b")]),
        &dir,
        1000,
    )
    .unwrap();
    let stored = StoredVolume::open(&dir).unwrap();
    stored.verify().unwrap();
    let mut files: Vec<_> = fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.push(dir.join("files.jsonl.zst"));
    assert!(files.len() >= 3);
    for path in files {
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, &bytes).unwrap();
            let error = stored.verify().unwrap_err();
            assert!(
                matches!(&error, VolumeError::Damaged { path: named, .. } if *named == path),
                "{error}"
            );
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(
            matches!(stored.verify(), Err(VolumeError::Damaged { path: named, .. }) if named == path)
        );
        fs::write(&path, &whole).unwrap();
    }
    fs::write(dir.join("segments/extra"), "").unwrap();
    assert!(
        stored
            .verify()
            .unwrap_err()
            .to_string()
            .contains("is no segment of this volume")
    );
}

/// Makes a stored volume whose digests are all right and whose content is `segments` and `list`.
fn forge(dir: &Path, segments: &[(Vec<u8>, u64)], list: &str, totals: (u64, u64, u64)) {
    fs::create_dir_all(dir.join("segments")).unwrap();
    let hex = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let packed = zstd::encode_all(list.as_bytes(), 3).unwrap();
    fs::write(dir.join("files.jsonl.zst"), &packed).unwrap();
    let metas: Vec<_> = segments
        .iter()
        .enumerate()
        .map(|(index, (bytes, tar_size))| {
            let name = format!("{index:06}-{}.tar.zst", hex(bytes));
            fs::write(dir.join("segments").join(&name), bytes).unwrap();
            serde_json::json!({"name": name, "size": bytes.len(), "sha256": hex(bytes), "tarSize": tar_size})
        })
        .collect();
    let meta = serde_json::json!({
        "format": 1, "entries": totals.0, "files": totals.1, "bytes": totals.2,
        "tarSize": segments.iter().map(|segment| segment.1).sum::<u64>(),
        "tree": hex(list.as_bytes()), "list": {"size": packed.len(), "sha256": hex(&packed)},
        "listSize": list.len(), "segments": metas,
    });
    fs::write(dir.join("volume.json"), meta.to_string()).unwrap();
}

fn packed(bytes: &[u8]) -> (Vec<u8>, u64) {
    (zstd::encode_all(bytes, 1).unwrap(), bytes.len() as u64)
}

const A_LINE: &str = concat!(
    r#"{"path":"a","type":"file","size":1,"mode":"0644","uid":1000,"gid":1000,"mtime":1610612736,"#,
    r#""sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}"#,
    "\n"
);

#[test]
fn a_forged_volume_is_seen_through() {
    let spool = tempdir().unwrap();
    let good = archive(&[Raw::file("a", "x")]);
    let verify =
        |name: &str| StoredVolume::open(spool.path().join(name)).and_then(|stored| stored.verify());
    let make = |name: &str, segments: &[(Vec<u8>, u64)], list: &str| {
        forge(&spool.path().join(name), segments, list, (1, 1, 1))
    };

    make("good", &[packed(&good)], A_LINE);
    verify("good").unwrap();

    make(
        "absolute",
        &[packed(&archive(&[Raw::file("/a", "x")]))],
        A_LINE,
    );
    assert!(
        verify("absolute")
            .unwrap_err()
            .to_string()
            .contains("its path is absolute")
    );

    make("other", &[packed(&archive(&[Raw::file("a", "y")]))], A_LINE);
    assert!(
        verify("other")
            .unwrap_err()
            .to_string()
            .contains("`a` has another content (1 differences)")
    );

    make(
        "more",
        &[packed(&archive(&[
            Raw::file("a", "x"),
            Raw::file("b", "y"),
        ]))],
        A_LINE,
    );
    assert!(
        verify("more")
            .unwrap_err()
            .to_string()
            .contains("`b` should not be there")
    );

    let many: Vec<Vec<u8>> = (0..9)
        .map(|at| Raw::other(&format!("d{at}"), b'5', "").bytes())
        .collect();
    make(
        "many",
        &[packed(&[many.concat(), vec![0; 1024]].concat())],
        A_LINE,
    );
    assert!(
        verify("many")
            .unwrap_err()
            .to_string()
            .contains("more than the 1 entries of its list")
    );

    // A gigabyte of zeros in a few kilobytes, declared as 2 KiB.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap();
    make("bomb", &[(bomb.clone(), 2048)], A_LINE);
    assert!(
        verify("bomb")
            .unwrap_err()
            .to_string()
            .contains("it holds more than declared")
    );
    make("declared bomb", &[(bomb, 1 << 30)], A_LINE);
    assert!(
        verify("declared bomb")
            .unwrap_err()
            .to_string()
            .contains("impossible size")
    );

    let (mut frames, size) = packed(&good);
    frames.extend(packed(b"hidden").0);
    make("two frames", &[(frames, size)], A_LINE);
    assert!(
        verify("two frames")
            .unwrap_err()
            .to_string()
            .contains("something follows")
    );

    make("short", &[(packed(&good).0, size + 512)], A_LINE);
    assert!(
        verify("short")
            .unwrap_err()
            .to_string()
            .contains("less than declared")
    );

    make(
        "totals",
        &[packed(&good)],
        &format!("{A_LINE}{}", A_LINE.replace("\"a\"", "\"b\"")),
    );
    assert!(verify("totals").unwrap_err().to_string().contains("totals"));

    make("order", &[packed(&good)], &format!("{A_LINE}{A_LINE}"));
    assert!(
        verify("order")
            .unwrap_err()
            .to_string()
            .contains("line 2 is not in order")
    );

    make("newer", &[packed(&good)], A_LINE);
    let meta = spool.path().join("newer/volume.json");
    fs::write(
        &meta,
        fs::read_to_string(&meta)
            .unwrap()
            .replace("\"format\":1", "\"format\":2"),
    )
    .unwrap();
    assert!(
        verify("newer")
            .unwrap_err()
            .to_string()
            .contains("format 2, and this program knows format 1")
    );
}

#[test]
fn a_damaged_segment_is_never_sent() {
    let spool = tempdir().unwrap();
    let dir = spool.path().join("data");
    recorded(
        &archive(&[Raw::file("a", &"content ".repeat(500))]),
        &dir,
        2048,
    )
    .unwrap();
    let stored = StoredVolume::open(&dir).unwrap();
    let second = dir.join("segments").join(&stored.meta().segments[1].name);
    let mut bytes = fs::read(&second).unwrap();
    bytes[20] ^= 1;
    fs::write(&second, bytes).unwrap();
    let mut sent = Vec::new();
    let error = run(stored.copy_to(&mut sent, &Progress::none())).unwrap_err();
    assert!(
        matches!(&error, VolumeError::Damaged { path, .. } if *path == second),
        "{error}"
    );
    assert!(sent.len() as u64 <= stored.meta().segments[0].tar_size);
}

#[test]
fn entries_keep_what_is_not_text() {
    let bytes = archive(&[Raw {
        name: b"\xff\n\"",
        flag: b'2',
        link: b"\xfe",
        content: b"",
    }]);
    let spool = tempdir().unwrap();
    let dir = spool.path().join("data");
    recorded(&bytes, &dir, 1 << 20).unwrap();
    let stored = StoredVolume::open(&dir).unwrap().list().unwrap();
    assert_eq!(stored, scanned(&bytes).unwrap());
    assert_eq!(stored.entries()[0].path, b"\xff\n\"");
    assert_eq!(
        stored.entries()[0].kind,
        FileKind::Symlink {
            target: b"\xfe".to_vec()
        }
    );
    assert_eq!(stored.entries()[0].shown(), r#"\xff\n""#);
}
