//! Genuine objects; see `tests/fixtures/README.md`.

use openshifter_objects::{Inventory, Object};
use openshifter_refactor::{Choices, Refactored, Source, refactor, select};
use serde_json::Value;

pub(crate) fn objects(value: Value) -> Vec<Object> {
    let Value::Array(list) = value else {
        panic!("a fixture is a list of objects");
    };
    list.into_iter()
        .map(|value| Object::from_value(value).unwrap())
        .collect()
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn shop() -> Vec<Object> {
    objects(read(include_str!("../fixtures/shop.json")))
}

pub(crate) fn after() -> Vec<Object> {
    objects(read(include_str!("../fixtures/after.json")))
}

pub(crate) fn created() -> Value {
    read(include_str!("../fixtures/created.json"))
}

pub(crate) fn recreated() -> Value {
    read(include_str!("../fixtures/recreated.json"))
}

pub(crate) fn new_namespace() -> Value {
    read(include_str!("../fixtures/new-namespace.json"))
}

pub(crate) fn source() -> Source {
    Source {
        namespace: "shop".to_owned(),
        openshift: true,
    }
}

pub(crate) fn selected() -> Inventory {
    select(shop(), Vec::new(), None)
}

pub(crate) fn refactored() -> Refactored {
    refactor(&selected().objects, &source(), &Choices::default())
}
