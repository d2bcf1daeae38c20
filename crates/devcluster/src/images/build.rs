//! Building an image: the source folder becomes a layer over a base image.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Image, Images, Layer, hex};

/// Where the source goes, as in source-to-image builders.
const SOURCE_AT: &str = "/opt/app-root/src";

/// What to build.
#[derive(Debug)]
pub(crate) struct BuildRequest<'a> {
    /// A folder on this machine.
    pub(crate) source: &'a Path,
    /// Base image.
    pub(crate) base: &'a Image,
    /// More environment for its containers.
    pub(crate) env: Vec<(String, String)>,
    /// Name of the result, without tag.
    pub(crate) repository: String,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The source could not be copied.
    #[error("cannot copy the source {}", path.display())]
    Copy {
        /// What was read.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is neither file, folder nor symbolic link.
    #[error("the source holds {}, which is neither a file, a folder nor a symbolic link", path.display())]
    Special {
        /// What it is.
        path: PathBuf,
    },
    /// The image could not be written.
    #[error("cannot write the image")]
    Write(#[source] std::io::Error),
}

impl Images {
    /// Builds an image. Blocking; equal sources give the same image.
    pub(crate) fn build(&self, request: &BuildRequest<'_>) -> Result<Image, BuildError> {
        let work = tempfile::Builder::new()
            .prefix("building-")
            .tempdir_in(&self.folder)
            .map_err(BuildError::Write)?;
        let layer = work.path().join("source");
        let mut hash = Sha256::new();
        copy_folder(request.source, &layer, Path::new(""), &mut hash)?;

        let mut config = request.base.config.clone();
        config.layers.push(Layer {
            folder: "source".to_owned(),
            at: SOURCE_AT.to_owned(),
            digest: hex(&hash.finalize()),
        });
        config.env.extend(request.env.iter().cloned());
        config.working_dir = SOURCE_AT.to_owned();
        if let Some(command) = start_command(&layer) {
            config.entrypoint.clear();
            config.cmd = command;
        }
        let digest = config.digest();
        let image = Image {
            repository: request.repository.clone(),
            folder: self.folder.join(digest.trim_start_matches("sha256:")),
            digest,
            config,
        };
        // Layers of a base that was itself built come along.
        for below in &request.base.config.layers {
            let from = request.base.folder.join(&below.folder);
            copy_folder(
                &from,
                &work.path().join(&below.folder),
                Path::new(""),
                &mut Sha256::new(),
            )?;
        }
        let bytes =
            serde_json::to_vec_pretty(&image.config).map_err(|e| BuildError::Write(e.into()))?;
        fs_err::write(work.path().join("config.json"), bytes).map_err(BuildError::Write)?;
        if !image.folder.exists() {
            fs_err::rename(work.keep(), &image.folder).map_err(BuildError::Write)?;
        }
        Ok(image)
    }
}

/// How the result starts, by what the source holds.
fn start_command(source: &Path) -> Option<Vec<String>> {
    [("app.sh", "/bin/sh"), ("app.py", "python3")]
        .into_iter()
        .find(|(file, _)| source.join(file).is_file())
        .map(|(file, program)| vec![program.to_owned(), file.to_owned()])
}

/// Copies a folder, in the order of names, and hashes names, kinds, modes and contents.
fn copy_folder(from: &Path, to: &Path, inside: &Path, hash: &mut Sha256) -> Result<(), BuildError> {
    use std::os::unix::fs::PermissionsExt;
    let copy = |path: &Path| {
        let path = path.to_owned();
        |source| BuildError::Copy { path, source }
    };
    fs_err::create_dir_all(to).map_err(BuildError::Write)?;
    let mut entries = fs_err::read_dir(from)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(copy(from))?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), inside.join(entry.file_name()));
        if name == Path::new(".git") {
            continue;
        }
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(copy(&path))?;
        hash.update(name.as_os_str().as_encoded_bytes());
        if kind.is_dir() {
            hash.update(b"\0d");
            copy_folder(&path, &target, &name, hash)?;
        } else if kind.is_symlink() {
            let link = fs_err::read_link(&path).map_err(copy(&path))?;
            hash.update(b"\0l");
            hash.update(link.as_os_str().as_encoded_bytes());
            fs_err::os::unix::fs::symlink(link, target).map_err(BuildError::Write)?;
        } else if kind.is_file() {
            fs_err::copy(&path, &target).map_err(copy(&path))?;
            let mode = fs_err::metadata(&target)
                .map_err(copy(&path))?
                .permissions()
                .mode();
            // Containers run as another user.
            let mode = mode | 0o444 | (mode & 0o100) >> 3 | (mode & 0o100) >> 6;
            fs_err::set_permissions(&target, std::fs::Permissions::from_mode(mode))
                .map_err(BuildError::Write)?;
            hash.update(b"\0f");
            hash.update(mode.to_be_bytes());
            let mut file = fs_err::File::open(&target).map_err(copy(&target))?;
            let mut buffer = vec![0; 64 << 10];
            loop {
                match file.read(&mut buffer).map_err(copy(&target))? {
                    0 => break,
                    n => hash.update(&buffer[..n]),
                }
            }
        } else {
            return Err(BuildError::Special { path });
        }
        hash.update(b"\0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sources_give_the_same_image_and_changed_ones_another() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path().join("images")).unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir_all(source.join("static")).unwrap();
        std::fs::write(source.join("app.sh"), "echo hello").unwrap();
        let base = images.find("openshifter.test/shell:1").unwrap();
        let build = || {
            let request = BuildRequest {
                source: &source,
                base: &base,
                env: vec![("A".into(), "b".into())],
                repository: "registry/shop/frontend".into(),
            };
            images.build(&request).unwrap()
        };
        let first = build();
        assert_eq!(first.digest, build().digest);
        assert_eq!(first.config.cmd, ["/bin/sh", "app.sh"]);
        let found = images.find(&first.id()).unwrap();
        assert_eq!(found.config, first.config);
        assert_eq!(
            std::fs::read_to_string(found.folder.join("source/app.sh")).unwrap(),
            "echo hello"
        );

        std::fs::write(source.join("app.sh"), "echo other").unwrap();
        assert_ne!(first.digest, build().digest);
    }
}
