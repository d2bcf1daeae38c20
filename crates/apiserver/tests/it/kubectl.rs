//! The server through the real `kubectl`.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use openshifter_apiserver::ResourceId;

use crate::cluster::Cluster;

/// A tool that `cargo xtask test` installs.
fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "there is no {}: run `cargo xtask test`, which installs it",
        path.display()
    );
    path
}

struct Kubectl {
    kubeconfig: PathBuf,
}

impl Kubectl {
    fn new(cluster: &Cluster) -> Self {
        let kubeconfig = cluster.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.server.admin_kubeconfig()).unwrap();
        Self { kubeconfig }
    }

    /// Runs it: whether it went well, and what it wrote to both outputs.
    async fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut child = tokio::process::Command::new(tool("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.kubeconfig.parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output =
            tokio::time::timeout(std::time::Duration::from_secs(30), child.wait_with_output())
                .await
                .expect("kubectl ends")
                .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), text)
    }

    /// Forwards a port of a pod; the port to connect to, and the process, which ends when dropped.
    async fn forward(
        &self,
        pod: &str,
        port: u16,
        env: &[(&str, &str)],
    ) -> (u16, tokio::process::Child) {
        let mut child = tokio::process::Command::new(tool("kubectl"))
            .args(["-n", "shop", "port-forward", pod, &format!(":{port}")])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.kubeconfig.parent().unwrap())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line())
            .await
            .expect("kubectl says where it listens")
            .unwrap();
        let Some(line) = line else {
            let mut why = String::new();
            let stderr = child.stderr.as_mut().unwrap();
            stderr.read_to_string(&mut why).await.unwrap();
            panic!("kubectl ended: {why}");
        };
        let local = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("{line}"));
        (local.parse().unwrap(), child)
    }

    async fn ok(&self, arguments: &[&str], input: &str) -> String {
        let (ok, text) = self.run(arguments, input).await;
        assert!(ok, "kubectl {arguments:?}: {text}");
        text
    }
}

const APPLICATION: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "shell:1"}]}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: web}
spec: {to: {kind: Service, name: web}}
"#;

