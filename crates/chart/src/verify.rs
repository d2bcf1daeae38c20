//! Compares a chart with its ledger.

use std::collections::BTreeMap;

use openshifter_volumes::{Allow, Progress};

use crate::{
    Chart, ChartError, FileRecord, disk,
    manifest::{IMAGES, PATH},
};

/// What a verification has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files of the chart, the ledger included.
    pub files: u64,
    /// Bytes of these, the ledger not counted.
    pub bytes: u64,
    /// Objects as the source served them.
    pub objects: u64,
    /// Volumes.
    pub volumes: u64,
    /// Files in the volumes.
    pub volume_files: u64,
    /// Bytes of these.
    pub volume_bytes: u64,
}

pub(crate) fn verify(
    chart: &Chart,
    allow: Allow,
    progress: &Progress,
) -> Result<VerifyReport, ChartError> {
    let manifest = chart.manifest();
    let mut ledger: BTreeMap<&str, &FileRecord> = manifest
        .files
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let mut report = VerifyReport::default();

    let volumes = chart.volumes()?;
    let mut by_volume: BTreeMap<String, (u64, &str)> = BTreeMap::new();
    for (record, (_, stored)) in manifest.volumes.iter().zip(&volumes) {
        let meta = stored.meta();
        if (record.files, record.bytes, record.tree.as_str())
            != (meta.files, meta.bytes, meta.tree.as_str())
        {
            return Err(ChartError::damaged(
                PATH,
                format!("and the volume of `{}` do not agree", record.claim),
            ));
        }
        for segment in &meta.segments {
            let path = format!("{}/segments/{}", record.folder, segment.name);
            by_volume.insert(path, (segment.file.size, segment.file.sha256.as_str()));
        }
    }

    let blobs = format!("{IMAGES}/blobs/sha256/");
    for path in disk::files(chart.dir())? {
        report.files += 1;
        if path == PATH {
            continue;
        }
        let Some(record) = ledger.remove(path.as_str()) else {
            return Err(ChartError::damaged(path, "is not in the ledger"));
        };
        // A segment is read once, by its volume, which compares it with the digest that it has itself.
        let (size, sha256) = match by_volume.remove(&path) {
            Some((size, sha256)) => (size, sha256.to_owned()),
            None => disk::digest(&chart.dir().join(&path))?,
        };
        if size != record.size {
            return Err(ChartError::damaged(
                path,
                format!("has {size} bytes and not {}", record.size),
            ));
        }
        if sha256 != record.sha256 {
            return Err(ChartError::damaged(
                path,
                format!("has the SHA-256 {sha256} and not {}", record.sha256),
            ));
        }
        // A blob of an image is named by its digest: who changes both it and the ledger is found here.
        if let Some(name) = path.strip_prefix(&blobs)
            && name != sha256
        {
            return Err(ChartError::damaged(
                path.clone(),
                format!("has the SHA-256 {sha256}, which is not its name"),
            ));
        }
        report.bytes += size;
    }
    if let Some(path) = ledger.into_keys().next() {
        return Err(ChartError::damaged(path, "is missing"));
    }

    for record in &manifest.objects {
        if let Some(path) = &record.raw {
            if chart.object(path)?.key() != record.key {
                return Err(ChartError::damaged(
                    path.clone(),
                    format!("is not {}", record.key),
                ));
            }
            report.objects += 1;
        }
    }
    chart.knobs()?;
    chart.default_values()?;

    for (claim, stored) in &volumes {
        stored
            .verify_with(allow, progress)
            .map_err(ChartError::volume(claim))?;
        report.volumes += 1;
        report.volume_files += stored.meta().files;
        report.volume_bytes += stored.meta().bytes;
    }
    let totals = manifest.totals;
    if (
        totals.objects,
        totals.volumes,
        totals.volume_files,
        totals.volume_bytes,
        totals.files,
        totals.bytes,
    ) != (
        report.objects,
        report.volumes,
        report.volume_files,
        report.volume_bytes,
        report.files - 1,
        report.bytes,
    ) {
        return Err(ChartError::damaged(PATH, "has wrong totals"));
    }
    Ok(report)
}
