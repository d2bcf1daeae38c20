//! Jobs of the cron cartridge, by its rules: run-parts with `jobs.deny` and `jobs.allow`.

use serde::Serialize;

use crate::tree::Tree;

/// The categories of V2, most frequent first.
pub(crate) const CATEGORIES: &[&str] = &["minutely", "hourly", "daily", "weekly", "monthly"];

/// The jobs of one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronCategory {
    /// `minutely`, `hourly`, `daily`, `weekly` or `monthly`.
    pub category: String,
    /// Names of what V2 ran.
    pub jobs: Vec<String>,
    /// Names of what lies beside the jobs, and paths of what is in folders there.
    pub data: Vec<String>,
    /// When a CronJob runs them. V2 promised no exact time, so minute and hour come from the application's name.
    pub schedule: String,
}

pub(super) fn cron(tree: &Tree, name: &str) -> Vec<CronCategory> {
    CATEGORIES
        .iter()
        .filter_map(|category| {
            let folder = format!(".openshift/cron/{category}");
            let files = tree.files_in(&folder);
            let listed = |name: &str| -> Option<Vec<String>> {
                let text = tree.text(&format!("{folder}/{name}"))?;
                Some(
                    text.lines()
                        .map(str::trim)
                        .filter(|line| !line.is_empty() && !line.starts_with('#'))
                        .map(str::to_owned)
                        .collect(),
                )
            };
            let deny = listed("jobs.deny").unwrap_or_default();
            let allow = listed("jobs.allow");
            let (mut jobs, mut data) = (Vec::new(), Vec::new());
            for (file, meta) in files {
                if file.starts_with('.') || matches!(file, "jobs.allow" | "jobs.deny") {
                    continue;
                }
                let is_job = !is_ignored(file)
                    && !deny.iter().any(|name| name == file)
                    && match &allow {
                        Some(allow) => allow.iter().any(|name| name == file),
                        // V2 made everything executable; what is no script and was not executable is data.
                        None => {
                            meta.executable
                                || meta
                                    .content
                                    .as_deref()
                                    .is_some_and(|content| content.starts_with(b"#!"))
                        }
                    };
                if is_job {
                    jobs.push(file.to_owned());
                } else {
                    data.push(file.to_owned());
                }
            }
            // Folders are no jobs, and jobs use what is in them.
            data.extend(
                tree.below(&folder)
                    .filter_map(|(path, _)| path.get(folder.len() + 1..))
                    .filter(|name| name.contains('/') && tree.is_file(&format!("{folder}/{name}")))
                    .map(str::to_owned),
            );
            (!jobs.is_empty()).then(|| CronCategory {
                category: (*category).to_owned(),
                jobs,
                data,
                schedule: schedule(category, name),
            })
        })
        .collect()
}

/// What run-parts passes over.
fn is_ignored(name: &str) -> bool {
    name.ends_with('~')
        || name.ends_with(',')
        || [".rpmsave", ".rpmorig", ".rpmnew", ".swp", ".cfsaved"]
            .iter()
            .any(|end| name.ends_with(end))
        || name.starts_with("README")
}

fn schedule(category: &str, name: &str) -> String {
    // FNV-1a: the same for the same name, everywhere and always.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (minute, hour) = (hash % 60, (hash / 60) % 24);
    match category {
        "minutely" => "* * * * *".to_owned(),
        "hourly" => format!("{minute} * * * *"),
        "daily" => format!("{minute} {hour} * * *"),
        "weekly" => format!("{minute} {hour} * * 0"),
        _ => format!("{minute} {hour} 1 * *"),
    }
}
