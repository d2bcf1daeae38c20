//! What volumes a workload has, and who mounts them where.

use openshifter_objects::Object;
use serde::Serialize;
use serde_json::Value;

use super::{CONTAINERS, chosen, entries};
use crate::{DeployError, Project, Target};

/// A volume of a workload's pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeRow {
    /// Its name in the pod.
    pub name: String,
    /// What it is, as in `claim notes`.
    pub source: String,
    /// Where it is mounted.
    pub mounts: Vec<VolumeMount>,
}

/// A place where a container has a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// The container.
    pub container: String,
    /// The path in it.
    pub path: String,
    /// The part of the volume that is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// Whether it is mounted to be read only.
    pub read_only: bool,
}

impl Project {
    /// The volumes of a workload or pod, with all their mounts or those of some containers; of one name alone, if one is given.
    ///
    /// # Errors
    /// When it is not there, or has no pods.
    pub async fn volumes(
        &self,
        target: &Target,
        name: Option<&str>,
        containers: Option<&str>,
    ) -> Result<Vec<VolumeRow>, DeployError> {
        let object = self.get(target).await?;
        let mut rows =
            rows(&object, containers).ok_or_else(|| super::bad(target, "has no pods"))?;
        rows.retain(|row| name.is_none_or(|name| row.name == name));
        Ok(rows)
    }
}

fn rows(object: &Object, pattern: Option<&str>) -> Option<Vec<VolumeRow>> {
    let spec = object.pod_spec()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<VolumeRow> = entries(spec, "volumes")
        .map(|volume| (text(&volume["name"]), source(volume)))
        .chain(
            entries(&object.value()["spec"], "volumeClaimTemplates").map(|template| {
                let name = text(&template["metadata"]["name"]);
                (name, "a claim for each pod".to_owned())
            }),
        )
        .map(|(name, source)| VolumeRow {
            name,
            source,
            mounts: Vec::new(),
        })
        .collect();
    for container in CONTAINERS.iter().flat_map(|list| entries(spec, list)) {
        if !chosen(pattern, container) {
            continue;
        }
        for (list, path) in [
            ("volumeMounts", "mountPath"),
            ("volumeDevices", "devicePath"),
        ] {
            for mount in entries(container, list) {
                let row = rows.iter_mut().find(|row| mount["name"] == *row.name);
                let Some(row) = row else { continue };
                row.mounts.push(VolumeMount {
                    container: text(&container["name"]),
                    path: text(&mount[path]),
                    sub_path: mount["subPath"].as_str().map(str::to_owned),
                    read_only: mount["readOnly"] == true,
                });
            }
        }
    }
    if pattern.is_some() {
        rows.retain(|row| !row.mounts.is_empty());
    }
    Some(rows)
}

/// What a volume is, in words.
fn source(volume: &Value) -> String {
    let named = |kind: &str, key: &str| Some(volume[kind][key].as_str()?.to_owned());
    if let Some(claim) = named("persistentVolumeClaim", "claimName") {
        return format!("claim {claim}");
    }
    if let Some(secret) = named("secret", "secretName") {
        return format!("secret {secret}");
    }
    if let Some(map) = named("configMap", "name") {
        return format!("config map {map}");
    }
    if let Some(path) = named("hostPath", "path") {
        return format!("the node's {path}");
    }
    let kind = volume
        .as_object()
        .and_then(|volume| volume.keys().find(|key| *key != "name"));
    match kind.map(String::as_str) {
        Some("emptyDir") | None => "an empty folder".to_owned(),
        Some(kind) => kind.to_owned(),
    }
}

impl VolumeRow {
    /// The volume in words, a line for it and one for each of its mounts.
    pub fn text(&self) -> String {
        let mut text = format!("  {} as {}\n", self.source, self.name);
        for mount in &self.mounts {
            let part = mount.sub_path.as_deref();
            let part = part.map_or_else(String::new, |part| format!(", only {part} of it"));
            let read_only = if mount.read_only { ", read only" } else { "" };
            text.push_str(&format!(
                "    mounted at {} in {}{part}{read_only}\n",
                mount.path, mount.container
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TargetKind;
    use crate::volume::tests::workload;

    #[test]
    fn volumes_are_said_with_where_they_are() {
        let (_, mut object) = workload(
            TargetKind::StatefulSet,
            json!({
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "notes"}},
                    {"name": "keys", "secret": {"secretName": "tls"}},
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "far", "nfs": {"server": "x"}},
                ],
                "containers": [{"name": "web", "volumeMounts": [
                    {"name": "data", "mountPath": "/data", "subPath": "a"},
                    {"name": "keys", "mountPath": "/keys", "readOnly": true},
                    {"name": "own", "mountPath": "/own"}]}],
                "initContainers": [{"name": "migrate", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            }),
        );
        object.value_mut()["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "own"}}]);
        let shown = |pattern| -> String {
            let rows = rows(&object, pattern).unwrap();
            rows.iter().map(VolumeRow::text).collect()
        };
        insta::assert_snapshot!(shown(None), @r"
          claim notes as data
            mounted at /data in web, only a of it
            mounted at /data in migrate
          secret tls as keys
            mounted at /keys in web, read only
          an empty folder as tmp
          nfs as far
          a claim for each pod as own
            mounted at /own in web
        ");
        insta::assert_snapshot!(shown(Some("m*")), @r"
          claim notes as data
            mounted at /data in migrate
        ");
    }
}
