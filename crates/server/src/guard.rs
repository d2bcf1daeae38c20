//! What every request passes through: the service's own name, its token, refusals in the form the client wants, and
//! one line in the log that shows no path, since paths hold passwords.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::problem::{Code, Problem, wants_json};

/// First words of paths that may be logged; everything else could be a typing error with a password in it.
const ROUTES: &[&str] = &[
    "",
    "export",
    "import",
    "delete",
    "descriptor",
    "volumes",
    "contexts",
    "spaces",
    "healthz",
    "version",
    "v1",
];

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.respond(false);
        // The guard knows what the client wants and renders it again if that is JSON.
        response.extensions_mut().insert(self);
        response
    }
}

pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let first = request
        .uri()
        .path()
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let route = ROUTES
        .iter()
        .find(|route| **route == first)
        .copied()
        .unwrap_or("unknown");
    let method = request.method().clone();
    let json = route == "v1" || wants_json(request.headers());
    let mut response = match check(&app, route, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if json && let Some(problem) = response.extensions().get::<Problem>().cloned() {
        response = problem.respond(true);
    }
    let headers = response.headers_mut();
    // Charts and lists hold secrets.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    tracing::info!(
        %method,
        route,
        status = response.status().as_u16(),
        milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

fn check(app: &App, route: &str, request: &Request) -> Result<(), Problem> {
    // Probes come by address or by any name, and learn nothing.
    if route == "healthz" {
        return Ok(());
    }
    app.hosts.check(request.uri(), request.headers())?;
    refuse_other_sites(app, request.headers())?;
    if app.stop.is_cancelled() {
        return Err(Problem::stopping());
    }
    if route == "v1" && app.needs_token {
        app.token.check(request.headers())?;
    }
    Ok(())
}

/// Refuses what a browser sends because a page of another site told it to. Other clients send none of these headers.
fn refuse_other_sites(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || {
        Problem::new(
            Code::Forbidden,
            "this service takes no requests from pages of other sites",
        )
    };
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site" || site == "same-site")
    {
        return Err(foreign());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let uri: http::Uri = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.parse().ok())
            .ok_or_else(foreign)?;
        return app
            .hosts
            .check(&uri, &HeaderMap::new())
            .map_err(|_| foreign());
    }
    Ok(())
}
