//! The resources that the server knows, as data: one table for those it is built with, and the
//! CustomResourceDefinitions that are added while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

const RESOURCES: &str = include_str!("catalogue/resources.txt");

const ALL_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Names a resource, whatever its version: all versions share one storage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    /// API group, empty for the core group.
    pub group: String,
    /// Plural name as in paths, `deployments`.
    pub plural: String,
}

impl ResourceId {
    /// ```
    /// use openshifter_apiserver::ResourceId;
    /// assert_eq!(ResourceId::new("apps", "deployments").to_string(), "deployments.apps");
    /// ```
    pub fn new(group: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// A resource of the core group.
    pub fn core(plural: &str) -> Self {
        Self::new("", plural)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// A resource in one version.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceType {
    /// API group, empty for the core group.
    pub group: String,
    /// Version, `v1`.
    pub version: String,
    /// Plural name, `deployments`.
    pub plural: String,
    /// Kind, `Deployment`.
    pub kind: String,
    /// Singular name, `deployment`.
    pub singular: String,
    /// Short names, `deploy`.
    pub short_names: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Verbs offered on the resource itself.
    pub verbs: Vec<String>,
    /// Subresources offered, `status`.
    pub subresources: Vec<String>,
    /// Categories, `all`.
    pub categories: Vec<String>,
    /// Known top-level fields besides `apiVersion`, `kind` and `metadata`.
    pub fields: Vec<String>,
    /// What its definition adds, for a custom resource.
    pub custom: Option<CustomType>,
}

/// What a CustomResourceDefinition says of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomType {
    /// `openAPIV3Schema`.
    pub schema: Value,
    /// Additional printer columns.
    pub columns: Vec<Value>,
    /// The `scale` subresource's paths, if it has one.
    pub scale: Option<Value>,
    /// The list kind.
    pub list_kind: String,
    /// The version that is stored.
    pub storage_version: String,
}

impl ResourceType {
    /// Name without the version.
    pub fn id(&self) -> ResourceId {
        ResourceId::new(&self.group, &self.plural)
    }

    /// Where its objects are kept: a few resources are served by two groups.
    pub fn storage(&self) -> ResourceId {
        match (self.group.as_str(), self.plural.as_str()) {
            ("events.k8s.io", "events") => ResourceId::core("events"),
            ("authorization.openshift.io", plural) => {
                ResourceId::new("rbac.authorization.k8s.io", plural)
            }
            ("project.openshift.io", "projects") => ResourceId::core("namespaces"),
            ("oauth.openshift.io", "useroauthaccesstokens") => {
                ResourceId::new("oauth.openshift.io", "oauthaccesstokens")
            }
            _ => self.id(),
        }
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Kind of a list of its objects.
    pub fn list_kind(&self) -> String {
        match &self.custom {
            Some(custom) => custom.list_kind.clone(),
            None => format!("{}List", self.kind),
        }
    }

    /// Whether it offers a verb.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|one| one == verb)
    }

    /// Whether it has a subresource.
    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|one| one == name)
    }
}

/// Every resource that is served.
#[derive(Debug)]
pub struct Catalogue {
    built_in: Vec<Arc<ResourceType>>,
    // Several versions per definition, under the definition's name.
    custom: RwLock<BTreeMap<String, Vec<Arc<ResourceType>>>>,
}

impl Catalogue {
    /// The resources that the server is built with; `openshift` adds those of the OpenShift groups.
    pub fn new(openshift: bool) -> Self {
        let built_in = RESOURCES
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(parse)
            .filter(|resource| openshift || !resource.group.ends_with(".openshift.io"))
            .map(Arc::new)
            .collect();
        Self {
            built_in,
            custom: RwLock::default(),
        }
    }

    /// All resources, in the order of discovery.
    pub fn all(&self) -> Vec<Arc<ResourceType>> {
        let custom = self.custom.read().unwrap_or_else(PoisonError::into_inner);
        self.built_in
            .iter()
            .chain(custom.values().flatten())
            .cloned()
            .collect()
    }

