//! Pure rules that make an object of one cluster fit another. Nothing here does input or output.
//!
//! The way of an application's objects:
//!
//! 1. [`select`] tells which of a namespace's objects are the application, and why the others are not.
//! 2. [`refactor`] takes out of them what belongs to the source alone, finds the places that a target may
//!    need to be different (knobs), and reports what a person has to know (findings).
//! 3. [`retarget`] points the values at the namespace and registry of a target.
//! 4. [`waves`] orders objects by what they need of each other; [`hold`] tells what must not start before
//!    its data is there.
//! 5. [`compare_live`] tells whether an object at the target is already what would be created.
//!
//! Every change names its rule; [`rules`] lists them. A rule is one file under `src/rules/`.
//!
//! # Paths of `values.yaml`
//!
//! Keys are names of objects exactly as they are, so they may hold dots and colons.
//!
//! | path | what | when empty |
//! | --- | --- | --- |
//! | `routes.<Route>.host` | host of a Route | the target's router names it |
//! | `routes.<Route>.tls.key` | private key of a Route | refused |
//! | `ingresses.<Ingress>.hosts.<host at the source>` | a host of an Ingress, in rules and TLS alike | refused |
//! | `claims.<claim>.storageClassName` | class of a PersistentVolumeClaim | the target's default class |
//! | `claims.<claim>.size` | its size | refused |
//! | `statefulSets.<name>.volumeClaimTemplates.<template>.storageClassName`, `….size` | the same for claims still to be made | as above |
//! | `images.<Kind>.<workload>.<container>` | image of a container, init containers included | refused |
//! | `images.BuildConfig.<name>.from`, `….to` | base and result of a build, where they are images and not tags of image streams | refused |
//! | `replicas.<Kind>.<workload>` | replica count | refused |
//! | `suspend.<Kind>.<name>` | whether a Job or CronJob waits to be started | refused |
//! | `secrets.<Secret>.data.<key>` | value in base64, as in the Secret's `data` | kept empty |
//! | `webhooks.<BuildConfig>.<place in its triggers>` | secret of a webhook | refused |
//! | `groups.<RoleBinding>.<group at the source>` | a subject `system:serviceaccounts:<namespace>` | refused |
//!
//! ```
//! use openshifter_objects::Object;
//! use openshifter_refactor::{Choices, Source, refactor};
//! let service = Object::parse(br#"{"apiVersion":"v1","kind":"Service",
//!     "metadata":{"name":"web","namespace":"shop","uid":"1"},"spec":{"clusterIP":"172.30.4.7"}}"#)?;
//! let source = Source { namespace: "shop".into(), openshift: true };
//! let done = refactor(&[service], &source, &Choices::default());
//! let changed: Vec<_> = done.objects[0].changes.iter().map(|c| c.pointer.as_str()).collect();
//! assert_eq!(changed, ["/metadata/uid", "/spec/clusterIP"]);
//! # Ok::<(), openshifter_objects::ObjectError>(())
//! ```

mod choices;
mod compare;
mod draft;
mod hold;
mod order;
mod quantity;
mod refactor;
mod report;
mod retarget;
mod rules;
mod select;

pub use choices::{Choices, Source};
pub use compare::{Difference, compare_live};
pub use hold::{Hold, held_back, hold};
pub use order::waves;
pub use refactor::refactor;
pub use report::{Change, Finding, Refactored, RefactoredObject, Severity};
pub use retarget::{retarget, retarget_image};
pub use rules::{RuleInfo, rules};
pub use select::{HELPER_LABEL, RUN_MARK, select};
