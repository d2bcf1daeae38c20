//! The name under which an image stream is to be had from outside, where the registry is exposed.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, queue};
use crate::object::{self, list, resources, text};
use crate::registry;

/// Says it in each stream's status. On OpenShift the registry's operator tells the API server, which adds it to what it answers.
pub(super) struct Exposure {
    /// The router's, which is part of the name here: it is hardly ever 443.
    pub(super) port: u16,
}

impl Controller for Exposure {
    fn name(&self) -> &'static str {
        "registry-exposure"
    }

    fn resource(&self) -> ResourceId {
        resources::image_streams()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::routes() && registry::is_route(&event.object) {
            let all = context.store.list(&self.resource(), None);
            return all.iter().map(queue::key).collect();
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(stream) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        let host = registry::route(&context.store).and_then(|route| admitted(&route));
        let wanted = host.map(|host| format!("{host}:{}/{namespace}/{name}", self.port));
        let told = stream["status"]["publicDockerImageRepository"].as_str();
        if object::is_deleting(&stream) || told == wanted.as_deref() {
            return Ok(Next::Event);
        }
        let store = &context.store;
        store.update_status(
            &self.resource(),
            Some(namespace),
            name,
            |stream| match &wanted {
                Some(wanted) => stream["status"]["publicDockerImageRepository"] = json!(wanted),
                None => {
                    let status = stream["status"].as_object_mut();
                    status.and_then(|status| status.remove("publicDockerImageRepository"));
                }
            },
        )?;
        Ok(Next::Event)
    }
}

/// The host at which the router serves a Route.
fn admitted(route: &Value) -> Option<String> {
    let ingress = list(route, "/status/ingress").first()?;
    let condition = list(ingress, "/conditions").first()?;
    (condition["status"] == "True").then(|| text(ingress, "/host").to_owned())
}
