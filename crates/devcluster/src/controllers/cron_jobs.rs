//! CronJobs: a Job whenever its time comes.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};
use openshifter_apiserver::{ApiError, DeleteOptions, Event, Propagation, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue};
use crate::object::{self, number, resources, text};

/// The controller.
pub(super) struct CronJobs;

impl Controller for CronJobs {
    fn name(&self) -> &'static str {
        "cronjob"
    }

    fn resource(&self) -> ResourceId {
        resources::cron_jobs()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself_or_owner(event, &self.resource(), "CronJob", &[resources::jobs()])
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(cron) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&cron) {
            return Ok(Next::Event);
        }
        let owned: Vec<Value> = context
            .store
            .list(&resources::jobs(), Some(namespace))
            .into_iter()
            .filter(|job| object::is_controlled_by(job, &cron))
            .collect();
        let (active, finished): (Vec<&Value>, Vec<&Value>) =
            owned.iter().partition(|job| outcome(job).is_none());
        self.write_active(context, &cron, &active)?;
        trim(context, &cron, &finished)?;
        if cron["spec"]["suspend"] == true {
            return Ok(Next::Event);
        }
        // An unreadable schedule or zone never comes; a genuine server would not have taken it.
        let (Some(schedule), Some(zone)) =
            (Schedule::parse(text(&cron, "/spec/schedule")), zone(&cron))
        else {
            return Ok(Next::Event);
        };
        let since = match text(&cron, "/status/lastScheduleTime") {
            "" => text(&cron, "/metadata/creationTimestamp"),
            last => last,
        };
        let now = Timestamp::now();
        let since: Timestamp = since.parse().unwrap_or(now);
        let Some(due) = schedule.latest(since, now, &zone) else {
            return Ok(wait(&schedule, now, &zone));
        };
        if self.may_start(context, &cron, &active, due, now)? {
            start(context, &cron, due)?;
        }
        context
            .store
            .update_status(&self.resource(), Some(namespace), name, |cron| {
                cron["status"]["lastScheduleTime"] = json!(due.to_string());
            })?;
        Ok(wait(&schedule, now, &zone))
    }
}

impl CronJobs {
    fn write_active(
        &self,
        context: &Context,
        cron: &Value,
        active: &[&Value],
    ) -> Result<(), ApiError> {
        let (namespace, name) = queue::key(cron);
        let references: Vec<Value> = active
            .iter()
            .map(|job| {
                json!({
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "namespace": namespace,
                    "name": object::name(job),
                    "uid": object::uid(job),
                })
            })
            .collect();
        context
            .store
            .update_status(&self.resource(), Some(&namespace), &name, |cron| {
                if !cron["status"].is_object() {
                    cron["status"] = json!({});
                }
                match (references.is_empty(), cron["status"].as_object_mut()) {
                    (true, Some(status)) => drop(status.remove("active")),
                    _ => cron["status"]["active"] = json!(references),
                }
            })?;
        Ok(())
    }

