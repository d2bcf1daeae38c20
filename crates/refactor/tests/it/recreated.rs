//! What a second cluster refused, or did not keep, is fixed by a rule.

use std::collections::BTreeMap;

use openshifter_objects::Object;
use openshifter_refactor::compare_live;
use serde_json::Value;

use crate::fixtures::{after, recreated, refactored, selected, shop};

/// Plural and group version of what was posted, as in `services.v1`.
fn resource(object: &Object) -> String {
    let plural = match object.kind() {
        "Endpoints" => "endpoints".to_owned(),
        "Ingress" => "ingresses".to_owned(),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    format!("{plural}.{}", object.api_version())
}

fn by_name(objects: impl IntoIterator<Item = Object>) -> BTreeMap<(String, String), Object> {
    objects
        .into_iter()
        .map(|object| ((resource(&object), object.name().to_owned()), object))
        .collect()
}

#[test]
fn nothing_is_sent_that_was_refused_or_not_kept() {
    let selected = by_name(selected().objects);
    let sent = by_name(refactored().objects.into_iter().map(|one| one.object));
    let known = by_name(shop());
    let mut refused = Vec::new();
    for row in recreated().as_array().unwrap() {
        let key = (
            row["resource"].as_str().unwrap().to_owned(),
            row["name"].as_str().unwrap().to_owned(),
        );
        assert!(known.contains_key(&key), "{key:?} is one of the objects");
        let answer = &row["answers"]["without resourceVersion"];
        let created = answer["status"] == 201;
        let kept = row["after_40s"] == "still there";
        let Some(object) = sent.get(&key) else {
            continue;
        };
        assert!(
            object.resource_version().is_none() && object.uid().is_none(),
            "{key:?}: a create with a resourceVersion is answered with 500"
        );
        if created && kept {
            continue;
        }
        refused.push(format!("{} {}: {}", key.0, key.1, answer["status"]));
        let before = selected[&key].value();
        let after = object.value();
        // The fields that the answer names, or that made controllers delete it.
        let fields: &[&str] = match object.kind() {
            "Service" => &["/spec/clusterIP", "/spec/clusterIPs"],
            "Job" => &[
                "/spec/selector",
                "/spec/template/metadata/labels/controller-uid",
            ],
            "Secret" => &[
                "/data",
                "/metadata/annotations/kubernetes.io~1service-account.uid",
            ],
            kind => panic!(
                "{kind} {} was refused, and no rule is known to fix it: {answer}",
                object.name()
            ),
        };
        for field in fields {
            assert!(before.pointer(field).is_some(), "{key:?} had {field}");
            assert!(after.pointer(field).is_none(), "{key:?} has no {field}");
        }
    }
    insta::assert_snapshot!(refused.join("\n"), @r"
    secrets.v1 shop-token: 201
    services.v1 backend: 422
    services.v1 frontend: 422
    services.v1 lb: 422
    services.v1 legacy: 422
    jobs.batch/v1 migrate-db: 422
    ");
}

#[test]
fn what_a_controller_deleted_is_not_sent() {
    let sent = by_name(refactored().objects.into_iter().map(|one| one.object));
    let gone: Vec<_> = recreated()
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| {
            row["after_40s"]
                .as_str()
                .is_some_and(|after| after.starts_with("gone"))
        })
        .filter(|row| row["answers"]["without resourceVersion"]["status"] == 201)
        .map(|row| {
            (
                row["resource"].as_str().unwrap().to_owned(),
                row["name"].as_str().unwrap().to_owned(),
            )
        })
        .filter(|key| sent.contains_key(key))
        .collect();
    // This one was deleted for the uid of the other cluster's service account, which is gone.
    assert_eq!(gone, [("secrets.v1".to_owned(), "shop-token".to_owned())]);
}

#[test]
fn what_the_second_cluster_made_of_it_is_what_was_sent() {
    let there = by_name(after());
    let mut compared = 0;
    let mut different = Vec::new();
    for one in refactored().objects {
        let key = (resource(&one.object), one.object.name().to_owned());
        let Some(live) = there.get(&key) else {
            continue;
        };
        compared += 1;
        for difference in compare_live(&one.object, live) {
            let show =
                |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
            different.push(format!(
                "{} {}: {} not {}",
                one.object.key(),
                difference.pointer,
                show(difference.live),
                show(difference.wanted)
            ));
        }
    }
    assert!(compared > 20, "{compared} objects were compared");
    assert_eq!(different, Vec::<String>::new());
}
