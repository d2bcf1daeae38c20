//! Who sends a request: by client certificate, bearer token, or nobody.

use http::{HeaderMap, header};

use super::{rbac, tokens};
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::http::request::{Target, Verb};
use crate::http::{App, Peer};
use crate::identity::UserInfo;
use crate::store::Store;

/// The user of a request, impersonation included.
pub(crate) fn user(app: &App, peer: &Peer, headers: &HeaderMap) -> Result<UserInfo, ApiError> {
    let user = sender(app, peer, headers)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(other) = text("impersonate-user") else {
        return Ok(user);
    };
    rbac::require(
        &app.store.state(),
        &user,
        &rbac::Attributes {
            verb: "impersonate",
            resource: "users",
            name: Some(other),
            ..rbac::Attributes::default()
        },
    )?;
    let mut groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    if !groups.iter().any(|group| group == "system:authenticated") {
        groups.push("system:authenticated".to_owned());
    }
    Ok(UserInfo {
        name: other.to_owned(),
        uid: String::new(),
        groups,
        oauth: false,
    })
}

fn sender(app: &App, peer: &Peer, headers: &HeaderMap) -> Result<UserInfo, ApiError> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let token = authorization
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(ApiError::unauthorized)?;
        return bearer(&app.store, &app.signer, token).ok_or_else(ApiError::unauthorized);
    }
    if let Some(certificate) = peer.certificate {
        return app
            .certificates
            .get(&certificate)
            .cloned()
            .ok_or_else(ApiError::unauthorized);
    }
    Ok(UserInfo::anonymous())
}

/// Whose bearer token it is, if it is good.
pub(crate) fn bearer(store: &Store, signer: &tokens::Signer, token: &str) -> Option<UserInfo> {
    let state = store.state();
    if let Some(name) = tokens::login_token_name(token) {
        let id = ResourceId::new("oauth.openshift.io", "oauthaccesstokens");
        let object = state.get(&id, None, &name)?;
        let created: jiff::Timestamp = object["metadata"]["creationTimestamp"]
            .as_str()?
            .parse()
            .ok()?;
        let lifetime = object["expiresIn"].as_i64().unwrap_or(0);
        let age = jiff::Timestamp::now().as_second() - created.as_second();
        if lifetime > 0 && age >= lifetime {
            return None;
        }
        let name = object["userName"].as_str()?.to_owned();
        let uid = object["userUID"].as_str().unwrap_or_default().to_owned();
        let mut groups: Vec<String> = state
            .list(&ResourceId::new("user.openshift.io", "groups"), None)
            .filter(|(_, group)| {
                group["users"]
                    .as_array()
                    .is_some_and(|users| users.iter().any(|user| *user == name.as_str()))
            })
            .map(|((_, group), _)| group.clone())
            .collect();
        groups.push("system:authenticated:oauth".to_owned());
        groups.push("system:authenticated".to_owned());
        return Some(UserInfo {
            name,
            uid,
            groups,
            oauth: true,
        });
    }
    let claims = signer.check(token)?;
    let account = state.get(
        &ResourceId::core("serviceaccounts"),
        Some(&claims.namespace),
        &claims.name,
    )?;
    // An account of the same name that was made anew is another account.
    (account["metadata"]["uid"] == claims.uid.as_str())
        .then(|| UserInfo::service_account(&claims.namespace, &claims.name, &claims.uid))
}

/// What needs no role: asking about oneself.
pub(crate) fn always_allowed(target: &Target, verb: Verb, user: &UserInfo) -> bool {
    let named = user.name != "system:anonymous";
    named
        && verb == Verb::Create
        && matches!(
            (target.kind.group.as_str(), target.kind.plural.as_str()),
            (
                "authorization.k8s.io",
                "selfsubjectaccessreviews" | "selfsubjectrulesreviews"
            ) | ("authentication.k8s.io", "selfsubjectreviews")
        )
}
