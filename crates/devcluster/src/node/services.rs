//! Services as containers find them: names, variables, and the way of a connection to a pod.
//!
//! A container has a network of its own, in which every Service has an address of the loopback network
//! (127 in the place of the first number of its cluster address). Its agent takes connections there and
//! hands them to the node, which finds a pod.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use openshifter_apiserver::{Duplex, NodeBackend, Store};
use rand::RngExt;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};

use super::pod::PodRun;
use super::{Node, calls};
use crate::agent::wire::Request;
use crate::object::{self, list, number, resources, text};
use crate::router::{Backend, service_backends};

/// Name of the socket where the node takes connections for Services.
const UPLINK: &str = "services";

/// Most ports that a container is offered; those of its own project come first.
const MOST: usize = 256;

/// A Service's address inside containers.
fn address(service: &Value) -> Option<Ipv4Addr> {
    let cluster: Ipv4Addr = text(service, "/spec/clusterIP").parse().ok()?;
    let [_, rest @ ..] = cluster.octets();
    let [b, c, d] = rest;
    Some(Ipv4Addr::new(127, b, c, d))
}

fn ports(service: &Value) -> impl Iterator<Item = u16> {
    list(service, "/spec/ports")
        .iter()
        .filter(|port| matches!(text(port, "/protocol"), "" | "TCP"))
        .filter_map(|port| u16::try_from(number(port, "/port")?).ok())
}

/// The Services of all projects, those of this one first.
fn by_distance(store: &Store, namespace: &str) -> Vec<Value> {
    let mut all = store.list(&resources::services(), None);
    all.sort_by_key(|service| object::namespace(service) != namespace);
    all
}

/// Where a container of this project is to take connections; not on ports that it listens on itself.
pub(super) fn offered(store: &Store, namespace: &str, own: &[u16]) -> Vec<SocketAddrV4> {
    by_distance(store, namespace)
        .iter()
        .filter_map(|service| Some((address(service)?, service)))
        .flat_map(|(address, service)| {
            ports(service).map(move |port| SocketAddrV4::new(address, port))
        })
        .filter(|address| !own.contains(&address.port()))
        .take(MOST)
        .collect()
}

/// Lines of `/etc/hosts` with the names of Services.
pub(super) fn hosts(store: &Store, namespace: &str) -> String {
    let mut lines = String::new();
    for service in by_distance(store, namespace).iter().take(MOST) {
        let Some(address) = address(service) else {
            continue;
        };
        let (name, of) = (object::name(service), object::namespace(service));
        let short = if of == namespace {
            format!("{name} ")
        } else {
            String::new()
        };
        lines.push_str(&format!(
            "{address}\t{short}{name}.{of} {name}.{of}.svc {name}.{of}.svc.cluster.local\n"
        ));
    }
    lines
}

/// The variables that say where the Services of a project are, as a kubelet sets them.
pub(super) fn variables(store: &Store, namespace: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in store.list(&resources::services(), Some(namespace)) {
        let Some(address) = address(&service) else {
            continue;
        };
        let prefix = object::name(&service).to_uppercase().replace('-', "_");
        for (at, port) in list(&service, "/spec/ports").iter().enumerate() {
            let Some(number) = number(port, "/port") else {
                continue;
            };
            let protocol = match text(port, "/protocol") {
                "" => "TCP",
                protocol => protocol,
            };
            let url = format!("{}://{address}:{number}", protocol.to_lowercase());
            let mut set = |name: String, value: String| variables.insert(name, value);
            if at == 0 {
                set(format!("{prefix}_SERVICE_HOST"), address.to_string());
                set(format!("{prefix}_SERVICE_PORT"), number.to_string());
                set(format!("{prefix}_PORT"), url.clone());
            }
            let name = text(port, "/name");
            if !name.is_empty() {
                let name = name.to_uppercase().replace('-', "_");
                set(format!("{prefix}_SERVICE_PORT_{name}"), number.to_string());
            }
            let each = format!("{prefix}_PORT_{number}_{protocol}");
            set(format!("{each}_PROTO"), protocol.to_lowercase());
            set(format!("{each}_PORT"), number.to_string());
            set(format!("{each}_ADDR"), address.to_string());
            set(each, url);
        }
    }
    variables
}

impl Node {
    /// Where the socket for connections to Services is on the machine.
    pub(super) fn uplink(&self) -> std::path::PathBuf {
        self.inner.config.data_dir.join("run").join(UPLINK)
    }

