//! Lists objects: of one kind, in pages; and of a whole namespace, all kinds at once.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use openshifter_objects::{Object, ResourceType, Selector, Unlisted};
use serde::Deserialize;
use serde_json::Value;

use crate::call::{Call, path, place};
use crate::{Cluster, ClusterError, twins};

/// Objects per page, as `kubectl` asks for.
const PAGE: &str = "500";

/// How often a list is begun anew because its continuation expired, before it is asked for in one piece.
const RESTARTS: u32 = 2;

/// All objects of a namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The objects, each once, in the order of discovery.
    pub objects: Vec<Object>,
    /// Kinds that could not be listed, with the server's answer.
    pub unlisted: Vec<Unlisted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl Cluster {
    /// Lists all objects of a namespace that can be listed, all kinds concurrently.
    ///
    /// Left out are kinds that are no objects of their own: events, ImageStreamTags and ImageTags (rows of an
    /// ImageStream), pod metrics, and catalogues that every namespace shows. What two groups serve under two names
    /// (RoleBindings of `authorization.openshift.io`, old kinds of `extensions`) is listed once, by the newer name.
    /// Endpoints and EndpointSlices are both listed: either may have been made by hand.
    ///
    /// # Errors
    /// When the namespace does not exist (a list of it would be empty), or the cluster cannot be talked to. A kind
    /// that may not be listed, or whose own server fails, is no error: it is in [`Listing::unlisted`].
    pub async fn list_namespace(
        &self,
        namespace: &str,
        selector: Option<&Selector>,
    ) -> Result<Listing, ClusterError> {
        let (visible, discovery) =
            tokio::try_join!(self.namespace_visible(namespace), self.discovery())?;
        let labels = selector
            .filter(|selector| !selector.is_empty())
            .map(ToString::to_string);
        let labels = labels.as_deref();
        let types = twins::listable(&discovery);
        let asked = types.len();
        let lists: Vec<_> = stream::iter(types)
            .map(|resource| async move {
                let list = self.list(&resource, Some(namespace), labels).await;
                (resource, list)
            })
            .buffered(self.link().tuning.parallel_lists.max(1))
            .collect()
            .await;
        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        for (resource, list) in lists {
            match list {
                Ok(objects) => {
                    // A group that this program does not know may serve the objects of another: same uid, same object.
                    listing.objects.extend(objects.into_iter().filter(|object| {
                        object.uid().is_none_or(|uid| seen.insert(uid.to_owned()))
                    }));
                }
                Err(error @ (ClusterError::Api(_) | ClusterError::BadAnswer { .. })) => {
                    listing.unlisted.push(Unlisted {
                        resource: name_of(&resource),
                        reason: reason_of(&error),
                        forbidden: error.is_forbidden(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        for group in discovery.failed_groups() {
            listing.unlisted.push(Unlisted {
                resource: format!("all of {group}"),
                reason: "the server of this API group does not answer".into(),
                forbidden: false,
            });
        }
        if !visible && listing.unlisted.len() >= asked {
            return Err(ClusterError::NoSuchNamespace {
                cluster: self.name().to_owned(),
                namespace: namespace.to_owned(),
                hidden: true,
            });
        }
        Ok(listing)
    }

    /// Lists the objects of one type: of a namespace, or of the whole cluster.
    ///
    /// Pages are put together; a continuation that expired on the way begins the list anew, so that the objects are
    /// those of one moment. Each object has its `apiVersion` and `kind`, which lists leave out.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached. A namespace that does not exist gives an empty list.
    pub async fn list(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<Object>, ClusterError> {
        let mut restarts = 0;
        loop {
            let whole = restarts > RESTARTS;
            match self.list_once(resource, namespace, labels, whole).await {
                Err(error) if error.status() == Some(410) && !whole => restarts += 1,
                other => return other,
            }
        }
    }

    async fn list_once(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        labels: Option<&str>,
        whole: bool,
    ) -> Result<Vec<Object>, ClusterError> {
        let action = format!("list {}{}", name_of(resource), place(namespace));
        let mut first = Call::get(path(resource, namespace, None)?, action);
        if !whole {
            first = first.query("limit", PAGE);
        }
        if let Some(labels) = labels {
            first = first.query("labelSelector", labels);
        }
        let mut objects = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = match &next {
                Some(next) => first.clone().query("continue", next.clone()),
                None => first.clone(),
            };
            let answer = self.call(&call).await?;
            let page: Page = answer.json()?;
            for item in page.items.unwrap_or_default() {
                let object = Object::from_value(with_kind(item, resource))
                    .map_err(|error| answer.bad(error.to_string()))?;
                objects.push(object);
            }
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) if next.as_ref() == Some(&token) => {
                    return Err(answer.bad("its continuation leads to itself".into()));
                }
                Some(token) => next = Some(token),
                None => return Ok(objects),
            }
        }
    }
}

/// Items of a list have no `apiVersion` and `kind`: the list's own are theirs.
pub(crate) fn with_kind(mut item: Value, resource: &ResourceType) -> Value {
    if let Some(fields) = item.as_object_mut() {
        for (field, value) in [
            ("apiVersion", resource.api_version()),
            ("kind", resource.kind.clone()),
        ] {
            if fields
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
            {
                fields.insert(field.to_owned(), value.into());
            }
        }
    }
    item
}

/// Plural and group, as `routes.route.openshift.io`.
pub(crate) fn name_of(resource: &ResourceType) -> String {
    if resource.group.is_empty() {
        resource.plural.clone()
    } else {
        format!("{}.{}", resource.plural, resource.group)
    }
}

fn reason_of(error: &ClusterError) -> String {
    match error.api() {
        Some(api) => format!("{} ({})", api.message, api.status),
        None => error.to_string(),
    }
}
