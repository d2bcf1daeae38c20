//! Which clusters are reached, how their certificates are verified, and that every session is logged out.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use futures::FutureExt as _;
use openshifter_cluster::{Access, Cluster, ClusterError, Credentials, Trust};
use secrecy::SecretString;
use url::Url;

use crate::ServerError;
use crate::place::Place;
use crate::problem::{Code, Problem};

/// What the service knows of clusters.
#[derive(Debug)]
pub(crate) struct Clusters {
    trusts: Vec<(Url, Trust)>,
    /// The only clusters that may be reached; `None`: all.
    allowed: Option<Vec<Url>>,
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl Clusters {
    pub(crate) fn new(
        trusts: Vec<(String, Trust)>,
        allowed: Option<&[String]>,
        kubeconfig: Option<PathBuf>,
    ) -> Result<Self, ServerError> {
        let parse = |text: &str| Access::parse_base(text).map_err(ServerError::Base);
        Ok(Self {
            trusts: trusts
                .into_iter()
                .map(|(base, trust)| Ok((parse(&base)?, trust)))
                .collect::<Result<_, _>>()?,
            allowed: allowed
                .map(|bases| bases.iter().map(|base| parse(base)).collect())
                .transpose()?,
            kubeconfig,
        })
    }

    /// How the certificates of a cluster are verified, unless a request says otherwise.
    pub(crate) fn trust(&self, base: &Url) -> Trust {
        self.trusts
            .iter()
            .find(|(known, _)| known == base)
            .map(|(_, trust)| trust.clone())
            .unwrap_or_default()
    }

    /// Whether requests without a token may reach a cluster.
    pub(crate) fn is_allowed(&self, base: &Url) -> bool {
        self.allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(base))
    }

    /// How a legacy request logs in.
    pub(crate) fn access(&self, place: &Place) -> Result<Access, Problem> {
        if !self.is_allowed(&place.base) {
            return Err(Problem::new(
                Code::ClusterNotAllowed,
                "this service does not reach that cluster for requests from outside; --allow-cluster adds it",
            ));
        }
        Ok(self.by_password(&place.base, &place.username, &place.password))
    }

    fn by_password(&self, base: &Url, username: &str, password: &SecretString) -> Access {
        Access {
            name: short(base),
            base: base.clone(),
            trust: self.trust(base),
            credentials: Credentials::Password {
                username: username.to_owned(),
                password: password.clone(),
            },
        }
    }
}

/// An address as users write it: `host:port`.
pub(crate) fn short(base: &Url) -> String {
    base.as_str()
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned()
}

/// Connects, does the work, and logs out however the work ended.
pub(crate) async fn session<T, F>(
    access: &Access,
    work: impl FnOnce(Cluster) -> F,
) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let cluster = Cluster::connect(access).await?;
    logged_out(&[&cluster], work(cluster.clone())).await
}

/// Does work with clusters and logs out of them however it ended, by a panic too.
pub(crate) async fn logged_out<T>(
    clusters: &[&Cluster],
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    for cluster in clusters {
        log_out(cluster).await;
    }
    result.unwrap_or_else(|_| {
        Err(Problem::internal(
            "a part of the service failed unexpectedly; its log says more",
        ))
    })
}

/// Logs out. That this failed does not undo what was done, so it is only logged.
pub(crate) async fn log_out(cluster: &Cluster) {
    match cluster.logout().await {
        Ok(()) => {}
        // Whoever revoked it before us did our work.
        Err(ClusterError::Unauthorized { .. }) => {}
        Err(error) => {
            tracing::warn!(cluster = cluster.name(), %error, "the login token could not be revoked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allow_list_and_the_trust_are_found_by_address_not_by_spelling() {
        let insecure = Trust {
            insecure: true,
            ..Trust::default()
        };
        let clusters = Clusters::new(
            vec![("https://API.example.com:6443/".to_owned(), insecure)],
            Some(&["api.example.com:6443".to_owned()]),
            None,
        )
        .unwrap();
        let access =
            |base: &str| clusters.access(&Place::parse(&format!("{base}/shop/dev/pw")).unwrap());
        let found = access("https://api.example.com:6443").unwrap();
        assert!(found.trust.insecure);
        assert_eq!(found.name, "api.example.com:6443");
        assert_eq!(
            access("api.example.com:443").unwrap_err().status().as_u16(),
            403
        );
    }
}
