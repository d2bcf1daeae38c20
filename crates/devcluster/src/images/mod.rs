//! Images: OCI manifests, configurations and layers, kept as blobs of the registry.
//!
//! The built-in ones lend the machine's own programs, read-only, which a label of their configuration
//! says; an image that is built on one of them does, too.

mod build;
mod builtin;
mod config;
mod layers;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::agent;
use crate::elsewhere;
use crate::registry::{
    Blobs, Descriptor, Digest, Manifest, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST,
};

pub(crate) use build::BuildRequest;
pub(crate) use config::{ImageConfig, Rootfs, architecture};
use layers::Packed;
pub(crate) use layers::unpack_stream;
pub(crate) use tree::{Writable, copy};

/// `$PATH` where neither image nor pod sets one.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Registry name of the built-in images. `.test` is reserved and resolves nowhere.
pub(crate) const REGISTRY: &str = "openshifter.test";

/// Registry name under which images that were built here are known, as on OpenShift.
pub(crate) const INTERNAL_REGISTRY: &str = "image-registry.openshift-image-registry.svc:5000";

/// An image that is here.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Name without tag or digest.
    pub(crate) repository: String,
    /// Of its manifest.
    pub(crate) digest: Digest,
    pub(crate) config: ImageConfig,
    layers: Vec<layers::Layer>,
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
    /// The registry has no such manifest.
    #[error("reading manifest {digest} in {INTERNAL_REGISTRY}/{repository}: manifest unknown")]
    NoManifest {
        /// `namespace/name`.
        repository: String,
        /// Digest or tag.
        digest: String,
    },
    /// It is there, and cannot be read.
    #[error("image {reference:?} cannot be read: {why}")]
    Damaged {
        /// What was asked for.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// The machine lacks what it lends.
    #[error(
        "image {reference:?} needs {program} on this machine, in /usr: install the package that it comes with"
    )]
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

/// An image as it was written: what a push would send.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Its manifest, an OCI one.
    pub(crate) manifest: Vec<u8>,
    /// Digests of its configuration and layers.
    pub(crate) parts: Vec<Digest>,
}

/// The images of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    /// Unpacked images, by digest.
    folder: PathBuf,
    blobs: Blobs,
    builtin: Arc<Vec<(String, Image)>>,
}

impl Images {
    /// The images of a cluster's data folder, and the built-in ones.
    pub(crate) fn open(data: &Path) -> std::io::Result<Self> {
        let folder = data.join("images");
        fs_err::create_dir_all(&folder)?;
        let mut images = Self {
            folder,
            blobs: Blobs::open(data.join("registry"))?,
            builtin: Arc::default(),
        };
        images.builtin = Arc::new(builtin::all(&images).map_err(std::io::Error::other)?);
        Ok(images)
    }

    /// Where manifests, configurations and layers are.
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Where images are unpacked.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds an image by `repository[:tag]` or `repository@sha256:…`. Tags of image streams are not
    /// known here.
    pub(crate) fn find(&self, reference: &str) -> Result<Image, ImageError> {
        let image = match reference.split_once('@') {
            Some((repository, digest)) => {
                let is_it = |(_, image): &&(String, Image)| image.digest.as_str() == digest;
                match self.builtin.iter().find(is_it) {
                    Some((_, image)) => image.clone(),
                    None => self.pushed(reference, repository, digest)?,
                }
            }
            None => self
                .builtin
                .iter()
                .find(|(name, _)| name == reference)
                .map(|(_, image)| image.clone())
                .ok_or_else(|| unknown(reference))?,
        };
        match image.config.needs() {
            Some(program) if !on_machine(program) => Err(ImageError::Missing {
                reference: reference.to_owned(),
                program: program.to_owned(),
            }),
            _ => Ok(image),
        }
    }

    /// Names of the built-in images.
    pub(crate) fn names(&self) -> Vec<String> {
        self.builtin.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The manifest of an image with its type, as its repository has it.
    pub(crate) fn manifest(&self, image: &Image) -> Option<(Vec<u8>, String)> {
        match place(&image.repository) {
            Some(repository) => self.blobs.manifest(&repository, &image.digest),
            None => Some((
                self.blobs.read(&image.digest).ok()?,
                OCI_MANIFEST.to_owned(),
            )),
        }
    }

    /// The configuration that a manifest names; empty for an index.
    pub(crate) fn config_of(&self, manifest: &[u8]) -> Option<Vec<u8>> {
        match Manifest::parse(manifest, "").ok()?.0 {
            Manifest::Image { config, .. } => self.blobs.read(&config.digest().ok()?).ok(),
            Manifest::Index { .. } => Some(Vec::new()),
        }
    }

    /// An image that was pushed to the registry.
    fn pushed(&self, reference: &str, repository: &str, digest: &str) -> Result<Image, ImageError> {
        let path = place(repository).ok_or_else(|| unknown(reference))?;
        let missing = || match internal(repository) {
            Some(path) => ImageError::NoManifest {
                repository: path.to_owned(),
                digest: digest.to_owned(),
            },
            // What was not fetched before.
            None => unknown(reference),
        };
        let damaged = |why: String| ImageError::Damaged {
            reference: reference.to_owned(),
            why,
        };
        let parsed: Digest = digest.parse().map_err(|_| missing())?;
        let (bytes, media_type) = self.blobs.manifest(&path, &parsed).ok_or_else(missing)?;
        let (manifest, _) =
            Manifest::parse(&bytes, &media_type).map_err(|error| damaged(error.to_string()))?;
        match manifest {
            Manifest::Image { config, layers } => self
                .read(repository, parsed, &config, &layers)
                .map_err(damaged),
            Manifest::Index { manifests } => {
                let fits = |one: &&Descriptor| one.is_for("linux", architecture());
                let one = manifests
                    .iter()
                    .find(fits)
                    .ok_or_else(|| damaged(format!("it is not for linux/{}", architecture())))?;
                self.pushed(reference, repository, &one.digest)
            }
        }
    }

    fn read(
        &self,
        repository: &str,
        digest: Digest,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Image, String> {
        let says = |error: &dyn std::fmt::Display| error.to_string();
        let name = config.digest().map_err(|e| says(&e))?;
        let bytes = self.blobs.read(&name).map_err(|e| says(&e))?;
        let (config, diff_ids) = ImageConfig::read(&bytes).map_err(|e| says(&e))?;
        if diff_ids.len() != layers.len() {
            return Err("its configuration has another number of layers than its manifest".into());
        }
        let layers = layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
            Ok(layers::Layer {
                digest: layer.digest().map_err(|e| says(&e))?,
                media_type: layer.media_type.clone(),
                diff_id,
            })
        });
        Ok(Image {
            repository: repository.to_owned(),
            digest,
            config,
            layers: layers.collect::<Result<_, String>>()?,
        })
    }

