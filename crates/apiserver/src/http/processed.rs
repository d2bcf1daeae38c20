//! `processedtemplates`: a template is sent and comes back with its values, and nothing is kept.

use super::request::{Target, Verb};
use super::respond::Answer;
use super::{Call, body};
use crate::error::ApiError;
use crate::processing;

/// Answers for processed templates; none for all else.
pub(crate) fn handle(call: &Call, target: &Target, verb: Verb) -> Result<Option<Answer>, ApiError> {
    let kind = &target.kind;
    if kind.group != "template.openshift.io" || kind.plural != "processedtemplates" {
        return Ok(None);
    }
    if verb != Verb::Create || target.subresource.is_some() {
        return Err(ApiError::method_not_allowed());
    }
    let read = body::object(kind, &call.request)?;
    let mut template = read.object;
    processing::process(&mut template)?;
    template["apiVersion"] = kind.api_version().into();
    template["kind"] = kind.kind.clone().into();
    Ok(Some(Answer::created(template).warn(read.warnings)))
}
