//! `CONVERSION.md`: what was done, what is left to a person, and how it is deployed now.

use std::fmt::Write as _;

use super::draft::{Draft, Reason};
use crate::analysis::Analysis;
use crate::findings::{Remedy, Severity};
use crate::needs::{Migration, Needs, NeedsVariable};
use crate::options::{Runner, Server};
use crate::variables::{SecretOf, Source, Supply};

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
    let _ = write!(
        text,
        "\n## How it is deployed\n\n`openshifter v2 deploy . --to CLUSTER -n PROJECT` does all of this. By hand:\n\n```sh\noc new-build --binary --strategy=source --image-stream={} --name={name}\noc start-build {name} --from-dir=. --follow\noc new-app {name}\noc create route edge {name} --service={name}{}\n",
        needs.builder,
        if needs.redirect_to_https {
            " --insecure-policy=Redirect"
        } else {
            ""
        }
    );
    environment(text, needs);
    if let Some(claim) = &needs.claim {
        let _ = write!(
            text,
            "# One pod at a time can have the claim.\noc scale deployment/{name} --replicas=0\noc patch deployment/{name} --type=merge -p '{{\"spec\":{{\"strategy\":{{\"type\":\"Recreate\",\"rollingUpdate\":null}}}}}}'\noc set volume deployment/{name} --add --name=data --type=pvc --claim-name={name}-data --claim-size=1G --mount-path={}\noc scale deployment/{name} --replicas=1\n",
            claim.mount_path
        );
    }
    let _ = writeln!(
        text,
        "oc set probe deployment/{name} --readiness -- {0} ready\noc set probe deployment/{name} --liveness --initial-delay-seconds=60 -- {0} alive\n```",
        needs.runner
    );
    text.push('\n');
    if analysis.facts.is_django() {
        let _ = writeln!(
            text,
            "The first administrator: `oc rsh deployment/{name} {} setup`.",
            needs.runner
        );
    }
    let migration = match needs.migration {
        Migration::None => None,
        Migration::DeployHook => {
            Some("Migrations run in the deploy hook, before the application starts.".to_owned())
        }
        Migration::InitContainer => Some(format!(
            "Migrations run before a rollout, in an init container or a Job: `{} migrate`.",
            needs.runner
        )),
    };
    if let Some(migration) = migration {
        let _ = writeln!(text, "{migration}");
    }
    for cron in &needs.cron {
        let _ = writeln!(
            text,
            "The {0} jobs are run by a CronJob at `{1}`: `{2} jobs {0} --keep-going`.",
            cron.category, cron.schedule, needs.runner
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

/// The variables that the workload wants before it starts.
fn environment(text: &mut String, needs: &Needs) {
    let name = &needs.name;
    let is_token = |variable: &&NeedsVariable| {
        matches!(
            &variable.source,
            Some(Source::Secret {
                of: SecretOf::Application,
                ..
            })
        ) && variable.name == "OPENSHIFT_SECRET_TOKEN"
    };
    if needs.variables.iter().any(|variable| is_token(&variable)) {
        let _ = write!(
            text,
            "# V2's own value (`rhc env list`) keeps sessions valid.\noc create secret generic {name}-environment --from-literal=secret-token=\"$(openssl rand -hex 64)\"\noc set env deployment/{name} --from=secret/{name}-environment --prefix=OPENSHIFT_\n"
        );
    }
    let others: Vec<&str> = needs
        .variables
        .iter()
        .filter(|variable| variable.required && !is_token(variable))
        .map(|variable| variable.name.as_str())
        .collect();
    if !others.is_empty() {
        let _ = writeln!(
            text,
            "# With `oc set env`, as the table above says: {}",
            others.join(", ")
        );
    }
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
