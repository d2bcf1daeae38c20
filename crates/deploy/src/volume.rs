//! Volumes put into workloads, as `oc set volume --add` does.

use openshifter_cluster::DryRun;
use openshifter_objects::{GroupKind, Object};
use serde_json::{Value, json};

use crate::{DeployError, Project, Target, TargetKind};

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
    Secret(String),
    /// A ConfigMap's keys as files.
    ConfigMap(String),
}

/// A volume, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeOptions {
    /// The volume's name in the pod.
    pub name: String,
    /// What it is.
    pub source: VolumeSource,
    /// Where it is mounted; nowhere when none is given.
    pub mount_path: Option<String>,
    /// Which containers mount it; all of them when none is given.
    pub container: Option<String>,
    /// Whether it is mounted to be read only.
    pub read_only: bool,
    /// Whether a volume of that name is replaced.
    pub overwrite: bool,
}

/// What was done, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    notes: Vec<String>,
}

/// Kinds that have pods of a template that may be changed.
const TEMPLATES: &[TargetKind] = &[
    TargetKind::Deployment,
    TargetKind::DeploymentConfig,
    TargetKind::StatefulSet,
    TargetKind::DaemonSet,
    TargetKind::ReplicationController,
];

impl Project {
    /// Puts a volume into a workload's pods, and makes its claim if need be. Gives what a person should know about it.
    ///
    /// # Errors
    /// When the workload, the claim (without a size), or the container is not there; when the volume or something at the
    /// path exists, or the cluster refuses.
    pub async fn add_volume(
        &self,
        target: &Target,
        options: &VolumeOptions,
    ) -> Result<Vec<String>, DeployError> {
        let target = target
            .clone()
            .one_of(TEMPLATES, "have a volume put into it")?;
        let object = self.get(&target).await?;
        // What is wrong with it is known before anything is made.
        let mut tried = object;
        let mut changed = added(&mut tried, &target, options)?;
        if let VolumeSource::Claim {
            size, mode, class, ..
        } = &options.source
        {
            let name = claim_name(&target, options);
            let made = self
                .ensure_claim(&name, size.as_deref(), mode.as_deref(), class.as_deref())
                .await?;
            if made {
                changed
                    .notes
                    .insert(0, format!("PersistentVolumeClaim/{name} created"));
            }
        }
        // Somebody may have changed it meanwhile: then it is done again to what is there.
        let mut attempts = 0;
        loop {
            match self.cluster.replace(Some(&self.namespace), &tried).await {
                Ok(_) => return Ok(changed.notes),
                Err(error) if error.is_conflict() && attempts < 5 => {
                    attempts += 1;
                    tried = self.get(&target).await?;
                    added(&mut tried, &target, options)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn ensure_claim(
        &self,
        name: &str,
        size: Option<&str>,
        mode: Option<&str>,
        class: Option<&str>,
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

fn claim_name(target: &Target, options: &VolumeOptions) -> String {
    match &options.source {
        VolumeSource::Claim {
            name: Some(name), ..
        } => name.clone(),
        _ => format!("{}-{}", target.name, options.name),
    }
}

/// Changes the object.
fn added(
    object: &mut Object,
    target: &Target,
    options: &VolumeOptions,
) -> Result<Changed, DeployError> {
    let bad = |reason: String| DeployError::BadTarget {
        text: target.to_string(),
        reason,
    };
    let source = match &options.source {
        VolumeSource::Claim { .. } => {
            json!({"persistentVolumeClaim": {"claimName": claim_name(target, options)}})
        }
        VolumeSource::EmptyDir => json!({"emptyDir": {}}),
        VolumeSource::Secret(name) => json!({"secret": {"secretName": name}}),
        VolumeSource::ConfigMap(name) => json!({"configMap": {"name": name}}),
    };
    let mut notes = Vec::new();
    let strategy = &object.value()["spec"]["strategy"]["type"];
    let rolls = matches!(strategy.as_str(), Some("Rolling" | "RollingUpdate"));
    if rolls
        && matches!(&options.source, VolumeSource::Claim { mode, .. }
            if !matches!(mode.as_deref(), Some("ReadWriteMany" | "ReadOnlyMany")))
    {
        notes.push(format!(
            "{target} replaces its pods one by one: with a claim that one node alone may mount, new pods may wait for ever; set its strategy to Recreate"
        ));
    }
    let Some(pod) = object.pod_spec_mut().and_then(Value::as_object_mut) else {
        return Err(bad("has no pods".to_owned()));
    };
    let mut volume = json!({"name": options.name});
    if let (Some(volume), Value::Object(source)) = (volume.as_object_mut(), source) {
        volume.extend(source);
    }
    let Some(volumes) = list(pod, "volumes") else {
        return Err(bad("has volumes that are no list".to_owned()));
    };
    match volumes.iter_mut().find(|one| one["name"] == *options.name) {
        Some(_) if !options.overwrite => {
            return Err(bad(format!(
                "has a volume `{}` already: choose another name, or overwrite it",
                options.name
            )));
        }
        Some(there) => *there = volume,
        None => volumes.push(volume),
    }
    let Some(path) = &options.mount_path else {
        return Ok(Changed { notes });
    };
    if !path.starts_with('/') {
        return Err(DeployError::BadTarget {
            text: path.clone(),
            reason: "is no absolute path".to_owned(),
        });
    }
    let mut mounted = false;
    for container in list(pod, "containers").into_iter().flatten() {
        if options
            .container
            .as_ref()
            .is_some_and(|name| container["name"] != **name)
        {
            continue;
        }
        mounted = true;
        let Some(container) = container.as_object_mut() else {
            continue;
        };
        let Some(mounts) = list(container, "volumeMounts") else {
            continue;
        };
        if options.overwrite {
            mounts.retain(|mount| mount["name"] != *options.name);
        }
        let same = |mount: &Value| {
            let there = mount["mountPath"].as_str().unwrap_or_default();
            there.trim_end_matches('/') == path.trim_end_matches('/')
        };
        if let Some(there) = mounts.iter().find(|mount| same(mount)) {
            return Err(bad(format!(
                "mounts `{}` at {path} already",
                there["name"].as_str().unwrap_or_default()
            )));
        }
        let mut mount = json!({"name": options.name, "mountPath": path});
        if options.read_only {
            mount["readOnly"] = json!(true);
        }
        mounts.push(mount);
    }
    if !mounted {
        let name = options.container.as_deref().unwrap_or_default();
        return Err(bad(format!("has no container `{name}`")));
    }
    Ok(Changed { notes })
}

/// A list of an object, made if need be.
fn list<'a>(
    object: &'a mut serde_json::Map<String, Value>,
    name: &str,
) -> Option<&'a mut Vec<Value>> {
    let value = object.entry(name).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dc() -> (Target, Object) {
        let object = json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig",
        "metadata": {"name": "web"}, "spec": {"strategy": {"type": "Rolling"}, "template": {"spec": {
            "containers": [{"name": "web"}, {"name": "side", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp/"}]}],
        }}}});
        (
            Target::new(TargetKind::DeploymentConfig, "web"),
            Object::from_value(object).unwrap(),
        )
    }

    fn data() -> VolumeOptions {
        VolumeOptions {
            name: "data".into(),
            source: VolumeSource::Claim {
                name: None,
                size: Some("1Gi".into()),
                mode: None,
                class: None,
            },
            mount_path: Some("/data".into()),
            container: None,
            read_only: false,
            overwrite: false,
        }
    }

    #[test]
    fn a_claim_is_mounted_by_all_containers_and_what_it_means_is_said() {
        let (target, mut object) = dc();
        let changed = added(&mut object, &target, &data()).unwrap();
        assert!(changed.notes[0].contains("Recreate"));
        let spec = object.pod_spec().unwrap();
        assert_eq!(
            spec["volumes"],
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}])
        );
        assert_eq!(
            spec["containers"][1]["volumeMounts"][1],
            json!({"name": "data", "mountPath": "/data"})
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
            source: VolumeSource::EmptyDir,
            mount_path: Some("/other".into()),
            ..data()
        };
        added(&mut object, &target, &again).unwrap();
        let spec = object.pod_spec().unwrap();
        assert_eq!(spec["volumes"], json!([{"name": "data", "emptyDir": {}}]));
        assert_eq!(
            spec["containers"][0]["volumeMounts"],
            json!([{"name": "data", "mountPath": "/other"}])
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |options: VolumeOptions| {
            let (target, mut object) = dc();
            added(&mut object, &target, &options)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!([
            refused(VolumeOptions { mount_path: Some("data".into()), ..data() }),
            refused(VolumeOptions { mount_path: Some("/tmp".into()), ..data() }),
            refused(VolumeOptions { container: Some("no".into()), ..data() }),
        ].join("\n"), @r"
        `data` is no absolute path
        `DeploymentConfig/web` mounts `tmp` at /tmp already
        `DeploymentConfig/web` has no container `no`
        ");
    }
}
