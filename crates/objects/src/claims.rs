//! Which PersistentVolumeClaims a workload keeps its data in.

use std::collections::HashSet;

use serde_json::Value;

use crate::{Object, places};

/// Names of the claims that a workload uses: those its pods mount by name, then those made from a
/// StatefulSet's templates (`data-db-0`), each once.
///
/// Of a StatefulSet the claims for all its ordinals are named, and those in `all` that ordinals it no
/// longer has left behind: scaling down keeps the claim and its data.
pub fn claims_of(object: &Object, all: &[Object]) -> Vec<String> {
    let mut names = Names::default();
    for name in object.claim_names() {
        names.push(name.to_owned());
    }
    if object.is("apps", "StatefulSet") {
        let count = object
            .value()
            .pointer("/spec/replicas")
            .map_or(1, |n| n.as_i64().unwrap_or(1));
        let start = object
            .value()
            .pointer("/spec/ordinals/start")
            .and_then(Value::as_i64)
            .unwrap_or(0)
            .max(0);
        for (_, template) in places(object.value(), "/spec/volumeClaimTemplates/*/metadata/name") {
            let Some(template) = template.as_str() else {
                continue;
            };
            let stem = format!("{template}-{}-", object.name());
            // A count that no cluster can run would only fill the memory.
            for ordinal in start..start.saturating_add(count.min(100_000)) {
                names.push(format!("{stem}{ordinal}"));
            }
            let mut left: Vec<(u64, &str)> = all
                .iter()
                .filter(|claim| claim.is("", "PersistentVolumeClaim"))
                .filter_map(|claim| {
                    Some((ordinal(claim.name().strip_prefix(&stem)?)?, claim.name()))
                })
                .collect();
            left.sort_unstable();
            for (_, name) in left {
                names.push(name.to_owned());
            }
        }
    }
    names.in_order
}

/// Names in order, each once; there may be many.
#[derive(Default)]
struct Names {
    in_order: Vec<String>,
    known: HashSet<String>,
}

impl Names {
    fn push(&mut self, name: String) {
        if self.known.insert(name.clone()) {
            self.in_order.push(name);
        }
    }
}

/// `0`, `1`, `12`, but not `01` or `+1`.
fn ordinal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn claim(name: &str) -> Object {
        object(
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}}),
        )
    }

    #[test]
    fn a_stateful_set_has_the_claims_of_its_ordinals_and_those_left_behind() {
        let set = object(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"replicas": 2, "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {"volumes": [
                    {"name": "x", "persistentVolumeClaim": {"claimName": "shared"}}]}}}}),
        );
        let all = [
            claim("data-db-10"),
            claim("data-db-4"),
            claim("data-db-01"),
            claim("data-db2-0"),
            claim("data-db-0"),
        ];
        assert_eq!(
            claims_of(&set, &all),
            [
                "shared",
                "data-db-0",
                "data-db-1",
                "data-db-4",
                "data-db-10"
            ]
        );
    }

    #[test]
    fn ordinals_may_start_elsewhere() {
        let set = object(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"ordinals": {"start": 3}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}),
        );
        assert_eq!(claims_of(&set, &[]), ["data-db-3"]);
    }
}
