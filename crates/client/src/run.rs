//! The whole of it: ask, show, agree, do, report.

use openshifter_cluster::ClusterError;
use openshifter_migrate::{MigrateError, Report};
use openshifter_objects::counted;
use openshifter_server::{EndpointSpec, MigrationRequest, PlanBody};
use tokio_util::sync::CancellationToken;

use crate::here::Here;
use crate::service::Service;
use crate::{ClientError, ClientOptions, Output, Prompter, dialogue};

/// Runs the client: the dialogue, the summary, the confirmation before anything is deleted, the migration, the report.
/// Returns the exit status of the migration: 0 only when everything is at the target and was checked.
///
/// # Errors
/// When the dialogue, `input.json`, a cluster or the service ends it early. Nothing was changed then;
/// [`ClientError::exit_status`] is the exit status.
pub async fn run(
    options: ClientOptions,
    prompter: &mut dyn Prompter,
    output: &mut dyn Output,
) -> Result<u8, ClientError> {
    let mut worker = match options.service.clone() {
        Some(url) => Worker::Service(Service::new(url, &options)?),
        None => Worker::Here(Box::new(Here::new(options.state.clone()))),
    };
    let mut request = dialogue::ask(&options, prompter)?;
    let result = agree_and_migrate(&options, &mut worker, &mut request, prompter, output).await;
    if let Worker::Here(here) = &mut worker {
        here.close().await;
    }
    output.end_progress();
    let report = result?;
    output.line(&format!("\n{}", report.text()));
    Ok(report.exit_status())
}

enum Worker {
    Here(Box<Here>),
    Service(Service),
}

async fn agree_and_migrate(
    options: &ClientOptions,
    worker: &mut Worker,
    request: &mut MigrationRequest,
    prompter: &mut dyn Prompter,
    output: &mut dyn Output,
) -> Result<Report, ClientError> {
    output.line("looking at both ends");
    let plan = plan(worker, request, prompter).await?;
    output.line(&dialogue::summary(request, &plan));
    if plan.deleted_objects > 0 {
        let question = format!(
            "Type `yes` to go on, and to delete {} {}",
            if plan.deleted_objects == 1 {
                "this"
            } else {
                "these"
            },
            counted(plan.deleted_objects, "object")
        );
        if !prompter.confirm(&question, "yes")? {
            return Err(ClientError::NotConfirmed);
        }
    }
    // The digest holds the service to what was shown.
    request.plan_digest = Some(plan.digest);
    let cancel = options.cancel.child_token();
    let watching = tokio::spawn(cancel_on_ctrl_c(cancel.clone()));
    let result = match worker {
        Worker::Here(here) => here.migrate(request, cancel, output).await,
        Worker::Service(service) => service.migrate(request, cancel, output).await,
    };
    watching.abort();
    result
}

/// Plans; asks for what only shows now: a certificate that cannot be verified, a token that the service wants.
async fn plan(
    worker: &mut Worker,
    request: &mut MigrationRequest,
    prompter: &mut dyn Prompter,
) -> Result<PlanBody, ClientError> {
    let mut asked_for_token = false;
    loop {
        let error = match worker {
            Worker::Here(here) => here.plan(request).await,
            Worker::Service(service) => service.plan(request).await,
        };
        let error = match error {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        // A script's next line is the answer to another question.
        if !prompter.is_interactive() {
            return Err(error);
        }
        if let (true, Worker::Service(service)) = (wants_token(&error), &mut *worker)
            && !asked_for_token
        {
            asked_for_token = true;
            prompter.say(&error.to_string())?;
            service.set_token(prompter.password("Token of the service")?);
            continue;
        }
        let Some(name) = untrusted(&error) else {
            return Err(error);
        };
        let mut ends = [&mut request.source, &mut request.target];
        let open: Vec<&mut &mut EndpointSpec> = ends
            .iter_mut()
            .filter(|end| {
                end.name.as_deref() == Some(name.as_str()) && !(end.insecure && end.oauth_insecure)
            })
            .collect();
        if open.is_empty() {
            return Err(error);
        }
        prompter.say(&error.to_string())?;
        if !prompter.confirm(
            "Type `insecure` to go on without checking this cluster's certificates",
            "insecure",
        )? {
            return Err(error);
        }
        for end in open {
            end.insecure = true;
            end.oauth_insecure = true;
        }
    }
}

fn wants_token(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.code == "missing-token")
}

/// The cluster whose certificate could not be verified, when that is what the error says.
fn untrusted(error: &ClientError) -> Option<String> {
    match error {
        ClientError::Migrate(error) => match &**error {
            MigrateError::Cluster(ClusterError::UntrustedCertificate { cluster, .. }) => {
                Some(cluster.clone())
            }
            _ => None,
        },
        ClientError::Refused(problem) if problem.code == "untrusted-certificate" => {
            // Every message about a cluster begins with its name.
            problem
                .error
                .split_once(": the certificate of ")
                .map(|(name, _)| name.to_owned())
        }
        _ => None,
    }
}

/// From here on Ctrl-C stops in order; before, nothing was begun and it simply ends the process.
async fn cancel_on_ctrl_c(cancel: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        cancel.cancel();
    }
}
