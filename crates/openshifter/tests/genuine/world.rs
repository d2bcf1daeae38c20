//! The two clusters, and what the suite needs to know of them.

use std::ops::Deref;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use openshifter_testing::{Kubectl, Relay, items, run, tools, until};
use serde_json::json;

use crate::tool::Tool;

/// The label of all that the suite makes; its value is the run of the suite.
pub(crate) const SUITE_LABEL: &str = "suite.openshifter.dev/run";

/// Both clusters.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    /// Names this run of the suite.
    pub(crate) run: String,
    /// An image with a shell and `tar`.
    pub(crate) image: String,
    /// An image with neither.
    pub(crate) bare_image: String,
}

/// One cluster, reached by the real `kubectl`.
pub(crate) struct Cluster {
    pub(crate) context: String,
    kubectl: Kubectl,
    /// Where to make volumes, on clusters whose storage class makes none.
    pub(crate) by_hand: Option<ByHand>,
}

/// How volumes are made where no provisioner makes them.
pub(crate) struct ByHand {
    pub(crate) class: String,
    /// A folder of the node, of this run alone.
    pub(crate) folder: String,
}

/// The clusters, looked at once.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::look)
}

fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: it names the kubeconfig context of a cluster that the suite may use"
        )
    })
}

impl World {
    fn look() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is right");
        let run = format!("{:x}", since.as_millis() & 0xffff_ffff);
        let image =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let shell = image("OPENSHIFTER_TEST_IMAGE", "localhost/busybox:1");
        let cluster = |variable| {
            let context = required(variable);
            Cluster::look(context, &run, &shell)
        };
        Self {
            source: cluster("OPENSHIFTER_TEST_SOURCE"),
            target: cluster("OPENSHIFTER_TEST_TARGET"),
            image: shell.clone(),
            bare_image: image("OPENSHIFTER_TEST_NOTAR_IMAGE", "localhost/notar:1"),
            run,
        }
    }

    /// Runs the real `helm`.
    pub(crate) fn helm(&self, args: &[&str]) -> String {
        let mut command = Command::new(tools().join("helm"));
        // It needs no cluster for what is asked of it here, and must find none.
        command.args(args).env("KUBECONFIG", "/dev/null");
        run(&mut command, b"")
    }

    /// Runs the real `helm` on a cluster.
    pub(crate) fn helm_at(&self, cluster: &Cluster, args: &[&str]) -> String {
        let mut command = Command::new(tools().join("helm"));
        command
            .arg("--kube-context")
            .arg(&cluster.context)
            .args(args);
        run(&mut command, b"")
    }
}

impl Deref for Cluster {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}

impl Cluster {
    fn look(context: String, run: &str, image: &str) -> Self {
        let mut cluster = Self {
            kubectl: Kubectl::new().arg("--context").arg(&context),
            context,
            by_hand: None,
        };
        cluster.by_hand = cluster.static_volumes(run);
        cluster.clear_up(run, image);
        cluster
    }

    /// Whether the default storage class makes volumes; if not, where there is room for some.
    fn static_volumes(&self, run: &str) -> Option<ByHand> {
        const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
        let classes = self.json(&["get", "storageclasses"]);
        let class = items(&classes)
            .iter()
            .find(|class| class["metadata"]["annotations"][DEFAULT] == "true")?;
        if class["provisioner"] != "kubernetes.io/no-provisioner" {
            return None;
        }
        let volumes = self.json(&["get", "persistentvolumes"]);
        let beside = items(&volumes)
            .iter()
            .filter(|volume| volume["metadata"]["labels"][SUITE_LABEL].is_null())
            .find_map(|volume| volume["spec"]["hostPath"]["path"].as_str())
            .and_then(|path| path.rsplit_once('/'))
            .map_or("/var/tmp", |(parent, _)| parent)
            .to_owned();
        Some(ByHand {
            class: class["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            folder: format!("{beside}/openshifter-suite-{run}"),
        })
    }

    /// Removes what an earlier run of the suite left: one that was killed, and the content of all volumes that were
    /// made by hand.
    fn clear_up(&self, run: &str, image: &str) {
        let others = format!("{SUITE_LABEL},{SUITE_LABEL}!={run}");
        for kind in [
            "namespaces",
            "persistentvolumes",
            "customresourcedefinitions",
            "clusterroles",
            "clusterrolebindings",
            "storageclasses",
        ] {
            self.run(&[
                "delete",
                kind,
                "-l",
                &others,
                "--wait=false",
                "--ignore-not-found",
            ]);
        }
        if let Some(by_hand) = &self.by_hand {
            self.sweep(by_hand, run, image);
        }
    }

    /// Empties the folders of earlier runs on the node, which only a pod can reach.
    fn sweep(&self, by_hand: &ByHand, run: &str, image: &str) {
        let Some((beside, _)) = by_hand.folder.rsplit_once('/') else {
            return;
        };
        let place = format!("sweep-{run}");
        self.create(
            None,
            &[json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": place, "labels": {SUITE_LABEL: run}},
            })],
        );
        until("the default service account", || {
            let account = self.attempt(&["-n", &place, "get", "serviceaccount", "default"]);
            account.status.success().then_some(())
        });
        self.create(
            Some(&place),
            &[json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sweep"},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "sweep",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sh", "-c", "rm -rf /beside/openshifter-suite-*"],
                        "volumeMounts": [{"name": "beside", "mountPath": "/beside"}],
                    }],
                    "volumes": [{"name": "beside", "hostPath": {"path": beside}}],
                },
            })],
        );
        until("the earlier volumes to be gone", || {
            let phase = self.json(&["-n", &place, "get", "pod", "sweep"]);
            let phase = phase["status"]["phase"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert_ne!(
                phase, "Failed",
                "the folders of earlier runs could not be removed"
            );
            (phase == "Succeeded").then_some(())
        });
        self.run(&["delete", "namespace", &place, "--wait=false"]);
    }

    /// Server, and the certificate authority as a file holds it in base64.
    pub(crate) fn address(&self) -> (String, String) {
        let config = self.json(&["config", "view", "--raw", "--minify", "--flatten"]);
        let cluster = &config["clusters"][0]["cluster"];
        let text = |key: &str| {
            cluster[key]
                .as_str()
                .unwrap_or_else(|| panic!("the context {} has no {key}", self.context))
                .to_owned()
        };
        (text("server"), text("certificate-authority-data"))
    }

    /// A relay to its API, and a kubeconfig with a context `relayed` that goes by it.
    pub(crate) fn relay(&self, tool: &Tool) -> (Relay, String) {
        let (host, port) = self.host_and_port();
        let relay = Relay::start(&format!("{host}:{port}"));
        let kubeconfig = self.relayed(tool, relay.address());
        (relay, kubeconfig)
    }

    /// A kubeconfig, with a context `relayed`, that reaches this cluster at another address.
    fn relayed(&self, tool: &Tool, address: std::net::SocketAddr) -> String {
        let mut config = self.json(&["config", "view", "--raw", "--minify", "--flatten"]);
        let (host, _) = self.host_and_port();
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["server"] = format!("https://{address}").into();
        cluster["tls-server-name"] = host.into();
        config["contexts"][0]["name"] = "relayed".into();
        config["current-context"] = "relayed".into();
        tool.write("relayed.kubeconfig", config.to_string());
        tool.arg("relayed.kubeconfig")
    }

    /// Where its API listens.
    pub(crate) fn host_and_port(&self) -> (String, String) {
        let (server, _) = self.address();
        let authority = server
            .trim_start_matches("https://")
            .split('/')
            .next()
            .unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
        (host.to_owned(), port.to_owned())
    }
}
