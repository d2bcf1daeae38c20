//! A project of a test.

use std::process::Output;

use serde_json::Value;

use crate::support::{Dev, run, until};

/// A project at a cluster.
#[derive(Clone)]
pub(crate) struct Space<'a> {
    pub(crate) cluster: &'a Dev,
    pub(crate) name: String,
}

impl Space<'_> {
    /// Runs `kubectl -n PROJECT`; fails when it does.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], args].concat())
    }

    /// Runs `kubectl -n PROJECT`, whatever becomes of it.
    pub(crate) fn attempt(&self, args: &[&str]) -> Output {
        self.cluster.attempt(&[&["-n", &self.name], args].concat())
    }

    /// Creates objects; secrets among them stay off the command line.
    #[track_caller]
    pub(crate) fn create(&self, objects: &[Value]) {
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        let mut command = self
            .cluster
            .command(&["-n", &self.name, "create", "-f", "-"]);
        run(&mut command, documents.join("\n---\n").as_bytes());
    }

    /// An object, when it is there.
    #[track_caller]
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let text = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"]);
        (!text.is_empty()).then(|| serde_json::from_str(&text).expect("kubectl prints JSON"))
    }

    /// An object that must be there.
    #[track_caller]
    pub(crate) fn must(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name)
            .unwrap_or_else(|| panic!("there is no {kind} {name} in {}", self.name))
    }

    /// Names of the objects of a kind, with their kind, as `kubectl -o name` writes them.
    #[track_caller]
    pub(crate) fn names(&self, kinds: &str) -> Vec<String> {
        self.kubectl(&["get", kinds, "-o", "name"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Whether the project is there.
    pub(crate) fn exists(&self) -> bool {
        let args = ["get", "namespace", &self.name, "--ignore-not-found"];
        !self.cluster.admin(&args, "").is_empty()
    }

    /// Uids and contents of all that one would not want to lose, for a comparison before and after.
    #[track_caller]
    pub(crate) fn picture(&self) -> Vec<String> {
        if !self.exists() {
            return Vec::new();
        }
        let kinds = "deployments,statefulsets,configmaps,secrets,services,persistentvolumeclaims,serviceaccounts,\
                     roles,rolebindings,routes,deploymentconfigs,jobs,cronjobs,horizontalpodautoscalers";
        let list = self.kubectl(&["get", kinds, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).expect("kubectl prints JSON");
        let mut picture: Vec<String> = list["items"]
            .as_array()
            .expect("it is a list")
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
    #[track_caller]
    pub(crate) fn ready(&self, workload: &str) {
        self.kubectl(&["rollout", "status", workload, "--timeout=180s"]);
    }

    /// Replicas that a workload is asked to have.
    #[track_caller]
    pub(crate) fn replicas(&self, kind: &str, name: &str) -> i64 {
        let object = self.must(kind, name);
        object["spec"]["replicas"]
            .as_i64()
            .expect("it has replicas")
    }

    /// Runs a shell script in a pod (`deploy/web`, `pod/x`), as raw bytes.
    #[track_caller]
    pub(crate) fn shell(&self, pod: &str, script: &str) -> Vec<u8> {
        let output = self.attempt(&["exec", pod, "--", "sh", "-c", script]);
        assert!(
            output.status.success(),
            "in {pod}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Pods that the program started and did not remove.
    #[track_caller]
    pub(crate) fn helpers(&self) -> Vec<String> {
        self.kubectl(&["get", "pods", "-l", "openshifter.dev/helper", "-o", "name"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until no object of these kinds is left.
    #[track_caller]
    pub(crate) fn until_gone(&self, kinds: &str) {
        until(&format!("{kinds} to be gone"), || {
            self.names(kinds).is_empty().then_some(())
        });
    }
}
