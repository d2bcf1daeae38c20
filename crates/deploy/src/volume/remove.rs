//! Volumes taken out of workloads. What they were made of stays.

use openshifter_objects::Object;
use serde_json::{Value, json};

use super::{
    CONTAINERS, Edited, MOUNTS, TEMPLATES, VolumeChange, bad, chosen, entries, mounted, pod,
    some_container,
};
use crate::{DeployError, Project, Target};

/// Which volumes are taken out of which containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveVolume {
    /// The volume; all of them when none is given.
    pub name: Option<String>,
    /// Out of which containers, where `*` stands for any characters; out of all when none is given. A volume goes when no
    /// container is left that mounts it.
    pub containers: Option<String>,
    /// Whether several volumes may go at once.
    pub confirm: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

impl Project {
    /// Takes volumes out of a workload's pods. Claims stay, with their data.
    ///
    /// # Errors
    /// When the workload, the volume or the container is not there, several would go that nobody confirmed, or the cluster
    /// refuses.
    pub async fn remove_volume(
        &self,
        target: &Target,
        options: &RemoveVolume,
    ) -> Result<VolumeChange, DeployError> {
        let target = target
            .clone()
            .one_of(TEMPLATES, "have a volume taken out of it")?;
        let mut object = self.get(&target).await?;
        if options.dry_run {
            let edited = removed(&mut object, &target, options)?;
            return Ok(edited.into_change(&object));
        }
        let edit = |object: &mut Object| removed(object, &target, options);
        self.edited(&target, object, edit).await
    }
}

