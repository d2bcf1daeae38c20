//! Makes a chart in a folder beside its final place, and moves it there when it is complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use openshifter_objects::{Knob, LeftOut, Object, ObjectKey, Unlisted};
use openshifter_volumes::{Recorded, StoredVolume};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Chart, ChartError, ChartMeta, FileRecord, ImageRecord, Manifest, ObjectRecord, Totals,
    VolumeHelper, VolumeRecord, disk,
    manifest::{FORMAT, IMAGES, KNOBS, PATH, VALUES},
    meta::without_credentials,
    names,
    readme::readme,
    schema::schema,
    template::{HELPERS, HELPERS_TEXT, template},
    yaml::{Holes, document},
};

/// What is known of a volume beyond its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeNote {
    /// Where it was mounted when it was read.
    pub mount_path: Option<String>,
    /// Files that may have changed while they were read, escaped for a person.
    pub changed: Vec<String>,
    /// What it was read with.
    pub helper: Option<VolumeHelper>,
}

/// The objects of a chart and what is to be known of them.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The objects as the source served them, CRDs included or not.
    pub raw: &'a [Object],
    /// CustomResourceDefinitions to go into `crds/`, as they are to be installed.
    pub crds: &'a [Object],
    /// The objects as they are to be installed: each becomes a template.
    pub prepared: &'a [Object],
    /// Places of the prepared objects that `values` sets.
    pub knobs: &'a [Knob],
    /// Default values, a JSON object.
    pub values: &'a Value,
    /// What was seen at the source and left out.
    pub left_out: &'a [LeftOut],
    /// What could not be listed at the source.
    pub unlisted: &'a [Unlisted],
    /// Claims whose data was left out, as was asked for.
    pub skipped: &'a [String],
    /// What may be incomplete, for a person.
    pub losses: &'a [String],
    /// The images; those that are included were written into [`ChartBuilder::images_dir`].
    pub images: &'a [ImageRecord],
}

impl Default for Content<'_> {
    fn default() -> Self {
        const NOTHING: &Value = &Value::Null;
        Self {
            raw: &[],
            crds: &[],
            prepared: &[],
            knobs: &[],
            values: NOTHING,
            left_out: &[],
            unlisted: &[],
            skipped: &[],
            losses: &[],
            images: &[],
        }
    }
}

/// A chart in the making. Dropped before [`ChartBuilder::finish`], it leaves nothing.
#[derive(Debug)]
pub struct ChartBuilder {
    final_path: PathBuf,
    folder: TempDir,
    meta: ChartMeta,
    volumes: BTreeMap<String, (StoredVolume, VolumeNote)>,
}

impl ChartBuilder {
    /// Begins a chart that will be at `final_path`, where nothing may be yet. Its folder is made when it is
    /// missing.
    ///
    /// # Errors
    /// When something is there, or the folder cannot be written to.
    pub fn create(final_path: impl Into<PathBuf>, mut meta: ChartMeta) -> Result<Self, ChartError> {
        let final_path = final_path.into();
        if std::fs::symlink_metadata(&final_path).is_ok() {
            return Err(ChartError::Exists(final_path));
        }
        meta.source_cluster = without_credentials(&meta.source_cluster);
        let parent = disk::parent(&final_path);
        disk::folder(parent)?;
        let folder = disk::temporary()
            .prefix(".openshifter-")
            .suffix(".partial")
            .tempdir_in(parent)
            .map_err(ChartError::file("making a folder in", parent))?;
        Ok(Self {
            final_path,
            folder,
            meta,
            volumes: BTreeMap::new(),
        })
    }

    /// What was said of the chart's making; may be completed until the end.
    pub fn meta_mut(&mut self) -> &mut ChartMeta {
        &mut self.meta
    }

    /// The folder of a claim's volume, for [`openshifter_volumes::record`], which makes it.
    pub fn volume_dir(&self, claim: &str) -> PathBuf {
        self.folder.path().join(volume_folder(claim))
    }

    /// The folder of the images' layout, which whoever has images makes.
    pub fn images_dir(&self) -> PathBuf {
        self.folder.path().join(IMAGES)
    }

    /// Adds a volume that was recorded in [`ChartBuilder::volume_dir`].
    ///
    /// # Errors
    /// When it is not there, or not what was recorded.
    pub fn add_volume(
        &mut self,
        claim: &str,
        recorded: &Recorded,
        note: VolumeNote,
    ) -> Result<(), ChartError> {
        let stored =
            StoredVolume::open(self.volume_dir(claim)).map_err(ChartError::volume(claim))?;
        if *stored.meta() != recorded.meta {
            return Err(ChartError::damaged(
                volume_folder(claim),
                "is not the volume that was recorded",
            ));
        }
        self.volumes.insert(claim.to_owned(), (stored, note));
        Ok(())
    }

