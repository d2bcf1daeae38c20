//! Objects of small applications.

use openshifter_testing::Containers;
pub(crate) use openshifter_testing::{claim, config};
use serde_json::Value;

use crate::world::world;

fn shell() -> Containers<'static> {
    Containers {
        image: &world().image,
        grace: 1,
    }
}

/// A pod template with a shell; `claim` is mounted at `/data`.
pub(crate) fn template(name: &str, claim: Option<&str>) -> Value {
    shell().template(name, claim)
}

/// A Deployment of one pod.
pub(crate) fn deployment(name: &str, claim: Option<&str>) -> Value {
    shell().deployment(name, claim)
}

/// A StatefulSet of two, with a claim `data-NAME-N` each at `/data`.
pub(crate) fn stateful_set(name: &str) -> Value {
    shell().stateful_set(name)
}

/// The same, of an image without a shell and without `tar`.
pub(crate) fn bare_deployment(name: &str, claim: &str) -> Value {
    let mut deployment = deployment(name, Some(claim));
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["image"] = world().bare_image.as_str().into();
    if let Some(container) = container.as_object_mut() {
        container.remove("command");
    }
    deployment
}
