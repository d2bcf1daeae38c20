//! Addresses at which the target is told to build: GitHub and its like call others than at the source.

use openshifter_cluster::Cluster;

use crate::import::objects::{Decided, Verdict};
use crate::report::{Report, Webhook};

/// Kinds of webhook triggers, as BuildConfigs name them and as their addresses end.
const KINDS: [(&str, &str); 4] = [
    ("GitHub", "github"),
    ("GitLab", "gitlab"),
    ("Bitbucket", "bitbucket"),
    ("Generic", "generic"),
];

/// Reports the addresses of the webhooks of all BuildConfigs that were imported.
pub(crate) fn tell(target: &Cluster, namespace: &str, decided: &[Decided], report: &mut Report) {
    let base = target.base().as_str().trim_end_matches('/');
    for one in decided.iter().filter(|one| one.verdict != Verdict::Skip) {
        if !one.object.is("build.openshift.io", "BuildConfig") {
            continue;
        }
        let name = one.object.name();
        let triggers = one.object.value()["spec"]["triggers"].as_array();
        for trigger in triggers.into_iter().flatten() {
            let known = KINDS.iter().find(|(kind, _)| trigger["type"] == *kind);
            let Some((_, kind)) = known else { continue };
            let webhook = Webhook {
                build_config: name.to_owned(),
                kind: (*kind).to_owned(),
                // A secret is not for reports.
                url: format!(
                    "{base}/apis/build.openshift.io/v1/namespaces/{namespace}/buildconfigs/{name}/webhooks/<secret>/{kind}"
                ),
            };
            if !report.webhooks.contains(&webhook) {
                report.webhooks.push(webhook);
            }
        }
    }
}
