//! The `/v1` routes.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use openshifter_migrate::RunId;
use serde::Deserialize;

use super::work;
use crate::app::App;
use crate::problem::{Code, Problem};
use crate::wire::{JobBody, MigrationRequest};

/// How long a request waits for a job's next change. Proxies give up after 30 or 60 seconds.
const WAIT: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
pub(crate) struct Wait {
    /// Answer when the job is newer than this revision.
    after: Option<u64>,
}

pub(crate) async fn plan(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<MigrationRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    let request = request(&app, &headers, body)?;
    let plan = app
        .carry_out({
            let app = app.clone();
            move || async move { work::plan(&app, &request).await }
        })
        .await?;
    Ok(Json(plan).into_response())
}

pub(crate) async fn start(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<MigrationRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    let request = request(&app, &headers, body)?;
    let job = app
        .carry_out({
            let app = app.clone();
            move || work::start(app, request)
        })
        .await?;
    let place = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id))
        .map_err(|error| Problem::internal(error.to_string()))?;
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

pub(crate) async fn list(State(app): State<App>) -> Result<Json<Vec<JobBody>>, Problem> {
    let jobs = tokio::task::spawn_blocking(move || app.jobs.list())
        .await
        .map_err(|error| Problem::internal(error.to_string()))?
        .map_err(|error| Problem::local_io("the jobs cannot be read", &error))?;
    Ok(Json(jobs))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    wait: Result<Query<Wait>, QueryRejection>,
) -> Result<Json<JobBody>, Problem> {
    let Query(wait) = wait.map_err(|error| Problem::bad_request(error.body_text()))?;
    let id = parse(&id)?;
    if let (Some(live), Some(after)) = (app.jobs.live(&id), wait.after) {
        let body = tokio::select! {
            body = live.newer_than(after, WAIT) => body,
            () = app.stop.cancelled() => live.body(),
        };
        return Ok(Json(body));
    }
    app.jobs.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

/// Asks a job to stop in order; how it ended is seen by asking again.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = parse(&id)?;
    match app.jobs.live(&id) {
        Some(live) => {
            live.cancel.cancel();
            Ok((StatusCode::ACCEPTED, Json(live.body())).into_response())
        }
        None => match app.jobs.get(&id) {
            Some(ended) => Ok(Json(ended).into_response()),
            None => Err(unknown(&id)),
        },
    }
}

fn request(
    app: &App,
    headers: &HeaderMap,
    body: Result<Json<MigrationRequest>, JsonRejection>,
) -> Result<MigrationRequest, Problem> {
    let Json(request) = body.map_err(|error| {
        let mut problem = Problem::bad_request(error.body_text());
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            problem.code = Code::TooLarge;
        }
        problem
    })?;
    // A context is the service's owner's own access; other requests bring their own credentials.
    if request.source.context.is_some() || request.target.context.is_some() {
        app.token.check(headers)?;
    }
    Ok(request)
}

fn parse(id: &str) -> Result<RunId, Problem> {
    id.parse()
        .map_err(|_| Problem::new(Code::NotFound, "that is not the id of a job"))
}

fn unknown(id: &RunId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no job {id}"))
}
