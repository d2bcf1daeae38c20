//! Builder images: their `assemble` script turns a source into what the image runs.
//!
//! The script runs in a sandbox of the builder image with the machine's network, so that it can fetch
//! what the source asks for. What it leaves in the folders that the image lets its group write to
//! becomes the image's last layer.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Builder;
use super::dockerfile::Job;
use super::log::Log;
use super::run::{Made, build_env, build_labels, strategy_env};
use super::source::Source;
use super::status::Failure;
use crate::images::{self, Image};
use crate::node::{Task, TaskError};
use crate::object::{self, resources};
use crate::sandbox::{Identity, Mount};

/// Where `assemble` finds the source.
const UPLOAD: &str = "/tmp/src";

/// Where scripts are that a source brings along, while it is assembled.
const SCRIPTS: &str = "/tmp/scripts";

/// Where scripts go that a source brings along, in the image that is made.
const OWN_SCRIPTS: &str = "opt/app-root/.s2i/bin";

/// The user of the builder image when the project has no range of its own.
const DEFAULT_UID: u32 = 1001;

/// Runs `assemble` and makes the image.
pub(super) async fn assemble(
    job: &Job<'_>,
    base: &Image,
    source: &Source,
    repository: &str,
) -> Result<Made, Failure> {
    let Job {
        builder,
        build,
        work,
        log,
    } = *job;
    let failed = |detail: String| Failure::new("AssembleFailed", "Assemble script failed.", detail);
    let scripts = base
        .config
        .scripts()
        .unwrap_or_default()
        .trim_end_matches('/');
    let upload = work.join("src");
    let root = work.join("root");
    let prepared = {
        let (images, base) = (builder.inner.images.clone(), base.clone());
        let (from, upload, root) = (source.folder.clone(), upload.clone(), root.clone());
        let scripts_of_source = work.join("scripts");
        tokio::task::spawn_blocking(move || -> Result<images::Writable, String> {
            let says = |error: &dyn std::error::Error| error.to_string();
            images::copy(&from, &upload).map_err(|e| says(&e))?;
            take_scripts(&upload.join(".s2i/bin"), &scripts_of_source).map_err(|e| says(&e))?;
            let _ = crate::trees::remove(&upload.join(".git"));
            open_to_group(&upload).map_err(|e| says(&e))?;
            images.writable(&base, &root).map_err(|e| says(&e))
        })
    };
    let writable = prepared
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)?;
    let own_scripts = work.join("scripts");
    let own = |name: &str| own_scripts.join(name).is_file();
    let script = if own("assemble") {
        format!("{SCRIPTS}/assemble")
    } else {
        format!("{scripts}/assemble")
    };
    let mut env = build_env(build, source);
    let of_source = environment_file(&upload.join(".s2i/environment"));
    env.extend(of_source.iter().cloned());
    env.extend(strategy_env(build));
    let mut layers = writable.read_only.clone();
    layers.extend(writable.copies.iter().cloned());
    let mount = |source: &Path, target: &str, read_only| Mount {
        source: source.to_owned(),
        target: target.into(),
        read_only,
    };
    let mounts = [
        mount(&upload, UPLOAD, false),
        mount(&own_scripts, SCRIPTS, true),
    ];
    let mut all_env = base.config.env.clone();
    all_env.extend(env.iter().cloned());
    let task = Task {
        name: object::name(build),
        image: base,
        layers: &layers,
        mounts: &mounts,
        identity: identity(builder, build),
        command: vec![script],
        env: all_env,
        work,
        network: true,
    };
    let file = log.file().map_err(|error| failed(error.to_string()))?;
    let code = builder
        .inner
        .node
        .run_task(task, file)
        .await
        .map_err(|error| failed(error.to_string()))?;
    if code != 0 {
        return Err(failed(format!(
            "error: build error: non-zero (13) exit code from {}: exit status {code}",
            base.id()
        )));
    }

    let mut config = base.config.clone();
    for (name, value) in &env {
        config.set_env(name, value);
    }
    config.labels.extend(build_labels(source));
    config.entrypoint.clear();
    config.cmd = vec![if own("run") {
        format!("/{OWN_SCRIPTS}/run")
    } else {
        format!("{scripts}/run")
    }];
    let images = builder.inner.images.clone();
    let (base, repository) = (base.clone(), repository.to_owned());
    let committed = tokio::task::spawn_blocking(move || {
        let mut folders: Vec<(PathBuf, String)> = writable
            .copies
            .iter()
            .map(|copy| {
                let at = copy.target.strip_prefix("/").unwrap_or(&copy.target);
                (copy.source.clone(), at.display().to_string())
            })
            .collect();
        if own_scripts.join("run").is_file() {
            folders.push((own_scripts, OWN_SCRIPTS.to_owned()));
        }
        images.commit(&base, config, &folders, &repository, &object::now())
    });
    committed
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| {
            let why = std::error::Error::source(&error)
                .map_or(String::new(), |source| format!(": {source}"));
            Failure::generic(format!("{error}{why}"))
        })
}

