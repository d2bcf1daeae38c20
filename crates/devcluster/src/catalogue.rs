//! What every project finds in the project `openshift`: image streams of the built-in images that
//! applications are built on, for everybody to use.

use std::path::Path;

use openshifter_apiserver::{ApiError, ResourceId, Store};
use serde_json::{Value, json};

use crate::images::{Images, REGISTRY};
use crate::object::{self, resources};

const NAMESPACE: &str = "openshift";
const VIEWERS: &str = "shared-resource-viewers";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Makes the streams, as far as the machine has what their images lend, and lets everybody see them.
pub(crate) fn furnish(store: &Store, images: &Images) -> Result<(), ApiError> {
    let role = json!({
        "metadata": {"name": "shared-resource-viewer"},
        "rules": [
            {
                "apiGroups": ["", "template.openshift.io"],
                "resources": ["templates"],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": ["", "image.openshift.io"],
                "resources": ["imagestreamimages", "imagestreams", "imagestreamtags", "imagetags"],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": ["", "image.openshift.io"],
                "resources": ["imagestreams/layers"],
                "verbs": ["get"],
            },
        ],
    });
    let binding = json!({
        "metadata": {"name": VIEWERS},
        "subjects": [{"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}],
        "roleRef": {"kind": "Role", "apiGroup": RBAC, "name": "shared-resource-viewer"},
    });
    let mut wanted = vec![
        (ResourceId::new(RBAC, "roles"), role),
        (ResourceId::new(RBAC, "rolebindings"), binding),
    ];
    let streams = [
        ("python", "s2i-python", python_version()),
        ("postgresql", "postgresql", postgresql_version()),
    ];
    for (name, image, version) in streams {
        let reference = format!("{REGISTRY}/{image}:1");
        if images.find(&reference).is_ok() {
            let stream = stream(name, &reference, version.as_deref());
            wanted.push((resources::image_streams(), stream));
        }
    }
    for (resource, object) in wanted {
        let name = object::name(&object).to_owned();
        if store.get(&resource, Some(NAMESPACE), &name).is_none() {
            store.create(&resource, Some(NAMESPACE), object)?;
        }
    }
    Ok(())
}

/// A stream with the tag `latest` and those of the version, `3.11` and, as in the field, `3.11-ubi9` or
/// `15-el9`.
fn stream(name: &str, reference: &str, version: Option<&str>) -> Value {
    let mut tags = vec!["latest".to_owned()];
    if let Some(version) = version {
        let family = if name == "python" { "ubi9" } else { "el9" };
        tags.extend([version.to_owned(), format!("{version}-{family}")]);
    }
    let tags: Vec<Value> = tags
        .iter()
        .map(|tag| json!({"name": tag, "from": {"kind": "DockerImage", "name": reference}}))
        .collect();
    json!({
        "metadata": {"name": name},
        "spec": {"lookupPolicy": {"local": false}, "tags": tags},
    })
}

/// The version of the PostgreSQL server that the machine lends, the newest.
fn postgresql_version() -> Option<String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| version.to_string())
}

/// The version of the Python that the machine lends, by the name that its link leads to.
fn python_version() -> Option<String> {
    ["/usr/local/bin", "/usr/bin"].iter().find_map(|folder| {
        let program = Path::new(folder).join("python3").canonicalize().ok()?;
        let name = program.file_name()?.to_str()?;
        let version = name.strip_prefix("python")?;
        let good = version.split('.').count() == 2
            && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        good.then(|| version.to_owned())
    })
}
