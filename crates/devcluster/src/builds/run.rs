//! One build from its start to its end.

use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Builder;
use super::log::{Log, snippet};
use super::output::{self, Output};
use super::s2i;
use super::source::{self, Source};
use super::status::{self, End, Failure, finish};
use crate::images::{BuildRequest, Image, Written};
use crate::object::{self, list, text};

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
    let strategy = &build["spec"]["strategy"]["sourceStrategy"];
    if strategy.is_null() {
        let kind = text(build, "/spec/strategy/type");
        return Err(Failure::generic(format!(
            "this cluster builds with the Source strategy alone, not with {kind}"
        )));
    }
    if let Some(what) = not_implemented(build) {
        return Err(Failure::generic(format!(
            "this cluster does not implement {what} of a build"
        )));
    }
    let output = Output::of(build)?;
    let base = base_image(builder, build)?;
    status::enter(&builder.inner.store, build, "Running");

    let work = tempfile::Builder::new()
        .prefix(&format!("{}-", object::name(build)))
        .tempdir_in(builder.inner.folder.join("work"))
        .map_err(|error| Failure::generic(error.to_string()))?;
    let fetched = source::fetch(builder, build, work.path(), cancelled, log).await?;
    let repository = output
        .as_ref()
        .map_or_else(|| object::name(build).to_owned(), Output::repository);
    let made = if base.config.scripts().is_some() {
        s2i::assemble(
            builder,
            build,
            &base,
            &fetched,
            &repository,
            work.path(),
            log,
        )
        .await
    } else {
        copy(builder, build, &base, &fetched, &repository).await
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

/// What a build asks for that is not done here. To leave it out would make another image.
fn not_implemented(build: &Value) -> Option<&'static str> {
    let strategy = &build["spec"]["strategy"]["sourceStrategy"];
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
        (!list(source, "/images").is_empty(), "the image sources"),
        (!list(source, "/secrets").is_empty(), "the secrets"),
        (!list(source, "/configMaps").is_empty(), "the config maps"),
    ]
    .into_iter()
    .find(|(asked, _)| *asked)
    .map(|(_, what)| what)
}

/// The image that a build starts from.
fn base_image(builder: &Builder, build: &Value) -> Result<Image, Failure> {
    let from = &build["spec"]["strategy"]["sourceStrategy"]["from"];
    let store = &builder.inner.store;
    let reference =
        crate::controllers::resolve(store, object::namespace(build), from).ok_or_else(|| {
            Failure::new(
                "InvalidImageReference",
                "Referenced image could not be resolved.",
                format!("the base image {} does not exist", text(from, "/name")),
            )
        })?;
    builder.inner.images.find(&reference).map_err(|error| {
        Failure::new(
            "PullBuilderImageFailed",
            "Failed pulling builder image.",
            error.to_string(),
        )
    })
}

/// Environment that the strategy names.
pub(super) fn strategy_env(build: &Value) -> Vec<(String, String)> {
    list(build, "/spec/strategy/sourceStrategy/env")
        .iter()
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
