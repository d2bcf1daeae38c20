//! A namespace of one test, gone when the test is over.

use std::ops::Deref;

use openshifter_testing::{Kubectl, Project, until};
use serde_json::{Value, json};

use crate::app::{claim, deployment};
use crate::world::{Cluster, SUITE_LABEL, world};

/// What one would not want to lose of a namespace.
const KINDS: &str = "deployments,statefulsets,configmaps,secrets,services,persistentvolumeclaims,serviceaccounts,\
     roles,rolebindings";

/// Names the space that a volume made by hand belongs to.
const SPACE_LABEL: &str = "suite.openshifter.dev/space";

/// A namespace, with the volumes that its claims are bound to.
pub(crate) struct Space {
    pub(crate) cluster: &'static Cluster,
    project: Project,
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
        let name = format!("{name}-{}", world().run);
        let user: &Kubectl = cluster;
        Self {
            cluster,
            project: Project::new(&name, user.clone(), user.clone(), KINDS),
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
                let path = format!("{}/{name}", by_hand.folder);
                let mut volume = self.volume(&name, &by_hand.class, &path);
                // Kept for this claim; its volume is not bound to anybody else's.
                volume["spec"]["claimRef"] = json!({"namespace": self.name, "name": claim});
                volume
            })
            .collect();
        self.cluster.create(None, &volumes);
    }

    /// Runs `web`, with a fresh volume at `/data`.
    #[track_caller]
    pub(crate) fn run_web(&self) {
        self.volumes(&["data"]);
        self.create(&[claim("data"), deployment("web", Some("data"))]);
        self.ready("deploy/web");
    }

    /// The arguments of an export of it.
    pub(crate) fn export_to<'a>(&'a self, out: &'a str) -> [&'a str; 7] {
        let context = &self.cluster.context;
        ["export", "--from", context, "-n", &self.name, "-o", out]
    }

    /// The arguments of an import into it.
    pub(crate) fn import_of<'a>(&'a self, chart: &'a str) -> [&'a str; 6] {
        let context = &self.cluster.context;
        ["import", chart, "--to", context, "-n", &self.name]
    }

    /// The arguments of an import into it by a relay.
    pub(crate) fn relayed_import_of<'a>(
        &'a self,
        chart: &'a str,
        kubeconfig: &'a str,
    ) -> [&'a str; 8] {
        let name = &self.name;
        [
            "import",
            chart,
            "--kubeconfig",
            kubeconfig,
            "--to",
            "relayed",
            "-n",
            name,
        ]
    }

    /// A storage class of this space alone, called like it; its claims are bound when their first consumer comes.
    /// There are so many volumes for them, however storage is made otherwise.
    pub(crate) fn late_class(&self, volumes: usize) -> String {
        let folder = self
            .cluster
            .by_hand
            .as_ref()
            .map_or("/var/tmp/openshifter-suite", |by_hand| &by_hand.folder);
        let class = format!("late-{}", self.name);
        let mut objects = vec![self.class(&class, "WaitForFirstConsumer")];
        objects.extend((0..volumes).map(|_| {
            let name = format!("{class}-{}", serial());
            self.volume(&name, &class, &format!("{folder}/{name}"))
        }));
        self.cluster.create(None, &objects);
        class
    }

    /// A storage class of this space alone that makes no volumes.
    pub(crate) fn class(&self, name: &str, binding: &str) -> Value {
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "labels": {SUITE_LABEL: world().run, SPACE_LABEL: self.name}},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": binding,
        })
    }

    /// A volume of this space alone, in a folder of the node.
    pub(crate) fn volume(&self, name: &str, class: &str, path: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "labels": {SUITE_LABEL: world().run, SPACE_LABEL: self.name},
            },
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "storageClassName": class,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            },
        })
    }
}

impl Deref for Space {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
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
            [
                "delete",
                "persistentvolumes,storageclasses",
                "-l",
                &label,
                "--wait=false",
            ],
        ] {
            // A second panic would hide the first.
            let _ = self.cluster.attempt(&args);
        }
    }
}
