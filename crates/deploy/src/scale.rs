//! Replicas.

use std::time::Duration;

use openshifter_objects::Object;

use crate::{DeployError, Project, Target, TargetKind};

/// Kinds that have replicas.
const SCALED: &[TargetKind] = &[
    TargetKind::Deployment,
    TargetKind::DeploymentConfig,
    TargetKind::StatefulSet,
    TargetKind::ReplicaSet,
    TargetKind::ReplicationController,
];

impl Project {
    /// Sets the number of replicas of a workload. With `within` it waits until that many are ready, and no more are there.
    ///
    /// # Errors
    /// When it is not there or has no replicas, the cluster refuses, or it is not done in time.
    pub async fn scale(
        &self,
        target: &Target,
        replicas: u32,
        within: Option<Duration>,
    ) -> Result<(), DeployError> {
        let target = target.clone().one_of(SCALED, "be scaled")?;
        self.get(&target).await?;
        let (kind, namespace) = (target.group_kind(), Some(self.namespace.as_str()));
        self.cluster
            .scale(&kind, namespace, &target.name, i64::from(replicas))
            .await?;
        let Some(within) = within else { return Ok(()) };
        let there = |object: Option<&Object>| {
            object.is_none_or(|object| is_scaled(object, i64::from(replicas)))
        };
        self.cluster
            .wait(&kind, namespace, &target.name, within, there)
            .await?;
        Ok(())
    }
}

/// Whether a workload has exactly so many pods, all of them ready.
fn is_scaled(object: &Object, replicas: i64) -> bool {
    let value = object.value();
    let status = &value["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let seen =
        number("observedGeneration") >= value["metadata"]["generation"].as_i64().unwrap_or(0);
    seen && number("replicas") == replicas && number("readyReplicas") == replicas
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scaled_is_what_has_so_many_pods() {
        let of = |status: serde_json::Value| {
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "generation": 2}, "status": status});
            Object::from_value(object).unwrap()
        };
        let ready = of(json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1}));
        assert!(is_scaled(&ready, 1));
        assert!(!is_scaled(&ready, 0));
        assert!(is_scaled(&of(json!({"observedGeneration": 2})), 0));
        assert!(!is_scaled(&of(json!({"observedGeneration": 1})), 0));
    }
}
