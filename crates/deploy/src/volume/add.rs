//! Volumes put into workloads, and mounts moved.

use openshifter_cluster::DryRun;
use openshifter_objects::{GroupKind, Object};
use serde_json::{Map, Value, json};

use super::{
    CONTAINERS, Edited, TEMPLATES, VolumeChange, bad, chosen, containers, entries, list, mounted,
    pod, some_container,
};
use crate::{DeployError, Project, Target};

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A claim; made, when it is not there and a size is given.
    Claim {
        /// Its name; made of the workload's and the volume's when none is given.
        name: Option<String>,
        /// What is asked for, as in `1Gi`.
        size: Option<String>,
        /// Access mode, as in `ReadWriteOnce`; that one when none is given.
        mode: Option<String>,
        /// Storage class; the cluster's default when none is given.
        class: Option<String>,
    },
    /// An empty folder that ends with the pod.
    EmptyDir,
    /// A Secret's keys as files.
    Secret {
        /// Its name.
        name: String,
        /// Permission bits of the files; the cluster's default when none are given.
        mode: Option<u32>,
    },
    /// A ConfigMap's keys as files.
    ConfigMap {
        /// Its name.
        name: String,
        /// Permission bits of the files; the cluster's default when none are given.
        mode: Option<u32>,
    },
    /// A folder of the node.
    HostPath(String),
    /// Anything else that a pod may have: an object of one field, as in `{"nfs": {…}}`.
    Given(Value),
}

/// A volume, and where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// The volume's name in the pod. Without one it is made up; when something is overwritten it is that of the volume that is
    /// mounted at the path.
    pub name: Option<String>,
    /// What it is. Without one a new volume is an empty folder, and one that is there stays what it is: only its mounts change.
    pub source: Option<VolumeSource>,
    /// Where it is mounted; nowhere when none is given.
    pub mount_path: Option<String>,
    /// The part of the volume that is mounted.
    pub sub_path: Option<String>,
    /// Which containers mount it, where `*` stands for any characters. Without it those that mount it already when only
    /// mounts change, else all but the init containers.
    pub containers: Option<String>,
    /// Whether it is mounted to be read only.
    pub read_only: bool,
    /// Whether a volume of that name is replaced.
    pub overwrite: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

impl Project {
    /// Puts a volume into a workload's pods, and makes its claim if need be; or moves what is there.
    ///
    /// # Errors
    /// When the workload, the claim (without a size), or the container is not there; when the volume or something at the
    /// path exists, or the cluster refuses.
    pub async fn add_volume(
        &self,
        target: &Target,
        options: &VolumeOptions,
    ) -> Result<VolumeChange, DeployError> {
        let target = target
            .clone()
            .one_of(TEMPLATES, "have a volume put into it")?;
        let object = self.get(&target).await?;
        // What is wrong with it is known before anything is made.
        let mut tried = object.clone();
        let mut change = added(&mut tried, &target, options)?.into_change(&tried);
        let mut notes = Vec::new();
        if let (
            Some(VolumeSource::Claim {
                name,
                size,
                mode,
                class,
            }),
            [volume],
        ) = (&options.source, change.names.as_slice())
        {
            let name = claim_name(&target, name.as_deref(), volume);
            let (size, mode, class) = (size.as_deref(), mode.as_deref(), class.as_deref());
            let made = self
                .ensure_claim(&name, size, mode, class, options.dry_run)
                .await?;
            if made {
                let would = if options.dry_run { "would be " } else { "" };
                notes.push(format!("PersistentVolumeClaim/{name} {would}created"));
            }
        }
        if !options.dry_run {
            let edit = |object: &mut Object| added(object, &target, options);
            change = self.edited(&target, object, edit).await?;
        }
        change.notes.splice(0..0, notes);
        Ok(change)
    }

