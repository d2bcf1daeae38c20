//! Where running pods mount a claim.

use openshifter_objects::Object;
use openshifter_volumes::commands::{Probe, Tar};
use serde_json::Value;

use crate::run::HELPER_LABEL;

/// Whether an archive made here holds the volume and nothing that is mounted inside of it: only GNU tar is told to
/// stay on one file system.
pub(super) fn sees_the_claim_alone(probe: &Probe) -> bool {
    probe.tar == Tar::Gnu || probe.nested_mounts.is_empty()
}

pub(super) fn is_running(pod: &Object) -> bool {
    pod.value()["status"]["phase"] == "Running"
        && pod.value()["metadata"].get("deletionTimestamp").is_none()
        && pod.label(HELPER_LABEL).is_none()
}

/// Containers of a running pod that see the whole of a claim, with the path: no sub-path, and no other
/// volume mounted within.
pub(super) fn mounts_whole(pod: &Object, claim: &str) -> Vec<(String, String)> {
    let spec = &pod.value()["spec"];
    let volumes: Vec<&str> = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|volume| volume["persistentVolumeClaim"]["claimName"] == claim)
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    let running = |name: &str| {
        pod.value()["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|status| status["name"] == name && status["state"]["running"].is_object())
    };
    let mut found = Vec::new();
    for container in spec["containers"].as_array().into_iter().flatten() {
        let Some(name) = container["name"].as_str().filter(|name| running(name)) else {
            continue;
        };
        let mounts: Vec<&Value> = container["volumeMounts"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        for mount in &mounts {
            let of_claim = mount["name"]
                .as_str()
                .is_some_and(|name| volumes.contains(&name));
            let part = ["subPath", "subPathExpr"]
                .iter()
                .any(|key| mount[*key].as_str().is_some_and(|path| !path.is_empty()));
            let Some(path) = mount["mountPath"].as_str().filter(|_| of_claim && !part) else {
                continue;
            };
            let inside = format!("{}/", path.trim_end_matches('/'));
            let covered = mounts.iter().any(|other| {
                other["mountPath"]
                    .as_str()
                    .is_some_and(|p| p.starts_with(&inside))
            });
            if !covered {
                found.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    found
}

/// The node on which a pod that mounts the claim runs.
pub(crate) fn node_of(claim: &str, pods: &[Object]) -> Option<String> {
    pods.iter()
        .filter(|pod| is_running(pod) && pod.claim_names().contains(&claim))
        .find_map(|pod| pod.value()["spec"]["nodeName"].as_str())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(mounts: Value) -> Object {
        Object::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0"},
            "spec": {
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                "containers": [{"name": "db", "image": "db:1", "volumeMounts": mounts}],
            },
            "status": {"phase": "Running", "containerStatuses": [{"name": "db", "state": {"running": {}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_sub_path_is_not_the_whole_volume() {
        let whole = pod(json!([{"name": "data", "mountPath": "/data"}]));
        assert_eq!(
            mounts_whole(&whole, "data"),
            [("db".to_owned(), "/data".to_owned())]
        );
        let part = pod(json!([{"name": "data", "mountPath": "/data", "subPath": "x"}]));
        assert!(mounts_whole(&part, "data").is_empty());
    }

    #[test]
    fn a_volume_with_another_mounted_in_it_is_not_read_there() {
        let nested = pod(json!([
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/data/conf"},
        ]));
        assert!(mounts_whole(&nested, "data").is_empty());
    }

    #[test]
    fn a_small_tar_is_not_used_where_something_is_mounted_inside() {
        let probe = |tar, nested: &[&str]| Probe {
            tar,
            nested_mounts: nested.iter().map(|&path| path.to_owned()).collect(),
            ..Probe::default()
        };
        assert!(sees_the_claim_alone(&probe(Tar::BusyBox, &[])));
        assert!(!sees_the_claim_alone(&probe(Tar::BusyBox, &["/data/conf"])));
        assert!(sees_the_claim_alone(&probe(Tar::Gnu, &["/data/conf"])));
    }
}
