//! What a chart's objects become: refactored again from what the source served, then set to the values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use openshifter_chart::Chart;
use openshifter_objects::{Knob, Object, ObjectKey};
use openshifter_refactor::{Choices, Finding, Refactored, Severity, Source};
use openshifter_volumes::StoredVolume;
use serde_json::{Value, json};

use super::arrived::tags_with_images;
use crate::images::{Landing, adapt, held_builds, hold_where_present, not_worrying};
use crate::import::{ImportOptions, Prepared};
use crate::{MigrateError, merge_values};

/// Prepares a chart for a namespace. Changes nothing but the spool.
pub(crate) async fn prepare(
    chart: &Chart,
    options: &ImportOptions,
    namespace: &str,
    spool: &Path,
    landing: &Landing,
) -> Result<Prepared, MigrateError> {
    if chart.legacy() {
        return legacy(chart, options, namespace, spool).await;
    }
    let source = Source {
        namespace: chart.manifest().chart.source_namespace.clone(),
        openshift: chart.manifest().chart.openshift_version.is_some(),
    };
    // The other choices of the export are in the chart's values.
    let choices = Choices {
        // As at the export, whatever this import decides: the knobs know the places of then.
        copied_builds: held_builds(&chart.manifest().images),
        ..Choices::default()
    };
    let mut refactored = openshifter_refactor::refactor(&chart.objects()?, &source, &choices);
    not_worrying(&mut refactored.findings, &landing.records);
    let mut defaults = chart.default_values()?;
    let knobs = chart.knobs()?;
    // Images and groups that name the source's project, where it is only a part of the text.
    let host = landing.host.as_deref().filter(|_| source.openshift);
    if source.namespace != namespace || host.is_some() {
        openshifter_refactor::retarget(&mut defaults, &source.namespace, namespace, host);
    }
    landing.set_values(&mut defaults, &knobs, namespace);
    let values = merge_values(&defaults, &options.values)?;
    let mut objects = turn(&refactored, &knobs, &values, namespace)?;
    let held = &choices.copied_builds - &held_builds(&landing.records);
    release(&mut objects, &held, &chart.objects()?);
    refactored.findings.retain(|finding| {
        finding.rule != "build-config"
            || !held.contains(&finding.object.name)
            || !finding.message.contains("it does not build by itself")
    });
    adapt(&mut objects, &landing.records, namespace)?;
    hold_where_present(&mut objects, &landing.records);
    if source.openshift {
        landing.retarget_dockerfiles(&mut objects, &source.namespace, namespace);
    }
    landing.set_objects(&mut objects, &knobs, namespace);
    refactored
        .findings
        .extend(landing.without_streams(&mut objects));
    let manifest = chart.manifest();
    let mut losses: Vec<String> = manifest
        .losses
        .iter()
        .filter(|loss| !landing.settles(loss))
        .cloned()
        .collect();
    for claim in manifest
        .skipped
        .iter()
        .filter(|claim| !options.skip_volumes.contains(*claim))
    {
        losses.push(format!(
            "the data of claim {claim} is not in the chart, since the export left it out: move it yourself; --skip-volume {claim} says that this is known"
        ));
    }
    let had = tags_with_images(&chart.objects()?);
    let mut volumes = chart.volumes()?;
    let skipped = leave_skipped(&mut volumes, &objects, options)?;
    Ok(Prepared {
        objects,
        had,
        crds: chart.crds()?,
        volumes,
        skipped,
        helpers: manifest
            .volumes
            .iter()
            .filter_map(|volume| Some((volume.claim.clone(), volume.helper.clone()?)))
            .collect(),
        findings: refactored.findings,
        left_out: manifest.left_out.clone(),
        losses,
    })
}

/// Takes out the volumes that are not to be restored; gives the claims that this was asked for.
fn leave_skipped(
    volumes: &mut Vec<(String, StoredVolume)>,
    objects: &[Object],
    options: &ImportOptions,
) -> Result<Vec<String>, MigrateError> {
    for claim in &options.skip_volumes {
        let known = volumes.iter().any(|(name, _)| name == claim)
            || objects
                .iter()
                .any(|object| object.is("", "PersistentVolumeClaim") && object.name() == claim);
        if !known {
            return Err(MigrateError::VolumeAccess {
                claim: claim.clone(),
                reason: "--skip-volume names it, but the chart has no such claim".to_owned(),
            });
        }
    }
    volumes.retain(|(name, _)| !options.skip_volumes.contains(name));
    Ok(options.skip_volumes.iter().cloned().collect())
}

/// Gives BuildConfigs back what starts builds, where the chart held it back and this import builds their images.
fn release(objects: &mut [Object], names: &BTreeSet<String>, originals: &[Object]) {
    let is_config = |object: &Object| object.is("build.openshift.io", "BuildConfig");
    for config in objects
        .iter_mut()
        .filter(|object| is_config(object) && names.contains(object.name()))
    {
        let original = originals
            .iter()
            .find(|object| is_config(object) && object.name() == config.name());
        let Some(original) = original.and_then(|one| one.value()["spec"]["triggers"].as_array())
        else {
            continue;
        };
        let held = config.value()["spec"]["triggers"].as_array();
        // Those that were not removed are all there, in their order.
        let mut held = held.cloned().unwrap_or_default().into_iter();
        let triggers: Vec<Value> = original
            .iter()
            .filter_map(|trigger| match trigger["type"].as_str() {
                Some("ConfigChange") => Some(trigger.clone()),
                Some("ImageChange") if !trigger["imageChange"].is_object() => Some(trigger.clone()),
                Some("ImageChange") => {
                    let mut now = held.next()?;
                    now["imageChange"]["paused"] = trigger["imageChange"]["paused"].clone();
                    if let (true, Some(change)) = (
                        now["imageChange"]["paused"].is_null(),
                        now["imageChange"].as_object_mut(),
                    ) {
                        change.remove("paused");
                    }
                    Some(now)
                }
                _ => held.next(),
            })
            .collect();
        config.value_mut()["spec"]["triggers"] = triggers.into();
    }
}

