//! What the tags of builds have at the target before anything is built: nothing, the image that would be built, or
//! another one, which nobody builds over by accident.

use std::collections::{BTreeMap, BTreeSet};

use openshifter_chart::{ImageRecord, ImageTag};
use openshifter_cluster::Cluster;
use openshifter_objects::{Object, ObjectKey};
use serde_json::Value;

use super::own::number;
use super::{build, phase, record_of, source_of, tag_of_config, wanted};
use crate::images::{image_of, streams};
use crate::import::Existing;
use crate::journal::Event;
use crate::{MigrateError, Report, Run};

/// The tags that lead to other images than builds would make.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Those that are built over, or led elsewhere, each with the digest that it leads to.
    over: BTreeMap<ImageTag, String>,
    /// Those that stay as they are.
    kept: BTreeSet<ImageTag>,
}

impl Standing {
    /// The digest that a tag leads to, and is not to lead to any more.
    pub(super) fn before(&self, tag: &ImageTag) -> Option<&str> {
        self.over.get(tag).map(String::as_str)
    }

    /// Whether a tag stays as it is.
    pub(super) fn is_kept(&self, tag: &ImageTag) -> bool {
        self.kept.contains(tag)
    }
}

/// Looks at the tags that builds are to make, as [`Existing`] says for images that are copied. Changes nothing.
///
/// What this run's own BuildConfig has made is no other image, nor is one that a build at the target has made of the
/// same commit.
///
/// # Errors
/// When a tag has another image, and is not to be changed.
pub(crate) async fn look(
    run: &Run,
    (target, namespace): (&Cluster, &str),
    objects: &[Object],
    images: &[ImageRecord],
    existing: Existing,
    report: &mut Report,
) -> Result<Standing, MigrateError> {
    let mut standing = Standing::default();
    let events = run.journal.events()?;
    let mut builds: Option<Option<Vec<Object>>> = None;
    for config in wanted(objects, images, namespace) {
        let ours = events
            .iter()
            .any(|event| matches!(event, Event::Creating { key, .. } if *key == config.key()));
        if ours || source_of(config).is_none() {
            continue;
        }
        let record = record_of(images, config);
        for tag in tags(config, record) {
            let Some(there) = digest_of(target, namespace, &tag).await? else {
                continue;
            };
            let copied = record.and_then(|record| record.digest.as_deref()) == Some(&there);
            if copied {
                continue;
            }
            let builds = match &builds {
                Some(known) => known,
                None => builds.insert(builds_of(target, namespace).await?),
            };
            let commit = record.and_then(|record| record.commit.as_deref());
            let what = builds
                .as_ref()
                .and_then(|builds| other(builds, config, &there, commit));
            let Some(what) = what else {
                continue;
            };
            match existing {
                Existing::Fail => {
                    return Err(MigrateError::NotPossible(format!(
                        "the tag {tag} of {namespace} has {what}, and the application another one: --existing apply builds that, --existing skip leaves the tag as it is"
                    )));
                }
                Existing::Skip => {
                    report.losses.push(format!(
                        "the tag {tag} of {namespace} has {what}, which stays with `--existing skip`; `--existing apply` builds the application's own"
                    ));
                    standing.kept.insert(tag);
                }
                Existing::Apply => {
                    standing.over.insert(tag, there);
                }
            }
        }
    }
    Ok(standing)
}

/// The tag that a build makes, before the others that lead to its image.
pub(super) fn tags(config: &Object, record: Option<&ImageRecord>) -> Vec<ImageTag> {
    let own = tag_of_config(config);
    let others = record.into_iter().flat_map(|record| &record.tags);
    own.iter()
        .chain(others.filter(|tag| Some(*tag) != own.as_ref()))
        .cloned()
        .collect()
}

/// The digest that a tag leads to at the target.
pub(super) async fn digest_of(
    target: &Cluster,
    namespace: &str,
    tag: &ImageTag,
) -> Result<Option<String>, MigrateError> {
    let live = match target.get(&streams(), Some(namespace), &tag.stream).await {
        // Plain Kubernetes has no streams.
        Err(error) if error.is_unknown_kind() => None,
        answer => answer?,
    };
    Ok(live.and_then(|live| image_of(&live, &tag.tag).map(str::to_owned)))
}

