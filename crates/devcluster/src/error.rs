//! What can go wrong with a cluster as a whole.

use std::path::PathBuf;

use openshifter_apiserver::StartError;

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevClusterError {
    /// There is no `bwrap` in `$PATH`.
    #[error(
        "bwrap is not installed: install the package bubblewrap, or run containers without isolation (--no-sandbox)"
    )]
    NoBubblewrap,
    /// `bwrap` cannot make namespaces here.
    #[error(
        "bwrap cannot make a sandbox ({said}): allow user namespaces (sysctl user.max_user_namespaces, \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns) for the package \
         bubblewrap, or run containers without isolation (--no-sandbox)"
    )]
    Bubblewrap {
        /// What `bwrap` said.
        said: String,
    },
    /// The agent is not an executable file.
    #[error("the agent {} is not an executable file", path.display())]
    Agent {
        /// The path that was given.
        path: PathBuf,
    },
    /// A name that cannot be a cluster's.
    #[error(
        "{name:?} cannot be a cluster's name: use lower-case letters, digits and '-', at most 40"
    )]
    Name {
        /// The name that was given.
        name: String,
    },
    /// The data folder cannot be used.
    #[error("cannot use the data folder {}", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// Another cluster runs in the data folder.
    #[error(
        "the data folder {} is in use by another cluster: stop that one or take another folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The router cannot listen.
    #[error("the router cannot listen on {address}")]
    Router {
        /// The address that was given.
        address: std::net::SocketAddr,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The API server did not start.
    #[error("the API server did not start")]
    ApiServer(#[source] StartError),
    /// An object that every cluster has could not be made.
    #[error("cannot prepare the cluster: {what}")]
    Prepare {
        /// What failed.
        what: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        insta::assert_snapshot!(DevClusterError::NoBubblewrap, @"bwrap is not installed: install the package bubblewrap, or run containers without isolation (--no-sandbox)");
        let refused = DevClusterError::Bubblewrap {
            said: "bwrap: No permissions to create new namespace".to_owned(),
        };
        insta::assert_snapshot!(refused, @"bwrap cannot make a sandbox (bwrap: No permissions to create new namespace): allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns) for the package bubblewrap, or run containers without isolation (--no-sandbox)");
        insta::assert_snapshot!(DevClusterError::InUse { path: "/d".into() }, @"the data folder /d is in use by another cluster: stop that one or take another folder");
        insta::assert_snapshot!(DevClusterError::Agent { path: "/a".into() }, @"the agent /a is not an executable file");
    }
}
