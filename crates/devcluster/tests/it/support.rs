//! A cluster for one test, and waiting for what is to happen in it.

use std::time::Duration;

use base64::Engine;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config as KubeConfig};
use openshifter_apiserver::{ResourceId, Store};
use openshifter_devcluster::{Config, DevCluster, Sandbox};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Longest time that anything may take here, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Cluster {
    pub(crate) inner: DevCluster,
    pub(crate) data: tempfile::TempDir,
}

pub(crate) fn config(name: &str, data: &std::path::Path) -> Config {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new(
        name,
        data.join("cluster"),
        env!("CARGO_BIN_EXE_devcluster-agent"),
    );
    config.users = vec![
        ("developer".to_owned(), None),
        ("stranger".to_owned(), None),
    ];
    config
}

impl Cluster {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, Sandbox::Bubblewrap).await
    }

    pub(crate) async fn start_with(name: &str, sandbox: Sandbox) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(name, data.path());
        config.sandbox = sandbox;
        let inner = DevCluster::start(config).await.unwrap();
        Self { inner, data }
    }

    pub(crate) fn store(&self) -> Store {
        self.inner.store()
    }

    pub(crate) async fn stop(self) {
        self.inner.stop().await;
    }

    fn kube_config(&self) -> KubeConfig {
        let mut config = KubeConfig::new(self.inner.api_url().parse().unwrap());
        let pem = self.inner.ca_pem();
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        config.root_cert = Some(vec![
            base64::engine::general_purpose::STANDARD
                .decode(body)
                .unwrap(),
        ]);
        config
    }

    /// A client with a token that the user logged in for.
    pub(crate) async fn login(&self, user: &str) -> Client {
        let mut config = self.kube_config();
        config.auth_info.token = Some(self.token(user).await.into());
        Client::try_from(config).unwrap()
    }

    /// A token of a user, by a login.
    pub(crate) async fn token(&self, user: &str) -> String {
        let http = reqwest::Client::builder()
            .tls_certs_only([
                reqwest::Certificate::from_pem(self.inner.ca_pem().as_bytes()).unwrap(),
            ])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let well_known = format!(
            "{}/.well-known/oauth-authorization-server",
            self.inner.api_url()
        );
        let metadata: Value = http
            .get(well_known)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let authorize = metadata["authorization_endpoint"].as_str().unwrap();
        let answer = http
            .get(format!(
                "{authorize}?response_type=token&client_id=openshift-challenging-client"
            ))
            .header("X-CSRF-Token", "1")
            .basic_auth(
                user,
                Some(self.inner.password(user).unwrap().expose_secret()),
            )
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 302);
        let location = answer.headers()["location"].to_str().unwrap();
        let fragment = location.split_once('#').unwrap().1;
        let pair = fragment
            .split('&')
            .find_map(|pair| pair.strip_prefix("access_token="));
        pair.unwrap().replace("%7E", "~")
    }

    /// A project that the developer made, and a client of hers.
    pub(crate) async fn project(&self, name: &str) -> Client {
        self.project_of("developer", name).await
    }

    /// A client of the administrator.
    pub(crate) async fn admin(&self) -> Client {
        let text = std::fs::read_to_string(self.inner.kubeconfig()).unwrap();
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = KubeConfig::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.unwrap()).unwrap()
    }

    /// A port of this machine from which connections are forwarded to the registry's pod, through the
    /// API server as the administrator.
    pub(crate) async fn forward_registry(&self) -> u16 {
        let namespace = "openshift-image-registry";
        let store = self.store();
        let mut events = store.subscribe();
        let find = async {
            loop {
                let pods = store.list(&pods(), Some(namespace));
                if let Some(pod) = pods.iter().find(|pod| is_ready(pod)) {
                    return pod["metadata"]["name"].as_str().unwrap().to_owned();
                }
                let _ = events.next().await;
            }
        };
        let pod = tokio::time::timeout(PATIENCE, find).await.unwrap();
        let api = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(self.admin().await, namespace);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (api, pod) = (api.clone(), pod.clone());
                tokio::spawn(async move {
                    let mut forwarder = api.portforward(&pod, &[5000]).await.unwrap();
                    let mut far = forwarder.take_stream(5000).unwrap();
                    // Either side may leave at any time.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        port
    }

    /// A project that a user made, and a client of this user.
    pub(crate) async fn project_of(&self, user: &str, name: &str) -> Client {
        let client = self.login(user).await;
        make(
            &client,
            None,
            "project.openshift.io/v1",
            "ProjectRequest",
            "projectrequests",
            json!({"metadata": {"name": name}}),
        )
        .await;
        client
    }

    /// Waits until an object is as wanted.
    pub(crate) async fn until(
        &self,
        resource: &ResourceId,
        namespace: &str,
        name: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let store = self.store();
        let scope = Some(namespace).filter(|namespace| !namespace.is_empty());
        let mut events = store.subscribe();
        let wait = async {
            loop {
                if let Some(object) = store.get(resource, scope, name)
                    && is(&object)
                {
                    return object;
                }
                let _ = events.next().await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(object) => object,
            Err(_) => panic!(
                "{resource} {namespace}/{name} never became {what}: {:#}\nlogs: {}\npods: {:#}",
                store.get(resource, scope, name).unwrap_or_default(),
                self.logs(),
                json!(
                    store
                        .list(&pods(), scope)
                        .iter()
                        .map(|pod| &pod["status"])
                        .collect::<Vec<_>>()
                ),
            ),
        }
    }

    /// What all containers have written.
    fn logs(&self) -> String {
        fn read(folder: &std::path::Path, all: &mut String) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    read(&path, all);
                } else if path.extension().is_some_and(|kind| kind == "log") {
                    let text = std::fs::read(&path).unwrap_or_default();
                    all.push_str(&String::from_utf8_lossy(&text));
                }
            }
        }
        let mut all = String::new();
        read(&self.data.path().join("cluster/pods"), &mut all);
        all
    }

    pub(crate) async fn until_gone(&self, resource: &ResourceId, namespace: &str, name: &str) {
        let store = self.store();
        let scope = Some(namespace).filter(|namespace| !namespace.is_empty());
        let mut events = store.subscribe();
        let wait = async {
            while store.get(resource, scope, name).is_some() {
                let _ = events.next().await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "{resource} {namespace}/{name} is still there: {:#}",
                store.get(resource, scope, name).unwrap_or_default()
            );
        }
    }

    pub(crate) async fn until_ready(&self, namespace: &str, pod: &str) -> Value {
        self.until(&pods(), namespace, pod, "ready", is_ready).await
    }

    /// Sends a request to the router for a host.
    pub(crate) async fn route(&self, host: &str, path: &str) -> (u16, String) {
        let answer = reqwest::Client::new()
            .get(format!("http://{}{path}", self.inner.router_addr()))
            .header("host", host)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

pub(crate) fn pods() -> ResourceId {
    ResourceId::core("pods")
}

pub(crate) fn claims() -> ResourceId {
    ResourceId::core("persistentvolumeclaims")
}

pub(crate) fn deployments() -> ResourceId {
    ResourceId::new("apps", "deployments")
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|c| c["type"] == "Ready" && c["status"] == "True")
        })
}

