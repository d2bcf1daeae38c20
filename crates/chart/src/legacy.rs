//! Charts of the 2019 prototype: one folder with `templates/descriptor.json`, a JSON List, and
//! `volumes/<name>.tgz`, which hold files under `_state/<cluster>/<project>/<mount path>/`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Write},
    path::{Path, PathBuf},
};

use openshifter_objects::{Object, ObjectKey};
use openshifter_volumes::{
    Allow, FileEntry, FileKind, RecordOptions, StoredVolume,
    archive::{Chunk, Member, Reader, Writer},
    record,
};
use serde_json::Value;
use tokio_util::io::SyncIoBridge;

use crate::{
    ChartError, ChartMeta, Manifest, ObjectRecord, Totals, UnpackLimits, VerifyReport,
    VolumeRecord, disk,
    unpack::{broken, gunzip},
};

const DESCRIPTOR: &str = "templates/descriptor.json";
/// No descriptor is longer.
const MAX_DESCRIPTOR: u64 = 512 << 20;

/// What a chart of the prototype holds.
#[derive(Debug)]
pub(crate) struct Legacy {
    name: String,
    created: jiff::Timestamp,
    objects: Vec<Object>,
    archives: Vec<String>,
    mounts: BTreeMap<String, Vec<Mount>>,
}

/// Where a claim was mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    path: String,
    sub_path: String,
    /// Other mounts below this one, whose files are not this claim's.
    nested: Vec<String>,
}

/// A claim of a chart of the prototype, whose files are somewhere in the chart's archives.
#[derive(Debug, Clone)]
pub struct LegacyVolume {
    /// The claim.
    pub claim: String,
    /// Where it was mounted, the first place if there were more.
    pub mount_path: String,
    /// Other claims that were mounted at the same place of their pods. The prototype kept one folder for all
    /// of them, so nobody knows whose files these are.
    pub shared_with: Vec<String>,
    mounts: Vec<Mount>,
    archives: Vec<PathBuf>,
}

impl Legacy {
    /// Reads the descriptor; `None` when there is none, so that this is no chart of the prototype.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>, ChartError> {
        let path = dir.join(DESCRIPTOR);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = disk::read(&path, MAX_DESCRIPTOR)?;
        let wrong = |what: String| ChartError::damaged(DESCRIPTOR, what);
        let mut list: Value = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("is not JSON ({error})")))?;
        let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else {
            return Err(wrong("is not a List of objects".into()));
        };
        let objects = items
            .into_iter()
            .map(Object::from_value)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| ChartError::Object {
                path: DESCRIPTOR.into(),
                source,
            })?;
        let archives: Vec<String> = disk::files(dir)?
            .into_iter()
            .filter(|path| path.starts_with("volumes/") && path.ends_with(".tgz"))
            .collect();
        let modified = std::fs::metadata(&path).and_then(|meta| meta.modified());
        let name = dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Some(Self {
            name: name.strip_suffix("-chart").unwrap_or(&name).to_owned(),
            created: modified
                .ok()
                .and_then(|time| jiff::Timestamp::try_from(time).ok())
                .unwrap_or_default(),
            mounts: mounts(&objects),
            objects,
            archives,
        }))
    }

    pub(crate) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// What a ledger would say.
    pub(crate) fn manifest(&self) -> Manifest {
        let mut objects: BTreeMap<ObjectKey, ObjectRecord> = BTreeMap::new();
        for object in &self.objects {
            objects.insert(
                object.key(),
                ObjectRecord {
                    key: object.key(),
                    api_version: object.api_version().to_owned(),
                    raw: None,
                    template: None,
                },
            );
        }
        Manifest {
            format: 0,
            chart: ChartMeta {
                source_namespace: self.name.clone(),
                created: self.created,
                tool_version: "2019".into(),
                ..ChartMeta::new(&self.name)
            },
            totals: Totals { objects: objects.len() as u64, ..Totals::default() },
            objects: objects.into_values().collect(),
            volumes: Vec::<VolumeRecord>::new(),
            images: Vec::new(),
            left_out: Vec::new(),
            unlisted: Vec::new(),
            skipped: Vec::new(),
            losses: vec!["the chart was made by the prototype of 2019, which has no digests and may be incomplete".into()],
            files: Vec::new(),
        }
    }

    pub(crate) fn volumes(&self, dir: &Path) -> Vec<LegacyVolume> {
        let archives: Vec<PathBuf> = self.archives.iter().map(|path| dir.join(path)).collect();
        let volume = |(claim, mounts): (&String, &Vec<Mount>)| {
            let places: Vec<&str> = mounts.iter().map(|mount| mount.path.as_str()).collect();
            let shares = |other: &&String| {
                *other != claim
                    && self.mounts[*other]
                        .iter()
                        .any(|mount| places.contains(&mount.path.as_str()))
            };
            LegacyVolume {
                claim: claim.clone(),
                mount_path: places
                    .first()
                    .map(|&place| place.to_owned())
                    .unwrap_or_default(),
                shared_with: self.mounts.keys().filter(shares).cloned().collect(),
                mounts: mounts.clone(),
                archives: archives.clone(),
            }
        };
        self.mounts.iter().map(volume).collect()
    }

    /// There are no digests; what can be said is that the archives are whole and hold nothing hostile.
    pub(crate) fn verify(&self, dir: &Path, allow: Allow) -> Result<VerifyReport, ChartError> {
        let mut report = VerifyReport {
            objects: self.objects.len() as u64,
            ..VerifyReport::default()
        };
        for path in disk::files(dir)? {
            report.files += 1;
            report.bytes += disk::digest(&dir.join(path))?.0;
        }
        for path in &self.archives {
            for_each(&dir.join(path), allow, |member, _, _| {
                if member.kind == FileKind::File {
                    report.volume_files += 1;
                    report.volume_bytes += member.size;
                }
                Ok(())
            })?;
        }
        report.volumes = self.mounts.len() as u64;
        Ok(report)
    }
}