/// The refactored objects with all knobs set.
fn turn(
    refactored: &Refactored,
    knobs: &[Knob],
    values: &Value,
    namespace: &str,
) -> Result<Vec<Object>, MigrateError> {
    let mut of: BTreeMap<&ObjectKey, Vec<&Knob>> = BTreeMap::new();
    for knob in knobs {
        of.entry(&knob.object).or_default().push(knob);
    }
    let mut objects = Vec::with_capacity(refactored.objects.len());
    for entry in &refactored.objects {
        let mut object = entry.object.clone();
        for knob in of.get(&object.key()).into_iter().flatten() {
            knob.turn(&mut object, values, namespace)?;
        }
        object.set_namespace(Some(namespace));
        objects.push(object);
    }
    Ok(objects)
}

/// A chart of the 2019 prototype: objects as one list, data by mount path, no claims.
async fn legacy(
    chart: &Chart,
    options: &ImportOptions,
    namespace: &str,
    spool: &Path,
) -> Result<Prepared, MigrateError> {
    let listed = chart.objects()?;
    let inventory = openshifter_refactor::select(listed, Vec::new(), None);
    let from = inventory
        .objects
        .iter()
        .find_map(Object::namespace)
        .unwrap_or(namespace)
        .to_owned();
    let openshift = inventory
        .objects
        .iter()
        .any(|object| object.group().ends_with(".openshift.io"));
    let source = Source {
        namespace: from,
        openshift,
    };
    let mut refactored =
        openshifter_refactor::refactor(&inventory.objects, &source, &Choices::default());
    // What the chart says of itself is no loss of this import.
    refactored
        .findings
        .extend(chart.manifest().losses.iter().map(|remark| Finding {
            severity: Severity::Warning,
            object: ObjectKey::new("", "Chart", &chart.manifest().chart.name),
            rule: "legacy-chart".to_owned(),
            message: remark.clone(),
        }));
    let mut losses = Vec::new();
    let mut volumes: Vec<(String, StoredVolume)> = Vec::new();
    for volume in chart.legacy_volumes() {
        if !volume.shared_with.is_empty() {
            losses.push(format!(
                "the data of {} is one folder in the chart, but belongs to claim {} and to {}: it is not restored",
                volume.mount_path,
                volume.claim,
                volume.shared_with.join(" and ")
            ));
        } else if volume.has_data()? {
            let stored = volume
                .convert(&spool.join("volumes").join(&volume.claim), options.allow)
                .await?;
            // The chart itself has no list by which links were checked when it was opened.
            let (checked, allow) = (stored.clone(), options.allow);
            tokio::task::spawn_blocking(move || {
                checked.verify_with(allow, &openshifter_volumes::Progress::none())
            })
            .await
            .map_err(|error| MigrateError::State {
                source: std::io::Error::other(error),
            })?
            .map_err(|source| openshifter_chart::ChartError::Volume {
                claim: volume.claim.clone(),
                source,
            })?;
            volumes.push((volume.claim.clone(), stored));
        }
    }
    // `get all` saw no claims, so they are made here.
    let known: Vec<String> = inventory
        .objects
        .iter()
        .filter(|object| object.is("", "PersistentVolumeClaim"))
        .map(|object| object.name().to_owned())
        .collect();
    let mut objects = turn(
        &refactored,
        &refactored.knobs,
        &merge_values(&refactored.values, &options.values)?,
        namespace,
    )?;
    for (claim, stored) in &volumes {
        if known.contains(claim) {
            continue;
        }
        let object = claim_for(claim, namespace, stored.meta().bytes)?;
        refactored.findings.push(Finding {
            severity: Severity::Warning,
            object: object.key(),
            rule: "legacy-claim".to_owned(),
            message: format!(
                "the chart of the prototype holds no claims: {claim} is made with the default storage class and {}",
                object.value()["spec"]["resources"]["requests"]["storage"].as_str().unwrap_or_default()
            ),
        });
        objects.push(object);
    }
    let skipped = leave_skipped(&mut volumes, &objects, options)?;
    Ok(Prepared {
        objects,
        had: BTreeSet::new(),
        crds: Vec::new(),
        volumes,
        skipped,
        helpers: BTreeMap::new(),
        findings: refactored.findings,
        left_out: inventory.left_out,
        losses,
    })
}

fn claim_for(name: &str, namespace: &str, bytes: u64) -> Result<Object, MigrateError> {
    // Twice the data, in whole GiB.
    let size = (bytes.saturating_mul(2) >> 30) + 1;
    Object::from_value(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": format!("{size}Gi")}},
        },
    }))
    .map_err(|error| MigrateError::NotPossible(error.to_string()))
}
