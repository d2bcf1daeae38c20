//! `CONVERSION.md`: what was done, what is left to a person, and how it is deployed now.

use std::fmt::Write as _;

use super::draft::{Draft, Reason};
use crate::analysis::Analysis;
use crate::facts::DatabaseKind;
use crate::findings::{Remedy, Severity};
use crate::needs::{Migration, Needs};
use crate::options::{Runner, Server};
use crate::variables::{Source, Supply};

const PATH: &str = "CONVERSION.md";

pub(super) fn document(draft: &mut Draft<'_>, analysis: &Analysis, needs: &Needs) {
    let before = draft.tree.text(PATH);
    let mut text = match &before {
        // What an earlier conversion said stays true.
        Some(before) => {
            let mut text = before.clone();
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str("\n# Converted again\n");
            text
        }
        None => format!(
            "# {} on OpenShift V3\n\nThis tree was written for OpenShift V2 and converted by `openshifter v2 convert`. The folder `.openshift` is kept for\nreference; nothing reads it any more. Running the conversion again changes nothing.\n",
            analysis.facts.name
        ),
    };
    done(&mut text, draft);
    left(&mut text, analysis);
    variables(&mut text, analysis);
    if before.is_none() {
        deploy(&mut text, analysis, needs);
    }
    draft.put(
        PATH,
        text,
        vec![Reason {
            rule: "convert",
            line: None,
            text: "what was done, what is left to a person, and how it is deployed now".to_owned(),
        }],
    );
}

fn done(text: &mut String, draft: &Draft<'_>) {
    text.push_str("\n## What was done\n");
    for action in draft.actions() {
        let _ = write!(
            text,
            "\n### {} `{}`\n\n",
            action.kind.verb(),
            action.title()
        );
        for reason in &action.reasons {
            let line = reason
                .line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            let _ = writeln!(text, "- {line}{}", escape(&reason.text));
        }
    }
}

fn left(text: &mut String, analysis: &Analysis) {
    text.push_str("\n## What is left to a person\n\n");
    let mut any = false;
    for finding in &analysis.findings {
        let Remedy::Person(advice) = &finding.remedy else {
            continue;
        };
        // Variables have a section of their own.
        if finding.rule == "environment" && advice.starts_with("give its value") {
            continue;
        }
        any = true;
        let place = match finding.place() {
            place if place.is_empty() => String::new(),
            place => format!("`{place}`: "),
        };
        let mark = if finding.severity == Severity::Blocker {
            "**must be done:** "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "- {mark}{place}{}. {}: {}.",
            escape(&finding.what),
            escape(finding.why),
            escape(advice)
        );
    }
    if !any {
        text.push_str("Nothing that could be seen in the sources.\n");
    }
}

