//! A disk that is full while a volume is recorded.
//!
//! The disk is a small one in memory, which only a sandbox can mount for us: the test runs itself in there.

use std::{env, fs, path::PathBuf, process::Command};

use openshifter_volumes::{VolumeError, record};
use tempfile::tempdir;

use crate::support::{run, text};

const DISK: &str = "OPENSHIFTER_TEST_SMALL_DISK";

/// A stream without end that does not compress.
struct Noise(u64);

impl tokio::io::AsyncRead for Noise {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        while buffer.remaining() >= 8 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let bytes = self.0.to_le_bytes();
            buffer.put_slice(&bytes);
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn a_full_disk_is_told_and_given_back() {
    if let Some(disk) = env::var_os(DISK).map(PathBuf::from) {
        // One file that is larger than the disk.
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(1 << 32);
        header.set_cksum();
        let head = std::io::Cursor::new(header.as_bytes().to_vec());
        let stream = tokio::io::AsyncReadExt::chain(head, Noise(88_172_645_463_325_252));
        let dir = disk.join("data");
        let error = run(record(stream, &dir, &Default::default())).unwrap_err();
        let VolumeError::File {
            action: "writing",
            source,
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
        return;
    }
    let place = tempdir().unwrap();
    let output = Command::new("bwrap")
        .args([
            "--dev-bind",
            "/",
            "/",
            "--size",
            "8000000",
            "--tmpfs",
            text(place.path()),
            "--setenv",
            DISK,
        ])
        .args([text(place.path()), "--", text(&env::current_exe().unwrap())])
        .args([
            "--exact",
            "full_disk::a_full_disk_is_told_and_given_back",
            "--nocapture",
        ])
        .output()
        .expect("`bwrap` is needed by this test, install bubblewrap");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
