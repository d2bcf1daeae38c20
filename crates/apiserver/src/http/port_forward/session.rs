//! A SPDY connection over which ports are forwarded.
//!
//! Each connection to a port is a pair of streams of the client's, one for its bytes and one for what
//! goes wrong, which belong together by their `requestID`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Sink, SinkExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{CHUNK, Pod};
use crate::node::Duplex;
use crate::spdy::{self, Encoder, Frame, FrameReader, SpdyError};

/// Pieces of one stream that wait for the pod; the connection waits when there are more.
const WAITING: usize = 32;
/// Streams that one connection may hold open.
const STREAMS: usize = 2000;

/// A stream of the client's that is open.
struct Open {
    /// Takes its bytes to the pod; none for the stream of errors and after the client's end.
    input: Option<mpsc::Sender<Bytes>>,
    /// Ends the connection to the pod.
    gone: CancellationToken,
}

type Streams = Arc<Mutex<HashMap<u32, Open>>>;

/// The streams of a pair, as far as they have come.
#[derive(Default)]
struct Pair {
    error: Option<u32>,
    data: Option<(u32, mpsc::Receiver<Bytes>)>,
    gone: CancellationToken,
}

/// What the headers of a new stream say.
struct Opening {
    is_data: bool,
    port: u16,
    pair: String,
}

/// Reads them; none if they are not those of a forwarded port.
fn opening(stream: u32, headers: &[(String, String)]) -> Option<Opening> {
    let value = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let is_data = match value("streamtype")? {
        "data" => true,
        "error" => false,
        _ => return None,
    };
    let port = value("port")?.parse().ok().filter(|port| *port > 0)?;
    let pair = match value("requestid") {
        Some(id) if !id.is_empty() => id.to_owned(),
        // The oldest clients name none, and open the stream of errors directly before that of data.
        _ if is_data => stream.checked_sub(2)?.to_string(),
        _ => stream.to_string(),
    };
    Some(Opening {
        is_data,
        port,
        pair,
    })
}

/// Serves one SPDY connection until its client ends it.
pub(super) async fn serve<R, W>(pod: Pod, input: R, mut output: W) -> Result<(), SpdyError>
where
    R: AsyncRead + Unpin,
    W: Sink<Bytes, Error = std::io::Error> + Unpin,
{
    let (sender, mut frames) = mpsc::channel::<Bytes>(8);
    let mut session = Session {
        pod: Arc::new(pod),
        sender,
        streams: Streams::default(),
        pairs: HashMap::new(),
        encoder: Encoder::new()?,
        newest: 0,
        going: false,
        connections: JoinSet::new(),
    };
    let reading = async {
        let mut reader = FrameReader::new(input);
        while let Some(frame) = reader.next().await? {
            session.take(frame).await?;
        }
        Ok(())
    };
    let writing = async {
        while let Some(frame) = frames.recv().await {
            output.send(frame).await?;
        }
        Ok(())
    };
    // The session, and with it the sender, lives as long as it reads; its connections end with it.
    let ended = tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    };
    let _ = output.close().await;
    ended
}

struct Session {
    pod: Arc<Pod>,
    sender: mpsc::Sender<Bytes>,
    streams: Streams,
    pairs: HashMap<String, Pair>,
    encoder: Encoder,
    /// The highest number of a stream so far.
    newest: u32,
    /// The client opens no more streams.
    going: bool,
    connections: JoinSet<()>,
}

/// The writer has gone, and so has the connection.
fn broken<T>(_: mpsc::error::SendError<T>) -> SpdyError {
    SpdyError::Broken(std::io::ErrorKind::BrokenPipe.into())
}

impl Session {
    async fn take(&mut self, frame: Frame) -> Result<(), SpdyError> {
        match frame {
            Frame::Open {
                stream,
                fin,
                headers,
            } => self.open(stream, fin, &headers).await?,
            Frame::Data {
                stream,
                fin,
                payload,
            } => {
                let input = {
                    let mut streams = lock(&self.streams);
                    let open = streams.get_mut(&stream);
                    open.and_then(|open| {
                        if fin {
                            open.input.take()
                        } else {
                            open.input.clone()
                        }
                    })
                };
                // What comes for a stream that has ended is dropped.
                if let Some(input) = input.filter(|_| !payload.is_empty()) {
                    let _ = input.send(payload).await;
                }
            }
            Frame::Reset { stream } => {
                if let Some(open) = lock(&self.streams).remove(&stream) {
                    open.gone.cancel();
                }
            }
            Frame::Ping(id) => self.sender.send(spdy::ping(id)).await.map_err(broken)?,
            Frame::GoAway => self.going = true,
        }
        Ok(())
    }

