//! The same questions about access that requests meet, for what runs beside the server: a registry, a
//! node.

use std::sync::Arc;

use super::{authenticate, rbac, tokens};
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::store::Store;

/// What somebody may want to do with the layers of an image stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayersVerb {
    /// Read them: `get imagestreams/layers`.
    Pull,
    /// Write them: `update imagestreams/layers`.
    Push,
}

impl LayersVerb {
    fn verb(self) -> &'static str {
        match self {
            Self::Pull => "get",
            Self::Push => "update",
        }
    }
}

/// Answers who a bearer token is and what it may do. Clones are cheap.
#[derive(Clone)]
pub struct Access {
    store: Store,
    signer: Arc<tokens::Signer>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    pub(crate) fn new(store: Store, signer: Arc<tokens::Signer>) -> Self {
        Self { store, signer }
    }

    fn info(&self, token: Option<&str>) -> Result<UserInfo, ApiError> {
        match token {
            None => Ok(UserInfo::anonymous()),
            Some(token) => authenticate::bearer(&self.store, &self.signer, token)
                .ok_or_else(ApiError::unauthorized),
        }
    }

    /// Name of the user or service account; without a token `system:anonymous`.
    ///
    /// # Errors
    /// 401 if the token is unknown, revoked or has expired.
    pub fn user(&self, token: Option<&str>) -> Result<String, ApiError> {
        self.info(token).map(|user| user.name)
    }

    /// Whether a token may read or write the layers of an image stream, which need not exist; the name
    /// of its user.
    ///
    /// # Errors
    /// 401 as [`Access::user`]; 403 if it may not.
    pub fn may_layers(
        &self,
        token: Option<&str>,
        verb: LayersVerb,
        namespace: &str,
        stream: &str,
    ) -> Result<String, ApiError> {
        self.require(token, &layers(verb, namespace, stream))
    }

    /// Whether a token may do something with a resource; the name of its user.
    ///
    /// # Errors
    /// 401 as [`Access::user`]; 403 if it may not.
    #[expect(
        clippy::too_many_arguments,
        reason = "the attributes of one question, as a SubjectAccessReview has them"
    )]
    pub fn may(
        &self,
        token: Option<&str>,
        verb: &str,
        group: &str,
        resource: &str,
        subresource: Option<&str>,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<String, ApiError> {
        self.require(
            token,
            &rbac::Attributes {
                verb,
                group,
                resource,
                subresource,
                namespace,
                name,
            },
        )
    }

    fn require(
        &self,
        token: Option<&str>,
        attributes: &rbac::Attributes<'_>,
    ) -> Result<String, ApiError> {
        let user = self.info(token)?;
        rbac::require(&self.store.state(), &user, attributes)?;
        Ok(user.name)
    }

    /// Whether a service account may pull from an image stream, as the node asks for a pod's image.
    pub fn account_may_pull(
        &self,
        namespace: &str,
        account: &str,
        of_namespace: &str,
        stream: &str,
    ) -> bool {
        let user = UserInfo::service_account(namespace, account, "");
        let attributes = layers(LayersVerb::Pull, of_namespace, stream);
        rbac::allowed(&self.store.state(), &user, &attributes).is_some()
    }
}

fn layers<'a>(verb: LayersVerb, namespace: &'a str, stream: &'a str) -> rbac::Attributes<'a> {
    rbac::Attributes {
        verb: verb.verb(),
        group: "image.openshift.io",
        resource: "imagestreams",
        subresource: Some("layers"),
        namespace: Some(namespace),
        name: Some(stream),
    }
}
