//! The seven routes of the 2019 prototype, which existing users script against.

mod delete;
mod export;
mod import;
mod read;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, StatusCode, header};

use crate::app::App;
use crate::place::Place;
use crate::problem::{Code, Problem};

/// Serves every path that is no other route.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (verb, rest) = path.split_once('/').unwrap_or((&path, ""));
    let allow = match verb {
        "export" | "delete" | "descriptor" | "volumes" | "contexts" | "spaces" => "GET",
        "import" => "POST, PUT",
        _ => {
            return Err(Problem::new(
                Code::NotFound,
                "there is no such route; `GET /` lists them",
            ));
        }
    };
    // HEAD too: a program that only looks must not delete anything.
    let allowed = match *request.method() {
        Method::GET => allow == "GET",
        Method::POST | Method::PUT => allow != "GET",
        _ => false,
    };
    if !allowed {
        return Err(Problem::not_allowed(allow));
    }
    if request.uri().query().is_some() {
        return Err(Problem::bad_request(
            "the path holds a `?`; in a user or password write it as %3F",
        ));
    }
    match verb {
        "contexts" => read::contexts(app).await,
        "spaces" => read::spaces(app).await,
        "export" => export::serve(app, Place::parse(rest)?).await,
        "delete" => delete::serve(app, Place::parse(rest)?).await,
        "descriptor" => read::descriptor(app, Place::parse(rest)?).await,
        "volumes" => read::volumes(app, Place::parse(rest)?).await,
        _ => import::serve(app, Place::parse(rest), request).await,
    }
}

/// A short text.
fn text(mut line: String) -> Response {
    line.push('\n');
    let mut response = Response::new(line.into());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// A warning about an answer that is right but not whole, in the form that Kubernetes gives warnings.
fn warning(response: &mut Response, text: &str) {
    let text: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect();
    if let Ok(value) = http::HeaderValue::from_str(&format!("299 openshifter \"{text}\"")) {
        response.headers_mut().append(header::WARNING, value);
    }
}
