//! Embedded clusters with the sample application on them.

use std::path::PathBuf;
use std::time::Duration;

use openshifter_cluster::{Access, Cluster, Credentials, DryRun, Trust};
use openshifter_devcluster::{Config, DevCluster};
use openshifter_objects::{GroupKind, Object};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// Longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(120);

/// An embedded cluster with the user `developer`.
pub(crate) struct Dev {
    inner: DevCluster,
    _data: tempfile::TempDir,
}

/// The example that `cargo test` builds beside this test.
fn agent() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let package = env!("CARGO_PKG_NAME");
    let agent = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join(format!("examples/{package}-agent"));
    assert!(
        agent.exists(),
        "{} is missing: run `cargo build -p {package} --examples`",
        agent.display()
    );
    agent
}

impl Dev {
    pub(crate) async fn start(name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::new(name, data.path().join("cluster"), agent());
        config.users = vec![("developer".to_owned(), None)];
        let inner = DevCluster::start(config).await.unwrap();
        Self { inner, _data: data }
    }

    pub(crate) async fn stop(self) {
        self.inner.stop().await;
    }

    /// `host:port`.
    pub(crate) fn base(&self) -> String {
        self.inner.api_url().replace("https://", "")
    }

    pub(crate) fn password(&self) -> String {
        let password = self.inner.password("developer").unwrap();
        password.expose_secret().to_owned()
    }

    pub(crate) fn trust(&self) -> (String, Trust) {
        let trust = Trust {
            ca_pem: Some(self.inner.ca_pem().as_bytes().to_vec()),
            ..Trust::default()
        };
        (self.base(), trust)
    }

    pub(crate) fn access(&self) -> Access {
        let (base, trust) = self.trust();
        Access {
            name: base.clone(),
            base: Access::parse_base(&base).unwrap(),
            trust,
            credentials: Credentials::Password {
                username: "developer".to_owned(),
                password: self.password().into(),
            },
        }
    }

    /// How many login tokens are valid.
    pub(crate) fn tokens(&self) -> usize {
        let tokens =
            openshifter_apiserver::ResourceId::new("oauth.openshift.io", "oauthaccesstokens");
        self.inner.store().list(&tokens, None).len()
    }

    /// Ends all logins, as time would.
    pub(crate) fn revoke_logins(&self) {
        let tokens =
            openshifter_apiserver::ResourceId::new("oauth.openshift.io", "oauthaccesstokens");
        let store = self.inner.store();
        for token in store.list(&tokens, None) {
            let name = token["metadata"]["name"].as_str().unwrap();
            store
                .delete(&tokens, None, name, Default::default())
                .unwrap();
        }
    }

    /// How many pods a project has, helper pods included.
    pub(crate) fn pods(&self, project: &str) -> usize {
        let pods = openshifter_apiserver::ResourceId::core("pods");
        self.inner.store().list(&pods, Some(project)).len()
    }

    /// Changes an object, as a user would.
    pub(crate) async fn patch(&self, project: &str, kind: &GroupKind, name: &str, change: &Value) {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        cluster
            .merge_patch(kind, Some(project), name, change)
            .await
            .unwrap();
        cluster.logout().await.unwrap();
    }

    /// Deploys the guestbook with these entries into a new project.
    pub(crate) async fn guestbook(&self, project: &str, entries: &[&str]) {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        cluster.ensure_namespace(project).await.unwrap();
        for value in application() {
            let object = Object::from_value(value).unwrap();
            cluster
                .create(Some(project), &object, DryRun::No)
                .await
                .unwrap();
        }
        cluster.logout().await.unwrap();
        for entry in entries {
            self.write_entry(project, entry).await;
        }
        self.settled(project).await;
    }

    /// Waits until the guestbook answers.
    pub(crate) async fn settled(&self, project: &str) {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        self.served(&cluster, project).await;
        cluster.logout().await.unwrap();
    }

    /// Writes into the guestbook.
    pub(crate) async fn write_entry(&self, project: &str, entry: &str) {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        let host = self.served(&cluster, project).await;
        cluster.logout().await.unwrap();
        let answer = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("http://{}/entries", self.inner.router_addr()))
            .header("host", &host)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("name=Ada&message={entry}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 303);
    }

    /// Puts a file of random bytes of this size into the volume of the guestbook.
    pub(crate) async fn fill(&self, project: &str, size: &str) {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        let discovery = cluster.discovery().await.unwrap();
        let pods = discovery.find(&GroupKind::new("", "Pod")).unwrap();
        let pods = cluster.list(pods, Some(project), None).await.unwrap();
        let command = [
            "sh",
            "-c",
            &format!("head -c {size} /dev/urandom > /data/random"),
        ]
        .map(str::to_owned);
        let running = cluster
            .exec(project, pods[0].name(), None, &command, false)
            .await
            .unwrap();
        assert!(running.finish().await.unwrap().success());
        cluster.logout().await.unwrap();
    }

    /// The entries as the route shows them.
    pub(crate) async fn entries(&self, project: &str) -> Vec<String> {
        let cluster = Cluster::connect(&self.access()).await.unwrap();
        let host = self.served(&cluster, project).await;
        cluster.logout().await.unwrap();
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("http://{}/entries.json", self.inner.router_addr()))
            .header("host", host)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let value: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the route leads to a pod; returns its host.
    async fn served(&self, cluster: &Cluster, project: &str) -> String {
        let kind = GroupKind::new("", "Endpoints");
        cluster
            .wait(&kind, Some(project), "guestbook", PATIENCE, |endpoints| {
                endpoints.is_some_and(|endpoints| {
                    endpoints.value()["subsets"][0]["addresses"].is_array()
                })
            })
            .await
            .unwrap();
        let kind = GroupKind::new("route.openshift.io", "Route");
        let route = cluster
            .wait(&kind, Some(project), "guestbook", PATIENCE, |route| {
                route.is_some_and(|route| {
                    route.value()["status"]["ingress"][0]["conditions"][0]["status"] == "True"
                })
            })
            .await
            .unwrap()
            .unwrap();
        route.value()["spec"]["host"].as_str().unwrap().to_owned()
    }
}

fn application() -> Vec<Value> {
    let labels = json!({"app": "guestbook"});
    vec![
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "guestbook-data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guestbook", "labels": labels},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 5,
                        "containers": [{
                            "name": "guestbook",
                            "image": "openshifter.test/guestbook:1",
                            "ports": [{"name": "web", "containerPort": 8080}],
                            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "web"}},
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        }],
                        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "guestbook-data"}}],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "guestbook"},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
        }),
        json!({
            "apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "guestbook"},
            "spec": {"to": {"kind": "Service", "name": "guestbook"}, "port": {"targetPort": "http"}},
        }),
    ]
}