    /// Writes an image of this configuration and these layers, those of `base` first.
    fn write(
        &self,
        repository: &str,
        config: ImageConfig,
        base: Option<&Image>,
        layers: &[Packed],
        created: &str,
    ) -> std::io::Result<(Image, Written)> {
        let below = base.map_or(&[][..], |base| &base.layers);
        let mut all = below.to_vec();
        all.extend(layers.iter().map(|layer| layers::Layer {
            digest: layer.digest.clone(),
            media_type: OCI_LAYER_GZIP.to_owned(),
            diff_id: layer.diff_id.to_string(),
        }));
        let diff_ids: Vec<String> = all.iter().map(|layer| layer.diff_id.clone()).collect();
        let about = config.write(&diff_ids, created);
        let name = self.blobs.put(&about)?;
        let size = |digest: &Digest| self.blobs.size(digest).unwrap_or(0);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": name.as_str(), "size": about.len()},
            "layers": all.iter().map(|layer| json!({
                "mediaType": layer.media_type,
                "digest": layer.digest.as_str(),
                "size": size(&layer.digest),
            })).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = self.blobs.put(&manifest)?;
        let parts = std::iter::once(name)
            .chain(all.iter().map(|layer| layer.digest.clone()))
            .collect();
        let image = Image {
            repository: repository.to_owned(),
            digest,
            config,
            layers: all,
        };
        Ok((image, Written { manifest, parts }))
    }
}

fn unknown(reference: &str) -> ImageError {
    ImageError::Unknown {
        reference: reference.to_owned(),
    }
}

/// `namespace/name` of a repository of the cluster's own registry.
pub(crate) fn internal(repository: &str) -> Option<&str> {
    let path = repository
        .strip_prefix(INTERNAL_REGISTRY)?
        .strip_prefix('/')?;
    let (namespace, name) = path.split_once('/')?;
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    (good(namespace) && good(name)).then_some(path)
}

/// Where the blobs of a repository are known, of the cluster's own registry or another one's.
fn place(repository: &str) -> Option<String> {
    internal(repository)
        .map(str::to_owned)
        .or_else(|| elsewhere::repository(repository))
}

/// The command that runs a part of the agent inside a sandbox.
fn agent_command(subcommand: &str) -> Vec<String> {
    [agent::PATH_IN_SANDBOX, agent::SUBCOMMAND, subcommand]
        .map(str::to_owned)
        .to_vec()
}

/// Folders of the machine where programs are that images lend.
fn program_folders() -> Vec<PathBuf> {
    let mut folders = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).to_vec();
    // Debian keeps the servers of each version apart.
    let servers = std::fs::read_dir("/usr/lib/postgresql");
    for version in servers.into_iter().flatten().flatten() {
        folders.push(version.path().join("bin"));
    }
    folders
}

fn on_machine(program: &str) -> bool {
    program_folders()
        .iter()
        .any(|folder| folder.join(program).exists())
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
        let images = Images::open(folder.path()).unwrap();
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
        // Another cluster has the very same image.
        let (_folder, others) = self::images();
        assert_eq!(by_tag.digest, others.find(&by_tag.id()).unwrap().digest);
        assert!(others.manifest(&by_tag).is_some());
    }

    #[test]
    fn an_unknown_image_is_named() {
        let (_folder, images) = images();
        let error = images.find("quay.io/some/thing:2").unwrap_err();
        insta::assert_snapshot!(error, @r#"image "quay.io/some/thing:2" is not in this cluster: it has the built-in images of openshifter.test and those built here"#);
        assert!(images.find("x@sha256:../../../etc").is_err());
        let error = images
            .find(&format!("{INTERNAL_REGISTRY}/shop/web@sha256:1"))
            .unwrap_err();
        insta::assert_snapshot!(error, @"reading manifest sha256:1 in image-registry.openshift-image-registry.svc:5000/shop/web: manifest unknown");
        assert!(
            images
                .find(&format!("{INTERNAL_REGISTRY}/../web@sha256:1"))
                .is_err()
        );
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
