//! Images: folders with a config. The built-in ones lend the machine's own programs, read-only.

mod build;
mod builtin;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::agent;

pub(crate) use build::BuildRequest;

/// `$PATH` where neither image nor pod sets one.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Registry name of the built-in images. `.test` is reserved and resolves nowhere.
pub(crate) const REGISTRY: &str = "openshifter.test";

/// Registry name under which images that were built here are known, as on OpenShift.
pub(crate) const INTERNAL_REGISTRY: &str = "image-registry.openshift-image-registry.svc:5000";

/// What a container finds below `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Rootfs {
    /// The machine's `/usr` and what belongs to it: shell, coreutils, tar, and whatever else is installed.
    Host,
    /// Shared libraries alone: no shell, no tar, nothing in `$PATH`.
    Libraries,
}

/// What an image says about the containers made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageConfig {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) working_dir: String,
    pub(crate) exposed_ports: Vec<u16>,
    pub(crate) rootfs: Rootfs,
    /// Folders laid over the root, read-only: name below the image's folder, and where it goes.
    pub(crate) layers: Vec<Layer>,
    /// A program that has to be on the machine, in `/usr/bin` or `/usr/local/bin`.
    pub(crate) needs: Option<String>,
}

/// A folder of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) folder: String,
    pub(crate) at: String,
    /// sha256 over its contents, so that equal configs with other contents are other images.
    pub(crate) digest: String,
}

/// An image that is here.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Name without tag or digest.
    pub(crate) repository: String,
    /// `sha256:…` over the config.
    pub(crate) digest: String,
    pub(crate) config: ImageConfig,
    /// Its folder, where its layers are.
    pub(crate) folder: PathBuf,
}

/// Why there is no such image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// Not one of ours.
    #[error(
        "image {reference:?} is not in this cluster: it has the built-in images of {REGISTRY} and those built here"
    )]
    Unknown {
        /// What was asked for.
        reference: String,
    },
    /// The machine lacks what it lends.
    #[error("image {reference:?} needs {program} on this machine, in /usr/bin or /usr/local/bin")]
    Missing {
        /// What was asked for.
        reference: String,
        /// What is missing.
        program: String,
    },
}

impl Image {
    /// `repository@sha256:…`.
    pub(crate) fn id(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// The command of a container: the pod's `command` and `args` over the image's own.
    pub(crate) fn command(&self, command: &[String], args: &[String]) -> Vec<String> {
        let cmd = if args.is_empty() && command.is_empty() {
            self.config.cmd.as_slice()
        } else {
            args
        };
        let entrypoint = if command.is_empty() {
            self.config.entrypoint.as_slice()
        } else {
            command
        };
        entrypoint.iter().chain(cmd).cloned().collect()
    }
}

impl ImageConfig {
    fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        format!("sha256:{}", hex(&Sha256::digest(bytes)))
    }
}

/// The images of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    folder: PathBuf,
}

impl Images {
    /// The images below `folder`, and the built-in ones.
    pub(crate) fn open(folder: PathBuf) -> std::io::Result<Self> {
        fs_err::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Finds an image by `repository[:tag]` or `repository@sha256:…`.
    pub(crate) fn find(&self, reference: &str) -> Result<Image, ImageError> {
        let unknown = || ImageError::Unknown {
            reference: reference.to_owned(),
        };
        let image = match reference.split_once('@') {
            Some((repository, digest)) => builtin::all()
                .into_iter()
                .map(|(_, image)| image)
                .find(|image| image.digest == digest)
                .or_else(|| self.built(repository, digest))
                .ok_or_else(unknown)?,
            None => builtin::all()
                .into_iter()
                .find(|(name, _)| name == reference)
                .map(|(_, image)| image)
                .ok_or_else(unknown)?,
        };
        match &image.config.needs {
            Some(program) if !on_machine(program) => Err(ImageError::Missing {
                reference: reference.to_owned(),
                program: program.clone(),
            }),
            _ => Ok(image),
        }
    }

    /// Names of the built-in images.
    pub(crate) fn names() -> Vec<String> {
        builtin::all().into_iter().map(|(name, _)| name).collect()
    }

    fn built(&self, repository: &str, digest: &str) -> Option<Image> {
        let hex = digest.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let folder = self.folder.join(hex);
        let config =
            serde_json::from_slice(&fs_err::read(folder.join("config.json")).ok()?).ok()?;
        Some(Image {
            repository: repository.to_owned(),
            digest: digest.to_owned(),
            config,
            folder,
        })
    }
}

/// The words that run an agent subcommand inside a container.
fn agent_command(subcommand: &str) -> Vec<String> {
    [agent::PATH_IN_SANDBOX, agent::SUBCOMMAND, subcommand]
        .map(str::to_owned)
        .to_vec()
}

fn on_machine(program: &str) -> bool {
    ["/usr/bin", "/usr/local/bin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(program).exists())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> (tempfile::TempDir, Images) {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path().join("images")).unwrap();
        (folder, images)
    }

    #[test]
    fn built_in_images_are_found_by_tag_and_by_digest() {
        let (_folder, images) = images();
        let by_tag = images.find("openshifter.test/guestbook:1").unwrap();
        let by_digest = images.find(&by_tag.id()).unwrap();
        assert_eq!(by_tag.digest, by_digest.digest);
        assert_eq!(by_tag.repository, "openshifter.test/guestbook");
        assert_eq!(by_tag.config.exposed_ports, [8080]);
    }

    #[test]
    fn an_unknown_image_is_named() {
        let (_folder, images) = images();
        let error = images.find("quay.io/some/thing:2").unwrap_err();
        insta::assert_snapshot!(error, @r#"image "quay.io/some/thing:2" is not in this cluster: it has the built-in images of openshifter.test and those built here"#);
        assert!(images.find("x@sha256:../../../etc").is_err());
    }

    #[test]
    fn command_and_args_go_over_the_image() {
        let (_folder, images) = images();
        let mut image = images.find("openshifter.test/shell:1").unwrap();
        image.config.entrypoint = vec!["entry".into()];
        image.config.cmd = vec!["cmd".into()];
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(image.command(&[], &[]), words(&["entry", "cmd"]));
        assert_eq!(image.command(&[], &words(&["a"])), words(&["entry", "a"]));
        assert_eq!(image.command(&words(&["c"]), &[]), words(&["c"]));
        assert_eq!(
            image.command(&words(&["c"]), &words(&["a"])),
            words(&["c", "a"])
        );
    }
}
