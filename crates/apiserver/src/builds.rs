//! Builds made from their configurations, as OpenShift's generator makes them. Controllers run them.

use serde_json::{Map, Value, json};

use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::images;
use crate::metadata;
use crate::store::Store;
use crate::write::{Part, Write};

const GROUP: &str = "build.openshift.io";
const CONFIG: &str = "openshift.io/build-config.name";
const NUMBER: &str = "openshift.io/build.number";
const CLONE_OF: &str = "openshift.io/build.clone-of";
const POLICY: &str = "openshift.io/build.start-policy";
const PAUSED: &str = "openshift.io/build-config.paused";
/// Annotations of this prefix tell the embedded cluster's own builder what to do.
const OWN: &str = "devcluster.openshifter.test/";

const STRATEGIES: [&str; 4] = [
    "sourceStrategy",
    "dockerStrategy",
    "customStrategy",
    "jenkinsPipelineStrategy",
];

/// Builds.
pub(crate) fn builds() -> ResourceId {
    ResourceId::new(GROUP, "builds")
}

fn configs() -> ResourceId {
    ResourceId::new(GROUP, "buildconfigs")
}

impl Store {
    /// Makes the next Build of a BuildConfig. `request` is a BuildRequest; of it `triggeredBy`, `env`,
    /// `from`, `binary`, `revision`, `lastVersion` and the strategies' options count.
    ///
    /// # Errors
    /// 404 if there is no such configuration; 422 if the tag that it builds on has no image; 409 if
    /// `lastVersion` is not the configuration's.
    pub fn instantiate_build(
        &self,
        namespace: &str,
        config: &str,
        request: &Value,
    ) -> Result<Value, ApiError> {
        loop {
            let found = self
                .get(&configs(), Some(namespace), config)
                .ok_or_else(|| ApiError::not_found_named(GROUP, "buildconfigs", config))?;
            check(&found, request)?;
            let mut spec = common(&found["spec"], request);
            let mut found = found;
            {
                let state = self.state();
                let resolve = |from: &Value| images::resolve(&state, namespace, from);
                resolve_all(&mut spec, &resolve)?;
                note_images(&mut found, &resolve);
            }
            let Some(number) = self.count(namespace, config, &found)? else {
                // Somebody changed it meanwhile.
                continue;
            };
            let build = build(&found, spec, number);
            return self.create(&builds(), Some(namespace), build);
        }
    }

    /// Makes a Build like another: of the same configuration, if there is one.
    ///
    /// # Errors
    /// 404 if there is no such build.
    pub(crate) fn clone_build(
        &self,
        namespace: &str,
        name: &str,
        request: &Value,
    ) -> Result<Value, ApiError> {
        let original = self
            .get(&builds(), Some(namespace), name)
            .ok_or_else(|| ApiError::not_found_named(GROUP, "builds", name))?;
        if original["spec"]["source"]["binary"].is_object() {
            return Err(ApiError::bad_request(
                "cannot clone a build that was started from a binary source: its source is gone",
            ));
        }
        let mut spec = original["spec"].clone();
        spec["triggeredBy"] = causes(request);
        let config = original["status"]["config"]["name"].as_str();
        let config = config.and_then(|config| self.get(&configs(), Some(namespace), config));
        let mut copy = match config {
            Some(config) => loop {
                let config_name = metadata::name(&config);
                let Some(now) = self.get(&configs(), Some(namespace), config_name) else {
                    return Err(ApiError::not_found_named(
                        GROUP,
                        "buildconfigs",
                        config_name,
                    ));
                };
                if let Some(number) = self.count(namespace, config_name, &now)? {
                    break build(&now, spec, number);
                }
            },
            None => json!({
                "metadata": {
                    "name": format!("{name}-{}", metadata::suffix(5)),
                    "labels": original["metadata"]["labels"],
                    "annotations": {},
                },
                "spec": spec,
                "status": first_status(),
            }),
        };
        copy["metadata"]["annotations"][CLONE_OF] = json!(name);
        self.create(&builds(), Some(namespace), copy)
    }

