//! Security context constraints: what a pod may be, and what it is made to be.

use serde_json::{Value, json};

use super::Context;
use super::values::default;
use crate::auth::rbac;
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::metadata;

const GROUP: &str = "security.openshift.io";

/// The order in which constraints are tried and named: by priority, then the most restrictive first.
const ORDER: [&str; 11] = [
    "anyuid",
    "restricted-v2",
    "restricted-v3",
    "restricted",
    "nonroot-v2",
    "nonroot",
    "hostmount-anyuid",
    "hostnetwork-v2",
    "hostnetwork",
    "hostaccess",
    "privileged",
];

/// What a project's annotations say.
struct Project {
    uids: (i64, i64),
    level: String,
}

impl Project {
    fn of(context: &Context<'_>, namespace: &str) -> Option<Self> {
        let namespace = context
            .state
            .get(&ResourceId::core("namespaces"), None, namespace)?;
        let annotations = &namespace["metadata"]["annotations"];
        let (first, count) = annotations["openshift.io/sa.scc.uid-range"]
            .as_str()?
            .split_once('/')?;
        let (first, count): (i64, i64) = (first.parse().ok()?, count.parse().ok()?);
        Some(Self {
            uids: (first, first + count - 1),
            level: annotations["openshift.io/sa.scc.mcs"].as_str()?.to_owned(),
        })
    }
}

/// Finds the first constraint that takes the pod, and makes the pod what it says.
pub(super) fn admit(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = metadata::namespace(pod).unwrap_or_default().to_owned();
    let account = pod["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or("default");
    let account = UserInfo::service_account(&namespace, account, "");
    let refuse = |why: &str| ApiError::forbidden("", "pods", metadata::name(pod), why);
    let Some(project) = Project::of(context, &namespace) else {
        return Err(refuse(&format!(
            "error fetching namespace {namespace:?}: unable to find annotation openshift.io/sa.scc.uid-range"
        )));
    };
    let mut reasons = Vec::new();
    let mut names: Vec<String> = ORDER.iter().map(|&name| name.to_owned()).collect();
    let id = ResourceId::new(GROUP, "securitycontextconstraints");
    for ((_, name), _) in context.state.list(&id, None) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    for name in names {
        let Some(constraint) = context.state.get(&id, None, &name) else {
            continue;
        };
        let subject = subject(context, &account, constraint, &name, &namespace);
        let Some(subject) = subject else {
            reasons.push(format!(
                "provider {name:?}: Forbidden: not usable by user or serviceaccount"
            ));
            continue;
        };
        let mut made = pod.clone();
        complete(constraint, &project, &mut made);
        let problems = problems(constraint, &project, &made);
        if problems.is_empty() {
            annotate(&mut made, &name, subject);
            *pod = made;
            return Ok(());
        }
        reasons.extend(
            problems
                .into_iter()
                .map(|problem| format!("provider {name}: {problem}")),
        );
    }
    Err(refuse(&format!(
        "unable to validate against any security context constraint: [{}]",
        reasons.join(", ")
    )))
}

/// Through whom the constraint may be used: the one who asks, or the pod's service account.
fn subject(
    context: &Context<'_>,
    account: &UserInfo,
    constraint: &Value,
    name: &str,
    namespace: &str,
) -> Option<&'static str> {
    let may = |user: &UserInfo| {
        let listed = |field: &str, wanted: &str| {
            constraint[field]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == wanted))
        };
        let attributes = rbac::Attributes {
            verb: "use",
            group: GROUP,
            resource: "securitycontextconstraints",
            namespace: Some(namespace),
            name: Some(name),
            ..rbac::Attributes::default()
        };
        listed("users", &user.name)
            || user.groups.iter().any(|group| listed("groups", group))
            || rbac::allowed(context.state, user, &attributes).is_some()
    };
    if context.user.is_some_and(may) {
        Some("user")
    } else if may(account) {
        Some("serviceaccount")
    } else {
        None
    }
}

