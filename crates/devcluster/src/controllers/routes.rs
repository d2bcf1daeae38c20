//! Routes: admitted by the router, or not, and why.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, queue};
use crate::object::{self, list, resources, text};

/// Name of the one router.
const ROUTER: &str = "default";

/// The controller.
pub(super) struct Routes;

impl Controller for Routes {
    fn name(&self) -> &'static str {
        "route"
    }

    fn resource(&self) -> ResourceId {
        resources::routes()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource != self.resource() {
            return Vec::new();
        }
        // A host that is taken or given up concerns everyone who wants it.
        let host = text(&event.object, "/spec/host");
        let rivals = context.store.list(&self.resource(), None);
        let rivals = rivals
            .iter()
            .filter(|route| text(route, "/spec/host") == host)
            .map(queue::key);
        std::iter::once(queue::key(&event.object))
            .chain(rivals)
            .collect()
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(route) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&route) || text(&route, "/spec/host").is_empty() {
            return Ok(Next::Event);
        }
        let verdict = judge(&route, &context.store.list(&self.resource(), None));
        context.store.update_status(&self.resource(), Some(namespace), name, |route| {
            let host = route["spec"]["host"].clone();
            let old = list(route, "/status/ingress").iter().find(|i| i["routerName"] == ROUTER).cloned();
            let mut ingress = json!({
                "host": host,
                "routerName": ROUTER,
                "wildcardPolicy": "None",
                // A place for the helper, which keeps the times of a condition that stays.
                "status": {"conditions": old.map_or(json!([]), |old| old["conditions"].clone())},
            });
            let (admitted, reason, message) = match &verdict {
                Ok(()) => (true, "", ""),
                Err((reason, message)) => (false, *reason, message.as_str()),
            };
            object::set_condition(&mut ingress, "Admitted", admitted, reason, message, false);
            ingress["conditions"] = ingress["status"]["conditions"].take();
            if let Some(map) = ingress.as_object_mut() {
                map.remove("status");
            }
            route["status"]["ingress"] = json!([ingress]);
        })?;
        Ok(Next::Event)
    }
}

/// Whether the router takes a route.
fn judge(route: &Value, all: &[Value]) -> Result<(), (&'static str, String)> {
    let refuse = |what: &str| {
        Err((
            "NotImplemented",
            format!("this router does not implement {what}"),
        ))
    };
    if !list(route, "/spec/alternateBackends").is_empty() {
        return refuse("alternate backends");
    }
    if !matches!(text(route, "/spec/wildcardPolicy"), "" | "None") {
        return Err((
            "RouteNotAdmitted",
            "wildcard routes are not allowed".to_owned(),
        ));
    }
    match text(route, "/spec/tls/termination") {
        "" | "edge" | "reencrypt" => {}
        other => return refuse(&format!("{other} termination")),
    }
    let host = text(route, "/spec/host");
    let older = |other: &&Value| {
        text(other, "/spec/host") == host && !object::is_deleting(other) && age(other) < age(route)
    };
    let abroad = |other: &&Value| object::namespace(other) != object::namespace(route);
    if let Some(_holder) = all.iter().filter(older).find(abroad) {
        return Err((
            "HostAlreadyClaimed",
            format!("a route in another namespace holds {host}"),
        ));
    }
    let path = text(route, "/spec/path");
    if let Some(holder) = all
        .iter()
        .filter(older)
        .find(|other| text(other, "/spec/path") == path)
    {
        let holder = object::name(holder);
        return Err((
            "HostAlreadyClaimed",
            format!("route {holder} already exposes {host} and is older"),
        ));
    }
    Ok(())
}

/// Orders routes by age; those of one second by their names.
fn age(route: &Value) -> (&str, &str, &str) {
    (
        text(route, "/metadata/creationTimestamp"),
        object::namespace(route),
        object::name(route),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(namespace: &str, name: &str, path: &str, born: &str) -> Value {
        json!({
            "metadata": {"namespace": namespace, "name": name, "creationTimestamp": born},
            "spec": {"host": "a.test", "path": path, "to": {"kind": "Service", "name": "s"}},
        })
    }

    #[test]
    fn the_oldest_route_holds_a_host() {
        let all = [
            route("shop", "first", "", "2026-01-01T00:00:00Z"),
            route("shop", "path", "/api", "2026-01-02T00:00:00Z"),
            route("shop", "again", "", "2026-01-03T00:00:00Z"),
            route("other", "thief", "/x", "2026-01-04T00:00:00Z"),
        ];
        assert_eq!(judge(&all[0], &all), Ok(()));
        assert_eq!(judge(&all[1], &all), Ok(()));
        insta::assert_debug_snapshot!(judge(&all[2], &all), @r#"
        Err(
            (
                "HostAlreadyClaimed",
                "route first already exposes a.test and is older",
            ),
        )
        "#);
        assert_eq!(
            judge(&all[3], &all).unwrap_err().1,
            "a route in another namespace holds a.test"
        );
    }

    #[test]
    fn what_the_router_does_not_do_is_not_admitted() {
        let mut passthrough = route("shop", "tls", "", "2026-01-01T00:00:00Z");
        passthrough["spec"]["tls"] = json!({"termination": "passthrough"});
        assert_eq!(
            judge(&passthrough, &[]).unwrap_err().1,
            "this router does not implement passthrough termination"
        );
    }
}
