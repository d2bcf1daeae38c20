//! `openshifter scale`, `set-volume` and `expose`: steps that change one object.

use anyhow::Result;
use openshifter_deploy::{
    ExposeOptions, RemoveVolume, Target, TargetKind, VolumeOptions, VolumeRow, VolumeSource,
};
use serde_json::Value;

use crate::cli::{Expose, Scale, SetVolume, VolumeKind};
use crate::commands::Session;
use crate::commands::steps::{usage, within};
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

pub(crate) async fn scale(args: Scale, printer: Printer) -> Result<Exit> {
    let target = workload(&args.target)?;
    let session = Session::new(printer);
    within!(args.at, session, |project| {
        project
            .scale(&target, args.replicas, args.timeout)
            .await
            .map_err(usage)?;
        printer.note(&format!("{target} scaled to {}", args.replicas));
        Ok(Exit::Complete)
    })
}

pub(crate) async fn set_volume(args: SetVolume, printer: Printer) -> Result<Exit> {
    let target = workload(&args.target)?;
    let session = Session::new(printer);
    if !args.add && !args.remove {
        let (name, containers) = (args.name.as_deref(), args.containers.as_deref());
        return within!(args.at, session, |project| {
            let rows = project
                .volumes(&target, name, containers)
                .await
                .map_err(usage)?;
            printer.data(&rows, |rows| {
                let rows: String = rows.iter().map(VolumeRow::text).collect();
                let none = if rows.is_empty() {
                    "  no volumes\n"
                } else {
                    ""
                };
                format!("{target}\n{rows}{none}")
            })?;
            Ok(Exit::Complete)
        });
    }
    let added = if args.add { Some(volume(&args)?) } else { None };
    let removed = RemoveVolume {
        name: args.name.clone(),
        containers: args.containers.clone(),
        confirm: args.confirm,
        dry_run: args.dry_run,
    };
    within!(args.at, session, |project| {
        let done = match &added {
            Some(options) => project.add_volume(&target, options).await,
            None => project.remove_volume(&target, &removed).await,
        }
        .map_err(usage)?;
        for note in &done.notes {
            printer.note(note);
        }
        let names = done.names.join(", ");
        let would = if args.dry_run { "would be " } else { "" };
        printer.note(&match (args.add, args.dry_run) {
            _ if done.names.is_empty() => format!("{target} is left as it is"),
            (true, false) => format!("{target} has the volume {names}"),
            (true, true) => format!("{target} would have the volume {names}"),
            (false, _) => format!("{names} {would}taken out of {target}"),
        });
        if printer.is_json() {
            printer.data(&done.object, |_| String::new())?;
        }
        Ok(Exit::Complete)
    })
}

pub(crate) async fn expose(args: Expose, printer: Printer) -> Result<Exit> {
    let target = Target::parse(&args.target, TargetKind::Service).map_err(usage)?;
    let options = ExposeOptions {
        name: args.name.clone(),
        hostname: args.hostname.clone(),
        port: args.port.clone(),
        path: args.path.clone(),
        tls: args.tls,
    };
    let session = Session::new(printer);
    within!(args.at, session, |project| {
        let route = project.expose(&target, &options).await.map_err(usage)?;
        printer.note(&format!("Route/{} made", route.name()));
        let host = route.value()["spec"]["host"].as_str().unwrap_or_default();
        printer.data(route.value(), |_| format!("{host}\n"))?;
        Ok(Exit::Complete)
    })
}

/// A workload has to be named with its kind: several kinds may have one of that name.
fn workload(text: &str) -> Result<Target> {
    if !text.contains('/') {
        return Err(Usage(format!(
            "`{text}` is of no kind: write KIND/NAME, as in deployment/{text} or dc/{text}"
        ))
        .into());
    }
    Target::parse(text, TargetKind::Deployment).map_err(usage)
}

/// What the flags say.
fn volume(args: &SetVolume) -> Result<VolumeOptions> {
    Ok(VolumeOptions {
        name: args.name.clone(),
        source: source(args)?,
        mount_path: args.mount_path.clone(),
        sub_path: args.sub_path.clone(),
        containers: args.containers.clone(),
        read_only: args.read_only,
        overwrite: args.overwrite,
        dry_run: args.dry_run,
    })
}

/// What the volume is, if that is said: a mount that moves leaves it what it was.
fn source(args: &SetVolume) -> Result<Option<VolumeSource>> {
    let claims = args.claim_name.is_some() || args.claim_size.is_some();
    let kind = match args.kind {
        Some(kind) => kind,
        None if claims => VolumeKind::Claim,
        None if args.secret_name.is_some() => VolumeKind::Secret,
        None if args.configmap_name.is_some() => VolumeKind::ConfigMap,
        None if args.host_path.is_some() => VolumeKind::HostPath,
        None => {
            return Ok(match &args.source {
                Some(text) => Some(VolumeSource::Given(given(text)?)),
                None => None,
            });
        }
    };
    let needs = |value: &Option<String>, flag: &str| {
        value
            .clone()
            .ok_or_else(|| Usage(format!("say which, with {flag}")))
    };
    let mode = args.default_mode;
    if mode.is_some() && !matches!(kind, VolumeKind::Secret | VolumeKind::ConfigMap) {
        return Err(Usage("--default-mode is for Secrets and ConfigMaps".to_owned()).into());
    }
    Ok(Some(match kind {
        VolumeKind::Claim => VolumeSource::Claim {
            name: args.claim_name.clone(),
            size: args.claim_size.clone(),
            mode: args.claim_mode.clone(),
            class: args.claim_class.clone(),
        },
        VolumeKind::EmptyDir => VolumeSource::EmptyDir,
        VolumeKind::Secret => VolumeSource::Secret {
            name: needs(&args.secret_name, "--secret-name")?,
            mode,
        },
        VolumeKind::ConfigMap => VolumeSource::ConfigMap {
            name: needs(&args.configmap_name, "--configmap-name")?,
            mode,
        },
        VolumeKind::HostPath => VolumeSource::HostPath(needs(&args.host_path, "--path")?),
    }))
}

/// A volume's one field, as JSON.
fn given(text: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Usage(format!("--source is no JSON: {error}")))?;
    let is_one = value
        .as_object()
        .is_some_and(|fields| fields.len() == 1 && fields.values().all(Value::is_object));
    if is_one {
        return Ok(value);
    }
    Err(Usage("--source is an object of one field, as in {\"nfs\": {…}}".to_owned()).into())
}
