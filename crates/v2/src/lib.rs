//! Source trees written for OpenShift V2: what they are, what of them will not work on V3, and the V3 tree that they become.
//!
//! The way of a tree:
//!
//! 1. [`Tree::load`] reads it, with bounds; links are never followed.
//! 2. [`analyze`] tells what the application is ([`Facts`]), which environment it reads ([`Variable`]) and what will not work
//!    ([`Finding`]); [`report`] writes that as text or HTML, and it serializes as JSON.
//! 3. [`plan`] makes the list of file actions, each with its reasons. A dry run prints this very value.
//! 4. [`write_out`], [`apply_in_place`] or [`Plan::patch`] carry it out, whole or not at all.
//!
//! Python sources, of 2 and 3, are looked at through an error-tolerant syntax tree and edited as spans of bytes: what is outside of the
//! spans stays as it was. A rule is one file under `src/findings/`; a rule that knows how to mend what it finds brings the edits along.
//!
//! What manifests need to know of the result is in [`Needs`], which a conversion also writes to `.s2i/openshifter.json`; [`manifests`] makes
//! them of it.
//!
//! ```no_run
//! use std::path::Path;
//! use openshifter_v2::{Limits, Options, RunnerFile, Tree, analyze, plan, write_out};
//!
//! let tree = Tree::load(Path::new("notes"), &Limits::default())?;
//! let options = Options::default();
//! let analysis = analyze(&tree, &options)?;
//! let runner = RunnerFile::read(Path::new("/usr/local/bin/openshifter-image"))?;
//! let plan = plan(&tree, &analysis, Some(&runner))?;
//! write_out(&tree, &plan, Path::new("notes-v3"))?;
//! # Ok::<(), openshifter_v2::V2Error>(())
//! ```

mod analysis;
mod convert;
mod error;
mod facts;
mod findings;
pub mod manifests;
mod needs;
mod options;
mod python;
pub mod report;
mod shell;
mod tree;
mod variables;

pub use analysis::{Analysis, analyze};
pub use convert::{
    Action, ActionKind, Plan, Reason, RunnerFile, Written, apply_in_place, check_in_place, plan,
    write_out,
};
pub use error::V2Error;
pub use facts::{
    Cartridge, CronCategory, DataDir, Database, DatabaseKind, Dependencies, Entry, EntryKind,
    Facts, Framework, Hook, HookState, Media, Project, PythonLevel, Requirement, SettingsFile,
    SetupPy, StaticFiles,
};
pub use findings::{Finding, Remedy, Rule, Severity, rules};
pub use needs::{
    Claim, Health, Lifecycle, Migration, Needs, NeedsCron, NeedsDatabase, NeedsVariable,
};
pub use options::{DatabaseChoice, Options, Runner, Server, Version};
pub use python::Access;
pub use tree::{Limits, Tree};
pub use variables::{Read, SecretOf, Source, Supply, Variable};
