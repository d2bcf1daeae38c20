//! What refactoring gives back.

use openshifter_objects::{Knob, Object, ObjectKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One changed field of one object.
///
/// Secret values are never part of it, nor are the bulky ones (`status`, `managedFields`): they are
/// `None` on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The rule that changed it, as in `service-address`.
    pub rule: String,
    /// The field at the source, as a JSON pointer.
    pub pointer: String,
    /// Why, for a person.
    pub reason: String,
    /// Its value before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Its value now; `None` when the field was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// The application may behave differently at the target.
    Warning,
    /// The object cannot work at the target as it is.
    Error,
}

/// Something that a person has to know or decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The object.
    pub object: ObjectKey,
    /// The rule that found it.
    pub rule: String,
    /// What it is and what can be done, without secret values.
    pub message: String,
}

/// An object that fits another cluster, and how it was changed for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefactoredObject {
    /// The object.
    pub object: Object,
    /// The changes, in the order they were made.
    pub changes: Vec<Change>,
}

/// An application's objects, fit for another cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refactored {
    /// The objects, in the order they came.
    pub objects: Vec<RefactoredObject>,
    /// The places that a target may need to be different.
    pub knobs: Vec<Knob>,
    /// Content of `values.yaml`: what the knobs are set to if nobody turns them. It holds secret values.
    pub values: Value,
    /// What a person has to know.
    pub findings: Vec<Finding>,
}
