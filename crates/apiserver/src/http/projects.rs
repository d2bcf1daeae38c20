//! Projects: views on namespaces, for those who are in them, and the requests that make them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Target, Verb};
use super::respond::{Answer, Shape, success};
use super::{App, Call, body, handlers, list, patch, table, watch};
use crate::auth::rbac;
use crate::catalogue::{ResourceId, ResourceType};
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::metadata;
use crate::state::State;
use crate::write::Write;

fn namespaces(app: &App) -> Result<Arc<ResourceType>, ApiError> {
    app.store
        .catalogue()
        .find("", "v1", "namespaces")
        .ok_or_else(ApiError::no_such_resource)
}

/// Whether a user is in a project, that is, may see it.
fn sees(state: &State, user: &UserInfo, name: &str) -> bool {
    let attributes = rbac::Attributes {
        verb: "get",
        group: "",
        resource: "namespaces",
        namespace: Some(name),
        name: Some(name),
        ..rbac::Attributes::default()
    };
    rbac::allowed(state, user, &attributes).is_some()
}

pub(crate) fn handle(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Answer, ApiError> {
    if target.kind.plural == "projectrequests" {
        return match verb {
            Verb::Create => request(app, call, target),
            _ => Ok(Answer::json(success(Value::Null))),
        };
    }
    let spaces = namespaces(app)?;
    match verb {
        Verb::Get => handlers::get(app, call, target),
        Verb::List => {
            let selection = list::Selection::read(&target.kind, &call.request)?;
            let all = app.store.list(&spaces.id(), None);
            let state = app.store.state();
            let mine = all
                .into_iter()
                .filter(|project| selection.matches(project))
                .filter(|project| sees(&state, &call.user, metadata::name(project)))
                .collect();
            drop(state);
            // A list that depends on who asks belongs to no revision.
            Ok(Answer::json(list::document(
                app,
                call,
                &target.kind,
                mine,
                json!({}),
            )))
        }
        Verb::Watch => {
            let (store, user) = (app.store.clone(), call.user.clone());
            let filter: watch::Filter =
                Arc::new(move |project| sees(&store.state(), &user, metadata::name(project)));
            watch::watch(app, call, target, Some(filter))
        }
        Verb::Create => {
            let read = body::object(&target.kind, &call.request)?;
            let manager = call.request.manager();
            let write = Write {
                user: Some(&call.user),
                manager: &manager,
                dry_run: call.request.dry_run("CreateOptions")?,
                ..Write::system()
            };
            let made = app.store.create_with(&spaces, None, read.object, &write)?;
            Ok(Answer::created(handlers::shaped(call, &target.kind, &made)))
        }
        Verb::Update => handlers::update(app, call, &target.with_kind(spaces)),
        Verb::Patch => patch::patch(app, call, target),
        Verb::Delete => {
            let (options, dry_run) = handlers::delete_options(&call.request)?;
            let write = Write {
                user: Some(&call.user),
                dry_run,
                ..Write::system()
            };
            app.store
                .delete_with(&spaces, None, target.name(), &options, &write)
                .map_err(|error| rename_missing(error, target))?;
            Ok(Answer::json(success(Value::Null)))
        }
        Verb::DeleteCollection => Err(ApiError::method_not_allowed()),
    }
}

fn rename_missing(error: ApiError, target: &Target) -> ApiError {
    if error.code() == 404 {
        ApiError::not_found(&target.kind, target.name())
    } else {
        error
    }
}

/// Makes a project for the one who asks, who becomes its administrator. As on genuine servers it is
/// made even in a dry run.
fn request(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let read = body::object(&target.kind, &call.request)?;
    let object = read.object;
    let name = metadata::name(&object).to_owned();
    const GROUP: &str = "project.openshift.io";
    if name.is_empty() {
        return Err(ApiError::invalid(
            GROUP,
            "ProjectRequest",
            "",
            &[crate::error::Cause::required(
                "metadata.name",
                "name or generateName is required",
            )],
        ));
    }
    for prefix in ["kube-", "openshift-"] {
        if name.starts_with(prefix) && !call.user.is_master() {
            return Err(ApiError::forbidden(
                GROUP,
                "project",
                &name,
                format!("cannot request a project starting with {prefix:?}"),
            ));
        }
    }
    if app
        .store
        .get(&ResourceId::core("namespaces"), None, &name)
        .is_some()
    {
        return Err(ApiError::already_exists_named(
            GROUP, "project", &name, "", "",
        ));
    }
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let spaces = namespaces(app)?;
    let write = Write {
        manager: "openshift-apiserver",
        ..Write::system()
    };
    let mut project = json!({
        "metadata": {
            "name": name,
            "labels": object["metadata"]["labels"],
            "annotations": {
                "openshift.io/description": text("description"),
                "openshift.io/display-name": text("displayName"),
                "openshift.io/requester": call.user.name,
            },
        },
    });
    if object["metadata"]["labels"].is_null()
        && let Some(meta) = project["metadata"].as_object_mut()
    {
        meta.remove("labels");
    }
    metadata::begin(&target.kind, None, &mut project)?;
    let made = app.store.create_with(&spaces, None, project, &write)?;
    app.store.create(
        &ResourceId::new("rbac.authorization.k8s.io", "rolebindings"),
        Some(&name),
        json!({
            "metadata": {"name": "admin"},
            "subjects": [{
                "kind": "User",
                "apiGroup": "rbac.authorization.k8s.io",
                "name": call.user.name,
            }],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "admin",
            },
        }),
    )?;
    let projects = app
        .store
        .catalogue()
        .find(GROUP, "v1", "projects")
        .ok_or_else(ApiError::no_such_resource)?;
    let answer = match call.request.accept.shape {
        Shape::Table => table::table(
            &projects,
            &[super::convert::outgoing(&projects, &made)],
            json!({}),
            None,
        ),
        _ => super::convert::outgoing(&projects, &made),
    };
    Ok(Answer::created(answer))
}