    /// Takes the next number of a configuration, and what triggers have seen; none if it was changed
    /// since it was read.
    fn count(&self, namespace: &str, name: &str, read: &Value) -> Result<Option<i64>, ApiError> {
        let kind = self
            .catalogue()
            .stored(&configs())
            .ok_or_else(ApiError::no_such_resource)?;
        let write = Write {
            part: Part::Special,
            ..Write::system()
        };
        let mut number = None;
        self.update_with(&kind, Some(namespace), name, &write, |current| {
            let mut object = current.clone();
            if current["metadata"]["resourceVersion"] == read["metadata"]["resourceVersion"] {
                let next = current["status"]["lastVersion"].as_i64().unwrap_or(0) + 1;
                object["spec"]["triggers"] = read["spec"]["triggers"].clone();
                if object["spec"]["triggers"].is_null() {
                    crate::write::set(&mut object["spec"], "triggers", None);
                }
                object["status"]["lastVersion"] = json!(next);
                number = Some(next);
            }
            Ok(object)
        })?;
        Ok(number)
    }
}

fn check(config: &Value, request: &Value) -> Result<(), ApiError> {
    let name = metadata::name(config);
    let namespace = metadata::namespace(config).unwrap_or_default();
    if config["metadata"]["annotations"][PAUSED] == "true" {
        return Err(ApiError::internal(format!(
            "can't instantiate from BuildConfig {namespace}/{name}: BuildConfig is paused"
        )));
    }
    let last = config["status"]["lastVersion"].as_i64().unwrap_or(0);
    match request["lastVersion"].as_i64() {
        Some(wanted) if wanted != last => Err(ApiError::conflict(
            GROUP,
            "buildconfigs",
            name,
            &format!(
                "the LastVersion({last}) on build config {namespace}/{name} does not match the build \
                 request LastVersion({wanted})"
            ),
        )),
        _ => Ok(()),
    }
}

fn causes(request: &Value) -> Value {
    match &request["triggeredBy"] {
        Value::Null => json!([{"message": "Manually triggered"}]),
        causes => causes.clone(),
    }
}

/// The spec of a build of this configuration, its references still those of the configuration.
fn common(config: &Value, request: &Value) -> Value {
    let mut spec = config.clone();
    if let Some(spec) = spec.as_object_mut() {
        for field in [
            "triggers",
            "runPolicy",
            "successfulBuildsHistoryLimit",
            "failedBuildsHistoryLimit",
        ] {
            spec.remove(field);
        }
        spec.entry("serviceAccount")
            .or_insert_with(|| json!("builder"));
    }
    spec["triggeredBy"] = causes(request);
    if request["revision"].is_object() {
        spec["revision"] = request["revision"].clone();
    }
    set_source(&mut spec, &request["binary"]);
    let extra = request["env"].as_array().cloned().unwrap_or_default();
    for name in STRATEGIES {
        let strategy = &mut spec["strategy"][name];
        if !strategy.is_object() {
            continue;
        }
        if !extra.is_empty() {
            let mut env = strategy["env"].as_array().cloned().unwrap_or_default();
            env.retain(|one| !extra.iter().any(|new| new["name"] == one["name"]));
            env.extend(extra.iter().cloned());
            strategy["env"] = json!(env);
        }
        if request["from"].is_object() && name != "jenkinsPipelineStrategy" {
            strategy["from"] = request["from"].clone();
        }
        let (options, fields): (&Value, &[&str]) = match name {
            "dockerStrategy" => (&request["dockerStrategyOptions"], &["buildArgs", "noCache"]),
            "sourceStrategy" => (&request["sourceStrategyOptions"], &["incremental"]),
            _ => continue,
        };
        for field in fields {
            if !options[*field].is_null() {
                strategy[*field] = options[*field].clone();
            }
        }
    }
    if let Some(strategies) = spec["strategy"].as_object_mut() {
        // Looking at a strategy that is not there has left a null.
        strategies.retain(|_, strategy| !strategy.is_null());
    }
    spec
}

