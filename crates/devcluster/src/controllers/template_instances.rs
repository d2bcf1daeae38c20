//! TemplateInstances: a template's objects made with the values of a Secret and the rights of the requester,
//! awaited where they ask for it, and removed with the instance.

mod readiness;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_apiserver::{
    ApiError, DeleteOptions, Event, Propagation, ResourceId, process_template,
};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue};
use crate::object::{self, annotation, list, resources, seconds_since, text};
use readiness::Readiness;

const OWNER: &str = "template.openshift.io/template-instance-owner";
const FINALIZER: &str = "template.openshift.io/finalizer";
const WAIT_FOR_READY: &str = "template.alpha.openshift.io/wait-for-ready";

/// Seconds that objects have until they are ready.
const PATIENCE: i64 = 3600;

/// The controller.
pub(super) struct TemplateInstances;

impl Controller for TemplateInstances {
    fn name(&self) -> &'static str {
        "templateinstance"
    }

    fn resource(&self) -> ResourceId {
        resources::template_instances()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        // What an instance waits for may be anything it made, and builds of that.
        if !readiness::is_known(&event.resource) {
            return queue::itself(event, &self.resource());
        }
        let all = context.store.list(&self.resource(), None);
        let waiting = all.iter().filter(|instance| !is_settled(instance));
        waiting.map(queue::key).collect()
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(instance) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&instance) {
            return remove(context, &instance);
        }
        if is_settled(&instance) {
            return Ok(Next::Event);
        }
        let mut made = Vec::new();
        let wanted = list(&instance, "/spec/template/objects").len();
        let outcome = if list(&instance, "/status/objects").len() == wanted {
            made = list(&instance, "/status/objects").to_vec();
            Ok(())
        } else {
            // Noted before the first object is made, so that none is left behind.
            hold(context, namespace, name)?;
            instantiate(context, &instance, &mut made)
        };
        let outcome = outcome.and_then(|()| readiness(context, &instance, &made));
        let mut next = Next::Event;
        context
            .store
            .update_status(&self.resource(), Some(namespace), name, |instance| {
                if !made.is_empty() {
                    instance["status"]["objects"] = json!(made);
                }
                let mut set = |kind: &str, status, reason: &str, message: &str| {
                    object::set_condition(instance, kind, status, reason, message, false);
                };
                match &outcome {
                    Ok(true) => set("Ready", true, "Created", ""),
                    Ok(false) => {
                        let why = "Waiting for instantiated objects to report ready";
                        set("Ready", false, "Waiting", why);
                        next = Next::After(Duration::from_secs(20));
                    }
                    Err(why) => {
                        set("InstantiateFailure", true, "Failed", why);
                        if !made.is_empty() {
                            let why = "See InstantiateFailure condition for error message";
                            set("Ready", false, "Failed", why);
                        }
                    }
                }
            })?;
        Ok(next)
    }
}

/// Whether there is nothing to be done for an instance any more.
fn is_settled(instance: &Value) -> bool {
    let is = |kind| object::condition(instance, kind).is_some_and(|one| one["status"] == "True");
    !object::is_deleting(instance) && (is("Ready") || is("InstantiateFailure"))
}

/// Keeps an instance until its objects are gone.
fn hold(context: &Context, namespace: &str, name: &str) -> Result<(), ApiError> {
    let resource = resources::template_instances();
    context
        .store
        .update(&resource, Some(namespace), name, |instance| {
            let mut finalizers = object::texts(instance, "/metadata/finalizers");
            if !finalizers.iter().any(|one| one == FINALIZER) {
                finalizers.push(FINALIZER.to_owned());
                instance["metadata"]["finalizers"] = json!(finalizers);
            }
        })?;
    Ok(())
}

/// Makes the objects of an instance, and notes those that it could make in any case.
fn instantiate(context: &Context, instance: &Value, made: &mut Vec<Value>) -> Result<(), String> {
    let store = &context.store;
    let namespace = object::namespace(instance);
    let requester = &instance["spec"]["requester"];
    let template = &instance["spec"]["template"];
    let say = |error: ApiError| error.message().to_owned();
    let values = parameters(context, instance).map_err(say)?;
    let configs = ResourceId::new("template.openshift.io", "templateconfigs");
    store
        .require_right(
            requester,
            "create",
            &configs,
            Some(namespace),
            object::name(template),
        )
        .map_err(say)?;
    let mut template = process_template(template, &values).map_err(say)?;
    let mut objects = match template["objects"].take() {
        Value::Array(objects) => objects,
        _ => Vec::new(),
    };
    for one in &mut objects {
        one["metadata"]["labels"] = object::merged(
            &one["metadata"]["labels"],
            &[(OWNER, object::uid(instance))],
        );
    }
    // All questions before the first object: whoever may not make one makes none.
    let refused: Vec<String> = objects
        .iter()
        .filter_map(|one| store.require_creation(requester, namespace, one).err())
        .map(say)
        .collect();
    if !refused.is_empty() {
        return Err(refused.join("\n"));
    }
    let mut failed = Vec::new();
    for one in objects {
        let (version, kind) = (one["apiVersion"].clone(), one["kind"].clone());
        match create(context, instance, one) {
            Ok(done) => {
                let mut reference = json!({
                    "apiVersion": version,
                    "kind": kind,
                    "name": done["metadata"]["name"],
                    "uid": done["metadata"]["uid"],
                });
                if !object::namespace(&done).is_empty() {
                    reference["namespace"] = json!(object::namespace(&done));
                }
                made.push(json!({"ref": reference}));
            }
            Err(error) => failed.push(say(error)),
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("\n")),
    }
}

