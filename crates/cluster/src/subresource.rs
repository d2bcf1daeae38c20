//! Subresources that are created, as a BuildConfig's `instantiate`.

use http::Method;
use openshifter_objects::{GroupKind, Object};
use serde_json::Value;

use crate::call::{Call, path};
use crate::objects::{namespace_for, subject};
use crate::{Cluster, ClusterError};

impl Cluster {
    /// Posts `body` to a subresource of an object, and returns the object of the answer.
    ///
    /// It is not repeated once the server may have acted: who starts a build twice has two builds.
    ///
    /// # Errors
    /// When the server refuses it or cannot be reached.
    pub async fn create_subresource(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        subresource: &'static str,
        body: &Value,
    ) -> Result<Object, ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let at = format!("{}/{subresource}", path(&resource, namespace, Some(name))?);
        let action = format!("create {subresource} of {}", subject(kind, namespace, name));
        self.call(&Call::with_body(Method::POST, at, body, action))
            .await?
            .object()
    }
}
