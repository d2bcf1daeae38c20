//! `GET /delete`: the application's objects go, each exactly as it was found; claims stay.

use axum::response::Response;
use openshifter_migrate::{Outcome, Run, delete, plan_delete};
use openshifter_objects::counted;

use super::text;
use crate::app::App;
use crate::clusters::session;
use crate::place::Place;
use crate::problem::{Code, Problem};

pub(super) async fn serve(app: App, place: Place) -> Result<Response, Problem> {
    let access = app.clusters.access(&place)?;
    let held = app.locks.write(&access.base, &place.project)?;
    app.carry_out({
        let app = app.clone();
        move || async move {
            let _held = held;
            let project = &place.project;
            session(&access, async |cluster| {
                let _place = app.locks.write_place(&cluster, project).await?;
                let plan = plan_delete(&cluster, project, None, false).await?;
                let run = Run::begin(app.state.clone())?.with_cancel(app.stop.child_token());
                let report = delete(&run, &cluster, &plan)
                    .await
                    .map_err(|failed| Problem::from(*failed))?;
                if report.outcome != Outcome::Complete {
                    return Err(Problem::new(
                        Code::Incomplete,
                        format!(
                            "not everything of {project} could be deleted: {}",
                            report.losses.join("; ")
                        ),
                    ));
                }
                let mut line = if plan.count() == 0 {
                    format!("nothing to delete: {project} holds no objects of an application")
                } else {
                    format!("deleted {} of {project}", counted(plan.count(), "object"))
                };
                if plan.kept_claims.is_empty() {
                    line.push_str("; it has no claims");
                } else {
                    line.push_str(&format!(
                        "; claims stay, with their data: {}",
                        plan.kept_claims.join(", ")
                    ));
                }
                if !plan.unlisted.is_empty() {
                    let kinds: Vec<&str> = plan
                        .unlisted
                        .iter()
                        .map(|unlisted| unlisted.resource.as_str())
                        .collect();
                    line.push_str(&format!(
                        "; not looked at, since they could not be listed: {}",
                        kinds.join(", ")
                    ));
                }
                if plan.count() > 0 {
                    line.push_str(&format!("; run {}", run.id));
                }
                Ok(line)
            })
            .await
        }
    })
    .await
    .map(text)
}
