//! A stream that ends early is never a volume.

use openshifter_volumes::VolumeError;
use tempfile::tempdir;

use crate::support::{Raw, archive, gnu_tar, odd_tree, pax, recorded, scanned};

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let long = [b"a".repeat(150), b"\0".to_vec()].concat();
    let pax = pax("mtime", "100.5");
    let whole = archive(&[
        Raw::other("./", b'5', ""),
        Raw::file("./a", "some content"),
        Raw {
            name: b"././@LongLink",
            flag: b'L',
            link: b"",
            content: &long,
        },
        Raw::file("./aaa", &"x".repeat(600)),
        Raw {
            name: b"pax",
            flag: b'x',
            link: b"",
            content: &pax,
        },
        Raw::file("./b", "b"),
        Raw::other("./c", b'2', "a"),
    ]);
    scanned(&whole).unwrap();
    // The end marker is two blocks, and more zeros after it may be missing.
    for length in 0..whole.len() {
        let error = scanned(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, VolumeError::Torn { .. }),
            "{length}: {error}"
        );
    }
    scanned(&[whole.as_slice(), &[0; 700]].concat()).unwrap();
}

#[test]
fn a_torn_recording_leaves_nothing() {
    let (tree, spool) = (tempdir().unwrap(), tempdir().unwrap());
    odd_tree(tree.path());
    for options in [
        &["--format=gnu", "--sparse"][..],
        &["--format=posix", "--sparse"],
    ] {
        let whole = gnu_tar(tree.path(), options);
        let end = whole.iter().rposition(|&byte| byte != 0).unwrap();
        for length in (0..end).step_by(2777) {
            let dir = spool.path().join("data");
            let error = recorded(&whole[..length], &dir, 20_000).unwrap_err();
            assert!(
                matches!(error, VolumeError::Torn { .. }),
                "{length}: {error}"
            );
            assert!(!dir.exists(), "{length}");
        }
    }
}

#[test]
fn a_failing_stream_is_told_with_its_reason() {
    struct Cut(bool);
    impl tokio::io::AsyncRead for Cut {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                return std::task::Poll::Ready(Err(std::io::Error::other("connection cut")));
            }
            buffer.put_slice(&[0; 100]);
            std::task::Poll::Ready(Ok(()))
        }
    }
    let spool = tempdir().unwrap();
    let dir = spool.path().join("data");
    let error = crate::support::run(openshifter_volumes::record(
        Cut(false),
        &dir,
        &openshifter_volumes::RecordOptions::default(),
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading the volume's archive failed after 0 bytes"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "connection cut"
    );
    assert!(!dir.exists());
}

#[test]
fn what_is_no_tar_is_refused() {
    let mut wrong = archive(&[Raw::file("a", "x")]);
    wrong[0] = b'b';
    assert_eq!(
        scanned(&wrong).unwrap_err().to_string(),
        "not a tar archive that can be trusted: a header with a wrong checksum, at byte 512"
    );
    let twice = [
        archive(&[Raw::file("a", "x")]),
        archive(&[Raw::file("b", "x")]),
    ]
    .concat();
    assert!(
        scanned(&twice)
            .unwrap_err()
            .to_string()
            .contains("something after the end")
    );
    assert!(
        scanned(&archive(&[Raw::other("a", b'M', "")]))
            .unwrap_err()
            .to_string()
            .contains("unknown type 'M'")
    );
    assert!(matches!(
        scanned(b"").unwrap_err(),
        VolumeError::Torn { at: 0, .. }
    ));
}
