//! Builds that take what others of the project make: those come first.

use std::collections::{BTreeMap, BTreeSet};

use openshifter_objects::{InternalImage, Object, inline_images};
use serde_json::Value;

use super::output_of;

/// An image that a build takes from a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) project: String,
    pub(super) stream: String,
    pub(super) tag: String,
    /// What the build does with it.
    pub(super) what: &'static str,
}

/// The tags that a build starts from and takes files of. One without a namespace is of the build's own.
pub(super) fn inputs_of(config: &Object, namespace: &str) -> Vec<Input> {
    let spec = &config.value()["spec"];
    let strategy = &spec["strategy"];
    let bases = ["sourceStrategy", "dockerStrategy", "customStrategy"]
        .iter()
        .map(|kind| (&strategy[*kind]["from"], "starts from"));
    let images = spec["source"]["images"].as_array();
    let files = images
        .into_iter()
        .flatten()
        .map(|image| (&image["from"], "takes files from"));
    let input = |(from, what): (&Value, &'static str)| {
        if from["kind"] != "ImageStreamTag" {
            return None;
        }
        let (stream, tag) = from["name"].as_str()?.split_once(':')?;
        Some(Input {
            project: from["namespace"].as_str().unwrap_or(namespace).to_owned(),
            stream: stream.to_owned(),
            tag: tag.to_owned(),
            what,
        })
    };
    // A Dockerfile names a tag by its place in the registry.
    let inline = inline_images(config).into_iter().filter_map(|inline| {
        let image = InternalImage::parse(&inline.image)?;
        let tag = match image.suffix.strip_prefix(':') {
            Some(tag) => tag.to_owned(),
            None if image.suffix.is_empty() => "latest".to_owned(),
            // What is named by its digest is there.
            None => return None,
        };
        Some(Input {
            project: image.namespace,
            stream: image.stream,
            tag,
            what: "starts from",
        })
    });
    bases.chain(files).filter_map(input).chain(inline).collect()
}

/// The builds that make the wanted tags, and those that these need, in an order in which each finds what it takes.
/// Builds that need each other stay in the order in which they came: nobody can tell which was first.
pub(super) fn in_order<'a>(
    configs: &[&'a Object],
    namespace: &str,
    wanted: &BTreeSet<String>,
) -> Vec<&'a Object> {
    let makers: BTreeMap<&str, &'a Object> = configs
        .iter()
        .filter_map(|config| Some((output_of(config)?, *config)))
        .collect();
    let mut ordered = Vec::new();
    let mut seen = BTreeSet::new();
    for config in configs {
        if output_of(config).is_some_and(|tag| wanted.contains(tag)) {
            visit(config, namespace, &makers, &mut seen, &mut ordered);
        }
    }
    ordered
}

fn visit<'a>(
    config: &'a Object,
    namespace: &str,
    makers: &BTreeMap<&str, &'a Object>,
    seen: &mut BTreeSet<&'a str>,
    ordered: &mut Vec<&'a Object>,
) {
    if !seen.insert(config.name()) {
        return;
    }
    for input in inputs_of(config, namespace) {
        let tag = format!("{}:{}", input.stream, input.tag);
        if input.project == namespace
            && let Some(maker) = makers.get(tag.as_str())
        {
            visit(maker, namespace, makers, seen, ordered);
        }
    }
    ordered.push(config);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(name: &str, output: &str, from: &Value, images: &[&str]) -> Object {
        let images: Vec<Value> = images
            .iter()
            .map(|tag| json!({"from": {"kind": "ImageStreamTag", "name": tag}}))
            .collect();
        Object::from_value(json!({
            "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": name},
            "spec": {
                "source": {"images": images},
                "strategy": {"type": "Source", "sourceStrategy": {"from": from}},
                "output": {"to": {"kind": "ImageStreamTag", "name": output}},
            },
        }))
        .unwrap()
    }

    fn tag(name: &str) -> Value {
        json!({"kind": "ImageStreamTag", "name": name})
    }

    fn order(configs: &[Object], wanted: &[&str]) -> Vec<String> {
        let configs: Vec<&Object> = configs.iter().collect();
        let wanted = wanted.iter().map(|tag| (*tag).to_owned()).collect();
        let ordered = in_order(&configs, "shop", &wanted);
        ordered.iter().map(|one| one.name().to_owned()).collect()
    }

    #[test]
    fn what_others_take_is_built_before_them() {
        let elsewhere =
            json!({"kind": "ImageStreamTag", "namespace": "openshift", "name": "base:1"});
        let configs = [
            config("app", "app:1", &tag("middle:1"), &["files:1"]),
            config(
                "base",
                "base:1",
                &json!({"kind": "DockerImage", "name": "x"}),
                &[],
            ),
            config("files", "files:1", &elsewhere, &[]),
            config("middle", "middle:1", &tag("base:1"), &[]),
            config("other", "other:1", &Value::Null, &[]),
        ];
        // Nobody waits for `other`, and the images of other projects are not made here.
        assert_eq!(
            order(&configs, &["app:1"]),
            ["base", "middle", "files", "app"]
        );
        assert_eq!(
            order(&configs, &["files:1", "app:1"]),
            ["base", "middle", "files", "app"]
        );
        assert_eq!(order(&configs, &["files:1"]), ["files"]);
    }

    #[test]
    fn builds_that_need_each_other_are_an_order_all_the_same() {
        let configs = [
            config("a", "a:1", &tag("b:1"), &[]),
            config("b", "b:1", &tag("a:1"), &[]),
            config("self", "self:1", &tag("self:1"), &[]),
        ];
        assert_eq!(order(&configs, &["a:1", "self:1"]), ["b", "a", "self"]);
    }

    #[test]
    fn a_build_takes_tags_of_its_own_and_other_projects() {
        let config = |from: &Value, images: &[&str]| config("app", "app:1", from, images);
        let inputs = |config: &Object| -> Vec<String> {
            inputs_of(config, "shop")
                .iter()
                .map(|one| format!("{} {}/{}:{}", one.what, one.project, one.stream, one.tag))
                .collect()
        };
        assert_eq!(
            inputs(&config(&tag("python:3.11"), &["tools:1"])),
            [
                "starts from shop/python:3.11",
                "takes files from shop/tools:1"
            ]
        );
        let elsewhere =
            json!({"kind": "ImageStreamTag", "namespace": "openshift", "name": "python:3.11"});
        assert_eq!(
            inputs(&config(&elsewhere, &[])),
            ["starts from openshift/python:3.11"]
        );
        let image = json!({"kind": "DockerImage", "name": "registry/python"});
        assert!(inputs(&config(&image, &[])).is_empty());
        let mut inline = config(&Value::Null, &[]);
        let host = "image-registry.openshift-image-registry.svc:5000";
        inline.value_mut()["spec"] = json!({
            "source": {"dockerfile": format!("FROM quay.io/go:1 AS build\nFROM {host}/shop/base\nCOPY --from={host}/shop/tools@sha256:00 / /")},
            "strategy": {"dockerStrategy": {}},
        });
        assert_eq!(inputs(&inline), ["starts from shop/base:latest"]);
    }
}
