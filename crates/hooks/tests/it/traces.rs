//! What `--trace` says of a builder's scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::image::Image;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_builders_script_that_cannot_be_run_is_named_so() {
    let image = Image::new();
    image.upload(&[]);
    let lines = |command: &str| {
        let stdout = text(&image.ours(&["--trace", command]).stdout);
        let lines = stdout.lines().filter(|line| line.contains("/libexec/"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for name in ["assemble", "run"] {
        let plain = fs::Permissions::from_mode(0o644);
        fs::set_permissions(image.at(&format!("s2i/{name}")), plain).unwrap();
    }
    assert_eq!(lines("run"), ["not executable     /usr/libexec/s2i/run"]);
    assert_eq!(
        lines("assemble"),
        ["not executable     /usr/libexec/s2i/assemble"]
    );
    fs::remove_file(image.at("s2i/run")).unwrap();
    assert_eq!(lines("run"), ["not found          /usr/libexec/s2i/run"]);
}
