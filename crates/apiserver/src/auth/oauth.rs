//! OpenShift's login: the challenge of user and password, and the tokens it gives out.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::tokens;
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::http::request::{Target, Verb, query};
use crate::http::respond::{Answer, Response, plain, success};
use crate::http::{App, Call, handlers, list, watch};
use crate::store::Store;

const GROUP: &str = "user.openshift.io";
/// Name of the only identity provider.
const PROVIDER: &str = "devcluster";

/// `/.well-known/oauth-authorization-server`.
pub(crate) fn metadata(app: &App) -> Value {
    let url = &app.url;
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/oauth/authorize"),
        "token_endpoint": format!("{url}/oauth/token"),
        "scopes_supported": [
            "user:check-access",
            "user:full",
            "user:info",
            "user:list-projects",
            "user:list-scoped-projects",
        ],
        "response_types_supported": ["code", "token"],
        "grant_types_supported": ["authorization_code", "implicit"],
        "code_challenge_methods_supported": ["plain", "S256"],
    })
}

/// Answers below `/oauth/`.
pub(crate) async fn handle(app: &App, request: Request<Body>) -> Result<Answer, ApiError> {
    if request.uri().path() != "/oauth/authorize" {
        return Err(ApiError::no_such_path());
    }
    if request.method() != Method::GET && request.method() != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let query = query(request.uri().query());
    let param = |name: &str| query.get(name).map(String::as_str);
    if param("client_id") != Some("openshift-challenging-client") {
        return Ok(refuse(
            StatusCode::BAD_REQUEST,
            json!({
                "error": "unauthorized_client",
                "error_description": "The client is not authorized to request a token using this method.",
            }),
        ));
    }
    if param("response_type") != Some("token") {
        return Err(ApiError::not_implemented(
            "logins other than response_type=token of openshift-challenging-client",
        ));
    }
    let headers = request.headers();
    let Some((user, password)) = basic(headers) else {
        if headers
            .get("x-csrf-token")
            .is_some_and(|value| !value.is_empty())
        {
            return Ok(challenge());
        }
        let mut response = plain(
            StatusCode::UNAUTHORIZED,
            "A non-empty X-CSRF-Token header is required to receive basic-auth challenges\n",
        );
        response.headers_mut().insert(
            header::WARNING,
            HeaderValue::from_static(
                "199 Origin \"A non-empty X-CSRF-Token header is required to receive basic-auth challenges\"",
            ),
        );
        secure(response.headers_mut());
        return Ok(Answer::Raw(response));
    };
    let known = app.users.iter().find(|known| known.name == user);
    let expected = known.map_or("", |known| known.password.expose_secret());
    // The comparison is made for an unknown user, too, so that its time tells nothing.
    let right = tokens::equal(expected, &password);
    if known.is_none() || !right {
        return Ok(challenge());
    }
    let lifetime = app.token_lifetime.as_secs();
    let token = issue(&app.store, &user, lifetime)?;
    let location = format!(
        "{}/oauth/token/implicit#access_token={}&expires_in={lifetime}&scope=user%3Afull&token_type=Bearer",
        app.url,
        token.expose_secret().replace('~', "%7E")
    );
    let mut response = empty(StatusCode::FOUND);
    let mut location =
        HeaderValue::from_str(&location).map_err(|error| ApiError::internal(error.to_string()))?;
    location.set_sensitive(true);
    response.headers_mut().insert(header::LOCATION, location);
    Ok(Answer::Raw(response))
}

fn refuse(status: StatusCode, body: Value) -> Answer {
    Answer::with_status(status, body)
}

fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status;
    secure(response.headers_mut());
    response
}

fn challenge() -> Answer {
    let mut response = empty(StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"openshift\""),
    );
    Answer::Raw(response)
}

