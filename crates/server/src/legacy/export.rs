//! `GET /export`: the application as a fat chart, in base64. It is spooled and verified before the first byte is sent,
//! so an answer of 200 is a whole chart.

use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use fs_err::tokio as fs;
use futures::stream;
use http::{HeaderValue, header};
use openshifter_migrate::{ChartForm, ExportOptions, ImageOptions, Report, Run, export};
use openshifter_objects::counted;
use tokio::io::AsyncReadExt as _;

use super::warning;
use crate::app::App;
use crate::clusters::session;
use crate::codec::{Base64Encoder, encoded_len};
use crate::place::Place;
use crate::problem::Problem;

/// Bytes read at once; a multiple of three, so that pieces are whole groups of base64.
const PIECE: usize = 96 * 1024;

/// Name of the chart in its spool.
const CHART: &str = "chart.tgz";

/// A chart in the spool. Its file has no name any more: it is gone when this is dropped.
struct Spooled {
    file: fs::File,
    bytes: u64,
    report: Report,
}

pub(super) async fn serve(app: App, place: Place) -> Result<Response, Problem> {
    let access = app.clusters.access(&place)?;
    let held = app.locks.read(&access.base, &place.project)?;
    let cancel = app.stop.child_token();
    // A client that goes away stops the export, which removes its helper pods.
    let stopped_with_us = cancel.clone().drop_guard();
    let spooled = app
        .carry_out({
            let app = app.clone();
            move || async move {
                let _held = held;
                let (spool, report) = session(&access, async |cluster| {
                    let _place = app.locks.read_place(&cluster, &place.project).await?;
                    // Whoever cannot log in leaves no trace on the disk.
                    let run = Run::begin(app.state.clone())?.with_cancel(cancel);
                    let spool = app
                        .state
                        .spool()
                        .map_err(|error| Problem::local_io("the spool cannot be used", &error))?;
                    let options = ExportOptions {
                        helper_image: app.helper_image.clone(),
                        // What follows may be `/delete`, and nobody reads a `Warning` on the way.
                        images: ImageOptions {
                            required: true,
                            ..ImageOptions::default()
                        },
                        ..ExportOptions::default()
                    };
                    let form = ChartForm::Archive(spool.path().join(CHART));
                    let exported = export(&run, &cluster, &place.project, &options, &form)
                        .await
                        .map_err(|failed| Problem::from(*failed))?;
                    Ok((spool, exported.report))
                })
                .await?;
                let path = spool.path().join(CHART);
                let unreadable = |error: io::Error| {
                    Problem::local_io("the spooled chart cannot be read", &error)
                };
                let file = fs::File::open(&path).await.map_err(unreadable)?;
                let bytes = file.metadata().await.map_err(unreadable)?.len();
                Ok(Spooled {
                    file,
                    bytes,
                    report,
                })
            }
        })
        .await?;
    stopped_with_us.disarm();
    respond(spooled)
}

fn respond(spooled: Spooled) -> Result<Response, Problem> {
    let length = encoded_len(spooled.bytes)
        .ok_or_else(|| Problem::internal("the chart is too large for an answer"))?;
    let losses = &spooled.report.losses;
    let lost = losses.first().map(|first| {
        format!(
            "{} missing in the chart, the first: {first}",
            counted(losses.len(), "thing")
        )
    });
    let body = Body::from_stream(stream::try_unfold(
        (spooled.file, spooled.bytes),
        |(mut file, left)| async move {
            if left == 0 {
                return Ok::<_, io::Error>(None);
            }
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece).await?;
            let left = left - piece.len() as u64;
            let mut text = Vec::with_capacity(piece.len() / 3 * 4 + 4);
            let mut encoder = Base64Encoder::default();
            encoder.push(&piece, &mut text);
            // Only the last piece is no multiple of three.
            encoder.finish(&mut text);
            Ok(Some((Bytes::from(text), (file, left))))
        },
    ));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=us-ascii"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(lost) = lost {
        warning(&mut response, &lost);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use openshifter_migrate::RunId;

    use super::*;

    #[tokio::test]
    async fn a_chart_of_several_pieces_is_sent_whole_with_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chart.tgz");
        let chart: Vec<u8> = (0..PIECE * 2 + 1000)
            .map(|i| (i * 31 % 251) as u8)
            .collect();
        fs::write(&path, &chart).await.unwrap();
        let mut report = Report::new(RunId::new(), "export");
        report.losses.push("volume data: \"a\" changed".to_owned());
        let response = respond(Spooled {
            file: fs::File::open(&path).await.unwrap(),
            bytes: chart.len() as u64,
            report,
        })
        .unwrap();
        let length: usize = response.headers()[header::CONTENT_LENGTH]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            response.headers()[header::WARNING],
            "299 openshifter \"1 thing missing in the chart, the first: volume data: 'a' changed\""
        );
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        assert_eq!(body.len(), length);
        assert_eq!(STANDARD.decode(body).unwrap(), chart);
    }

    #[tokio::test]
    async fn a_file_that_ends_early_breaks_the_answer_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chart.tgz");
        fs::write(&path, b"short").await.unwrap();
        let response = respond(Spooled {
            file: fs::File::open(&path).await.unwrap(),
            bytes: 6,
            report: Report::new(RunId::new(), "export"),
        })
        .unwrap();
        assert!(
            axum::body::to_bytes(response.into_body(), usize::MAX)
                .await
                .is_err()
        );
    }
}