    async fn ensure_claim(
        &self,
        name: &str,
        size: Option<&str>,
        mode: Option<&str>,
        class: Option<&str>,
        dry_run: bool,
    ) -> Result<bool, DeployError> {
        let kind = GroupKind::new("", "PersistentVolumeClaim");
        let found = self.cluster.get(&kind, Some(&self.namespace), name).await?;
        if found.is_some() {
            return Ok(false);
        }
        let Some(size) = size else {
            return Err(self.not_found(&format!(
                "PersistentVolumeClaim/{name} (give a size, and it is made)"
            )));
        };
        if dry_run {
            return Ok(true);
        }
        let mut spec = json!({
            "accessModes": [mode.unwrap_or("ReadWriteOnce")],
            "resources": {"requests": {"storage": size}},
        });
        if let Some(class) = class {
            spec["storageClassName"] = json!(class);
        }
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name}, "spec": spec,
        });
        let claim = Object::from_value(claim).map_err(|error| DeployError::BadTarget {
            text: name.to_owned(),
            reason: error.to_string(),
        })?;
        self.cluster
            .create(Some(&self.namespace), &claim, DryRun::No)
            .await?;
        Ok(true)
    }
}

fn claim_name(target: &Target, name: Option<&str>, volume: &str) -> String {
    name.map_or_else(|| format!("{}-{volume}", target.name), str::to_owned)
}

impl VolumeSource {
    /// The volume's field.
    fn field(&self, target: &Target, volume: &str) -> Value {
        let files = |kind: &str, key: &str, name: &str, mode: Option<u32>| {
            let mut field = json!({kind: {key: name}});
            if let Some(mode) = mode {
                field[kind]["defaultMode"] = json!(mode);
            }
            field
        };
        match self {
            Self::Claim { name, .. } => {
                let name = claim_name(target, name.as_deref(), volume);
                json!({"persistentVolumeClaim": {"claimName": name}})
            }
            Self::EmptyDir => json!({"emptyDir": {}}),
            Self::Secret { name, mode } => files("secret", "secretName", name, *mode),
            Self::ConfigMap { name, mode } => files("configMap", "name", name, *mode),
            Self::HostPath(path) => json!({"hostPath": {"path": path}}),
            Self::Given(field) => field.clone(),
        }
    }

    /// Whether one node alone may mount it.
    fn is_for_one_node(&self) -> bool {
        matches!(self, Self::Claim { mode, .. }
            if !matches!(mode.as_deref(), Some("ReadWriteMany" | "ReadOnlyMany")))
    }
}

/// Changes the object.
fn added(
    object: &mut Object,
    target: &Target,
    options: &VolumeOptions,
) -> Result<Edited, DeployError> {
    for path in [&options.mount_path].into_iter().flatten() {
        if !path.starts_with('/') {
            return Err(DeployError::BadTarget {
                text: path.clone(),
                reason: "is no absolute path".to_owned(),
            });
        }
    }
    let mut notes = Vec::new();
    let strategy = &object.value()["spec"]["strategy"]["type"];
    let rolls = matches!(strategy.as_str(), Some("Rolling" | "RollingUpdate"));
    let one_node = options
        .source
        .as_ref()
        .is_some_and(VolumeSource::is_for_one_node);
    if rolls && one_node {
        notes.push(format!(
            "{target} replaces its pods one by one: with a claim that one node alone may mount, new pods may wait for ever; set its strategy to Recreate"
        ));
    }
    let pod = pod(object, target)?;
    let name = name(pod, target, options)?;
    let Some(volumes) = list(pod, "volumes") else {
        return Err(bad(target, "has volumes that are no list"));
    };
    let there = volumes.iter().position(|one| one["name"] == *name);
    let moves = options.source.is_none() && options.overwrite;
    match (there, &options.source) {
        (Some(_), _) if !options.overwrite => {
            return Err(bad(
                target,
                format!("has a volume `{name}` already: choose another name, or overwrite it"),
            ));
        }
        // What holds data is never replaced by what nobody named.
        (Some(_), None) => {}
        (None, None) if moves => {
            return Err(bad(
                target,
                format!("has no volume `{name}` that could be mounted elsewhere: say what it is"),
            ));
        }
        (_, source) => {
            let source = source.as_ref().unwrap_or(&VolumeSource::EmptyDir);
            let mut volume = json!({"name": name});
            let field = source.field(target, &name);
            if let (Some(volume), Value::Object(field)) = (volume.as_object_mut(), field) {
                volume.extend(field);
            }
            let claim = |volume: &Value| {
                let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
                claim.map(str::to_owned)
            };
            match there.and_then(|at| volumes.get_mut(at)) {
                Some(there) => {
                    if let Some(left) =
                        claim(there).filter(|left| claim(&volume) != Some(left.clone()))
                    {
                        notes.push(format!("the claim {left} stays with its data"));
                    }
                    *there = volume;
                }
                None => volumes.push(volume),
            }
        }
    }
    if let Some(path) = &options.mount_path {
        mount(pod, target, options, (&name, path, moves))?;
    }
    Ok(Edited {
        names: vec![name],
        notes,
    })
}

