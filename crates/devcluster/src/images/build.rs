//! Building an image without running anything: the source folder becomes a layer over a base image.

use std::path::{Path, PathBuf};

use super::layers::{self, LayerError};
use super::{Image, ImageConfig, Images, Written};

/// Where the source goes, as in source-to-image builders.
pub(crate) const SOURCE_AT: &str = "/opt/app-root/src";

/// What to build.
#[derive(Debug)]
pub(crate) struct BuildRequest<'a> {
    /// A folder on this machine.
    pub(crate) source: &'a Path,
    /// Base image.
    pub(crate) base: &'a Image,
    /// More environment for its containers.
    pub(crate) env: Vec<(String, String)>,
    /// More labels.
    pub(crate) labels: Vec<(String, String)>,
    /// Name of the result, without tag.
    pub(crate) repository: String,
    /// When it was made.
    pub(crate) created: String,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The source could not be made a layer.
    #[error("cannot copy the source")]
    Layer(#[from] LayerError),
    /// The image could not be written.
    #[error("cannot write the image")]
    Write(#[source] std::io::Error),
}

impl Images {
    /// Builds an image. Blocking; equal sources give the same image.
    pub(crate) fn build(&self, request: &BuildRequest<'_>) -> Result<(Image, Written), BuildError> {
        let at = SOURCE_AT.trim_start_matches('/');
        let layer = layers::pack(self.blobs(), &[(request.source, at)])?;
        let mut config = request.base.config.clone();
        for (name, value) in &request.env {
            config.set_env(name, value);
        }
        config.labels.extend(request.labels.iter().cloned());
        SOURCE_AT.clone_into(&mut config.working_dir);
        if let Some(command) = start_command(request.source) {
            config.entrypoint.clear();
            config.cmd = command;
        }
        self.write(
            &request.repository,
            config,
            Some(request.base),
            &[layer],
            &request.created,
        )
        .map_err(BuildError::Write)
    }
}

impl Images {
    /// Makes an image of what a build has left in these folders: each replaces the base image's.
    /// Blocking.
    pub(crate) fn commit(
        &self,
        base: &Image,
        config: ImageConfig,
        folders: &[(PathBuf, String)],
        repository: &str,
        created: &str,
    ) -> Result<(Image, Written), BuildError> {
        let folders: Vec<(&Path, &str)> = folders
            .iter()
            .map(|(from, at)| (from.as_path(), at.as_str()))
            .collect();
        let layer = layers::pack_over(self.blobs(), &folders)?;
        self.write(repository, config, Some(base), &[layer], created)
            .map_err(BuildError::Write)
    }
}

/// How the result starts, by what the source holds.
fn start_command(source: &Path) -> Option<Vec<String>> {
    [("app.sh", "/bin/sh"), ("app.py", "python3")]
        .into_iter()
        .find(|(file, _)| source.join(file).is_file())
        .map(|(file, program)| vec![program.to_owned(), file.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sources_give_the_same_image_and_changed_ones_another() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir_all(source.join("static")).unwrap();
        std::fs::write(source.join("app.sh"), "echo hello").unwrap();
        let base = images.find("openshifter.test/shell:1").unwrap();
        let build = || {
            let request = BuildRequest {
                source: &source,
                base: &base,
                env: vec![("A".into(), "b".into())],
                labels: Vec::new(),
                repository: "registry/shop/frontend".into(),
                created: "2026-01-01T00:00:00Z".into(),
            };
            images.build(&request).unwrap()
        };
        let (first, written) = build();
        assert_eq!(first.digest, build().0.digest);
        assert_eq!(first.config.cmd, ["/bin/sh", "app.sh"]);
        // Configuration, the base image's layer, and the source.
        assert_eq!(written.parts.len(), 3);
        let tree = images.tree(&first).unwrap();
        assert_eq!(tree.writable, [Path::new("opt/app-root/src")]);
        let file = tree.folder.join("opt/app-root/src/app.sh");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "echo hello");

        std::fs::write(source.join("app.sh"), "echo other").unwrap();
        assert_ne!(first.digest, build().0.digest);
    }
}
