//! The arithmetic of a rolling update: how far it may go beyond and below what is wanted, and its next step.

use serde_json::Value;

use crate::object::{number, text};

/// Replicas that a Deployment asks for.
pub(super) fn desired(deployment: &Value) -> i64 {
    number(deployment, "/spec/replicas").unwrap_or(1)
}

/// Surge and unavailability that a roll-out may reach.
pub(super) fn limits(deployment: &Value) -> (i64, i64) {
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        return (0, 0);
    }
    let wanted = desired(deployment);
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let of = |field: &str, up: bool| {
        let value = &rolling[field];
        match (
            value.as_i64(),
            value
                .as_str()
                .and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok()),
        ) {
            (Some(number), _) => number,
            (None, percent) => {
                let share = percent.unwrap_or(25) * wanted;
                if up { (share + 99) / 100 } else { share / 100 }
            }
        }
    };
    let (surge, unavailable) = (of("maxSurge", true), of("maxUnavailable", false));
    // Neither more nor fewer: then nothing could ever move.
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable.min(wanted.max(1)))
    }
}

/// Where a rolling update is: replicas asked for and available.
pub(super) struct Step {
    pub(super) wanted: i64,
    pub(super) limits: (i64, i64),
    pub(super) current: (i64, i64),
    pub(super) old: Vec<(i64, i64)>,
}

/// Replicas after it.
pub(super) struct Plan {
    pub(super) current: i64,
    pub(super) old: Vec<i64>,
}

/// The next step: as many new pods as the surge allows, then as few old ones as availability allows.
pub(super) fn step(at: &Step) -> Plan {
    let (surge, max_unavailable) = at.limits;
    let olds: i64 = at.old.iter().map(|(replicas, _)| replicas).sum();
    let (mut current, mut old): (i64, Vec<i64>) =
        (at.current.0, at.old.iter().map(|(r, _)| *r).collect());
    if current > at.wanted || olds == 0 {
        current = at.wanted;
    } else {
        let room = (at.wanted + surge - (current + olds)).max(0);
        current = (current + room).min(at.wanted);
    }
    // Pods that are not available anyway may go first, then as many as stay above the minimum.
    let new_unavailable = (at.current.0 - at.current.1).max(0);
    let mut may_go = (olds + at.current.0 - (at.wanted - max_unavailable) - new_unavailable).max(0);
    for (replicas, (_, available)) in old.iter_mut().zip(&at.old) {
        let broken = (*replicas - available).max(0).min(may_go);
        *replicas -= broken;
        may_go -= broken;
    }
    let available: i64 = at.current.1 + at.old.iter().map(|(r, a)| *a.min(r)).sum::<i64>();
    let mut spare = (available - (at.wanted - max_unavailable))
        .max(0)
        .min(may_go);
    for replicas in &mut old {
        let less = spare.min(*replicas);
        *replicas -= less;
        spare -= less;
    }
    Plan { current, old }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: i64, strategy: Value) -> Value {
        json!({"spec": {"replicas": replicas, "strategy": strategy}})
    }

    #[test]
    fn percentages_round_up_for_surge_and_down_for_unavailability() {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        assert_eq!(limits(&deployment(2, rolling.clone())), (1, 0));
        assert_eq!(limits(&deployment(10, rolling)), (3, 2));
        let none =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
        assert_eq!(limits(&deployment(3, none)), (0, 1));
    }

    #[test]
    fn a_rolling_update_never_goes_below_what_must_be_available() {
        let (wanted, limits) = (3, (1, 0));
        let (mut current, mut old) = ((0, 0), (3, 3));
        for _ in 0..20 {
            let plan = step(&Step {
                wanted,
                limits,
                current,
                old: vec![old],
            });
            assert!(
                plan.current + plan.old[0] <= wanted + limits.0,
                "{plan_current}",
                plan_current = plan.current
            );
            let available = plan.old[0].min(old.1) + current.1;
            assert!(available >= wanted - limits.1, "{available} are available");
            // Pods become available before the next step.
            current = (plan.current, plan.current);
            old = (plan.old[0], plan.old[0]);
        }
        assert_eq!((current.0, old.0), (3, 0));
    }

    #[test]
    fn old_pods_that_are_broken_make_room() {
        let at = |current, old| Step {
            wanted: 1,
            limits: (1, 0),
            current,
            old: vec![old],
        };
        assert_eq!(step(&at((1, 1), (1, 0))).old, [0]);
        // While the new one is not available either, the broken one stays.
        assert_eq!(step(&at((1, 0), (1, 0))).old, [1]);
    }

    #[test]
    fn scaling_goes_to_the_current_set() {
        let plan = step(&Step {
            wanted: 5,
            limits: (2, 1),
            current: (2, 2),
            old: vec![(0, 0)],
        });
        assert_eq!(plan.current, 5);
        let plan = step(&Step {
            wanted: 0,
            limits: (0, 0),
            current: (2, 2),
            old: vec![],
        });
        assert_eq!(plan.current, 0);
    }
}
