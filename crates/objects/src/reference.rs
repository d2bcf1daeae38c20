//! References between objects: which other objects an object names, and in which field.
//!
//! Only fields whose meaning is known are read. Kinds of the API are described by tables of field
//! patterns; of custom resources the field names that are convention everywhere (`secretName`,
//! `claimName`, `configMapRef.name`, …) are taken.

use serde_json::Value;

use crate::image::InternalImage;
use crate::places::escape;
use crate::{Object, ObjectKey, places};

/// One field of an object that names another object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// What is named. For an image stream tag this is the ImageStream.
    pub to: ObjectKey,
    /// The field, as a JSON pointer.
    pub pointer: String,
    /// The namespace, where the reference names one; `None` means the object's own, or none for a
    /// cluster-scoped kind.
    pub namespace: Option<String>,
}

const SECRET: (&str, &str) = ("", "Secret");
const CONFIG_MAP: (&str, &str) = ("", "ConfigMap");
const CLAIM: (&str, &str) = ("", "PersistentVolumeClaim");
const ACCOUNT: (&str, &str) = ("", "ServiceAccount");
const SERVICE: (&str, &str) = ("", "Service");
const STREAM: (&str, &str) = ("image.openshift.io", "ImageStream");

type Field = (&'static str, (&'static str, &'static str));

/// Fields of a pod spec, relative to it.
const POD: &[Field] = &[
    ("/volumes/*/persistentVolumeClaim/claimName", CLAIM),
    ("/volumes/*/configMap/name", CONFIG_MAP),
    ("/volumes/*/secret/secretName", SECRET),
    ("/volumes/*/projected/sources/*/configMap/name", CONFIG_MAP),
    ("/volumes/*/projected/sources/*/secret/name", SECRET),
    ("/volumes/*/*/secretRef/name", SECRET),
    ("/volumes/*/csi/nodePublishSecretRef/name", SECRET),
    ("/volumes/*/azureFile/secretName", SECRET),
    (
        "/containers/*/env/*/valueFrom/configMapKeyRef/name",
        CONFIG_MAP,
    ),
    ("/containers/*/env/*/valueFrom/secretKeyRef/name", SECRET),
    ("/containers/*/envFrom/*/configMapRef/name", CONFIG_MAP),
    ("/containers/*/envFrom/*/secretRef/name", SECRET),
    (
        "/initContainers/*/env/*/valueFrom/configMapKeyRef/name",
        CONFIG_MAP,
    ),
    (
        "/initContainers/*/env/*/valueFrom/secretKeyRef/name",
        SECRET,
    ),
    ("/initContainers/*/envFrom/*/configMapRef/name", CONFIG_MAP),
    ("/initContainers/*/envFrom/*/secretRef/name", SECRET),
    ("/imagePullSecrets/*/name", SECRET),
    ("/serviceAccountName", ACCOUNT),
];

/// Fields by group and kind, relative to the object.
const KINDS: &[(&str, &str, &[Field])] = &[
    ("apps", "StatefulSet", &[("/spec/serviceName", SERVICE)]),
    (
        "",
        "ServiceAccount",
        &[
            ("/secrets/*/name", SECRET),
            ("/imagePullSecrets/*/name", SECRET),
        ],
    ),
    (
        "route.openshift.io",
        "Route",
        &[
            ("/spec/to/name", SERVICE),
            ("/spec/alternateBackends/*/name", SERVICE),
            ("/spec/tls/externalCertificate/name", SECRET),
        ],
    ),
    ("networking.k8s.io", "Ingress", INGRESS),
    ("extensions", "Ingress", INGRESS),
    (
        "build.openshift.io",
        "BuildConfig",
        &[
            ("/spec/source/sourceSecret/name", SECRET),
            ("/spec/source/secrets/*/secret/name", SECRET),
            ("/spec/source/configMaps/*/configMap/name", CONFIG_MAP),
            ("/spec/source/images/*/pullSecret/name", SECRET),
            ("/spec/strategy/*/pullSecret/name", SECRET),
            ("/spec/strategy/*/env/*/valueFrom/secretKeyRef/name", SECRET),
            (
                "/spec/strategy/*/env/*/valueFrom/configMapKeyRef/name",
                CONFIG_MAP,
            ),
            (
                "/spec/strategy/*/volumes/*/source/secret/secretName",
                SECRET,
            ),
            (
                "/spec/strategy/*/volumes/*/source/configMap/name",
                CONFIG_MAP,
            ),
            (
                "/spec/strategy/customStrategy/secrets/*/secretSource/name",
                SECRET,
            ),
            ("/spec/output/pushSecret/name", SECRET),
            ("/spec/triggers/*/*/secretReference/name", SECRET),
            ("/spec/serviceAccount", ACCOUNT),
        ],
    ),
];

const INGRESS: &[Field] = &[
    ("/spec/defaultBackend/service/name", SERVICE),
    ("/spec/backend/serviceName", SERVICE),
    ("/spec/rules/*/http/paths/*/backend/service/name", SERVICE),
    ("/spec/rules/*/http/paths/*/backend/serviceName", SERVICE),
    ("/spec/tls/*/secretName", SECRET),
];

/// Objects of the shape `{kind, name, namespace}` that may name an image stream tag.
const IMAGE_SOURCES: &[(&str, &str, &[&str])] = &[
    (
        "apps.openshift.io",
        "DeploymentConfig",
        &["/spec/triggers/*/imageChangeParams/from"],
    ),
    (
        "build.openshift.io",
        "BuildConfig",
        &[
            "/spec/strategy/*/from",
            "/spec/source/images/*/from",
            "/spec/triggers/*/imageChange/from",
            "/spec/output/to",
        ],
    ),
    ("image.openshift.io", "ImageStream", &["/spec/tags/*/from"]),
];

/// The other objects that an object names, in the order of fields.
///
/// What label selectors match is not among them, nor are claims made from a StatefulSet's templates
/// (see [`crate::claims_of`]).
///
/// ```
/// use openshifter_objects::{Object, references};
/// let route = Object::parse(br#"{"apiVersion":"route.openshift.io/v1","kind":"Route",
///     "metadata":{"name":"web"},"spec":{"to":{"kind":"Service","name":"web"}}}"#)?;
/// let found = references(&route);
/// assert_eq!(found[0].to.to_string(), "Service/web");
/// assert_eq!(found[0].pointer, "/spec/to/name");
/// # Ok::<(), openshifter_objects::ObjectError>(())
/// ```
pub fn references(object: &Object) -> Vec<Reference> {
    let mut found = Found::default();
    let value = object.value();
    for owner in object.owners() {
        found.push(owner.key, "/metadata/ownerReferences".to_owned(), None);
    }
    if let Some(at) = object.pod_spec_pointer() {
        pod_references(&mut found, value, at);
    }
    if object.is("", "PodTemplate") {
        pod_references(&mut found, value, "/template/spec");
    }
    for (group, kind, fields) in KINDS {
        if object.is(group, kind) {
            found.fields(value, "", fields);
        }
    }
    for (group, kind, patterns) in IMAGE_SOURCES {
        if object.is(group, kind) {
            for (at, from) in patterns.iter().flat_map(|pattern| places(value, pattern)) {
                found.image_source(&at, from);
            }
        }
    }
    found.image_triggers(object);
    match (object.group(), object.kind()) {
        ("autoscaling" | "extensions", "HorizontalPodAutoscaler") => {
            if let Some(target) = value.pointer("/spec/scaleTargetRef") {
                found.typed("/spec/scaleTargetRef/name", target, None);
            }
        }
        ("rbac.authorization.k8s.io" | "authorization.openshift.io", kind)
            if kind.ends_with("RoleBinding") =>
        {
            role_binding(&mut found, object);
        }
        ("", "Secret") => {
            if let Some(account) = object.annotation("kubernetes.io/service-account.name") {
                let at = "/metadata/annotations/kubernetes.io~1service-account.name";
                found.push(
                    ObjectKey::new("", "ServiceAccount", account),
                    at.to_owned(),
                    None,
                );
            }
        }
        // A hand-made Endpoints belongs to the Service of its name.
        ("", "Endpoints") => {
            found.push(
                ObjectKey::new("", "Service", object.name()),
                "/metadata/name".to_owned(),
                None,
            );
        }
        ("", "PersistentVolumeClaim") => {
            for at in ["/spec/dataSource", "/spec/dataSourceRef"] {
                if let Some(source) = value.pointer(at) {
                    found.typed(&format!("{at}/name"), source, None);
                }
            }
        }
        (group, _) if !crate::is_built_in_group(group) => {
            conventional(&mut found, &mut String::from("/spec"), value.get("spec"), 0);
        }
        _ => {}
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Reference>);

impl Found {
    fn push(&mut self, to: ObjectKey, pointer: String, namespace: Option<&str>) {
        if to.name.is_empty() || to.kind.kind.is_empty() {
            return;
        }
        self.0.push(Reference {
            to,
            pointer,
            namespace: namespace.filter(|name| !name.is_empty()).map(str::to_owned),
        });
    }

    fn fields(&mut self, value: &Value, base: &str, fields: &[Field]) {
        let Some(root) = value.pointer(base) else {
            return;
        };
        for (pattern, (group, kind)) in fields {
            for (at, name) in places(root, pattern) {
                if let Some(name) = name.as_str() {
                    self.push(
                        ObjectKey::new(*group, *kind, name),
                        format!("{base}{at}"),
                        None,
                    );
                }
            }
        }
    }

    /// A reference that says its own kind: `{apiVersion or apiGroup, kind, name, namespace}`.
    fn typed(&mut self, pointer: &str, reference: &Value, default_group: Option<&str>) {
        let text = |field: &str| reference.get(field).and_then(Value::as_str);
        let group = match (text("apiVersion"), text("apiGroup")) {
            (Some(version), _) => version.split_once('/').map_or("", |(group, _)| group),
            (None, Some(group)) => group,
            (None, None) => default_group.unwrap_or_default(),
        };
        if let (Some(kind), Some(name)) = (text("kind"), text("name")) {
            self.push(
                ObjectKey::new(group, kind, name),
                pointer.to_owned(),
                text("namespace"),
            );
        }
    }

    /// `{kind: ImageStreamTag, name: stream:tag}` and its relatives.
    fn image_source(&mut self, at: &str, from: &Value) {
        let text = |field: &str| from.get(field).and_then(Value::as_str);
        let (Some(kind), Some(name)) = (text("kind"), text("name")) else {
            return;
        };
        let pointer = format!("{at}/name");
        match kind {
            "ImageStreamTag" | "ImageStreamImage" | "ImageStream" => {
                let stream = name.split([':', '@']).next().unwrap_or_default();
                self.push(
                    ObjectKey::new(STREAM.0, STREAM.1, stream),
                    pointer,
                    text("namespace"),
                );
            }
            "DockerImage" => self.image(pointer, name),
            _ => {}
        }
    }

    fn image(&mut self, pointer: String, image: &str) {
        if let Some(image) = InternalImage::parse(image) {
            self.push(
                ObjectKey::new(STREAM.0, STREAM.1, &image.stream),
                pointer,
                Some(&image.namespace),
            );
        }
    }

    /// The annotation by which OpenShift sets the images of a Deployment and other workloads; its value
    /// is a JSON list of `{from: {kind, name, namespace}, fieldPath}`.
    fn image_triggers(&mut self, object: &Object) {
        let triggers = object
            .annotation("image.openshift.io/triggers")
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        for trigger in triggers
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |field: &str| trigger.pointer(field).and_then(Value::as_str);
            if let (Some("ImageStreamTag"), Some(name)) = (text("/from/kind"), text("/from/name")) {
                let stream = name.split(':').next().unwrap_or_default();
                self.push(
                    ObjectKey::new(STREAM.0, STREAM.1, stream),
                    "/metadata/annotations/image.openshift.io~1triggers".to_owned(),
                    text("/from/namespace"),
                );
            }
        }
    }
}

fn pod_references(found: &mut Found, value: &Value, at: &str) {
    found.fields(value, at, POD);
    let Some(spec) = value.pointer(at) else {
        return;
    };
    // The older name of the field, which servers fill with the same value.
    if spec.get("serviceAccountName").is_none() {
        found.fields(value, at, &[("/serviceAccount", ACCOUNT)]);
    }
    for pattern in ["/containers/*/image", "/initContainers/*/image"] {
        for (place, image) in places(spec, pattern) {
            if let Some(image) = image.as_str() {
                found.image(format!("{at}{place}"), image);
            }
        }
    }
}

fn role_binding(found: &mut Found, object: &Object) {
    let value = object.value();
    if let Some(role) = value.get("roleRef") {
        // The older group names the role's namespace, none for a ClusterRole, and no kind.
        let kind = role.get("kind").and_then(Value::as_str).unwrap_or_else(|| {
            if role.get("namespace").is_some() {
                "Role"
            } else {
                "ClusterRole"
            }
        });
        if let Some(name) = role.get("name").and_then(Value::as_str) {
            found.push(
                ObjectKey::new(object.group(), kind, name),
                "/roleRef/name".to_owned(),
                role.get("namespace").and_then(Value::as_str),
            );
        }
    }
    for (at, subject) in places(value, "/subjects/*") {
        if subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount") {
            let text = |field: &str| subject.get(field).and_then(Value::as_str);
            if let Some(name) = text("name") {
                found.push(
                    ObjectKey::new("", "ServiceAccount", name),
                    format!("{at}/name"),
                    text("namespace"),
                );
            }
        }
    }
}

