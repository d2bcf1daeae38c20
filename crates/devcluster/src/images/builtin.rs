//! The built-in images. Their names are stable: tests, the demo and documentation use them.

use std::collections::BTreeMap;

use super::config::{NEEDS, ROOTFS, SCRIPTS_URL};
use super::layers::{LayerError, pack_files};
use super::{DEFAULT_PATH, Image, ImageConfig, Images, REGISTRY, agent_command};

/// When they were made: always, so that every cluster has the very same ones.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Name with tag, and image.
pub(super) fn all(images: &Images) -> Result<Vec<(String, Image)>, LayerError> {
    let labels = |rootfs: &str, needs: Option<&str>| {
        let mut labels = BTreeMap::from([(ROOTFS.to_owned(), rootfs.to_owned())]);
        if let Some(needs) = needs {
            labels.insert(NEEDS.to_owned(), needs.to_owned());
        }
        labels
    };
    let host = ImageConfig {
        cmd: vec!["/bin/sh".to_owned()],
        working_dir: "/".to_owned(),
        labels: labels("host", None),
        ..ImageConfig::default()
    };
    let configs = [
        // sh, coreutils, tar.
        ("shell", host.clone()),
        // Nothing but a program that waits: exec of `sh` or `tar` fails as in a distroless image.
        (
            "notar",
            ImageConfig {
                cmd: agent_command("pause"),
                labels: labels("libraries", None),
                ..host.clone()
            },
        ),
        (
            "python",
            ImageConfig {
                cmd: vec!["python3".to_owned()],
                labels: labels("host", Some("python3")),
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
    ];
    let plain = configs.into_iter().map(|(name, config)| {
        let text = format!("{REGISTRY}/{name}:1\n");
        let files = BTreeMap::from([("etc/openshifter-release", (0o644, text.as_bytes()))]);
        write(images, name, config, &files)
    });
    let more = [
        python_builder(images, labels("host", Some("python3"))),
        postgresql(images, labels("host", Some("postgres"))),
    ];
    plain.chain(more).collect()
}

fn write(
    images: &Images,
    name: &str,
    config: ImageConfig,
    files: &BTreeMap<&str, (u32, &[u8])>,
) -> Result<(String, Image), LayerError> {
    let layer = pack_files(images.blobs(), files)?;
    let repository = format!("{REGISTRY}/{name}");
    let (image, _) = images
        .write(&repository, config, None, &[layer], CREATED)
        .map_err(LayerError::Write)?;
    Ok((format!("{repository}:1"), image))
}

/// A PostgreSQL server: the machine's, with our own scripts.
fn postgresql(
    images: &Images,
    mut labels: BTreeMap<String, String>,
) -> Result<(String, Image), LayerError> {
    let script: fn(&'static str) -> (u32, &'static [u8]) = |text| (0o755, text.as_bytes());
    let client = script(include_str!("postgresql/client"));
    let run = script(include_str!("postgresql/run-postgresql"));
    let files = BTreeMap::from([
        ("opt/app-root/bin/pg_dump", client),
        ("opt/app-root/bin/pg_isready", client),
        ("opt/app-root/bin/pg_restore", client),
        ("opt/app-root/bin/psql", client),
        ("opt/app-root/bin/run-postgresql", run),
        (
            "usr/libexec/check-container",
            script(include_str!("postgresql/check-container")),
        ),
        ("var/lib/pgsql/", (0o775, b"".as_slice())),
        ("var/lib/pgsql/data/", (0o775, b"")),
    ]);
    for (name, value) in [
        ("io.openshift.expose-services", "5432:postgresql"),
        ("io.openshift.tags", "database,postgresql"),
        ("io.k8s.display-name", "PostgreSQL"),
    ] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    let path = format!("/opt/app-root/bin:{DEFAULT_PATH}");
    let env = [
        ("PATH", path.as_str()),
        ("HOME", "/var/lib/pgsql"),
        ("PGUSER", "postgres"),
        ("PGHOST", "/tmp"),
        ("LC_ALL", "C.UTF-8"),
    ];
    let config = ImageConfig {
        cmd: vec!["run-postgresql".to_owned()],
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        working_dir: "/var/lib/pgsql".to_owned(),
        exposed_ports: vec![5432],
        user: "26".to_owned(),
        labels,
        ..ImageConfig::default()
    };
    write(images, "postgresql", config, &files)
}

/// The S2I builder for Python: the machine's Python with our own scripts, in the places where users of
/// such images expect things.
fn python_builder(
    images: &Images,
    mut labels: BTreeMap<String, String>,
) -> Result<(String, Image), LayerError> {
    const SCRIPTS: &str = "/usr/libexec/s2i";
    let script: fn(&'static str) -> (u32, &'static [u8]) = |text| (0o755, text.as_bytes());
    let files = BTreeMap::from([
        ("opt/app-root/", (0o775, b"".as_slice())),
        ("opt/app-root/src/", (0o775, b"")),
        (
            "usr/libexec/s2i/assemble",
            script(include_str!("s2i-python/assemble")),
        ),
        (
            "usr/libexec/s2i/init-wrapper",
            script(include_str!("s2i-python/init-wrapper")),
        ),
        (
            "usr/libexec/s2i/run",
            script(include_str!("s2i-python/run")),
        ),
        (
            "usr/libexec/s2i/usage",
            script(include_str!("s2i-python/usage")),
        ),
    ]);
    for (name, value) in [
        (SCRIPTS_URL, "image:///usr/libexec/s2i"),
        ("io.openshift.expose-services", "8080:http"),
        ("io.openshift.tags", "builder,python"),
        ("io.k8s.display-name", "Python"),
    ] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    let path = format!(
        "/opt/app-root/src/.local/bin:/opt/app-root/src/bin:/opt/app-root/bin:{DEFAULT_PATH}"
    );
    let env = [
        ("PATH", path.as_str()),
        ("HOME", "/opt/app-root/src"),
        ("APP_ROOT", "/opt/app-root"),
        ("STI_SCRIPTS_PATH", SCRIPTS),
        ("STI_SCRIPTS_URL", "image:///usr/libexec/s2i"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONIOENCODING", "UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("LANG", "C.UTF-8"),
        ("PIP_NO_CACHE_DIR", "off"),
    ];
    let config = ImageConfig {
        cmd: vec![format!("{SCRIPTS}/usage")],
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        working_dir: "/opt/app-root/src".to_owned(),
        exposed_ports: vec![8080],
        user: "1001".to_owned(),
        labels,
        ..ImageConfig::default()
    };
    write(images, "s2i-python", config, &files)
}