/// Changes the object.
fn removed(
    object: &mut Object,
    target: &Target,
    options: &RemoveVolume,
) -> Result<Edited, DeployError> {
    let templates: Vec<String> = entries(&object.value()["spec"], "volumeClaimTemplates")
        .filter_map(|template| template["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect();
    let pod = pod(object, target)?;
    let pattern = options.containers.as_deref();
    if pattern.is_some() {
        some_container(pod, target, pattern)?;
    }
    let mut volumes = match pod.get("volumes") {
        Some(Value::Array(volumes)) => volumes.clone(),
        _ => Vec::new(),
    };
    let names: Vec<String> = match &options.name {
        Some(name) if templates.contains(name) => {
            return Err(bad(
                target,
                format!("has `{name}` by its volumeClaimTemplates, which cannot be changed"),
            ));
        }
        Some(name) if volumes.iter().any(|volume| volume["name"] == **name) => vec![name.clone()],
        Some(name) => return Err(bad(target, format!("has no volume `{name}`"))),
        None if !options.confirm => {
            return Err(bad(
                target,
                "would lose all its volumes: name one, or confirm it",
            ));
        }
        None => volumes
            .iter()
            .filter_map(|volume| volume["name"].as_str())
            .map(str::to_owned)
            .collect(),
    };
    let is_meant = |name: &Value| names.iter().any(|one| *name == **one);
    let mut was_there = Vec::new();
    let mut still_there = Vec::new();
    for list in CONTAINERS {
        let Some(Value::Array(containers)) = pod.get_mut(list) else {
            continue;
        };
        for container in containers {
            if chosen(pattern, container) {
                was_there.extend(mounted(container).map(str::to_owned));
                for list in MOUNTS {
                    if let Some(Value::Array(mounts)) = container.get_mut(list) {
                        mounts.retain(|mount| !is_meant(&mount["name"]));
                    }
                }
            }
            still_there.extend(mounted(container).map(str::to_owned));
        }
    }
    let here = |list: &[String], name: &str| list.iter().any(|one| one == name);
    let mut edited = Edited::default();
    for name in names {
        // Taken out of some containers, it stays for the others; and one that those never mounted is none of theirs.
        let goes = pattern.is_none() || here(&was_there, &name) && !here(&still_there, &name);
        if pattern.is_some() && !here(&was_there, &name) {
            if options.name.is_some() {
                let pattern = pattern.unwrap_or_default();
                let reason = format!("does not mount `{name}` in `{pattern}`");
                return Err(bad(target, reason));
            }
            continue;
        }
        if goes {
            let at = volumes.iter().position(|volume| volume["name"] == *name);
            let volume = at.map(|at| volumes.remove(at)).unwrap_or_default();
            if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                let note = format!("the claim {claim} stays with its data");
                edited.notes.push(note);
            }
        } else {
            let note = format!("the volume {name} stays: other containers mount it");
            edited.notes.push(note);
        }
        edited.names.push(name);
    }
    if pod.contains_key("volumes") {
        pod.insert("volumes".to_owned(), json!(volumes));
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TargetKind;
    use crate::volume::tests::workload;

    fn deployment() -> (Target, Object) {
        workload(
            TargetKind::Deployment,
            json!({
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "notes"}},
                    {"name": "tmp", "emptyDir": {}},
                ],
                "containers": [
                    {"name": "web", "volumeMounts": [
                        {"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}]},
                    {"name": "side", "volumeDevices": [{"name": "data", "devicePath": "/dev/x"}]},
                ],
                "initContainers": [{"name": "migrate", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            }),
        )
    }

    fn all(name: Option<&str>, containers: Option<&str>, confirm: bool) -> RemoveVolume {
        RemoveVolume {
            name: name.map(str::to_owned),
            containers: containers.map(str::to_owned),
            confirm,
            dry_run: false,
        }
    }

    /// What is left, in short, and what was said.
    fn left(options: &RemoveVolume) -> String {
        let (target, mut object) = deployment();
        let edited = match removed(&mut object, &target, options) {
            Ok(edited) => edited,
            Err(error) => return error.to_string(),
        };
        let spec = object.pod_spec().unwrap();
        let volumes: Vec<&str> = entries(spec, "volumes")
            .filter_map(|volume| volume["name"].as_str())
            .collect();
        let containers: Vec<String> = CONTAINERS
            .iter()
            .flat_map(|list| entries(spec, list))
            .map(|one| {
                let mounts: Vec<&str> = mounted(one).collect();
                format!("{} [{}]", one["name"].as_str().unwrap(), mounts.join(" "))
            })
            .collect();
        format!(
            "[{}] {}; {}",
            volumes.join(" "),
            containers.join(" "),
            edited.notes.join("; ")
        )
    }

    #[test]
    fn what_nobody_mounts_any_more_goes() {
        insta::assert_snapshot!([
            left(&all(Some("data"), None, false)),
            left(&all(Some("data"), Some("web"), false)),
            left(&all(Some("data"), Some("*"), false)),
            left(&all(Some("tmp"), Some("w*"), false)),
            left(&all(Some("tmp"), Some("side"), false)),
            left(&all(Some("none"), None, false)),
            left(&all(Some("data"), Some("none"), false)),
            left(&all(None, None, false)),
            left(&all(None, None, true)),
            left(&all(None, Some("web"), true)),
        ].join("\n"), @r"
        [tmp] web [tmp] side [] migrate []; the claim notes stays with its data
        [data tmp] web [tmp] side [data] migrate [data]; the volume data stays: other containers mount it
        [tmp] web [tmp] side [] migrate []; the claim notes stays with its data
        [data] web [data] side [data] migrate [data]; 
        `Deployment/web` does not mount `tmp` in `side`
        `Deployment/web` has no volume `none`
        `Deployment/web` has no container `none`: it has web, side, migrate
        `Deployment/web` would lose all its volumes: name one, or confirm it
        [] web [] side [] migrate []; the claim notes stays with its data
        [data] web [] side [data] migrate [data]; the volume data stays: other containers mount it
        ");
    }

    #[test]
    fn a_claim_of_a_template_stays() {
        let (target, mut object) = workload(
            TargetKind::StatefulSet,
            json!({"containers": [{"name": "db", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]}),
        );
        object.value_mut()["spec"]["volumeClaimTemplates"] =
            json!([{"metadata": {"name": "data"}}]);
        let before = object.clone();
        let refused = removed(&mut object, &target, &all(Some("data"), None, false)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`StatefulSet/web` has `data` by its volumeClaimTemplates, which cannot be changed"
        );
        removed(&mut object, &target, &all(None, None, true)).unwrap();
        assert_eq!(object, before);
    }
}
