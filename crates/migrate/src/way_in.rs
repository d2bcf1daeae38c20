//! Which door a volume is read through, and which one is tried next.

use std::path::Path;

use openshifter_chart::VolumeHelper;
use openshifter_cluster::Cluster;
use openshifter_objects::Object;

use crate::helper::{Door, Helpers, node_of};
use crate::transfer::{self, Read};
use crate::{MigrateError, Run};

/// A volume to read, and the doors to it.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) run: &'a Run,
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    pub(crate) helpers: &'a Helpers<'a>,
    pub(crate) claim: &'a str,
    /// What a helper pod may be made of.
    pub(crate) images: &'a [VolumeHelper],
    /// Pods that may be used as they run.
    pub(crate) pods: &'a [Object],
    /// Whether it is to be noticed what is written to meanwhile.
    pub(crate) watch: bool,
}

impl Way<'_> {
    /// Reads the volume into the folder of a chart.
    ///
    /// What the application's own user may not read, root may, in a helper pod; what root may not, since a file server
    /// does not let it in (NFS with `root_squash`), the application's user may.
    ///
    /// # Errors
    /// When no door leads to all of it: a file that cannot be read is never left out.
    pub(crate) async fn read(
        &self,
        directory: &Path,
    ) -> Result<(Read, VolumeHelper), MigrateError> {
        let Self { claim, images, .. } = *self;
        let node = node_of(claim, self.pods);
        let mut door = self.helpers.open(claim, self.pods, images).await?;
        let mut read = self.through(&door, directory).await;
        if let Err(refused @ MigrateError::TarFailed { code: 1 | 2, .. }) = &read
            && !door.helper
        {
            self.run
                .progress
                .note(&format!("{refused}; trying it with a helper pod"));
            if let Ok(helper) = self
                .helpers
                .start(claim, images, node.as_deref(), true)
                .await
            {
                door = helper;
                read = self.through(&door, directory).await;
            }
        }
        if let Err(MigrateError::TarFailed {
            code: 1 | 2, said, ..
        }) = &read
            && door.helper
            && door.probe.uid == Some(0)
            && said.contains("ermission denied")
            && let Ok(helper) = self
                .helpers
                .start_as_application(claim, images, node.as_deref(), true)
                .await
        {
            door = helper;
            read = self.through(&door, directory).await;
        }
        read.map(|read| (read, door.made_of))
    }

    async fn through(&self, door: &Door, directory: &Path) -> Result<Read, MigrateError> {
        let read = transfer::read(
            self.run,
            self.cluster,
            self.namespace,
            self.claim,
            door,
            directory,
            self.watch,
        )
        .await;
        self.helpers.close(door).await;
        if read.is_err() {
            // It may be whole as a stream, and is not what was asked for.
            let _ = fs_err::remove_dir_all(directory);
        }
        read
    }
}