fn annotate(pod: &mut Value, name: &str, subject: &str) {
    let seccomp = pod["spec"]["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault";
    let annotations = &mut pod["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    annotations["openshift.io/scc"] = json!(name);
    annotations["security.openshift.io/validated-scc-subject-type"] = json!(subject);
    if seccomp {
        annotations["seccomp.security.alpha.kubernetes.io/pod"] = json!("runtime/default");
    }
}

fn kind<'a>(constraint: &'a Value, field: &str) -> &'a str {
    constraint[field]["type"].as_str().unwrap_or("RunAsAny")
}

fn uid_range(constraint: &Value, project: &Project) -> (i64, i64) {
    let own = &constraint["runAsUser"];
    match (own["uidRangeMin"].as_i64(), own["uidRangeMax"].as_i64()) {
        (Some(first), Some(last)) => (first, last),
        _ => project.uids,
    }
}

fn group_range(constraint: &Value, project: &Project) -> (i64, i64) {
    let own = &constraint["fsGroup"]["ranges"][0];
    match (own["min"].as_i64(), own["max"].as_i64()) {
        (Some(first), Some(last)) => (first, last),
        // A project's files belong to its first group alone.
        _ => (project.uids.0, project.uids.0),
    }
}

fn complete(constraint: &Value, project: &Project, pod: &mut Value) {
    default(pod, "spec.securityContext", json!({}));
    let context = &mut pod["spec"]["securityContext"];
    if kind(constraint, "fsGroup") == "MustRunAs" {
        default(
            context,
            "fsGroup",
            json!(group_range(constraint, project).0),
        );
    }
    if kind(constraint, "seLinuxContext") == "MustRunAs" {
        default(context, "seLinuxOptions", json!({}));
        default(context, "seLinuxOptions.level", json!(project.level));
    }
    if constraint["seccompProfiles"] == json!(["runtime/default"]) {
        default(context, "seccompProfile", json!({"type": "RuntimeDefault"}));
    }
    let pod_user = context["runAsUser"].clone();
    let pod_nonroot = context["runAsNonRoot"].clone();
    let drops = &constraint["requiredDropCapabilities"];
    for list in ["initContainers", "containers"] {
        for container in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if !drops.is_null() || kind(constraint, "runAsUser") != "RunAsAny" {
                default(container, "securityContext", json!({}));
            }
            if let Some(drops) = drops.as_array().filter(|drops| !drops.is_empty()) {
                default(container, "securityContext.capabilities", json!({}));
                let mut all = container["securityContext"]["capabilities"]["drop"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                for drop in drops {
                    if !all.contains(drop) {
                        all.push(drop.clone());
                    }
                }
                container["securityContext"]["capabilities"]["drop"] = json!(all);
            }
            match kind(constraint, "runAsUser") {
                "MustRunAsRange" => {
                    if pod_user.is_null() {
                        let first = uid_range(constraint, project).0;
                        default(container, "securityContext.runAsUser", json!(first));
                    }
                    if pod_nonroot.is_null() && drops == &json!(["ALL"]) {
                        default(container, "securityContext.runAsNonRoot", json!(true));
                    }
                }
                "MustRunAsNonRoot" => {
                    default(container, "securityContext.runAsNonRoot", json!(true));
                }
                _ => {}
            }
            if constraint["allowPrivilegeEscalation"] == false {
                default(
                    container,
                    "securityContext.allowPrivilegeEscalation",
                    json!(false),
                );
            }
        }
    }
}

