//! The build of a BuildConfig that is this run's own: one that it has started before, or that it starts now.

use openshifter_cluster::Cluster;
use openshifter_objects::Object;
use serde_json::json;

use super::{build, phase};
use crate::{MigrateError, Run};

/// What our builds say of who started them: it tells them from those of others, and of earlier runs.
fn cause(run: &str) -> String {
    format!("started by openshifter, run {run}")
}

/// Finds the build that this run has started, if it did not fail, or starts one: of this commit, where one is
/// known and the BuildConfig builds from the repository that has it.
/// What an earlier BuildConfig of the same name has built, or this one before the run, is not ours.
pub(super) async fn find_or_start(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    config: &Object,
    commit: Option<&str>,
) -> Result<String, MigrateError> {
    let failed = |source| MigrateError::Object {
        key: config.key(),
        done: "built",
        source,
    };
    let kind = config.group_kind();
    let live = target
        .get(&kind, Some(namespace), config.name())
        .await
        .map_err(failed)?
        .ok_or_else(|| MigrateError::ChangedMeanwhile { key: config.key() })?;
    let discovery = target.discovery().await?;
    let builds = match discovery.find(&build()) {
        Some(resource) => match target.list(resource, Some(namespace), None).await {
            // Who may start builds only has none to go on with.
            Err(error) if error.is_forbidden() => Vec::new(),
            listed => listed.map_err(failed)?,
        },
        None => Vec::new(),
    };
    if let Some(ours) = of_run(&builds, &live, run.id.as_str()) {
        return Ok(ours.name().to_owned());
    }
    let mut request = json!({
        "apiVersion": "build.openshift.io/v1",
        "kind": "BuildRequest",
        "metadata": {"name": config.name()},
        "triggeredBy": [{"message": cause(run.id.as_str())}],
    });
    // One that was there and is left as it is may build something else.
    let uri = |config: &Object| config.value()["spec"]["source"]["git"]["uri"].clone();
    if let Some(commit) = commit.filter(|_| uri(&live) == uri(config)) {
        request["revision"] = json!({"type": "Git", "git": {"commit": commit}});
    }
    let started = target
        .create_subresource(
            &kind,
            Some(namespace),
            config.name(),
            "instantiate",
            &request,
        )
        .await
        .map_err(failed)?;
    Ok(started.name().to_owned())
}

/// The build to go on with: the newest since the first that this run has started. One that failed is no such build, but
/// one that somebody started after it, to mend it, is.
fn of_run<'a>(builds: &'a [Object], config: &Object, run: &str) -> Option<&'a Object> {
    let mut of_config: Vec<&Object> = builds.iter().filter(|build| is_of(build, config)).collect();
    of_config.sort_by_key(|build| number(build));
    let cause = cause(run);
    let is_ours = |build: &&Object| {
        let causes = build.value()["spec"]["triggeredBy"].as_array();
        causes
            .into_iter()
            .flatten()
            .any(|one| one["message"] == *cause)
    };
    let first = of_config.iter().position(is_ours)?;
    of_config
        .into_iter()
        .skip(first)
        .rev()
        .find(|build| !matches!(phase(build), "Failed" | "Error" | "Cancelled"))
}

/// Whether this very BuildConfig made a build, and not one that had its name before.
fn is_of(build: &Object, config: &Object) -> bool {
    let owners = build.owners();
    if owners.is_empty() {
        // Servers before OpenShift 3.7 name no owner.
        return build.value()["status"]["config"]["name"] == *config.name();
    }
    owners
        .iter()
        .any(|owner| Some(owner.uid.as_str()) == config.uid())
}

pub(super) fn number(build: &Object) -> u64 {
    build
        .annotation("openshift.io/build.number")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_builds_of_this_run_and_config_that_did_not_fail_are_gone_on_with() {
        let config = Object::from_value(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
            "metadata": {"name": "web", "uid": "now"}}),
        )
        .unwrap();
        let build = |number: u64, uid: &str, run: &str, phase: &str| {
            Object::from_value(json!({"apiVersion": "build.openshift.io/v1", "kind": "Build",
                "metadata": {"name": format!("web-{number}"), "annotations": {"openshift.io/build.number": number.to_string()},
                    "ownerReferences": [{"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "name": "web", "uid": uid}]},
                "spec": {"triggeredBy": [{"message": cause(run)}]}, "status": {"phase": phase}}))
            .unwrap()
        };
        let found = |builds: &[Object]| {
            of_run(builds, &config, "mine").map(|build| build.name().to_owned())
        };
        // Of a BuildConfig that was deleted, of an earlier run.
        let stale = build(1, "before", "mine", "Complete");
        let earlier = build(2, "now", "earlier", "Complete");
        assert_eq!(found(&[stale.clone(), earlier.clone()]), None);
        // A failed one is no success, whoever looks at it again.
        let failed = build(3, "now", "mine", "Failed");
        assert_eq!(found(&[stale, earlier.clone(), failed.clone()]), None);
        let again = build(10, "now", "mine", "Running");
        assert_eq!(
            found(&[again, failed.clone(), earlier.clone()]).as_deref(),
            Some("web-10")
        );
        let by_hand = build(4, "now", "somebody", "Complete");
        assert_eq!(found(&[failed, by_hand.clone()]).as_deref(), Some("web-4"));
        assert_eq!(found(&[by_hand, earlier]), None);
    }
}
