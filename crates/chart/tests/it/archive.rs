//! The archive form, and archives that nobody should unpack.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use openshifter_chart::{Chart, ChartError, UnpackLimits, pack, pack_to_file, unpack};
use tempfile::tempdir;

use crate::support::{contents, run, shop_chart};

#[test]
fn a_chart_is_packed_and_unpacked() {
    let (spool, other) = (tempdir().unwrap(), tempdir().unwrap());
    let chart = shop_chart(spool.path());
    let file = other.path().join("shop.tgz");
    let packed = run(pack_to_file(chart.dir(), &file)).unwrap();
    assert_eq!(packed.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!(packed.files, chart.verify().unwrap().files);

    let again = Chart::open_any(&file, &other.path().join("spool")).unwrap();
    assert_eq!(again.verify().unwrap(), chart.verify().unwrap());
    assert_eq!(contents(again.dir()), contents(chart.dir()));
    let unpacked = again.dir().to_owned();
    drop(again);
    assert!(!unpacked.exists());
    assert!(matches!(
        run(pack_to_file(chart.dir(), &file)),
        Err(ChartError::Exists(_))
    ));

    // Another tar unpacks it too, and it is one folder.
    let target = other.path().join("target");
    fs::create_dir(&target).unwrap();
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(&file)
        .arg("-C")
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(contents(&target.join("shop")), contents(chart.dir()));
    Chart::open(target.join("shop")).unwrap().verify().unwrap();
}

#[test]
fn an_archive_made_by_hand_is_read_too() {
    let (spool, other) = (tempdir().unwrap(), tempdir().unwrap());
    let chart = shop_chart(spool.path());
    let file = other.path().join("hand.tgz");
    let status = Command::new("tar")
        .arg("-czf")
        .arg(&file)
        .args(["-C"])
        .arg(spool.path())
        .arg("./shop")
        .status()
        .unwrap();
    assert!(status.success());
    Chart::open_any(&file, &other.path().join("spool"))
        .unwrap()
        .verify()
        .unwrap();
    assert_eq!(chart.verify().unwrap().volumes, 1);
}

#[test]
fn a_torn_archive_is_refused_wherever_it_ends() {
    let (spool, other) = (tempdir().unwrap(), tempdir().unwrap());
    let chart = shop_chart(spool.path());
    let mut whole = Vec::new();
    run(pack(chart.dir(), &mut whole)).unwrap();
    let into = other.path().join("into");
    for length in (0..whole.len()).step_by(97) {
        let error = unpack(&whole[..length], &into, &UnpackLimits::default()).unwrap_err();
        assert!(
            matches!(error, ChartError::Torn { .. }),
            "{length}: {error}"
        );
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
    }
    unpack(&whole[..], &into, &UnpackLimits::default()).unwrap();
    let again = unpack(&whole[..], &into, &UnpackLimits::default());
    assert!(matches!(again, Err(ChartError::Exists(_))), "{again:?}");
}

#[test]
fn a_full_disk_leaves_no_archive() {
    struct Full(u64);
    impl tokio::io::AsyncWrite for Full {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            let length = bytes.len().min(usize::try_from(self.0).unwrap());
            self.0 -= length as u64;
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
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let error = run(pack(chart.dir(), Full(1000))).unwrap_err();
    assert!(
        matches!(&error, ChartError::Send { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{error:?}"
    );

    // A chart that cannot be read leaves no archive under the name that was asked for.
    let file = spool.path().join("out/shop.tgz");
    fs::remove_file(chart.dir().join("data/manifest.json")).unwrap();
    run(pack_to_file(chart.dir(), &file)).unwrap_err();
    assert_eq!(fs::read_dir(spool.path().join("out")).unwrap().count(), 0);
}

/// An archive of members whose headers are as given, whether they are allowed or not.
fn tgz(members: &[(&str, tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, link, content) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    let file = |path| (path, Regular, "", &b"x"[..]);
    let nothing = &b""[..];
    let cases = [
        vec![file("/etc/passwd")],
        vec![file("x/../../passwd")],
        vec![file("../passwd")],
        vec![file("x/a\\..\\b")],
        vec![("x/link", Symlink, "/etc", nothing), file("x/link/passwd")],
        vec![("x/link", Link, "/etc/passwd", nothing)],
        vec![("x/null", Char, "", nothing)],
        vec![("x/disk", Block, "", nothing)],
        vec![("x/pipe", Fifo, "", nothing)],
        vec![file("x/a"), file("x/a")],
        vec![file("x/a"), file("x/a/b")],
        vec![file("x/a/b"), file("x/a")],
        vec![("x/a", Directory, "", nothing), file("x/a")],
        vec![file("x/a"), file("y/b")],
        vec![file("alone")],
        vec![],
    ];
    let spool = tempdir().unwrap();
    let into = spool.path().join("into");
    let mut lines = Vec::new();
    for members in &cases {
        let error = unpack(&tgz(members)[..], &into, &UnpackLimits::default()).unwrap_err();
        lines.push(error.to_string().replace(into.to_str().unwrap(), "INTO"));
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0, "{error}");
        assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 1, "{error}");
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    refused the archive: `/etc/passwd` is not a path that a chart has
    refused the archive: `x/../../passwd` is not a path that a chart has
    refused the archive: `../passwd` is not a path that a chart has
    refused the archive: `x/a\..\b` is not a path that a chart has
    refused the archive: `x/link` is a symlink; a chart has files and folders only
    refused the archive: `x/link` is a hardlink; a chart has files and folders only
    refused the archive: `x/null` is a char-device; a chart has files and folders only
    refused the archive: `x/disk` is a block-device; a chart has files and folders only
    refused the archive: `x/pipe` is a fifo; a chart has files and folders only
    refused the archive: `x/a` is there twice, or as something else
    refused the archive: `x/a/b` is there twice, or as something else
    refused the archive: `x/a` is there twice, or as something else
    refused the archive: `x/a` is there twice, or as something else
    refused the archive: `y/b` is not in the one folder that a chart's archive is
    refused the archive: `alone` is not in the one folder that a chart's archive is
    `INTO` is not a chart: its archive is empty
    "#);
}

#[test]
fn bombs_are_refused() {
    let spool = tempdir().unwrap();
    let refused = |bytes: &[u8], limits: &UnpackLimits| {
        let error = unpack(bytes, &spool.path().join("into"), limits).unwrap_err();
        assert!(matches!(error, ChartError::TooLarge { .. }), "{error}");
        assert_eq!(fs::read_dir(spool.path().join("into")).unwrap().count(), 0);
        error.to_string()
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let mut header = tar::Header::new_gnu();
    header.set_path("x/zeros").unwrap();
    header.set_size(200 << 20);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(200 << 20), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    assert_eq!(
        refused(&bomb, &UnpackLimits::default()),
        "refused the archive: it grows to more than 200 times its size when it is unpacked"
    );

    let small = UnpackLimits {
        max_bytes: 5,
        max_files: 3,
        ..UnpackLimits::default()
    };
    let large = tgz(&[("x/a", tar::EntryType::Regular, "", b"123456")]);
    assert_eq!(
        refused(&large, &small),
        "refused the archive: it has 6 bytes or more, and 5 are allowed"
    );
    let file = |path| (path, tar::EntryType::Regular, "", &b"1"[..]);
    let many = tgz(&[file("x/a"), file("x/b"), file("x/c")]);
    assert_eq!(
        refused(&many, &small),
        "refused the archive: it has more than 3 files"
    );

    // A ledger that declares more than fits is refused before the data comes.
    let ledger = serde_json::json!({"files": [{"path": "big", "size": 1u64 << 60, "sha256": ""}]})
        .to_string();
    let declared = tgz(&[(
        "x/data/manifest.json",
        tar::EntryType::Regular,
        "",
        ledger.as_bytes(),
    )]);
    assert!(
        refused(&declared, &UnpackLimits::default())
            .contains("it has 1152921504606846976 bytes or more")
    );
}

#[test]
fn after_the_ledger_only_what_it_names_may_come() {
    let spool = tempdir().unwrap();
    let ledger = serde_json::json!({"files": [{"path": "a", "size": 1, "sha256": ""}]}).to_string();
    let with = |path: &str, content: &[u8]| {
        let bytes = tgz(&[
            (
                "x/data/manifest.json",
                tar::EntryType::Regular,
                "",
                ledger.as_bytes(),
            ),
            (path, tar::EntryType::Regular, "", content),
        ]);
        unpack(
            &bytes[..],
            &spool.path().join("into"),
            &UnpackLimits::default(),
        )
        .unwrap_err()
        .to_string()
    };
    let refused = "is not in the chart's ledger, or of another size there";
    assert_eq!(
        with("x/b", b"1"),
        format!("refused the archive: `x/b` {refused}")
    );
    assert_eq!(
        with("x/a", b"12"),
        format!("refused the archive: `x/a` {refused}")
    );
}

#[test]
fn what_is_no_chart_is_told_by_its_own_name() {
    let spool = tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = spool.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = Chart::open_any(&path, Path::new(spool.path())).unwrap_err();
        error
            .to_string()
            .replace(spool.path().to_str().unwrap(), "DIR")
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&[b'x'; 2000]).unwrap();
    let folder = tempdir().unwrap();
    insta::assert_snapshot!(
        [
            open("zip", b"PK\x03\x04"),
            open("empty", b""),
            open("text.gz", &gzip.finish().unwrap()),
            open("other.tgz", &tgz(&[("x/a", tar::EntryType::Regular, "", b"1")])),
            Chart::open(folder.path()).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "DIR"),
        ]
        .join("\n"),
        @r"
    `DIR/zip` is not a chart: it is neither a folder nor a gzip archive
    `DIR/empty` is not a chart: it is neither a folder nor a gzip archive
    `DIR/text.gz` is not a chart: it is no tar archive
    `DIR/other.tgz` is not a chart: it has no `data/manifest.json`, nor what a chart of 2019 has
    `DIR` is not a chart: it has no `data/manifest.json`, nor what a chart of 2019 has
    "
    );
}
