//! Uploads under way: begun, added to in pieces, looked at, finished or given up.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rand::RngExt;

use super::blobs::{BlobWriter, Blobs};
use super::digest::Digest;
use super::error::Refusal;
use crate::images::hex;

/// One that nobody has touched for so long is forgotten.
const STALE: Duration = Duration::from_secs(60 * 60);

/// Bytes that are gathered before they go to the disk.
const GATHER: usize = 1 << 20;

/// The uploads of a registry.
#[derive(Debug)]
pub(super) struct Uploads {
    blobs: Blobs,
    open: Mutex<HashMap<String, Arc<Upload>>>,
}

/// One upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) id: String,
    /// Where it was begun: nobody goes on with it elsewhere.
    repository: String,
    // None while somebody writes, and after the end.
    writer: tokio::sync::Mutex<Option<BlobWriter>>,
    touched: Mutex<Instant>,
}

impl Uploads {
    pub(super) fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one.
    pub(super) fn begin(&self, repository: &str) -> std::io::Result<Arc<Upload>> {
        let upload = Arc::new(Upload {
            id: hex(&rand::rng().random::<[u8; 16]>()),
            repository: repository.to_owned(),
            writer: tokio::sync::Mutex::new(Some(self.blobs.writer()?)),
            touched: Mutex::new(Instant::now()),
        });
        let mut open = self.open();
        open.retain(|_, upload| upload.age() < STALE);
        open.insert(upload.id.clone(), Arc::clone(&upload));
        Ok(upload)
    }

    /// One that was begun in this repository.
    pub(super) fn find(&self, repository: &str, id: &str) -> Result<Arc<Upload>, Refusal> {
        self.open()
            .get(id)
            .filter(|upload| upload.repository == repository)
            .cloned()
            .ok_or_else(Refusal::upload_unknown)
    }

    /// Forgets one, with what it has.
    pub(super) fn forget(&self, id: &str) {
        self.open().remove(id);
    }
}

impl Upload {
    fn age(&self) -> Duration {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Bytes that it has. Waits for a piece that is being written.
    pub(super) async fn size(&self) -> Result<u64, Refusal> {
        let writer = self.writer.lock().await;
        writer
            .as_ref()
            .map(BlobWriter::size)
            .ok_or_else(Refusal::upload_unknown)
    }

    /// Adds a body. What came before the body broke off is kept, so that the client can go on from there.
    ///
    /// `begins` is where the client thinks that it goes on.
    pub(super) async fn add(
        &self,
        mut body: Incoming,
        begins: Option<u64>,
    ) -> Result<u64, Refusal> {
        self.touch();
        let mut held = self.writer.lock().await;
        let size = held
            .as_ref()
            .map(BlobWriter::size)
            .ok_or_else(Refusal::upload_unknown)?;
        if begins.is_some_and(|begins| begins != size) {
            return Err(out_of_order(size));
        }
        let mut gathered = BytesMut::new();
        let mut broken = None;
        loop {
            let frame = match body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    broken = Some(error);
                    break;
                }
                None => break,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            gathered.extend_from_slice(&data);
            if gathered.len() >= GATHER {
                write(&mut held, gathered.split().freeze()).await?;
                gathered.reserve(GATHER);
            }
        }
        if !gathered.is_empty() {
            write(&mut held, gathered.freeze()).await?;
        }
        self.touch();
        match broken {
            Some(error) => Err(Refusal::upload_invalid(format!(
                "the body ended early: {error}"
            ))),
            None => held
                .as_ref()
                .map(BlobWriter::size)
                .ok_or_else(Refusal::upload_unknown),
        }
    }

    /// Ends it: its bytes become the blob of this digest. With another digest it is over, too.
    pub(super) async fn finish(&self, expected: &Digest) -> Result<(), Refusal> {
        let mut held = self.writer.lock().await;
        let found = held
            .as_ref()
            .map(BlobWriter::digest)
            .ok_or_else(Refusal::upload_unknown)?;
        if found != *expected {
            return Err(Refusal::digest_invalid(format!(
                "the content's digest is {found}, not {expected}"
            )));
        }
        let writer = held.take().ok_or_else(Refusal::upload_unknown)?;
        writer.keep()?;
        Ok(())
    }
}

/// The refusal of a piece that does not follow the last one.
fn out_of_order(size: u64) -> Refusal {
    Refusal::new(
        http::StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UPLOAD_INVALID",
        "blob upload invalid",
    )
    .detail(serde_json::json!(format!("the next byte is {size}")))
    .header(http::header::RANGE, range(size))
}

/// The bytes that an upload has, as a `Range` header says it.
pub(super) fn range(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

/// Writes where it may take its time.
async fn write(held: &mut Option<BlobWriter>, bytes: Bytes) -> Result<(), Refusal> {
    let mut writer = held.take().ok_or_else(Refusal::upload_unknown)?;
    let written = tokio::task::spawn_blocking(move || {
        let result = writer.write_all(&bytes);
        (writer, result)
    })
    .await
    .map_err(|error| Refusal::internal(&error))?;
    *held = Some(written.0);
    written.1?;
    Ok(())
}
