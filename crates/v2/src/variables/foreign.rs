//! Variables that files in other languages read: configuration, and jobs and scripts of Ruby, Perl, PHP and JavaScript.

use regex::Regex;

use crate::python::Access;

/// How a language reads a variable, the name as the first group, and what happens without it.
const FORMS: &[(&str, Access)] = &[
    // Python in files that are not called so.
    (r#"\bos\.environ\[\s*['"](\w+)['"]\s*\]"#, Access::Required),
    (
        r#"\bos\.(?:environ\.get|getenv)\(\s*['"](\w+)['"]\s*\)"#,
        Access::Empty,
    ),
    (
        r#"\bos\.(?:environ\.get|getenv)\(\s*['"](\w+)['"]\s*,"#,
        Access::Default,
    ),
    // Ruby.
    (r#"(?:^|[^\w$])ENV\[\s*['"](\w+)['"]\s*\]"#, Access::Empty),
    (
        r#"\bENV\.fetch\(?\s*['"](\w+)['"]\s*(?:\)|$)"#,
        Access::Required,
    ),
    (
        r#"\bENV\.fetch\(?\s*['"](\w+)['"]\s*[,{)]"#,
        Access::Default,
    ),
    // Perl.
    (r#"\$ENV\{\s*['"]?(\w+)['"]?\s*\}"#, Access::Empty),
    // PHP.
    (r#"(?:^|[^.\w])getenv\(\s*['"](\w+)['"]"#, Access::Empty),
    (r#"\$_ENV\[\s*['"](\w+)['"]\s*\]"#, Access::Empty),
    // The process manager supervisor.
    (r"%\(ENV_(\w+)\)", Access::Required),
];

/// JavaScript. What is served to browsers mentions these, too, and nobody sets them there.
const JAVASCRIPT: &[(&str, Access)] = &[
    (r"\bprocess\.env\.([A-Z][A-Z0-9_]*)\b", Access::Empty),
    (r#"\bprocess\.env\[\s*['"](\w+)['"]\s*\]"#, Access::Empty),
];

/// Configuration in which `${NAME}` and `$NAME` are filled in from outside.
const FILLED_IN: &[&str] = &[
    "ini",
    "cfg",
    "conf",
    "yml",
    "yaml",
    "toml",
    "properties",
    "tmpl",
];

/// V2's own names, wherever they occur.
const V2: &str = r"\b(OPENSHIFT_[A-Z0-9_]*[A-Z0-9]|PG(?:HOST|PORT|USER|PASSWORD|DATABASE|DATA))\b";

/// The forms, compiled once for all files.
pub(super) struct Forms {
    v2: Regex,
    forms: Vec<(Regex, Access)>,
    javascript: Vec<(Regex, Access)>,
    filled_in: Regex,
}

impl Forms {
    pub(super) fn new() -> Option<Self> {
        let all = |forms: &[(&str, Access)]| {
            forms
                .iter()
                .map(|(form, access)| Some((Regex::new(form).ok()?, *access)))
                .collect::<Option<Vec<_>>>()
        };
        Some(Self {
            v2: Regex::new(V2).ok()?,
            forms: all(FORMS)?,
            javascript: all(JAVASCRIPT)?,
            filled_in: Regex::new(r"\$\{([A-Z][A-Z0-9_]+)\}").ok()?,
        })
    }

    /// What a file reads, with the line of each.
    pub(super) fn reads(&self, path: &str, text: &str) -> Vec<(String, Access, usize)> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let is_browsers = name.ends_with(".min.js")
            || path
                .split('/')
                .any(|folder| matches!(folder, "static" | "assets" | "bower_components"));
        let is_filled_in = FILLED_IN.contains(&extension);
        let mut found = Vec::new();
        for (at, line) in text.lines().enumerate() {
            // Most lines have none of it.
            let has_v2 = line.contains("OPENSHIFT_") || line.contains("PG");
            let has_env = ["env", "ENV", "${"].iter().any(|mark| line.contains(mark));
            if !has_v2 && !has_env {
                continue;
            }
            let comment = line.trim_start();
            if has_env && !comment.starts_with('#') && !comment.starts_with(';') {
                let javascript = (!is_browsers).then_some(&self.javascript);
                for (form, access) in self.forms.iter().chain(javascript.into_iter().flatten()) {
                    for name in form.captures_iter(line).filter_map(|found| found.get(1)) {
                        found.push((name.as_str().to_owned(), *access, at + 1));
                    }
                }
                if is_filled_in {
                    for name in self
                        .filled_in
                        .captures_iter(line)
                        .filter_map(|found| found.get(1))
                    {
                        found.push((name.as_str().to_owned(), Access::Mentioned, at + 1));
                    }
                }
            }
            if has_v2 {
                for name in self.v2.find_iter(line) {
                    let told = |(known, _, line): &(String, Access, usize)| {
                        known == name.as_str() && *line == at + 1
                    };
                    if !found.iter().any(told) {
                        found.push((name.as_str().to_owned(), Access::Mentioned, at + 1));
                    }
                }
            }
        }
        found
    }
}