    async fn open(
        &mut self,
        stream: u32,
        fin: bool,
        headers: &[(String, String)],
    ) -> Result<(), SpdyError> {
        // Streams of a client have odd numbers that grow.
        if stream.is_multiple_of(2) || stream <= self.newest {
            return Err(SpdyError::Protocol("the number of a stream"));
        }
        self.newest = stream;
        while self.connections.try_join_next().is_some() {}
        let refusal = if self.going || lock(&self.streams).len().max(self.pairs.len()) >= STREAMS {
            Some(spdy::RST_REFUSED)
        } else {
            None
        };
        let opening = match (opening(stream, headers), refusal) {
            (Some(opening), None) => opening,
            (_, refusal) => {
                let reset = spdy::reset(stream, refusal.unwrap_or(spdy::RST_CANCEL));
                return self.sender.send(reset).await.map_err(broken);
            }
        };
        let reply = self.encoder.reply(stream)?;
        self.sender.send(reply).await.map_err(broken)?;
        let pair = self.pairs.entry(opening.pair.clone()).or_default();
        let mut open = Open {
            input: None,
            gone: pair.gone.clone(),
        };
        if opening.is_data {
            let (input, receiver) = mpsc::channel(WAITING);
            open.input = Some(input).filter(|_| !fin);
            pair.data = Some((stream, receiver));
        } else {
            pair.error = Some(stream);
        }
        lock(&self.streams).insert(stream, open);
        if pair.data.is_some()
            && pair.error.is_some()
            && let Some(Pair {
                error: Some(error),
                data: Some((data, input)),
                gone,
            }) = self.pairs.remove(&opening.pair)
        {
            let connection = Connection {
                pod: Arc::clone(&self.pod),
                port: opening.port,
                data,
                error,
                output: self.sender.clone(),
            };
            let streams = Arc::clone(&self.streams);
            self.connections.spawn(async move {
                connection.run(input, gone).await;
                let mut streams = lock(&streams);
                streams.remove(&data);
                streams.remove(&error);
            });
        }
        Ok(())
    }
}

fn lock(streams: &Streams) -> std::sync::MutexGuard<'_, HashMap<u32, Open>> {
    // Each change of the map is one insertion or removal.
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection to a port.
struct Connection {
    pod: Arc<Pod>,
    port: u16,
    data: u32,
    error: u32,
    output: mpsc::Sender<Bytes>,
}

impl Connection {
    async fn run(self, input: mpsc::Receiver<Bytes>, gone: CancellationToken) {
        match self.pod.connect(self.port).await {
            Ok(duplex) => {
                tokio::select! {
                    () = self.copy(duplex, input) => {}
                    () = gone.cancelled() => {}
                }
            }
            Err(message) => {
                let message = spdy::data(self.error, false, message.as_bytes());
                let _ = self.output.send(message).await;
            }
        }
        // The client waits for the end of both, whatever it was that ended.
        for stream in [self.data, self.error] {
            let _ = self.output.send(spdy::data(stream, true, &[])).await;
        }
    }

    /// Both ways, until the pod has ended its own.
    async fn copy(&self, duplex: Box<dyn Duplex>, mut input: mpsc::Receiver<Bytes>) {
        let (mut reader, mut writer) = tokio::io::split(duplex);
        let to_client = async {
            let mut buffer = vec![0; CHUNK];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                let bytes = spdy::data(self.data, false, &buffer[..count]);
                if self.output.send(bytes).await.is_err() {
                    return;
                }
            }
        };
        let to_pod = async {
            while let Some(bytes) = input.recv().await {
                let written = async {
                    writer.write_all(&bytes).await?;
                    writer.flush().await
                };
                if written.await.is_err() {
                    // The pod reads no more; what it still says is worth hearing.
                    input.close();
                    while input.recv().await.is_some() {}
                }
            }
            let _ = writer.shutdown().await;
        };
        tokio::pin!(to_client);
        tokio::select! {
            () = &mut to_client => {}
            () = to_pod => to_client.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: u32, headers: &[(&str, &str)]) -> Option<(bool, u16, String)> {
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        opening(stream, &headers).map(|opening| (opening.is_data, opening.port, opening.pair))
    }

    #[test]
    fn streams_of_a_pair_belong_together() {
        let id = ("requestid", "4");
        assert_eq!(
            read(9, &[("streamtype", "error"), ("port", "80"), id]),
            Some((false, 80, "4".to_owned()))
        );
        // Without the number of a request it is that of the stream of errors.
        assert_eq!(
            read(9, &[("streamtype", "error"), ("port", "80")]),
            Some((false, 80, "9".to_owned()))
        );
        assert_eq!(
            read(11, &[("streamtype", "data"), ("port", "80")]),
            Some((true, 80, "9".to_owned()))
        );
        for bad in [
            &[("streamtype", "data"), ("port", "0")][..],
            &[("streamtype", "data"), ("port", "70000")],
            &[("streamtype", "data")],
            &[("streamtype", "other"), ("port", "80")],
            &[("port", "80")],
        ] {
            assert_eq!(read(3, bad), None, "{bad:?}");
        }
    }
}
