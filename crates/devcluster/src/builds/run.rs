//! One build from its start to its end.

use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Builder;
use super::dockerfile::{self, Dockerfile, Job};
use super::log::{Log, snippet};
use super::output::{self, Output};
use super::s2i;
use super::source::{self, Source};
use super::status::{self, End, Failure, finish};
use crate::elsewhere::{self, Secrets};
use crate::images::{BuildRequest, Image, Written};
use crate::object::{self, list, text};

const SOURCE: &str = "sourceStrategy";
const DOCKER: &str = "dockerStrategy";

/// Runs a build and writes its status. What a stop of the cluster ends is left as it is.
pub(super) async fn run(builder: &Builder, build: &Value, cancelled: &CancellationToken) {
    let store = &builder.inner.store;
    status::enter(store, build, "Pending");
    let path = builder.log_path(build);
    let end = match Log::create(&path) {
        Ok(log) => {
            let done = cancelled.run_until_cancelled(steps(builder, build, cancelled, &log));
            match done.await {
                Some(Ok(output)) => End::Complete(output),
                Some(Err(failure)) => {
                    log.line(&failure.detail);
                    End::Failed(failure, snippet(&path))
                }
                None if builder.inner.stopping.is_cancelled() => return,
                None => End::Cancelled,
            }
        }
        Err(error) => End::Failed(
            Failure::generic(format!("the log cannot be written: {error}")),
            String::new(),
        ),
    };
    finish(store, build, &end);
}

/// An image that a build has made.
pub(super) type Made = (Image, Written);

async fn steps(
    builder: &Builder,
    build: &Value,
    cancelled: &CancellationToken,
    log: &Log,
) -> Result<Option<(String, String)>, Failure> {
    let Some(strategy) = strategy(build) else {
        let kind = text(build, "/spec/strategy/type");
        return Err(Failure::generic(format!(
            "this cluster builds with the Source and Docker strategies alone, not with {kind}"
        )));
    };
    if let Some(what) = not_implemented(build) {
        return Err(Failure::generic(format!(
            "this cluster does not implement {what} of a build"
        )));
    }
    let output = Output::of(build)?;
    // A Dockerfile says by itself what it starts from, unless the strategy does.
    let named = &build["spec"]["strategy"][strategy]["from"];
    let mut base = None;
    if strategy == SOURCE || !named.is_null() {
        base = Some(base_image(builder, build, named).await?);
    }
    status::enter(&builder.inner.store, build, "Running");

    let work = tempfile::Builder::new()
        .prefix(&format!("{}-", object::name(build)))
        .tempdir_in(builder.inner.folder.join("work"))
        .map_err(|error| Failure::generic(error.to_string()))?;
    let fetched = source::fetch(builder, build, work.path(), cancelled, log).await?;
    let repository = output
        .as_ref()
        .map_or_else(|| object::name(build).to_owned(), Output::repository);
    let job = Job {
        builder,
        build,
        work: work.path(),
        log,
    };
    let made = match base {
        base if strategy == DOCKER => docker(&job, base, &fetched, &repository).await,
        Some(base) if base.config.scripts().is_some() => {
            s2i::assemble(&job, &base, &fetched, &repository).await
        }
        Some(base) => copy(builder, build, &base, &fetched, &repository).await,
        None => Err(Failure::generic("the strategy names no image to build on")),
    };
    let made = made?;
    post_commit(builder, build, &made, work.path(), log).await?;
    let (image, written) = made;
    let result = match output {
        Some(output) => {
            let (builder, log) = (builder.clone(), log.clone());
            let pushed = tokio::task::spawn_blocking(move || {
                output::push(&builder, &output, &image, &written, &log)
                    .map(|()| (output.reference(), image.digest.to_string()))
            });
            Some(pushed.await.map_err(|e| Failure::push(e.to_string()))??)
        }
        None => None,
    };
    Ok(result)
}

/// The builder of Dockerfiles. `base` is what the strategy puts in the place of the first line's image.
async fn docker(
    job: &Job<'_>,
    base: Option<Image>,
    source: &Source,
    repository: &str,
) -> Result<Made, Failure> {
    let dockerfile = Dockerfile::of(job.build, source)?;
    let base = match base {
        Some(base) => base,
        None => {
            let from = json!({"kind": "DockerImage", "name": dockerfile.from});
            base_image(job.builder, job.build, &from).await?
        }
    };
    dockerfile::build(job, &dockerfile, &base, source, repository).await
}

/// The strategy of a build, if it is one that is known here.
fn strategy(build: &Value) -> Option<&'static str> {
    [SOURCE, DOCKER]
        .into_iter()
        .find(|known| !build["spec"]["strategy"][*known].is_null())
}

/// What a build asks for that is not done here. To leave it out would make another image.
fn not_implemented(build: &Value) -> Option<&'static str> {
    let strategies = &build["spec"]["strategy"];
    let is_source = !strategies[SOURCE].is_null();
    let strategy = &strategies[if is_source { SOURCE } else { DOCKER }];
    let source = &build["spec"]["source"];
    let env = list(strategy, "/env");
    [
        (
            env.iter().any(|one| !one["valueFrom"].is_null()),
            "variables from elsewhere",
        ),
        (
            !text(strategy, "/scripts").is_empty(),
            "scripts of another address",
        ),
        (!list(strategy, "/volumes").is_empty(), "the volumes"),
        (
            !list(strategy, "/buildArgs").is_empty(),
            "the build arguments",
        ),
        (
            is_source && !source["dockerfile"].is_null(),
            "the Dockerfile beside the Source strategy",
        ),
        (!list(source, "/images").is_empty(), "the image sources"),
        (!list(source, "/secrets").is_empty(), "the secrets"),
        (!list(source, "/configMaps").is_empty(), "the config maps"),
    ]
    .into_iter()
    .find(|(asked, _)| *asked)
    .map(|(_, what)| what)
}

