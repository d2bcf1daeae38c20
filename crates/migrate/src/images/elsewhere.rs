//! Images in ImageStreams of other projects, which stay where they are: what they are at the source, and whether the
//! target has them.

use std::collections::BTreeSet;

use openshifter_chart::ImageRecord;
use openshifter_cluster::{Cluster, ClusterError};
use openshifter_images::{Decision, Origin};
use openshifter_objects::{GroupKind, Object};

use super::PlannedImages;
use crate::{MigrateError, Report};

/// Asks for the digests of such images that are not copied: of an application's own objects, none tells. A tag that this
/// user may not see, or that is not there, stays without.
pub(super) async fn tell_digests(source: &Cluster, planned: &mut PlannedImages) {
    let unknown = planned.0.iter_mut().filter(|one| {
        one.image.digest.is_none()
            && one.decision != Decision::Copy
            && matches!(one.image.origin, Origin::OtherProject { .. })
    });
    for one in unknown {
        let Some(tag) = one.image.tags.first() else {
            continue;
        };
        let name = format!("{}:{}", tag.stream, tag.tag);
        if let Ok(Some(found)) = stream_tag(source, &tag.namespace, &name).await {
            let digest = found.value()["image"]["metadata"]["name"].as_str();
            one.image.digest = digest.and_then(|digest| digest.parse().ok());
        }
    }
}

/// Losses for such images that the target has not. Where this user may not look (a project that is not there looks the
/// same), that is said: a workload's start will tell, a CronJob's not.
///
/// # Errors
/// When the target cannot be asked.
pub(super) async fn missing(
    target: &Cluster,
    namespace: &str,
    records: &[ImageRecord],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let left = records
        .iter()
        .filter(|record| record.decision == "external" && record.to.is_none());
    for record in left {
        let mut tags: BTreeSet<(&str, &str)> = record
            .follows
            .iter()
            .filter_map(|follower| Some((follower.namespace.as_deref()?, follower.name.as_str())))
            .collect();
        // What names it without following it.
        if let (true, true, Some(tag)) = (
            record.internal,
            record.tags.is_empty() && record.follows.is_empty(),
            record.name.split_once('/'),
        ) {
            tags.insert(tag);
        }
        for (project, name) in tags {
            // A digest alone is nothing that an ImageStreamTag would tell.
            if project == namespace || name.contains('@') || !name.contains(':') {
                continue;
            }
            match stream_tag(target, project, name).await {
                Ok(Some(_)) => {}
                Err(error) if error.is_forbidden() => report.next.push(format!(
                    "this user may not see whether the target has the image {project}/{name}, which stays there: have somebody look who may"
                )),
                Err(error) if !error.is_unknown_kind() => return Err(error.into()),
                _ => report.losses.push(format!(
                    "image {project}/{name} is not at the target, and was to be there already: import it there, or decide otherwise with `--images 'copy {}'` or `--images 'map {}=NEW'`",
                    record.name, record.name
                )),
            }
        }
    }
    Ok(())
}

async fn stream_tag(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, ClusterError> {
    let kind = GroupKind::new("image.openshift.io", "ImageStreamTag");
    cluster.get(&kind, Some(namespace), name).await
}
