//! The HTTP side: what a request is for, and who answers it.

pub(crate) mod body;
mod builds;
pub(crate) mod convert;
mod deployments;
pub(crate) mod discovery;
pub(crate) mod handlers;
mod image_tags;
pub(crate) mod images;
pub(crate) mod list;
pub(crate) mod openapi;
mod openapi_v2;
pub(crate) mod patch;
mod port_forward;
mod processed;
pub(crate) mod projects;
pub(crate) mod protobuf;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod streams;
pub(crate) mod subresources;
pub(crate) mod table;
pub(crate) mod types;
pub(crate) mod watch;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::tokens::Signer;
use crate::auth::{authenticate, oauth, rbac, reviews};
use crate::backends::{BuildBackend, Registries};
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::node::NodeBackend;
use crate::server::User;
use crate::store::Store;
use request::{Target, Verb};
use respond::{Answer, Response};

/// What every request may need.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) backend: Arc<dyn NodeBackend>,
    pub(crate) builds: Arc<dyn BuildBackend>,
    pub(crate) registries: Arc<dyn Registries>,
    pub(crate) users: Vec<User>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) token_lifetime: Duration,
    /// `https://host:port`, as clients reach it.
    pub(crate) url: String,
    /// Client certificates that were issued, by the SHA-256 of their DER form.
    pub(crate) certificates: HashMap<[u8; 32], UserInfo>,
    pub(crate) stopping: CancellationToken,
    /// What is awaited when the server stops.
    pub(crate) tasks: TaskTracker,
    pub(crate) openshift: bool,
}

/// A request, read as far as every handler needs it.
pub(crate) struct Call {
    pub(crate) user: UserInfo,
    pub(crate) request: request::Parts,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// SHA-256 of its certificate's DER form.
    pub(crate) certificate: Option<[u8; 32]>,
}

/// Answers one request.
pub(crate) async fn handle(app: Arc<App>, peer: Peer, request: Request<Body>) -> Response {
    let accept = respond::accepted(request.headers());
    let path = request.uri().path().to_owned();
    tracing::debug!(method = %request.method(), path, "request");
    let answer = route(&app, &peer, request, accept.clone()).await;
    match answer {
        Ok(answer) => answer.into_response(&accept),
        Err(error) => respond::refuse(&error),
    }
}

async fn route(
    app: &Arc<App>,
    peer: &Peer,
    request: Request<Body>,
    accept: respond::Accept,
) -> Result<Answer, ApiError> {
    let path = request.uri().path().to_owned();
    let get = request.method() == Method::GET;
    match path.as_str() {
        "/healthz" | "/livez" | "/readyz" if get => return Ok(Answer::text("ok")),
        "/version" | "/version/" if get => return Ok(Answer::json(discovery::version())),
        "/.well-known/oauth-authorization-server" if get && app.openshift => {
            return Ok(Answer::json(oauth::metadata(app)));
        }
        path if app.openshift && path.starts_with("/oauth/") => {
            return oauth::handle(app, request).await;
        }
        _ => {}
    }
    let user = authenticate::user(app, peer, request.headers())?;
    if !(path.starts_with("/api/") || path.starts_with("/apis/")) || request::is_discovery(&path) {
        if user.name == "system:anonymous" {
            return Err(ApiError::forbidden_path(&user.name, &path));
        }
        if !get {
            return Err(ApiError::method_not_allowed());
        }
        if path == "/openapi/v2" {
            return Ok(openapi_v2::answer(
                &app.store.catalogue().all(),
                request.headers(),
            ));
        }
        return discovery::answer(app, &path, &accept);
    }
    let target = request::target(app.store.catalogue(), &path)?;
    let verb = target.verb(&request)?;
    {
        let group = target.kind.group.clone();
        let attributes = rbac::Attributes {
            verb: verb.name(),
            group: &group,
            resource: &target.kind.plural,
            subresource: target.subresource.as_deref(),
            namespace: target.access_namespace(),
            name: target.name.as_deref(),
        };
        if !authenticate::always_allowed(&target, verb, &user) {
            rbac::require(&app.store.state(), &user, &attributes)?;
        }
    }
    target.require_offered(verb)?;
    if !accept.possible {
        return Err(ApiError::not_acceptable(respond::AVAILABLE));
    }
    if matches!(
        target.subresource.as_deref(),
        Some("exec" | "portforward" | "log" | "instantiatebinary" | "webhooks")
    ) {
        return streams::handle(app, &target, request).await;
    }
    let call = Call {
        user,
        request: request::Parts::read(request, accept).await?,
    };
    dispatch(app, &call, &target, verb).await
}

async fn dispatch(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Answer, ApiError> {
    if let Some(answer) = reviews::handle(app, call, target, verb)? {
        return Ok(answer);
    }
    if target.kind.group == "project.openshift.io" {
        return projects::handle(app, call, target, verb);
    }
    if let Some(answer) = images::handle(app, call, target, verb).await? {
        return Ok(answer);
    }
    if let Some(answer) = processed::handle(call, target, verb)? {
        return Ok(answer);
    }
    if let Some(answer) = oauth::own_tokens(app, call, target, verb)? {
        return Ok(answer);
    }
    if target.subresource.is_some() {
        return subresources::handle(app, call, target, verb);
    }
    match verb {
        Verb::Get => handlers::get(app, call, target),
        Verb::List => list::list(app, call, target),
        Verb::Watch => watch::watch(app, call, target, None),
        Verb::Create => handlers::create(app, call, target),
        Verb::Update => handlers::update(app, call, target),
        Verb::Patch => patch::patch(app, call, target),
        Verb::Delete => handlers::delete(app, call, target),
        Verb::DeleteCollection => handlers::delete_collection(app, call, target),
    }
}
