//! A roll-out, step by step: hooks, the old controllers down, the new one up, and back again when it fails.

use openshifter_apiserver::{ApiError, DeleteOptions};
use serde_json::{Value, json};

use super::hooks::{self, Moment, Progress};
use super::{PHASE, REASON};
use crate::controllers::{Context, pods, queue};
use crate::object::{self, annotation, number, resources, text};

/// One step from the old controllers to the new one; later, scaling.
pub(super) fn step(
    context: &Context,
    config: &Value,
    current: &Value,
    old: &[Value],
) -> Result<(), ApiError> {
    let wanted = number(config, "/spec/replicas").unwrap_or(1);
    for rc in old {
        if !matches!(annotation(rc, PHASE), Some("Complete" | "Failed")) {
            annotate(
                context,
                rc,
                &[
                    (PHASE, "Failed"),
                    (REASON, "newer deployment was found running"),
                    ("openshift.io/deployment.cancelled", "true"),
                ],
            )?;
            hooks::stop(context, rc)?;
        }
    }
    match annotation(current, PHASE).unwrap_or_default() {
        "Complete" => {
            down(context, old)?;
            clean_up(context, config, old)?;
            let test = config["spec"]["test"] == true;
            return scale(context, current, if test { 0 } else { wanted });
        }
        "Failed" => return back(context, current, old, wanted),
        "New" | "Pending" => annotate(context, current, &[(PHASE, "Running")])?,
        _ => {}
    }
    match forward(context, config, current, old, wanted)? {
        Progress::Done => annotate(context, current, &[(PHASE, "Complete")]),
        Progress::Waiting => Ok(()),
        Progress::Failed(why) => {
            annotate(context, current, &[(PHASE, "Failed"), (REASON, &why)])?;
            back(context, current, old, wanted)
        }
    }
}

/// As far as it goes now.
fn forward(
    context: &Context,
    config: &Value,
    current: &Value,
    old: &[Value],
    wanted: i64,
) -> Result<Progress, ApiError> {
    let before = hooks::run(context, current, Moment::Pre)?;
    if before != Progress::Done {
        return Ok(before);
    }
    if text(config, "/spec/strategy/type") == "Recreate" {
        down(context, old)?;
        let gone = old.iter().all(|rc| {
            let left = pods::owned(context, rc, |_| false);
            left.iter().all(object::is_finished)
        });
        if !gone {
            return Ok(Progress::Waiting);
        }
        let between = hooks::run(context, &fresh(context, current), Moment::Mid)?;
        if between != Progress::Done {
            return Ok(between);
        }
    }
    scale(context, current, wanted)?;
    let now = fresh(context, current);
    if number(&now, "/status/availableReplicas").unwrap_or(0) < wanted {
        return Ok(Progress::Waiting);
    }
    down(context, old)?;
    hooks::run(context, &now, Moment::Post)
}

/// Puts back what was there before a roll-out that failed.
fn back(context: &Context, failed: &Value, old: &[Value], wanted: i64) -> Result<(), ApiError> {
    scale(context, failed, 0)?;
    let last = old
        .iter()
        .rev()
        .find(|rc| annotation(rc, PHASE) == Some("Complete"));
    match last {
        Some(last) => scale(context, last, wanted),
        None => Ok(()),
    }
}

fn down(context: &Context, old: &[Value]) -> Result<(), ApiError> {
    old.iter().try_for_each(|rc| scale(context, rc, 0))
}

/// A controller as it is by now.
fn fresh(context: &Context, rc: &Value) -> Value {
    let (namespace, name) = queue::key(rc);
    let found = context.store.get(
        &resources::replication_controllers(),
        Some(&namespace),
        &name,
    );
    found.unwrap_or_else(|| rc.clone())
}

/// Sets annotations of a controller.
pub(super) fn annotate(
    context: &Context,
    rc: &Value,
    annotations: &[(&str, &str)],
) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(rc);
    context.store.update(
        &resources::replication_controllers(),
        Some(&namespace),
        &name,
        |rc| {
            rc["metadata"]["annotations"] =
                object::merged(&rc["metadata"]["annotations"], annotations);
        },
    )?;
    Ok(())
}

fn scale(context: &Context, rc: &Value, replicas: i64) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(rc);
    context.store.update(
        &resources::replication_controllers(),
        Some(&namespace),
        &name,
        |rc| {
            rc["spec"]["replicas"] = json!(replicas);
        },
    )?;
    Ok(())
}

/// Removes idle controllers beyond the history that is kept.
fn clean_up(context: &Context, config: &Value, old: &[Value]) -> Result<(), ApiError> {
    let Some(keep) =
        number(config, "/spec/revisionHistoryLimit").and_then(|n| usize::try_from(n).ok())
    else {
        return Ok(());
    };
    let idle: Vec<&Value> = old
        .iter()
        .filter(|rc| number(rc, "/status/replicas").unwrap_or(0) == 0)
        .collect();
    for rc in idle.iter().take(idle.len().saturating_sub(keep)) {
        let (namespace, name) = queue::key(rc);
        let options = DeleteOptions {
            uid: Some(object::uid(rc).to_owned()),
            ..DeleteOptions::default()
        };
        let deleted = context.store.delete(
            &resources::replication_controllers(),
            Some(&namespace),
            &name,
            options,
        );
        pods::gone_is_fine(deleted)?;
    }
    Ok(())
}
