//! What the `/v1` routes take and give, as types that a client shares.

mod answer;
mod request;

pub use answer::{CountBody, JobBody, JobState, PlanBody, ProblemBody, VolumeBody};
pub use request::{EndpointSpec, MigrationRequest, RequestError, WhatExists};
