//! The files of volumes that the API server's objects fill: ConfigMaps, Secrets, the downward API.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openshifter_apiserver::Store;
use rand::RngExt;
use serde_json::Value;

use super::env::{Addresses, ConfigError, contents, field};
use super::volumes::{Places, inside};
use crate::object::{self, list, number, resources, text};

/// One file of a volume.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    path: String,
    bytes: Vec<u8>,
    mode: u32,
}

/// The files of a volume that the API server's objects fill.
pub(super) fn files(
    store: &Store,
    pod: &Value,
    volume: &Value,
    addresses: &Addresses,
) -> Result<Vec<File>, ConfigError> {
    let namespace = object::namespace(pod);
    for (kind, named) in [("configMap", "name"), ("secret", "secretName")] {
        let source = &volume[kind];
        if !source.is_null() {
            let mode = mode(source, "/defaultMode").unwrap_or(0o644);
            return keyed(
                store,
                namespace,
                kind,
                text(source, &format!("/{named}")),
                source,
                mode,
            );
        }
    }
    if !volume["downwardAPI"].is_null() {
        let source = &volume["downwardAPI"];
        return downward(
            pod,
            source,
            mode(source, "/defaultMode").unwrap_or(0o644),
            addresses,
        );
    }
    if !volume["projected"].is_null() {
        let default = mode(&volume["projected"], "/defaultMode").unwrap_or(0o644);
        let mut all = Vec::new();
        for source in list(volume, "/projected/sources") {
            if let Some(map) = source.get("configMap") {
                all.extend(keyed(
                    store,
                    namespace,
                    "configMap",
                    text(map, "/name"),
                    map,
                    default,
                )?);
            } else if let Some(secret) = source.get("secret") {
                all.extend(keyed(
                    store,
                    namespace,
                    "secret",
                    text(secret, "/name"),
                    secret,
                    default,
                )?);
            } else if let Some(api) = source.get("downwardAPI") {
                all.extend(downward(pod, api, default, addresses)?);
            } else if let Some(token) = source.get("serviceAccountToken") {
                // The sandbox has no way to the API server, so nothing can be asked with it.
                let bytes: [u8; 32] = rand::rng().random();
                let text = crate::images::hex(&bytes);
                let path = text_or(token, "/path", "token");
                all.push(File {
                    path,
                    bytes: text.into_bytes(),
                    mode: 0o600,
                });
            } else {
                return Err(ConfigError(
                    "the node does not implement this projected source".to_owned(),
                ));
            }
        }
        return Ok(all);
    }
    let kind = volume
        .as_object()
        .and_then(|map| map.keys().find(|key| *key != "name"))
        .map_or("nothing", String::as_str);
    Err(ConfigError(format!(
        "the node does not mount {kind} volumes"
    )))
}

fn text_or(value: &Value, pointer: &str, default: &str) -> String {
    match text(value, pointer) {
        "" => default.to_owned(),
        text => text.to_owned(),
    }
}

fn mode(value: &Value, pointer: &str) -> Option<u32> {
    number(value, pointer)
        .and_then(|mode| u32::try_from(mode).ok())
        .map(|mode| mode & 0o777)
}

/// Files of a ConfigMap or Secret, all of them or those that `items` name.
fn keyed(
    store: &Store,
    namespace: &str,
    kind: &str,
    name: &str,
    source: &Value,
    default: u32,
) -> Result<Vec<File>, ConfigError> {
    let (resource, word) = match kind {
        "secret" => (resources::secrets(), "secret"),
        _ => (resources::config_maps(), "configmap"),
    };
    let Some(mut contents) = contents(store, &resource, namespace, name) else {
        return match source["optional"] == true {
            true => Ok(Vec::new()),
            false => Err(ConfigError(format!("{word} {name:?} not found"))),
        };
    };
    let items = list(source, "/items");
    if items.is_empty() {
        let file = |(path, bytes)| File {
            path,
            bytes,
            mode: default,
        };
        return Ok(contents.into_iter().map(file).collect());
    }
    let mut files = Vec::new();
    for item in items {
        let key = text(item, "/key");
        match contents.remove(key) {
            Some(bytes) => files.push(File {
                path: text(item, "/path").to_owned(),
                bytes,
                mode: mode(item, "/mode").unwrap_or(default),
            }),
            None if source["optional"] == true => {}
            None => {
                return Err(ConfigError(format!(
                    "references non-existent {word} key: {key}"
                )));
            }
        }
    }
    Ok(files)
}

fn downward(
    pod: &Value,
    source: &Value,
    default: u32,
    addresses: &Addresses,
) -> Result<Vec<File>, ConfigError> {
    list(source, "/items")
        .iter()
        .map(|item| {
            let path = text(item, "/fieldRef/fieldPath");
            let value = field(pod, path, addresses).ok_or_else(|| {
                ConfigError(format!("the node cannot resolve the field {path:?}"))
            })?;
            Ok(File {
                path: text(item, "/path").to_owned(),
                bytes: value.into_bytes(),
                mode: mode(item, "/mode").unwrap_or(default),
            })
        })
        .collect()
}

pub(super) fn write_files(folder: &Path, files: &[File], places: &Places) -> std::io::Result<()> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    for file in files {
        let Some(inside) = inside(&file.path) else {
            return Err(std::io::Error::other(format!(
                "{:?} leads out of the volume",
                file.path
            )));
        };
        let path = folder.join(inside);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(&path, &file.bytes)?;
        let mut mode = file.mode;
        if let Some(group) = places.fs_group {
            std::os::unix::fs::chown(&path, None, Some(group))?;
            mode |= 0o440;
        } else if let Some(uid) = places.uid {
            std::os::unix::fs::chown(&path, Some(uid), None)?;
        }
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
