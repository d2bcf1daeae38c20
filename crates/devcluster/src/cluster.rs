//! The facade: a whole cluster, started and stopped.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openshifter_apiserver::{ApiServer, ApiServerConfig, Backends, Store, User};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use secrecy::SecretString;
use serde_json::json;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::DropGuard;

use crate::backends::{Builds, OwnRegistries};
use crate::builds::Builder;
use crate::catalogue;
use crate::config::Config;
use crate::controllers::Controllers;
use crate::error::DevClusterError;
use crate::images::{self, Images};
use crate::node::{Backend, Node, NodeConfig};
use crate::object::{self, resources};
use crate::passwords::{self, Passwords};
use crate::registry::{self, Registry, Rights};
use crate::router::{Router, Tls};
use crate::sandbox;

/// A running cluster. Dropping it ends its processes, too, but only [`DevCluster::stop`] waits for that.
pub struct DevCluster {
    server: ApiServer,
    router: Router,
    controllers: Controllers,
    node: Node,
    builder: Builder,
    registry: Option<Registry>,
    passwords: Passwords,
    kubeconfig: PathBuf,
    _ending: DropGuard,
    // Held until the cluster is gone.
    _lock: OwnedFd,
}

impl DevCluster {
    /// Starts a cluster. It is ready to be used when this returns.
    ///
    /// # Errors
    ///
    /// When sandboxes cannot be made here, an address is taken, or the data folder cannot be used.
    pub async fn start(config: Config) -> Result<Self, DevClusterError> {
        check_name(&config.name)?;
        let root = sandbox::check(config.sandbox, rustix::process::geteuid().is_root()).await?;
        let data_dir = config.data_dir.clone();
        let failed = |source: std::io::Error| DevClusterError::DataDir {
            path: data_dir.clone(),
            source,
        };
        make_private(&config.data_dir).map_err(failed)?;
        let data = config.data_dir.canonicalize().map_err(failed)?;
        let agent = usable_agent(&config.agent, &data, root)?;

        let lock = lock(&data)?;
        let passwords = passwords::complete(config.users);
        passwords::write(&data.join("passwords"), &passwords).map_err(failed)?;

        let images = Images::open(&data).map_err(failed)?;
        let node = Node::new(NodeConfig {
            name: config.name.clone(),
            data_dir: data.clone(),
            agent,
            sandbox: config.sandbox,
            root,
            images: images.clone(),
        })
        .map_err(failed)?;

        let mut server_config = ApiServerConfig::new(&config.name, data.join("api"));
        server_config.listen = config.listen;
        server_config.openshift = config.openshift;
        server_config.first_uid = config.uid_base.and_then(|uid| u32::try_from(uid).ok());
        server_config.users = passwords
            .iter()
            .map(|(name, password)| User {
                name: name.clone(),
                password: password.clone(),
            })
            .collect();
        let backend = Arc::new(Backend::new(node.clone()));
        let builds = Arc::new(Builds::default());
        let registries = Arc::new(OwnRegistries::new(images.clone()));
        let backends = Backends {
            node: Arc::clone(&backend) as _,
            builds: Arc::clone(&builds) as _,
            registries: Arc::clone(&registries) as _,
        };
        let server = ApiServer::start_with(server_config, backends)
            .await
            .map_err(DevClusterError::ApiServer)?;
        let store = server.store();
        furnish(&store, &node, &images)?;
        let registry = match config.openshift {
            true => Some(start_registry(
                &server,
                &node,
                &images,
                config.expose_registry,
            )?),
            false => None,
        };
        backend.connect(store.clone(), registry.clone());
        registries.connect(store.clone());
        let builder = Builder::new(
            store.clone(),
            images.clone(),
            node.clone(),
            data.join("builds"),
        )
        .map_err(failed)?;
        builds.connect(builder.clone());

        let kubeconfig = data.join("admin.kubeconfig");
        write_private(&kubeconfig, &server.admin_kubeconfig()).map_err(failed)?;

        let tls = router_tls(&server, &config.name)?;
        let router = Router::start(
            config.router,
            store.clone(),
            Arc::clone(&backend) as _,
            Some(tls),
        )
        .await
        .map_err(|source| DevClusterError::Router {
            address: config.router,
            source,
        })?;
        let port = router.addr().port();
        let controllers = Controllers::start(&store, &node, images, builder.clone(), port);
        let ending = node.guard();
        let rights: Option<Arc<dyn Rights>> = match config.openshift {
            true => Some(Arc::new(server.access())),
            false => None,
        };
        node.run(store, rights, backend).map_err(failed)?;
        Ok(Self {
            server,
            router,
            controllers,
            node,
            builder,
            registry,
            passwords,
            kubeconfig,
            _ending: ending,
            _lock: lock,
        })
    }

    /// Address of the API, `https://127.0.0.1:6443`.
    pub fn api_url(&self) -> String {
        format!("https://{}", self.server.addr())
    }

    /// Where the router listens.
    pub fn router_addr(&self) -> SocketAddr {
        self.router.addr()
    }

    /// Certificate of the authority that signed the API server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.server.ca_pem()
    }

    /// A kubeconfig file of the administrator, mode 0600.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A user's password. All of them are also in the file `passwords` of the data folder, mode 0600.
    pub fn password(&self, user: &str) -> Option<&SecretString> {
        self.passwords.get(user)
    }

    /// All objects, for tests that look behind the API.
    pub fn store(&self) -> Store {
        self.server.store()
    }

    /// Ends everything: returns when no process of the cluster is left.
    pub async fn stop(self) {
        self.controllers.stop().await;
        self.router.stop().await;
        self.builder.stop().await;
        if let Some(registry) = &self.registry {
            registry.stop().await;
        }
        self.node.stop().await;
        if let Err(error) = self.server.stop().await {
            tracing::warn!(%error, "the API server did not keep its objects");
        }
    }
}

