//! Reads, changes and deletes single objects.

use std::fmt;

use http::{Method, header};
use openshifter_objects::{GroupKind, Object, ObjectKey, ResourceType};
use serde_json::{Value, json};

use crate::call::{Call, path, place};
use crate::create::holds;
use crate::retry::{Failure, Repeat};
use crate::{Cluster, ClusterError};

/// Name under which servers keep what we set (`metadata.managedFields`), unless an apply names another.
pub(crate) const MANAGER: &str = "openshifter";

/// Whether a request is only tried by the server, with all its admission, and not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DryRun {
    /// Carried out.
    #[default]
    No,
    /// Tried only.
    All,
}

/// What an object must be for a deletion to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preconditions {
    /// Its uid: so that a new object of the same name is not hit.
    pub uid: Option<String>,
    /// Its `resourceVersion`: so that a changed object is not hit.
    pub resource_version: Option<String>,
}

impl Preconditions {
    /// This very object, in whatever state.
    pub fn same_object(object: &Object) -> Self {
        Self {
            uid: object.uid().map(str::to_owned),
            resource_version: None,
        }
    }

    /// This very object in this very state.
    pub fn same_state(object: &Object) -> Self {
        Self {
            uid: object.uid().map(str::to_owned),
            resource_version: object.resource_version().map(str::to_owned),
        }
    }
}

/// What becomes of the objects that an object owns when it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        })
    }
}

/// An object in words: `Deployment.apps/web in namespace shop`.
pub(crate) fn subject(kind: &GroupKind, namespace: Option<&str>, name: &str) -> String {
    let key = ObjectKey {
        kind: kind.clone(),
        name: name.to_owned(),
    };
    format!("{key}{}", place(namespace))
}

/// The namespace to put in a path: none for a cluster-scoped kind, the object's own when none is given.
pub(crate) fn namespace_for<'a>(
    resource: &ResourceType,
    given: Option<&'a str>,
    object: Option<&'a Object>,
) -> Option<&'a str> {
    if !resource.namespaced {
        return None;
    }
    given.or_else(|| object.and_then(Object::namespace))
}

impl Cluster {
    /// Reads an object, in the version of its kind that the server prefers; `None` when it is not there.
    ///
    /// # Errors
    /// When the kind is not served, the server refuses, or cannot be reached.
    pub async fn get(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        let resource = self.resource(kind).await?;
        self.get_as(&resource, namespace, name).await
    }