    fn may_start(
        &self,
        context: &Context,
        cron: &Value,
        active: &[&Value],
        due: Timestamp,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let late = now.as_second() - due.as_second();
        if number(cron, "/spec/startingDeadlineSeconds").is_some_and(|deadline| late > deadline) {
            return Ok(false);
        }
        match text(cron, "/spec/concurrencyPolicy") {
            "Forbid" => Ok(active.is_empty()),
            "Replace" => {
                for job in active {
                    delete(context, job)?;
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }
}

fn zone(cron: &Value) -> Option<TimeZone> {
    match text(cron, "/spec/timeZone") {
        "" | "UTC" | "Etc/UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

fn wait(schedule: &Schedule, now: Timestamp, zone: &TimeZone) -> Next {
    let next = schedule.next(now, zone);
    next.map_or(Next::Event, |at| {
        let seconds = u64::try_from(at.as_second() - now.as_second()).unwrap_or(0);
        Next::After(Duration::from_secs(seconds + 1))
    })
}

fn start(context: &Context, cron: &Value, due: Timestamp) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(cron);
    let template = &cron["spec"]["jobTemplate"];
    let at = due.to_string();
    let job = json!({
        "metadata": {
            "name": format!("{name}-{}", due.as_second() / 60),
            "labels": template["metadata"]["labels"],
            "annotations": object::merged(
                &template["metadata"]["annotations"],
                &[("batch.kubernetes.io/cronjob-scheduled-timestamp", &at)],
            ),
            "ownerReferences": [object::owner_reference(cron)],
        },
        "spec": template["spec"],
    });
    match context
        .store
        .create(&resources::jobs(), Some(&namespace), job)
    {
        // It was started before a crash.
        Err(error) if error.code() == 409 => Ok(()),
        other => other.map(drop),
    }
}

/// Whether a job completed or failed.
fn outcome(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|kind| {
        object::condition(job, kind).is_some_and(|condition| condition["status"] == "True")
    })
}

/// Removes finished jobs beyond the history that is kept.
fn trim(context: &Context, cron: &Value, finished: &[&Value]) -> Result<(), ApiError> {
    for (kind, field, default) in [
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ] {
        let keep = number(cron, &format!("/spec/{field}")).unwrap_or(default);
        let keep = usize::try_from(keep).unwrap_or(0);
        let mut of_kind: Vec<&&Value> = finished
            .iter()
            .filter(|job| outcome(job) == Some(kind))
            .collect();
        of_kind.sort_by_key(|job| text(job, "/metadata/creationTimestamp"));
        for job in of_kind.iter().take(of_kind.len().saturating_sub(keep)) {
            delete(context, job)?;
        }
    }
    Ok(())
}

fn delete(context: &Context, job: &Value) -> Result<(), ApiError> {
    let options = DeleteOptions {
        uid: Some(object::uid(job).to_owned()),
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    let (namespace, name) = queue::key(job);
    pods::gone_is_fine(
        context
            .store
            .delete(&resources::jobs(), Some(&namespace), &name, options),
    )
}

/// Minutes, hours, days, months and weekdays.
#[derive(Debug, PartialEq, Eq)]
struct Schedule {
    fields: [Vec<i8>; 5],
    /// Whether day of month and day of week were both given: then either of them will do.
    either_day: bool,
}

impl Schedule {
    fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return None;
        };
        Some(Self {
            fields: [
                field(minute, 0, 59)?,
                field(hour, 0, 23)?,
                field(day, 1, 31)?,
                field(month, 1, 12)?,
                // Sunday is 0 and 7.
                field(weekday, 0, 7)?
                    .into_iter()
                    .map(|day| day % 7)
                    .collect(),
            ],
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    fn covers_day(&self, at: &Zoned) -> bool {
        let [_, _, day, month, weekday] = &self.fields;
        let on_day = day.contains(&at.day());
        let on_weekday = weekday.contains(&at.weekday().to_sunday_zero_offset());
        let today = if self.either_day {
            on_day || on_weekday
        } else {
            on_day && on_weekday
        };
        month.contains(&at.month()) && today
    }

    fn covers(&self, at: &Zoned) -> bool {
        let [minute, hour, ..] = &self.fields;
        minute.contains(&at.minute()) && hour.contains(&at.hour()) && self.covers_day(at)
    }

    /// The first time after `now`, if there is one within some eight years, which is how far leap
    /// days may be apart.
    fn next(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now
            .to_zoned(zone.clone())
            .start_of_minute()?
            .checked_add(1.minute())
            .ok()?;
        for _ in 0..3000 {
            let tomorrow = at.checked_add(1.day()).ok()?.start_of_day().ok()?;
            if self.covers_day(&at) {
                while at < tomorrow {
                    if self.covers(&at) {
                        return Some(at.timestamp());
                    }
                    at = at.checked_add(1.minute()).ok()?;
                }
            }
            at = tomorrow;
        }
        None
    }

    /// The latest time after `since` that is not after `now`.
    fn latest(&self, since: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now.to_zoned(zone.clone()).start_of_minute()?;
        // Whoever missed more than a day of minutes has missed it.
        for _ in 0..24 * 60 {
            if at.timestamp() <= since {
                return None;
            }
            if self.covers(&at) {
                return Some(at.timestamp());
            }
            at = at.checked_sub(1.minute()).ok()?;
        }
        None
    }
}

trait StartOfMinute: Sized {
    fn start_of_minute(&self) -> Option<Self>;
}

impl StartOfMinute for Zoned {
    fn start_of_minute(&self) -> Option<Self> {
        self.with().second(0).subsec_nanosecond(0).build().ok()
    }
}

/// Reads one field: numbers, names, ranges, lists and steps.
fn field(text: &str, low: i8, high: i8) -> Option<Vec<i8>> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let value = |word: &str| -> Option<i8> {
        let word = word.to_ascii_lowercase();
        let place = |names: &[&str]| {
            names
                .iter()
                .position(|name| *name == word)
                .and_then(|at| i8::try_from(at).ok())
        };
        let named = match high {
            12 => place(&MONTHS).map(|at| at + 1),
            7 => place(&DAYS),
            _ => None,
        };
        named
            .or_else(|| word.parse().ok())
            .filter(|value| (low..=high).contains(value))
    };
    let mut values = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (low, high),
            (_, Some((from, to))) => (value(from)?, value(to)?),
            (one, None) if step > 1 => (value(one)?, high),
            (one, None) => (value(one)?, value(one)?),
        };
        values.extend((from..=to).step_by(step));
    }
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        let at = Schedule::parse(schedule)
            .unwrap()
            .next(now.parse().unwrap(), &TimeZone::UTC);
        at.map_or("never".to_owned(), |at| at.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        let now = "2026-11-22T12:00:30Z";
        assert_eq!(next("*/15 * * * *", now), "2026-11-22T12:15:00Z");
        assert_eq!(next("0 3 * * *", now), "2026-11-23T03:00:00Z");
        assert_eq!(next("30 4 1 jan *", now), "2027-01-01T04:30:00Z");
        assert_eq!(next("0 0 * * mon-fri", now), "2026-11-23T00:00:00Z");
        // Either the 13th or a Friday.
        assert_eq!(next("0 0 13 * 5", now), "2026-11-27T00:00:00Z");
        assert_eq!(next("0 0 * * 7", now), "2026-11-29T00:00:00Z");
        assert_eq!(next("0 0 31 2 *", now), "never");
    }

    #[test]
    fn a_missed_time_is_due() {
        let schedule = Schedule::parse("@hourly").unwrap();
        let latest = |since: &str| {
            let now = "2026-11-22T12:10:00Z".parse().unwrap();
            schedule
                .latest(since.parse().unwrap(), now, &TimeZone::UTC)
                .map(|at| at.to_string())
        };
        assert_eq!(
            latest("2026-11-22T11:30:00Z").as_deref(),
            Some("2026-11-22T12:00:00Z")
        );
        assert_eq!(latest("2026-11-22T12:00:00Z"), None);
    }

    #[test]
    fn nonsense_is_no_schedule() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* * * * 8",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
        ] {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
    }
}
