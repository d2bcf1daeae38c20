//! What differs from one embedded cluster to another.

use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

/// Names, ranges and limits that rules need.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Suffix of generated route hosts.
    pub(crate) route_suffix: String,
    /// First three bytes and prefix length of the service network.
    pub(crate) service_network: (Ipv4Addr, u8),
    /// First uid of the first project.
    pub(crate) first_uid: u32,
    /// How many events are remembered.
    pub(crate) history: usize,
    /// Whether it plays OpenShift.
    pub(crate) openshift: bool,
    /// The certificate authority, which every namespace gets.
    pub(crate) ca_pem: String,
}

impl Settings {
    pub(crate) fn new(cluster: &str) -> Self {
        // Each cluster hands out other uids, as genuine ones do by their history: an application that
        // depends on its old uid is found out.
        let digest = Sha256::digest(cluster.as_bytes());
        let offset = u32::from(digest[0]) * 256 + u32::from(digest[1]);
        Self {
            route_suffix: format!("apps.{cluster}.test"),
            service_network: (Ipv4Addr::new(172, 30, 0, 0), 16),
            first_uid: 1_000_000_000 + (10 + offset) * 10_000,
            history: 20_000,
            openshift: true,
            ca_pem: String::new(),
        }
    }
}
