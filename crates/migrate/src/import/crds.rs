//! Kinds that the target must know, and the definitions that a chart brings along.

use std::time::Duration;

use openshifter_cluster::{Cluster, DryRun};
use openshifter_objects::{GroupKind, Object};

use crate::import::objects::note_created;
use crate::import::{ImportOptions, Prepared};
use crate::journal::{At, Event};
use crate::report::Report;
use crate::run::RUN_LABEL;
use crate::{Action, MigrateError, Run};

fn definition() -> GroupKind {
    GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition")
}

fn defines(crd: &Object, kind: &GroupKind) -> bool {
    let spec = &crd.value()["spec"];
    spec["group"] == kind.group.as_str() && spec["names"]["kind"] == kind.kind.as_str()
}

/// The chart's definitions that the target does not have.
async fn missing<'a>(
    target: &Cluster,
    prepared: &'a Prepared,
) -> Result<Vec<&'a Object>, MigrateError> {
    let discovery = target.discovery().await?;
    Ok(prepared
        .crds
        .iter()
        .filter(|crd| {
            !discovery
                .all()
                .iter()
                .any(|resource| defines(crd, &resource.group_kind()))
        })
        .collect())
}

/// Refuses a chart with kinds that the target does not know.
///
/// # Errors
/// When a kind is neither served nor defined by the chart, or definitions may not be created.
pub(crate) async fn check(
    target: &Cluster,
    prepared: &Prepared,
    options: &ImportOptions,
) -> Result<(), MigrateError> {
    let discovery = target.discovery().await?;
    let missing = missing(target, prepared).await?;
    let mut unknown: Vec<String> = prepared
        .objects
        .iter()
        .map(Object::group_kind)
        .filter(|kind| {
            discovery.find(kind).is_none() && !missing.iter().any(|crd| defines(crd, kind))
        })
        .map(|kind| kind.to_string())
        .collect();
    unknown.sort();
    unknown.dedup();
    if !unknown.is_empty() {
        return Err(MigrateError::UnknownKinds {
            cluster: target.name().to_owned(),
            kinds: unknown.join(", "),
        });
    }
    if !missing.is_empty() && !options.allow_crds {
        return Err(MigrateError::NeedsAllow {
            what: missing
                .iter()
                .map(|crd| crd.key().to_string())
                .collect::<Vec<_>>()
                .join(", "),
            flag: "crds",
        });
    }
    Ok(())
}

/// Creates the definitions that are missing, and waits until they are served.
pub(crate) async fn create(
    run: &Run,
    target: &Cluster,
    prepared: &Prepared,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let missing = missing(target, prepared).await?;
    for crd in &missing {
        let mut crd = (*crd).clone();
        crd.set_label(RUN_LABEL, run.id.as_str());
        let key = crd.key();
        let failed = |source| MigrateError::Object {
            key: key.clone(),
            done: "created",
            source,
        };
        run.journal.write(Event::Creating {
            at: At::Target,
            key: key.clone(),
        })?;
        let created = target
            .create(None, &crd, DryRun::No)
            .await
            .map_err(failed)?;
        note_created(run, &created)?;
        target
            .wait(
                &definition(),
                None,
                &key.name,
                Duration::from_secs(60),
                |crd| {
                    crd.is_some_and(|crd| {
                        crd.value()["status"]["conditions"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .any(|condition| {
                                condition["type"] == "Established" && condition["status"] == "True"
                            })
                    })
                },
            )
            .await
            .map_err(failed)?;
        report.object(
            key,
            Action::Created,
            Some("a definition of the whole cluster".to_owned()),
        );
    }
    if !missing.is_empty() {
        target.refresh_discovery().await?;
    }
    Ok(())
}
