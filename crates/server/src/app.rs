//! What all requests share, and the table of routes.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use openshifter_migrate::StateDir;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clusters::Clusters;
use crate::config::Leave;
use crate::hosts::Hosts;
use crate::jobs::{self, Jobs};
use crate::locks::Locks;
use crate::problem::{Code, Problem};
use crate::token::Token;
use crate::{guard, legacy};

/// A request of `/v1` holds credentials and CA certificates, not charts.
const JSON_LIMIT: usize = 1 << 20;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) clusters: Clusters,
    pub(crate) hosts: Hosts,
    pub(crate) state: StateDir,
    pub(crate) token: Token,
    /// Whether the `/v1` routes need the token: when others than this machine's users can reach them.
    pub(crate) needs_token: bool,
    pub(crate) helper_image: Option<String>,
    /// What the legacy import lets in.
    pub(crate) leave: Leave,
    pub(crate) locks: Locks,
    pub(crate) jobs: Jobs,
    /// How many requests work at once; others wait.
    pub(crate) workers: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Does work that goes on to its orderly end when the client goes away: helper pods are removed, sessions logged
    /// out. Stopping the service waits for it.
    pub(crate) async fn carry_out<T, F>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
    {
        let place = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| Problem::stopping())?;
        if self.stop.is_cancelled() {
            return Err(Problem::stopping());
        }
        let (sender, receiver) = oneshot::channel();
        self.detach(async move || {
            let _place = place;
            // Whoever asked may be gone.
            let _ = sender.send(work().await);
        })?;
        receiver.await.unwrap_or_else(|_| {
            Err(Problem::internal(
                "a part of the service failed unexpectedly; its log says more",
            ))
        })
    }

    /// Does work on a thread of its own. A run is one long piece of work, hashes and compresses on its way, and must
    /// not hold up the requests beside it.
    pub(crate) fn detach<F: Future<Output = ()>>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), Problem> {
        let runtime = Handle::current();
        let tracked = self.tasks.token();
        std::thread::Builder::new()
            .name("openshifter-run".to_owned())
            .spawn(move || {
                let _tracked = tracked;
                runtime.block_on(work());
            })
            .map(drop)
            .map_err(|error| Problem::internal(format!("no thread for this request: {error}")))
    }

    /// All routes.
    pub(crate) fn router(self) -> Router {
        let v1 = Router::new()
            .route("/v1/plans", post(jobs::plan))
            .route("/v1/migrations", post(jobs::start))
            .route("/v1/jobs", get(jobs::list))
            .route("/v1/jobs/{id}", get(jobs::show).delete(jobs::cancel))
            .layer(DefaultBodyLimit::max(JSON_LIMIT));
        Router::new()
            .route("/", get(index))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/version", get(version))
            .merge(v1)
            .method_not_allowed_fallback(async || {
                Problem::new(
                    Code::MethodNotAllowed,
                    "this route does not take that method",
                )
            })
            // The base in their paths fits no pattern, so the legacy routes read the path themselves.
            .fallback(legacy::serve)
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }
}

async fn index() -> &'static str {
    "openshifter: moves applications, with their data, between clusters

GET  /export/<base>/<project>/<user>/<password>      the fat chart, in base64
POST /import/<base>/<project>/<user>/<password>      body: the fat chart
GET  /delete/<base>/<project>/<user>/<password>      deletes the application's objects; claims stay
GET  /descriptor/<base>/<project>/<user>/<password>  the application's objects, a JSON List
GET  /volumes/<base>/<project>/<user>/<password>     mount paths of claims, by pod
GET  /contexts, /spaces                              what the service's kubeconfig reaches
POST /v1/plans, /v1/migrations                       migrations by a policy, as jobs
GET  /v1/jobs, /v1/jobs/<id>                         how they stand
GET  /healthz, /version
"
}

async fn version(State(_): State<App>) -> Response {
    axum::Json(serde_json::json!({
        "name": "openshifter",
        "version": env!("CARGO_PKG_VERSION"),
    }))
    .into_response()
}
