//! Logs of containers, and what this user may do.

use http::Method;
use serde_json::json;

use crate::call::{Call, segment};
use crate::{Cluster, ClusterError};

/// Longest log that is read whole.
const LOG_LIMIT: &str = "16777216";

impl Cluster {
    /// The log of a container so far, at most 16 MiB of it; with `tail`, its last lines.
    /// Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// When the pod or container is not there or has not started, the server refuses, or cannot be reached.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        tail: Option<u32>,
    ) -> Result<String, ClusterError> {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/log",
            segment(namespace, "a namespace")?,
            segment(pod, "a pod")?
        );
        let action = format!("read the log of Pod/{pod} in namespace {namespace}");
        let mut call = Call::get(path, action)
            .query("limitBytes", LOG_LIMIT)
            .header(http::header::ACCEPT, "*/*");
        if let Some(container) = container {
            call = call.query("container", container);
        }
        if let Some(tail) = tail {
            call = call.query("tailLines", tail.to_string());
        }
        let answer = self.call(&call).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Whether this user may do something: `verb` on `resource` (plural, with `/subresource`) of `group`, in a
    /// namespace or cluster-wide.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn can_i(
        &self,
        namespace: Option<&str>,
        verb: &str,
        group: &str,
        resource: &str,
    ) -> Result<bool, ClusterError> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace.unwrap_or_default(), "verb": verb, "group": group,
                "resource": resource, "subresource": subresource}}
        });
        let call = Call::with_body(
            Method::POST,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            &body,
            format!("ask whether this user may {verb} {resource}"),
        );
        let answer = self.call(&call.harmless()).await?;
        answer.value()?["status"]["allowed"]
            .as_bool()
            .ok_or_else(|| answer.bad("it does not say whether it is allowed".into()))
    }
}
