//! `.s2i/jobs`: the cron cartridge's jobs, with what lies beside them.

use super::draft::Draft;
use super::scripts::carried;
use crate::analysis::Analysis;

pub(super) fn jobs(draft: &mut Draft<'_>, analysis: &Analysis, renames: &[(String, String)]) {
    for category in &analysis.facts.cron {
        let from = format!(".openshift/cron/{}", category.category);
        let to = format!(".s2i/jobs/{}", category.category);
        for job in &category.jobs {
            let path = format!("{from}/{job}");
            let Some(content) = draft.tree.content(&path) else {
                continue;
            };
            let content = match std::str::from_utf8(content) {
                Ok(text) if crate::facts::interpreter(text).is_none() => {
                    carried(text, renames).into_bytes()
                }
                _ => content.to_owned(),
            };
            draft.create(
                &format!("{to}/{job}"),
                content,
                true,
                format!(
                    "what V2's cron ran {}; V2 made it executable by itself",
                    category.category
                ),
            );
        }
        for name in category
            .data
            .iter()
            .filter(|name| !name.starts_with("README"))
        {
            let path = format!("{from}/{name}");
            let Some(content) = draft.tree.content(&path) else {
                continue;
            };
            let is_program =
                name.contains('/') && draft.tree.file(&path).is_some_and(|file| file.executable);
            draft.create(
                &format!("{to}/{name}"),
                content.to_owned(),
                is_program,
                "it lies beside the jobs, and is none",
            );
        }
        let has_rules = ["jobs.allow", "jobs.deny"]
            .iter()
            .any(|name| draft.tree.is_file(&format!("{from}/{name}")));
        if has_rules || !category.data.is_empty() {
            draft.create(
                &format!("{to}/jobs.allow"),
                format!("{}\n", category.jobs.join("\n")),
                false,
                "only these files are jobs",
            );
        }
    }
}
