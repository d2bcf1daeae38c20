//! `setup.py` as a list of requirements.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "setup-py",
    title: "setup.py as a list of requirements",
    why: "today's setuptools refuses to build a folder with several packages in it that setup.py does not name, so the builder's `pip install .` fails",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let Some(setup) = &tree.facts.dependencies.setup_py else {
        return;
    };
    let path = Some("setup.py");
    let line = Some(setup.line);
    if let Some(links) = setup.dependency_links {
        tree.add(
            RULE.finding(
                Severity::Warning,
                path,
                Some(links),
                "dependency_links are passed over by pip",
            )
            .person("name what they lead to in requirements.txt, as in `name @ https://…`"),
        );
    }
    if let Some(expression) = &setup.dynamic {
        let what = format!("install_requires is worked out by a program ({expression})");
        tree.add(if setup.reads_file() && tree.facts.dependencies.requirements_file.is_some() {
            RULE.finding(Severity::Info, path, line, what)
                .convert("leaves setup.py out of the build; requirements.txt, which it seems to read, is installed")
        } else {
            RULE.finding(Severity::Blocker, path, line, what)
                .person("write what it comes to into requirements.txt; the conversion leaves setup.py out of the build")
        });
        return;
    }
    if let Some(first) = setup.more.first() {
        let lines: Vec<String> = setup.more.iter().map(ToString::to_string).collect();
        tree.add(
            RULE.finding(
                Severity::Blocker,
                path,
                Some(*first),
                format!(
                    "install_requires is a list that the program changes (line {})",
                    lines.join(", ")
                ),
            )
            .person("write what of that is needed into requirements.txt: only the list as it is written out is carried over, and setup.py is left out of the build"),
        );
    }
    let is_done = crate::convert::environment_sets(tree.tree, "DISABLE_SETUP_PY_PROCESSING");
    if is_done {
        return;
    }
    tree.add(
        RULE.finding(
            if setup.names_packages {
                Severity::Warning
            } else {
                Severity::Blocker
            },
            path,
            line,
            "the application is installed from setup.py",
        )
        .convert("puts the requirements that are written out into requirements.txt and sets DISABLE_SETUP_PY_PROCESSING=1; setup.py stays as it is"),
    );
}
