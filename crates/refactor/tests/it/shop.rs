//! A whole project, from what was listed to what would be created.

use std::fmt::Write as _;

use openshifter_objects::KnobSource;
use openshifter_refactor::{Hold, hold, select, waves};

use crate::fixtures::{new_namespace, objects, refactored, selected, shop};

#[test]
fn what_is_the_application() {
    let keys: Vec<_> = selected()
        .objects
        .iter()
        .map(|object| object.key().to_string())
        .collect();
    insta::assert_snapshot!("selected", keys.join("\n"));
}

#[test]
fn what_is_left_out_and_why() {
    let left_out: Vec<_> = selected()
        .left_out
        .iter()
        .map(|one| format!("{} [{}] {}", one.key, one.rule, one.reason))
        .collect();
    insta::assert_snapshot!("left_out", left_out.join("\n"));
}

#[test]
fn nothing_is_lost_between_the_two() {
    let inventory = selected();
    assert_eq!(
        inventory.objects.len() + inventory.left_out.len(),
        shop().len()
    );
}

#[test]
fn with_a_selector() {
    let selector = "tier=agent".parse().unwrap();
    assert!(
        select(shop(), Vec::new(), Some(&selector))
            .objects
            .is_empty()
    );
    let selector = "app=shop".parse().unwrap();
    let some = select(shop(), Vec::new(), Some(&selector));
    let all = selected();
    assert_eq!(
        some.objects, all.objects,
        "all of the application carries the label"
    );
}

#[test]
fn what_a_new_project_holds_is_no_application() {
    for name in ["fresh-ns", "fresh-project"] {
        let contents = objects(new_namespace()[name].clone());
        assert!(contents.len() > 8);
        let kept: Vec<_> = select(contents, Vec::new(), None)
            .objects
            .iter()
            .map(|object| object.key().to_string())
            .collect();
        assert_eq!(kept, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_is_changed() {
    let mut text = String::new();
    for one in refactored().objects {
        writeln!(text, "{}", one.object.key()).unwrap();
        for change in one.changes {
            let to = change
                .after
                .map(|after| format!(" = {after}"))
                .unwrap_or_default();
            writeln!(text, "  [{}] {}{to}", change.rule, change.pointer).unwrap();
        }
    }
    insta::assert_snapshot!("changes", text);
}

#[test]
fn the_refactored_objects() {
    let objects: Vec<_> = refactored()
        .objects
        .into_iter()
        .map(|one| one.object)
        .collect();
    insta::assert_json_snapshot!("refactored", objects);
}

#[test]
fn knobs_and_values() {
    let done = refactored();
    let mut text = String::new();
    for knob in &done.knobs {
        let source = match &knob.source {
            KnobSource::ReleaseNamespace => "the namespace".to_owned(),
            KnobSource::Value(path) => path.join(" / "),
        };
        let optional = if knob.optional { " (optional)" } else { "" };
        writeln!(
            text,
            "{} {} <- {source}{optional}",
            knob.object, knob.pointer
        )
        .unwrap();
    }
    insta::assert_snapshot!("knobs", text);
    insta::assert_json_snapshot!("values", done.values);
}

#[test]
fn what_a_person_has_to_know() {
    let findings: Vec<_> = refactored()
        .findings
        .iter()
        .map(|one| {
            format!(
                "{:?} {} [{}] {}",
                one.severity, one.object, one.rule, one.message
            )
        })
        .collect();
    insta::assert_snapshot!("findings", findings.join("\n"));
}

#[test]
fn order_and_holding_back() {
    let objects: Vec<_> = refactored()
        .objects
        .into_iter()
        .map(|one| one.object)
        .collect();
    let mut text = String::new();
    for (number, wave) in waves(&objects).iter().enumerate() {
        writeln!(text, "wave {}", number + 1).unwrap();
        for object in wave {
            let held = match hold(object) {
                Hold::Replicas(count) => format!(" at zero, then {count}"),
                Hold::Later => " after the volumes".to_owned(),
                Hold::No => String::new(),
            };
            writeln!(text, "  {}{held}", object.key()).unwrap();
        }
    }
    insta::assert_snapshot!("waves", text);
}

#[test]
fn no_secret_is_in_the_report() {
    let done = refactored();
    let changes: Vec<_> = done.objects.iter().map(|one| &one.changes).collect();
    let report = serde_json::to_string(&(changes, &done.findings)).unwrap();
    for secret in ["czNjcjN0", "s3cr3t", "dTpw", "gsecret", "bm90IGEgcmVhbCA"] {
        assert!(!report.contains(secret), "{secret}");
        // It would be no test if it were nowhere.
        assert!(
            include_str!("../fixtures/shop.json").contains(secret),
            "{secret}"
        );
    }
}
