//! One embedded cluster, reached by the real `kubectl` and `curl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use openshifter_apiserver::{DeleteOptions, ResourceId};
use openshifter_devcluster::{Config, DevCluster};
use openshifter_testing::{Kubectl, Project, keep_secret, run, until};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::Space;
use crate::support::space::KINDS;

/// An embedded cluster with the users `developer` and `stranger`; it ends when this is dropped.
pub(crate) struct Dev {
    pub(crate) name: String,
    inner: Option<DevCluster>,
    runtime: Arc<Runtime>,
    api: String,
    admin: PathBuf,
    developer: PathBuf,
    ca: PathBuf,
    home: PathBuf,
}

impl Dev {
    pub(crate) fn start(config: Config, runtime: &Arc<Runtime>, folder: &Path) -> Self {
        let name = config.name.clone();
        let inner = runtime
            .block_on(DevCluster::start(config))
            .expect("the embedded cluster starts; it needs bubblewrap");
        let ca = folder.join(format!("{name}.pem"));
        std::fs::write(&ca, inner.ca_pem()).expect("the file can be written");
        let mut dev = Self {
            api: inner.api_url(),
            admin: inner.kubeconfig().to_owned(),
            developer: folder.join(format!("{name}.kubeconfig")),
            ca,
            home: folder.join("home"),
            inner: Some(inner),
            runtime: Arc::clone(runtime),
            name,
        };
        for user in ["developer", "stranger"] {
            keep_secret(&dev.password(user));
        }
        let token = dev.log_in("developer");
        dev.developer = dev.write_kubeconfig("developer", &token);
        dev
    }

    fn inner(&self) -> &DevCluster {
        self.inner.as_ref().expect("the cluster runs")
    }

    /// `127.0.0.1:6443`.
    pub(crate) fn base(&self) -> &str {
        self.api.trim_start_matches("https://")
    }

    /// The file with the certificate authority.
    pub(crate) fn ca(&self) -> &Path {
        &self.ca
    }

    /// Exposes the registry at a name that this machine knows; gives its address.
    #[track_caller]
    pub(crate) fn expose_registry(&self) -> String {
        let route = json!({
            "apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "default-route", "namespace": "openshift-image-registry"},
            "spec": {"host": "localhost", "to": {"kind": "Service", "name": "image-registry"},
                "port": {"targetPort": "5000-tcp"}, "tls": {"termination": "reencrypt"}},
        });
        self.admin(&["create", "-f", "-"], &route.to_string());
        until("the route to the registry to be admitted", || {
            let namespace = "openshift-image-registry";
            let route = self.admin(
                &[
                    "get",
                    "route",
                    "default-route",
                    "-n",
                    namespace,
                    "-o",
                    "json",
                ],
                "",
            );
            let route: Value = serde_json::from_str(&route).expect("kubectl prints JSON");
            let admitted = &route["status"]["ingress"][0]["conditions"][0]["status"];
            (admitted == "True").then_some(())
        });
        format!("localhost:{}", self.inner().router_addr().port())
    }

