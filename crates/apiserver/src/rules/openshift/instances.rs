//! TemplateInstances: whoever makes one is noted in it, and its objects are made with that user's rights.

use serde_json::Value;

use super::super::Context;
use crate::auth::{rbac, reviews};
use crate::error::{ApiError, Cause};
use crate::metadata;

/// Notes who asks, unless the object says for whom it is.
pub(super) fn on_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    if let Some(user) = context.user
        && object["spec"].is_object()
        && object["spec"]["requester"].is_null()
    {
        object["spec"]["requester"] = reviews::user_info(user);
    }
    require_requester(context, object)
}

/// Refuses an object that acts for somebody else, unless its sender may `assign` those.
pub(super) fn require_requester(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let name = object["spec"]["requester"]["username"]
        .as_str()
        .unwrap_or_default();
    if name.is_empty() {
        return context.invalid(object, &[Cause::required("spec.requester.username", "")]);
    }
    let Some(user) = context.user.filter(|user| user.name != name) else {
        return Ok(());
    };
    let assign = rbac::Attributes {
        verb: "assign",
        group: "template.openshift.io",
        resource: "templateinstances",
        namespace: metadata::namespace(object),
        name: Some(metadata::name(object)),
        ..rbac::Attributes::default()
    };
    if rbac::allowed(context.state, user, &assign).is_some() {
        return Ok(());
    }
    context.invalid(
        object,
        &[Cause::forbidden(
            "spec.impersonateUser",
            "impersonation forbidden",
        )],
    )
}
