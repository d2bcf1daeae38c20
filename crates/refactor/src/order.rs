//! The order in which objects are created.

use std::collections::{BTreeMap, BTreeSet};

use openshifter_objects::{Object, ObjectKey, is_built_in_group, references};

/// Sorts objects into waves: all of a wave can be created at the same time, after the waves before it.
///
/// Definitions of custom resources come first, and should be served before the next wave is begun. Then
/// what others need in order to exist or to start: accounts, secrets, configuration, claims, roles; then
/// bindings (a server refuses a RoleBinding whose Role it does not know), services, image streams, builds,
/// custom resources, workloads, routes, autoscalers and disruption budgets. Within each of these,
/// objects come after those that they refer to; a circle of references is one wave.
pub fn waves(objects: &[Object]) -> Vec<Vec<Object>> {
    let mut ranks: BTreeMap<u8, Vec<&Object>> = BTreeMap::new();
    for object in objects {
        ranks.entry(rank(object)).or_default().push(object);
    }
    ranks.into_values().flat_map(levels).collect()
}

/// Splits objects of one rank by their references to each other.
fn levels(objects: Vec<&Object>) -> Vec<Vec<Object>> {
    let present: BTreeSet<ObjectKey> = objects.iter().map(|object| object.key()).collect();
    let mut left: Vec<(&Object, BTreeSet<ObjectKey>)> = objects
        .into_iter()
        .map(|object| {
            let own = object.key();
            let needs = references(object)
                .into_iter()
                // A ServiceAccount may name secrets that are not there yet; a token's secret may not
                // precede its account.
                .filter(|reference| {
                    !(object.is("", "ServiceAccount") && reference.to.kind.is("", "Secret"))
                })
                .map(|reference| reference.to)
                .filter(|to| *to != own && present.contains(to))
                .collect();
            (object, needs)
        })
        .collect();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<ObjectKey> = left.iter().map(|(object, _)| object.key()).collect();
        let (mut ready, blocked): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(_, needs)| needs.is_disjoint(&waiting));
        left = blocked;
        if ready.is_empty() {
            ready = std::mem::take(&mut left);
        }
        levels.push(
            ready
                .into_iter()
                .map(|(object, _)| object.clone())
                .collect(),
        );
    }
    levels
}

fn rank(object: &Object) -> u8 {
    match (object.group(), object.kind()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 0,
        ("", "Namespace") | ("project.openshift.io", "Project" | "ProjectRequest") => 1,
        ("scheduling.k8s.io" | "storage.k8s.io" | "security.openshift.io", _) => 2,
        (
            "",
            "ServiceAccount"
            | "Secret"
            | "ConfigMap"
            | "PersistentVolumeClaim"
            | "PersistentVolume"
            | "LimitRange"
            | "ResourceQuota",
        )
        | ("rbac.authorization.k8s.io" | "authorization.openshift.io", "Role" | "ClusterRole") => 3,
        ("rbac.authorization.k8s.io" | "authorization.openshift.io", _) => 4,
        ("networking.k8s.io" | "extensions", "NetworkPolicy") | ("", "Service") => 5,
        // After its Service, whose controller would otherwise make one of that name.
        ("", "Endpoints") | ("discovery.k8s.io", _) => 6,
        ("image.openshift.io", _) => 7,
        ("build.openshift.io" | "template.openshift.io", _) | ("", "PodTemplate") => 8,
        ("route.openshift.io", _) | ("networking.k8s.io" | "extensions", "Ingress") => 11,
        ("policy" | "autoscaling", _) | ("extensions", "HorizontalPodAutoscaler") => 12,
        // Webhooks and aggregated APIs refuse what comes after them until their pods run.
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 13,
        (group, _) if !is_built_in_group(group) => 9,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(api_version: &str, kind: &str, name: &str, rest: Value) -> Object {
        let mut value =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        for (key, field) in rest.as_object().unwrap() {
            value[key] = field.clone();
        }
        Object::from_value(value).unwrap()
    }

    fn names(waves: &[Vec<Object>]) -> String {
        waves
            .iter()
            .map(|wave| {
                wave.iter()
                    .map(|o| o.key().to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn what_is_needed_comes_first() {
        let rbac = "rbac.authorization.k8s.io/v1";
        let objects = [
            object(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "web",
                json!({}),
            ),
            object(
                "route.openshift.io/v1",
                "Route",
                "web",
                json!({"spec": {"to": {"name": "web"}}}),
            ),
            object("apps/v1", "Deployment", "web", json!({})),
            object("example.org/v1", "Database", "db", json!({})),
            object("build.openshift.io/v1", "BuildConfig", "web", json!({})),
            object("image.openshift.io/v1", "ImageStream", "web", json!({})),
            object("v1", "Endpoints", "legacy", json!({})),
            object("v1", "Service", "web", json!({})),
            object(
                rbac,
                "RoleBinding",
                "r",
                json!({"roleRef": {"kind": "Role", "name": "r"}}),
            ),
            object(rbac, "Role", "r", json!({})),
            object("v1", "Secret", "s", json!({})),
            object(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "databases.example.org",
                json!({}),
            ),
        ];
        insta::assert_snapshot!(names(&waves(&objects)), @r"
        CustomResourceDefinition.apiextensions.k8s.io/databases.example.org
        Role.rbac.authorization.k8s.io/r Secret/s
        RoleBinding.rbac.authorization.k8s.io/r
        Service/web
        Endpoints/legacy
        ImageStream.image.openshift.io/web
        BuildConfig.build.openshift.io/web
        Database.example.org/db
        Deployment.apps/web
        Route.route.openshift.io/web
        HorizontalPodAutoscaler.autoscaling/web
        ");
    }

    #[test]
    fn objects_of_a_wave_do_not_refer_to_each_other() {
        let token = object("v1", "Secret", "token", json!({}));
        let mut token = token;
        token.set_annotation("kubernetes.io/service-account.name", "runner");
        let account = object(
            "v1",
            "ServiceAccount",
            "runner",
            json!({"secrets": [{"name": "token"}]}),
        );
        assert_eq!(
            names(&waves(&[token, account])),
            "ServiceAccount/runner\nSecret/token"
        );
    }

    #[test]
    fn a_circle_is_one_wave() {
        let set = |name: &str, other: &str| {
            object(
                "example.org/v1",
                "Node",
                name,
                json!({"metadata": {"name": name,
                "ownerReferences": [{"apiVersion": "example.org/v1", "kind": "Node", "name": other, "uid": ""}]}}),
            )
        };
        assert_eq!(waves(&[set("a", "b"), set("b", "a")]).len(), 1);
    }
}
