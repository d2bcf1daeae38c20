//! A look into one volume, for comparisons from outside of a run.

use openshifter_cluster::Cluster;
use openshifter_objects::Object;
use openshifter_volumes::FileList;

use crate::helper::{Helpers, candidates};
use crate::project::inventory;
use crate::{MigrateError, Run, transfer};

/// Lists what a claim holds at this moment, with the hash of every file.
///
/// # Errors
/// When the claim cannot be reached.
pub async fn list_volume(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    helper_image: Option<&str>,
) -> Result<FileList, MigrateError> {
    let helpers = Helpers::new(run, cluster, namespace, crate::journal::At::Source);
    let (inventory, pods) = inventory(cluster, namespace, None).await?;
    let work = look(
        run,
        cluster,
        namespace,
        claim,
        helper_image,
        &helpers,
        &inventory.objects,
        &pods,
    );
    let list = run.or_cancelled(work).await;
    for left in helpers.remove_all().await {
        run.progress.note(&left);
    }
    list
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one look, taken apart for its clean-up"
)]
async fn look(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    helper_image: Option<&str>,
    helpers: &Helpers<'_>,
    objects: &[Object],
    pods: &[Object],
) -> Result<FileList, MigrateError> {
    let images = candidates(claim, objects, helper_image, None);
    let door = helpers.open(claim, pods, &images).await?;
    transfer::scan(run, cluster, namespace, claim, &door, None).await
}
