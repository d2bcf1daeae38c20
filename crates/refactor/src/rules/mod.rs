//! The rules, each in a file of its own, in the order in which they are applied.
//!
//! Adding one: write `src/rules/<name>.rs` with a `RULE`, its source in a comment and its tests; name it
//! here twice.

mod beyond_project;
mod block_volume;
mod bookkeeping;
pub(crate) mod build_config;
mod claim_binding;
mod deployment_trigger;
mod endpoints;
mod finalizers;
mod finished_job;
mod image;
mod image_stream;
mod ingress_host;
mod job_selector;
mod namespace;
mod network_namespace;
mod node_port;
mod old_names;
mod owners;
mod pod_placement;
mod pod_security;
mod pod_token;
mod replicas;
mod retention;
pub(crate) mod route_host;
mod secret_values;
mod server_set;
mod service_account_secrets;
mod service_address;
mod status;
mod storage_class;
mod subjects;
mod suspend;
mod token_secret;

use crate::draft::{Context, Draft};

pub(crate) use bookkeeping::ANNOTATIONS as BOOKKEEPING;
pub(crate) use deployment_trigger::triggered_containers;
pub(crate) use job_selector::LABELS as JOB_LABELS;
pub(crate) use service_account_secrets::{is_generated_name, is_generated_secret_name};

/// One rule.
pub(crate) struct Rule {
    /// Its name in reports, kebab-case.
    pub(crate) id: &'static str,
    /// Why it changes what it changes.
    pub(crate) reason: &'static str,
    pub(crate) apply: fn(&mut Draft<'_>, &Context<'_>),
}

/// All rules. Those that make knobs of entries of lists come after those that remove entries.
pub(crate) static RULES: &[Rule] = &[
    server_set::RULE,
    status::RULE,
    bookkeeping::RULE,
    owners::RULE,
    finalizers::RULE,
    service_address::RULE,
    node_port::RULE,
    endpoints::RULE,
    claim_binding::RULE,
    block_volume::RULE,
    storage_class::RULE,
    retention::RULE,
    service_account_secrets::RULE,
    token_secret::RULE,
    pod_token::RULE,
    pod_placement::RULE,
    pod_security::RULE,
    job_selector::RULE,
    finished_job::RULE,
    suspend::RULE,
    deployment_trigger::RULE,
    build_config::RULE,
    image_stream::RULE,
    subjects::RULE,
    route_host::RULE,
    ingress_host::RULE,
    namespace::RULE,
    network_namespace::RULE,
    image::RULE,
    replicas::RULE,
    secret_values::RULE,
    old_names::RULE,
    beyond_project::RULE,
];

/// What a rule is called and why it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name in reports.
    pub id: &'static str,
    /// Why it changes what it changes.
    pub reason: &'static str,
}

/// All rules of refactoring, in the order in which they are applied.
pub fn rules() -> Vec<RuleInfo> {
    RULES
        .iter()
        .map(|rule| RuleInfo {
            id: rule.id,
            reason: rule.reason,
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use openshifter_objects::Object;
    use serde_json::Value;

    use crate::{Choices, Refactored, Source, refactor};

    pub(crate) fn source() -> Source {
        Source {
            namespace: "app".to_owned(),
            openshift: true,
        }
    }

    pub(crate) fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    /// Takes objects of the project `app` through all rules.
    pub(crate) fn refactored(objects: impl IntoIterator<Item = Value>) -> Refactored {
        with(objects, &Choices::default())
    }

    pub(crate) fn with(objects: impl IntoIterator<Item = Value>, choices: &Choices) -> Refactored {
        let objects: Vec<_> = objects.into_iter().map(object).collect();
        refactor(&objects, &source(), choices)
    }

    /// The first object after all rules.
    pub(crate) fn one(value: Value) -> Value {
        refactored([value]).objects.remove(0).object.into_value()
    }

    /// Findings of one rule, as `severity: message`.
    pub(crate) fn findings(refactored: &Refactored, rule: &str) -> Vec<String> {
        refactored
            .findings
            .iter()
            .filter(|finding| finding.rule == rule)
            .map(|finding| format!("{:?}: {}", finding.severity, finding.message))
            .collect()
    }

    /// Pointers of the knobs.
    pub(crate) fn knobs(refactored: &Refactored) -> Vec<&str> {
        refactored
            .knobs
            .iter()
            .map(|knob| knob.pointer.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_have_names_of_their_own_and_reasons() {
        let mut seen = BTreeSet::new();
        for rule in RULES {
            assert!(seen.insert(rule.id), "{} is there twice", rule.id);
            assert!(
                rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{}",
                rule.id
            );
            assert!(
                !rule.reason.is_empty() && !rule.reason.ends_with('.'),
                "{}",
                rule.id
            );
        }
    }
}
