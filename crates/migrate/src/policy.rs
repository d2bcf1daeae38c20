//! The policies: Copy, Move and Ping-Pong, by the rules of what may be deleted, and when.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use crate::{ExportOptions, ImportOptions};

mod carry_out;
mod kept;
mod plan;

pub use carry_out::migrate;
pub(crate) use kept::content;
pub use plan::{PolicyPlan, place_uid, plan_policy};

/// What happens to the application's present places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is deleted.
    Copy,
    /// The source's objects go when the target is ready; in place, before the import.
    Move,
    /// The target's present application is kept as a chart and deleted before the import.
    PingPong,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy",
            Self::Move => "move",
            Self::PingPong => "ping-pong",
        })
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "copy" => Ok(Self::Copy),
            "move" => Ok(Self::Move),
            "ping-pong" | "pingpong" => Ok(Self::PingPong),
            _ => Err(format!("`{text}` is no policy: copy, move or ping-pong")),
        }
    }
}

/// What a migration is to do.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// The policy.
    pub policy: Policy,
    /// How the source is read.
    pub export: ExportOptions,
    /// How the target is written.
    pub import: ImportOptions,
    /// Whether claims are deleted with the objects.
    pub with_data: bool,
    /// Where the chart is kept afterwards; otherwise it is gone when all went well.
    pub keep_chart: Option<PathBuf>,
}
