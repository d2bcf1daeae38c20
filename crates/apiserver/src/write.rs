//! The way of a write: metadata, defaults, admission, validation, then the store.

use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::catalogue::{Catalogue, ResourceId, ResourceType};
use crate::error::ApiError;
use crate::fields;
use crate::identity::UserInfo;
use crate::metadata;
use crate::rules::{self, Context};
use crate::settings::Settings;
use crate::state::{State, key};
use crate::store::{DeleteOptions, Propagation};

/// Which part of an object a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Main,
    /// The status alone.
    Status,
    /// A subresource that changes what the closure says, past the rules on immutable fields.
    Special,
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Write<'a> {
    /// None for the system itself.
    pub(crate) user: Option<&'a UserInfo>,
    /// Name in `managedFields`.
    pub(crate) manager: &'a str,
    /// Everything but the last step.
    pub(crate) dry_run: bool,
    pub(crate) part: Part,
    /// The object brings its `managedFields` along: a server-side apply worked them out.
    pub(crate) managed: bool,
}

impl Write<'_> {
    /// A write by the system: no access control, no rules on immutable fields.
    pub(crate) fn system() -> Self {
        Write {
            user: None,
            manager: "openshifter-devcluster",
            dry_run: false,
            part: Part::Main,
            managed: false,
        }
    }
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub(crate) struct Deleted {
    pub(crate) object: Arc<Value>,
    /// Whether the object is gone; else it waits for something.
    pub(crate) gone: bool,
}

