//! Objects that record what happened, or are over once it did.

use serde_json::Value;

use super::LeaveOut;

pub(super) const EVENT: LeaveOut = LeaveOut {
    id: "event",
    reason: |object, _| {
        (object.kind() == "Event" && matches!(object.group(), "" | "events.k8s.io"))
            .then(|| "events tell what happened in the source's cluster".to_owned())
    },
};

pub(super) const LEASE: LeaveOut = LeaveOut {
    id: "lease",
    reason: |object, _| {
        (object.is("coordination.k8s.io", "Lease")
            // How clients elected a leader before there were leases.
            || object.annotation("control-plane.alpha.kubernetes.io/leader").is_some())
        .then(|| "it is a lock that a running process holds".to_owned())
    },
};

pub(super) const FINISHED_POD: LeaveOut = LeaveOut {
    id: "finished-pod",
    reason: |object, _| {
        let phase = object
            .value()
            .pointer("/status/phase")
            .and_then(Value::as_str)?;
        (object.is("", "Pod") && matches!(phase, "Succeeded" | "Failed"))
            .then(|| format!("it has finished ({phase}); created again it would run again"))
    },
};

pub(super) const BUILD: LeaveOut = LeaveOut {
    id: "build",
    reason: |object, _| {
        object
            .is("build.openshift.io", "Build")
            .then(|| "a build is a run of its BuildConfig; the target makes its own".to_owned())
    },
};

/// Runs of a Tekton pipeline, which begin when they are created.
pub(super) const PIPELINE_RUN: LeaveOut = LeaveOut {
    id: "pipeline-run",
    reason: |object, _| {
        (object.group() == "tekton.dev"
            && matches!(
                object.kind(),
                "PipelineRun" | "TaskRun" | "CustomRun" | "Run"
            ))
        .then(|| "it is one run; created again it would run again".to_owned())
    },
};

pub(super) const TEMPLATE_INSTANCE: LeaveOut = LeaveOut {
    id: "template-instance",
    reason: |object, _| {
        (object.is("template.openshift.io", "TemplateInstance")).then(|| {
            "created again it would make its objects again; these are taken themselves".to_owned()
        })
    },
};

pub(super) const SNAPSHOT: LeaveOut = LeaveOut {
    id: "volume-snapshot",
    reason: |object, _| {
        let storage = object.group() == "snapshot.storage.k8s.io"
            || object.is("storage.k8s.io", "CSIStorageCapacity");
        storage.then(|| "it describes storage of the source's cluster".to_owned())
    },
};

/// Kinds that are answers of a server rather than objects that it keeps.
pub(super) const VIEW: LeaveOut = LeaveOut {
    id: "not-stored",
    reason: |object, _| {
        let view = matches!(
            (object.group(), object.kind()),
            (
                "metrics.k8s.io" | "custom.metrics.k8s.io" | "packages.operators.coreos.com",
                _
            ) | ("quota.openshift.io", "AppliedClusterResourceQuota")
                | (
                    "image.openshift.io",
                    "ImageStreamImage" | "ImageSignature" | "ImageStreamTag" | "ImageTag"
                )
                | ("", "ComponentStatus" | "Binding")
        );
        view.then(|| "the server works it out when asked; it cannot be created".to_owned())
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::select::testing::left_out;

    #[test]
    fn what_is_over_is_left_out() {
        let pod = |name: &str, phase: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "status": {"phase": phase}});
        let found = left_out(vec![
            pod("done", "Succeeded"),
            pod("failed", "Failed"),
            pod("running", "Running"),
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}}),
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lock",
                "annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}}),
            json!({"apiVersion": "build.openshift.io/v1", "kind": "Build", "metadata": {"name": "b-1"}}),
            json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "r"}}),
            json!({"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": "p"}}),
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamTag", "metadata": {"name": "unseen:1"}}),
            json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": {"name": "web"}}),
        ]);
        let rules: Vec<_> = found
            .iter()
            .map(|(key, rule)| format!("{key} {rule}"))
            .collect();
        insta::assert_snapshot!(rules.join("\n"), @r"
        Pod/done finished-pod
        Pod/failed finished-pod
        Event.events.k8s.io/e event
        Lease.coordination.k8s.io/l lease
        ConfigMap/lock lease
        Build.build.openshift.io/b-1 build
        PipelineRun.tekton.dev/r pipeline-run
        ImageStreamTag.image.openshift.io/unseen:1 not-stored
        PodMetrics.metrics.k8s.io/web not-stored
        ");
    }
}
