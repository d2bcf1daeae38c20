//! Trees of files in volumes, of which the project's uid range owns everything.

use openshifter_testing::Detail;
pub(crate) use openshifter_testing::same;

use crate::support::Space;

/// What `/data` holds in a pod, as one archive that is equal for equal trees.
#[track_caller]
pub(crate) fn archive(space: &Space<'_>, pod: &str) -> Vec<u8> {
    let bytes = space.shell(
        pod,
        "cd /data && find . -mindepth 1 -print0 | sort -z | tar --null --no-recursion -T - --numeric-owner --owner=0 --group=0 -cf -",
    );
    assert!(bytes.len() >= 1024, "no archive");
    bytes
}

/// Describes what `/data` holds in a pod.
#[track_caller]
pub(crate) fn describe(space: &Space<'_>, pod: &str) -> Vec<String> {
    openshifter_testing::describe(space, pod, "/data", Detail::Nanoseconds)
}
