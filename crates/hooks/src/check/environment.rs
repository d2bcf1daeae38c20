//! `.s2i/environment`, which source-to-image reads itself: split at the first `=`, both sides trimmed, and nothing else. It
//! becomes part of the image.

use std::fs;
use std::path::Path;

use super::Findings;

pub(super) fn check(path: &Path, findings: &mut Findings<'_>) {
    let Ok(content) = fs::read(path) else {
        return;
    };
    let text = String::from_utf8_lossy(&content);
    for (at, line) in text.lines().enumerate() {
        let number = Some(at + 1);
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            findings.warning(path, number, "has no `=`, so the line is dropped");
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.starts_with("export ") {
            findings.error(
                path,
                number,
                "`export` becomes part of the name; leave it out",
            );
        } else if name.starts_with('#') {
            findings.warning(
                path,
                number,
                "a comment begins in the first column; this is a variable",
            );
        }
        let quoted =
            |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
        if quoted('"') || quoted('\'') {
            findings.warning(path, number, "the quotes become part of the value");
        }
        if value.contains("$(") || value.contains("${") || value.contains("$OPENSHIFT_") {
            findings.warning(
                path,
                number,
                "nothing is expanded here; use deploy_env for it",
            );
        }
        let upper = name.to_ascii_uppercase();
        let secret = ["PASSWORD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY"]
            .iter()
            .any(|word| upper.contains(word));
        if secret && !value.is_empty() {
            findings.warning(
                path,
                number,
                format!(
                    "{name} becomes part of the image for everybody who can pull it; use a Secret"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::tests::findings;

    #[test]
    fn lines() {
        let text = "A=1\n\n# c\n #d=1\nnothing\nexport B=2\nC=\"x\"\nD=${A}\nDB_PASSWORD=hunter\nSECRET_FILE=\n";
        insta::assert_snapshot!(findings(&[(".s2i/environment", text)]), @"
        .s2i/environment:4: warning: a comment begins in the first column; this is a variable
        .s2i/environment:5: warning: has no `=`, so the line is dropped
        .s2i/environment:6: error: `export` becomes part of the name; leave it out
        .s2i/environment:7: warning: the quotes become part of the value
        .s2i/environment:8: warning: nothing is expanded here; use deploy_env for it
        .s2i/environment:9: warning: DB_PASSWORD becomes part of the image for everybody who can pull it; use a Secret
        ");
    }
}
