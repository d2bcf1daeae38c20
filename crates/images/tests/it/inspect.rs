//! `skopeo`, the independent reader.

use std::path::Path;
use std::process::Command;

use openshifter_images::Digest;

/// Runs skopeo and gives what it says.
pub(crate) fn skopeo(args: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(args)
        .output()
        .expect("skopeo starts; install it: apt-get install skopeo");
    assert!(
        output.status.success(),
        "skopeo {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The manifest as skopeo sees it.
pub(crate) fn raw(reference: &str) -> Vec<u8> {
    if reference.starts_with("docker://") {
        skopeo(&["inspect", "--raw", "--tls-verify=false", reference])
    } else {
        skopeo(&["inspect", "--raw", reference])
    }
}

/// Has skopeo copy all of an image into a folder, which verifies every digest, and gives the digests of the files.
pub(crate) fn read_whole(reference: &str) -> Vec<Digest> {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["copy", "--all", "--preserve-digests"];
    if reference.starts_with("docker://") {
        args.push("--src-tls-verify=false");
    }
    let to = format!("dir:{}", folder.path().display());
    args.extend([reference, &to]);
    skopeo(&args);
    digests(folder.path())
}

fn digests(folder: &Path) -> Vec<Digest> {
    let mut digests: Vec<Digest> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "version")
        .map(|entry| Digest::of(&std::fs::read(entry.path()).unwrap()))
        .collect();
    digests.sort();
    digests
}
