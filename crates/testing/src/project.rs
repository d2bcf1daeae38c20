//! A project or namespace, as `kubectl` sees it.

use std::process::Output;

use serde_json::Value;

use crate::{Kubectl, items, until};

/// A project, there or not.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: String,
    user: Kubectl,
    admin: Kubectl,
    /// What [`Project::picture`] shows, as `kubectl get` takes it.
    kinds: &'static str,
}

impl Project {
    /// A project that `user` works in; `admin` may see whether it is there. `kinds` is what one would not want to
    /// lose of it.
    pub fn new(name: &str, user: Kubectl, admin: Kubectl, kinds: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            user,
            admin,
            kinds,
        }
    }

    /// Runs `kubectl -n PROJECT`; fails when it does.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.user.run(&[&["-n", &self.name], args].concat())
    }

    /// Runs `kubectl -n PROJECT`, whatever becomes of it.
    pub fn attempt(&self, args: &[&str]) -> Output {
        self.user.attempt(&[&["-n", &self.name], args].concat())
    }

    /// Creates objects; secrets among them stay off the command line.
    #[track_caller]
    pub fn create(&self, objects: &[Value]) {
        self.user.create(Some(&self.name), objects);
    }

    /// An object, when it is there.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let text = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"]);
        (!text.is_empty()).then(|| serde_json::from_str(&text).expect("kubectl prints JSON"))
    }

    /// An object that must be there.
    #[track_caller]
    pub fn must(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name)
            .unwrap_or_else(|| panic!("there is no {kind} {name} in {}", self.name))
    }

    /// Names of the objects of some kinds, with their kind, as `kubectl -o name` writes them.
    #[track_caller]
    pub fn names(&self, kinds: &str) -> Vec<String> {
        self.kubectl(&["get", kinds, "-o", "name"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Whether the project is there.
    #[track_caller]
    pub fn exists(&self) -> bool {
        let args = ["get", "namespace", &self.name, "--ignore-not-found"];
        !self.admin.run(&args).is_empty()
    }

    /// Uids and contents of all that one would not want to lose, for a comparison before and after.
    #[track_caller]
    pub fn picture(&self) -> Vec<String> {
        if !self.exists() {
            return Vec::new();
        }
        let list = self.user.json(&["-n", &self.name, "get", self.kinds]);
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
    #[track_caller]
    pub fn ready(&self, workload: &str) {
        self.kubectl(&["rollout", "status", workload, "--timeout=180s"]);
    }

    /// Replicas that a workload is asked to have.
    #[track_caller]
    pub fn replicas(&self, kind: &str, name: &str) -> i64 {
        self.must(kind, name)["spec"]["replicas"]
            .as_i64()
            .expect("it has replicas")
    }

    /// Runs a shell script in a pod (`deploy/web`, `pod/x`), as raw bytes.
    #[track_caller]
    pub fn shell(&self, pod: &str, script: &str) -> Vec<u8> {
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
    pub fn helpers(&self) -> Vec<String> {
        self.kubectl(&["get", "pods", "-l", "openshifter.dev/helper", "-o", "name"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Waits until no object of these kinds is left.
    #[track_caller]
    pub fn until_gone(&self, kinds: &str) {
        until(&format!("{kinds} to be gone"), || {
            self.names(kinds).is_empty().then_some(())
        });
    }

    /// Stops a workload and starts it again.
    #[track_caller]
    pub fn restart(&self, workload: &str, replicas: usize) {
        self.kubectl(&["scale", workload, "--replicas=0"]);
        self.until_gone("pods");
        self.kubectl(&["scale", workload, &format!("--replicas={replicas}")]);
        self.ready(workload);
    }
}