/// Runs a command in a container of an image. Its exit code, and a hint for the reader.
pub(super) async fn run_in(
    builder: &Builder,
    build: &Value,
    image: &Image,
    command: Vec<String>,
    env: Vec<(String, String)>,
    work: &Path,
    log: &Log,
) -> Result<(i32, String), TaskError> {
    let root = work.join("hook");
    let writable = {
        let (images, image) = (builder.inner.images.clone(), image.clone());
        tokio::task::spawn_blocking(move || images.writable(&image, &root))
    };
    let writable = writable
        .await
        .map_err(std::io::Error::other)?
        .map_err(std::io::Error::other)?;
    let mut layers = writable.read_only;
    layers.extend(writable.copies);
    let mut all_env = image.config.env.clone();
    all_env.extend(env);
    let task = Task {
        name: object::name(build),
        image,
        layers: &layers,
        mounts: &[],
        identity: identity(builder, build),
        command,
        env: all_env,
        work,
        network: true,
    };
    let code = builder.inner.node.run_task(task, log.file()?).await?;
    let hint = match code {
        126 | 127 => " (is the command in the image?)",
        _ => "",
    };
    Ok((code, hint.to_owned()))
}

/// An arbitrary user of the project, as its containers have.
pub(super) fn identity(builder: &Builder, build: &Value) -> Identity {
    let namespace =
        builder
            .inner
            .store
            .get(&resources::namespaces(), None, object::namespace(build));
    let uid = namespace
        .as_ref()
        .and_then(|namespace| object::annotation(namespace, "openshift.io/sa.scc.uid-range"))
        .and_then(|range| range.split('/').next()?.parse().ok())
        .unwrap_or(DEFAULT_UID);
    Identity {
        uid,
        gid: 0,
        groups: Vec::new(),
    }
}

/// Takes the scripts out of a source. They are run whatever their modes say.
fn take_scripts(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if !from.is_dir() {
        return fs_err::create_dir_all(to);
    }
    fs_err::rename(from, to)?;
    for entry in fs_err::read_dir(to)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs_err::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Variables of a source's `.s2i/environment`: lines `NAME=value`, without quotes or expansion;
/// `#` in the first column begins a comment, and other lines mean nothing.
fn environment_file(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The sandbox's user is another one, of group 0.
pub(super) fn open_to_group(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_symlink() {
            continue;
        }
        if metadata.is_dir() {
            open_to_group(&entry.path())?;
        } else {
            let mode = metadata.permissions().mode();
            let mode = mode | 0o444 | (mode & 0o700) >> 3;
            fs_err::set_permissions(entry.path(), std::fs::Permissions::from_mode(mode))?;
        }
    }
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o775))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_source_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("environment");
        std::fs::write(
            &path,
            "# comment\nAPP_FILE=web.py\n\nOTHER = a=b \nnothing\n",
        )
        .unwrap();
        assert_eq!(
            environment_file(&path),
            [
                ("APP_FILE".to_owned(), "web.py".to_owned()),
                ("OTHER".to_owned(), "a=b".to_owned())
            ]
        );
        assert!(environment_file(&folder.path().join("none")).is_empty());
    }
}