/// Nothing of a login is kept anywhere on its way.
fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (
            "cache-control",
            "no-cache, no-store, max-age=0, must-revalidate",
        ),
        ("pragma", "no-cache"),
        ("expires", "0"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Gives out a token; the first login makes the user.
fn issue(store: &Store, user: &str, lifetime: u64) -> Result<secrecy::SecretString, ApiError> {
    let users = ResourceId::new(GROUP, "users");
    if store.get(&users, None, user).is_none() {
        let identity = format!("{PROVIDER}:{user}");
        let made = store.create(
            &users,
            None,
            json!({"metadata": {"name": user}, "identities": [identity], "groups": null}),
        );
        let made = match made {
            // Two first logins at once.
            Err(error) if error.code() == 409 => None,
            other => Some(other?),
        };
        if let Some(made) = made {
            store.create(
                &ResourceId::new(GROUP, "identities"),
                None,
                json!({
                    "metadata": {"name": identity},
                    "providerName": PROVIDER,
                    "providerUserName": user,
                    "user": {"name": user, "uid": made["metadata"]["uid"]},
                }),
            )?;
        }
    }
    let uid = store
        .get(&users, None, user)
        .map(|user| user["metadata"]["uid"].clone());
    let (token, name) = tokens::login_token();
    store.create(
        &ResourceId::new("oauth.openshift.io", "oauthaccesstokens"),
        None,
        json!({
            "metadata": {"name": name},
            "clientName": "openshift-challenging-client",
            "expiresIn": lifetime,
            "scopes": ["user:full"],
            "redirectURI": "/oauth/token/implicit",
            "userName": user,
            "userUID": uid,
        }),
    )?;
    Ok(token)
}

/// A user's own tokens, and `users/~`.
pub(crate) fn own_tokens(
    app: &std::sync::Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Option<Answer>, ApiError> {
    let kind = &target.kind;
    if kind.group == GROUP && kind.plural == "users" && target.name() == "~" && verb == Verb::Get {
        return own_user(app, call).map(Some);
    }
    if kind.plural != "useroauthaccesstokens" {
        return Ok(None);
    }
    let mine = |token: &Value| token["userName"] == call.user.name.as_str();
    let require_mine = || {
        app.store
            .get(&kind.storage(), None, target.name())
            .filter(mine)
            .ok_or_else(|| ApiError::not_found(kind, target.name()))
    };
    Ok(Some(match verb {
        Verb::Get => Answer::json(handlers::shaped(call, kind, &require_mine()?)),
        Verb::List => {
            let selection = list::Selection::read(kind, &call.request)?;
            let items = app
                .store
                .list(&kind.storage(), None)
                .into_iter()
                .filter(|token| mine(token) && selection.matches(token))
                .collect();
            let revision = json!({"resourceVersion": app.store.revision().to_string()});
            Answer::json(list::document(app, call, kind, items, revision))
        }
        Verb::Watch => {
            let user = call.user.name.clone();
            let filter: watch::Filter =
                std::sync::Arc::new(move |token| token["userName"] == user.as_str());
            watch::watch(app, call, target, Some(filter))?
        }
        Verb::Delete => {
            require_mine()?;
            let (options, _) = handlers::delete_options(&call.request)?;
            app.store
                .delete(&kind.storage(), None, target.name(), options)?;
            Answer::json(success(
                json!({"name": target.name(), "group": kind.group, "kind": kind.plural}),
            ))
        }
        _ => return Err(ApiError::method_not_allowed()),
    }))
}

fn own_user(app: &App, call: &Call) -> Result<Answer, ApiError> {
    let user = &call.user;
    let stored = app
        .store
        .get(&ResourceId::new(GROUP, "users"), None, &user.name);
    let mut object = stored.unwrap_or_else(|| {
        json!({
            "kind": "User",
            "apiVersion": "user.openshift.io/v1",
            "metadata": {"name": user.name, "uid": user.uid},
            "identities": null,
        })
    });
    let mut groups = user.groups.clone();
    groups.sort();
    object["groups"] = json!(groups);
    let kind = user_kind(app)?;
    Ok(Answer::json(handlers::shaped(call, &kind, &object)))
}

fn user_kind(app: &App) -> Result<std::sync::Arc<crate::catalogue::ResourceType>, ApiError> {
    app.store
        .catalogue()
        .find(GROUP, "v1", "users")
        .ok_or_else(ApiError::no_such_resource)
}
