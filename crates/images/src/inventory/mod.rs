//! Which images an application uses: found in its objects, resolved to digests where the objects tell them, and each
//! classified by where it comes from. No input or output.

mod builds;
mod streams;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use openshifter_objects::{Object, ObjectKey};
use serde::Serialize;

use crate::{Digest, ImageReference, InternalRegistries, Wanted};
use builds::Builds;
pub use streams::images_of_pod;
use streams::{Found, Streams};
use uses::{From, written};

/// What an object uses an image for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UseKind {
    /// A container (init and ephemeral ones, too) or an image volume of a workload.
    Container,
    /// A trigger that puts the image of a tag into a workload.
    Trigger,
    /// What a build starts from or takes files of.
    BuildInput,
    /// A tag of an ImageStream that has this image now.
    Tag,
}

/// One use of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// Who uses it.
    pub object: ObjectKey,
    /// Where in it, as a JSON pointer; of a Dockerfile within a BuildConfig, the number of the image follows.
    pub place: String,
    /// What for.
    pub kind: UseKind,
    /// How it is written there.
    pub text: String,
    /// The project whose ImageStream is meant, where an ImageStream is; `None` for a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What a build was made from that the target can build, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildSource {
    /// A Git repository.
    Git,
    /// A Dockerfile within the BuildConfig.
    Dockerfile,
    /// Files of other images.
    Images,
}

/// Where an image comes from: what decides whether and how it can be had at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "class")]
#[non_exhaustive]
pub enum Origin {
    /// Built here, from a source that the target can build too.
    BuiltFromSource {
        /// The BuildConfig.
        build_config: String,
        /// From what.
        source: BuildSource,
        /// The tag that it pushes to.
        output: Option<StreamTag>,
        /// The commit that it was built from, where a build still tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// Built here from files that only a developer has, or by a BuildConfig that is gone.
    BuiltFromBinary {
        /// The BuildConfig, where there still is one.
        build_config: Option<String>,
    },
    /// Pushed into the cluster's registry by somebody.
    Pushed,
    /// In a registry outside of the cluster; perhaps imported into an ImageStream.
    External,
    /// An ImageStream of another project of the source cluster.
    OtherProject {
        /// The project. `openshift` comes with every cluster.
        namespace: String,
    },
    /// It is not where the objects say, or cannot be read there.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The objects do not tell.
    Unknown {
        /// What is missing.
        reason: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltFromSource {
                build_config,
                source,
                commit,
                ..
            } => {
                let source = match source {
                    BuildSource::Git => "Git",
                    BuildSource::Dockerfile => "a Dockerfile",
                    BuildSource::Images => "other images",
                };
                write!(f, "built by BuildConfig {build_config} from {source}")?;
                match commit {
                    Some(commit) => write!(f, ", commit {commit}"),
                    None => Ok(()),
                }
            }
            Self::BuiltFromBinary {
                build_config: Some(name),
            } => {
                write!(
                    f,
                    "built by BuildConfig {name} from files that only its developer has"
                )
            }
            Self::BuiltFromBinary { build_config: None } => {
                f.write_str("built by a BuildConfig that is gone")
            }
            Self::Pushed => f.write_str("pushed into the cluster's registry"),
            Self::External => f.write_str("external"),
            Self::OtherProject { namespace } => write!(f, "of project {namespace}"),
            Self::Unreachable { reason } => write!(f, "unreachable: {reason}"),
            Self::Unknown { reason } => write!(f, "unknown: {reason}"),
        }
    }
}

/// A tag of an ImageStream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StreamTag {
    /// The project.
    pub namespace: String,
    /// The ImageStream.
    pub stream: String,
    /// The tag.
    pub tag: String,
}

impl fmt::Display for StreamTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.stream, self.tag)
    }
}

/// One image that an application uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// What plans and reports call it: `shop/web:latest` for an image of the cluster's registry, else its reference.
    pub name: String,
    /// Where its bytes are; `None` when the objects do not tell.
    pub reference: Option<ImageReference>,
    /// Its repository in the cluster's own registry, `namespace/stream`, where its bytes are there.
    pub internal: Option<String>,
    /// Its digest, where the objects tell it.
    pub digest: Option<Digest>,
    /// Tags of ImageStreams that lead to it now.
    pub tags: BTreeSet<StreamTag>,
    /// Where it comes from.
    pub origin: Origin,
    /// Who uses it.
    pub uses: Vec<Use>,
}

impl Image {
    /// Whether something that runs uses it, and not only a build or a tag.
    pub fn runs(&self) -> bool {
        self.uses
            .iter()
            .any(|one| matches!(one.kind, UseKind::Container | UseKind::Trigger))
    }

    /// Its repository: in the cluster's own registry where [`Image::internal`] says so, else in that of its reference.
    pub fn repository(&self) -> Option<&str> {
        self.internal
            .as_deref()
            .or(self.reference.as_ref().map(ImageReference::repository))
    }

    /// What to look for in its repository. With a tag and a digest, a survey finds out whether the tag has moved since.
    pub fn wanted(&self) -> Wanted {
        let of_stream = self.tags.iter().find(|tag| {
            self.internal.as_deref() == Some(format!("{}/{}", tag.namespace, tag.stream).as_str())
        });
        // Beside a digest that was written down, a tag is for the reader: it may lead anywhere by now.
        let of_reference = self
            .reference
            .as_ref()
            .filter(|reference| reference.digest().is_none())
            .and_then(ImageReference::tag);
        Wanted {
            tag: of_stream
                .map(|tag| tag.tag.as_str())
                .or(of_reference)
                .map(str::to_owned),
            digest: self.digest,
        }
    }

