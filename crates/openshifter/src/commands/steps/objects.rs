//! `openshifter scale`, `set-volume` and `expose`: steps that change one object.

use anyhow::Result;
use openshifter_deploy::{ExposeOptions, Target, TargetKind, VolumeOptions, VolumeSource};

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
    let options = volume(&args)?;
    let session = Session::new(printer);
    within!(args.at, session, |project| {
        let notes = project.add_volume(&target, &options).await.map_err(usage)?;
        for note in notes {
            printer.note(&note);
        }
        printer.note(&format!("{target} has the volume {}", options.name));
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

fn volume(args: &SetVolume) -> Result<VolumeOptions> {
    let claims = args.claim_name.is_some() || args.claim_size.is_some();
    let kind = args.kind.unwrap_or(match args {
        _ if claims => VolumeKind::Claim,
        SetVolume {
            secret_name: Some(_),
            ..
        } => VolumeKind::Secret,
        SetVolume {
            configmap_name: Some(_),
            ..
        } => VolumeKind::ConfigMap,
        _ => VolumeKind::EmptyDir,
    });
    let needs = |value: &Option<String>, flag: &str| {
        value
            .clone()
            .ok_or_else(|| Usage(format!("say which, with {flag}")))
    };
    let source = match kind {
        VolumeKind::Claim => VolumeSource::Claim {
            name: args.claim_name.clone(),
            size: args.claim_size.clone(),
            mode: args.claim_mode.clone(),
            class: args.claim_class.clone(),
        },
        VolumeKind::EmptyDir => VolumeSource::EmptyDir,
        VolumeKind::Secret => VolumeSource::Secret(needs(&args.secret_name, "--secret-name")?),
        VolumeKind::ConfigMap => {
            VolumeSource::ConfigMap(needs(&args.configmap_name, "--configmap-name")?)
        }
    };
    Ok(VolumeOptions {
        name: args.name.clone(),
        source,
        mount_path: args.mount_path.clone(),
        container: args.container.clone(),
        read_only: args.read_only,
        overwrite: args.overwrite,
    })
}
