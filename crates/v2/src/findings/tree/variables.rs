//! The environment that V2 gave, and what is asked of a person.

use crate::findings::{Check, Finding, Rule, Severity, TreeContext};
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

/// V2's own variables, and those of its cartridges: what a name that is put together may become.
const KNOWN: &[&str] = &[
    "OPENSHIFT_MYSQL_DB_HOST",
    "OPENSHIFT_MYSQL_DB_PORT",
    "OPENSHIFT_MYSQL_DB_USERNAME",
    "OPENSHIFT_MYSQL_DB_PASSWORD",
    "OPENSHIFT_MYSQL_DB_URL",
    "OPENSHIFT_POSTGRESQL_DB_HOST",
    "OPENSHIFT_POSTGRESQL_DB_PORT",
    "OPENSHIFT_POSTGRESQL_DB_USERNAME",
    "OPENSHIFT_POSTGRESQL_DB_PASSWORD",
    "OPENSHIFT_POSTGRESQL_DB_URL",
    "OPENSHIFT_MONGODB_DB_HOST",
    "OPENSHIFT_MONGODB_DB_PORT",
    "OPENSHIFT_MONGODB_DB_USERNAME",
    "OPENSHIFT_MONGODB_DB_PASSWORD",
    "OPENSHIFT_MONGODB_DB_URL",
    "OPENSHIFT_PYTHON_IP",
    "OPENSHIFT_PYTHON_PORT",
    "OPENSHIFT_REPO_DIR",
    "OPENSHIFT_DATA_DIR",
    "OPENSHIFT_TMP_DIR",
    "OPENSHIFT_LOG_DIR",
    "OPENSHIFT_APP_NAME",
    "OPENSHIFT_APP_DNS",
    "OPENSHIFT_APP_UUID",
    "OPENSHIFT_GEAR_DNS",
    "OPENSHIFT_GEAR_NAME",
    "OPENSHIFT_GEAR_UUID",
    "OPENSHIFT_SECRET_TOKEN",
];

/// What is said of a name that is put together: which variables it asks for cannot be told.
pub(crate) fn put_together(path: &str, line: usize, pattern: &str) -> Finding {
    let start = pattern.find(['%', '{']).unwrap_or(pattern.len());
    let (head, rest) = pattern.split_at_checked(start).unwrap_or((pattern, ""));
    // What follows the last place that is filled in: `%s`, `%(name)s` or `{}`.
    let tail = rest
        .rfind(['%', '}'])
        .and_then(|at| rest.get(at..))
        .map_or("", |tail| match tail.strip_prefix('%') {
            Some(tail) => tail
                .split_once(')')
                .map_or(tail, |(_, tail)| tail)
                .get(1..)
                .unwrap_or_default(),
            None => tail.trim_start_matches('}'),
        });
    let family: Vec<&str> = KNOWN
        .iter()
        .copied()
        .filter(|name| name.starts_with(head) && name.ends_with(tail))
        .collect();
    let of = match family.as_slice() {
        [] => String::new(),
        all if all.len() > 6 => format!(
            ", any of V2's variables from {} to {}",
            all.first().copied().unwrap_or_default(),
            all.last().copied().unwrap_or_default()
        ),
        all => format!(", as in {}", all.join(", ")),
    };
    RULE.finding(
        Severity::Warning,
        Some(path),
        Some(line),
        format!("the name of a variable is put together from {pattern}{of}"),
    )
    .person("write the names out, as in os.environ['OPENSHIFT_MYSQL_DB_HOST']: only what is written out is supplied")
}
