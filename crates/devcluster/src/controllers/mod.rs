//! Controllers: each makes the cluster's objects what one kind of object asks for.
//!
//! They work on the store in process: an event names the objects that it concerns, each object is
//! reconciled on its own, and what fails is tried again later.

mod builds;
mod claims;
mod cron_jobs;
mod daemon_sets;
mod deployment_configs;
mod deployment_status;
mod deployments;
mod endpoints;
mod exposure;
mod image_streams;
mod image_triggers;
mod jobs;
mod pods;
mod queue;
mod replicas;
mod revisions;
mod rolling;
mod routes;
mod scheduler;
mod stateful_sets;
mod template_instances;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openshifter_apiserver::{ApiError, Event, ResourceId, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::builds::Builder;
use crate::images::Images;
use crate::node::Node;

pub(crate) use image_streams::resolve;

/// Who makes the volumes of the built-in storage classes.
pub(crate) const PROVISIONER: &str = "openshifter.test/local";

/// Namespace (empty for cluster scope) and name.
pub(crate) type Key = (String, String);

/// What controllers work with.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) store: Store,
    /// Name of the one node.
    pub(crate) node: String,
    /// Folder of persistent volumes.
    pub(crate) volumes: PathBuf,
    pub(crate) images: Images,
    pub(crate) builder: Builder,
    /// What is done beside the reconciling, awaited when the cluster stops.
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

/// When to look at an object again without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something happens.
    Event,
    /// After this time.
    After(Duration),
}

/// Outcome of reconciling one object.
pub(crate) type Reconciled = Result<Next, ApiError>;

/// A controller.
pub(crate) trait Controller: Send + Sync + 'static {
    /// Its name, for the log.
    fn name(&self) -> &'static str;

    /// The resource whose objects it reconciles.
    fn resource(&self) -> ResourceId;

    /// Which of them an event concerns.
    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key>;

    /// Takes one object a step towards what it asks for. The object may be gone.
    fn reconcile(&self, context: &Context, key: &Key) -> Reconciled;
}

/// The running controllers of a cluster.
#[derive(Debug)]
pub(crate) struct Controllers {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Controllers {
    /// Starts them all.
    pub(crate) fn start(
        store: &Store,
        node: &Node,
        images: Images,
        builder: Builder,
        router_port: u16,
    ) -> Self {
        let controllers = Self {
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let context = Context {
            store: store.clone(),
            node: node.name().to_owned(),
            volumes: node.volumes_folder(),
            images,
            builder,
            tasks: controllers.tasks.clone(),
            stopping: controllers.stopping.clone(),
        };
        let all: [Arc<dyn Controller>; 24] = [
            Arc::new(replicas::ReplicaSets),
            Arc::new(replicas::ReplicationControllers),
            Arc::new(deployments::Deployments),
            Arc::new(deployment_configs::DeploymentConfigs),
            Arc::new(stateful_sets::StatefulSets),
            Arc::new(daemon_sets::DaemonSets),
            Arc::new(jobs::Jobs),
            Arc::new(cron_jobs::CronJobs),
            Arc::new(scheduler::Scheduler),
            Arc::new(claims::Claims),
            Arc::new(claims::Protection),
            Arc::new(volumes::Volumes),
            Arc::new(endpoints::Services),
            Arc::new(endpoints::Orphans),
            Arc::new(routes::Routes),
            Arc::new(image_streams::ImageStreams::default()),
            Arc::new(exposure::Exposure { port: router_port }),
            Arc::new(image_triggers::ImageTriggers::Deployments),
            Arc::new(image_triggers::ImageTriggers::StatefulSets),
            Arc::new(image_triggers::ImageTriggers::DaemonSets),
            Arc::new(image_triggers::ImageTriggers::CronJobs),
            Arc::new(builds::BuildConfigs),
            Arc::new(builds::Builds),
            Arc::new(template_instances::TemplateInstances),
        ];
        for controller in all {
            // A plain Kubernetes has no resources of OpenShift.
            if context
                .store
                .catalogue()
                .stored(&controller.resource())
                .is_none()
            {
                continue;
            }
            let run = queue::run(controller, context.clone());
            let stopping = controllers.stopping.clone();
            controllers
                .tasks
                .spawn(async move { stopping.run_until_cancelled(run).await });
        }
        controllers
    }

    /// Stops them.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
