//! OpenShift's login by user name and password: the OAuth server's challenge gives a token, which is revoked at the end.
//!
//! The token travels in the fragment of a redirect's `Location`. That header, and paths that hold a token,
//! are kept out of all errors and logs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, StatusCode, header};
use kube::client::Body;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use crate::answer::shortened;
use crate::call::{Call, Link, segment};
use crate::retry::{Failure, Repeat};
use crate::transport::{bare_config, clients};
use crate::{Access, ClusterError, Trust, Tuning};

/// The client that OpenShift registers for logins without a browser.
const CLIENT: &str = "openshift-challenging-client";

/// Tokens since OpenShift 4.6 begin with this; their object's name is the hash of the rest.
const HASHED: &str = "sha256~";

#[derive(Debug, Deserialize)]
struct Metadata {
    authorization_endpoint: String,
}

/// One way to verify the OAuth host.
struct Roots<'a> {
    ca_pem: Option<&'a [u8]>,
    insecure: bool,
}

/// Obtains a token with user name and password.
pub(crate) async fn token(
    access: &Access,
    username: &str,
    password: &SecretString,
    tuning: Tuning,
) -> Result<SecretString, ClusterError> {
    let api = link(
        access,
        &access.base,
        false,
        &Roots {
            ca_pem: access.trust.ca_pem.as_deref(),
            insecure: access.trust.insecure,
        },
        tuning,
    )
    .await?;
    let metadata = Call::get(
        "/.well-known/oauth-authorization-server",
        "find the OAuth server",
    );
    let answer = match api.call(&metadata).await {
        Ok(answer) => answer,
        // Plain Kubernetes has no such page, and may not show its absence to strangers.
        Err(error) if matches!(error.status(), Some(401 | 403 | 404)) => {
            return Err(ClusterError::NoPasswordLogin {
                cluster: access.name.clone(),
            });
        }
        Err(ClusterError::Anonymous { cluster }) => {
            return Err(ClusterError::NoPasswordLogin { cluster });
        }
        Err(error) => return Err(error),
    };
    let endpoint = answer.json::<Metadata>()?.authorization_endpoint;
    let endpoint = Access::parse_base(&endpoint).map_err(|error| answer.bad(error.to_string()))?;
    let mut first = None;
    for roots in roots(access, &endpoint) {
        let oauth = link(access, &endpoint, true, &roots, tuning).await?;
        match authorize(&oauth, &endpoint, username, password).await {
            Err(error @ ClusterError::UntrustedCertificate { .. }) => {
                first.get_or_insert(error);
            }
            other => return other,
        }
    }
    Err(first.unwrap_or_else(|| answer.bad("no way to verify the OAuth host".into())))
}

/// What to verify the OAuth host with, in turn: a match with any is enough.
fn roots<'a>(access: &'a Access, endpoint: &Url) -> Vec<Roots<'a>> {
    let Trust {
        ca_pem,
        insecure,
        oauth_ca_pem,
        oauth_insecure,
    } = &access.trust;
    // OpenShift 3 and small clusters serve both on one port: then it is the API's own certificate.
    let same_host = access.base.host() == endpoint.host()
        && access.base.port_or_known_default() == endpoint.port_or_known_default();
    if *oauth_insecure || (same_host && *insecure) {
        return vec![Roots {
            ca_pem: None,
            insecure: true,
        }];
    }
    let with = |ca_pem| Roots {
        ca_pem,
        insecure: false,
    };
    match (oauth_ca_pem, ca_pem) {
        (Some(pem), _) => vec![with(Some(pem.as_slice()))],
        (None, Some(pem)) => vec![with(Some(pem.as_slice())), with(None)],
        (None, None) => vec![with(None)],
    }
}

/// A link without credentials. The path of `at` is no part of it.
async fn link(
    access: &Access,
    at: &Url,
    oauth: bool,
    roots: &Roots<'_>,
    tuning: Tuning,
) -> Result<Link, ClusterError> {
    let mut base = at.clone();
    if oauth {
        base.set_path("/");
    }
    let config = bare_config(&access.name, &base, roots.ca_pem, roots.insecure)?;
    Ok(Link {
        cluster: access.name.clone(),
        clients: clients(&access.name, config, tuning.connect_timeout, None).await?,
        base,
        oauth,
        tuning: tuning.for_connecting(),
        credentials: access.credentials.subject(),
        proven: false,
        session: None,
    })
}

async fn authorize(
    oauth: &Link,
    endpoint: &Url,
    username: &str,
    password: &SecretString,
) -> Result<SecretString, ClusterError> {
    let call = Call::get(endpoint.path(), "log in")
        .query("response_type", "token")
        .query("client_id", CLIENT);
    let mut attempts = oauth.attempts();
    loop {
        match challenge(oauth, &call, username, password).await {
            Ok(token) => return Ok(token),
            Err(failure) => attempts.pause(failure, Repeat::Harmless).await?,
        }
    }
}

async fn challenge(
    oauth: &Link,
    call: &Call,
    username: &str,
    password: &SecretString,
) -> Result<SecretString, Failure> {
    let cluster = || oauth.cluster.clone();
    let basic = SecretString::from(format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{}", password.expose_secret()))
    ));
    let bad = |reason: String| {
        Failure::Final(ClusterError::BadAnswer {
            cluster: cluster(),
            action: call.action.clone(),
            reason,
        })
    };
    let mut value = HeaderValue::from_str(basic.expose_secret())
        .map_err(|_| bad("the credentials do not fit into a header".into()))?;
    value.set_sensitive(true);
    let mut request = call.request().map_err(|error| bad(error.to_string()))?;
    request.headers_mut().insert(header::AUTHORIZATION, value);
    // Without this header the server answers browsers, with a page instead of a challenge.
    request
        .headers_mut()
        .insert("x-csrf-token", HeaderValue::from_static("1"));
    let limit = oauth.tuning.answer_timeout;
    let response = match tokio::time::timeout(limit, oauth.clients.plain.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(oauth.failed(call, &error)),
        Err(_) => {
            return Err(Failure::Unknown(ClusterError::NoAnswer {
                cluster: cluster(),
                action: call.action.clone(),
                reason: format!("nothing came for {} s", limit.as_secs()),
            }));
        }
    };
    read_challenge(oauth, call, username, response).await
}

