//! A chart that is there.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use openshifter_objects::{Knob, Object};
use openshifter_volumes::{Allow, Progress, StoredVolume};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    ChartError, LegacyVolume, Manifest, UnpackLimits, VerifyReport,
    builder::volume_folder,
    disk,
    legacy::Legacy,
    manifest::{FORMAT, IMAGES, KNOBS, PATH, VALUES},
    unpack::{is_safe, unpack},
    verify,
};

/// No ledger, no list of knobs and no file of values is longer.
const MAX_LEDGER: u64 = 512 << 20;
/// No object is longer: servers take at most a few MiB.
pub(crate) const MAX_OBJECT: u64 = 64 << 20;

/// A chart in a folder. Opening reads the ledger alone: [`Chart::verify`] before anything of it is used.
///
/// The methods read files and block.
#[derive(Debug, Clone)]
pub struct Chart {
    dir: PathBuf,
    manifest: Manifest,
    legacy: Option<Arc<Legacy>>,
    /// Where an archive was unpacked: goes with the last clone of the chart.
    spool: Option<Arc<TempDir>>,
}

impl Chart {
    /// Opens the chart in a folder, this program's or the 2019 prototype's.
    ///
    /// # Errors
    /// When there is none, or one of an unknown format.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ChartError> {
        let dir = dir.into();
        let ledger = dir.join(PATH);
        if !ledger.is_file() {
            let legacy = Legacy::open(&dir)?.ok_or_else(|| {
                ChartError::not_a_chart(
                    &dir,
                    format!("it has no `{PATH}`, nor what a chart of 2019 has"),
                )
            })?;
            return Ok(Self {
                manifest: legacy.manifest(),
                dir,
                legacy: Some(Arc::new(legacy)),
                spool: None,
            });
        }
        let bytes = disk::read(&ledger, MAX_LEDGER)?;
        let damaged =
            |error: serde_json::Error| ChartError::damaged(PATH, format!("is no ledger ({error})"));
        let format: Format = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format.format != FORMAT {
            return Err(ChartError::Format {
                path: dir,
                found: format.format,
                known: FORMAT,
            });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(damaged)?;
        check_paths(&manifest)?;
        Ok(Self {
            dir,
            manifest,
            legacy: None,
            spool: None,
        })
    }

    /// Opens a chart from a folder or from a `.tgz`, which is unpacked into a new folder in `spool`. That
    /// folder is removed when the chart and its clones are dropped.
    ///
    /// # Errors
    /// When it is no chart, or its archive is hostile, torn or too large.
    pub fn open_any(path: &Path, spool: &Path) -> Result<Self, ChartError> {
        let kind = std::fs::metadata(path).map_err(ChartError::file("reading", path))?;
        if kind.is_dir() {
            return Self::open(path);
        }
        let mut file = File::open(path).map_err(ChartError::file("reading", path))?;
        let mut magic = Vec::new();
        file.by_ref()
            .take(2)
            .read_to_end(&mut magic)
            .map_err(ChartError::file("reading", path))?;
        if magic != [0x1f, 0x8b] {
            return Err(ChartError::not_a_chart(
                path,
                "it is neither a folder nor a gzip archive",
            ));
        }
        disk::folder(spool)?;
        let folder = disk::temporary()
            .prefix("chart-")
            .tempdir_in(spool)
            .map_err(ChartError::file("making a folder in", spool))?;
        let whole = std::io::Cursor::new(magic).chain(file);
        let opened = unpack(whole, folder.path(), &UnpackLimits::default()).and_then(Self::open);
        let mut chart = opened.map_err(|error| match error {
            // The name of the spool means nothing to whoever gave the file.
            ChartError::NotAChart { what, .. } => ChartError::not_a_chart(path, what),
            other => other,
        })?;
        chart.spool = Some(Arc::new(folder));
        Ok(chart)
    }

    /// The chart's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the images' layout; there where an image is included.
    pub fn images_dir(&self) -> PathBuf {
        self.dir.join(IMAGES)
    }

    /// The ledger. For a chart of the prototype it is made from what is there.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the 2019 prototype made the chart.
    pub fn legacy(&self) -> bool {
        self.legacy.is_some()
    }

