//! Trees of files in volumes, whose owners count.

use openshifter_testing::Detail;
pub(crate) use openshifter_testing::{ODDITIES, same};

use crate::space::Space;

/// Describes what `/data` holds in a pod.
#[track_caller]
pub(crate) fn describe(space: &Space, pod: &str) -> Vec<String> {
    describe_at(space, pod, "/data")
}

/// Describes what a folder of a pod holds.
#[track_caller]
pub(crate) fn describe_at(space: &Space, pod: &str, path: &str) -> Vec<String> {
    openshifter_testing::describe(space, pod, path, Detail::Owners)
}