    /// All that it is called: what a choice may name it by.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from([self.name.clone()]);
        if let Some(reference) = &self.reference {
            names.insert(reference.to_string());
            if let (Some(tag), Some(_)) = (reference.tag(), reference.digest()) {
                names.insert(format!(
                    "{}/{}:{tag}",
                    reference.registry(),
                    reference.repository()
                ));
            }
        }
        if let Some(internal) = &self.internal {
            names.insert(internal.clone());
        }
        for tag in &self.tags {
            names.insert(tag.to_string());
            names.insert(format!("{}:{}", tag.stream, tag.tag));
        }
        names.extend(self.uses.iter().map(|one| one.text.trim().to_owned()));
        names.extend(self.digest.map(|digest| digest.to_string()));
        names
    }
}

/// All images that an application uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// In order of their names.
    pub images: Vec<Image>,
    /// Hosts under which the cluster's registry is exposed, as its ImageStreams tell.
    pub exposed: BTreeSet<String>,
    /// References that cannot be read, with what is wrong with them.
    pub unreadable: Vec<(Use, String)>,
}

impl Inventory {
    /// Finds the images of an application in its raw objects, status included.
    ///
    /// The more of the project is given, the more is resolved: ImageStreams give digests to tags, pods to references
    /// of other registries, builds tell where an image came from. What a controller made is looked at for that only.
    pub fn of(objects: &[Object]) -> Self {
        let mut registries = InternalRegistries::default();
        for stream in objects
            .iter()
            .filter(|object| object.is("image.openshift.io", "ImageStream"))
        {
            let host = |pointer: &str| {
                let text = stream.value().pointer(pointer)?.as_str()?;
                text.split_once('/').map(|(host, _)| host.to_owned())
            };
            if let Some(host) = host("/status/publicDockerImageRepository") {
                registries.expose(&host);
            }
            if let Some(host) = host("/status/dockerImageRepository") {
                registries.name(&host);
            }
        }
        let streams = Streams::new(objects, &registries);
        let builds = Builds::new(objects);
        let mut gathered = Gathered::default();
        for one in written(objects) {
            let found = match &one.from {
                From::Tag { namespace, name } => streams.tag(namespace, name),
                From::StreamImage { namespace, name } => streams.stream_image(namespace, name),
                From::Reference { namespace, text } => match streams.reference(namespace, text) {
                    Ok(found) => found,
                    Err(error) => {
                        gathered.unreadable.push((one.used, error.to_string()));
                        continue;
                    }
                },
            };
            gathered.add(found, one.used);
        }
        gathered.finish(&streams, &builds, &registries)
    }
}

#[derive(Default)]
struct Gathered {
    images: BTreeMap<String, (Found, Vec<Use>)>,
    unreadable: Vec<(Use, String)>,
}

impl Gathered {
    fn add(&mut self, found: Found, used: Use) {
        let (kept, uses) = self
            .images
            .entry(found.key())
            .or_insert_with(|| (found.clone(), Vec::new()));
        // A reference with a tag says more than one without.
        if kept
            .reference
            .as_ref()
            .is_some_and(|one| one.tag().is_none())
            && found
                .reference
                .as_ref()
                .is_some_and(|one| one.tag().is_some())
        {
            kept.reference = found.reference;
        }
        if !uses.contains(&used) {
            uses.push(used);
        }
    }

    fn finish(
        self,
        streams: &Streams<'_>,
        builds: &Builds<'_>,
        registries: &InternalRegistries,
    ) -> Inventory {
        let mut images: Vec<Image> = self
            .images
            .into_values()
            .map(|(found, mut uses)| {
                uses.sort();
                let internal = found
                    .reference
                    .as_ref()
                    .and_then(|reference| registries.stream(reference))
                    .map(|(namespace, stream)| (namespace.to_owned(), stream.to_owned()));
                let tags = match found.digest {
                    Some(digest) => streams.tags_of(digest, found.repository()),
                    None => found.tag.clone().into_iter().collect(),
                };
                let origin = match (&found.missing, &internal) {
                    (Some(reason), _) => Origin::Unknown {
                        reason: reason.clone(),
                    },
                    (None, Some((namespace, stream))) => {
                        builds.origin(streams, namespace, stream, found.digest, &tags)
                    }
                    (None, None) => match &found.tag {
                        Some(tag) if !streams.is_own(&tag.namespace) => Origin::OtherProject {
                            namespace: tag.namespace.clone(),
                        },
                        _ => Origin::External,
                    },
                };
                let name = name_of(&found, internal.as_ref(), &tags);
                Image {
                    name,
                    reference: found.reference,
                    internal: internal.map(|(namespace, stream)| format!("{namespace}/{stream}")),
                    digest: found.digest,
                    tags,
                    origin,
                    uses,
                }
            })
            .collect();
        images.sort_by(|a, b| a.name.cmp(&b.name).then(a.digest.cmp(&b.digest)));
        Inventory {
            images,
            exposed: registries.exposed().map(str::to_owned).collect(),
            unreadable: self.unreadable,
        }
    }
}

fn name_of(
    found: &Found,
    internal: Option<&(String, String)>,
    tags: &BTreeSet<StreamTag>,
) -> String {
    let digest = found
        .digest
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    if let Some((namespace, stream)) = internal {
        let of_stream = tags
            .iter()
            .find(|tag| tag.namespace == *namespace && tag.stream == *stream);
        return match of_stream.or(found.tag.as_ref()) {
            Some(tag) => tag.to_string(),
            None => format!("{namespace}/{stream}{digest}"),
        };
    }
    match (&found.reference, &found.tag) {
        (Some(reference), _) if reference.digest().is_none() => format!("{reference}{digest}"),
        (Some(reference), _) => reference.to_string(),
        (None, Some(tag)) => tag.to_string(),
        (None, None) => "an image".to_owned(),
    }
}

#[cfg(test)]
mod tests;
