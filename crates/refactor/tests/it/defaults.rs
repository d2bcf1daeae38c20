//! What a genuine server fills in is no difference; what a person adds to it is one.

use openshifter_objects::Object;
use openshifter_refactor::{Difference, compare_live};
use serde_json::{Value, json};

use crate::fixtures::{created, refactored, shop};

fn show(object: &Object, differences: &[Difference]) -> Vec<String> {
    differences
        .iter()
        .map(|one| {
            format!(
                "{} {}: {:?} not {:?}",
                object.key(),
                one.pointer,
                one.live,
                one.wanted
            )
        })
        .collect()
}

#[test]
fn what_was_created_is_what_was_sent() {
    let pairs = created();
    let mut different = Vec::new();
    for pair in pairs.as_array().unwrap() {
        let sent = Object::from_value(pair["sent"].clone()).unwrap();
        let served = Object::from_value(pair["served"].clone()).unwrap();
        different.extend(show(&sent, &compare_live(&sent, &served)));
    }
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn what_a_person_applied_is_what_is_served() {
    let (mut compared, mut different) = (0, Vec::new());
    for served in shop() {
        let Some(applied) = served.annotation("kubectl.kubernetes.io/last-applied-configuration")
        else {
            continue;
        };
        let applied = Object::parse(applied.as_bytes()).unwrap();
        // The fixture has another pull secret in the served one.
        if served.is("", "Secret") && served.name() == "shop-pull" {
            continue;
        }
        // A controller's own copy of what its owner was applied as, or the same in another version.
        if applied.key() != served.key() || applied.api_version() != served.api_version() {
            continue;
        }
        compared += 1;
        different.extend(show(&applied, &compare_live(&applied, &served)));
    }
    assert!(compared > 25, "{compared} objects were compared");
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn what_is_added_to_any_object_shows() {
    let mut tried = 0;
    for one in refactored().objects {
        let wanted = one.object;
        let is_pod = wanted.is("", "Pod");
        let mut additions = vec![("/metadata/labels", json!({"somebody-s": ""}))];
        if !is_pod {
            additions.push(("/metadata/annotations", json!({"example.com/note": "x"})));
        }
        if let Some(spec) = wanted.pod_spec_pointer().filter(|_| !is_pod) {
            additions.push((spec, json!({"hostNetwork": true})));
            additions.push((spec, json!({"runtimeClassName": "x"})));
        }
        for (at, addition) in additions {
            let mut live = wanted.clone();
            put(live.value_mut(), at, &addition);
            let found = compare_live(&wanted, &live);
            assert!(
                found.len() == 1 && found[0].added && found[0].pointer.starts_with(at),
                "{} {at}: {found:?}",
                wanted.key()
            );
            // The other way round it is missing.
            let found = compare_live(&live, &wanted);
            assert!(
                found.len() == 1 && !found[0].added,
                "{} {at}: {found:?}",
                wanted.key()
            );
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried} additions were tried");
}

fn put(value: &mut Value, at: &str, addition: &Value) {
    let mut place = value;
    for key in at.split('/').skip(1) {
        if place.get(key).is_none_or(Value::is_null) {
            place[key] = json!({});
        }
        place = &mut place[key];
    }
    for (key, more) in addition.as_object().unwrap() {
        place[key] = more.clone();
    }
}