#[tokio::test]
async fn an_application_is_applied_shown_and_deleted() {
    let cluster = Cluster::start("kubectl").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    let apply = ["-n", "shop", "apply", "-f", "-"];
    insta::assert_snapshot!(kubectl.ok(&apply, &APPLICATION.replace("REPLICAS", "1")).await, @r"
    service/web created
    deployment.apps/web created
    route.route.openshift.io/web created
    ");
    insta::assert_snapshot!(kubectl.ok(&apply, &APPLICATION.replace("REPLICAS", "2")).await, @r"
    service/web unchanged
    deployment.apps/web configured
    route.route.openshift.io/web unchanged
    ");
    let deployments = kubectl.ok(&["-n", "shop", "get", "deployments"], "").await;
    assert!(
        deployments.contains("web    0/2     0            0"),
        "{deployments}"
    );
    let routes = kubectl.ok(&["-n", "shop", "get", "routes"], "").await;
    assert!(routes.contains("web-shop.apps.kubectl.test"), "{routes}");
    kubectl
        .ok(
            &["-n", "shop", "scale", "deployment/web", "--replicas=3"],
            "",
        )
        .await;
    let replicas = [
        "-n",
        "shop",
        "get",
        "deploy",
        "web",
        "-o",
        "jsonpath={.spec.replicas}",
    ];
    assert_eq!(kubectl.ok(&replicas, "").await, "3");
    let all = kubectl.ok(&["-n", "shop", "get", "all"], "").await;
    assert!(
        all.contains("deployment.apps/web") && all.contains("route.route.openshift.io/web"),
        "{all}"
    );
    kubectl
        .ok(&["-n", "shop", "label", "service", "web", "x=y"], "")
        .await;
    let (_, refused) = kubectl
        .run(
            &["-n", "shop", "create", "-f", "-"],
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "bogus": 1}"#,
        )
        .await;
    assert!(refused.contains("unknown field \"bogus\""), "{refused}");
    insta::assert_snapshot!(kubectl.ok(&["-n", "shop", "delete", "-f", "-"], &APPLICATION.replace("REPLICAS", "2")).await, @r#"
    service "web" deleted from shop namespace
    deployment.apps "web" deleted from shop namespace
    route.route.openshift.io "web" deleted from shop namespace
    "#);
    for create in [
        "create configmap c --from-literal=a=b",
        "create secret generic s --from-literal=a=b",
        "create serviceaccount sa",
        "create deployment d --image=shell:1 --replicas=2 --port=80",
        "create job j --image=shell:1 -- true",
        "create service clusterip svc --tcp=80:8080",
        "create role r --verb=get --resource=pods",
        "create rolebinding rb --role=r --serviceaccount=shop:sa",
        "create quota q --hard=pods=9",
        "create token sa",
        "auth can-i create pods",
    ] {
        let arguments: Vec<&str> = ["-n", "shop"]
            .into_iter()
            .chain(create.split(' '))
            .collect();
        kubectl.ok(&arguments, "").await;
    }
    let port = [
        "-n",
        "shop",
        "get",
        "service",
        "svc",
        "-o",
        "jsonpath={.spec.ports[0].targetPort}",
    ];
    assert_eq!(kubectl.ok(&port, "").await, "8080");
    kubectl.ok(&["create", "namespace", "gone"], "").await;
    kubectl.ok(&["delete", "namespace", "gone"], "").await;
    cluster.stop().await;
}

#[tokio::test]
async fn commands_run_in_pods() {
    let cluster = Cluster::start("kubectl-exec").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    kubectl
        .ok(&["-n", "shop", "run", "a", "--image=shell:1"], "")
        .await;
    let exec = kubectl
        .ok(&["-n", "shop", "exec", "-i", "a", "--", "cat"], "hello")
        .await;
    assert_eq!(exec, "hello");
    let (ok, text) = kubectl
        .run(
            &[
                "-n",
                "shop",
                "exec",
                "a",
                "--",
                "sh",
                "-c",
                "echo out; exit 3",
            ],
            "",
        )
        .await;
    assert!(!ok && text.contains("exit code 3"), "{text}");
    let logs = kubectl
        .ok(&["-n", "shop", "logs", "a", "--tail=1"], "")
        .await;
    assert_eq!(logs, "three\n");
    cluster.stop().await;
}

/// A pod that says it runs: `kubectl` forwards ports of no other.
async fn running_pod(cluster: &Cluster, kubectl: &Kubectl) {
    kubectl
        .ok(&["-n", "shop", "run", "a", "--image=shell:1"], "")
        .await;
    let pods = ResourceId::core("pods");
    cluster
        .server
        .store()
        .update_status(&pods, Some("shop"), "a", |pod| {
            pod["status"]["phase"] = serde_json::json!("Running");
        })
        .unwrap();
}

/// Sends a text that is longer than any buffer on its way and compares what comes back.
async fn shout(port: u16, character: u8) {
    let exchange = async {
        let connection = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        let (mut reader, mut writer) = connection.into_split();
        let write = async move {
            writer.write_all(&vec![character; 1 << 20]).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut answer = Vec::new();
        let (_, read) = tokio::join!(write, reader.read_to_end(&mut answer));
        read.unwrap();
        assert!(
            answer == vec![character.to_ascii_uppercase(); 1 << 20],
            "{} bytes",
            answer.len()
        );
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), exchange)
        .await
        .expect("the exchange ends");
}

#[tokio::test]
async fn ports_are_forwarded_over_web_sockets_and_over_spdy() {
    let cluster = Cluster::start("kubectl-ports").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    running_pod(&cluster, &kubectl).await;
    for env in [&[][..], &[("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")]] {
        let (port, child) = kubectl.forward("a", 8080, env).await;
        tokio::join!(shout(port, b'a'), shout(port, b'b'), shout(port, b'c'));
        shout(port, b'd').await;
        drop(child);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_named() {
    let cluster = Cluster::start("kubectl-no-port").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    running_pod(&cluster, &kubectl).await;
    let (port, mut child) = kubectl.forward("a", 9, &[]).await;
    let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let mut nothing = Vec::new();
    // Reset or closed: either way nothing comes.
    let _ = connection.read_to_end(&mut nothing).await;
    assert_eq!(nothing, b"");
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let said = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap_or_default();
            if line.is_empty() || line.contains("connection refused") {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(std::time::Duration::from_secs(30), said)
        .await
        .expect("kubectl says why");
    assert!(
        line.contains("error forwarding port 9 to pod a"),
        "{line:?}"
    );
    drop(child);
    cluster.stop().await;
}

#[tokio::test]
async fn manifests_of_kinds_without_patches_are_checked_and_made() {
    let cluster = Cluster::start("kubectl-list").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    let list = |value: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "List", "items": [
                {{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "a"}}, "data": {{"k": "{value}"}}}},
                {{"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {{"name": "web"}},
                  "spec": {{"to": {{"kind": "Service", "name": "web"}}}}}}]}}"#
        )
    };
    insta::assert_snapshot!(kubectl.ok(&["-n", "shop", "create", "-f", "-"], &list("1")).await, @r"
    configmap/a created
    route.route.openshift.io/web created
    ");
    let apply = ["-n", "shop", "apply", "-f", "-"];
    let applied = kubectl.ok(&apply, &list("2")).await;
    assert!(applied.contains("configmap/a configured"), "{applied}");
    let again = kubectl.ok(&apply, &list("2")).await;
    insta::assert_snapshot!(again, @r"
    configmap/a unchanged
    route.route.openshift.io/web unchanged
    ");
    let bogus = list("3").replace("\"data\"", "\"dta\"");
    let (ok, refused) = kubectl.run(&apply, &bogus).await;
    assert!(
        !ok && refused.contains("unknown field \"dta\""),
        "{refused}"
    );

    let request = r#"{"apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest", "metadata": {"name": "stall"},
        "displayName": "Stall"}"#;
    let made = kubectl.ok(&["create", "-f", "-"], request).await;
    insta::assert_snapshot!(made, @"project.project.openshift.io/stall created");
    let name = "jsonpath={.metadata.annotations.openshift\\.io/display-name}";
    let name = kubectl
        .ok(&["get", "project", "stall", "-o", name], "")
        .await;
    assert_eq!(name, "Stall");
    let (ok, refused) = kubectl
        .run(
            &["create", "-f", "-"],
            &request.replace("displayName", "dsplayName"),
        )
        .await;
    assert!(
        !ok && refused.contains("unknown field \"dsplayName\""),
        "{refused}"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn server_side_apply_names_the_other_manager() {
    let cluster = Cluster::start("kubectl-ssa").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    let map = |value: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "a"}}, "data": {{"k": "{value}"}}}}"#
        )
    };
    let apply = |manager: &'static str| {
        [
            "-n",
            "shop",
            "apply",
            "--server-side",
            "--field-manager",
            manager,
            "-f",
            "-",
        ]
    };
    kubectl.ok(&apply("one"), &map("1")).await;
    let (ok, text) = kubectl.run(&apply("two"), &map("2")).await;
    assert!(
        !ok && text.contains("conflict with \"one\": .data.k"),
        "{text}"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_chart_is_installed_and_removed_by_helm() {
    let cluster = Cluster::start("helm").await;
    cluster.project("shop", None).await;
    let kubectl = Kubectl::new(&cluster);
    let chart = cluster.folder.path().join("web");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    )
    .unwrap();
    std::fs::write(
        chart.join("templates/all.yaml"),
        APPLICATION.replace("REPLICAS", "{{ .Values.replicas }}"),
    )
    .unwrap();
    std::fs::write(chart.join("values.yaml"), "replicas: 2\n").unwrap();
    let helm = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(tool("helm"))
            .args(arguments)
            .args(["-n", "shop"])
            .env("KUBECONFIG", &kubectl.kubeconfig)
            .env("HOME", cluster.folder.path())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "helm {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    helm(&["install", "web", chart.to_str().unwrap()]).await;
    let list = helm(&["list", "-q"]).await;
    assert_eq!(list, "web\n");
    helm(&[
        "upgrade",
        "web",
        chart.to_str().unwrap(),
        "--set",
        "replicas=3",
    ])
    .await;
    let replicas = [
        "-n",
        "shop",
        "get",
        "deploy",
        "web",
        "-o",
        "jsonpath={.spec.replicas}",
    ];
    assert_eq!(kubectl.ok(&replicas, "").await, "3");
    helm(&["uninstall", "web"]).await;
    let (_, gone) = kubectl
        .run(&["-n", "shop", "get", "deploy", "web"], "")
        .await;
    assert!(gone.contains("NotFound"), "{gone}");
    cluster.stop().await;
}
