//! The router: answers for admitted Routes, by the request's host and path. Plain HTTP and TLS come in
//! on one port: the first byte tells which it is.

mod proxy;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openshifter_apiserver::{NodeBackend, Store};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use table::{Backend, service_backends};

/// The first byte of a TLS connection: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// What the router shows to clients, and what it believes of pods that speak TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) connector: TlsConnector,
}

/// What connections are answered with.
#[derive(Clone)]
struct Service {
    store: Store,
    backend: Arc<dyn NodeBackend>,
    tls: Option<Tls>,
}

/// A router that listens.
#[derive(Debug)]
pub(crate) struct Router {
    address: SocketAddr,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Router {
    /// Listens and serves until it is stopped.
    pub(crate) async fn start(
        address: SocketAddr,
        store: Store,
        backend: Arc<dyn NodeBackend>,
        tls: Option<Tls>,
    ) -> std::io::Result<Self> {
        let service = Service {
            store,
            backend,
            tls,
        };
        let listener = TcpListener::bind(address).await?;
        let router = Self {
            address: listener.local_addr()?,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (stopping, tasks) = (router.stopping.clone(), router.tasks.clone());
        router.tasks.spawn(async move {
            while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
                let Ok((connection, client)) = accepted else {
                    // Out of file descriptors, say; the next one may do.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let serving = serve(connection, client, service.clone());
                let stopping = stopping.clone();
                tasks.spawn(async move { stopping.run_until_cancelled(serving).await });
            }
        });
        Ok(router)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn serve(connection: TcpStream, client: SocketAddr, service: Service) {
    let _ = connection.set_nodelay(true);
    let mut first = [0];
    let is_tls = matches!(connection.peek(&mut first).await, Ok(1) if first == [HANDSHAKE]);
    match &service.tls {
        Some(tls) if is_tls => match tls.acceptor.accept(connection).await {
            Ok(connection) => serve_http(connection, client, service, true).await,
            Err(error) => tracing::debug!(%error, "a client of the router does not speak its TLS"),
        },
        _ => serve_http(connection, client, service, false).await,
    }
}

async fn serve_http(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    client: SocketAddr,
    service: Service,
    is_tls: bool,
) {
    let service =
        service_fn(move |request| proxy::answer(request, client, service.clone(), is_tls));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the router ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use openshifter_apiserver::{
        Duplex, ExecRequest, ExecSession, LogRequest, NodeError, ResourceId,
    };
    use serde_json::json;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

    /// A pod that answers an upgrade by echoing, and says what it was asked.
    struct Pod;

    impl NodeBackend for Pod {
        fn exec(&self, _: ExecRequest) -> BoxFuture<'_, Result<ExecSession, NodeError>> {
            async { Err(NodeError::Unsupported("exec".into())) }.boxed()
        }

        fn logs(
            &self,
            _: LogRequest,
        ) -> BoxFuture<'_, Result<Box<dyn AsyncRead + Send + Unpin>, NodeError>> {
            async { Err(NodeError::Unsupported("logs".into())) }.boxed()
        }

        fn port(
            &self,
            namespace: &str,
            pod: &str,
            port: u16,
        ) -> BoxFuture<'_, Result<Box<dyn Duplex>, NodeError>> {
            assert_eq!((namespace, pod, port), ("shop", "web-1", 8080));
            let (near, mut far) = tokio::io::duplex(1024);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(far.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(head.contains("x-forwarded-for: 127.0.0.1"), "{head}");
                assert!(
                    head.contains("upgrade: echo") && head.contains("connection: upgrade"),
                    "{head}"
                );
                let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
                far.write_all(answer.as_bytes()).await.unwrap();
                let (mut from, mut to) = tokio::io::split(far);
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
            async move { Ok(Box::new(near) as Box<dyn Duplex>) }.boxed()
        }
    }

    #[tokio::test]
    async fn a_connection_may_change_its_protocol() {
        let store = Store::in_memory("test");
        let make = |resource: &ResourceId, namespace, object| {
            store.create(resource, namespace, object).unwrap();
        };
        use crate::object::resources;
        make(
            &ResourceId::core("namespaces"),
            None,
            json!({"metadata": {"name": "shop"}}),
        );
        let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
        make(&resources::services(), Some("shop"), service);
        let endpoints = json!({"metadata": {"name": "web"}, "subsets": [{
            "addresses": [{"ip": "10.0.0.2", "targetRef": {"kind": "Pod", "name": "web-1"}}],
            "ports": [{"port": 8080}],
        }]});
        make(&resources::endpoints(), Some("shop"), endpoints);
        let route = json!({
            "metadata": {"name": "web"},
            "spec": {"host": "web.test", "to": {"kind": "Service", "name": "web"}},
        });
        make(&resources::routes(), Some("shop"), route);
        let admitted = json!([{"conditions": [{"type": "Admitted", "status": "True"}]}]);
        store
            .update_status(&resources::routes(), Some("shop"), "web", |route| {
                route["status"]["ingress"] = admitted.clone();
            })
            .unwrap();

        let router = Router::start(
            ([127, 0, 0, 1], 0).into(),
            store.clone(),
            Arc::new(Pod),
            None,
        )
        .await
        .unwrap();
        let mut client = TcpStream::connect(router.addr()).await.unwrap();
        let request = "GET /socket HTTP/1.1\r\nHost: web.test\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        client.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        client.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
        router.stop().await;
    }
}