impl LegacyVolume {
    /// Whether the chart has anything of this volume. Blocks.
    ///
    /// # Errors
    /// When an archive is torn or hostile.
    pub fn has_data(&self) -> Result<bool, ChartError> {
        // What is in the archives was let in, or not, when the chart was opened.
        const ANY: Allow = Allow {
            devices: true,
            escaping_links: true,
        };
        let mut found = false;
        for archive in &self.archives {
            for_each(archive, ANY, |_, path, _| {
                found |= self
                    .mounts
                    .iter()
                    .any(|mount| mount.place(path).is_some_and(|place| !place.is_empty()));
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Makes a volume of today's form in the folder `into`, which is made.
    ///
    /// Owners, holes and hard links are as the prototype left them: its archives do not have them. Links out of the
    /// volume are kept whatever `allow` says: [`StoredVolume::verify_with`] of the result tells of them.
    ///
    /// # Errors
    /// When an archive is torn or hostile, or the disk is full.
    pub async fn convert(&self, into: &Path, allow: Allow) -> Result<StoredVolume, ChartError> {
        let (writer, reader) = tokio::io::duplex(1 << 20);
        let volume = self.clone();
        let runtime = tokio::runtime::Handle::current();
        let sender = tokio::task::spawn_blocking(move || {
            volume.write(SyncIoBridge::new_with_handle(writer, runtime), allow)
        });
        let recorded = record(reader, into, &RecordOptions::default()).await;
        // The sender knows better why a stream ended early.
        match (sender.await.map_err(|_| ChartError::Worker)?, recorded) {
            (Err(error @ ChartError::Send { .. }), Ok(_)) => Err(error),
            (Ok(()) | Err(ChartError::Send { .. }), Err(error)) => {
                Err(ChartError::volume(&self.claim)(error))
            }
            (Err(error), _) => Err(error),
            (Ok(()), Ok(_)) => StoredVolume::open(into).map_err(ChartError::volume(&self.claim)),
        }
    }

    /// Writes the claim's files as one archive, each once: the first of two archives wins.
    fn write(&self, output: impl Write, allow: Allow) -> Result<(), ChartError> {
        let failed = |source| ChartError::Send { at: 0, source };
        let mut archive = Writer::new(output);
        let mut written: BTreeMap<Vec<u8>, ()> = BTreeMap::new();
        for path in &self.archives {
            for_each(path, allow, |member, path, reader| {
                let Some((mount, place)) = self
                    .mounts
                    .iter()
                    .find_map(|mount| Some((mount, mount.place(path)?)))
                else {
                    return Ok(());
                };
                if place.is_empty()
                    && mount.sub_path.is_empty()
                    && member.kind != FileKind::Directory
                {
                    return Ok(());
                }
                if written.insert(place.clone(), ()).is_some() {
                    return Ok(());
                }
                let kind = match &member.kind {
                    FileKind::HardLink { target } => {
                        let target = inside(target)
                            .and_then(|target| mount.place(&target))
                            .ok_or_else(|| ChartError::Refused {
                                path: String::from_utf8_lossy(&member.path).into_owned(),
                                why: "is a hard link out of its volume".into(),
                            })?;
                        FileKind::HardLink { target }
                    }
                    kind => kind.clone(),
                };
                let entry = FileEntry {
                    path: place,
                    kind,
                    size: member.size,
                    mode: member.mode,
                    uid: member.uid,
                    gid: member.gid,
                    mtime: member.mtime,
                    mtime_nanos: 0,
                    xattrs: BTreeMap::new(),
                    sha256: None,
                };
                archive.member(&entry).map_err(failed)?;
                while let Some(chunk) = reader.chunk().map_err(broken)? {
                    match chunk {
                        Chunk::Data(bytes) => archive.data(bytes),
                        Chunk::Zeros(count) => archive.zeros(count),
                    }
                    .map_err(failed)?;
                }
                Ok(())
            })?;
        }
        archive.finish().map_err(failed)?;
        Ok(())
    }
}

impl Mount {
    /// The place in the claim of a path in the container; `None` for what is not the claim's.
    fn place(&self, path: &[u8]) -> Option<Vec<u8>> {
        let rest = below(path, &self.path)?;
        if self
            .nested
            .iter()
            .any(|nested| below(path, nested).is_some())
        {
            return None;
        }
        let mut place = self.sub_path.trim_matches('/').as_bytes().to_vec();
        if !place.is_empty() && !rest.is_empty() {
            place.push(b'/');
        }
        place.extend_from_slice(rest);
        Some(place)
    }
}

/// What `path` (without a leading `/`) is below `folder`; empty for the folder itself.
fn below<'a>(path: &'a [u8], folder: &str) -> Option<&'a [u8]> {
    let folder = folder.trim_matches('/').as_bytes();
    if folder.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(folder)? {
        b"" => Some(b""),
        rest => rest.strip_prefix(b"/"),
    }
}

/// The path in the container of a member `_state/<cluster>/<project>/<path>`.
fn inside(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts = path
        .split(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."));
    if parts.next()? != b"_state" {
        return None;
    }
    parts.next()?;
    parts.next()?;
    Some(parts.collect::<Vec<_>>().join(&b'/'))
}

type Gz = BufReader<Box<dyn std::io::Read>>;

/// Calls `each` with every member of an archive of the prototype, and its path in the container.
fn for_each(
    archive: &Path,
    allow: Allow,
    mut each: impl FnMut(&Member, &[u8], &mut Reader<Gz>) -> Result<(), ChartError>,
) -> Result<(), ChartError> {
    let file = File::open(archive).map_err(ChartError::file("reading", archive))?;
    let plain: Box<dyn std::io::Read> = Box::new(gunzip(file, UnpackLimits::default().max_ratio));
    let mut reader = Reader::new(BufReader::with_capacity(256 << 10, plain));
    while let Some(member) = reader.member().map_err(broken)? {
        let path = member.safe_path().map_err(broken)?;
        let device = matches!(
            member.kind,
            FileKind::CharDevice { .. } | FileKind::BlockDevice { .. }
        );
        if device && !allow.devices {
            return Err(ChartError::Device {
                path: String::from_utf8_lossy(&member.path).replace(char::is_control, "?"),
            });
        }
        if let Some(path) = inside(&path) {
            each(&member, &path, &mut reader)?;
        }
    }
    Ok(())
}

/// Where the claims of all objects are mounted.
fn mounts(objects: &[Object]) -> BTreeMap<String, Vec<Mount>> {
    let mut claims: BTreeMap<String, Vec<Mount>> = BTreeMap::new();
    for object in objects {
        let Some(spec) = object.pod_spec() else {
            continue;
        };
        let text = |value: &Value, field: &str| {
            value
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let list = |value: &Value, field: &str| {
            value
                .get(field)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };

        // The claims by the name that the pod has for the volume: of a StatefulSet's template, one for each pod.
        let mut volumes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for volume in list(spec, "volumes") {
            if let Some(claim) = volume
                .pointer("/persistentVolumeClaim/claimName")
                .and_then(Value::as_str)
            {
                volumes
                    .entry(text(&volume, "name"))
                    .or_default()
                    .push(claim.to_owned());
            }
        }
        let replicas = object
            .value()
            .pointer("/spec/replicas")
            .and_then(Value::as_u64)
            .unwrap_or(1)
            .min(1000);
        for template in object
            .value()
            .get("spec")
            .map(|spec| list(spec, "volumeClaimTemplates"))
            .unwrap_or_default()
        {
            let name = template
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let of_pods =
                (0..replicas).map(|ordinal| format!("{name}-{}-{ordinal}", object.name()));
            volumes.entry(name.to_owned()).or_default().extend(of_pods);
        }

        for container in list(spec, "initContainers")
            .iter()
            .chain(&list(spec, "containers"))
        {
            let mounts = list(container, "volumeMounts");
            let all: Vec<String> = mounts
                .iter()
                .map(|mount| text(mount, "mountPath"))
                .collect();
            for mount in &mounts {
                let path = text(mount, "mountPath");
                let is_nested = |other: &&String| {
                    below(other.trim_matches('/').as_bytes(), &path)
                        .is_some_and(|rest| !rest.is_empty())
                };
                let mount_of = Mount {
                    nested: all.iter().filter(is_nested).cloned().collect(),
                    sub_path: text(mount, "subPath"),
                    path,
                };
                for claim in volumes.get(&text(mount, "name")).into_iter().flatten() {
                    let known = claims.entry(claim.clone()).or_default();
                    if !known.contains(&mount_of) {
                        known.push(mount_of.clone());
                    }
                }
            }
        }
    }
    claims
}
