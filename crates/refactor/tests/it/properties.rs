//! What holds for any objects, genuine or not.

use openshifter_objects::{KnobSource, Object, claims_of, references};
use openshifter_refactor::{
    Choices, Refactored, Source, compare_live, held_back, hold, refactor, retarget, select, waves,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fixtures::{selected, shop, source};

/// Text that rules look for, among other text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{0,3}",
        1 => Just("app".to_owned()),
        1 => Just("None".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("172.30.1.1:5000/app/web:1".to_owned()),
        1 => Just("system:serviceaccount:app:x".to_owned()),
        1 => Just("system:serviceaccounts:app".to_owned()),
        1 => Just("default-token-bcdfg".to_owned()),
        1 => Just("1Gi".to_owned()),
        1 => Just("[{\"from\":{\"kind\":\"ImageStreamTag\",\"name\":\"a:1\",\"namespace\":\"app\"}}]".to_owned()),
        1 => any::<String>(),
    ]
}

/// Keys that rules look at, among others.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "metadata",
        "spec",
        "status",
        "template",
        "containers",
        "volumes",
        "volumeMounts",
        "name",
        "namespace",
        "image",
        "env",
        "value",
        "annotations",
        "labels",
        "host",
        "tls",
        "key",
        "hosts",
        "rules",
        "ports",
        "nodePort",
        "clusterIP",
        "clusterIPs",
        "triggers",
        "imageChangeParams",
        "from",
        "kind",
        "to",
        "strategy",
        "sourceStrategy",
        "output",
        "subjects",
        "roleRef",
        "replicas",
        "volumeClaimTemplates",
        "storageClassName",
        "resources",
        "requests",
        "storage",
        "secrets",
        "imagePullSecrets",
        "data",
        "type",
        "tags",
        "ownerReferences",
        "suspend",
        "selector",
        "conditions",
        "securityContext",
        "runAsUser",
        "tolerations",
        "uid",
        "generic",
        "secret",
        "namespaceSelector",
        "matchLabels",
        "kubernetes.io/metadata.name",
        "openshift.io/host.generated",
        "openshift.io/scc",
        "image.openshift.io/triggers",
        "jobTemplate",
        "projected",
        "secretName",
        "serviceAccountName",
        "persistentVolumeClaim",
        "claimName",
        "ordinals",
        "start",
    ];
    prop_oneof![8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(json!(1_000_160_000)),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::btree_map(key(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn kind() -> impl Strategy<Value = (&'static str, &'static str)> {
    proptest::sample::select(vec![
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "ServiceAccount"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Endpoints"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("apps.openshift.io/v1", "DeploymentConfig"),
        ("build.openshift.io/v1", "BuildConfig"),
        ("image.openshift.io/v1", "ImageStream"),
        ("route.openshift.io/v1", "Route"),
        ("networking.k8s.io/v1", "Ingress"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("authorization.openshift.io/v1", "RoleBinding"),
        ("example.org/v1", "Thing"),
    ])
}

/// An object of a known kind with anything in it.
fn object() -> impl Strategy<Value = Object> {
    (kind(), json_value(), json_value(), "[a-c]|app").prop_map(
        |((api_version, kind), rest, metadata, name)| {
            let mut value = if rest.is_object() {
                rest
            } else {
                json!({"spec": rest})
            };
            let mut metadata = if metadata.is_object() {
                metadata
            } else {
                json!({})
            };
            metadata["name"] = name.into();
            value["metadata"] = metadata;
            value["apiVersion"] = api_version.into();
            value["kind"] = kind.into();
            Object::from_value(value).unwrap()
        },
    )
}

/// A genuine object with one of its values replaced by anything.
fn damaged() -> impl Strategy<Value = Object> {
    let genuine = shop();
    (0..genuine.len(), any::<prop::sample::Index>(), json_value()).prop_map(
        move |(which, place, value)| {
            let mut object = genuine[which].clone();
            let mut pointers = Vec::new();
            collect(object.value(), String::new(), &mut pointers);
            pointers.retain(|at| {
                !matches!(
                    at.as_str(),
                    "" | "/apiVersion" | "/kind" | "/metadata" | "/metadata/name"
                )
            });
            let at = place.get(&pointers);
            *object.value_mut().pointer_mut(at).unwrap() = value;
            object
        },
    )
}

fn collect(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                collect(
                    inner,
                    format!("{at}/{}", openshifter_objects::escape(key)),
                    found,
                );
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                collect(inner, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
    found.push(at);
}

fn app() -> Source {
    Source {
        namespace: "app".to_owned(),
        openshift: true,
    }
}

/// One object per key, as a cluster has them.
fn unique(objects: Vec<Object>) -> Vec<Object> {
    let mut seen = std::collections::BTreeSet::new();
    objects
        .into_iter()
        .filter(|object| seen.insert(object.key()))
        .collect()
}

fn check(objects: &[Object], source: &Source) {
    let done = refactor(objects, source, &Choices::default());
    knobs_fit(&done, source);
    let objects: Vec<_> = done.objects.into_iter().map(|one| one.object).collect();
    let again = refactor(&objects, source, &Choices::default());
    for (before, after) in objects.iter().zip(&again.objects) {
        assert_eq!(after.changes, [], "a second time nothing changes");
        assert_eq!(before, &after.object);
    }
    assert_eq!(done.knobs, again.knobs);
    assert_eq!(done.values, again.values);
}

fn knobs_fit(done: &Refactored, source: &Source) {
    for knob in &done.knobs {
        let object = done
            .objects
            .iter()
            .find(|one| one.object.key() == knob.object)
            .unwrap();
        let place = object.object.value().pointer(&knob.pointer);
        if let KnobSource::ReleaseNamespace = knob.source {
            assert_eq!(place, Some(&Value::String(source.namespace.clone())));
        }
        let (parent, _) = knob.pointer.rsplit_once('/').unwrap();
        assert!(object.object.value().pointer(parent).is_some());
        assert!(knob.optional || place.is_some(), "{knob:?}");
    }
    for one in &done.objects {
        let mut turned = one.object.clone();
        let key = turned.key();
        for knob in done.knobs.iter().filter(|knob| knob.object == key) {
            knob.turn(&mut turned, &done.values, &source.namespace)
                .unwrap();
        }
        assert_eq!(turned, one.object, "knobs left alone change nothing");
    }
}

#[test]
fn genuine_objects_keep_the_promises() {
    check(&selected().objects, &source());
    // Also those that are usually left out.
    check(&unique(shop()), &source());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_objects_keep_the_promises(objects in prop::collection::vec(object(), 1..5)) {
        check(&unique(objects), &app());
    }

    #[test]
    fn damaged_objects_keep_the_promises(one in damaged()) {
        check(&[one], &source());
    }

    #[test]
    fn nothing_panics(objects in prop::collection::vec(prop_oneof![object(), damaged()], 1..5), selector in "app=shop|a=b|") {
        for one in &objects {
            references(one);
            claims_of(one, &objects);
            hold(one);
            held_back(one);
            prop_assert_eq!(compare_live(one, one), []);
        }
        let sorted: usize = waves(&objects).iter().map(Vec::len).sum();
        prop_assert_eq!(sorted, objects.len());
        let count = objects.len();
        let selector = selector.parse().unwrap();
        let inventory = select(objects, Vec::new(), Some(&selector));
        prop_assert_eq!(inventory.objects.len() + inventory.left_out.len(), count);
    }

    #[test]
    fn references_are_there(one in object()) {
        for reference in references(&one) {
            prop_assert!(one.value().pointer(&reference.pointer).is_some(), "{:?}", reference);
        }
    }

    #[test]
    fn values_of_any_shape_are_retargeted(mut values in json_value()) {
        retarget(&mut values, "app", "target", Some("registry:5000"));
        prop_assert_eq!(retarget(&mut values, "app", "target", Some("registry:5000")), []);
    }
}