/// A build has the source that the request brings, and else never a binary one.
fn set_source(spec: &mut Value, binary: &Value) {
    let mut source = match &spec["source"] {
        Value::Object(source) => source.clone(),
        _ => Map::new(),
    };
    if binary.is_object() {
        source.remove("git");
        if binary["asFile"] == "Dockerfile" {
            source.remove("dockerfile");
        }
        source.insert("binary".to_owned(), binary.clone());
        let kind = if source.contains_key("dockerfile") {
            "Dockerfile"
        } else {
            "Binary"
        };
        source.insert("type".to_owned(), json!(kind));
    } else if source.remove("binary").is_some() {
        let kind = if source.contains_key("git") {
            "Git"
        } else if source.contains_key("dockerfile") {
            "Dockerfile"
        } else if source.contains_key("images") {
            "Image"
        } else {
            "None"
        };
        source.insert("type".to_owned(), json!(kind));
    }
    spec["source"] = Value::Object(source);
}

/// Puts images in the place of what refers to them.
fn resolve_all(
    spec: &mut Value,
    resolve: &impl Fn(&Value) -> Result<String, ApiError>,
) -> Result<(), ApiError> {
    let set = |from: &mut Value| -> Result<(), ApiError> {
        if from.is_object() && from["kind"] != "DockerImage" {
            *from = json!({"kind": "DockerImage", "name": resolve(from)?});
        }
        Ok(())
    };
    for name in STRATEGIES {
        if let Some(from) = spec.pointer_mut(&format!("/strategy/{name}/from")) {
            set(from)?;
        }
    }
    for image in spec
        .pointer_mut("/source/images")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(from) = image.get_mut("from") {
            set(from)?;
        }
    }
    Ok(())
}