/// The volume that is meant.
fn name(
    pod: &Map<String, Value>,
    target: &Target,
    options: &VolumeOptions,
) -> Result<String, DeployError> {
    if let Some(name) = &options.name {
        return Ok(name.clone());
    }
    let lists = |name: &str| {
        pod.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    if !options.overwrite {
        let taken = |name: &str| lists("volumes").any(|volume| volume["name"] == *name);
        let free = (1..)
            .map(|number| format!("volume-{number}"))
            .find(|name| !taken(name));
        return Ok(free.unwrap_or_default());
    }
    let Some(path) = &options.mount_path else {
        return Err(bad(
            target,
            "has volumes, and it is not said which one is overwritten: give its name or its mount path",
        ));
    };
    let mut names: Vec<&str> = CONTAINERS
        .iter()
        .flat_map(|list| lists(list))
        .filter(|container| chosen(options.containers.as_deref(), container))
        .flat_map(|container| entries(container, "volumeMounts"))
        .filter(|mount| is_at(mount, path))
        .filter_map(|mount| mount["name"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(bad(
            target,
            format!("mounts nothing at {path} that could be overwritten"),
        )),
        several => Err(bad(
            target,
            format!(
                "mounts several volumes at {path}: give the name of one, of {}",
                several.join(", ")
            ),
        )),
    }
}

fn is_at(mount: &Value, path: &str) -> bool {
    let there = mount["mountPath"].as_str().unwrap_or_default();
    there.trim_end_matches('/') == path.trim_end_matches('/')
}

/// Mounts a volume in the containers that are meant.
fn mount(
    pod: &mut Map<String, Value>,
    target: &Target,
    options: &VolumeOptions,
    (name, path, moves): (&str, &str, bool),
) -> Result<(), DeployError> {
    let pattern = options.containers.as_deref();
    some_container(pod, target, pattern)?;
    let has = |container: &Value| mounted(container).any(|one| one == name);
    let anywhere = containers(pod).any(has);
    for kind in CONTAINERS {
        let Some(Value::Array(containers)) = pod.get_mut(kind) else {
            continue;
        };
        for container in containers {
            let meant = match pattern {
                // Everything, as in `oc`, is what runs all the time.
                None | Some("*") if moves && anywhere => has(container),
                None | Some("*") => kind == "containers",
                Some(_) => chosen(pattern, container),
            };
            let Some(container) = container.as_object_mut().filter(|_| meant) else {
                continue;
            };
            let Some(mounts) = list(container, "volumeMounts") else {
                return Err(bad(target, "has mounts that are no list"));
            };
            let mut mount = json!({"name": name, "mountPath": path});
            if options.overwrite {
                let old: Vec<&Value> = mounts.iter().filter(|one| one["name"] == *name).collect();
                match old.as_slice() {
                    [old] if moves => {
                        mount = (*old).clone();
                        mount["mountPath"] = json!(path);
                    }
                    [] | [_] => {}
                    several if moves => {
                        let places: Vec<&str> = several
                            .iter()
                            .filter_map(|mount| mount["mountPath"].as_str())
                            .collect();
                        return Err(bad(
                            target,
                            format!(
                                "mounts `{name}` at {}: it is not said which of them moves",
                                places.join(" and ")
                            ),
                        ));
                    }
                    _ => {}
                }
                mounts.retain(|mount| mount["name"] != *name);
            }
            if let Some(there) = mounts.iter().find(|mount| is_at(mount, path)) {
                let there = there["name"].as_str().unwrap_or_default();
                return Err(bad(target, format!("mounts `{there}` at {path} already")));
            }
            if options.read_only {
                mount["readOnly"] = json!(true);
            }
            if let Some(part) = &options.sub_path {
                mount["subPath"] = json!(part);
            }
            mounts.push(mount);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TargetKind;
    use crate::volume::tests::workload;

    fn dc() -> (Target, Object) {
        let (target, mut object) = workload(
            TargetKind::DeploymentConfig,
            json!({
                "containers": [
                    {"name": "web"},
                    {"name": "side", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp/"}]},
                ],
                "initContainers": [{"name": "migrate"}],
            }),
        );
        object.value_mut()["spec"]["strategy"] = json!({"type": "Rolling"});
        (target, object)
    }

    fn data() -> VolumeOptions {
        VolumeOptions {
            name: Some("data".into()),
            source: Some(VolumeSource::Claim {
                name: None,
                size: Some("1Gi".into()),
                mode: None,
                class: None,
            }),
            mount_path: Some("/data".into()),
            ..VolumeOptions::default()
        }
    }

    /// What each container mounts, in short.
    fn mounts(object: &Object) -> String {
        let spec = object.pod_spec().unwrap();
        let containers = CONTAINERS.iter().flat_map(|list| entries(spec, list));
        let of = |container: &Value| {
            let mounts: Vec<String> = entries(container, "volumeMounts")
                .map(|mount| format!("{}@{}", mount["name"], mount["mountPath"]).replace('"', ""))
                .collect();
            format!(
                "{} {}",
                container["name"].as_str().unwrap(),
                mounts.join(" ")
            )
        };
        containers.map(of).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_claim_is_mounted_by_all_containers_and_what_it_means_is_said() {
        let (target, mut object) = dc();
        let edited = added(&mut object, &target, &data()).unwrap();
        assert!(edited.notes[0].contains("Recreate"));
        let spec = object.pod_spec().unwrap();
        assert_eq!(
            spec["volumes"],
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}])
        );
        assert_eq!(
            mounts(&object),
            "web data@/data; side tmp@/tmp/ data@/data; migrate "
        );
        let twice = added(&mut object, &target, &data())
            .unwrap_err()
            .to_string();
        assert_eq!(
            twice,
            "`DeploymentConfig/web` has a volume `data` already: choose another name, or overwrite it"
        );
        let again = VolumeOptions {
            overwrite: true,
            source: Some(VolumeSource::EmptyDir),
            mount_path: Some("/other".into()),
            ..data()
        };
        let edited = added(&mut object, &target, &again).unwrap();
        assert_eq!(edited.notes, ["the claim web-data stays with its data"]);
        let spec = object.pod_spec().unwrap();
        assert_eq!(spec["volumes"], json!([{"name": "data", "emptyDir": {}}]));
        assert_eq!(
            mounts(&object),
            "web data@/other; side tmp@/tmp/ data@/other; migrate "
        );
    }

    #[test]
    fn a_mount_that_moves_leaves_the_volume_what_it_is() {
        let (target, mut object) = dc();
        for container in ["web", "migr*"] {
            let one = VolumeOptions {
                containers: Some(container.into()),
                sub_path: Some("deep".into()),
                read_only: container != "web",
                overwrite: true,
                ..data()
            };
            added(&mut object, &target, &one).unwrap();
        }
        let move_it = VolumeOptions {
            source: None,
            mount_path: Some("/other".into()),
            overwrite: true,
            ..data()
        };
        let edited = added(&mut object, &target, &move_it).unwrap();
        assert_eq!(
            edited,
            Edited {
                names: vec!["data".into()],
                notes: vec![]
            }
        );
        let spec = object.pod_spec().unwrap();
        assert_eq!(
            spec["volumes"],
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}])
        );
        // Only who mounted it mounts it, in the same way.
        assert_eq!(
            mounts(&object),
            "web data@/other; side tmp@/tmp/; migrate data@/other"
        );
        assert_eq!(
            spec["initContainers"][0]["volumeMounts"][0],
            json!({"name": "data", "mountPath": "/other", "subPath": "deep", "readOnly": true})
        );

        // Without a name it is the one at the path.
        let by_path = VolumeOptions {
            name: None,
            source: Some(VolumeSource::Secret {
                name: "keys".into(),
                mode: Some(0o400),
            }),
            mount_path: Some("/tmp".into()),
            containers: Some("side".into()),
            overwrite: true,
            ..VolumeOptions::default()
        };
        let edited = added(&mut object, &target, &by_path).unwrap();
        assert_eq!(edited.names, ["tmp"]);
        let spec = object.pod_spec().unwrap();
        assert_eq!(
            spec["volumes"][1],
            json!({"name": "tmp", "secret": {"secretName": "keys", "defaultMode": 0o400}})
        );
    }

    #[test]
    fn a_new_volume_without_a_name_gets_one() {
        let (target, mut object) = dc();
        for name in ["volume-1", "volume-2"] {
            let options = VolumeOptions::default();
            assert_eq!(added(&mut object, &target, &options).unwrap().names, [name]);
        }
        let spec = object.pod_spec().unwrap();
        assert_eq!(
            spec["volumes"][1],
            json!({"name": "volume-2", "emptyDir": {}})
        );
        assert_eq!(mounts(&object), "web ; side tmp@/tmp/; migrate ");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |options: VolumeOptions| {
            let (target, mut object) = dc();
            added(&mut object, &target, &options)
                .unwrap_err()
                .to_string()
        };
        let overwrite = VolumeOptions {
            source: None,
            overwrite: true,
            ..data()
        };
        insta::assert_snapshot!([
            refused(VolumeOptions { mount_path: Some("data".into()), ..data() }),
            refused(VolumeOptions { mount_path: Some("/tmp".into()), ..data() }),
            refused(VolumeOptions { containers: Some("no".into()), ..data() }),
            refused(overwrite.clone()),
            refused(VolumeOptions { name: None, ..overwrite.clone() }),
            refused(VolumeOptions { name: None, mount_path: None, ..overwrite }),
        ].join("\n"), @r"
        `data` is no absolute path
        `DeploymentConfig/web` mounts `tmp` at /tmp already
        `DeploymentConfig/web` has no container `no`: it has web, side, migrate
        `DeploymentConfig/web` has no volume `data` that could be mounted elsewhere: say what it is
        `DeploymentConfig/web` mounts nothing at /data that could be overwritten
        `DeploymentConfig/web` has volumes, and it is not said which one is overwritten: give its name or its mount path
        ");
    }

    #[test]
    fn a_volume_that_is_mounted_twice_does_not_move() {
        let (target, mut object) = dc();
        let spec = object.pod_spec_mut().unwrap();
        spec["volumes"] = json!([{"name": "tmp", "emptyDir": {}}]);
        spec["containers"][0]["volumeMounts"] = json!([
            {"name": "tmp", "mountPath": "/a", "subPath": "a"},
            {"name": "tmp", "mountPath": "/b", "subPath": "b"},
        ]);
        let options = VolumeOptions {
            name: Some("tmp".into()),
            mount_path: Some("/c".into()),
            overwrite: true,
            ..VolumeOptions::default()
        };
        assert_eq!(
            added(&mut object, &target, &options)
                .unwrap_err()
                .to_string(),
            "`DeploymentConfig/web` mounts `tmp` at /a and /b: it is not said which of them moves"
        );
    }
}