fn variables(text: &mut String, analysis: &Analysis) {
    let rows: Vec<String> = analysis
        .variables
        .iter()
        .filter_map(|variable| {
            let from = match &variable.supply {
                Supply::Deployment { source } => match source {
                    Source::Value { value } => format!("the workload: `{value}`"),
                    Source::Field { path } => format!("the pod's `{path}`"),
                    Source::Secret { key, .. } => format!("a Secret, key `{key}`"),
                    Source::RouteHost => "the Route's host".to_owned(),
                },
                Supply::Input {
                    required: true,
                    secret,
                } => {
                    format!("**you{}**", if *secret { ", from a Secret" } else { "" })
                }
                Supply::Input { secret, .. } => {
                    format!(
                        "you, if the default is not right{}",
                        if *secret { "; from a Secret" } else { "" }
                    )
                }
                _ => return None,
            };
            Some(format!(
                "| `{}` | {from} | {} |",
                variable.name,
                escape(&variable.why)
            ))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("\n## Variables that the image does not have\n\nThe image has the others, from `.s2i/environment`. A secret never goes there: it would be part of the image.\n\n| variable | comes from | why |\n| --- | --- | --- |\n");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
}

fn deploy(text: &mut String, analysis: &Analysis, needs: &Needs) {
    let name = &needs.name;
    let asked: Vec<&str> = needs
        .variables
        .iter()
        .filter(|variable| variable.required && variable.source.is_none())
        .map(|variable| variable.name.as_str())
        .collect();
    let values = if asked.is_empty() {
        ""
    } else {
        " --values given.values"
    };
    let token = if needs
        .variables
        .iter()
        .any(|variable| variable.name == "OPENSHIFT_SECRET_TOKEN")
    {
        "; V2's own OPENSHIFT_SECRET_TOKEN (`rhc env list`) is SECRET_TOKEN there, and keeps sessions valid"
    } else {
        ""
    };
    text.push_str("\n## How it is deployed\n\n`openshifter v2 deploy . --to CLUSTER -n PROJECT` does all of this. By hand, logged in to the project:\n\n```sh\n");
    if !asked.is_empty() {
        let _ = writeln!(
            text,
            "# Lines of NAME=VALUE in given.values, outside of this folder or ignored by git: {}",
            asked.join(", ")
        );
    }
    let _ = write!(
        text,
        "# Secrets are made up and kept in ../{name}.values, for the next time{token}.\nopenshifter v2 manifests .{values} --generate --save-values ../{name}.values | oc apply -f -\noc start-build {name} --from-dir=. --follow\noc rollout status deployment/{name}\n```\n\nThe manifests are all that it needs of the cluster:\n\n",
    );
    for line in objects(needs) {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
    if analysis.facts.has_users() {
        let _ = writeln!(
            text,
            "The first administrator: `oc rsh deployment/{name} {} setup`.",
            needs.runner
        );
    }
    if needs.full_builder && analysis.options.server == Server::ModWsgi {
        text.push_str(
            "mod_wsgi-express needs a full builder image; the minimal ones have no Apache.\n",
        );
    }
    if analysis.options.runner == Runner::Vendored {
        let _ = writeln!(
            text,
            "The runner is `.s2i/runner/openshifter-image`; replace the file to update it."
        );
    }
}

/// What manifests hold, and what each is for.
fn objects(needs: &Needs) -> Vec<String> {
    let name = &needs.name;
    let mut lines = vec![format!(
        "ImageStream and BuildConfig on `{}`: after each build the hook `verify` runs in the new image, which is kept only if that succeeds",
        needs.builder
    )];
    if !needs.variables.is_empty() {
        lines.push(format!(
            "Secret and ConfigMap `{name}-environment`: the variables that the image does not have"
        ));
    }
    lines.push(format!(
        "Deployment, Service and {}, with the hooks `ready` and `alive` as probes",
        if needs.redirect_to_https {
            "a Route that redirects http to https"
        } else {
            "Route"
        }
    ));
    if let Some(claim) = &needs.claim {
        lines.push(format!(
            "a claim at `{}`, so that one pod runs at a time",
            claim.mount_path
        ));
    }
    for database in &needs.databases {
        lines.push(match database.kind {
            DatabaseKind::Postgresql => format!(
                "PostgreSQL: Secret, claim, Service and workload, all called `{}`",
                database.service
            ),
            _ => format!(
                "a Secret for user and password of the database; **you** make a Service `{}` lead to the database, which is elsewhere",
                database.service
            ),
        });
    }
    match needs.migration {
        Migration::None => {}
        Migration::DeployHook => {
            lines.push("nothing for migrations: the deploy hook runs them at each start, before the application".to_owned());
        }
        Migration::InitContainer => lines.push(format!(
            "an init container that runs migrations before the application and its deploy hook: `{} migrate`",
            needs.runner
        )),
    }
    for cron in &needs.cron {
        lines.push(format!(
            "a CronJob for the {0} jobs, at `{1}`: `{2} jobs {0} --keep-going`",
            cron.category, cron.schedule, needs.runner
        ));
    }
    lines
}

/// Text of the sources as Markdown shows it, and not as markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '|' | '*' | '[' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
