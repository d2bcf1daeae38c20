//! Why the service cannot be started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use openshifter_cluster::ClusterError;

/// Why the service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is in use, or is not this machine's.
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the service cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate or key that was given cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for this service")]
    MakeCertificate(#[source] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// An address of a cluster in the configuration cannot be one.
    #[error(transparent)]
    Base(ClusterError),
}
