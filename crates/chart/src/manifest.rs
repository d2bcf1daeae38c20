//! `data/manifest.json`: the ledger of a chart.

use std::fmt;

use openshifter_objects::{LeftOut, ObjectKey, Unlisted};
use serde::{Deserialize, Serialize};

use crate::ChartMeta;

/// The format that this program writes.
pub(crate) const FORMAT: u32 = 1;
/// Where the ledger is.
pub(crate) const PATH: &str = "data/manifest.json";
/// Where the knobs are.
pub(crate) const KNOBS: &str = "data/knobs.json";
/// Where the default values are, exactly: `values.yaml` is for people and helm.
pub(crate) const VALUES: &str = "data/values.json";

/// Where the images are: an OCI image layout.
pub(crate) const IMAGES: &str = "data/images";

/// The ledger: everything that is in the chart, and what is not and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Version of the chart's format.
    pub format: u32,
    /// Where the chart comes from.
    pub chart: ChartMeta,
    /// Sums.
    pub totals: Totals,
    /// Every object.
    pub objects: Vec<ObjectRecord>,
    /// Every volume.
    pub volumes: Vec<VolumeRecord>,
    /// Claims whose data was left out, as was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// Every image that the application uses.
    #[serde(default)]
    pub images: Vec<ImageRecord>,
    /// What was seen at the source and left out.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What could not be listed at the source.
    #[serde(default)]
    pub unlisted: Vec<Unlisted>,
    /// What may be incomplete, for a person: files that changed while they were read.
    #[serde(default)]
    pub losses: Vec<String>,
    /// Every file of the chart but this one.
    pub files: Vec<FileRecord>,
}

/// Sums over a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Objects as the source served them.
    pub objects: u64,
    /// Volumes.
    pub volumes: u64,
    /// Files in the volumes.
    pub volume_files: u64,
    /// Bytes of these.
    pub volume_bytes: u64,
    /// Files of the chart, the ledger not counted.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// One object of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRecord {
    /// Group, kind and name.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// `apiVersion` at the source.
    pub api_version: String,
    /// Path in the chart of the object as the source served it; `None` for one that only the preparation made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Path in the chart of the template or CRD; `None` for one that is not installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// One volume of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRecord {
    /// The claim.
    pub claim: String,
    /// Its folder in the chart.
    pub folder: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Digest of the tree.
    pub tree: String,
    /// Number of segments.
    pub segments: u64,
    /// What was left out of it, as in `lost+found`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Files that may have changed while they were read, escaped for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Where it was mounted when it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// What it was read with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<VolumeHelper>,
}

/// What a pod is made of that can read and write a volume: its image has `sh`, `sleep` and `tar`.
///
/// A chart remembers it for each volume, since its own objects may name no image at all, as those of a backup of
/// claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeHelper {
    /// The image.
    pub image: String,
    /// `imagePullSecrets` of the workload that it is the image of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secrets: Option<serde_json::Value>,
    /// `securityContext` of its pods, for clusters that refuse a pod without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<serde_json::Value>,
    /// `securityContext` of its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_security: Option<serde_json::Value>,
}

/// One image that the application of a chart uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRecord {
    /// What reports call it: `shop/web:latest` for an image of the cluster's registry, else its reference. An image that
    /// is in the chart has this name in the layout `data/images`.
    pub name: String,
    /// Where it comes from, for a person.
    pub origin: String,
    /// What was decided: `copy`, `rebuild`, `external` or `map`.
    pub decision: String,
    /// The image that takes its place, where that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its digest, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether its bytes are in the chart.
    #[serde(default)]
    pub included: bool,
    /// The repository of the source that a migration copies it from, straight into the target's registry: its bytes are
    /// not in the chart. `shop/web` of the cluster's own registry where it is [internal](Self::internal), else with its
    /// host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub straight_from: Option<String>,
    /// Bytes of its blobs, where they are copied.
    #[serde(default)]
    pub bytes: u64,
    /// Whether it was in the registry of the source's cluster, and nowhere else.
    #[serde(default)]
    pub internal: bool,
    /// Tags of ImageStreams of the application that lead to it, or that are to; the first tells where its bytes go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<ImageTag>,
    /// The BuildConfig that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_config: Option<String>,
    /// The commit that it was built from, where that was Git and a build told it: the target builds the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether that made it from a source that the target can have, too.
    #[serde(default)]
    pub rebuildable: bool,
    /// All that it is called: what `--images` may name it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Where the objects name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<ImagePlace>,
    /// Triggers and builds that take it by the name of an ImageStream, whose projects the target may not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follows: Vec<ImageFollower>,
    /// A tag that nobody has, for what follows the image in an ImageStream of another project: it is made where another
    /// image takes this one's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<ImageTag>,
    /// Whether the registry of the image that takes its place may speak plain http, or show any certificate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl ImageRecord {
    /// Whether it is copied, in the chart or straight from the source's registry: the target has it when the application
    /// starts there.
    pub fn comes_along(&self) -> bool {
        self.included || self.straight_from.is_some()
    }
}

/// An object that takes an image by the name of an ImageStreamTag or ImageStreamImage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageFollower {
    /// The object.
    pub object: ObjectKey,
    /// The project of the ImageStream, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `stream:tag` or `stream@digest`.
    pub name: String,
}

/// A tag of an ImageStream of the application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageTag {
    /// The ImageStream.
    pub stream: String,
    /// The tag.
    pub tag: String,
}

impl fmt::Display for ImageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.tag)
    }
}

/// A place of an object that names an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImagePlace {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// The place, as a JSON pointer; of a Dockerfile within a BuildConfig, the number of the image follows.
    pub place: String,
}

/// One file of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRecord {
    /// Path in the chart, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}
