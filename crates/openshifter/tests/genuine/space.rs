//! A namespace of one test, gone when the test is over.

use std::process::Output;

use serde_json::{Value, json};

use crate::world::{Cluster, SUITE_LABEL, items, until, world};

/// Names the space that a volume made by hand belongs to.
const SPACE_LABEL: &str = "suite.openshifter.dev/space";

/// A namespace, with the volumes that its claims are bound to.
pub(crate) struct Space {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Space {
    /// Makes one.
    pub(crate) fn new(cluster: &'static Cluster, name: &str) -> Self {
        let space = Self::absent(cluster, name);
        cluster.create(
            None,
            &[json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": space.name, "labels": {SUITE_LABEL: world().run}},
            })],
        );
        // Pods without their account are refused.
        until("the default service account", || {
            space.get("serviceaccount", "default")
        });
        space
    }

    /// One that the program under test is to make.
    pub(crate) fn absent(cluster: &'static Cluster, name: &str) -> Self {
        Self {
            cluster,
            name: format!("{name}-{}", world().run),
        }
    }

    /// One at each cluster, of the same name; the target's is not made.
    pub(crate) fn pair(name: &str) -> (Self, Self) {
        let world = world();
        (
            Self::new(&world.source, name),
            Self::absent(&world.target, name),
        )
    }

    /// Sees to it that these claims, once they are made, are bound to fresh volumes. Dynamic storage does so by
    /// itself.
    pub(crate) fn volumes(&self, claims: &[&str]) {
        let Some(by_hand) = &self.cluster.by_hand else {
            return;
        };
        let volumes: Vec<Value> = claims
            .iter()
            .map(|claim| {
                let name = format!("{}-{claim}-{}", self.name, serial());
                json!({
                    "apiVersion": "v1", "kind": "PersistentVolume",
                    "metadata": {
                        "name": name,
                        "labels": {SUITE_LABEL: world().run, SPACE_LABEL: self.name},
                    },
                    "spec": {
                        "capacity": {"storage": "10Gi"},
                        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                        "storageClassName": by_hand.class,
                        "persistentVolumeReclaimPolicy": "Retain",
                        // Kept for this claim; its volume is not bound to anybody else's.
                        "claimRef": {"namespace": self.name, "name": claim},
                        "hostPath": {
                            "path": format!("{}/{name}", by_hand.folder),
                            "type": "DirectoryOrCreate",
                        },
                    },
                })
            })
            .collect();
        self.cluster.create(None, &volumes);
    }

    /// Runs `kubectl -n NAMESPACE`; fails when it does.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.run(&[&["-n", &self.name], args].concat())
    }

    /// Creates objects.
    pub(crate) fn create(&self, objects: &[Value]) {
        self.cluster.create(Some(&self.name), objects);
    }

    /// An object, when it is there.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let text = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"]);
        (!text.is_empty()).then(|| serde_json::from_str(&text).expect("kubectl prints JSON"))
    }

    /// An object that must be there.
    pub(crate) fn must(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name)
            .unwrap_or_else(|| panic!("there is no {kind} {name} in {}", self.name))
    }

    /// Names of the objects of a kind.
    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        let list = self.cluster.json(&["-n", &self.name, "get", kind]);
        items(&list)
            .iter()
            .filter_map(|object| object["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Whether the namespace is there.
    pub(crate) fn exists(&self) -> bool {
        let answer = self
            .cluster
            .run(&["get", "namespace", &self.name, "--ignore-not-found"]);
        !answer.is_empty()
    }

    /// The uids of all that one would not want to lose, for a comparison before and after.
    pub(crate) fn picture(&self) -> Vec<String> {
        let kinds = "deployments,statefulsets,configmaps,secrets,services,persistentvolumeclaims,serviceaccounts,roles,rolebindings";
        let list = self.cluster.json(&["-n", &self.name, "get", kinds]);
        let mut picture: Vec<String> = items(&list)
            .iter()
            .map(|object| {
                format!(
                    "{}/{} {} {}",
                    object["kind"],
                    object["metadata"]["name"],
                    object["metadata"]["uid"],
                    object
                        .get("spec")
                        .or(object.get("data"))
                        .unwrap_or(&Value::Null)
                )
            })
            .collect();
        picture.sort();
        picture
    }

    /// Waits until a Deployment or StatefulSet has all its pods.
    pub(crate) fn ready(&self, workload: &str) {
        self.kubectl(&["rollout", "status", workload, "--timeout=120s"]);
    }

    /// Replicas that a workload is asked to have.
    pub(crate) fn replicas(&self, kind: &str, name: &str) -> i64 {
        self.must(kind, name)["spec"]["replicas"]
            .as_i64()
            .expect("it has replicas")
    }

    /// Runs a shell script in a pod (`deploy/web`, `pod/x`), as raw bytes.
    pub(crate) fn shell(&self, pod: &str, script: &str) -> Vec<u8> {
        let output: Output = self
            .cluster
            .attempt(&["-n", &self.name, "exec", pod, "--", "sh", "-c", script]);
        assert!(
            output.status.success(),
            "in {pod}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Pods that the program started and did not remove.
    pub(crate) fn helpers(&self) -> Vec<String> {
        self.kubectl(&["get", "pods", "-l", "openshifter.dev/helper", "-o", "name"])
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn serial() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Space {
    fn drop(&mut self) {
        if std::env::var_os("OPENSHIFTER_TEST_KEEP").is_some() {
            return;
        }
        let label = format!("{SPACE_LABEL}={}", self.name);
        for args in [
            [
                "delete",
                "namespace",
                &self.name,
                "--wait=false",
                "--ignore-not-found",
            ],
            ["delete", "persistentvolumes", "-l", &label, "--wait=false"],
        ] {
            // A second panic would hide the first.
            let _ = self.cluster.attempt(&args);
        }
    }
}