    /// The volumes of a chart of the prototype; none for any other.
    pub fn legacy_volumes(&self) -> Vec<LegacyVolume> {
        self.legacy
            .as_ref()
            .map(|legacy| legacy.volumes(&self.dir))
            .unwrap_or_default()
    }

    /// [`Chart::verify_with`], allowing neither devices nor links out of the volumes.
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self) -> Result<VerifyReport, ChartError> {
        self.verify_with(Allow::default(), &Progress::none())
    }

    /// Reads the whole chart: every file is in the ledger with its size and SHA-256, nothing else is there,
    /// the objects are objects, the volumes hold what their lists say.
    ///
    /// # Errors
    /// The first thing that is wrong, named.
    pub fn verify_with(
        &self,
        allow: Allow,
        progress: &Progress,
    ) -> Result<VerifyReport, ChartError> {
        match &self.legacy {
            Some(legacy) => legacy.verify(&self.dir, allow),
            None => verify::verify(self, allow, progress),
        }
    }

    /// The objects as the source served them, in the order of the ledger.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn objects(&self) -> Result<Vec<Object>, ChartError> {
        if let Some(legacy) = &self.legacy {
            return Ok(legacy.objects().to_vec());
        }
        let paths = self
            .manifest
            .objects
            .iter()
            .filter_map(|record| record.raw.as_deref());
        paths.map(|path| self.object(path)).collect()
    }

    pub(crate) fn object(&self, path: &str) -> Result<Object, ChartError> {
        let bytes = disk::read(&self.dir.join(path), MAX_OBJECT)?;
        Object::parse(&bytes).map_err(|source| ChartError::Object {
            path: path.to_owned(),
            source,
        })
    }

    /// The places of the prepared objects that values set.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn knobs(&self) -> Result<Vec<Knob>, ChartError> {
        if self.legacy() {
            return Ok(Vec::new());
        }
        self.json(KNOBS)
    }

    /// The default values, as `values.yaml` has them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn default_values(&self) -> Result<Value, ChartError> {
        if self.legacy() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        self.json(VALUES)
    }

    /// The volumes by claim.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn volumes(&self) -> Result<Vec<(String, StoredVolume)>, ChartError> {
        let open = |claim: &str, folder: &str| {
            let stored =
                StoredVolume::open(self.dir.join(folder)).map_err(ChartError::volume(claim))?;
            Ok((claim.to_owned(), stored))
        };
        self.manifest
            .volumes
            .iter()
            .map(|volume| open(&volume.claim, &volume.folder))
            .collect()
    }

    fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ChartError> {
        let bytes = disk::read(&self.dir.join(path), MAX_LEDGER)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ChartError::damaged(path, format!("cannot be understood ({error})")))
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// A ledger names only places in its own chart, each once.
fn check_paths(manifest: &Manifest) -> Result<(), ChartError> {
    let mut files = BTreeSet::new();
    for file in &manifest.files {
        if !is_safe(&file.path) || file.path == PATH {
            return Err(ChartError::damaged(
                PATH,
                format!("names the impossible file `{}`", file.path),
            ));
        }
        if !files.insert(file.path.as_str()) {
            return Err(ChartError::damaged(
                PATH,
                format!("names `{}` twice", file.path),
            ));
        }
    }
    let mut keys = BTreeSet::new();
    for object in &manifest.objects {
        if !keys.insert(&object.key) {
            return Err(ChartError::damaged(
                PATH,
                format!("names {} twice", object.key),
            ));
        }
        for path in [&object.raw, &object.template].into_iter().flatten() {
            if !files.contains(path.as_str()) {
                return Err(ChartError::damaged(
                    PATH,
                    format!("does not have the file of {}", object.key),
                ));
            }
        }
    }
    let mut claims = BTreeSet::new();
    for volume in &manifest.volumes {
        if volume.folder != volume_folder(&volume.claim) || !claims.insert(&volume.claim) {
            return Err(ChartError::damaged(
                PATH,
                format!("has a wrong folder for the volume of `{}`", volume.claim),
            ));
        }
    }
    Ok(())
}
