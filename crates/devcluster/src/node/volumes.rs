//! A pod's volumes as folders of the machine, and a container's mounts of them.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use openshifter_apiserver::Store;
use serde_json::Value;

use super::env::{Addresses, ConfigError};
use super::files::{files, write_files};
use crate::object::{self, list, resources, text};
use crate::sandbox::Mount;

/// A volume of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    /// Where it is on the machine.
    pub(crate) folder: PathBuf,
    /// Whether no container may write to it.
    pub(crate) read_only: bool,
}

/// Where things are on the machine, and whose they become.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Folder of this pod.
    pub(crate) pod: PathBuf,
    /// Folder of all persistent volumes.
    pub(crate) persistent: PathBuf,
    /// The group that owns the volumes, when the cluster runs as root.
    pub(crate) fs_group: Option<u32>,
    /// The user that owns them when there is no such group and the cluster runs as root.
    pub(crate) uid: Option<u32>,
}

/// Makes all volumes of a pod. Blocking.
pub(crate) fn prepare(
    store: &Store,
    pod: &Value,
    places: &Places,
    addresses: &Addresses,
) -> Result<HashMap<String, Volume>, ConfigError> {
    let mut volumes = HashMap::new();
    for volume in list(pod, "/spec/volumes") {
        let name = text(volume, "/name");
        let made = make(store, pod, volume, name, places, addresses).map_err(|e| {
            ConfigError(format!(
                "MountVolume.SetUp failed for volume {name:?} : {}",
                e.0
            ))
        })?;
        volumes.insert(name.to_owned(), made);
    }
    Ok(volumes)
}

fn make(
    store: &Store,
    pod: &Value,
    volume: &Value,
    name: &str,
    places: &Places,
    addresses: &Addresses,
) -> Result<Volume, ConfigError> {
    if !is_plain_name(name) {
        return Err(ConfigError(format!("{name:?} is not a volume name")));
    }
    let own = places.pod.join("volumes").join(name);
    let failed = |e: std::io::Error| ConfigError(e.to_string());
    if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
        let folder = persistent(store, object::namespace(pod), claim, places)?;
        own_volume(&folder, places, true).map_err(failed)?;
        return Ok(Volume {
            folder,
            read_only: volume["persistentVolumeClaim"]["readOnly"] == true,
        });
    }
    if !volume["emptyDir"].is_null() {
        fs_err::create_dir_all(&own).map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(0o777);
        fs_err::set_permissions(&own, mode).map_err(failed)?;
        own_volume(&own, places, false).map_err(failed)?;
        return Ok(Volume {
            folder: own,
            read_only: false,
        });
    }
    let files = files(store, pod, volume, addresses)?;
    write_files(&own, &files, places).map_err(failed)?;
    Ok(Volume {
        folder: own,
        read_only: true,
    })
}

/// The folder of a bound claim.
fn persistent(
    store: &Store,
    namespace: &str,
    claim: &str,
    places: &Places,
) -> Result<PathBuf, ConfigError> {
    let found = store
        .get(&resources::claims(), Some(namespace), claim)
        .ok_or_else(|| ConfigError(format!("persistentvolumeclaim {claim:?} not found")))?;
    let volume = text(&found, "/spec/volumeName");
    if text(&found, "/status/phase") != "Bound" || volume.is_empty() {
        return Err(ConfigError(format!(
            "persistentvolumeclaim {claim:?} is not bound"
        )));
    }
    let pv = store
        .get(&resources::volumes(), None, volume)
        .ok_or_else(|| ConfigError(format!("persistentvolume {volume:?} not found")))?;
    let folder = match text(&pv, "/spec/local/path") {
        "" if is_plain_name(volume) => places.persistent.join(volume),
        "" => {
            return Err(ConfigError(format!(
                "persistentvolume {volume:?} is not a local volume"
            )));
        }
        path => PathBuf::from(path),
    };
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(ConfigError(format!(
            "the folder of persistentvolume {volume:?} does not exist"
        )))
    }
}

/// Makes a volume the group's, as a kubelet does for `fsGroup`: group read and write everywhere,
/// and folders pass their group on. Only root can; otherwise everything is the user's own anyway.
fn own_volume(folder: &Path, places: &Places, persistent: bool) -> std::io::Result<()> {
    match (places.fs_group, places.uid) {
        (Some(group), _) => own_by_group(folder, group),
        (None, Some(uid)) if !persistent || is_empty(folder)? => {
            std::os::unix::fs::chown(folder, Some(uid), Some(0))
        }
        _ => Ok(()),
    }
}

fn own_by_group(path: &Path, group: u32) -> std::io::Result<()> {
    let metadata = fs_err::symlink_metadata(path)?;
    std::os::unix::fs::lchown(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // `chown` may have taken the bits for other users' identities away, so they are set again.
    let wanted = if metadata.is_dir() {
        mode | 0o2770
    } else {
        mode | 0o660
    };
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(wanted))?;
    if metadata.is_dir() {
        for entry in fs_err::read_dir(path)? {
            own_by_group(&entry?.path(), group)?;
        }
    }
    Ok(())
}

fn is_empty(folder: &Path) -> std::io::Result<bool> {
    Ok(fs_err::read_dir(folder)?.next().is_none())
}

