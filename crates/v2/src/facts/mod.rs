//! What the application is: found out from the tree alone, and the same before and after a conversion.

mod cartridge;
mod cron;
mod databases;
mod dependencies;
mod discover;
mod entry;
mod executed;
mod hooks;
mod model;
mod project;

pub use cartridge::Cartridge;
pub use cron::CronCategory;
pub use databases::{Database, DatabaseKind};
pub use dependencies::{Dependencies, Requirement, SetupPy};
pub use entry::{Entry, EntryKind};
pub use hooks::{Hook, HookState};
pub use model::{
    DataDir, Facts, Framework, Media, Project, PythonLevel, SettingsFile, StaticFiles,
};

pub(crate) use dependencies::{
    Logical, REQUIREMENTS, logical_lines, named_file, normal_name, requirement,
};
pub(crate) use discover::is_prose;
pub(crate) use discover::{SOURCE_DIR, discover, image_environment};
pub(crate) use entry::candidates as entry_candidates;
pub(crate) use executed::executed;
pub(crate) use hooks::interpreter;
pub(crate) use project::{in_tree, strings};