/// Notes which images a build begins with, so that they trigger no other.
fn note_images(config: &mut Value, resolve: &impl Fn(&Value) -> Result<String, ApiError>) {
    let base = STRATEGIES
        .iter()
        .map(|name| config["spec"]["strategy"][*name]["from"].clone())
        .find(|from| !from.is_null())
        .unwrap_or_default();
    for trigger in config["spec"]
        .get_mut("triggers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter(|trigger| trigger["type"] == "ImageChange")
    {
        let from = match &trigger["imageChange"]["from"] {
            Value::Null => &base,
            from => from,
        };
        if let Ok(image) = resolve(from) {
            if !trigger["imageChange"].is_object() {
                trigger["imageChange"] = json!({});
            }
            trigger["imageChange"]["lastTriggeredImageID"] = json!(image);
        }
    }
}

fn first_status() -> Value {
    let now = metadata::now();
    json!({
        "phase": "New",
        "output": {},
        "conditions": [{
            "type": "New",
            "status": "True",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }],
    })
}

fn build(config: &Value, spec: Value, number: i64) -> Value {
    let name = metadata::name(config);
    let policy = config["spec"]["runPolicy"].as_str().unwrap_or("Serial");
    let meta = &config["metadata"];
    let mut labels = meta["labels"].as_object().cloned().unwrap_or_default();
    labels.insert("buildconfig".to_owned(), json!(name));
    labels.insert(CONFIG.to_owned(), json!(name));
    labels.insert(POLICY.to_owned(), json!(policy));
    let mut annotations: Map<String, Value> = meta["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(OWN))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    annotations.insert(CONFIG.to_owned(), json!(name));
    annotations.insert(NUMBER.to_owned(), json!(number.to_string()));
    let mut status = first_status();
    status["config"] = json!({
        "kind": "BuildConfig",
        "namespace": meta["namespace"],
        "name": name,
    });
    json!({
        "metadata": {
            "name": format!("{name}-{number}"),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "build.openshift.io/v1",
                "kind": "BuildConfig",
                "name": name,
                "uid": meta["uid"],
                "controller": true,
            }],
        },
        "spec": spec,
        "status": status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::in_memory("test");
        let namespaces = ResourceId::core("namespaces");
        store
            .create(&namespaces, None, json!({"metadata": {"name": "shop"}}))
            .unwrap();
        store
    }

    fn config(store: &Store, triggers: Value) {
        let config = json!({
            "metadata": {"name": "web", "labels": {"app": "shop"}, "annotations": {"note": "x", "devcluster.openshifter.test/source": "/src"}},
            "spec": {
                "source": {"git": {"uri": "https://git.example.test/web.git"}, "contextDir": "src"},
                "strategy": {"sourceStrategy": {
                    "from": {"kind": "ImageStreamTag", "name": "tools:1"},
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                }},
                "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
                "triggers": triggers,
            },
        });
        store.create(&configs(), Some("shop"), config).unwrap();
    }

    fn tools(store: &Store) {
        let streams = images::image_streams();
        store
            .create(
                &streams,
                Some("shop"),
                json!({"metadata": {"name": "tools"}}),
            )
            .unwrap();
        store
            .tag_image(
                Some("shop"),
                "tools",
                "1",
                "sha256:a",
                "lab.local/tools@sha256:a",
            )
            .unwrap();
    }

    #[test]
    fn a_build_without_its_base_image_is_refused() {
        let store = store();
        config(&store, json!([]));
        let refused = |store: &Store| {
            store
                .instantiate_build("shop", "web", &json!({}))
                .unwrap_err()
        };
        let error = refused(&store);
        insta::assert_snapshot!(error, @r#"Error resolving ImageStreamTag tools:1 in namespace shop: imagestreams.image.openshift.io "tools" not found"#);
        assert_eq!(error.code(), 422);
        let streams = images::image_streams();
        store
            .create(
                &streams,
                Some("shop"),
                json!({"metadata": {"name": "tools"}}),
            )
            .unwrap();
        insta::assert_snapshot!(refused(&store), @"Error resolving ImageStreamTag tools:1 in namespace shop: unable to find latest tagged image");
        let config = store.get(&configs(), Some("shop"), "web").unwrap();
        assert_eq!(config["status"]["lastVersion"], 0);
    }

    #[test]
    fn a_build_is_made_as_the_generator_makes_it() {
        let store = store();
        config(&store, json!([{"type": "ImageChange", "imageChange": {}}]));
        tools(&store);
        let request = json!({
            "env": [{"name": "B", "value": "3"}],
            "triggeredBy": [{"message": "Image change"}],
            "lastVersion": 0,
        });
        let mut build = store.instantiate_build("shop", "web", &request).unwrap();
        assert_eq!(build["metadata"]["name"], "web-1");
        let annotations = build["metadata"]["annotations"].to_string();
        insta::assert_snapshot!(annotations, @r#"{"devcluster.openshifter.test/source":"/src","openshift.io/build-config.name":"web","openshift.io/build.number":"1"}"#);
        insta::assert_json_snapshot!(build["spec"].take(), @r#"
        {
          "output": {
            "to": {
              "kind": "ImageStreamTag",
              "name": "web:latest"
            }
          },
          "postCommit": {},
          "resources": {},
          "serviceAccount": "builder",
          "source": {
            "contextDir": "src",
            "git": {
              "uri": "https://git.example.test/web.git"
            },
            "type": "Git"
          },
          "strategy": {
            "sourceStrategy": {
              "env": [
                {
                  "name": "A",
                  "value": "1"
                },
                {
                  "name": "B",
                  "value": "3"
                }
              ],
              "from": {
                "kind": "DockerImage",
                "name": "lab.local/tools@sha256:a"
              }
            },
            "type": "Source"
          },
          "triggeredBy": [
            {
              "message": "Image change"
            }
          ]
        }
        "#);
        let config = store.get(&configs(), Some("shop"), "web").unwrap();
        assert_eq!(config["status"]["lastVersion"], 1);
        let seen = &config["spec"]["triggers"][0]["imageChange"]["lastTriggeredImageID"];
        assert_eq!(*seen, "lab.local/tools@sha256:a");
        let stale = store
            .instantiate_build("shop", "web", &request)
            .unwrap_err();
        assert_eq!(stale.code(), 409);
        let copy = store.clone_build("shop", "web-1", &json!({})).unwrap();
        assert_eq!(copy["metadata"]["name"], "web-2");
        assert_eq!(copy["metadata"]["annotations"][CLONE_OF], "web-1");
    }

    #[test]
    fn a_binary_source_takes_the_place_of_git() {
        let store = store();
        config(&store, json!([]));
        tools(&store);
        let request = json!({"binary": {"asFile": "app.py"}});
        let build = store.instantiate_build("shop", "web", &request).unwrap();
        assert_eq!(
            build["spec"]["source"],
            json!({"type": "Binary", "binary": {"asFile": "app.py"}, "contextDir": "src"})
        );
        let cloned = store.clone_build("shop", "web-1", &json!({})).unwrap_err();
        assert_eq!(cloned.code(), 400);
    }
}
