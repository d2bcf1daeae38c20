//! The built-in images. Their names are stable: tests, the demo and documentation use them.

use super::{Image, ImageConfig, REGISTRY, Rootfs, agent_command};

/// Name with tag, and image.
pub(super) fn all() -> Vec<(String, Image)> {
    let host = ImageConfig {
        entrypoint: Vec::new(),
        cmd: vec!["/bin/sh".to_owned()],
        env: Vec::new(),
        working_dir: "/".to_owned(),
        exposed_ports: Vec::new(),
        rootfs: Rootfs::Host,
        layers: Vec::new(),
        needs: None,
    };
    [
        // sh, coreutils, tar.
        ("shell", host.clone()),
        // Nothing but a program that waits: exec of `sh` or `tar` fails as in a distroless image.
        (
            "notar",
            ImageConfig {
                cmd: agent_command("pause"),
                rootfs: Rootfs::Libraries,
                ..host.clone()
            },
        ),
        (
            "python",
            ImageConfig {
                cmd: vec!["python3".to_owned()],
                needs: Some("python3".to_owned()),
                ..host.clone()
            },
        ),
        (
            "guestbook",
            ImageConfig {
                cmd: agent_command("guestbook"),
                env: vec![
                    ("DATA_DIR".to_owned(), "/data".to_owned()),
                    ("PORT".to_owned(), "8080".to_owned()),
                ],
                exposed_ports: vec![8080],
                ..host
            },
        ),
    ]
    .map(|(name, config)| {
        let repository = format!("{REGISTRY}/{name}");
        let tagged = format!("{repository}:1");
        let digest = config.digest();
        (
            tagged,
            Image {
                repository,
                digest,
                config,
                folder: std::path::PathBuf::new(),
            },
        )
    })
    .into()
}
