//! `POST /import`: a fat chart from the body, in any of the forms that curl sends it.

use std::path::Path;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use fs_err::tokio as fs;
use futures::StreamExt as _;
use http::header;
use openshifter_cluster::Cluster;
use openshifter_migrate::{
    Action, ImportOptions, Outcome, Report, Run, VolumeAction, import, open_chart,
};
use openshifter_objects::counted;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::text;
use crate::app::App;
use crate::clusters::session;
use crate::codec::UploadDecoder;
use crate::place::Place;
use crate::problem::{Code, Problem};

/// Decoded bytes that are written at once.
const PIECE: usize = 256 * 1024;

/// A client that sends nothing for so long is given up.
const STALL: Duration = Duration::from_secs(120);

/// How much of a body is read that nobody wants any more, so that the client reads the answer.
const DRAIN: usize = 64 << 20;

pub(super) async fn serve(
    app: App,
    place: Result<Place, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    // A client that asked first has not sent its body yet, and will not when the answer is no.
    let waits = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body().into_data_stream();
    let begun = place.and_then(|place| {
        let access = app.clusters.access(&place)?;
        let held = app.locks.write(&access.base, &place.project)?;
        Ok((place, access, held))
    });
    let (place, access, held) = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            drain(&mut body, waits).await;
            return Err(problem);
        }
    };
    app.carry_out({
        let app = app.clone();
        move || async move {
            let _held = held;
            // The login comes before the upload: strangers do not fill the disk. An import is not stopped when its client
            // goes away, since half an application is worse than one that nobody heard of.
            let cancel = app.stop.child_token();
            let mut untouched = true;
            let result = session(&access, async |cluster| {
                let _place = app.locks.write_place(&cluster, &place.project).await?;
                untouched = false;
                receive_and_import(&app, &cluster, &place.project, &mut body, cancel).await
            })
            .await;
            if result.is_err() {
                drain(&mut body, waits && untouched).await;
            }
            result
        }
    })
    .await
    .map(text)
}

async fn receive_and_import(
    app: &App,
    cluster: &Cluster,
    project: &str,
    body: &mut BodyDataStream,
    cancel: CancellationToken,
) -> Result<String, Problem> {
    let run = Run::begin(app.state.clone())?.with_cancel(cancel);
    let folder = app
        .state
        .run(&run.id)
        .map_err(|error| Problem::local_io("the run's folder cannot be used", &error))?;
    // In the run's own folder, not in the spool: `openshifter resume` needs it if the import stops half-way.
    let upload = folder.join("chart.tgz");
    let result = async {
        tokio::select! {
            received = receive(body, &upload) => received?,
            () = run.cancel.cancelled() => return Err(Problem::stopping()),
        }
        let spool = app
            .state
            .spool()
            .map_err(|error| Problem::local_io("the spool cannot be used", &error))?;
        let chart = open_chart(&upload, spool.path(), app.leave.volumes).await?;
        let options = ImportOptions {
            helper_image: app.helper_image.clone(),
            origin: Some(upload.clone()),
            // Round trips by these routes rely on it: their delete leaves the claims. A backup is kept.
            overwrite_data: true,
            allow_crds: app.leave.crds,
            allow_beyond_project: app.leave.beyond_project,
            allow: app.leave.volumes,
            ..ImportOptions::default()
        };
        import(&run, &chart, cluster, project, &options)
            .await
            .map_err(|failed| Problem::from(*failed))
    }
    .await;
    let resumable = result.as_ref().is_err_and(|problem| problem.run.is_some());
    if !resumable
        && let Err(error) = fs::remove_file(&upload).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "an uploaded chart could not be removed");
    }
    answer(&result?, project, &folder)
}

/// Decodes the body into a file that only we may read.
async fn receive(body: &mut BodyDataStream, path: &Path) -> Result<(), Problem> {
    let unwritable =
        |error: std::io::Error| Problem::local_io("the uploaded chart cannot be spooled", &error);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).await.map_err(unwritable)?;
    let mut decoder = UploadDecoder::default();
    let mut out = Vec::with_capacity(PIECE * 2);
    loop {
        let piece = match tokio::time::timeout(STALL, body.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                return Err(Problem::bad_request(format!(
                    "the upload broke off: {error}"
                )));
            }
            Err(_) => {
                return Err(Problem::bad_request(format!(
                    "the upload stalled for {} s",
                    STALL.as_secs()
                )));
            }
        };
        // A frame of HTTP may be large; what it decodes to is not more than itself.
        for part in piece.chunks(PIECE) {
            decoder.push(part, &mut out)?;
            if out.len() >= PIECE {
                file.write_all(&out).await.map_err(unwritable)?;
                out.clear();
            }
        }
    }
    decoder.finish(&mut out)?;
    file.write_all(&out).await.map_err(unwritable)?;
    file.flush().await.map_err(unwritable)
}