/// Field names that custom resources share by convention.
fn conventional(found: &mut Found, at: &mut String, value: Option<&Value>, depth: usize) {
    const DEEPEST: usize = 64;
    let Some(value) = value.filter(|_| depth < DEEPEST) else {
        return;
    };
    let length = at.len();
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                at.push('/');
                at.push_str(&escape(key));
                let kind = match key.as_str() {
                    "secretName" | "existingSecret" => Some(SECRET),
                    "configMapName" => Some(CONFIG_MAP),
                    "claimName" | "existingClaim" => Some(CLAIM),
                    "serviceAccountName" => Some(ACCOUNT),
                    _ => None,
                };
                if let (Some((group, kind)), Some(name)) = (kind, inner.as_str()) {
                    found.push(ObjectKey::new(group, kind, name), at.clone(), None);
                }
                let kind = match key.as_str() {
                    "secretRef" | "secretKeyRef" => Some(SECRET),
                    "configMapRef" | "configMapKeyRef" => Some(CONFIG_MAP),
                    _ => None,
                };
                if let (Some((group, kind)), Some(name)) =
                    (kind, inner.get("name").and_then(Value::as_str))
                {
                    found.push(
                        ObjectKey::new(group, kind, name),
                        format!("{at}/name"),
                        None,
                    );
                }
                conventional(found, at, Some(inner), depth + 1);
                at.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                conventional(found, at, Some(inner), depth + 1);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(value: Value) -> Vec<String> {
        let object = Object::from_value(value).unwrap();
        references(&object)
            .into_iter()
            .map(|found| {
                assert!(
                    object.value().pointer(&found.pointer).is_some(),
                    "{} is there",
                    found.pointer
                );
                let namespace = found
                    .namespace
                    .map(|n| format!(" in {n}"))
                    .unwrap_or_default();
                format!("{}{namespace}", found.to)
            })
            .collect()
    }

    #[test]
    fn a_pod_template_names_what_its_pods_need() {
        let found = named(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"image.openshift.io/triggers":
                "[{\"from\":{\"kind\":\"ImageStreamTag\",\"name\":\"tools:1\"},\"fieldPath\":\"x\"}]"}},
            "spec": {"template": {"spec": {
                "serviceAccountName": "runner", "imagePullSecrets": [{"name": "pull"}],
                "volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
                    {"name": "b", "projected": {"sources": [{"secret": {"name": "tls"}}, {"configMap": {"name": "ca"}}]}},
                    {"name": "c", "secret": {"secretName": "keys"}}],
                "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "init"}}]}],
                "containers": [{"name": "web", "image": "172.30.1.1:5000/shop/web:1",
                    "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}],
                    "envFrom": [{"configMapRef": {"name": "settings"}}]}]}}}}));
        insta::assert_snapshot!(found.join("\n"), @r"
        PersistentVolumeClaim/data
        Secret/keys
        ConfigMap/ca
        Secret/tls
        Secret/db
        ConfigMap/settings
        Secret/init
        Secret/pull
        ServiceAccount/runner
        ImageStream.image.openshift.io/web in shop
        ImageStream.image.openshift.io/tools
        ");
    }

    #[test]
    fn a_role_binding_names_role_and_accounts() {
        let found = named(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "b"},
            "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "other"}, {"kind": "User", "name": "u"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}}),
        );
        assert_eq!(
            found,
            [
                "Role.rbac.authorization.k8s.io/r",
                "ServiceAccount/a in other"
            ]
        );
    }

    #[test]
    fn builds_name_streams_and_secrets() {
        let found = named(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "b"},
            "spec": {"source": {"sourceSecret": {"name": "git"}},
                "strategy": {"sourceStrategy": {"from": {"kind": "ImageStreamTag", "namespace": "openshift", "name": "python:3"}}},
                "triggers": [{"type": "GitHub", "github": {"secretReference": {"name": "hook"}}}],
                "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}}}}),
        );
        assert_eq!(
            found,
            [
                "Secret/git",
                "Secret/hook",
                "ImageStream.image.openshift.io/python in openshift",
                "ImageStream.image.openshift.io/web"
            ]
        );
    }

    #[test]
    fn scale_targets_and_backends_are_named() {
        assert_eq!(
            named(
                json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
                "spec": {"scaleTargetRef": {"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "name": "web"}}})
            ),
            ["DeploymentConfig.apps.openshift.io/web"]
        );
        assert_eq!(
            named(
                json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
                "spec": {"rules": [{"http": {"paths": [{"backend": {"service": {"name": "web"}}}]}}],
                    "tls": [{"secretName": "cert"}]}})
            ),
            ["Service/web", "Secret/cert"]
        );
    }

    #[test]
    fn custom_resources_are_read_by_convention() {
        assert_eq!(
            named(
                json!({"apiVersion": "example.org/v1", "kind": "Database", "metadata": {"name": "d"},
                "spec": {"storage": {"existingClaim": "data"}, "users": [{"secretRef": {"name": "user"}}]}})
            ),
            ["PersistentVolumeClaim/data", "Secret/user"]
        );
    }
}
