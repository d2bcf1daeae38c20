//! Real helm takes the folder, and makes of it what an import makes.

use std::{collections::BTreeMap, fs, path::Path};

use openshifter_chart::{ChartBuilder, ChartMeta, Content};
use openshifter_objects::{Knob, Object};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{helm, knob, object, shop, shop_chart, try_helm, turned};

/// The objects that `helm template` writes, by their keys.
fn rendered(chart: &Path, more: &[&str]) -> BTreeMap<String, Object> {
    let mut words = vec![
        "template",
        "release",
        chart.to_str().unwrap(),
        "--namespace",
        "target",
    ];
    words.extend(more);
    let text = helm(&words);
    let mut objects = BTreeMap::new();
    for document in text
        .split("\n---\n")
        .flat_map(|part| part.strip_prefix("---\n").or(Some(part)))
    {
        let value: Value =
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
        if !value.is_null() {
            let object = object(value);
            assert!(objects.insert(object.key().to_string(), object).is_none());
        }
    }
    objects
}

fn assert_same(found: &BTreeMap<String, Object>, expected: &[Object]) {
    let expected: BTreeMap<String, Object> = expected
        .iter()
        .map(|object| (object.key().to_string(), object.clone()))
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (key, object) in &expected {
        assert_eq!(found[key].value(), object.value(), "{key}");
    }
}

#[test]
fn helm_takes_the_folder_as_it_is() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let dir = chart.dir().to_str().unwrap();
    let lint = helm(&["lint", dir, "--strict"]);
    assert!(
        lint.contains("1 chart(s) linted, 0 chart(s) failed"),
        "{lint}"
    );
    let install = helm(&[
        "install",
        "shop",
        dir,
        "--dry-run=client",
        "--namespace",
        "target",
    ]);
    assert!(install.contains("kind: Deployment"), "{install}");
}

#[test]
fn helm_makes_what_an_import_makes() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let shop = shop();
    let found = rendered(chart.dir(), &[]);
    assert_same(
        &found,
        &turned(&shop.objects, &shop.knobs, &shop.values, "target"),
    );
    let crd = rendered(chart.dir(), &["--include-crds"])
        .remove("CustomResourceDefinition.apiextensions.k8s.io/shops.example.com");
    assert_eq!(crd.unwrap().value(), shop.crds[0].value());
}

#[test]
fn values_do_the_same_in_helm_and_here() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let shop = shop();
    let mut values = shop.values.clone();
    values["workloads"]["web"]["replicas"] = 0.into();
    values["images"]["web"] = "{{ .Values.x }} <&> \"quoted\" \\ \u{1} 'x': #".into();
    values["env"]["empty"] = "{{ fail \"x\" }}\n---\nkind: Evil".into();
    values["routes"]["web"]["host"] = "yes".into();
    values["storage"]["data"] = json!({"class": "0x1f", "size": "1_000"});
    let file = spool.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    let found = rendered(chart.dir(), &["-f", file.to_str().unwrap()]);
    assert_same(
        &found,
        &turned(&shop.objects, &shop.knobs, &values, "target"),
    );
}

#[test]
fn optional_values_vanish_alike() {
    let thing = object(json!({
        "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"},
        "spec": {"first": [{"a": "1", "b": "2"}], "only": {"x": 1}, "list": ["a", "b"], "z": 1}
    }));
    let knobs: Vec<Knob> = [
        ("/spec/first/0/a", "a"),
        ("/spec/only/x", "b"),
        ("/spec/list/0", "c"),
        ("/spec/new", "d"),
        ("/metadata/annotations", "e"),
    ]
    .map(|(pointer, key)| knob(&thing, pointer, &["deep", "er", key], true))
    .to_vec();
    let spool = tempdir().unwrap();
    let builder = ChartBuilder::create(spool.path().join("x"), ChartMeta::new("x")).unwrap();
    let prepared = [thing];
    let chart = builder
        .finish(Content {
            prepared: &prepared,
            knobs: &knobs,
            ..Content::default()
        })
        .unwrap();
    // The schema would refuse the worst of these before the templates are asked.
    for deep in [
        json!({}),
        json!({"deep": null}),
        json!({"deep": {"er": null}}),
        json!({"deep": {"er": {"a": null, "b": "", "c": false}}}),
        json!({"deep": {"er": {"a": 0, "b": {}, "c": [], "d": {"k": [1, "x"]}, "e": {"n": "1"}}}}),
        json!({"deep": {"er": {"a": "null", "b": "false", "c": "\"\"", "d": true}}}),
        json!({"deep": "text"}),
        json!({"deep": {"er": [1]}}),
    ] {
        let file = spool.path().join("values.json");
        fs::write(&file, deep.to_string()).unwrap();
        let found = rendered(
            chart.dir(),
            &["-f", file.to_str().unwrap(), "--skip-schema-validation"],
        );
        assert_same(&found, &turned(&prepared, &knobs, &deep, "target"));
    }
}

#[test]
fn helm_refuses_what_an_import_refuses() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let refuse = |set: &str, says: &str| {
        let words = [
            "template",
            "x",
            chart.dir().to_str().unwrap(),
            "--set-json",
            set,
        ];
        let output = try_helm(&words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && error.contains(says),
            "{set}: {error}"
        );
    };
    refuse("workloads.web.replicas=\"two\"", "/workloads/web/replicas");
    refuse("images.web=null", "images");
    refuse(
        "image.web=\"x\"",
        "additional properties 'image' not allowed",
    );
    let words = [
        "template",
        "x",
        chart.dir().to_str().unwrap(),
        "--set-json",
        "images=null",
        "--skip-schema-validation",
    ];
    let error = String::from_utf8_lossy(&try_helm(&words).stderr).into_owned();
    assert!(error.contains("needs the value images.web"), "{error}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[ \t\n{}a-c:#\"'`|>%$-]{0,12}",
        "[{}]{1,6}",
        "(---|yes|0o17|1e3|<<|=|~)\n?"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6f64..1e6).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Many objects at once, since each run of helm takes its time.
    #[test]
    fn any_object_comes_out_as_it_went_in(specs in proptest::collection::vec(any_json(), 30), texts in proptest::collection::vec("[^\u{7f}-\u{9f}\u{feff}\u{fffe}\u{ffff}]{0,20}", 30)) {
        let objects: Vec<Object> = specs
            .into_iter()
            .enumerate()
            .map(|(at, spec)| object(json!({
                "apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": format!("thing-{at}")},
                "spec": spec, "knob": ""
            })))
            .collect();
        let names: Vec<String> = (0..objects.len()).map(|at| format!("k {at}\"{{{{")).collect();
        let knobs: Vec<Knob> = objects.iter().zip(&names).map(|(object, name)| knob(object, "/knob", &["x", name], false)).collect();
        let values = json!({"x": names.iter().cloned().zip(texts.into_iter().map(Value::from)).collect::<serde_json::Map<_, _>>()});
        let spool = tempdir().unwrap();
        let builder = ChartBuilder::create(spool.path().join("x"), ChartMeta::new("x")).unwrap();
        let chart = builder
            .finish(Content { prepared: &objects, knobs: &knobs, values: &values, ..Content::default() })
            .unwrap();
        assert_same(&rendered(chart.dir(), &[]), &turned(&objects, &knobs, &values, "target"));
    }
}
