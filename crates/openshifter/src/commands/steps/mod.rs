//! The steps of a deployment, one command each.

mod attach;
mod build;
mod cp;
mod logs;
mod objects;
mod port_forward;
mod show;

use anyhow::Result;
use openshifter_cluster::{Access, Credentials};
use openshifter_deploy::{DeployError, Project};

use crate::cli::At;
use crate::commands::Session;
use crate::connect::Connected;
use crate::exit::Usage;

pub(crate) use attach::{exec, rsh};
pub(crate) use build::build;
pub(crate) use cp::cp;
pub(crate) use logs::logs;
pub(crate) use objects::{expose, scale, set_volume};
pub(crate) use port_forward::port_forward;
pub(crate) use show::Steps;

/// A project that a step is done in. The caller ends the login.
pub(crate) struct Here {
    pub(crate) project: Project,
    connected: Connected,
}

impl Here {
    /// Ends the session.
    pub(crate) async fn leave(self) {
        self.connected.logout().await;
    }
}

impl At {
    /// Connects.
    pub(crate) async fn enter(&self, session: &Session) -> Result<Here> {
        self.enter_project(session, None).await
    }

    /// Connects, to a project that was named elsewhere.
    pub(crate) async fn enter_project(
        &self,
        session: &Session,
        project: Option<&str>,
    ) -> Result<Here> {
        let kubeconfig = self.names.kubeconfig.as_deref();
        let name = match &self.at {
            Some(name) => name.clone(),
            None => Access::from_context(kubeconfig, None).await?.name,
        };
        let connected = session
            .connect(&self.names, &name, self.login.login())
            .await?;
        let asked = project.or(self.namespace.as_deref());
        let namespace = match connected.namespace(asked) {
            Ok(namespace) => namespace,
            Err(error) => match Access::from_context(kubeconfig, Some(&name)).await {
                // What a context says, or `default`: as every tool of that family has it.
                Ok(Access {
                    credentials: Credentials::Kubeconfig(config),
                    ..
                }) => config.default_namespace.clone(),
                _ => {
                    connected.logout().await;
                    return Err(error);
                }
            },
        };
        let project = Project::new(connected.cluster.clone(), namespace);
        Ok(Here { project, connected })
    }
}

/// A mistake of the call ends with the status of wrong usage.
pub(crate) fn usage(error: DeployError) -> anyhow::Error {
    if !error.is_usage() {
        return error.into();
    }
    let text = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    Usage(text).into()
}

/// Does a step and ends the login.
macro_rules! within {
    ($at:expr, $session:expr, |$project:ident| $work:expr) => {{
        let here = $at.enter(&$session).await?;
        let $project = &here.project;
        let result = $session.unless_stopped(async { $work }).await;
        here.leave().await;
        result
    }};
}

pub(crate) use within;
