//! The environment that V2 gave, and what is asked of a person.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::python::Access;
use crate::variables::{Source, Supply};

pub(super) const RULE: Rule = Rule {
    id: "environment",
    title: "variables of the environment",
    why: "V3 sets none of V2's variables; and as soon as OPENSHIFT_REPO_DIR is set, everything that the application does only on OpenShift comes to life",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for variable in tree.variables {
        let Some(first) = variable.reads.first() else {
            continue;
        };
        let needed = variable
            .reads
            .iter()
            .any(|read| matches!(read.access, Access::Required));
        let severity = if needed {
            Severity::Blocker
        } else {
            Severity::Warning
        };
        let finding = |severity, what: String| {
            RULE.finding(severity, Some(&first.path), Some(first.line), what)
        };
        let name = &variable.name;
        match &variable.supply {
            Supply::Platform => {}
            Supply::Image { value } => {
                if crate::convert::environment_sets(tree.tree, name) {
                    continue;
                }
                tree.add(
                    finding(severity, format!("{name} is not set by V3"))
                        .convert(format!("sets {name}={value} in .s2i/environment")),
                );
            }
            Supply::Deployment { source } => {
                let from = match source {
                    Source::Value { value } => format!("as {value}"),
                    Source::Field { path } => format!("from the pod's {path}"),
                    Source::Secret { key, .. } => format!("from the key {key} of a Secret"),
                    Source::RouteHost => "from the Route's host".to_owned(),
                };
                tree.add(
                    finding(severity, format!("{name} is not set by V3")).convert(format!(
                        "sets it in the workload's environment, {from}: {}",
                        variable.why
                    )),
                );
            }
            Supply::Input { required, secret } => {
                let severity = match (required, secret) {
                    (true, _) => Severity::Blocker,
                    _ => Severity::Info,
                };
                let from = if *secret {
                    "a Secret"
                } else {
                    "a ConfigMap or the workload"
                };
                tree.add(
                    finding(severity, format!("{name} is read, and {}", variable.why)).person(
                        format!(
                            "give its value from {from}{}",
                            if *required {
                                ""
                            } else {
                                ", if the application's own default is not right"
                            }
                        ),
                    ),
                );
            }
            Supply::Dropped => tree.add(
                finding(
                    if needed {
                        Severity::Blocker
                    } else {
                        Severity::Info
                    },
                    format!("{name} has no equal on V3: {}", variable.why),
                )
                .person("see whether what reads it is still needed"),
            ),
        }
    }
}