    /// Writes everything else, brings it down to the disk and gives it its name. Blocks.
    ///
    /// # Errors
    /// When objects or knobs do not fit each other, or the disk is full. Nothing is left then.
    pub fn finish(self, content: Content<'_>) -> Result<Chart, ChartError> {
        let root = self.folder.path();
        let helm_name = helm_name(&self.meta.name);
        let mut written = Written {
            root,
            files: Vec::new(),
        };

        let objects = write_objects(&mut written, content)?;
        let empty = json!({});
        let values = if content.values.is_null() {
            &empty
        } else {
            content.values
        };
        written.text(
            "Chart.yaml",
            &document(&chart_yaml(&self.meta, &helm_name), &Holes::default()),
        )?;
        written.text(
            "values.yaml",
            &format!(
                "# What another cluster may need to be different.\n{}",
                document(values, &Holes::default())
            ),
        )?;
        written.json("values.schema.json", &schema(values, content.knobs))?;
        written.text(".helmignore", "data/\n")?;
        written.text(HELPERS, HELPERS_TEXT)?;
        written.json(KNOBS, &content.knobs)?;
        written.json(VALUES, values)?;
        let volumes = self.write_volumes(&mut written)?;
        if self.images_dir().is_dir() {
            for path in disk::files(&self.images_dir())? {
                let (size, sha256) = disk::digest(&self.images_dir().join(&path))?;
                written.files.push(FileRecord {
                    path: format!("{IMAGES}/{path}"),
                    size,
                    sha256,
                });
            }
        }

        let mut manifest = Manifest {
            format: FORMAT,
            chart: self.meta.clone(),
            totals: Totals {
                objects: content.raw.len() as u64,
                volumes: volumes.len() as u64,
                volume_files: volumes.iter().map(|volume| volume.files).sum(),
                volume_bytes: volumes.iter().map(|volume| volume.bytes).sum(),
                ..Totals::default()
            },
            objects,
            volumes,
            skipped: content.skipped.to_vec(),
            images: content.images.to_vec(),
            left_out: content.left_out.to_vec(),
            unlisted: content.unlisted.to_vec(),
            losses: content.losses.to_vec(),
            files: Vec::new(),
        };
        written.text("README.md", &readme(&manifest, &helm_name))?;
        written.files.sort_by(|a, b| a.path.cmp(&b.path));
        manifest.totals.files = written.files.len() as u64;
        manifest.totals.bytes = written.files.iter().map(|file| file.size).sum();
        manifest.files = std::mem::take(&mut written.files);
        written.json(PATH, &manifest)?;
        disk::sync(root)?;

        let final_path = self.final_path;
        if std::fs::symlink_metadata(&final_path).is_ok() {
            return Err(ChartError::Exists(final_path));
        }
        std::fs::rename(self.folder.path(), &final_path)
            .map_err(ChartError::file("naming", &final_path))?;
        // The folder has its name now, and is nothing temporary any more.
        let _ = self.folder.keep();
        disk::sync_parent(&final_path)?;
        Chart::open(final_path)
    }

    /// The volumes' files are already there; their digests were taken when they were written.
    fn write_volumes(&self, written: &mut Written<'_>) -> Result<Vec<VolumeRecord>, ChartError> {
        let mut records = Vec::new();
        for (claim, (stored, note)) in &self.volumes {
            let (folder, meta) = (volume_folder(claim), stored.meta());
            let (size, sha256) = disk::digest(&stored.dir().join("volume.json"))?;
            written.files.push(FileRecord {
                path: format!("{folder}/volume.json"),
                size,
                sha256,
            });
            let digests = meta
                .segments
                .iter()
                .map(|segment| (format!("segments/{}", segment.name), &segment.file));
            for (name, file) in digests.chain([("files.jsonl.zst".to_owned(), &meta.list)]) {
                written.files.push(FileRecord {
                    path: format!("{folder}/{name}"),
                    size: file.size,
                    sha256: file.sha256.clone(),
                });
            }
            records.push(VolumeRecord {
                claim: claim.clone(),
                folder,
                files: meta.files,
                bytes: meta.bytes,
                tree: meta.tree.clone(),
                segments: meta.segments.len() as u64,
                excluded: meta.excluded.clone(),
                changed: note.changed.clone(),
                mount_path: note.mount_path.clone(),
                helper: note.helper.clone(),
            });
        }
        Ok(records)
    }
}

