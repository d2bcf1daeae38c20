//! The suite on genuine clusters: the real program and the real `kubectl` and `helm`, against the clusters of two
//! kubeconfig contexts, whatever they are.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `OPENSHIFTER_TEST_SOURCE`, `OPENSHIFTER_TEST_TARGET` | contexts of the two clusters, with an administrator's rights |
//! | `OPENSHIFTER_TEST_IMAGE` | an image with `sh`, `sleep`, `find`, `stat` and `tar` that pods can run as root; `localhost/busybox:1` |
//! | `OPENSHIFTER_TEST_NOTAR_IMAGE` | an image whose command runs for ever, without `tar`; `localhost/notar:1` |
//! | `OPENSHIFTER_TEST_TOOLS` | the folder of `kubectl` and `helm`; `target/test-tools` |
//!
//! One test has registries on loopback (`docker-registry`), from which the nodes pull: they have to run on this machine.
//!
//! Each test makes namespaces of its own and removes them. Where the default storage class has no provisioner the
//! suite makes fresh hostPath volumes beside the cluster's own ones. What an earlier run left is removed at the start,
//! so two runs of the suite cannot share a cluster. `OPENSHIFTER_TEST_KEEP` leaves everything in place, to be looked at.

mod access;
mod app;
mod claims;
mod copy;
mod crash;
mod cut;
mod deletion;
mod doors;
mod existing;
mod first_consumer;
mod full;
mod gnu_tar;
mod helm;
mod images;
mod in_cluster;
mod policies;
mod quiesce;
mod refused;
mod space;
mod steps;
mod tool;
mod tree;
mod v2;
mod whole;
mod world;
