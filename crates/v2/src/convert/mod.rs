//! Conversion: the plan of file actions, each with its reasons, and the ways to carry it out.

mod carry;
mod divide;
mod document;
mod draft;
mod environment;
mod hooks;
mod ignore;
mod jobs;
mod patch;
mod plan;
mod record;
mod runner;
mod scripts;
mod served;
mod server;
mod sources;
mod write;

pub use draft::{Action, ActionKind, Reason};
pub use plan::{Plan, plan};
pub use runner::RunnerFile;
pub use write::{Written, apply_in_place, check_in_place, write_out};

pub(crate) use carry::{hook_target, lifecycle};
pub(crate) use environment::environment_sets;
pub(crate) use hooks::LIFECYCLE;

pub(crate) use record::{RECORD, recorded_name, recorded_needs, recorded_options};
pub(crate) use runner::{command as runner_command, old_runner};
pub(crate) use served::published;
pub(crate) use server::url_path;
