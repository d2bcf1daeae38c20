//! Commands that a report tells people to type.

use std::path::Path;

use crate::Side;

/// The command that brings back to `side` what a kept chart holds. What is left there of the application, or of an
/// import that stopped half-way, is in the way of nothing: it becomes what the chart says, after a backup of its data.
pub(crate) fn import_command(chart: &Path, side: &Side) -> String {
    format!(
        "openshifter import {} --to {} -n {} --existing apply --overwrite-data",
        word(&chart.display().to_string()),
        word(&side.cluster),
        word(&side.namespace)
    )
}

/// A word for a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=+,%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let side = Side {
            cluster: "system:admin's".to_owned(),
            base: "https://h:6443/".to_owned(),
            namespace: "shop".to_owned(),
        };
        insta::assert_snapshot!(
            import_command(Path::new("/home/a b/charts/shop-before-1"), &side),
            @r"openshifter import '/home/a b/charts/shop-before-1' --to 'system:admin'\''s' -n shop --existing apply --overwrite-data"
        );
    }
}
