//! Access control by roles and their bindings, all of them objects in the store.

use serde_json::{Value, json};

use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::state::State;

const POLICY: &str = include_str!("policy.txt");
const RBAC: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

impl Attributes<'_> {
    fn full_resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_owned(),
        }
    }
}

/// A role that a user has, where and by what.
struct Grant {
    rules: Vec<Value>,
    by: String,
}

/// Whether a user may; if so, by what.
pub(crate) fn allowed(
    state: &State,
    user: &UserInfo,
    attributes: &Attributes<'_>,
) -> Option<String> {
    if user.is_master() {
        return Some(String::new());
    }
    grants(state, user, attributes.namespace)
        .into_iter()
        .find(|grant| grant.rules.iter().any(|rule| covers(rule, attributes)))
        .map(|grant| grant.by)
}

/// Refuses what a user may not, in a server's words.
pub(crate) fn require(
    state: &State,
    user: &UserInfo,
    attributes: &Attributes<'_>,
) -> Result<(), ApiError> {
    if allowed(state, user, attributes).is_some() {
        return Ok(());
    }
    let place = match attributes.namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    Err(ApiError::forbidden(
        attributes.group,
        attributes.resource,
        attributes.name.unwrap_or_default(),
        format!(
            "User {:?} cannot {} resource {:?} in API group {:?} {place}",
            user.name,
            attributes.verb,
            attributes.full_resource(),
            attributes.group
        ),
    ))
}

/// Every rule a user has in a namespace.
pub(crate) fn rules(state: &State, user: &UserInfo, namespace: &str) -> Vec<Value> {
    if user.is_master() {
        return vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})];
    }
    grants(state, user, Some(namespace))
        .into_iter()
        .flat_map(|grant| grant.rules)
        .collect()
}

/// The rules of a role that a user does not have already: they may not hand these on.
pub(crate) fn escalation(
    state: &State,
    user: &UserInfo,
    namespace: Option<&str>,
    wanted: &[Value],
) -> Vec<Value> {
    if user.is_master() {
        return Vec::new();
    }
    let held: Vec<Value> = grants(state, user, namespace)
        .into_iter()
        .flat_map(|grant| grant.rules)
        .collect();
    wanted
        .iter()
        .filter(|rule| {
            let names = texts(&rule["resourceNames"]);
            let all = |field: &str| texts(&rule[field]);
            !all("verbs").iter().all(|verb| {
                all("apiGroups").iter().all(|group| {
                    all("resources").iter().all(|resource| {
                        let (resource, subresource) = match resource.split_once('/') {
                            Some((resource, subresource)) => (resource, Some(subresource)),
                            None => (resource.as_str(), None),
                        };
                        let has = |name: Option<&str>| {
                            held.iter().any(|rule| {
                                covers(
                                    rule,
                                    &Attributes {
                                        verb,
                                        group,
                                        resource,
                                        subresource,
                                        namespace,
                                        name,
                                    },
                                )
                            })
                        };
                        if names.is_empty() {
                            has(None)
                        } else {
                            names.iter().all(|name| has(Some(name)))
                        }
                    })
                })
            })
        })
        .cloned()
        .collect()
}

/// A rule as the words of a refusal show it.
pub(crate) fn show(rule: &Value) -> String {
    let list = |field: &str| {
        let quoted: Vec<String> = texts(&rule[field])
            .iter()
            .map(|one| format!("{one:?}"))
            .collect();
        format!("[{}]", quoted.join(" "))
    };
    let names = if rule["resourceNames"].is_array() {
        format!(", ResourceNames:{}", list("resourceNames"))
    } else {
        String::new()
    };
    format!(
        "{{APIGroups:{}, Resources:{}{names}, Verbs:{}}}",
        list("apiGroups"),
        list("resources"),
        list("verbs")
    )
}

/// The rules of a role or cluster role.
pub(crate) fn rules_of(
    state: &State,
    namespace: Option<&str>,
    reference: &Value,
) -> Option<Vec<Value>> {
    let name = reference["name"].as_str()?;
    let role = if reference["kind"] == "Role" {
        state.get(&ResourceId::new(RBAC, "roles"), namespace, name)
    } else {
        state.get(&ResourceId::new(RBAC, "clusterroles"), None, name)
    }?;
    Some(role["rules"].as_array().cloned().unwrap_or_default())
}

fn grants(state: &State, user: &UserInfo, namespace: Option<&str>) -> Vec<Grant> {
    let mut grants = Vec::new();
    let cluster = state
        .list(&ResourceId::new(RBAC, "clusterrolebindings"), None)
        .map(|(_, binding)| (None, binding));
    let local = namespace.into_iter().flat_map(|namespace| {
        state
            .list(&ResourceId::new(RBAC, "rolebindings"), Some(namespace))
            .map(move |(_, binding)| (Some(namespace), binding))
    });
    for (namespace, binding) in cluster.chain(local) {
        let Some(subject) = subject(binding, user, namespace) else {
            continue;
        };
        let reference = &binding["roleRef"];
        let Some(rules) = rules_of(state, namespace, reference) else {
            continue;
        };
        let name = binding["metadata"]["name"].as_str().unwrap_or_default();
        let role = format!(
            "{} {:?}",
            reference["kind"].as_str().unwrap_or("ClusterRole"),
            reference["name"].as_str().unwrap_or_default()
        );
        let by = match namespace {
            Some(namespace) => {
                format!(
                    "RBAC: allowed by RoleBinding \"{name}/{namespace}\" of {role} to {subject}"
                )
            }
            None => format!("RBAC: allowed by ClusterRoleBinding {name:?} of {role} to {subject}"),
        };
        grants.push(Grant { rules, by });
    }
    grants
}