fn problems(constraint: &Value, project: &Project, pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let spec = &pod["spec"];
    let own = &spec["securityContext"];
    let (first_group, last_group) = group_range(constraint, project);
    if kind(constraint, "fsGroup") == "MustRunAs"
        && let Some(group) = own["fsGroup"].as_i64()
        && !(first_group..=last_group).contains(&group)
    {
        problems.push(format!(
            ".spec.securityContext.fsGroup: Invalid value: [{group}]: {group} is not an allowed group"
        ));
    }
    let must_level = kind(constraint, "seLinuxContext") == "MustRunAs";
    let level = own["seLinuxOptions"]["level"].as_str().unwrap_or_default();
    if must_level && level != project.level {
        problems.push(format!(
            ".spec.securityContext.seLinuxOptions.level: Invalid value: {level:?}: must be {}",
            project.level
        ));
    }
    if constraint["userNamespaceLevel"] == "RequirePodLevel" && spec["hostUsers"] != false {
        problems.push(format!(
            ".spec.hostUsers: Invalid value: {}: Host Users must be set to false",
            spec["hostUsers"]
        ));
    }
    for (field, allowed, name) in [
        ("hostNetwork", "allowHostNetwork", "Host network"),
        ("hostPID", "allowHostPID", "Host PID"),
        ("hostIPC", "allowHostIPC", "Host IPC"),
    ] {
        if spec[field] == true && constraint[allowed] != true {
            problems.push(format!(
                ".spec.securityContext.{field}: Invalid value: true: {name} is not allowed to be used"
            ));
        }
    }
    let volumes: Vec<&str> = constraint["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        for (source, _) in volume.as_object().into_iter().flatten() {
            if source != "name" && !volumes.contains(&"*") && !volumes.contains(&source.as_str()) {
                problems.push(format!(
                    "spec.volumes[{index}]: Invalid value: {source:?}: {source} volumes are not allowed to be used"
                ));
            }
        }
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let place = format!(".{list}[{index}]");
            problems.extend(container_problems(
                constraint, project, own, container, &place,
            ));
            if must_level && level != project.level {
                problems.push(format!(
                    "{place}.seLinuxOptions.level: Invalid value: {level:?}: must be {}",
                    project.level
                ));
            }
        }
    }
    problems
}

fn container_problems(
    constraint: &Value,
    project: &Project,
    pod: &Value,
    container: &Value,
    place: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    let own = &container["securityContext"];
    let uid = own["runAsUser"]
        .as_i64()
        .or_else(|| pod["runAsUser"].as_i64());
    match kind(constraint, "runAsUser") {
        "MustRunAsRange" => {
            let (first, last) = uid_range(constraint, project);
            if let Some(uid) = uid
                && !(first..=last).contains(&uid)
            {
                problems.push(format!(
                    "{place}.runAsUser: Invalid value: {uid}: must be in the ranges: [{first}, {last}]"
                ));
            }
        }
        "MustRunAsNonRoot" if uid == Some(0) => {
            problems.push(format!(
                "{place}.runAsUser: Invalid value: 0: running with the root UID is forbidden"
            ));
        }
        _ => {}
    }
    if own["privileged"] == true && constraint["allowPrivilegedContainer"] != true {
        problems.push(format!(
            "{place}.privileged: Invalid value: true: Privileged containers are not allowed"
        ));
    }
    if own["allowPrivilegeEscalation"] == true && constraint["allowPrivilegeEscalation"] == false {
        problems.push(format!(
            "{place}.allowPrivilegeEscalation: Invalid value: true: Allowing privilege escalation for containers is \
             not allowed"
        ));
    }
    let allowed: Vec<&str> = constraint["allowedCapabilities"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for capability in own["capabilities"]["add"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !allowed.contains(&"*") && !allowed.contains(&capability) {
            problems.push(format!(
                "{place}.capabilities.add: Invalid value: {capability:?}: capability may not be added"
            ));
        }
    }
    if constraint["allowHostPorts"] != true {
        for port in container["ports"].as_array().into_iter().flatten() {
            if let Some(port) = port["hostPort"].as_i64().filter(|port| *port != 0) {
                problems.push(format!(
                    "{place}.containers[0].hostPort: Invalid value: {port}: Host ports are not allowed to be used"
                ));
            }
        }
    }
    problems
}