    /// Posts a file to the API, as the developer; gives the answer.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, file: &Path) -> Value {
        let token = self.log_in("developer");
        let mut curl = Command::new("curl");
        curl.args([
            "--config",
            "-",
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
        ])
        .args(["--header", "Content-Type: application/octet-stream"])
        .arg("--cacert")
        .arg(&self.ca)
        .arg("--data-binary")
        .arg(format!("@{}", file.display()))
        .arg(format!("{}{path}", self.api));
        let config = format!("header = \"Authorization: Bearer {token}\"");
        let answer = run(&mut curl, config.as_bytes());
        self.log_out(&token);
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no JSON: {answer}"))
    }

    /// A user's password.
    pub(crate) fn password(&self, user: &str) -> String {
        let file = self.admin.with_file_name("passwords");
        let text = std::fs::read_to_string(file).expect("the cluster keeps its passwords");
        text.lines()
            .find_map(|line| line.strip_prefix(user)?.strip_prefix(':'))
            .expect("the user is known")
            .to_owned()
    }

    /// The kubeconfig of the cluster's administrator; its context is the cluster's name.
    pub(crate) fn admin_kubeconfig(&self) -> String {
        self.admin.to_string_lossy().into_owned()
    }

    /// The kubeconfig of the developer; its context is the cluster's name.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.developer
    }

    /// Logs in as OpenShift's own tools do; gives the token.
    pub(crate) fn log_in(&self, user: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--config", "-", "--silent", "--show-error", "--include"])
            .arg("--cacert")
            .arg(&self.ca)
            .args(["--noproxy", "*", "--header", "X-CSRF-Token: 1"])
            .arg(format!(
                "{}/oauth/authorize?response_type=token&client_id=openshift-challenging-client",
                self.api
            ));
        let config = format!("user = \"{user}:{}\"", self.password(user));
        let answer = run(&mut curl, config.as_bytes());
        let token = answer
            .lines()
            .find_map(|line| line.split_once("access_token=")?.1.split('&').next())
            .unwrap_or_else(|| panic!("no token in {answer}"))
            .replace("%7E", "~");
        keep_secret(&token);
        token
    }

    /// Takes a login back.
    #[track_caller]
    pub(crate) fn log_out(&self, token: &str) {
        self.admin(&["delete", "oauthaccesstoken", &token_name(token)], "");
    }

    /// Ends all logins, as time would, and before anybody who has one gets much further: no program is started for it.
    pub(crate) fn revoke_logins(&self) {
        let tokens = ResourceId::new("oauth.openshift.io", "oauthaccesstokens");
        let store = self.inner().store();
        for token in store.list(&tokens, None) {
            let name = token["metadata"]["name"].as_str().expect("it has a name");
            let deleted = store.delete(&tokens, None, name, DeleteOptions::default());
            deleted.expect("it is there");
        }
    }

    /// Removes an application's pods at once, while what they do is still on its way: no program is started for it.
    pub(crate) fn remove_pods(&self, project: &str, app: &str) {
        let (pods, store) = (ResourceId::core("pods"), self.inner().store());
        let mut found = store.list(&pods, Some(project));
        found.retain(|pod| pod["metadata"]["labels"]["app"] == app);
        assert!(!found.is_empty(), "{app} has no pods");
        for pod in found {
            let name = pod["metadata"]["name"].as_str().expect("it has a name");
            let deleted = store.delete(&pods, Some(project), name, DeleteOptions::now());
            deleted.expect("it is there");
        }
    }

    /// A token of the developer's that was good for a second.
    pub(crate) fn expired_token(&self) -> String {
        let token = format!("sha256~{}", "expired".repeat(6));
        keep_secret(&token);
        let user = self.admin(&["get", "user", "developer", "-o", "json"], "");
        let user: Value = serde_json::from_str(&user).expect("kubectl prints JSON");
        let object = json!({
            "apiVersion": "oauth.openshift.io/v1", "kind": "OAuthAccessToken",
            "metadata": {"name": token_name(&token)},
            "clientName": "openshift-challenging-client", "expiresIn": 1, "scopes": ["user:full"],
            "redirectURI": format!("{}/oauth/token/implicit", self.api),
            "userName": "developer", "userUID": user["metadata"]["uid"],
        });
        self.admin(&["create", "-f", "-"], &object.to_string());
        let file = self.write_kubeconfig("expired", &token);
        until("the token to expire", || {
            let path = "/apis/user.openshift.io/v1/users/~";
            let answer = self.kubectl_as(&file).attempt(&["get", "--raw", path]);
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            said.contains("Unauthorized").then_some(())
        });
        token
    }

    /// Writes a kubeconfig with a token; its context is the cluster's name.
    pub(crate) fn write_kubeconfig(&self, file: &str, token: &str) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {"server": self.api, "certificate-authority": self.ca}}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "user"}}],
        });
        let path = self
            .ca
            .with_file_name(format!("{}-{file}.kubeconfig", self.name));
        std::fs::write(&path, config.to_string()).expect("the file can be written");
        path
    }

    fn kubectl_as(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new()
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", &self.home)
            .env("NO_PROXY", "127.0.0.1")
    }

    /// `kubectl` as the developer.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.kubectl_as(&self.developer).command(args)
    }

    /// Runs `kubectl` as the developer, whatever becomes of it.
    pub(crate) fn attempt(&self, args: &[&str]) -> Output {
        self.kubectl_as(&self.developer).attempt(args)
    }

    /// Runs `kubectl` as the administrator; fails when it does.
    #[track_caller]
    pub(crate) fn admin(&self, args: &[&str], stdin: &str) -> String {
        self.kubectl_as(&self.admin).feed(args, stdin)
    }

    /// Makes a project, as its developer would.
    #[track_caller]
    pub(crate) fn project(&self, name: &str) -> Space<'_> {
        let request = json!({
            "apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest", "metadata": {"name": name},
        });
        let path = "/apis/project.openshift.io/v1/projectrequests";
        let developer = self.kubectl_as(&self.developer);
        developer.feed(&["create", "--raw", path, "-f", "-"], &request.to_string());
        self.absent(name)
    }

    /// A project that is not made here.
    pub(crate) fn absent(&self, name: &str) -> Space<'_> {
        let (user, admin) = (
            self.kubectl_as(&self.developer),
            self.kubectl_as(&self.admin),
        );
        Space {
            cluster: self,
            project: Project::new(name, user, admin, KINDS),
        }
    }

    /// Makes a storage class: claims that name it wait for it.
    pub(crate) fn storage_class(&self, name: &str) {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name}, "provisioner": "openshifter.test/local",
        });
        self.admin(&["create", "-f", "-"], &class.to_string());
    }

    /// How many logins are valid, besides the one that tests use.
    pub(crate) fn sessions(&self) -> usize {
        let tokens = self.admin(&["get", "oauthaccesstokens", "-o", "name"], "");
        tokens.lines().count() - 1
    }

    /// Where the router listens, as in `127.0.0.1:8080`.
    pub(crate) fn router(&self) -> String {
        self.inner().router_addr().to_string()
    }

    /// Asks the router for a page of a host.
    pub(crate) fn page(&self, host: &str, path: &str) -> (u16, String) {
        self.ask_router(host, path, &[])
    }

    /// Asks the router, with more arguments for curl.
    pub(crate) fn ask_router(&self, host: &str, path: &str, more: &[&str]) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*"])
            .args(["--write-out", "\n%{http_code}", "--header"])
            .arg(format!("Host: {host}"))
            .args(more)
            .arg(format!("http://{}{path}", self.inner().router_addr()));
        let answer = run(&mut curl, b"");
        let (body, status) = answer.rsplit_once('\n').expect("curl adds a line");
        (status.parse().expect("it is a number"), body.to_owned())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.runtime.block_on(inner.stop());
        }
    }
}

/// The name of the object that stands for a login token: OpenShift keeps the SHA-256 only.
pub(crate) fn token_name(token: &str) -> String {
    use base64::Engine as _;
    let mut sum = Command::new("sha256sum");
    let hex = run(&mut sum, token.trim_start_matches("sha256~").as_bytes());
    let digest: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("it is hexadecimal"))
        .collect();
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    format!("sha256~{encoded}")
}