    /// Looks a resource up as a path names it.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<ResourceType>> {
        self.all().into_iter().find(|resource| {
            resource.group == group && resource.version == version && resource.plural == plural
        })
    }

    /// Looks a resource up in the version that is stored.
    pub fn stored(&self, id: &ResourceId) -> Option<Arc<ResourceType>> {
        self.all().into_iter().find(|resource| {
            resource.group == id.group
                && resource.plural == id.plural
                && resource
                    .custom
                    .as_ref()
                    .is_none_or(|custom| custom.storage_version == resource.version)
        })
    }

    /// Looks a resource up by its `apiVersion` and kind.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<ResourceType>> {
        self.all()
            .into_iter()
            .find(|resource| resource.kind == kind && resource.api_version() == api_version)
    }

    /// Whether any resource is in this group (and version, if one is given).
    pub fn has_group(&self, group: &str, version: Option<&str>) -> bool {
        self.all().iter().any(|resource| {
            resource.group == group && version.is_none_or(|version| resource.version == version)
        })
    }

    /// Takes a definition in, or its newer form.
    pub(crate) fn define(&self, definition: &Value) {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        custom.insert(name.to_owned(), custom_types(definition));
    }

    /// Forgets a definition.
    pub(crate) fn undefine(&self, name: &str) {
        let mut custom = self.custom.write().unwrap_or_else(PoisonError::into_inner);
        custom.remove(name);
    }
}

fn words(text: &str) -> Vec<String> {
    match text {
        "-" => Vec::new(),
        "crud" => ALL_VERBS.iter().map(|&verb| verb.to_owned()).collect(),
        _ => text.split(',').map(str::to_owned).collect(),
    }
}

fn parse(line: &str) -> ResourceType {
    let mut columns = line.split_whitespace();
    let mut next = || columns.next().unwrap_or("-");
    let api_version = next();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = next().to_owned();
    let kind = next().to_owned();
    let namespaced = next() == "N";
    let mut names = words(next());
    let singular = names.remove(0);
    ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        plural,
        kind,
        singular,
        short_names: names,
        namespaced,
        verbs: words(next()),
        subresources: words(next()),
        categories: words(next()),
        fields: words(next()),
        custom: None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn custom_types(definition: &Value) -> Vec<Arc<ResourceType>> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&names["kind"]);
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let storage_version = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| text(&version["name"]))
        .unwrap_or_default();
    versions
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| {
            let schema = version["schema"]["openAPIV3Schema"].clone();
            let fields = schema["properties"]
                .as_object()
                .map(|properties| properties.keys().cloned().collect())
                .unwrap_or_default();
            let offered = &version["subresources"];
            let mut subresources = Vec::new();
            if !offered["scale"].is_null() {
                subresources.push("scale".to_owned());
            }
            if !offered["status"].is_null() {
                subresources.push("status".to_owned());
            }
            Arc::new(ResourceType {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&names["plural"]),
                singular: text(&names["singular"]),
                short_names: texts(&names["shortNames"]),
                namespaced: spec["scope"] == "Namespaced",
                verbs: words("crud"),
                subresources,
                categories: texts(&names["categories"]),
                fields,
                custom: Some(CustomType {
                    schema,
                    columns: version["additionalPrinterColumns"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default(),
                    scale: offered
                        .get("scale")
                        .cloned()
                        .filter(|scale| !scale.is_null()),
                    list_kind: names["listKind"]
                        .as_str()
                        .map_or_else(|| format!("{kind}List"), str::to_owned),
                    storage_version: storage_version.clone(),
                }),
                kind: kind.clone(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let catalogue = Catalogue::new(true);
        let pods = catalogue.find("", "v1", "pods").unwrap();
        assert_eq!(pods.kind, "Pod");
        assert_eq!(pods.short_names, ["po"]);
        assert!(pods.can("watch") && pods.has_subresource("exec"));
        let autoscalers = ResourceId::new("autoscaling", "horizontalpodautoscalers");
        assert_eq!(catalogue.stored(&autoscalers).unwrap().version, "v2");
        for resource in catalogue.all() {
            assert!(!resource.fields.is_empty(), "{resource:?}");
        }
    }

    #[test]
    fn without_openshift_its_groups_are_not_there() {
        let catalogue = Catalogue::new(false);
        assert!(!catalogue.has_group("route.openshift.io", None));
        assert!(catalogue.has_group("apps", Some("v1")));
    }
}
