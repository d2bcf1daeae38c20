//! Objects of small applications.

use openshifter_testing::{Containers, until};
pub(crate) use openshifter_testing::{claim, config};
use serde_json::{Value, json};

use crate::support::Space;

const SHELL: Containers<'static> = Containers {
    image: "openshifter.test/shell:1",
    grace: 0,
};

/// A Deployment of one pod with a shell; `claim` is mounted at `/data`.
pub(crate) fn deployment(name: &str, claim: Option<&str>) -> Value {
    SHELL.deployment(name, claim)
}

/// A StatefulSet of two, with a claim `data-NAME-N` each at `/data`.
pub(crate) fn stateful_set(name: &str) -> Value {
    SHELL.stateful_set(name)
}

/// Deploys `web` with a claim `web-data`, and puts megabytes into it that do not compress.
#[track_caller]
pub(crate) fn fill(space: &Space<'_>, megabytes: usize) {
    space.create(&[claim("web-data"), deployment("web", Some("web-data"))]);
    space.ready("deploy/web");
    let script =
        format!("head -c {megabytes}M /dev/urandom > /data/noise; echo hello > /data/plain");
    space.shell("deploy/web", &script);
    settle(space, "deploy/web", 1);
}

/// Stops a workload and starts it again: a pod that starts gives its group the files of its volumes, and what is
/// compared with another place later must have been given already.
#[track_caller]
pub(crate) fn settle(space: &Space<'_>, workload: &str, replicas: usize) {
    space.restart(workload, replicas);
}

/// The sample application with entries in its volume; gives the host of its route.
#[track_caller]
pub(crate) fn guestbook(space: &Space<'_>, entries: &[&str]) -> String {
    let labels = json!({"app": "guestbook"});
    space.create(&[
        claim("guestbook-data"),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "guestbook", "image": "openshifter.test/guestbook:1",
                        "ports": [{"name": "web", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "web"}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "guestbook-data"}}]}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"to": {"kind": "Service", "name": "guestbook"}, "port": {"targetPort": "http"}}}),
    ]);
    let host = space.host("guestbook");
    for entry in entries {
        let form = format!("name=Ada&message={entry}");
        let (status, _) = space
            .cluster
            .ask_router(&host, "/entries", &["--data", &form]);
        assert_eq!(status, 303);
    }
    settle(space, "deploy/guestbook", 1);
    space.host("guestbook")
}

impl Space<'_> {
    /// The host of a route, when the router leads to a ready pod.
    #[track_caller]
    pub(crate) fn host(&self, route: &str) -> String {
        until("the route to lead somewhere", || {
            let host = self.must("route", route)["spec"]["host"]
                .as_str()?
                .to_owned();
            let (status, _) = self.cluster.page(&host, "/healthz");
            (status == 200).then_some(host)
        })
    }

    /// The messages of the sample application.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<String> {
        let host = self.host("guestbook");
        let (status, body) = self.cluster.page(&host, "/entries.json");
        assert_eq!(status, 200, "{body}");
        let entries: Vec<Value> = serde_json::from_str(&body).expect("it is JSON");
        entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}