pub(crate) fn api(
    client: &Client,
    namespace: Option<&str>,
    version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Creates an object over the API.
pub(crate) async fn make(
    client: &Client,
    namespace: Option<&str>,
    version: &str,
    kind: &str,
    plural: &str,
    mut object: Value,
) -> Value {
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let made = api(client, namespace, version, kind, plural)
        .create(&PostParams::default(), &object)
        .await;
    serde_json::to_value(made.unwrap()).unwrap()
}

pub(crate) async fn make_pod(client: &Client, namespace: &str, pod: Value) -> Value {
    make(client, Some(namespace), "v1", "Pod", "pods", pod).await
}

/// A pod with one container of the shell image.
pub(crate) fn shell_pod(name: &str, script: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main",
                "image": "openshifter.test/shell:1",
                "command": ["sh", "-c", script],
            }],
        },
    })
}

pub(crate) async fn make_claim(
    client: &Client,
    namespace: &str,
    name: &str,
    class: Option<&str>,
) -> Value {
    let mut claim = json!({
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
    });
    if let Some(class) = class {
        claim["spec"]["storageClassName"] = json!(class);
    }
    make(
        client,
        Some(namespace),
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        claim,
    )
    .await
}

/// The shell pod with a claim at `/data`.
pub(crate) fn with_claim(mut pod: Value, claim: &str) -> Value {
    pod["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    pod
}

/// Whether any process of the machine has this word among its arguments.
pub(crate) fn runs(word: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().any(|entry| {
        let Ok(line) = std::fs::read(entry.unwrap().path().join("cmdline")) else {
            return false;
        };
        line.split(|byte| *byte == 0)
            .any(|argument| argument == word.as_bytes())
    })
}

/// The pod, ready as soon as a file is there.
pub(crate) fn ready_when(mut pod: Value, file: &str) -> Value {
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", file]}});
    pod
}

/// A pod that runs `sleep` twice with this word, once in a session of its own, and is ready when both run.
pub(crate) fn sleeper(name: &str, word: &str) -> Value {
    let script = format!("setsid sleep {word} & exec sleep {word}");
    let mut pod = shell_pod(name, &script);
    let both = format!(
        "test $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^{word}$') -ge 2"
    );
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({"exec": {"command": ["sh", "-c", both]}});
    pod
}

/// An argument for `sleep` that no other process has.
pub(crate) fn unique_word(number: u8) -> String {
    format!("86400.{}{number}", std::process::id())
}
