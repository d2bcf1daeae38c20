//! Claims of raw blocks, which hold no files.

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "block-volume",
    reason: "a volume of raw blocks holds no files",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if draft.object().is("", "PersistentVolumeClaim")
        && draft.text("/spec/volumeMode") == Some("Block")
    {
        draft.find(
            Severity::Error,
            "it is a volume of raw blocks: its data cannot be read as files and has to be moved by other means",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn raw_blocks_are_told() {
        let claim = |mode: &str| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": mode.to_lowercase()}, "spec": {"volumeMode": mode}});
        let done = refactored([claim("Block"), claim("Filesystem")]);
        assert_eq!(findings(&done, "block-volume").len(), 1);
    }
}
