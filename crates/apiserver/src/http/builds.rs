//! Builds: started from their configurations, fed with a source, and read.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::TryStreamExt as _;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio_util::io::{ReaderStream, StreamReader};

use super::request::{Target, query};
use super::respond::{Answer, plain};
use super::streams::CHUNK;
use super::{App, Call, body};
use crate::backends::{BinarySource, BuildError, BuildLogRequest};
use crate::builds::builds;
use crate::error::ApiError;
use crate::metadata;
use crate::store::{DeleteOptions, Store};

/// How long the log of a build is waited for that has not started.
const START: Duration = Duration::from_secs(10);

/// `buildconfigs/{name}/instantiate` and `builds/{name}/clone`.
pub(super) fn start(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    if call.request.dry_run("CreateOptions")? {
        return Err(ApiError::not_implemented("starting builds in a dry run"));
    }
    let request = body::of_kind("BuildRequest", &call.request)?;
    let sent = metadata::name(&request);
    if !sent.is_empty() && sent != target.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({})",
            target.name()
        )));
    }
    let namespace = target.namespace().unwrap_or_default();
    let made = if target.kind.plural == "buildconfigs" {
        app.store
            .instantiate_build(namespace, target.name(), &request)?
    } else {
        app.store.clone_build(namespace, target.name(), &request)?
    };
    Ok(Answer::created(made))
}

/// Cancels a build unless its source has gone in.
struct Cancelling<'a> {
    store: &'a Store,
    namespace: &'a str,
    build: Option<String>,
}

impl Drop for Cancelling<'_> {
    fn drop(&mut self) {
        if let Some(build) = &self.build {
            // It may be gone; then there is nothing to cancel.
            let _ = self
                .store
                .update(&builds(), Some(self.namespace), build, |build| {
                    build["status"]["cancelled"] = json!(true);
                });
        }
    }
}

/// `buildconfigs/{name}/instantiatebinary`: the body is the source, which passes through piece by piece.
pub(super) async fn start_binary(
    app: &Arc<App>,
    target: &Target,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let options = query(request.uri().query());
    let option = |name: &str| {
        options
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let as_file = option("asFile").map(str::to_owned);
    if as_file
        .as_deref()
        .is_some_and(|name| name.contains('/') || name == "." || name == "..")
    {
        return Err(ApiError::bad_request(
            "asFile must be the name of a file without a path",
        ));
    }
    let mut wanted = json!({"binary": {}});
    if let Some(name) = &as_file {
        wanted["binary"]["asFile"] = json!(name);
    }
    if let Some(commit) = option("revision.commit") {
        let person = |who: &str| {
            json!({
                "name": option(&format!("revision.{who}Name")),
                "email": option(&format!("revision.{who}Email")),
            })
        };
        wanted["revision"] = json!({"type": "Git", "git": {
            "commit": commit,
            "message": option("revision.message"),
            "author": person("author"),
            "committer": person("committer"),
        }});
    }
    let namespace = target.namespace().unwrap_or_default();
    let made = app
        .store
        .instantiate_build(namespace, target.name(), &wanted)?;
    let name = metadata::name(&made).to_owned();
    // Whatever ends this early, the client that goes away too, ends the build.
    let mut cancelling = Cancelling {
        store: &app.store,
        namespace,
        build: Some(name.clone()),
    };
    let bytes = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    let source = BinarySource {
        namespace: namespace.to_owned(),
        build: name.clone(),
        as_file,
        body: Box::new(StreamReader::new(bytes)),
    };
    let taken = tokio::select! {
        taken = app.builds.take_source(source) => taken,
        () = app.stopping.cancelled() => Err(BuildError::Other("the server stops".to_owned())),
    };
    if let Err(error) = taken {
        if let BuildError::Unsupported(what) = &error {
            cancelling.build = None;
            let _ = app
                .store
                .delete(&builds(), Some(namespace), &name, DeleteOptions::default());
            return Err(ApiError::not_implemented(what));
        }
        return Err(refusal(&name, error));
    }
    cancelling.build = None;
    Ok(Answer::created(
        app.store
            .get(&builds(), Some(namespace), &name)
            .unwrap_or(made),
    ))
}

fn refusal(build: &str, error: BuildError) -> ApiError {
    match error {
        BuildError::Unsupported(what) => ApiError::not_implemented(&what),
        BuildError::NotStarted => ApiError::bad_request(format!("build {build} has not started")),
        BuildError::Refused(why) => ApiError::bad_request(why),
        BuildError::Other(why) => ApiError::internal(why),
    }
}

fn phase(build: &Value) -> &str {
    match build["status"]["phase"].as_str() {
        None | Some("") => "New",
        Some(phase) => phase,
    }
}

/// Waits until a build has left the queue.
async fn started(store: &Store, namespace: Option<&str>, name: &str) -> Result<Value, ApiError> {
    let mut events = store.subscribe();
    loop {
        let build = store
            .get(&builds(), namespace, name)
            .ok_or_else(|| ApiError::not_found_named("build.openshift.io", "builds", name))?;
        if !matches!(phase(&build), "New" | "Pending") {
            return Ok(build);
        }
        // After lost events the build is looked at again, as after any other.
        let _ = events.next().await;
    }
}

/// `builds/{name}/log`.
pub(super) async fn log(
    app: &Arc<App>,
    target: &Target,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let options = query(request.uri().query());
    let flag = |name: &str| {
        options
            .get(name)
            .is_some_and(|value| value == "true" || value == "1")
    };
    let number = |name: &str| -> Result<Option<u64>, ApiError> {
        options
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::bad_request(format!("{name} must be a number that is not negative"))
                })
            })
            .transpose()
    };
    if flag("previous") || options.contains_key("version") {
        return Err(ApiError::not_implemented(
            "logs of other builds by `previous` or `version`; name the build itself",
        ));
    }
    let (namespace, name) = (target.namespace(), target.name());
    let build = app
        .store
        .get(&builds(), namespace, name)
        .ok_or_else(|| ApiError::not_found(&target.kind, name))?;
    let mut response = plain(StatusCode::OK, "");
    if matches!(phase(&build), "New" | "Pending") {
        if flag("nowait") {
            return Ok(Answer::Raw(response));
        }
        let waited = tokio::time::timeout(START, started(&app.store, namespace, name)).await;
        waited.map_err(|_| {
            ApiError::timed_out(&format!(
                "timed out waiting for build {name} to start after 10s"
            ))
        })??;
    } else if phase(&build) == "Error" {
        return Err(ApiError::bad_request(format!(
            "build {name} is in an error state. No logs are available."
        )));
    }
    let wanted = BuildLogRequest {
        namespace: namespace.unwrap_or_default().to_owned(),
        build: name.to_owned(),
        follow: flag("follow"),
        tail_lines: number("tailLines")?.and_then(|lines| usize::try_from(lines).ok()),
        limit_bytes: number("limitBytes")?,
        since_seconds: number("sinceSeconds")?,
        timestamps: flag("timestamps"),
    };
    let reader = app
        .builds
        .build_log(wanted)
        .await
        .map_err(|error| refusal(name, error))?;
    let stream = futures::StreamExt::take_until(
        ReaderStream::with_capacity(reader, CHUNK),
        app.stopping.clone().cancelled_owned(),
    );
    *response.body_mut() = Body::from_stream(stream);
    Ok(Answer::Raw(response))
}