pub(crate) fn create(
    state: &mut State,
    catalogue: &Catalogue,
    settings: &Settings,
    kind: &ResourceType,
    namespace: Option<&str>,
    mut object: Value,
    write: &Write<'_>,
) -> Result<Arc<Value>, ApiError> {
    let storage = kind.storage();
    metadata::type_of(kind, &mut object)?;
    metadata::begin(kind, namespace, &mut object)?;
    let name = metadata::name(&object).to_owned();
    if let Some(namespace) = namespace.filter(|_| kind.namespaced) {
        require_namespace(state, kind, namespace, &name)?;
    }
    let meta = metadata::of(&mut object)?;
    let revision = meta.remove("resourceVersion");
    let managed = meta.remove("managedFields").filter(|_| write.managed);
    for field in metadata::SERVER_FIELDS {
        meta.remove(field);
    }
    meta.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
    meta.insert("creationTimestamp".to_owned(), json!(metadata::now()));
    if rules::has_generation(kind) {
        meta.insert("generation".to_owned(), json!(1));
    }
    let context = Context {
        state,
        settings,
        kind,
        user: write.user,
    };
    rules::on_create(&context, &mut object)?;
    // The storage layer's own refusal, which a dry run never reaches.
    if !write.dry_run && revision.is_some_and(|revision| revision != "") {
        return Err(ApiError::unexplained(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if let Some(existing) = state.get(&storage, scope(kind, namespace), &name) {
        let prefix = if existing["metadata"]["deletionTimestamp"].is_null() {
            ""
        } else {
            "object is being deleted: "
        };
        let suffix = if object["metadata"]["generateName"].is_string() {
            ", the server was not able to generate a unique name for the object"
        } else {
            ""
        };
        return Err(ApiError::already_exists_named(
            &kind.group,
            &kind.plural,
            &name,
            prefix,
            suffix,
        ));
    }
    match managed {
        Some(managed) => object["metadata"]["managedFields"] = managed,
        None => fields::track(kind, None, &mut object, write.manager, None),
    }
    if write.dry_run {
        return Ok(Arc::new(object));
    }
    let object = state.put(&storage, object);
    if is_definition(kind) {
        catalogue.define(&object);
    }
    Ok(object)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one request, called in one place"
)]
pub(crate) fn update(
    state: &mut State,
    catalogue: &Catalogue,
    settings: &Settings,
    kind: &ResourceType,
    namespace: Option<&str>,
    name: &str,
    write: &Write<'_>,
    change: impl FnOnce(&Value) -> Result<Value, ApiError>,
) -> Result<Arc<Value>, ApiError> {
    let storage = kind.storage();
    let current = state
        .get(&storage, scope(kind, namespace), name)
        .cloned()
        .ok_or_else(|| ApiError::not_found(kind, name))?;
    let mut object = change(&current)?;
    metadata::type_of(kind, &mut object)?;
    require_same(kind, &current, &object, name)?;
    match write.part {
        Part::Status => {
            let status = object.get("status").cloned();
            let managed = object["metadata"].get("managedFields").cloned();
            object = Value::clone(&current);
            set(&mut object, "status", status);
            if write.managed {
                set(&mut object["metadata"], "managedFields", managed);
            }
        }
        Part::Main if kind.has_subresource("status") => {
            set(&mut object, "status", current.get("status").cloned());
        }
        Part::Main | Part::Special => {}
    }
    let managed = metadata::of(&mut object)?
        .remove("managedFields")
        .filter(|_| write.managed);
    metadata::keep(&current, &mut object);
    if write.part != Part::Status {
        let context = Context {
            state,
            settings,
            kind,
            user: write.user.filter(|_| write.part == Part::Main),
        };
        rules::on_update(&context, &current, &mut object)?;
    }
    if rules::has_generation(kind) && rules::is_new_generation(kind, &current, &object) {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
    }
    match managed {
        Some(managed) => object["metadata"]["managedFields"] = managed,
        None => {
            let subresource = (write.part == Part::Status).then_some("status");
            fields::track(
                kind,
                Some(&current),
                &mut object,
                write.manager,
                subresource,
            );
        }
    }
    if same(&current, &object, write.managed) {
        return Ok(current);
    }
    if write.dry_run {
        return Ok(Arc::new(object));
    }
    let ready_to_go = !object["metadata"]["deletionTimestamp"].is_null()
        && no_finalizers(&object)
        && object["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0)
            == 0;
    let key = key(scope(kind, namespace), name);
    let object = state.put(&storage, object);
    if ready_to_go {
        state.remove(&storage, &key);
        forget(state, catalogue, kind, &object);
    } else if is_definition(kind) {
        catalogue.define(&object);
    }
    Ok(object)
}

pub(crate) fn delete(
    state: &mut State,
    catalogue: &Catalogue,
    kind: &ResourceType,
    namespace: Option<&str>,
    name: &str,
    options: &DeleteOptions,
    write: &Write<'_>,
) -> Result<Deleted, ApiError> {
    let storage = kind.storage();
    let key = key(scope(kind, namespace), name);
    let current = state
        .get(&storage, scope(kind, namespace), name)
        .cloned()
        .ok_or_else(|| ApiError::not_found(kind, name))?;
    require_preconditions(kind, name, &current, options)?;
    let mut object = Value::clone(&current);
    let mut finalizers = metadata::finalizers(&object);
    let dependents = match options
        .propagation
        .unwrap_or_else(|| rules::default_propagation(kind))
    {
        Propagation::Background => None,
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Orphan => Some("orphan"),
    };
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    // Without dependents there is nothing to wait for.
    if let Some(finalizer) = dependents.filter(|_| !state.dependents(uid).is_empty())
        && !finalizers.iter().any(|one| one == finalizer)
    {
        finalizers.push(finalizer.to_owned());
    }
    let grace = rules::grace_period(kind, &object, options.grace_period_seconds);
    let holds_content = storage == ResourceId::core("namespaces")
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|finalizers| !finalizers.is_empty());
    if finalizers.is_empty() && grace == 0 && !holds_content {
        if write.dry_run {
            return Ok(Deleted {
                object: current,
                gone: true,
            });
        }
        let object = state.remove(&storage, &key).unwrap_or(current);
        forget(state, catalogue, kind, &object);
        return Ok(Deleted { object, gone: true });
    }
    let meta = metadata::of(&mut object)?;
    meta.entry("deletionTimestamp").or_insert_with(|| {
        json!(metadata::timestamp(
            jiff::Timestamp::now() + jiff::SignedDuration::from_secs(grace)
        ))
    });
    let left = meta
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
        .map_or(grace, |left| left.min(grace));
    meta.insert("deletionGracePeriodSeconds".to_owned(), json!(left));
    if !finalizers.is_empty() {
        meta.insert("finalizers".to_owned(), json!(finalizers));
    }
    if holds_content {
        // A namespace's recorded form has no grace period.
        meta.remove("deletionGracePeriodSeconds");
        object["status"]["phase"] = json!("Terminating");
    } else if rules::has_generation(kind) && current["metadata"]["deletionTimestamp"].is_null() {
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
    }
    if object == *current || write.dry_run {
        return Ok(Deleted {
            object: Arc::new(object),
            gone: false,
        });
    }
    Ok(Deleted {
        object: state.put(&storage, object),
        gone: false,
    })
}

fn require_namespace(
    state: &State,
    kind: &ResourceType,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let Some(found) = state.get(&ResourceId::core("namespaces"), None, namespace) else {
        return Err(ApiError::not_found_named("", "namespaces", namespace));
    };
    if found["status"]["phase"] == "Terminating" {
        return Err(ApiError::namespace_terminating(kind, name, namespace));
    }
    Ok(())
}

fn require_same(
    kind: &ResourceType,
    current: &Value,
    object: &Value,
    name: &str,
) -> Result<(), ApiError> {
    let meta = &object["metadata"];
    if let Some(other) = meta["name"].as_str().filter(|other| *other != name) {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({other}) does not match the name on the URL ({name})"
        )));
    }
    let conflict = |why: &str| ApiError::conflict(&kind.group, &kind.plural, name, why);
    let is = &current["metadata"];
    if let Some(uid) = meta["uid"].as_str().filter(|uid| !uid.is_empty())
        && is["uid"] != uid
    {
        let namespace = is["namespace"].as_str().unwrap_or_default();
        let path = if namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{namespace}/{name}")
        };
        let group = if kind.group.is_empty() {
            String::new()
        } else {
            format!("{}/", kind.group)
        };
        return Err(conflict(&format!(
            "StorageError: invalid object, Code: 4, Key: /kubernetes.io/{group}{}/{path}, \
             ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, \
             UID in object meta: {}",
            kind.plural,
            is["uid"].as_str().unwrap_or_default()
        )));
    }
    if let Some(revision) = meta["resourceVersion"].as_str().filter(|rv| !rv.is_empty())
        && is["resourceVersion"] != revision
    {
        return Err(conflict(
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    Ok(())
}

fn require_preconditions(
    kind: &ResourceType,
    name: &str,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let is = |field: &str| current["metadata"][field].as_str().unwrap_or_default();
    let conflict = |why: String| ApiError::conflict(&kind.group, &kind.kind, name, &why);
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != is("uid")) {
        return Err(conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). \
             The object might have been deleted and then recreated",
            is("uid")
        )));
    }
    if let Some(revision) = options
        .resource_version
        .as_deref()
        .filter(|revision| *revision != is("resourceVersion"))
    {
        return Err(conflict(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion \
             in record ({}). The object might have been modified",
            is("resourceVersion")
        )));
    }
    Ok(())
}