/// The image that a build starts from.
async fn base_image(builder: &Builder, build: &Value, from: &Value) -> Result<Image, Failure> {
    let store = &builder.inner.store;
    let reference =
        crate::controllers::resolve(store, object::namespace(build), from).ok_or_else(|| {
            Failure::new(
                "InvalidImageReference",
                "Referenced image could not be resolved.",
                format!("the base image {} does not exist", text(from, "/name")),
            )
        })?;
    // A Dockerfile may name a tag by its place in the cluster's own registry.
    let reference = crate::registry::by_tag(store, &reference).unwrap_or(reference);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            "PullBuilderImageFailed",
            "Failed pulling builder image.",
            error.to_string(),
        )
    };
    let images = &builder.inner.images;
    let secrets = Secrets::Project(object::namespace(build));
    let reference = elsewhere::here(images, store, &reference, true, &secrets)
        .await
        .map_err(|error| failed(&error))?;
    images.find(&reference).map_err(|error| failed(&error))
}

/// Environment that the strategy names.
pub(super) fn strategy_env(build: &Value) -> Vec<(String, String)> {
    [SOURCE, DOCKER]
        .iter()
        .flat_map(|kind| list(&build["spec"]["strategy"][*kind], "/env"))
        .map(|one| {
            (
                text(one, "/name").to_owned(),
                text(one, "/value").to_owned(),
            )
        })
        .collect()
}

/// What an image is told of the build that made it.
pub(super) fn build_env(build: &Value, source: &Source) -> Vec<(String, String)> {
    let mut env = vec![
        (
            "OPENSHIFT_BUILD_NAME".to_owned(),
            object::name(build).to_owned(),
        ),
        (
            "OPENSHIFT_BUILD_NAMESPACE".to_owned(),
            object::namespace(build).to_owned(),
        ),
    ];
    let git = &source.revision["git"];
    for (name, value) in [
        ("OPENSHIFT_BUILD_SOURCE", source.origin.as_str()),
        (
            "OPENSHIFT_BUILD_REFERENCE",
            text(build, "/spec/source/git/ref"),
        ),
        ("OPENSHIFT_BUILD_COMMIT", text(git, "/commit")),
    ] {
        // An upload has none of these.
        if !value.is_empty() && source.origin != "binary" {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}

/// Labels that tell where an image came from.
pub(super) fn build_labels(source: &Source) -> Vec<(String, String)> {
    let git = &source.revision["git"];
    [
        ("io.openshift.build.commit.id", text(git, "/commit")),
        ("io.openshift.build.commit.message", text(git, "/message")),
        ("io.openshift.build.source-location", source.origin.as_str()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty() && *value != "binary")
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The builder of images without scripts: the source is copied, nothing is run.
async fn copy(
    builder: &Builder,
    build: &Value,
    base: &Image,
    source: &Source,
    repository: &str,
) -> Result<Made, Failure> {
    let (images, base) = (builder.inner.images.clone(), base.clone());
    let folder = source.folder.clone();
    let mut env = build_env(build, source);
    env.extend(strategy_env(build));
    let labels = build_labels(source);
    let repository = repository.to_owned();
    // Nothing is run, so equal sources are to give the same image, whenever and in whichever cluster.
    let created = "1970-01-01T00:00:00Z".to_owned();
    let built = tokio::task::spawn_blocking(move || {
        images.build(&BuildRequest {
            source: &folder,
            base: &base,
            env,
            labels,
            repository,
            created,
        })
    });
    built
        .await
        .map_err(|error| Failure::generic(error.to_string()))?
        .map_err(|error| {
            let why = std::error::Error::source(&error)
                .map_or(String::new(), |source| format!(": {source}"));
            Failure::source(format!("{error}{why}"))
        })
}

/// Runs the hook of a build in a container of the image that it made.
async fn post_commit(
    builder: &Builder,
    build: &Value,
    (image, _): &Made,
    work: &Path,
    log: &Log,
) -> Result<(), Failure> {
    let hook = &build["spec"]["postCommit"];
    let script = text(hook, "/script");
    let args = object::texts(hook, "/args");
    let command = object::texts(hook, "/command");
    let words = match (script, command.is_empty()) {
        ("", true) if args.is_empty() => return Ok(()),
        // The image's entry point gets the arguments.
        ("", true) => image.command(&[], &args),
        ("", false) => command.into_iter().chain(args).collect(),
        (script, _) => ["/bin/sh", "-c", script, "/bin/sh"]
            .map(str::to_owned)
            .into_iter()
            .chain(args)
            .collect(),
    };
    log.line("Running post commit hook ...");
    let failed = |detail: String| {
        Failure::new(
            "PostCommitHookFailed",
            "Build failed because of post commit hook.",
            detail,
        )
    };
    let (code, said) = s2i::run_in(builder, build, image, words, Vec::new(), work, log)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match code {
        0 => Ok(()),
        code => Err(failed(format!(
            "error: build error: post commit hook failed: exit status {code}{said}"
        ))),
    }
}