/// The folder of a claim's volume in a chart.
pub(crate) fn volume_folder(claim: &str) -> String {
    format!("data/volumes/{}", names::component(claim))
}

/// A name that helm takes for a chart: lower-case letters, digits and inner dashes.
fn helm_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(53)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "application".into()
    } else {
        name.to_owned()
    }
}

fn chart_yaml(meta: &ChartMeta, helm_name: &str) -> Value {
    let mut annotations = json!({
        "openshifter/format-version": FORMAT.to_string(),
        "openshifter/source-cluster": meta.source_cluster,
        "openshifter/source-namespace": meta.source_namespace,
        "openshifter/created": meta.created.to_string(),
        "openshifter/tool-version": meta.tool_version,
        "openshifter/quiesced": meta.quiesced.to_string(),
    });
    for (key, version) in [
        ("openshifter/kubernetes-version", &meta.kubernetes_version),
        ("openshifter/openshift-version", &meta.openshift_version),
    ] {
        if let Some(version) = version {
            annotations[key] = version.as_str().into();
        }
    }
    let mut chart = json!({
        "apiVersion": "v2",
        "name": helm_name,
        "description": format!("{}, exported by openshifter", meta.name),
        "type": "application",
        "version": "1.0.0",
        "annotations": annotations,
    });
    if let Some(version) = &meta.app_version {
        chart["appVersion"] = version.as_str().into();
    }
    chart
}

fn write_objects(
    written: &mut Written<'_>,
    content: Content<'_>,
) -> Result<Vec<ObjectRecord>, ChartError> {
    let mut records: BTreeMap<ObjectKey, ObjectRecord> = BTreeMap::new();
    let record = |object: &Object| ObjectRecord {
        key: object.key(),
        api_version: object.api_version().to_owned(),
        raw: None,
        template: None,
    };
    let mut taken = BTreeSet::new();
    for object in content.raw {
        let path = format!("data/objects/{}.json", names::object(object, &mut taken));
        written.json(&path, object)?;
        let entry = records
            .entry(object.key())
            .or_insert_with(|| record(object));
        if entry.raw.replace(path).is_some() {
            return Err(ChartError::Twice(object.key()));
        }
    }

    let mut knobs: BTreeMap<&ObjectKey, Vec<&Knob>> = BTreeMap::new();
    for knob in content.knobs {
        knobs.entry(&knob.object).or_default().push(knob);
    }
    let mut taken = BTreeSet::new();
    let crds = content.crds.iter().map(|object| (object, "crds"));
    for (object, folder) in crds.chain(content.prepared.iter().map(|object| (object, "templates")))
    {
        let key = object.key();
        let path = format!("{folder}/{}.yaml", names::object(object, &mut taken));
        // Helm does not template CRDs, so these have no knobs.
        let knobs = if folder == "templates" {
            knobs.remove(&key).unwrap_or_default()
        } else {
            Vec::new()
        };
        written.text(&path, &template(object, &knobs)?)?;
        let entry = records.entry(key.clone()).or_insert_with(|| record(object));
        if entry.template.replace(path).is_some() {
            return Err(ChartError::Twice(key));
        }
    }
    if let Some(knob) = knobs.into_values().flatten().next() {
        return Err(ChartError::Knob {
            object: knob.object.clone(),
            pointer: knob.pointer.clone(),
            why: "the chart has no template of the object",
        });
    }
    Ok(records.into_values().collect())
}

/// What was written, with digests taken on the way.
struct Written<'a> {
    root: &'a Path,
    files: Vec<FileRecord>,
}

impl Written<'_> {
    fn json(&mut self, path: &str, value: &impl serde::Serialize) -> Result<(), ChartError> {
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(std::io::Error::from)
            .map_err(ChartError::file("writing", self.root.join(path)))?;
        bytes.push(b'\n');
        self.bytes(path, &bytes)
    }

    fn text(&mut self, path: &str, text: &str) -> Result<(), ChartError> {
        self.bytes(path, text.as_bytes())
    }

    fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), ChartError> {
        use sha2::Digest as _;
        let place = self.root.join(path);
        disk::folder(disk::parent(&place))?;
        disk::whole(&place, bytes)?;
        self.files.push(FileRecord {
            path: path.to_owned(),
            size: bytes.len() as u64,
            sha256: names::hex(&sha2::Sha256::digest(bytes)),
        });
        Ok(())
    }
}
