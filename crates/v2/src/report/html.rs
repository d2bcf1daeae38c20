//! Reports as one page of HTML, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use super::text::{facts, headline, input, inputs, section};
use crate::analysis::Analysis;
use crate::findings::{Remedy, Severity};
use crate::variables::{Source, Supply};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}\
th{white-space:nowrap}code{font-family:ui-monospace,monospace;font-size:.9em}section{margin-top:2rem}\
.blocker{border-left:4px solid #b00020}.warning{border-left:4px solid #b36b00}.info{border-left:4px solid #2f6f9f}\
article{padding:.4rem .8rem;margin:.6rem 0;background:#f7f7f7}article p{margin:.2rem 0}.why{color:#555}\
@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}article{background:#22262b}th,td{border-color:#444}.why{color:#aaa}}";

/// An analysis as a page.
pub fn html(analysis: &Analysis) -> String {
    let mut out = String::new();
    let title = escape(&headline(analysis));
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<table>\n"
    );
    for (name, value) in facts(analysis) {
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(name),
            escape(&value)
        );
    }
    out.push_str("</table>\n");
    for severity in [Severity::Blocker, Severity::Warning, Severity::Info] {
        let count = analysis.count(severity);
        if count == 0 {
            continue;
        }
        let _ = writeln!(
            out,
            "<section>\n<h2>{}</h2>",
            escape(&section(severity, count))
        );
        for finding in analysis
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
        {
            let _ = write!(
                out,
                "<article class=\"{}\">\n<p><code>{}</code> {} <small>{}</small></p>\n<p class=\"why\">{}</p>\n",
                severity.title(),
                escape(&finding.place()),
                escape(&finding.what),
                escape(finding.rule),
                escape(finding.why)
            );
            match &finding.remedy {
                Remedy::Convert(does) => {
                    let _ = writeln!(out, "<p><b>Convert:</b> {}</p>", escape(does));
                }
                Remedy::Person(does) => {
                    let _ = writeln!(out, "<p><b>You:</b> {}</p>", escape(does));
                }
                Remedy::Nothing(_) => {}
            }
            out.push_str("</article>\n");
        }
        out.push_str("</section>\n");
    }
    if !analysis.variables.is_empty() {
        out.push_str("<section>\n<h2>Variables of the environment</h2>\n<table>\n<tr><th>Name</th><th>Comes from</th><th>Why</th><th>Read in</th></tr>\n");
        for variable in &analysis.variables {
            let from = match &variable.supply {
                Supply::Image { value } => format!("the image: {value}"),
                Supply::Deployment { source } => match source {
                    Source::Value { value } => format!("the workload: {value}"),
                    Source::Field { path } => format!("the pod: {path}"),
                    Source::Secret { key, .. } => format!("a Secret: {key}"),
                    Source::RouteHost => "the Route's host".to_owned(),
                },
                Supply::Platform => "the builder image or the shell".to_owned(),
                Supply::Input { required: true, .. } => "you; it is required".to_owned(),
                Supply::Input { .. } => "you; it is optional".to_owned(),
                Supply::Dropped => "nothing".to_owned(),
            };
            let reads: Vec<String> = variable
                .reads
                .iter()
                .take(5)
                .map(|read| format!("{}:{}", read.path, read.line))
                .collect();
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&variable.name),
                escape(&from),
                escape(&variable.why),
                escape(&reads.join(", "))
            );
        }
        out.push_str("</table>\n</section>\n");
    }
    let inputs = inputs(analysis);
    if !inputs.is_empty() {
        out.push_str("<section>\n<h2>Values that a person has to give</h2>\n<ul>\n");
        for variable in inputs {
            let _ = writeln!(out, "<li>{}</li>", escape(&input(variable)));
        }
        out.push_str("</ul>\n</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