    /// Takes connections of containers to Services until the node is stopped.
    pub(super) fn serve_services(
        &self,
        store: Store,
        backend: Arc<dyn NodeBackend>,
    ) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let listener = self.inner.sockets.listen(UPLINK)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        // Containers run as other users.
        fs_err::set_permissions(self.uplink(), std::fs::Permissions::from_mode(0o666))?;
        let (stopping, tasks) = (self.inner.stopping.clone(), self.inner.tasks.clone());
        self.inner.tasks.spawn(async move {
            while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
                let Ok((connection, _)) = accepted else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let passing = pass_on(connection, store.clone(), Arc::clone(&backend));
                let stopping = stopping.clone();
                tasks.spawn(async move { stopping.run_until_cancelled(passing).await });
            }
        });
        Ok(())
    }

    /// Tells running containers of Services that have come or gone.
    pub(super) fn services_changed(&self) {
        let runs: Vec<Arc<PodRun>> = self.pods().running.values().cloned().collect();
        for run in runs {
            self.inner
                .tasks
                .spawn(async move { run.tell_services().await });
        }
    }
}

impl PodRun {
    /// Writes the names and offers the addresses of Services anew.
    async fn tell_services(&self) {
        let namespace = object::namespace(&self.pod);
        if let Err(error) = self.write_hosts() {
            tracing::debug!(%error, "the names of Services were not written");
        }
        for target in self.all_targets() {
            let addresses = offered(&self.store, namespace, &target.own_ports);
            let request = Request::Services { addresses };
            // A container that has ended needs none.
            let _ = self.node.inner.sockets.call(&target.socket, &request).await;
        }
    }
}

/// Carries one connection to a pod of the Service that it is for.
async fn pass_on(mut connection: UnixStream, store: Store, backend: Arc<dyn NodeBackend>) {
    let Ok(wanted) = calls::receive::<SocketAddrV4>(&mut connection).await else {
        return;
    };
    let Some(mut pod) = reach(&store, &*backend, wanted).await else {
        // Its end tells the client.
        return;
    };
    let _ = tokio::io::copy_bidirectional(&mut connection, &mut pod).await;
}

async fn reach(
    store: &Store,
    node: &dyn NodeBackend,
    wanted: SocketAddrV4,
) -> Option<Box<dyn Duplex>> {
    let services = store.list(&resources::services(), None);
    let service = services
        .iter()
        .find(|service| address(service) == Some(*wanted.ip()))?;
    let mut backends = service_backends(store, service, wanted.port());
    if !backends.is_empty() {
        let first = rand::rng().random_range(0..backends.len());
        backends.rotate_left(first);
    }
    for Backend {
        namespace,
        pod,
        port,
        ..
    } in backends
    {
        if let Ok(stream) = node.port(&namespace, &pod, port).await {
            return Some(stream);
        }
    }
    None
}

/// Writes the frame that asks for a Service, as an agent does.
#[cfg(test)]
async fn ask(to: &mut UnixStream, wanted: SocketAddrV4) {
    use crate::agent::wire::{self, Frame, Kind};
    let frame = Frame::json(Kind::Request, &wanted).unwrap();
    wire::send(to, &frame).await.unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use openshifter_apiserver::ResourceId;
    use serde_json::json;

    #[test]
    fn services_have_names_variables_and_addresses() {
        let store = Store::in_memory("test");
        for name in ["shop", "other"] {
            let namespace = json!({"metadata": {"name": name}});
            store
                .create(&ResourceId::core("namespaces"), None, namespace)
                .unwrap();
        }
        let make = |namespace: &str, name: &str, ip: &str| {
            let service = json!({
                "metadata": {"name": name},
                "spec": {"clusterIP": ip, "ports": [{"name": "sql", "port": 5432}, {"name": "web", "port": 8080}]},
            });
            store
                .create(&resources::services(), Some(namespace), service)
                .unwrap();
        };
        make("other", "cache", "172.30.0.7");
        make("shop", "my-db", "172.30.1.2");
        make("shop", "headless", "None");
        insta::assert_snapshot!(hosts(&store, "shop"), @r"
        127.30.1.2	my-db my-db.shop my-db.shop.svc my-db.shop.svc.cluster.local
        127.30.0.7	cache.other cache.other.svc cache.other.svc.cluster.local
        ");
        let offered: Vec<String> = offered(&store, "shop", &[8080])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(offered, ["127.30.1.2:5432", "127.30.0.7:5432"]);
        let variables = variables(&store, "shop");
        assert_eq!(variables["MY_DB_SERVICE_HOST"], "127.30.1.2");
        assert_eq!(variables["MY_DB_SERVICE_PORT_SQL"], "5432");
        assert_eq!(variables["MY_DB_PORT_8080_TCP_PORT"], "8080");
        assert!(!variables.keys().any(|name| name.starts_with("CACHE")));
    }

    #[tokio::test]
    async fn a_connection_to_no_service_is_ended() {
        let store = Store::in_memory("test");
        let (near, mut far) = UnixStream::pair().unwrap();
        let node = Arc::new(openshifter_apiserver::NoNode);
        let passing = tokio::spawn(pass_on(near, store, node));
        ask(
            &mut far,
            SocketAddrV4::new(Ipv4Addr::new(127, 30, 0, 1), 80),
        )
        .await;
        passing.await.unwrap();
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut far, &mut rest)
            .await
            .unwrap();
        assert!(rest.is_empty());
    }
}