    /// Reads an object as one resource type, that is, in one version.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_as(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        let namespace = namespace_for(resource, namespace, None);
        let action = format!("get {}", subject(&resource.group_kind(), namespace, name));
        let call = Call::get(path(resource, namespace, Some(name))?, action);
        match self.call(&call).await {
            Ok(answer) => answer.object().map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces an object by this body. A `resourceVersion` in it makes the server refuse when the object has changed
    /// meanwhile.
    ///
    /// When no answer came and the repeated request meets a conflict, the object is read: holding everything that was
    /// sent, it counts as replaced.
    ///
    /// # Errors
    /// When it is not there, has changed, is refused, or the server cannot be reached.
    pub async fn replace(
        &self,
        namespace: Option<&str>,
        object: &Object,
    ) -> Result<Object, ClusterError> {
        let resource = self
            .resource_in(&object.group_kind(), object.version())
            .await?;
        let namespace = namespace_for(&resource, namespace, Some(object));
        let action = format!(
            "replace {}",
            subject(&object.group_kind(), namespace, object.name())
        );
        let call = Call::with_body(
            Method::PUT,
            path(&resource, namespace, Some(object.name()))?,
            object.value(),
            action,
        )
        .query("fieldManager", MANAGER);
        let mut attempts = self.link().attempts();
        let mut unsure = false;
        loop {
            match self.link().once(&call).await {
                Ok(answer) => return answer.object(),
                Err(Failure::Final(error)) if unsure && error.is_conflict() => {
                    let found = self.get_as(&resource, namespace, object.name()).await?;
                    return match found {
                        Some(found) if holds(found.value(), object.value()) => Ok(found),
                        _ => Err(error),
                    };
                }
                Err(failure) => {
                    unsure |= matches!(failure, Failure::Unknown(_));
                    attempts.pause(failure, Repeat::Harmless).await?;
                }
            }
        }
    }

    /// Changes an object by a JSON merge patch (RFC 7386): `null` removes a field, lists are replaced whole.
    ///
    /// # Errors
    /// When it is not there, the result is refused, or the server cannot be reached.
    pub async fn merge_patch(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Object, ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let action = format!("patch {}", subject(kind, namespace, name));
        let call = Call::with_body(
            Method::PATCH,
            path(&resource, namespace, Some(name))?,
            patch,
            action,
        )
        .header(header::CONTENT_TYPE, "application/merge-patch+json")
        .query("fieldManager", MANAGER)
        .harmless();
        self.call(&call).await?.object()
    }

    /// Creates or changes an object by server-side apply, as `manager`. With `force` it takes over fields of others;
    /// without, those are a conflict.
    ///
    /// # Errors
    /// When another manager has a field of it, the object is refused, the server has no server-side apply (415), or
    /// cannot be reached.
    pub async fn apply(
        &self,
        namespace: Option<&str>,
        object: &Object,
        manager: &str,
        force: bool,
        dry_run: DryRun,
    ) -> Result<Object, ClusterError> {
        let resource = self
            .resource_in(&object.group_kind(), object.version())
            .await?;
        let namespace = namespace_for(&resource, namespace, Some(object));
        let action = format!(
            "apply {}",
            subject(&object.group_kind(), namespace, object.name())
        );
        let mut call = Call::with_body(
            Method::PATCH,
            path(&resource, namespace, Some(object.name()))?,
            object.value(),
            action,
        )
        .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
        .query("fieldManager", manager)
        .query("force", force.to_string())
        .harmless();
        if dry_run == DryRun::All {
            call = call.query("dryRun", "All");
        }
        self.call(&call).await?.object()
    }

    /// Deletes an object. `false` means that it was gone already.
    ///
    /// Deletion goes on in the background while finalizers hold the object: wait for it with
    /// [`Cluster::wait`](crate::Cluster::wait).
    ///
    /// # Errors
    /// When a precondition does not hold (a conflict), the server refuses, or cannot be reached.
    pub async fn delete(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        preconditions: &Preconditions,
        propagation: Propagation,
    ) -> Result<bool, ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.to_string()
        });
        if let Some(uid) = &preconditions.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &preconditions.resource_version {
            body["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        let action = format!("delete {}", subject(kind, namespace, name));
        let call = Call::with_body(
            Method::DELETE,
            path(&resource, namespace, Some(name))?,
            &body,
            action,
        );
        // With a uid only that one object can be hit, however often the request arrives.
        let repeat = if preconditions.uid.is_some() {
            Repeat::Harmless
        } else {
            Repeat::OnlyIfUnsent
        };
        let mut attempts = self.link().attempts();
        let mut unsure = false;
        loop {
            match self.link().once(&call).await {
                Ok(_) => return Ok(true),
                // After a request without an answer, its absence is most likely our doing.
                Err(failure) if failure.error().status() == Some(404) => return Ok(unsure),
                // So is the changed state that a second request finds, if the object is on its way out.
                Err(Failure::Final(error)) if unsure && error.is_conflict() => {
                    let found = self.get_as(&resource, namespace, name).await?;
                    let leaving = found.is_none_or(|found| {
                        found.uid() == preconditions.uid.as_deref()
                            && found.value()["metadata"].get("deletionTimestamp").is_some()
                    });
                    return if leaving { Ok(true) } else { Err(error) };
                }
                Err(failure) => {
                    unsure |= matches!(failure, Failure::Unknown(_));
                    attempts.pause(failure, repeat).await?;
                }
            }
        }
    }

    /// Sets the number of replicas, by the `scale` subresource where there is one.
    ///
    /// # Errors
    /// When it is not there or cannot be scaled, the server refuses, or cannot be reached.
    pub async fn scale(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        replicas: i64,
    ) -> Result<(), ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let mut at = path(&resource, namespace, Some(name))?;
        if self.discovery().await?.has_scale(&resource) {
            at.push_str("/scale");
        }
        let action = format!("scale {} to {replicas}", subject(kind, namespace, name));
        let patch = json!({"spec": {"replicas": replicas}});
        let call = Call::with_body(Method::PATCH, at, &patch, action)
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .query("fieldManager", MANAGER)
            .harmless();
        self.call(&call).await?;
        Ok(())
    }
}