async fn read_challenge(
    oauth: &Link,
    call: &Call,
    username: &str,
    response: http::Response<Body>,
) -> Result<SecretString, Failure> {
    let status = response.status();
    let headers = response.headers().clone();
    let refused = |reason: String| {
        Failure::Final(ClusterError::LoginRefused {
            cluster: oauth.cluster.clone(),
            username: username.to_owned(),
            reason,
        })
    };
    if status.is_redirection() {
        let location = headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .unwrap_or_default();
        return match read_location(location) {
            Ok(token) => Ok(token),
            Err(reason) => Err(refused(reason)),
        };
    }
    if status == StatusCode::UNAUTHORIZED {
        let basic = headers.get_all(header::WWW_AUTHENTICATE).iter().any(|one| {
            one.to_str()
                .is_ok_and(|text| text.to_ascii_lowercase().starts_with("basic"))
        });
        return Err(Failure::Final(if basic {
            ClusterError::WrongPassword {
                cluster: oauth.cluster.clone(),
                username: username.to_owned(),
            }
        } else {
            // No identity provider of this cluster takes passwords.
            ClusterError::NoPasswordLogin {
                cluster: oauth.cluster.clone(),
            }
        }));
    }
    if status.is_success() {
        return Err(refused("it answered with a page instead of a token".into()));
    }
    let body = response
        .into_body()
        .collect_bytes()
        .await
        .unwrap_or_default();
    Err(oauth.refusal(call, status, &headers, &body))
}

/// The token, or the reason why there is none, of the redirect that ends a login.
fn read_location(location: &str) -> Result<SecretString, String> {
    let (front, fragment) = location.split_once('#').unwrap_or((location, ""));
    let query = front.split_once('?').map_or("", |(_, query)| query);
    let (mut error, mut description) = (None, None);
    for (name, value) in url::form_urlencoded::parse(fragment.as_bytes())
        .chain(url::form_urlencoded::parse(query.as_bytes()))
    {
        match name.as_ref() {
            "access_token" if !value.is_empty() => return Ok(value.into_owned().into()),
            "error" => error = Some(value.into_owned()),
            "error_description" => description = Some(value.into_owned()),
            _ => {}
        }
    }
    Err(match (error, description) {
        (_, Some(description)) => shortened(&description),
        (Some(error), None) => shortened(&error),
        (None, None) => "it redirects to a page for browsers".into(),
    })
}

/// The name of a token's object.
fn object_name(token: &str) -> String {
    match token.strip_prefix(HASHED) {
        Some(secret) => {
            let hash = Sha256::digest(secret.as_bytes());
            format!("{HASHED}{}", URL_SAFE_NO_PAD.encode(hash))
        }
        None => token.to_owned(),
    }
}

/// Revokes a token. One that is gone or has expired counts as revoked.
pub(crate) async fn revoke(link: &Link, token: &SecretString) -> Result<(), ClusterError> {
    let name = segment(&object_name(token.expose_secret()), "a token")?;
    let body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
    let mut last = Ok(());
    // A user deletes tokens of their own by the first (OpenShift 4.6 on), by the second before.
    for plural in ["useroauthaccesstokens", "oauthaccesstokens"] {
        let path = format!("/apis/oauth.openshift.io/v1/{plural}/{name}");
        let call = Call::with_body(
            Method::DELETE,
            path,
            &body,
            "revoke the token of this login",
        );
        last = match link.call(&call.harmless()).await {
            Ok(_) | Err(ClusterError::Unauthorized { .. }) => return Ok(()),
            // The server's message names the object, which on old servers is the token itself.
            Err(ClusterError::Api(mut error)) => {
                error.message = error.message.replace(token.expose_secret(), "…");
                let error = ClusterError::Api(error);
                if !error.is_not_found() && !error.is_forbidden() {
                    return Err(error);
                }
                Err(error)
            }
            Err(error) => return Err(error),
        };
    }
    match last {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_the_fragment() {
        let location = "https://127.0.0.1:16444/oauth/token/implicit#access_token=sha256~abc-_&expires_in=86400&scope=user%3Afull&token_type=Bearer";
        assert_eq!(
            read_location(location).unwrap().expose_secret(),
            "sha256~abc-_"
        );
    }

    #[test]
    fn a_redirect_without_a_token_says_why() {
        assert_eq!(
            read_location("https://h/x#error=access_denied&error_description=scope+denied")
                .unwrap_err(),
            "scope denied"
        );
        assert_eq!(
            read_location("https://h/x?error=access_denied").unwrap_err(),
            "access_denied"
        );
        assert_eq!(
            read_location("/login?then=/oauth").unwrap_err(),
            "it redirects to a page for browsers"
        );
    }

    #[test]
    fn the_name_of_a_token_does_not_reveal_it() {
        // `printf secret | sha256sum | xxd -r -p | base64`, in the URL alphabet without padding.
        assert_eq!(
            object_name("sha256~secret"),
            "sha256~K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols"
        );
        assert_eq!(object_name("old-token"), "old-token");
    }
}