fn scope<'a>(kind: &ResourceType, namespace: Option<&'a str>) -> Option<&'a str> {
    namespace.filter(|_| kind.namespaced)
}

/// After a definition its resources go, too.
fn forget(state: &mut State, catalogue: &Catalogue, kind: &ResourceType, object: &Value) {
    if !is_definition(kind) {
        return;
    }
    catalogue.undefine(metadata::name(object));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &object["spec"];
    let resource = ResourceId {
        group: text(&spec["group"]),
        plural: text(&spec["names"]["plural"]),
    };
    let keys: Vec<_> = state
        .list(&resource, None)
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        state.remove(&resource, &key);
    }
}

fn is_definition(kind: &ResourceType) -> bool {
    kind.id()
        .is("apiextensions.k8s.io", "customresourcedefinitions")
}

fn no_finalizers(object: &Value) -> bool {
    metadata::finalizers(object).is_empty() && object["kind"] != "Namespace"
}

/// Sets a field, or takes it away.
pub(crate) fn set(object: &mut Value, field: &str, value: Option<Value>) {
    if let Value::Object(map) = object {
        match value {
            Some(value) => map.insert(field.to_owned(), value),
            None => map.remove(field),
        };
    }
}

/// Whether a write changes nothing. Times in `managedFields` alone are no change.
fn same(current: &Value, object: &Value, managed: bool) -> bool {
    let strip = |value: &Value| {
        let mut value = value.clone();
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("resourceVersion");
            if managed {
                for entry in meta
                    .get_mut("managedFields")
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    entry
                        .as_object_mut()
                        .map(|entry: &mut Map<_, _>| entry.remove("time"));
                }
            } else {
                meta.remove("managedFields");
            }
        }
        value
    };
    strip(current) == strip(object)
}
