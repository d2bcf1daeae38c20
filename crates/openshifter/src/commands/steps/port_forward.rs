//! `openshifter port-forward`.

use std::future::pending;
use std::time::Duration;

use anyhow::Result;
use openshifter_cluster::PortForward as Forward;
use openshifter_deploy::{Project, Target, TargetKind};

use crate::cli::PortForward;
use crate::commands::Session;
use crate::commands::steps::usage;
use crate::exit::{Exit, Interrupted, Usage};
use crate::printer::Printer;

/// How often it is asked whether a connection failed.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn port_forward(args: PortForward, printer: Printer) -> Result<Exit> {
    let target = Target::parse(&args.target, TargetKind::Pod).map_err(usage)?;
    let pairs = args
        .ports
        .iter()
        .map(|text| ports(text))
        .collect::<Result<Vec<_>>>()?;
    let session = Session::new(printer);
    let here = args.at.enter(&session).await?;
    let opened = session
        .unless_stopped(open(&here.project, &target, &pairs))
        .await;
    let result = match opened {
        Ok(forwards) => {
            for (forward, (_, remote)) in forwards.iter().zip(&pairs) {
                // Data: a script reads which port it is.
                printer.out(&format!("{} -> {remote}\n", forward.address()));
            }
            let showing = show_failures(&forwards, printer);
            match session.unless_stopped(showing).await {
                // Ctrl-C is how it ends.
                Err(error) if error.downcast_ref::<Interrupted>().is_some() => Ok(Exit::Complete),
                other => other,
            }
        }
        Err(error) => Err(error),
    };
    here.leave().await;
    result
}

async fn open(project: &Project, target: &Target, pairs: &[(u16, u16)]) -> Result<Vec<Forward>> {
    let (cluster, namespace) = (project.cluster(), project.namespace());
    let mut forwards = Vec::new();
    for &(local, remote) in pairs {
        forwards.push(if target.kind == TargetKind::Service {
            cluster
                .forward_service_at(namespace, &target.name, remote, local)
                .await?
        } else {
            let place = project.place(target, None).await.map_err(usage)?;
            cluster
                .forward_pod_at(namespace, &place.pod, remote, local)
                .await?
        });
    }
    Ok(forwards)
}

/// Says why connections fail, once each.
async fn show_failures(forwards: &[Forward], printer: Printer) -> Result<Exit> {
    let mut shown: Vec<Option<String>> = vec![None; forwards.len()];
    loop {
        tokio::time::sleep(LOOK).await;
        for (forward, shown) in forwards.iter().zip(&mut shown) {
            let failure = forward.failure();
            if failure != *shown {
                if let Some(failure) = &failure {
                    printer.note(&format!("a connection failed: {failure}"));
                }
                *shown = failure;
            }
        }
        if forwards.is_empty() {
            pending::<()>().await;
        }
    }
}

/// `LOCAL:REMOTE`, `REMOTE`, or `:REMOTE`.
fn ports(text: &str) -> Result<(u16, u16)> {
    let number = |part: &str| {
        part.parse::<u16>().map_err(|_| {
            Usage(format!(
                "`{text}` is no pair of ports: write LOCAL:REMOTE, REMOTE or :REMOTE"
            ))
        })
    };
    let (local, remote) = match text.split_once(':') {
        Some(("", remote)) => (0, number(remote)?),
        Some((local, remote)) => (number(local)?, number(remote)?),
        None => (number(text)?, number(text)?),
    };
    if remote == 0 {
        return Err(Usage(format!("`{text}`: there is no port 0")).into());
    }
    Ok((local, remote))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_pairs() {
        assert_eq!(ports("5432").unwrap(), (5432, 5432));
        assert_eq!(ports(":5432").unwrap(), (0, 5432));
        assert_eq!(ports("15432:5432").unwrap(), (15432, 5432));
        for bad in ["", ":", "a:1", "1:70000", "0", "1:2:3"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
