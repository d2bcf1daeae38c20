//! `openshifter v2 deploy`: a converted tree on a cluster, by one command that may be run again.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openshifter_cluster::SecretString;
use openshifter_deploy::{
    Admin, AdminSource, DeployOptions, Failed, MissingValue, Prepared, Project,
};
use openshifter_v2::manifests::Values;

use super::manifests::Choices;
use super::usage as tree_usage;
use crate::cli::{Names, To, duration};
use crate::commands::Session;
use crate::commands::steps::{Steps, usage};
use crate::connect::given_text;
use crate::exit::{Exit, Interrupted, Usage};
use crate::printer::Printer;

/// Names of Django's own variables for its first administrator.
const USERNAME: &str = "DJANGO_SUPERUSER_USERNAME";
const EMAIL: &str = "DJANGO_SUPERUSER_EMAIL";
const PASSWORD: &str = "DJANGO_SUPERUSER_PASSWORD";

/// `deploy`
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The converted application's folder
    dir: PathBuf,
    #[command(flatten)]
    to: To,
    /// The project; it is made if it is missing and allowed
    #[arg(long, short = 'n', value_name = "PROJECT")]
    namespace: Option<String>,
    /// Values that the application needs: a file with lines of NAME=VALUE, `-` for stdin
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// Name of the first administrator; the password is asked for, or comes from a file, the environment or a Secret
    #[arg(long, value_name = "NAME", env = USERNAME, hide_env_values = true)]
    admin_user: Option<String>,
    /// The administrator's address
    #[arg(long, value_name = "ADDRESS", env = EMAIL, hide_env_values = true)]
    admin_email: Option<String>,
    /// File with the administrator's password, `-` for stdin [env: DJANGO_SUPERUSER_PASSWORD]
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// A Secret of the project with the administrator: keys username, email, password
    #[arg(long, value_name = "NAME", conflicts_with = "admin_password_file")]
    admin_from_secret: Option<String>,
    /// Leave the first administrator out
    #[arg(long)]
    skip_setup: bool,
    /// Build although the newest build is of this very source
    #[arg(long)]
    rebuild: bool,
    /// How long the build may take, and how long the roll-out
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    timeout: Duration,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choices: Choices,
    #[command(flatten)]
    names: Names,
}

pub(super) async fn run(args: Deploy, printer: Printer) -> Result<Exit> {
    let options = args.options()?;
    // What is wrong with the tree is found before anybody logs in.
    let folder = args.dir.clone();
    tokio::task::spawn_blocking(move || super::manifests::recorded(&folder))
        .await
        .context("reading the tree")??;
    let session = Session::new(printer);
    let target = session
        .connect(&args.names, &args.to.cluster, args.to.login())
        .await?;
    let result = deployed(&args, options, &target, &session).await;
    target.logout().await;
    result
}

async fn deployed(
    args: &Deploy,
    options: DeployOptions,
    target: &crate::connect::Connected,
    session: &Session,
) -> Result<Exit> {
    let printer = session.printer;
    let namespace = target.namespace(args.namespace.as_deref())?;
    let project = Project::new(target.cluster.clone(), namespace);
    let planning = async {
        let mut prepared = project
            .prepare_deploy(&args.dir, options)
            .await
            .map_err(usage)?;
        args.ask(&mut prepared).await?;
        prepared.plan().await.map_err(usage)
    };
    let plan = session.unless_stopped(planning).await?;
    if args.dry_run {
        printer.data(&plan, |plan| plan.text())?;
        return Ok(Exit::Complete);
    }
    let steps = Steps::new(printer);
    let deploying = async { Ok(project.deploy(plan, &steps).await) };
    let result = match session.unless_stopped(deploying).await {
        Ok(result) => result,
        Err(error) if error.downcast_ref::<Interrupted>().is_some() => {
            steps.finish();
            printer.error("stopped on request; run the same again, and it goes on");
            return Ok(Exit::Stopped);
        }
        Err(error) => return Err(error),
    };
    steps.finish();
    match result {
        Ok(report) => {
            printer.data(&report, |report| report.text())?;
            Ok(if report.complete {
                Exit::Complete
            } else {
                Exit::Incomplete
            })
        }
        Err(failed) => {
            let Failed { error, report } = *failed;
            if printer.is_json() {
                printer.data(&report, |_| String::new())?;
            }
            printer.failure(&anyhow::Error::new(error));
            Ok(if report.changed() {
                Exit::Stopped
            } else {
                Exit::Failed
            })
        }
    }
}

