//! What a namespace holds, sorted into what belongs to the application and what does not.

use serde::{Deserialize, Serialize};

use crate::{Object, ObjectKey};

/// An object that is not part of the application, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The object.
    pub key: ObjectKey,
    /// The rule that left it out, as in `owned-by-controller`.
    pub rule: String,
    /// Why, for a person.
    pub reason: String,
}

/// A resource type whose objects could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlisted {
    /// Plural and group, as in `secrets` or `routes.route.openshift.io`.
    pub resource: String,
    /// The server's answer.
    pub reason: String,
    /// Whether the user may not list them (403), rather than the server having failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbidden: bool,
}

impl Unlisted {
    /// Whether objects of an application may be among those that were not seen.
    ///
    /// OpenShift lets the administrator of a project list every kind that an application is made of, but not
    /// PodTemplates, nor most custom resources of the cluster's own operators: those say nothing about the
    /// application. What the server failed to list, and kinds of applications that this user may not see, do.
    pub fn may_be_a_loss(&self) -> bool {
        let (plural, group) = self
            .resource
            .split_once('.')
            .unwrap_or((&self.resource, ""));
        let never = matches!(
            (group, plural),
            (
                "",
                "podtemplates" | "resourcequotas" | "limitranges" | "events" | "endpoints"
            ) | ("apps", "controllerrevisions")
                | ("coordination.k8s.io", "leases")
                | ("discovery.k8s.io", "endpointslices")
                | ("events.k8s.io", "events")
                | (
                    "resource.k8s.io" | "storage.k8s.io" | "template.openshift.io",
                    _
                )
                | (
                    "quota.openshift.io" | "security.openshift.io" | "authorization.openshift.io",
                    _
                )
        );
        !self.forbidden || (crate::is_built_in_group(group) && !never)
    }
}

/// The application's objects as the source served them, and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Objects of the application, each once.
    pub objects: Vec<Object>,
    /// Objects that were seen and left out.
    pub left_out: Vec<LeftOut>,
    /// Resource types that could not be listed.
    pub unlisted: Vec<Unlisted>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlisted(resource: &str, forbidden: bool) -> Unlisted {
        Unlisted {
            resource: resource.into(),
            reason: String::new(),
            forbidden,
        }
    }

    #[test]
    fn only_what_an_application_is_made_of_is_missed() {
        assert!(unlisted("secrets", true).may_be_a_loss());
        assert!(unlisted("routes.route.openshift.io", true).may_be_a_loss());
        assert!(unlisted("machines.machine.openshift.io", false).may_be_a_loss());
        assert!(!unlisted("machines.machine.openshift.io", true).may_be_a_loss());
        assert!(!unlisted("podtemplates", true).may_be_a_loss());
    }
}
