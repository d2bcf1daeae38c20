//! Values that a server fills in when nobody says anything: a field that holds its default was not added by a user.
//!
//! From what a genuine OpenShift 4.22 (Kubernetes 1.36) made of objects that were created without these fields, and
//! from the defaulting functions of the API groups.

use openshifter_objects::Object;
use serde_json::Value;

/// What a server writes into a field.
enum Is {
    /// A value of its own choice: an address, a name, a counter.
    Anything,
    Text(&'static [&'static str]),
    Number(&'static [i64]),
    True,
    /// The value of another field beside it.
    As(&'static str),
    /// Any of these JSON texts.
    Json(&'static [&'static str]),
}

use Is::{Anything, As, Json, Number, Text, True};

/// Fields, as JSON pointers in which `*` stands for an entry of a list.
type Fields = &'static [(&'static str, Is)];

/// Fields of objects by kind.
const OF_KINDS: &[(&[&str], Fields)] = &[
    (
        &["Deployment"],
        &[
            ("/spec/replicas", Number(&[1])),
            // The largest number is what `extensions/v1beta1` served for "keep all".
            ("/spec/revisionHistoryLimit", Number(&[10, 2_147_483_647])),
            (
                "/spec/progressDeadlineSeconds",
                Number(&[600, 2_147_483_647]),
            ),
            ("/spec/strategy/type", Text(&["RollingUpdate"])),
            (
                "/spec/strategy/rollingUpdate/maxUnavailable",
                Json(&[r#""25%""#, "1"]),
            ),
            (
                "/spec/strategy/rollingUpdate/maxSurge",
                Json(&[r#""25%""#, "1"]),
            ),
        ],
    ),
    (
        &["DeploymentConfig"],
        &[
            ("/spec/replicas", Number(&[0, 1])),
            ("/spec/revisionHistoryLimit", Number(&[10])),
            ("/spec/selector", As("template/metadata/labels")),
            ("/spec/strategy/type", Text(&["Rolling"])),
            ("/spec/strategy/activeDeadlineSeconds", Number(&[21_600])),
            (
                "/spec/strategy/rollingParams/updatePeriodSeconds",
                Number(&[1]),
            ),
            ("/spec/strategy/rollingParams/intervalSeconds", Number(&[1])),
            (
                "/spec/strategy/rollingParams/timeoutSeconds",
                Number(&[600]),
            ),
            (
                "/spec/strategy/rollingParams/maxUnavailable",
                Json(&[r#""25%""#]),
            ),
            ("/spec/strategy/rollingParams/maxSurge", Json(&[r#""25%""#])),
            (
                "/spec/strategy/recreateParams/timeoutSeconds",
                Number(&[600]),
            ),
            ("/spec/triggers", Json(&[r#"[{"type":"ConfigChange"}]"#])),
            (
                "/spec/triggers/*/imageChangeParams/from/namespace",
                Anything,
            ),
            (
                "/spec/triggers/*/imageChangeParams/lastTriggeredImage",
                Anything,
            ),
        ],
    ),
    (
        &["StatefulSet"],
        &[
            ("/spec/replicas", Number(&[1])),
            ("/spec/podManagementPolicy", Text(&["OrderedReady"])),
            ("/spec/revisionHistoryLimit", Number(&[10])),
            (
                "/spec/updateStrategy/type",
                Text(&["RollingUpdate", "OnDelete"]),
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted",
                Text(&["Retain"]),
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
                Text(&["Retain"]),
            ),
            ("/spec/volumeClaimTemplates/*/apiVersion", Text(&["v1"])),
            (
                "/spec/volumeClaimTemplates/*/kind",
                Text(&["PersistentVolumeClaim"]),
            ),
            (
                "/spec/volumeClaimTemplates/*/spec/volumeMode",
                Text(&["Filesystem"]),
            ),
            ("/spec/volumeClaimTemplates/*/status", Anything),
        ],
    ),
    (
        &["DaemonSet"],
        &[
            ("/spec/revisionHistoryLimit", Number(&[10])),
            (
                "/spec/updateStrategy/type",
                Text(&["RollingUpdate", "OnDelete"]),
            ),
            (
                "/spec/updateStrategy/rollingUpdate/maxUnavailable",
                Number(&[1]),
            ),
            ("/spec/templateGeneration", Anything),
        ],
    ),
    (
        &["ReplicaSet", "ReplicationController"],
        &[
            ("/spec/replicas", Number(&[1])),
            ("/spec/selector", As("template/metadata/labels")),
        ],
    ),
    (
        &["Job"],
        &[
            ("/spec/completions", Number(&[1])),
            ("/spec/parallelism", Number(&[1])),
            ("/spec/backoffLimit", Number(&[6])),
            ("/spec/completionMode", Text(&["NonIndexed"])),
            ("/spec/podReplacementPolicy", Text(&["TerminatingOrFailed"])),
            ("/spec/selector", Anything),
        ],
    ),
    (
        &["CronJob"],
        &[
            ("/spec/concurrencyPolicy", Text(&["Allow"])),
            ("/spec/successfulJobsHistoryLimit", Number(&[3])),
            ("/spec/failedJobsHistoryLimit", Number(&[1])),
            ("/spec/jobTemplate/spec/completions", Number(&[1])),
            ("/spec/jobTemplate/spec/parallelism", Number(&[1])),
            ("/spec/jobTemplate/spec/backoffLimit", Number(&[6])),
        ],
    ),
    (
        &["HorizontalPodAutoscaler"],
        &[
            ("/spec/minReplicas", Number(&[1])),
            ("/spec/targetCPUUtilizationPercentage", Number(&[80])),
            (
                "/spec/metrics",
                Json(&[
                    r#"[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]"#,
                ]),
            ),
            ("/spec/behavior/scaleUp/selectPolicy", Text(&["Max"])),
            ("/spec/behavior/scaleDown/selectPolicy", Text(&["Max"])),
            (
                "/spec/behavior/scaleUp/policies",
                Json(&[
                    r#"[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]"#,
                ]),
            ),
            (
                "/spec/behavior/scaleDown/policies",
                Json(&[r#"[{"type":"Percent","value":100,"periodSeconds":15}]"#]),
            ),
        ],
    ),
    (
        &["Service"],
        &[
            ("/spec/type", Text(&["ClusterIP"])),
            ("/spec/clusterIP", Anything),
            ("/spec/clusterIPs", Anything),
            ("/spec/ipFamilies", Anything),
            ("/spec/ipFamilyPolicy", Anything),
            ("/spec/healthCheckNodePort", Anything),
            ("/spec/allocateLoadBalancerNodePorts", True),
            ("/spec/internalTrafficPolicy", Text(&["Cluster"])),
            ("/spec/externalTrafficPolicy", Text(&["Cluster"])),
            ("/spec/sessionAffinity", Text(&["None"])),
            (
                "/spec/sessionAffinityConfig/clientIP/timeoutSeconds",
                Number(&[10_800]),
            ),
            ("/spec/ports/*/protocol", Text(&["TCP"])),
            ("/spec/ports/*/targetPort", As("port")),
            ("/spec/ports/*/nodePort", Anything),
        ],
    ),
    (
        &["Route"],
        &[
            ("/spec/to/kind", Text(&["Service"])),
            ("/spec/to/weight", Number(&[100])),
            ("/spec/alternateBackends/*/kind", Text(&["Service"])),
            ("/spec/alternateBackends/*/weight", Number(&[100])),
            ("/spec/wildcardPolicy", Text(&["None"])),
        ],
    ),
    (
        &["Ingress"],
        &[
            // An admission plugin names the cluster's default class.
            ("/spec/ingressClassName", Anything),
            (
                "/spec/rules/*/http/paths/*/pathType",
                Text(&["ImplementationSpecific"]),
            ),
        ],
    ),
    (
        &["NetworkPolicy"],
        &[
            (
                "/spec/policyTypes",
                Json(&[r#"["Ingress"]"#, r#"["Ingress","Egress"]"#]),
            ),
            ("/spec/ingress/*/ports/*/protocol", Text(&["TCP"])),
            ("/spec/egress/*/ports/*/protocol", Text(&["TCP"])),
        ],
    ),
    (
        &["PersistentVolumeClaim"],
        &[
            ("/spec/storageClassName", Anything),
            ("/spec/volumeName", Anything),
            ("/spec/volumeMode", Text(&["Filesystem"])),
            ("/spec/dataSource", Anything),
            ("/spec/dataSourceRef", Anything),
        ],
    ),
    (
        &["LimitRange"],
        &[
            ("/spec/limits/*/default", Anything),
            ("/spec/limits/*/defaultRequest", Anything),
        ],
    ),
    (&["Secret"], &[("/type", Text(&["Opaque"]))]),
    (
        &["RoleBinding", "ClusterRoleBinding"],
        &[
            ("/roleRef/apiGroup", Text(&["rbac.authorization.k8s.io"])),
            ("/subjects/*/apiGroup", Text(&["rbac.authorization.k8s.io"])),
            ("/userNames", Anything),
            ("/groupNames", Anything),
        ],
    ),
    (
        &["Endpoints"],
        &[("/subsets/*/ports/*/protocol", Text(&["TCP"]))],
    ),
    (
        &["EndpointSlice"],
        &[
            ("/ports/*/protocol", Text(&["TCP"])),
            ("/endpoints/*/conditions", Anything),
        ],
    ),
    (
        &["BuildConfig"],
        &[
            ("/spec/runPolicy", Text(&["Serial"])),
            ("/spec/successfulBuildsHistoryLimit", Number(&[5])),
            ("/spec/failedBuildsHistoryLimit", Number(&[5])),
            ("/spec/source/type", Anything),
            ("/spec/strategy/type", Anything),
            (
                "/spec/strategy/sourceStrategy/from/kind",
                Text(&["ImageStreamTag"]),
            ),
            (
                "/spec/triggers/*/imageChange/lastTriggeredImageID",
                Anything,
            ),
        ],
    ),
    (
        &["ImageStream"],
        &[
            ("/spec/dockerImageRepository", Anything),
            ("/spec/tags/*/generation", Anything),
            ("/spec/tags/*/importPolicy/importMode", Text(&["Legacy"])),
            ("/spec/tags/*/referencePolicy/type", Text(&["Source"])),
        ],
    ),
];

/// Fields of pod specs.
const OF_PODS: Fields = &[
    ("/restartPolicy", Text(&["Always"])),
    ("/dnsPolicy", Text(&["ClusterFirst"])),
    ("/schedulerName", Text(&["default-scheduler"])),
    ("/terminationGracePeriodSeconds", Number(&[30])),
    ("/enableServiceLinks", True),
    ("/preemptionPolicy", Text(&["PreemptLowerPriority"])),
    ("/serviceAccount", As("serviceAccountName")),
    ("/serviceAccountName", As("serviceAccount")),
    ("/volumes/*/configMap/defaultMode", Number(&[420])),
    ("/volumes/*/secret/defaultMode", Number(&[420])),
    ("/volumes/*/downwardAPI/defaultMode", Number(&[420])),
    ("/volumes/*/projected/defaultMode", Number(&[420])),
    (
        "/volumes/*/projected/sources/*/serviceAccountToken/expirationSeconds",
        Number(&[3600]),
    ),
    (
        "/volumes/*/projected/sources/*/downwardAPI/items/*/fieldRef/apiVersion",
        Text(&["v1"]),
    ),
    (
        "/volumes/*/downwardAPI/items/*/fieldRef/apiVersion",
        Text(&["v1"]),
    ),
    ("/volumes/*/iscsi/iscsiInterface", Text(&["default"])),
    ("/volumes/*/rbd/pool", Text(&["rbd"])),
    ("/volumes/*/rbd/user", Text(&["admin"])),
    ("/volumes/*/rbd/keyring", Text(&["/etc/ceph/keyring"])),
    ("/volumes/*/azureDisk/cachingMode", Text(&["ReadWrite"])),
    ("/volumes/*/azureDisk/fsType", Text(&["ext4"])),
    ("/volumes/*/azureDisk/kind", Text(&["Shared"])),
    (
        "/volumes/*/ephemeral/volumeClaimTemplate/spec/volumeMode",
        Text(&["Filesystem"]),
    ),
];

/// Fields of containers, init containers included.
const OF_CONTAINERS: Fields = &[
    ("/imagePullPolicy", Text(&["Always", "IfNotPresent"])),
    ("/terminationMessagePath", Text(&["/dev/termination-log"])),
    ("/terminationMessagePolicy", Text(&["File"])),
    ("/ports/*/protocol", Text(&["TCP"])),
    // Of pods in the node's network.
    ("/ports/*/hostPort", As("containerPort")),
    ("/env/*/valueFrom/fieldRef/apiVersion", Text(&["v1"])),
    ("/env/*/valueFrom/resourceFieldRef/divisor", Text(&["0"])),
    ("/lifecycle/postStart/httpGet/scheme", Text(&["HTTP"])),
    ("/lifecycle/preStop/httpGet/scheme", Text(&["HTTP"])),
];

/// Fields of probes.
const OF_PROBES: Fields = &[
    ("/timeoutSeconds", Number(&[1])),
    ("/periodSeconds", Number(&[10])),
    ("/successThreshold", Number(&[1])),
    ("/failureThreshold", Number(&[3])),
    ("/httpGet/scheme", Text(&["HTTP"])),
    ("/httpGet/path", Text(&["/"])),
];

/// A field at the target.
pub(super) struct Field<'a> {
    /// The object that has it.
    pub(super) live: &'a Object,
    /// Where it is, with `*` for entries of lists.
    pub(super) shape: &'a str,
    pub(super) value: &'a Value,
    /// What it is a field of.
    pub(super) beside: &'a Value,
}

/// What is known of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The server chose it.
    Chosen,
    /// It is what the server fills in.
    Default,
    /// The server fills in something else.
    Other,
    /// No server fills it in.
    Nothing,
}

/// Tells whether a server fills in this value.
pub(super) fn known(field: &Field<'_>) -> Known {
    if field.live.is("route.openshift.io", "Route") && field.shape == "/spec/host" {
        let generated = field.live.annotation("openshift.io/host.generated") == Some("true");
        return if generated {
            Known::Chosen
        } else {
            Known::Other
        };
    }
    let Some(is) = find(field.live, field.shape) else {
        return Known::Nothing;
    };
    let holds = match is {
        Anything => return Known::Chosen,
        Text(texts) => field
            .value
            .as_str()
            .is_some_and(|text| texts.contains(&text)),
        Number(numbers) => field
            .value
            .as_i64()
            .is_some_and(|number| numbers.contains(&number)),
        True => field.value == &Value::Bool(true),
        As(other) => {
            let other = field.beside.pointer(&format!("/{other}"));
            // A ReplicaSet's selector is a structure around such labels.
            other == Some(field.value)
                || (other.is_some() && other == field.value.get("matchLabels"))
        }
        Json(texts) => texts.iter().any(|text| {
            serde_json::from_str::<Value>(text).is_ok_and(|value| &value == field.value)
        }),
    };
    if holds { Known::Default } else { Known::Other }
}

fn find(object: &Object, shape: &str) -> Option<&'static Is> {
    fn of(table: Fields, shape: &str) -> Option<&'static Is> {
        table.iter().find(|(at, _)| *at == shape).map(|(_, is)| is)
    }
    let own = OF_KINDS
        .iter()
        .filter(|(kinds, _)| kinds.contains(&object.kind()))
        .find_map(|(_, fields)| of(fields, shape));
    if own.is_some() {
        return own;
    }
    let in_pod = shape.strip_prefix(object.pod_spec_pointer()?)?;
    let in_container = ["/containers/*", "/initContainers/*"]
        .iter()
        .find_map(|list| in_pod.strip_prefix(list));
    let Some(in_container) = in_container else {
        return of(OF_PODS, in_pod);
    };
    let in_probe = ["/livenessProbe", "/readinessProbe", "/startupProbe"]
        .iter()
        .find_map(|probe| in_container.strip_prefix(probe));
    match in_probe {
        Some(in_probe) => of(OF_PROBES, in_probe),
        None => of(OF_CONTAINERS, in_container),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_json_text_of_the_tables_is_json() {
        let texts = OF_KINDS
            .iter()
            .flat_map(|(_, fields)| fields.iter())
            .filter_map(|(at, is)| match is {
                Json(texts) => Some((at, texts)),
                _ => None,
            });
        for (at, texts) in texts {
            for text in *texts {
                assert!(serde_json::from_str::<Value>(text).is_ok(), "{at}: {text}");
            }
        }
    }

    #[test]
    fn a_default_is_told_from_a_person_s_value() {
        let live = Object::from_value(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        }))
        .unwrap();
        let port = |value: Value| {
            let beside = json!({"port": 80});
            known(&Field {
                live: &live,
                shape: "/spec/ports/*/targetPort",
                value: &value,
                beside: &beside,
            })
        };
        assert_eq!(port(json!(80)), Known::Default);
        assert_eq!(port(json!(8080)), Known::Other);
    }
}
