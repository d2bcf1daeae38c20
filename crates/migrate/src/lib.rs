//! Moves an application, with its data, from one cluster to another: export, import, delete, the policies
//! Move, Ping-Pong and Copy, and what makes them safe: a journal, `undo`, `resume`, and a report that
//! leaves nothing out.
//!
//! Every operation takes connected clusters and a [`Run`], and returns a [`Report`] whose
//! [`Report::exit_status`] is 0 only when everything that was asked for is at the target and verified.

mod delete;
mod ending;
mod endpoint;
mod error;
mod export;
mod helper;
mod images;
mod import;
mod journal;
mod plan;
mod pods_going;
mod policy;
mod progress;
mod project;
mod prune;
mod quiesce;
mod ready;
mod report;
mod resume;
mod run;
mod state;
mod survey;
mod transfer;
mod undo;
mod values;
mod way_back;
mod way_in;

pub use delete::{DeletePlan, DeleteStep, delete, plan_delete};
pub use endpoint::{Endpoint, EndpointError, InputFile};
pub use error::{Failed, MigrateError, chain};
pub use export::{ChartForm, ExportOptions, Exported, export};
pub use images::{ImageOptions, PlannedImages};
pub use import::{Existing, ImportOptions, import, open_chart};
pub use journal::{Event, Journal, JournalError};
pub use openshifter_images::{
    Choices as ImageChoices, ImagesError, Platform as ImagePlatform, Platforms as ImagePlatforms,
};
pub use openshifter_volumes::Allow;
pub use plan::{ExportPlan, plan_export};
pub use policy::{MigrateOptions, Policy, PolicyPlan, migrate, place_uid, plan_policy};
pub use progress::{Progress, Silent};
pub use prune::KeptChart;
pub use report::{
    Action, ImageAction, ImageEntry, ObjectEntry, Outcome, Report, Side, VolumeAction, VolumeEntry,
    Webhook,
};
pub use resume::{ResumeOptions, resume, resume_reads_source};
pub use run::{HELPER_LABEL, RUN_LABEL, Run, RunId};
pub use state::{Spool, StateDir};
pub use survey::list_volume;
pub use undo::{Ends, undo, way_on};
pub use values::{ValuesError, merge_values, set_value};
