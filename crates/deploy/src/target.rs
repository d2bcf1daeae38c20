//! What a command is about, as `oc` names it: `web-1-abcde`, `deployment/web`, `dc/web`, `build/web-1`.

use std::fmt;

use openshifter_objects::GroupKind;

use crate::DeployError;

/// Kinds that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// `pod`
    Pod,
    /// `deployment`
    Deployment,
    /// `dc`
    DeploymentConfig,
    /// `statefulset`
    StatefulSet,
    /// `daemonset`
    DaemonSet,
    /// `replicaset`
    ReplicaSet,
    /// `rc`
    ReplicationController,
    /// `job`
    Job,
    /// `svc`
    Service,
    /// `build`
    Build,
    /// `bc`
    BuildConfig,
}

/// Every kind with the names that it goes by: the kind's own, then others in lower case.
const NAMES: &[(TargetKind, &str, &str, &[&str])] = &[
    (TargetKind::Pod, "", "Pod", &["pods", "po"]),
    (
        TargetKind::Deployment,
        "apps",
        "Deployment",
        &["deployments", "deploy"],
    ),
    (
        TargetKind::DeploymentConfig,
        "apps.openshift.io",
        "DeploymentConfig",
        &["deploymentconfigs", "dc"],
    ),
    (
        TargetKind::StatefulSet,
        "apps",
        "StatefulSet",
        &["statefulsets", "sts"],
    ),
    (
        TargetKind::DaemonSet,
        "apps",
        "DaemonSet",
        &["daemonsets", "ds"],
    ),
    (
        TargetKind::ReplicaSet,
        "apps",
        "ReplicaSet",
        &["replicasets", "rs"],
    ),
    (
        TargetKind::ReplicationController,
        "",
        "ReplicationController",
        &["replicationcontrollers", "rc"],
    ),
    (TargetKind::Job, "batch", "Job", &["jobs"]),
    (TargetKind::Service, "", "Service", &["services", "svc"]),
    (
        TargetKind::Build,
        "build.openshift.io",
        "Build",
        &["builds"],
    ),
    (
        TargetKind::BuildConfig,
        "build.openshift.io",
        "BuildConfig",
        &["buildconfigs", "bc"],
    ),
];

/// An object that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
}

impl Target {
    /// One of a kind.
    pub fn new(kind: TargetKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// Reads `KIND/NAME`, or `NAME` of the kind that is meant when none is said. `KIND.GROUP/NAME`, as `-o name` prints it,
    /// is understood.
    ///
    /// # Errors
    /// When the kind is not known, or there is no name.
    pub fn parse(text: &str, unsaid: TargetKind) -> Result<Self, DeployError> {
        let bad = |reason: &str| DeployError::BadTarget {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => {
                let lower = kind.to_ascii_lowercase();
                let plain = lower.split('.').next().unwrap_or_default();
                let known = NAMES.iter().find(|(_, _, kind, others)| {
                    kind.eq_ignore_ascii_case(plain) || others.contains(&plain)
                });
                let (kind, ..) = known.ok_or_else(|| {
                    bad("is of no kind that is known here: pod, deployment, dc, statefulset, daemonset, replicaset, rc, job, svc, build, bc")
                })?;
                (*kind, name)
            }
            None => (unsaid, text),
        };
        if name.is_empty() || name.contains('/') {
            return Err(bad("names nothing: write it as KIND/NAME"));
        }
        Ok(Self::new(kind, name))
    }

    /// Its kind with its API group.
    pub fn group_kind(&self) -> GroupKind {
        let (_, group, kind, _) = self.row();
        GroupKind::new(*group, *kind)
    }

    fn row(
        &self,
    ) -> &'static (
        TargetKind,
        &'static str,
        &'static str,
        &'static [&'static str],
    ) {
        // Every kind has a row; the test below says so.
        NAMES
            .iter()
            .find(|(kind, ..)| *kind == self.kind)
            .unwrap_or(&NAMES[0])
    }

    /// Refuses kinds that a command has no use for.
    ///
    /// # Errors
    /// When it is not one of these.
    pub fn one_of(self, kinds: &[TargetKind], what: &str) -> Result<Self, DeployError> {
        if kinds.contains(&self.kind) {
            return Ok(self);
        }
        Err(DeployError::BadTarget {
            text: self.to_string(),
            reason: format!("cannot {what}"),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.row().2, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_oc_writes_them() {
        let read = |text: &str| {
            Target::parse(text, TargetKind::Pod)
                .map(|target| target.to_string())
                .unwrap_or_else(|error| error.to_string())
        };
        for (text, expected) in [
            ("web-1", "Pod/web-1"),
            ("po/web-1", "Pod/web-1"),
            ("dc/web", "DeploymentConfig/web"),
            ("Deployment/web", "Deployment/web"),
            ("deployment.apps/web", "Deployment/web"),
            (
                "deploymentconfigs.apps.openshift.io/web",
                "DeploymentConfig/web",
            ),
            ("bc/web", "BuildConfig/web"),
            ("sts/db", "StatefulSet/db"),
            ("svc/web", "Service/web"),
            ("dc/", "`dc/` names nothing: write it as KIND/NAME"),
            (
                "a/b/c",
                "`a/b/c` is of no kind that is known here: pod, deployment, dc, statefulset, daemonset, replicaset, rc, job, svc, build, bc",
            ),
        ] {
            assert_eq!(read(text), expected);
        }
    }

    #[test]
    fn every_kind_has_a_name() {
        for (kind, group, name, _) in NAMES {
            let target = Target::new(*kind, "x");
            assert_eq!(target.group_kind(), GroupKind::new(*group, *name));
            assert_eq!(
                Target::parse(&format!("{name}/x"), TargetKind::Pod).unwrap(),
                target
            );
        }
    }
}
