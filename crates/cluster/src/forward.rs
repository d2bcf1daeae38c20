//! Ports of pods, reached through the API server: no exposure, no route, only the right to forward ports.
//!
//! A pair of channels of one WebSocket is one connection to the port: bytes travel on the first, an error on the
//! second, and each begins with the port's number.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use openshifter_objects::{GroupKind, Object, places};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::answer::shortened;
use crate::call::{Call, segment};
use crate::{Cluster, ClusterError};

const DATA: u8 = 0;
const ERROR: u8 = 1;

/// Bytes per message to the server; some servers read into buffers of this size.
const FRAME: usize = 32 << 10;

/// Load balancers close connections on which nothing moves.
const PING: Duration = Duration::from_secs(15);

/// A port of a pod that is reached at an address of this machine, for as long as this value lives.
///
/// Each connection to the address is one to the port. Other users of this machine may connect, too: what listens at
/// the port has to ask for credentials by itself, as it does within the cluster.
#[derive(Debug)]
pub struct PortForward {
    address: SocketAddr,
    failure: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Drop for PortForward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PortForward {
    /// The address: `127.0.0.1` and a port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the last connection that failed did, since whoever connects sees no more than its end.
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Where connections go.
#[derive(Debug, Clone)]
struct Target {
    namespace: String,
    pod: String,
    port: u16,
}

impl Cluster {
    /// Makes a port of a pod reachable at an address of this machine.
    ///
    /// # Errors
    /// When the pod is not there, nothing in it listens, or this user may not forward ports: one connection is tried.
    pub async fn forward_pod(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<PortForward, ClusterError> {
        self.forward_pod_at(namespace, pod, port, 0).await
    }

    /// [`Cluster::forward_pod`] at a port of this machine that the caller chooses; 0 for a free one.
    ///
    /// # Errors
    /// As [`Cluster::forward_pod`], and when the port of this machine is taken.
    pub async fn forward_pod_at(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        local: u16,
    ) -> Result<PortForward, ClusterError> {
        let target = Target {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
        };
        let cluster = self.clone();
        let fixed = target.clone();
        self.listen(target, local, move || {
            let (_, fixed) = (&cluster, fixed.clone());
            async move { Ok(fixed) }
        })
        .await
    }

    /// Makes a port of a service reachable at an address of this machine. Each connection goes to a pod that is ready
    /// at that time.
    ///
    /// # Errors
    /// When the service is not there or has no such port, none of its pods is ready, or this user may not look or
    /// forward ports: one connection is tried.
    pub async fn forward_service(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
    ) -> Result<PortForward, ClusterError> {
        self.forward_service_at(namespace, service, port, 0).await
    }

    /// [`Cluster::forward_service`] at a port of this machine that the caller chooses; 0 for a free one.
    ///
    /// # Errors
    /// As [`Cluster::forward_service`], and when the port of this machine is taken.
    pub async fn forward_service_at(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
        local: u16,
    ) -> Result<PortForward, ClusterError> {
        let target = self.pod_of(namespace, service, port).await?;
        let (cluster, namespace, service) =
            (self.clone(), namespace.to_owned(), service.to_owned());
        self.listen(target, local, move || {
            let (cluster, namespace, service) =
                (cluster.clone(), namespace.clone(), service.clone());
            async move { cluster.pod_of(&namespace, &service, port).await }
        })
        .await
    }

    async fn listen<F>(
        &self,
        first: Target,
        local: u16,
        again: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<PortForward, ClusterError>
    where
        F: Future<Output = Result<Target, ClusterError>> + Send,
    {
        let failed = |reason: String| self.forward_failed(&first, reason);
        // Whether it works is known now, and not when somebody connects.
        drop(self.open_port(&first).await?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, local))
            .await
            .map_err(|error| failed(format!("port {local} of this machine: {error}")))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        let (cluster, told) = (self.clone(), failure.clone());
        let task = tokio::spawn(async move {
            let mut target = first;
            let mut connections = JoinSet::new();
            loop {
                // Ended ones are forgotten, and all of them end with this task.
                while connections.try_join_next().is_some() {}
                let accepted = listener.accept().await;
                let Ok((tcp, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let opened = match cluster.open_port(&target).await {
                    Ok(socket) => Ok(socket),
                    // The pod may have been replaced by another.
                    Err(error) => match again().await {
                        Ok(other) => {
                            target = other;
                            cluster.open_port(&target).await
                        }
                        Err(_) => Err(error),
                    },
                };
                match opened {
                    Ok(socket) => {
                        let told = told.clone();
                        connections.spawn(async move {
                            if let Err(reason) = carry(tcp, socket).await {
                                tell(&told, reason);
                            }
                        });
                    }
                    Err(error) => tell(&told, error.to_string()),
                }
            }
        });
        Ok(PortForward {
            address,
            failure,
            task,
        })
    }

    async fn open_port(
        &self,
        target: &Target,
    ) -> Result<WebSocketStream<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>, ClusterError>
    {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/portforward",
            segment(&target.namespace, "a namespace")?,
            segment(&target.pod, "a pod")?
        );
        let action = format!(
            "forward port {} of Pod/{} in namespace {}",
            target.port, target.pod, target.namespace
        );
        let call = Call::get(path, action).query("ports", target.port.to_string());
        let connection = self
            .upgrade(&call, &|reason| self.forward_failed(target, reason))
            .await?;
        Ok(connection.into_stream())
    }

    fn forward_failed(&self, target: &Target, reason: String) -> ClusterError {
        ClusterError::ForwardFailed {
            cluster: self.name().to_owned(),
            target: format!("Pod/{} in namespace {}", target.pod, target.namespace),
            port: target.port,
            reason,
        }
    }

    /// A pod of a service that is ready, and the port of it that a port of the service leads to.
    async fn pod_of(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
    ) -> Result<Target, ClusterError> {
        let failed = |reason: &str| ClusterError::ForwardFailed {
            cluster: self.name().to_owned(),
            target: format!("Service/{service} in namespace {namespace}"),
            port,
            reason: reason.to_owned(),
        };
        let object = self
            .get(&GroupKind::new("", "Service"), Some(namespace), service)
            .await?
            .ok_or_else(|| failed("there is no such service"))?;
        let (_, entry) = places(object.value(), "/spec/ports/*")
            .into_iter()
            .find(|(_, entry)| entry["port"] == port)
            .ok_or_else(|| failed("the service has no such port"))?;
        let selector: Vec<String> = object
            .value()
            .pointer("/spec/selector")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
            .collect();
        if selector.is_empty() {
            return Err(failed("the service selects no pods"));
        }
        let pods = self.resource(&GroupKind::new("", "Pod")).await?;
        let pods = self
            .list(&pods, Some(namespace), Some(&selector.join(",")))
            .await?;
        let pod = pods
            .iter()
            .find(|pod| is_ready(pod))
            .ok_or_else(|| failed("none of its pods is ready"))?;
        let target_port = match &entry["targetPort"] {
            Value::String(name) => places(pod.value(), "/spec/containers/*/ports/*")
                .into_iter()
                .find(|(_, one)| one["name"] == **name)
                .and_then(|(_, one)| one["containerPort"].as_u64()),
            Value::Number(number) => number.as_u64(),
            _ => Some(u64::from(port)),
        };
        Ok(Target {
            namespace: namespace.to_owned(),
            pod: pod.name().to_owned(),
            port: target_port
                .and_then(|port| u16::try_from(port).ok())
                .ok_or_else(|| failed("its pods have no such port"))?,
        })
    }
}

fn is_ready(pod: &Object) -> bool {
    pod.value().pointer("/metadata/deletionTimestamp").is_none()
        && places(pod.value(), "/status/conditions/*")
            .into_iter()
            .any(|(_, condition)| condition["type"] == "Ready" && condition["status"] == "True")
}

fn tell(failure: &Mutex<Option<String>>, reason: String) {
    tracing::debug!(reason, "a forwarded connection failed");
    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
}

/// Carries bytes both ways until one side ends.
async fn carry<S>(tcp: TcpStream, socket: WebSocketStream<S>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = tcp.set_nodelay(true);
    let (mut from_us, mut to_us) = tcp.into_split();
    let (mut sink, mut stream) = socket.split();
    let send = async {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        loop {
            let mut frame = BytesMut::with_capacity(FRAME + 1);
            frame.put_u8(DATA);
            let message = tokio::select! {
                read = async { (&mut from_us).take(FRAME as u64).read_buf(&mut frame).await } => match read {
                    // The protocol has no way to end one direction only.
                    Ok(0) | Err(_) => return,
                    Ok(_) => Message::Binary(frame.freeze()),
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                // What the other side still has for us says why.
                std::future::pending::<()>().await;
            }
        }
    };
    let receive = async {
        let mut begun = [false; 2];
        loop {
            let bytes = match stream.next().await {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(shortened(&error.to_string())),
            };
            let Some((&channel, payload)) = bytes.split_first() else {
                continue;
            };
            let Some(first) = begun.get_mut(usize::from(channel)) else {
                continue;
            };
            if !*first {
                // The number of the port.
                *first = true;
                continue;
            }
            if channel == ERROR && !payload.is_empty() {
                return Err(shortened(&String::from_utf8_lossy(payload)));
            }
            if channel == DATA && to_us.write_all(payload).await.is_err() {
                return Ok(());
            }
        }
    };
    let result = tokio::select! {
        () = send => Ok(()),
        result = receive => result,
    };
    let _ = to_us.shutdown().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
    result
}