/// The values of the Secret that an instance names, which its requester must be able to read.
fn parameters(context: &Context, instance: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let name = text(instance, "/spec/secret/name");
    if instance["spec"]["secret"].is_null() {
        return Ok(BTreeMap::new());
    }
    let (secrets, namespace) = (resources::secrets(), object::namespace(instance));
    let requester = &instance["spec"]["requester"];
    context
        .store
        .require_right(requester, "get", &secrets, Some(namespace), name)?;
    let secret = context
        .store
        .get(&secrets, Some(namespace), name)
        .ok_or_else(|| ApiError::not_found_named("", "secrets", name))?;
    let data = secret["data"].as_object().into_iter().flatten();
    Ok(data
        .map(|(name, value)| {
            let bytes = STANDARD.decode(value.as_str().unwrap_or_default());
            let bytes = bytes.unwrap_or_default();
            (name.clone(), String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect())
}

/// Makes an object. One that is there already will do if this very instance made it.
fn create(context: &Context, instance: &Value, object: Value) -> Result<Value, ApiError> {
    let own = object::namespace(&object).to_owned();
    let namespace = match own.is_empty() {
        true => object::namespace(instance),
        false => &own,
    };
    let reference = object.clone();
    let refused = match context.store.create_any(namespace, object) {
        Err(error) if error.code() == 409 => error,
        made => return made,
    };
    find(context, &reference, namespace)
        .filter(|found| found["metadata"]["labels"][OWNER] == instance["metadata"]["uid"])
        .ok_or(refused)
}

/// The object that has the kind and the name of another.
fn find(context: &Context, object: &Value, namespace: &str) -> Option<Value> {
    let catalogue = context.store.catalogue();
    let kind = catalogue.find_kind(text(object, "/apiVersion"), text(object, "/kind"))?;
    let namespace = kind.namespaced.then_some(namespace);
    context
        .store
        .get(&kind.storage(), namespace, object::name(object))
}

/// Whether all objects that ask for it are ready.
fn readiness(context: &Context, instance: &Value, made: &[Value]) -> Result<bool, String> {
    for one in made {
        let reference = &one["ref"];
        let (kind, name) = (text(reference, "/kind"), text(reference, "/name"));
        let namespace = text(reference, "/namespace");
        let wanted = json!({
            "apiVersion": reference["apiVersion"], "kind": kind, "metadata": {"name": name},
        });
        let catalogue = context.store.catalogue();
        let known = catalogue.find_kind(text(reference, "/apiVersion"), kind);
        let Some(known) = known.filter(|kind| readiness::is_known(&kind.id())) else {
            continue;
        };
        let found = find(context, &wanted, namespace)
            .filter(|found| found["metadata"]["uid"] == reference["uid"])
            .ok_or_else(|| {
                let error = ApiError::not_found(&known, name);
                error.message().to_owned()
            })?;
        let waits = annotation(&found, WAIT_FOR_READY);
        if !waits.is_some_and(|waits| waits.eq_ignore_ascii_case("true")) {
            continue;
        }
        match readiness::of(&context.store, &known.id(), &found) {
            Readiness::Ready => {}
            Readiness::Failed => {
                return Err(format!("readiness failed on {kind} {namespace}/{name}"));
            }
            Readiness::Waiting => {
                let age = seconds_since(text(instance, "/metadata/creationTimestamp"));
                if age.is_some_and(|age| age > PATIENCE) {
                    return Err(
                        "timeout while waiting for template instance to be ready".to_owned()
                    );
                }
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Removes what an instance made, by uid: what has the same name now is somebody else's.
fn remove(context: &Context, instance: &Value) -> Reconciled {
    if !object::texts(instance, "/metadata/finalizers").contains(&FINALIZER.to_owned()) {
        return Ok(Next::Event);
    }
    for one in list(instance, "/status/objects") {
        let reference = &one["ref"];
        let (name, namespace) = (text(reference, "/name"), text(reference, "/namespace"));
        let catalogue = context.store.catalogue();
        let kind = catalogue.find_kind(text(reference, "/apiVersion"), text(reference, "/kind"));
        let Some(kind) = kind else { continue };
        let namespace = kind.namespaced.then_some(namespace);
        let found = context.store.get(&kind.storage(), namespace, name);
        if found.is_none_or(|found| found["metadata"]["uid"] != reference["uid"]) {
            continue;
        }
        let options = DeleteOptions {
            uid: Some(text(reference, "/uid").to_owned()),
            propagation: Some(Propagation::Foreground),
            ..DeleteOptions::default()
        };
        let deleted = context.store.delete(&kind.id(), namespace, name, options);
        pods::gone_is_fine(deleted)?;
    }
    let (namespace, name) = queue::key(instance);
    let resource = resources::template_instances();
    let released = context
        .store
        .update(&resource, Some(&namespace), &name, |instance| {
            let mut finalizers = object::texts(instance, "/metadata/finalizers");
            finalizers.retain(|one| one != FINALIZER);
            instance["metadata"]["finalizers"] = json!(finalizers);
        });
    pods::gone_is_fine(released.map(|_| ()))?;
    Ok(Next::Event)
}
