//! Images that come from a build at the target: the builds go before the workloads that wait for them.

use std::time::Duration;

use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object};
use serde_json::{Value, json};

use crate::report::Report;
use crate::{MigrateError, Run};

/// How long a build may take.
const PATIENCE: Duration = Duration::from_secs(1800);

const GROUP: &str = "build.openshift.io";

/// Whether the target can build it by itself: from Git, a Dockerfile, or images alone. What was built from a
/// developer's folder exists nowhere but as an image of the source.
fn source_of(config: &Object) -> Option<&'static str> {
    let source = &config.value()["spec"]["source"];
    if source["git"].is_object() {
        Some("git")
    } else if source["dockerfile"].is_string() {
        Some("dockerfile")
    } else if source["images"]
        .as_array()
        .is_some_and(|images| !images.is_empty())
    {
        Some("images")
    } else {
        None
    }
}

/// The tag that a build makes, when it is one of this project.
fn output_of(config: &Object) -> Option<&str> {
    let to = &config.value()["spec"]["output"]["to"];
    (to["kind"] == "ImageStreamTag")
        .then(|| to["name"].as_str())
        .flatten()
}

/// Tags that workloads wait for.
fn tags_in_use(objects: &[Object]) -> Vec<String> {
    let mut tags = Vec::new();
    for object in objects {
        for trigger in object.value()["spec"]["triggers"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if let Some(name) = trigger["imageChangeParams"]["from"]["name"].as_str() {
                tags.push(name.to_owned());
            }
        }
        if let Some(triggers) = object.annotation("image.openshift.io/triggers")
            && let Ok(Value::Array(triggers)) = serde_json::from_str::<Value>(triggers)
        {
            tags.extend(
                triggers
                    .iter()
                    .filter_map(|trigger| trigger["from"]["name"].as_str())
                    .map(str::to_owned),
            );
        }
    }
    tags
}

/// Starts the builds whose images workloads wait for, and follows them to their end.
///
/// # Errors
/// When a build fails.
pub(crate) async fn run(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    objects: &[Object],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let wanted = tags_in_use(objects);
    let configs: Vec<&Object> = objects
        .iter()
        .filter(|object| object.is(GROUP, "BuildConfig"))
        .filter(|config| {
            output_of(config).is_some_and(|tag| wanted.iter().any(|wanted| wanted == tag))
        })
        .collect();
    if configs.is_empty() {
        return Ok(());
    }
    run.progress.stage("building the application's images");
    for config in configs {
        if has_image(target, namespace, output_of(config).unwrap_or_default()).await? {
            continue;
        }
        if source_of(config).is_none() {
            report.losses.push(format!(
                "{} was built from a folder that only its developer has: build it again with `oc start-build {} --from-dir=.`, or push its image to {}",
                config.key(),
                config.name(),
                output_of(config).unwrap_or_default()
            ));
            continue;
        }
        let name = start(target, namespace, config).await?;
        run.progress.note(&format!("build {name} is running"));
        follow(target, namespace, &name).await?;
    }
    Ok(())
}

async fn has_image(target: &Cluster, namespace: &str, tag: &str) -> Result<bool, MigrateError> {
    let kind = GroupKind::new("image.openshift.io", "ImageStream");
    let Some((stream, tag)) = tag.split_once(':') else {
        return Ok(false);
    };
    let Some(stream) = target.get(&kind, Some(namespace), stream).await? else {
        return Ok(false);
    };
    Ok(stream.value()["status"]["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|status| {
            status["tag"] == tag
                && status["items"]
                    .as_array()
                    .is_some_and(|items| !items.is_empty())
        }))
}

/// Starts a build, unless creating its config has started one: a `ConfigChange` trigger does.
async fn start(target: &Cluster, namespace: &str, config: &Object) -> Result<String, MigrateError> {
    let failed = |source| MigrateError::Object {
        key: config.key(),
        done: "built",
        source,
    };
    let by_itself = config.value()["spec"]["triggers"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|trigger| trigger["type"] == "ConfigChange");
    if by_itself {
        let name = format!("{}-1", config.name());
        let first = target
            .wait(
                &build(),
                Some(namespace),
                &name,
                Duration::from_secs(10),
                |build| build.is_some(),
            )
            .await;
        match first {
            Ok(_) => return Ok(name),
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let request = json!({
        "apiVersion": "build.openshift.io/v1",
        "kind": "BuildRequest",
        "metadata": {"name": config.name()},
        "triggeredBy": [{"message": "started by openshifter"}],
    });
    let started = target
        .create_subresource(
            &config.group_kind(),
            Some(namespace),
            config.name(),
            "instantiate",
            &request,
        )
        .await
        .map_err(failed)?;
    Ok(started.name().to_owned())
}

fn build() -> GroupKind {
    GroupKind::new(GROUP, "Build")
}

async fn follow(target: &Cluster, namespace: &str, name: &str) -> Result<(), MigrateError> {
    let ended = target
        .wait(&build(), Some(namespace), name, PATIENCE, |build| {
            build.is_none_or(|build| {
                matches!(
                    build.value()["status"]["phase"].as_str(),
                    Some("Complete" | "Failed" | "Error" | "Cancelled")
                )
            })
        })
        .await?;
    let Some(ended) = ended else {
        return Err(MigrateError::Build {
            build: name.to_owned(),
            reason: "it was removed".to_owned(),
        });
    };
    let status = &ended.value()["status"];
    if status["phase"] == "Complete" {
        return Ok(());
    }
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    Err(MigrateError::Build {
        build: name.to_owned(),
        reason: format!(
            "{} {} {}",
            text("phase"),
            text("message"),
            text("logSnippet")
        )
        .trim()
        .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_target_can_build_is_built() {
        let config = |source: Value| {
            Object::from_value(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
                "metadata": {"name": "web"}, "spec": {"source": source}}),
            )
            .unwrap()
        };
        assert_eq!(
            source_of(&config(
                json!({"type": "Git", "git": {"uri": "https://x.test/y"}})
            )),
            Some("git")
        );
        assert_eq!(
            source_of(&config(json!({"type": "Binary", "binary": {}}))),
            None
        );
    }
}