/// Reads a body that nobody wants. Closing the connection with unread bytes in it would lose the answer.
async fn drain(body: &mut BodyDataStream, not_sent_yet: bool) {
    if not_sent_yet {
        return;
    }
    let read = async {
        let mut left = DRAIN;
        while let Some(Ok(piece)) = body.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await;
    *body = Body::empty().into_data_stream();
}

/// The short text, or why it is none.
fn answer(report: &Report, project: &str, folder: &Path) -> Result<String, Problem> {
    let ledger = folder.join("report.json");
    if report.outcome != Outcome::Complete {
        let missing: Vec<&str> = report.losses.iter().map(String::as_str).collect();
        let shown = missing
            .iter()
            .take(3)
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
        let more = match missing.len().saturating_sub(3) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let mut problem = Problem::new(
            Code::Incomplete,
            format!(
                "imported into {project}, but something is missing: {shown}{more}; the whole report is in {} on the service's machine",
                ledger.display()
            ),
        );
        problem.run = Some(report.run.clone());
        return Err(problem);
    }
    let count = |action| {
        report
            .objects
            .iter()
            .filter(|entry| entry.action == action)
            .count()
    };
    let mut parts = vec![format!(
        "{} created",
        counted(count(Action::Created), "object")
    )];
    for (action, word) in [
        (Action::Updated, "updated"),
        (Action::Unchanged, "unchanged"),
        (Action::Skipped, "left as they are"),
    ] {
        match count(action) {
            0 => {}
            some => parts.push(format!("{some} {word}")),
        }
    }
    for volume in &report.volumes {
        let what = match volume.action {
            VolumeAction::Restored => "restored and verified",
            VolumeAction::Overwritten => "overwritten and verified",
            VolumeAction::Equal => "holds the same data already",
            VolumeAction::Unbound => "has no data",
            _ => "not moved",
        };
        let backup = volume
            .backup
            .as_ref()
            .map(|path| format!(", what was there first is kept in {}", path.display()))
            .unwrap_or_default();
        let files = usize::try_from(volume.files).unwrap_or(usize::MAX);
        parts.push(format!(
            "volume {} {what} ({}, {} bytes{backup})",
            volume.claim,
            counted(files, "file"),
            volume.bytes
        ));
    }
    Ok(format!(
        "imported into {project}: {}; run {}",
        parts.join(", "),
        report.run
    ))
}

#[cfg(test)]
mod tests {
    use openshifter_migrate::{RunId, VolumeEntry};
    use openshifter_objects::ObjectKey;

    use super::*;

    fn report() -> Report {
        let id: RunId = "20260102-030405-0a1b2c3d".parse().unwrap();
        let mut report = Report::new(id, "import");
        report.object(ObjectKey::new("", "Service", "web"), Action::Created, None);
        report.object(ObjectKey::new("", "Secret", "db"), Action::Unchanged, None);
        report.volumes.push(VolumeEntry {
            claim: "data".into(),
            action: VolumeAction::Overwritten,
            files: 1,
            bytes: 17,
            digest: None,
            verified: true,
            seconds: 0.1,
            detail: None,
            backup: Some("/state/charts/x".into()),
        });
        report
    }

    #[test]
    fn the_answer_counts_what_was_done() {
        let mut report = report();
        report.finish();
        insta::assert_snapshot!(answer(&report, "shop", Path::new("/state/runs/r")).unwrap(), @"imported into shop: 1 object created, 1 unchanged, volume data overwritten and verified (1 file, 17 bytes, what was there first is kept in /state/charts/x); run 20260102-030405-0a1b2c3d");
    }

    #[test]
    fn something_missing_is_no_success() {
        let mut report = report();
        report.losses.push("deployment web is not ready".into());
        report.finish();
        let problem = answer(&report, "shop", Path::new("/state/runs/r")).unwrap_err();
        assert_eq!(problem.status(), 500);
        insta::assert_snapshot!(problem.line(), @"imported into shop, but something is missing: deployment web is not ready; the whole report is in /state/runs/r/report.json on the service's machine");
    }

    #[tokio::test]
    async fn an_upload_is_decoded_into_a_private_file_piece_by_piece() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chart.tgz");
        let pieces = (0..2000).map(|i| {
            let text = if i == 0 { "%1F%8B%08" } else { "a%2Bb+c" };
            Ok::<_, std::io::Error>(text)
        });
        let mut body = Body::from_stream(futures::stream::iter(pieces)).into_data_stream();
        receive(&mut body, &path).await.unwrap();
        let expected = [b"\x1f\x8b\x08".to_vec(), b"a+b c".repeat(1999)].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
