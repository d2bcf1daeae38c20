//! Markers: files whose names switched features of V2 on.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::options::Server;

pub(super) const RULE: Rule = Rule {
    id: "markers",
    title: "markers",
    why: "V3 does not look at markers",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for name in &tree.facts.markers {
        let path = format!(".openshift/markers/{name}");
        let finding = RULE.finding(
            Severity::Info,
            Some(&path),
            None,
            format!("the marker {name} is not looked at"),
        );
        let person = |text: &str| Some(text.to_owned());
        let advice = match name.as_str() {
            "hot_deploy" => person(
                "an image is built and rolled out for each change; for development mod_wsgi-express has --reload-on-changes",
            ),
            "force_clean_build" => person(
                "do not make the build incremental, and set noCache in the BuildConfig's strategy",
            ),
            "disable_auto_scaling" => person("keep one replica, and make no autoscaler"),
            "enable_public_server_status" if tree.options.server == Server::ModWsgi => {
                tree.add(finding.convert("gives mod_wsgi-express --server-status, in app.sh"));
                continue;
            }
            "enable_public_server_status" => {
                person("mod_wsgi-express has it (--server mod-wsgi), and gunicorn nothing like it")
            }
            "use_npm"
            | "use_composer"
            | "skip_maven_build"
            | "disable_asset_compilation"
            | "enable_cpan_tests" => person("it was for another cartridge"),
            name if name.starts_with("java") => person("the builder image's tag decides"),
            "enable_jpda" => person("it was for another cartridge"),
            "disable_jenkins_build" => person("a BuildConfig or a pipeline builds"),
            "pip_install" => None,
            _ => person("see whether it is still needed"),
        };
        tree.add(match advice {
            Some(advice) => finding.person(advice),
            None => finding.convert("nothing: the builder uses pip anyway"),
        });
    }
}
