//! Takes every object through every rule.

use openshifter_objects::Object;
use serde_json::Value;

use crate::draft::{Collected, Context, Draft};
use crate::report::{Refactored, RefactoredObject};
use crate::rules::RULES;
use crate::{Choices, Source};

/// Makes an application's objects fit another cluster.
///
/// The objects keep the source's namespace; knobs of the kind
/// [`KnobSource::ReleaseNamespace`](openshifter_objects::KnobSource::ReleaseNamespace) are where the
/// target's goes. Turning all knobs with the given values and the source's namespace gives exactly the
/// given objects. Refactoring refactored objects changes nothing more.
pub fn refactor(objects: &[Object], source: &Source, choices: &Choices) -> Refactored {
    let context = Context::new(objects, source, choices);
    let mut collected = Collected::default();
    let objects = objects
        .iter()
        .map(|original| {
            let mut draft = Draft::new(original, &RULES[0], &mut collected);
            for rule in RULES {
                draft.under(rule);
                (rule.apply)(&mut draft, &context);
            }
            let (object, changes) = draft.finish();
            RefactoredObject { object, changes }
        })
        .collect();
    Refactored {
        objects,
        knobs: collected.knobs,
        values: Value::Object(collected.values),
        findings: collected.findings,
    }
}