/// A container's mounts.
pub(crate) fn mounts(
    container: &Value,
    volumes: &HashMap<String, Volume>,
) -> Result<Vec<Mount>, ConfigError> {
    list(container, "/volumeMounts")
        .iter()
        .map(|mount| {
            let name = text(mount, "/name");
            let volume = volumes.get(name).ok_or_else(|| {
                ConfigError(format!("volumeMount {name:?} names no volume of the pod"))
            })?;
            let target = PathBuf::from(text(mount, "/mountPath"));
            if !target.is_absolute() || target.components().any(|part| part == Component::ParentDir)
            {
                return Err(ConfigError(format!(
                    "mountPath {} is not an absolute path",
                    target.display()
                )));
            }
            let read_only = volume.read_only || mount["readOnly"] == true;
            if !text(mount, "/subPathExpr").is_empty() {
                return Err(ConfigError(
                    "the node does not implement subPathExpr".to_owned(),
                ));
            }
            let source = match text(mount, "/subPath") {
                "" => volume.folder.clone(),
                sub => sub_path(&volume.folder, sub, volume.read_only)?,
            };
            Ok(Mount {
                source,
                target,
                read_only,
            })
        })
        .collect()
}

/// The part of a volume that a mount takes, made if it is missing. No link leads out of the volume.
fn sub_path(volume: &Path, sub: &str, read_only: bool) -> Result<PathBuf, ConfigError> {
    let out = || ConfigError(format!("subPath {sub:?} leads out of the volume"));
    let path = volume.join(inside(sub).ok_or_else(out)?);
    if !path.exists() && !read_only {
        fs_err::create_dir_all(&path).map_err(|e| ConfigError(e.to_string()))?;
        // The volume's group, where it has one, is passed on by the folder's own mode.
        let mode = volume
            .metadata()
            .map_or(0o777, |m| m.permissions().mode() & 0o7777);
        let _ = fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    }
    let canonical = |path: &Path| {
        path.canonicalize()
            .map_err(|e| ConfigError(format!("subPath {sub:?}: {e}")))
    };
    let (real, root) = (canonical(&path)?, canonical(volume)?);
    real.starts_with(root).then_some(real).ok_or_else(out)
}

/// A relative path without `..`.
pub(super) fn inside(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        .then_some(path)
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use openshifter_apiserver::ResourceId;
    use serde_json::json;

    fn set_up() -> (tempfile::TempDir, Store, Places, Addresses) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory("test");
        store
            .create(
                &ResourceId::core("namespaces"),
                None,
                json!({"metadata": {"name": "shop"}}),
            )
            .unwrap();
        let places = Places {
            pod: folder.path().join("pod"),
            persistent: folder.path().join("pv"),
            fs_group: None,
            uid: None,
        };
        let addresses = Addresses {
            pod: "10.0.0.2".into(),
            host: "10.0.0.1".into(),
        };
        (folder, store, places, addresses)
    }

    #[test]
    fn config_maps_and_secrets_become_files() {
        let (_folder, store, places, addresses) = set_up();
        let map = json!({"metadata": {"name": "c"}, "data": {"a.conf": "A", "b.conf": "B"}});
        store
            .create(&resources::config_maps(), Some("shop"), map)
            .unwrap();
        let secret = json!({"metadata": {"name": "s"}, "data": {"key": "c2VjcmV0"}});
        store
            .create(&resources::secrets(), Some("shop"), secret)
            .unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"volumes": [
            {"name": "cfg", "configMap": {"name": "c", "items": [{"key": "a.conf", "path": "x/y.conf"}]}},
            {"name": "sec", "secret": {"secretName": "s", "defaultMode": 256}},
        ]}});
        let volumes = prepare(&store, &pod, &places, &addresses).unwrap();
        assert_eq!(
            std::fs::read_to_string(volumes["cfg"].folder.join("x/y.conf")).unwrap(),
            "A"
        );
        assert!(!volumes["cfg"].folder.join("b.conf").exists());
        let key = volumes["sec"].folder.join("key");
        assert_eq!(std::fs::read(&key).unwrap(), b"secret");
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        assert!(volumes["sec"].read_only);
    }

    #[test]
    fn what_the_node_does_not_mount_is_named() {
        let (_folder, store, places, addresses) = set_up();
        let pod = |volume: Value| json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"volumes": [volume]}});
        let refused = |volume| {
            prepare(&store, &pod(volume), &places, &addresses)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(
            refused(json!({"name": "h", "hostPath": {"path": "/etc"}})),
            @r#"MountVolume.SetUp failed for volume "h" : the node does not mount hostPath volumes"#
        );
        insta::assert_snapshot!(
            refused(json!({"name": "d", "persistentVolumeClaim": {"claimName": "none"}})),
            @r#"MountVolume.SetUp failed for volume "d" : persistentvolumeclaim "none" not found"#
        );
        let map = json!({"metadata": {"name": "c"}, "data": {"a": "A"}});
        store
            .create(&resources::config_maps(), Some("shop"), map)
            .unwrap();
        insta::assert_snapshot!(
            refused(json!({"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "../../out"}]}})),
            @r#"MountVolume.SetUp failed for volume "c" : "../../out" leads out of the volume"#
        );
    }

    #[test]
    fn a_sub_path_stays_in_its_volume() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("v");
        std::fs::create_dir(&volume).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("link")).unwrap();
        assert!(sub_path(&volume, "a/b", false).unwrap().is_dir());
        assert!(sub_path(&volume, "../x", false).is_err());
        assert!(sub_path(&volume, "link", false).is_err());
    }
}