impl std::fmt::Debug for DevCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCluster")
            .field("api", &self.api_url())
            .finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<(), DevClusterError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > 40
        || !name.chars().all(good)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        return Err(DevClusterError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = passwords::private(path)?;
    file.write_all(text.as_bytes())
}

/// Takes the data folder for this cluster alone.
fn lock(data: &Path) -> Result<OwnedFd, DevClusterError> {
    let failed = |source| DevClusterError::DataDir {
        path: data.to_owned(),
        source,
    };
    let file = passwords::private_lock(&data.join("lock")).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(DevClusterError::InUse {
            path: data.to_owned(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

/// The agent's path as sandboxes can use it. As root it is run by other users, so one that only its
/// owner may run is copied.
fn usable_agent(agent: &Path, data: &Path, root: bool) -> Result<PathBuf, DevClusterError> {
    let bad = || DevClusterError::Agent {
        path: agent.to_owned(),
    };
    let path = agent.canonicalize().map_err(|_| bad())?;
    let mode = path.metadata().map_err(|_| bad())?.permissions().mode();
    if !path.is_file() || mode & 0o111 == 0 {
        return Err(bad());
    }
    if !root || mode & 0o005 == 0o005 {
        return Ok(path);
    }
    let copy = data.join("agent");
    let copied = fs_err::copy(&path, &copy)
        .and_then(|_| fs_err::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)));
    copied.map_err(|source| DevClusterError::DataDir {
        path: copy.clone(),
        source,
    })?;
    Ok(copy)
}

/// The router's certificate, for all hosts that Routes get by themselves; and its trust in the
/// cluster's authority, whose certificates pods show.
fn router_tls(server: &ApiServer, name: &str) -> Result<Tls, DevClusterError> {
    let apps = format!("*.apps.{name}.test");
    let accepting = server
        .serving_config(&[&apps, "localhost"])
        .map_err(DevClusterError::ApiServer)?;
    let failed = |what: String| DevClusterError::Prepare { what };
    let authority = CertificateDer::from_pem_slice(server.ca_pem().as_bytes())
        .map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots
        .add(authority)
        .map_err(|error| failed(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let connecting = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls {
        acceptor: TlsAcceptor::from(Arc::new(accepting)),
        connector: TlsConnector::from(Arc::new(connecting)),
    })
}

/// Starts the cluster's own image registry.
fn start_registry(
    server: &ApiServer,
    node: &Node,
    images: &Images,
    exposed: bool,
) -> Result<Registry, DevClusterError> {
    let store = server.store();
    registry::furnish(&store, exposed)
        .and_then(|()| catalogue::furnish(&store, images))
        .map_err(|error| DevClusterError::Prepare {
            what: error.message().to_owned(),
        })?;
    let tls = server
        .serving_config(&registry::HOST_NAMES)
        .map_err(DevClusterError::ApiServer)?;
    Ok(Registry::start(
        images.blobs().clone(),
        store,
        Arc::new(server.access()),
        TlsAcceptor::from(Arc::new(tls)),
        node.name().to_owned(),
        node.host_ip(),
    ))
}

/// Makes the objects that every cluster has: its node and its storage classes.
fn furnish(store: &Store, node: &Node, images: &Images) -> Result<(), DevClusterError> {
    let class = |name: &str, mode: &str, default: &str| {
        json!({
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": default},
            },
            "provisioner": crate::controllers::PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": mode,
            "allowVolumeExpansion": false,
        })
    };
    let name = node.name();
    let machine = json!({
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": images::architecture(),
                "node-role.kubernetes.io/worker": "",
            },
        },
        "spec": {},
    });
    let wanted = [
        (
            resources::storage_classes(),
            class("standard", "Immediate", "true"),
        ),
        (
            resources::storage_classes(),
            class("local", "WaitForFirstConsumer", "false"),
        ),
        (resources::nodes(), machine),
    ];
    let failed = |error: openshifter_apiserver::ApiError| DevClusterError::Prepare {
        what: error.message().to_owned(),
    };
    for (resource, object) in wanted {
        if store.get(&resource, None, object::name(&object)).is_none() {
            store.create(&resource, None, object).map_err(failed)?;
        }
    }
    let now = object::now();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        })
    };
    let status = json!({
        "capacity": {"cpu": "2", "memory": "4Gi", "pods": "250"},
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "250"},
        "addresses": [
            {"type": "InternalIP", "address": node.host_ip()},
            {"type": "Hostname", "address": name},
        ],
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            condition("Ready", "True", "KubeletReady"),
        ],
        "nodeInfo": {
            "operatingSystem": "linux",
            "architecture": images::architecture(),
            "osImage": "Openshifter devcluster",
            "containerRuntimeVersion": "bubblewrap://0",
            "kubeletVersion": "v1.36.2",
            "kernelVersion": "",
            "bootID": "",
            "machineID": "",
            "systemUUID": "",
            "kubeProxyVersion": "",
        },
        "images": images.names().into_iter().map(|name| json!({"names": [name]})).collect::<Vec<_>>(),
    });
    store
        .update_status(&resources::nodes(), None, name, |node| {
            node["status"] = status.clone()
        })
        .map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(check_name("minishift").is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", "../x", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