impl Deploy {
    fn options(&self) -> Result<DeployOptions> {
        let values = match &self.values {
            None => Values::new(),
            Some(path) => Values::parse(&given_text(path)?).map_err(tree_usage)?,
        };
        Ok(DeployOptions {
            manifests: self.choices.options(),
            values,
            admin: self.admin_from_secret.clone().map(AdminSource::Secret),
            skip_setup: self.skip_setup,
            rebuild: self.rebuild,
            within: self.timeout,
        })
    }

    /// Asks for what nobody said yet.
    async fn ask(&self, prepared: &mut Prepared) -> Result<()> {
        let missing = prepared.missing();
        // A dry run shows what it can without being told secrets.
        if !missing.is_empty() && std::io::stdin().is_terminal() {
            let answers = tokio::task::spawn_blocking(move || {
                missing
                    .into_iter()
                    .map(|value| Ok((value.name.clone(), ask_value(&value)?)))
                    .collect::<Result<Vec<_>>>()
            });
            for (name, value) in answers.await.context("asking for values")?? {
                prepared.set(&name, value);
            }
        }
        if prepared.needs_admin() && !self.dry_run {
            prepared.set_admin(AdminSource::Given(self.admin().await?));
        }
        Ok(())
    }

    /// The first administrator: of the command line, the environment and files, else of a person.
    async fn admin(&self) -> Result<Admin> {
        let terminal = std::io::stdin().is_terminal();
        let password = match &self.admin_password_file {
            Some(path) => Some(given_text(path)?),
            None => std::env::var(PASSWORD).ok(),
        };
        let password =
            password.map(|text| SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()));
        if !terminal && (self.admin_user.is_none() || password.is_none()) {
            return Err(Usage(
                "the application wants a first administrator: say --admin-user with --admin-password-file or \
                 DJANGO_SUPERUSER_PASSWORD, or --admin-from-secret, or --skip-setup"
                    .to_owned(),
            )
            .into());
        }
        let (user, email) = (self.admin_user.clone(), self.admin_email.clone());
        tokio::task::spawn_blocking(move || ask_admin(user, email, password))
            .await
            .context("asking for the administrator")?
    }
}

fn ask_admin(
    user: Option<String>,
    email: Option<String>,
    password: Option<SecretString>,
) -> Result<Admin> {
    let asked = "asking for the administrator";
    let whole = user.is_some() && password.is_some();
    let username = match user {
        Some(user) => user,
        None => inquire::Text::new("Name of the first administrator:")
            .prompt()
            .context(asked)?,
    };
    let email = match email {
        Some(email) => email,
        // It may be empty, so a script need not say it.
        None if whole => String::new(),
        None => inquire::Text::new("Address of the first administrator (may be empty):")
            .prompt()
            .context(asked)?,
    };
    let password = match password {
        Some(password) => password,
        None => inquire::Password::new("Password of the first administrator:")
            .prompt()
            .context(asked)?
            .into(),
    };
    Ok(Admin {
        username,
        email,
        password,
    })
}

fn ask_value(value: &MissingValue) -> Result<SecretString> {
    let question = format!("{} ({}):", value.name, value.description);
    let answer = if value.secret {
        inquire::Password::new(&question)
            .without_confirmation()
            .prompt()
    } else {
        inquire::Text::new(&question).prompt()
    };
    Ok(answer.context("asking for values")?.into())
}
