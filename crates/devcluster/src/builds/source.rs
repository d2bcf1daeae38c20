//! Where a build's source comes from: a folder of this machine, Git, or an upload.

use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::CancellationToken;

use super::inputs::{self, Arrived, Upload};
use super::log::Log;
use super::status::{Failure, set_revision};
use super::{Builder, git};
use crate::images::unpack_stream;
use crate::object::{annotation, text};

/// Annotation of a BuildConfig or Build that names its source folder on this machine.
const SOURCE: &str = "devcluster.openshifter.test/source";

/// How long a build waits for its upload to begin.
const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes of an upload in flight.
const BUFFER: usize = 256 << 10;

/// A source that is here.
#[derive(Debug)]
pub(super) struct Source {
    /// Its folder: of the machine, or one that is the build's own.
    pub(super) folder: PathBuf,
    /// Where it came from, for the image.
    pub(super) origin: String,
    /// What was checked out, if it came from Git.
    pub(super) revision: Value,
}

/// Fetches the source of a build. `work` is an empty folder of its own.
pub(super) async fn fetch(
    builder: &Builder,
    build: &Value,
    work: &Path,
    cancelled: &CancellationToken,
    log: &Log,
) -> Result<Source, Failure> {
    let git_source = &build["spec"]["source"]["git"];
    let uri = text(git_source, "/uri");
    let local = annotation(build, SOURCE).or_else(|| uri.strip_prefix("file://"));
    let (folder, origin, revision) = if !build["spec"]["source"]["binary"].is_null() {
        let into = work.join("upload");
        upload(builder, build, &into, cancelled, log).await?;
        (into, "binary".to_owned(), Value::Null)
    } else if let Some(folder) = local {
        (PathBuf::from(folder), uri.to_owned(), Value::Null)
    } else if !git_source.is_null() {
        let into = work.join("clone");
        let revision = git::fetch(&builder.inner.store, build, &into, log).await?;
        set_revision(&builder.inner.store, build, &revision);
        (into, uri.to_owned(), revision)
    } else {
        let into = work.join("empty");
        fs_err::create_dir_all(&into).map_err(|error| Failure::source(error.to_string()))?;
        (into, String::new(), Value::Null)
    };
    let folder = context_folder(&folder, text(build, "/spec/source/contextDir"))?;
    Ok(Source {
        folder,
        origin,
        revision,
    })
}

fn context_folder(folder: &Path, inside: &str) -> Result<PathBuf, Failure> {
    let inside = Path::new(inside.trim_start_matches('/'));
    if !inside
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(Failure::source(format!(
            "contextDir {} leads out of the source",
            inside.display()
        )));
    }
    let whole = folder.join(inside);
    // A link of the source may lead out of it, too.
    let real = |path: &Path| path.canonicalize().ok().filter(|_| path.is_absolute());
    match (real(folder), real(&whole)) {
        (Some(folder), Some(whole)) if whole.is_dir() && whole.starts_with(&folder) => Ok(whole),
        (None, _) => Err(Failure::source(format!(
            "{} is not a folder of this machine",
            folder.display()
        ))),
        _ => Err(Failure::source(format!(
            "{} is not a folder of the source",
            inside.display()
        ))),
    }
}

/// Waits for the upload and unpacks it as it comes.
async fn upload(
    builder: &Builder,
    build: &Value,
    into: &Path,
    cancelled: &CancellationToken,
    log: &Log,
) -> Result<(), Failure> {
    let key = inputs::key(build);
    let waiting = builder.inner.inputs.wait(&key);
    let Arrived { input, taken } = tokio::time::timeout(PATIENCE, waiting)
        .await
        .map_err(|_| Failure::source("no source was uploaded for this binary build"))?;
    let Upload { mut body, as_file } = input;
    log.line("Receiving source from STDIN as archive ...");
    let (mut to, from) = tokio::io::duplex(BUFFER);
    let cancelled = cancelled.clone();
    let pump = tokio::spawn(async move {
        // Dropping the near end ends the reader, whatever the client does.
        let copied = cancelled.run_until_cancelled(tokio::io::copy(&mut body, &mut to));
        match copied.await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(format!("the upload broke off: {error}")),
            None => Err("the build was cancelled".to_owned()),
        }
    });
    let target = into.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut stream = BufReader::with_capacity(BUFFER, SyncIoBridge::new(from));
        let unpacked = unpack(&mut stream, as_file.as_deref(), &target);
        // The client is told of the end only when its last byte was read.
        let drained = std::io::copy(&mut stream, &mut std::io::sink());
        unpacked.and(drained.map(|_| ()).map_err(|error| error.to_string()))
    });
    let unpacked = unpacked
        .await
        .unwrap_or_else(|error| Err(error.to_string()));
    let pumped = pump.await.unwrap_or_else(|error| Err(error.to_string()));
    // What is wrong with the upload itself is the better reason.
    let result = pumped.and(unpacked);
    let _ = taken.send(result.clone());
    result.map_err(Failure::source)
}

fn unpack(stream: &mut impl BufRead, as_file: Option<&str>, into: &Path) -> Result<(), String> {
    let says = |error: std::io::Error| error.to_string();
    fs_err::create_dir_all(into).map_err(says)?;
    if let Some(name) = as_file {
        let plain = Path::new(name).file_name().is_some_and(|file| file == name);
        if !plain {
            return Err(format!("{name:?} cannot be the name of a file"));
        }
        let mut file = fs_err::File::create(into.join(name)).map_err(says)?;
        std::io::copy(stream, &mut file).map_err(says)?;
        return Ok(());
    }
    let start = stream.fill_buf().map_err(says)?;
    if start.is_empty() {
        return Err("the upload is empty".to_owned());
    }
    let unpacked = match start {
        [0x1f, 0x8b, ..] => unpack_stream(MultiGzDecoder::new(&mut *stream), into),
        [b'P', b'K', 3, 4, ..] => {
            return Err("zip archives are not unpacked here: send a tar archive".to_owned());
        }
        _ => unpack_stream(&mut *stream, into),
    };
    unpacked.map_err(|error| {
        let why = std::error::Error::source(&error);
        let why = why.map_or(String::new(), |source| format!(": {source}"));
        format!("the upload is not a tar archive that can be unpacked: {error}{why}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_unpacked_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, "./app.sh", b"ok".as_slice())
            .unwrap();
        let tar = tar.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &tar).unwrap();
        let gzip = gzip.finish().unwrap();
        for (at, bytes) in [tar, gzip].iter().enumerate() {
            let into = folder.path().join(at.to_string());
            unpack(&mut bytes.as_slice(), None, &into).unwrap();
            assert_eq!(std::fs::read(into.join("app.sh")).unwrap(), b"ok");
        }
        let into = folder.path().join("file");
        unpack(&mut b"text".as_slice(), Some("Dockerfile"), &into).unwrap();
        assert_eq!(std::fs::read(into.join("Dockerfile")).unwrap(), b"text");
        for (bytes, name) in [
            (b"".as_slice(), None),
            (b"PK\x03\x04", None),
            (b"garbage that is no archive", None),
            (b"text", Some("../out")),
        ] {
            assert!(unpack(&mut &*bytes, name, &into).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_context_folder_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("door")).unwrap();
        assert!(context_folder(folder.path(), "").is_ok());
        assert!(context_folder(folder.path(), "inner").is_ok());
        assert!(context_folder(folder.path(), "/inner").is_ok());
        for bad in ["..", "inner/../..", "door", "missing"] {
            assert!(context_folder(folder.path(), bad).is_err(), "{bad}");
        }
    }
}
