//! The two clusters, and what the suite needs to know of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The label of all that the suite makes; its value is the run of the suite.
pub(crate) const SUITE_LABEL: &str = "suite.openshifter.dev/run";

/// How long anything may take that a cluster does by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

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
    tools: PathBuf,
}

/// One cluster, reached by the real `kubectl`.
pub(crate) struct Cluster {
    pub(crate) context: String,
    kubectl: PathBuf,
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
        let tools = std::env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
            PathBuf::from,
        );
        for tool in ["kubectl", "helm"] {
            assert!(
                tools.join(tool).is_file(),
                "there is no {}: `cargo xtask tools` installs it",
                tools.join(tool).display()
            );
        }
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is right");
        let run = format!("{:x}", since.as_millis() & 0xffff_ffff);
        let image =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let shell = image("OPENSHIFTER_TEST_IMAGE", "localhost/busybox:1");
        let cluster = |variable| {
            let context = required(variable);
            Cluster::look(context, tools.join("kubectl"), &run, &shell)
        };
        crate::watch::begin();
        Self {
            source: cluster("OPENSHIFTER_TEST_SOURCE"),
            target: cluster("OPENSHIFTER_TEST_TARGET"),
            image: shell.clone(),
            bare_image: image("OPENSHIFTER_TEST_NOTAR_IMAGE", "localhost/notar:1"),
            tools,
            run,
        }
    }

    /// Runs the real `helm`.
    pub(crate) fn helm(&self, args: &[&str]) -> String {
        let mut command = Command::new(self.tools.join("helm"));
        // It needs no cluster for what is asked of it here, and must find none.
        command.args(args).env("KUBECONFIG", "/dev/null");
        let output = command_output(&mut command);
        succeeded(&command, output)
    }
}

fn command_output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"))
}

fn succeeded(command: &Command, output: Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

impl Cluster {
    fn look(context: String, kubectl: PathBuf, run: &str, image: &str) -> Self {
        let mut cluster = Self {
            context,
            kubectl,
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

    /// `kubectl` on this cluster.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--context").arg(&self.context).args(args);
        command
    }

    /// Runs `kubectl` and gives its output; fails when it does.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let mut command = self.command(args);
        let output = command_output(&mut command);
        succeeded(&command, output)
    }

    /// Runs `kubectl`, whatever becomes of it.
    pub(crate) fn attempt(&self, args: &[&str]) -> Output {
        command_output(&mut self.command(args))
    }

    /// Runs `kubectl … -o json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.run(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).expect("kubectl prints JSON")
    }

    /// Creates objects; secrets among them stay off the command line.
    pub(crate) fn create(&self, namespace: Option<&str>, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let mut args = vec!["create", "-f", "-"];
        if let Some(namespace) = namespace {
            args.extend(["-n", namespace]);
        }
        let mut command = self.command(&args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        child
            .stdin
            .take()
            .expect("it is a pipe")
            .write_all(list.to_string().as_bytes())
            .expect("kubectl reads what it is given");
        let output = child.wait_with_output().expect("kubectl ends");
        succeeded(&command, output);
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
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Waits for something that a cluster does by itself, by asking again.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
