//! Commands over a bare WebSocket, whose two directions wait for nothing of each other.

use std::sync::Arc;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::Cluster;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// The sending side of a session.
pub(crate) struct Input(SplitSink<Socket, Message>);

/// The receiving side of a session.
pub(crate) struct Output(SplitStream<Socket>);

/// Runs a command in the only container of a pod, with standard input and output.
pub(crate) async fn exec(
    cluster: &Cluster,
    user: &str,
    pod: &str,
    command: &[&str],
) -> (Input, Output) {
    let words: String = command
        .iter()
        .map(|word| format!("&command={}", word.replace(' ', "%20").replace(';', "%3B")))
        .collect();
    let address = cluster.inner.api_url().replace("https://", "");
    let path = format!("/api/v1/namespaces/shop/pods/{pod}/exec?stdin=1&stdout=1{words}");
    let mut request = format!("wss://{address}{path}")
        .into_client_request()
        .unwrap();
    let token = cluster.token(user).await;
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    headers.insert(
        "sec-websocket-protocol",
        "v5.channel.k8s.io".parse().unwrap(),
    );
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(cluster.inner.ca_pem().as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(&address).await.unwrap();
    let name = ServerName::from(stream.peer_addr().unwrap().ip());
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
        .unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let (input, output) = socket.split();
    (Input(input), Output(output))
}

impl Input {
    /// Sends all of this and closes the command's input.
    pub(crate) async fn send(mut self, bytes: &[u8]) -> Self {
        for piece in bytes.chunks(32 << 10) {
            let message = [&[0], piece].concat();
            self.0.send(Message::Binary(message.into())).await.unwrap();
        }
        let close = vec![255, 0];
        self.0.send(Message::Binary(close.into())).await.unwrap();
        self
    }
}

impl Output {
    /// What the command writes until it ends, and its status.
    pub(crate) async fn receive(mut self) -> (Vec<u8>, serde_json::Value) {
        let mut output = Vec::new();
        loop {
            let Message::Binary(bytes) = self.0.next().await.unwrap().unwrap() else {
                continue;
            };
            match bytes.split_first() {
                Some((1, data)) => output.extend_from_slice(data),
                Some((3, status)) => return (output, serde_json::from_slice(status).unwrap()),
                _ => {}
            }
        }
    }
}