fn subject(binding: &Value, user: &UserInfo, namespace: Option<&str>) -> Option<String> {
    binding["subjects"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|subject| {
            let name = subject["name"].as_str()?;
            match subject["kind"].as_str()? {
                "User" => (name == user.name).then(|| format!("User {name:?}")),
                "Group" => user
                    .groups
                    .iter()
                    .any(|group| group == name)
                    .then(|| format!("Group {name:?}")),
                "ServiceAccount" => {
                    let namespace = subject["namespace"].as_str().or(namespace)?;
                    (user.name == format!("system:serviceaccount:{namespace}:{name}"))
                        .then(|| format!("ServiceAccount \"{name}/{namespace}\""))
                }
                _ => None,
            }
        })
}

fn covers(rule: &Value, attributes: &Attributes<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        rule[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|one| one == "*" || one == wanted)
    };
    let named = texts(&rule["resourceNames"]);
    has("verbs", attributes.verb)
        && has("apiGroups", attributes.group)
        && (has("resources", &attributes.full_resource())
            || attributes.subresource.is_some_and(|subresource| {
                texts(&rule["resources"]).contains(&format!("*/{subresource}"))
            }))
        && (named.is_empty()
            || attributes
                .name
                .is_some_and(|name| named.iter().any(|one| one == name)))
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

/// The cluster roles that every cluster has, by name.
pub(crate) fn default_roles() -> Vec<(String, Vec<Value>)> {
    let mut roles: Vec<(String, Vec<Value>)> = Vec::new();
    for line in POLICY.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('#') {
            continue;
        }
        let (name, rules) = match columns.as_slice() {
            [name, base] => {
                let base = base.trim_start_matches('=');
                let rules = roles
                    .iter()
                    .find(|(known, _)| known == base)
                    .map(|(_, rules)| rules.clone())
                    .unwrap_or_default();
                (*name, rules)
            }
            [name, verbs, groups, resources, names @ ..] => {
                let groups: Vec<&str> =
                    groups.split(',').map(|one| one.trim_matches('"')).collect();
                let mut rule = json!({
                    "verbs": self::verbs(verbs),
                    "apiGroups": groups,
                    "resources": resources.split(',').collect::<Vec<_>>(),
                });
                if let [names] = names {
                    rule["resourceNames"] = json!(names.split(',').collect::<Vec<_>>());
                }
                (*name, vec![rule])
            }
            _ => continue,
        };
        match roles.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(rules),
            None => roles.push((name.to_owned(), rules)),
        }
    }
    roles
}

fn verbs(text: &str) -> Vec<&str> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
    match text {
        "r" => READ.to_vec(),
        "w" => WRITE.to_vec(),
        "rw" => WRITE.iter().chain(&READ).copied().collect(),
        _ => text.split(',').collect(),
    }
}

/// Bindings that every cluster has: name, role, group.
pub(crate) const DEFAULT_BINDINGS: [(&str, &str, &str); 6] = [
    ("cluster-admin", "cluster-admin", "system:masters"),
    ("basic-users", "basic-user", "system:authenticated"),
    (
        "system:basic-user",
        "system:basic-user",
        "system:authenticated",
    ),
    (
        "self-provisioners",
        "self-provisioner",
        "system:authenticated:oauth",
    ),
    (
        "system:openshift:scc:restricted-v2",
        "system:openshift:scc:restricted-v2",
        "system:authenticated",
    ),
    (
        "system:openshift:scc:restricted-v3",
        "system:openshift:scc:restricted-v3",
        "system:authenticated",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_takes_the_rules_of_the_one_it_is_based_on() {
        let roles = default_roles();
        let rules = |name: &str| &roles.iter().find(|(known, _)| known == name).unwrap().1;
        let may = |role: &str, verb: &str, group: &str, resource: &str| {
            let attributes = Attributes {
                verb,
                group,
                resource,
                ..Attributes::default()
            };
            rules(role).iter().any(|rule| covers(rule, &attributes))
        };
        assert!(may("admin", "list", "", "pods"));
        assert!(may("admin", "create", RBAC, "rolebindings"));
        assert!(!may("edit", "create", RBAC, "rolebindings"));
        assert!(!may("view", "list", "", "secrets"));
        assert!(!may("admin", "create", "", "resourcequotas"));
        assert!(!may("admin", "create", "", "endpoints"));
    }
}