/// The builds of a project; `None` where this user may not see them, and nobody can tell what made an image.
async fn builds_of(target: &Cluster, namespace: &str) -> Result<Option<Vec<Object>>, MigrateError> {
    let discovery = target.discovery().await?;
    let Some(resource) = discovery.find(&build()) else {
        return Ok(Some(Vec::new()));
    };
    match target.list(resource, Some(namespace), None).await {
        Err(error) if error.is_forbidden() => Ok(None),
        listed => listed.map(Some).map_err(|source| MigrateError::Object {
            key: ObjectKey {
                kind: build(),
                name: String::new(),
            },
            done: "read",
            source,
        }),
    }
}

/// What an image at the target is, unless it is what the BuildConfig would make of the commit.
fn other(builds: &[Object], config: &Object, digest: &str, commit: Option<&str>) -> Option<String> {
    let told = |build: &Object| {
        let digest = build.value().pointer("/status/output/to/imageDigest")?;
        digest.as_str().map(str::to_owned)
    };
    let of_config = |build: &Object| build.value()["status"]["config"]["name"] == *config.name();
    let by_digest = builds
        .iter()
        .find(|build| told(build).as_deref() == Some(digest));
    // Older servers do not tell what a build has made.
    let newest = builds
        .iter()
        .filter(|build| told(build).is_none() && of_config(build) && phase(build) == "Complete")
        .max_by_key(|build| number(build));
    let Some(made) = by_digest.or(newest) else {
        return Some(format!("the image {digest}, which no build there has made"));
    };
    if !of_config(made) {
        return Some(format!("the image of {}", made.key()));
    }
    let of = |object: &Object, at: &str| object.value().pointer(at).cloned();
    let uri = "/spec/source/git/uri";
    if of(made, uri) != of(config, uri) {
        return Some(format!(
            "the image of {}, which was built from elsewhere",
            made.key()
        ));
    }
    let built = of(made, "/spec/revision/git/commit");
    let built = built.as_ref().and_then(Value::as_str);
    match (commit, built) {
        (Some(commit), Some(built)) if commit != built => {
            Some(format!("the image of {}, of commit {built}", made.key()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_build_of_the_same_commit_has_made_is_the_same_image() {
        let object = |value| Object::from_value(value).unwrap();
        let git = |uri: &str| json!({"type": "Git", "git": {"uri": uri}});
        let config = object(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
            "metadata": {"name": "web"}, "spec": {"source": git("https://x.test/a")}}),
        );
        let build = |name: &str, of: &str, uri: &str, commit: &str| {
            object(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "Build", "metadata": {"name": name},
                "spec": {"source": git(uri), "revision": {"git": {"commit": commit}}},
                "status": {"config": {"name": of}, "output": {"to": {"imageDigest": format!("sha256:{name}")}}}}),
            )
        };
        let builds = [
            build("web-1", "web", "https://x.test/a", "one"),
            build("web-2", "web", "https://x.test/b", "one"),
            build("api-1", "api", "https://x.test/a", "one"),
        ];
        let said = |digest: &str, commit: Option<&str>| {
            other(&builds, &config, digest, commit).unwrap_or_else(|| "the same".to_owned())
        };
        let all = [
            said("sha256:web-1", Some("one")),
            said("sha256:web-1", None),
            said("sha256:web-1", Some("two")),
            said("sha256:web-2", Some("one")),
            said("sha256:api-1", Some("one")),
            said("sha256:pushed", Some("one")),
        ]
        .join("\n");
        insta::assert_snapshot!(all, @r"
        the same
        the same
        the image of Build.build.openshift.io/web-1, of commit one
        the image of Build.build.openshift.io/web-2, which was built from elsewhere
        the image of Build.build.openshift.io/api-1
        the image sha256:pushed, which no build there has made
        ");
    }
}
