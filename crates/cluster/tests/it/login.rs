//! Logging in, and what goes wrong with it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use openshifter_cluster::{Access, Cluster, ClusterError, Credentials, DryRun, Trust};
use openshifter_objects::Object;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::server::{Asked, Server, ok, shown, status, tuning};

const TOKEN: &str = "sha256~hunter2token";
/// `base64url(sha256("hunter2token"))`.
const TOKEN_NAME: &str = "sha256~mHvdfFxSARWmNwXYWRLsNrGh_BYLViHUobtyhTlxlos";

fn password(text: &str) -> Credentials {
    Credentials::Password {
        username: "dev".into(),
        password: text.into(),
    }
}

/// The OAuth server: `dev` with `hunter2` gets the token.
fn oauth(asked: &Asked) -> Option<Response> {
    if !asked.is("GET", "/oauth/authorize") {
        return None;
    }
    let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(asked.query["response_type"], "token");
    assert_eq!(asked.query["client_id"], "openshift-challenging-client");
    assert_eq!(header("x-csrf-token"), Some("1"));
    // dev:hunter2
    if header("authorization") == Some("Basic ZGV2Omh1bnRlcjI=") {
        let location = format!(
            "https://x/oauth/token/implicit#access_token={TOKEN}&expires_in=86400&scope=user%3Afull&token_type=Bearer"
        );
        Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"openshift\"")];
        Some((StatusCode::UNAUTHORIZED, challenge).into_response())
    }
}

fn metadata(asked: &Asked, endpoint: &str) -> Option<Response> {
    asked
        .is("GET", "/.well-known/oauth-authorization-server")
        .then(|| ok(json!({"issuer": "x", "authorization_endpoint": endpoint})))?
}

/// An API that takes nothing but the token.
fn api(asked: &Asked) -> Option<Response> {
    let bearer = format!("Bearer {TOKEN}");
    let given = asked.headers.get("authorization");
    if given.is_none_or(|given| given.to_str().unwrap() != bearer) {
        return status(401, "Unauthorized", "Unauthorized");
    }
    if asked.method == "DELETE" && asked.path.ends_with(TOKEN_NAME) {
        return ok(json!({"kind": "Status", "status": "Success"}));
    }
    if asked.is("GET", "/apis/user.openshift.io/v1/users/~") {
        return ok(json!({"apiVersion": "user.openshift.io/v1", "kind": "User",
            "metadata": {"name": "dev"}}));
    }
    None
}

/// API and OAuth on one port, as OpenShift 3 and small clusters have it.
async fn one_port() -> Server {
    let endpoint = Arc::new(OnceLock::new());
    let told = endpoint.clone();
    let server = Server::start(move |asked| {
        metadata(asked, told.get().map_or("", String::as_str))
            .or_else(|| oauth(asked))
            .or_else(|| api(asked))
    })
    .await;
    endpoint
        .set(format!("{}oauth/authorize", server.base))
        .unwrap();
    server
}

/// The API, whose OAuth server is another host with another certificate.
async fn two_hosts() -> (Server, Server) {
    let oauth = Server::start(oauth).await;
    let endpoint = format!("{}oauth/authorize", oauth.base);
    let api = Server::start(move |asked| metadata(asked, &endpoint).or_else(|| api(asked))).await;
    (api, oauth)
}

#[tokio::test]
async fn a_password_gives_a_token_that_is_revoked_at_the_end() {
    let (server, oauth) = two_hosts().await;
    let mut access = server.access(password("hunter2"));
    access.trust.oauth_ca_pem = Some(oauth.ca.clone());
    let cluster = server.try_connect(&access).await.unwrap();
    assert_eq!(cluster.user().await.unwrap(), "dev");
    cluster.logout().await.unwrap();
    cluster.logout().await.unwrap();
    let deleted: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|asked| asked.method == "DELETE")
        .map(|asked| asked.path)
        .collect();
    assert_eq!(
        deleted,
        [format!(
            "/apis/oauth.openshift.io/v1/useroauthaccesstokens/{TOKEN_NAME}"
        )]
    );
    for asked in server.seen().iter().chain(&oauth.seen()) {
        assert!(!asked.path.contains("hunter2"), "{}", asked.path);
        assert!(asked.query.values().all(|value| !value.contains("hunter2")));
    }
}

/// Before OpenShift 4.6 a token is the name of its own object, so servers put it into their messages.
#[tokio::test]
async fn an_old_token_shows_in_no_message() {
    let endpoint = Arc::new(OnceLock::new());
    let told = endpoint.clone();
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/.well-known/oauth-authorization-server" => {
            ok(json!({"authorization_endpoint": told.get().unwrap()}))
        }
        "/oauth/authorize" => {
            let location = "https://x/#access_token=hunter2old";
            Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
        }
        path if path.contains("/oauthaccesstokens/") => status(
            403,
            "Forbidden",
            "oauthaccesstokens.oauth.openshift.io \"hunter2old\" is forbidden",
        ),
        _ => None,
    })
    .await;
    endpoint
        .set(format!("{}oauth/authorize", server.base))
        .unwrap();
    let cluster = server
        .try_connect(&server.access(password("hunter2")))
        .await
        .unwrap();
    let error = cluster.logout().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r#"
    prod: cannot revoke the token of this login: oauthaccesstokens.oauth.openshift.io "…" is forbidden (403 Forbidden)
    hint: ask for a role that allows it, such as `admin` in the namespace
    "#);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_token_of_others_is_not_revoked() {
    let server = Server::start(api).await;
    let access = server.access(Credentials::Token(format!("{TOKEN}\n").into()));
    let cluster = server.try_connect(&access).await.unwrap();
    cluster.logout().await.unwrap();
    assert!(server.seen().iter().all(|asked| asked.method != "DELETE"));
}

#[tokio::test]
async fn a_wrong_password_is_told_from_everything_else() {
    let (server, oauth) = two_hosts().await;
    let mut access = server.access(password("hunter3"));
    access.trust.oauth_ca_pem = Some(oauth.ca.clone());
    let error = server.try_connect(&access).await.unwrap_err();
    assert!(matches!(error, ClusterError::WrongPassword { .. }));
    assert_eq!(error.status(), Some(401));
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: wrong user name or password for `dev`
    hint: check both; an account may also be locked after many attempts
    ");
    assert_eq!(oauth.count("GET", "/oauth/authorize"), 1);
}

#[tokio::test]
async fn the_oauth_host_has_a_certificate_of_its_own() {
    let (server, oauth) = two_hosts().await;
    let mut access = server.access(password("hunter2"));
    let error = server.try_connect(&access).await.unwrap_err();
    assert!(matches!(
        error,
        ClusterError::UntrustedCertificate { oauth: true, .. }
    ));
    insta::assert_snapshot!(shown(&error, &oauth), @r"
    prod: the certificate of HOST (its OAuth host) is not trusted: it is signed by an unknown authority
    hint: the OAuth host has a certificate of its own: give the CA certificate that signed it, or allow this cluster's OAuth host to be insecure
    ");
    // Being lax with the API is not being lax with the host that gets the password.
    access.trust.insecure = true;
    assert!(server.try_connect(&access).await.is_err());
    access.trust.oauth_insecure = true;
    server.try_connect(&access).await.unwrap();
}

#[tokio::test]
async fn a_cluster_without_oauth_says_so() {
    let server = Server::start(|_| None).await;
    let error = server
        .try_connect(&server.access(password("hunter2")))
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r#"
    prod: this cluster offers no login with user name and password
    hint: use a token (`oc whoami --show-token`, or "Copy login command" of the web console) or a kubeconfig context
    "#);
}

#[tokio::test]
async fn one_port_for_both_needs_one_exception() {
    let server = one_port().await;
    let mut access = server.access(password("hunter2"));
    server.try_connect(&access).await.unwrap();
    access.trust = Trust {
        insecure: true,
        ..Trust::default()
    };
    server.try_connect(&access).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_nobody_is_not_trusted() {
    let server = Server::start(|_| None).await;
    let mut access = server.access(Credentials::Token("t".into()));
    access.trust.ca_pem = None;
    let error = server.try_connect(&access).await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the certificate of HOST is not trusted: it is signed by an unknown authority
    hint: give the CA certificate that signed it, or allow this one cluster to be insecure
    ");
    access.trust.insecure = true;
    server.try_connect(&access).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_unreachable() {
    let server = Server::start(|_| None).await;
    let access = server.access(Credentials::Token("t".into()));
    drop(server);
    // None of the ports that the system hands out: nobody listens there.
    let base = Access::parse_base("127.0.0.1:1").unwrap();
    let access = Access { base, ..access };
    let error = Cluster::connect_tuned(&access, tuning()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("prod: cannot reach 127.0.0.1:1"), "{text}");
    assert!(
        text.ends_with("Connection refused (os error 111)"),
        "{text}"
    );
}

#[tokio::test]
async fn an_expired_token_is_told_at_once_or_later() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/api" if asked.headers["authorization"] == "Bearer good" => None,
        _ => status(401, "Unauthorized", "Unauthorized"),
    })
    .await;
    let error = server
        .try_connect(&server.access(Credentials::Token("bad".into())))
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the token is not accepted: expired, revoked, or of another cluster
    hint: log in again and use the new credentials
    ");
    let cluster = server
        .try_connect(&server.access(Credentials::Token("good".into())))
        .await
        .unwrap();
    let error = cluster.version().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the token is not accepted: expired or revoked since
    hint: log in again and use the new credentials
    ");
    // It is asked once: nothing about a 401 changes by asking again.
    assert_eq!(server.count("GET", "/version"), 1);
}

#[tokio::test]
async fn who_gives_no_credentials_is_told() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/api" => status(
            403,
            "Forbidden",
            "forbidden: User \"system:anonymous\" cannot get path \"/api\"",
        ),
        _ => None,
    })
    .await;
    let error = server
        .try_connect(&server.access(Credentials::Token("t".into())))
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: no credentials: the server takes us for an anonymous user
    hint: give a user and password, a token or a client certificate
    ");
}

#[tokio::test]
async fn bad_certificates_are_named_without_their_text() {
    let server = Server::start(|_| None).await;
    let mut access = server.access(Credentials::ClientCertificate {
        cert_pem: server.ca.clone(),
        key_pem: "hunter2".into(),
    });
    let error = server.try_connect(&access).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(
        error
            .to_string()
            .starts_with("prod: the key of the client certificate cannot be used"),
        "{error}"
    );
    access.trust.ca_pem = Some(b"nonsense".to_vec());
    let error = server.try_connect(&access).await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @"prod: the CA certificate cannot be used: there is no PEM certificate in it");
}

#[tokio::test]
async fn a_client_certificate_that_is_not_taken_is_told() {
    let server = Server::start_for_strangers().await;
    let own = rcgen::generate_simple_self_signed(["dev".to_owned()]).unwrap();
    let access = server.access(Credentials::ClientCertificate {
        cert_pem: own.cert.pem().into_bytes(),
        key_pem: own.signing_key.serialize_pem().into(),
    });
    let error = server.try_connect(&access).await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the client certificate is not accepted: expired, revoked, or of another cluster
    hint: log in again and use the new credentials
    ");
}

#[tokio::test]
async fn a_user_without_a_user_object_is_asked_of_kubernetes() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/apis/user.openshift.io/v1/users/~" => status(403, "Forbidden", "forbidden"),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            ok(json!({"status": {"userInfo": {"username": "system:admin"}}}))
        }
        "/apis/config.openshift.io/v1/clusterversions/version" => {
            ok(json!({"status": {"desired": {"version": "4.22.0"}}}))
        }
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    assert_eq!(cluster.user().await.unwrap(), "system:admin");
    let version = cluster.version().await.unwrap();
    assert_eq!(version.kubernetes, "v1.36.2");
    assert_eq!(version.openshift.as_deref(), Some("4.22.0"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let (server, oauth) = two_hosts().await;
    let mut access = server.access(password("hunter2"));
    access.trust.oauth_ca_pem = Some(oauth.ca.clone());
    let cluster = server.try_connect(&access).await.unwrap();
    cluster.user().await.unwrap();
    cluster.logout().await.unwrap();
    access.credentials = password("hunter2wrong");
    server.try_connect(&access).await.unwrap_err();
    drop(guard);
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.len() > 1000, "something is logged at this level");
    for secret in ["hunter2", "ZGV2Omh1bnRlcjI"] {
        let leak = text.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None);
    }
}

/// A cluster that gives a new token at each login, and can take all that it gave for expired.
struct Expiring {
    server: Server,
    /// How many logins there were.
    logins: Arc<AtomicUsize>,
    /// Tokens up to this one are no longer accepted.
    expired: Arc<AtomicUsize>,
}

async fn expiring() -> Expiring {
    let endpoint = Arc::new(OnceLock::new());
    let (logins, expired) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (told, given, dead) = (endpoint.clone(), logins.clone(), expired.clone());
    let server = Server::start(move |asked| {
        if let Some(answer) = metadata(asked, told.get().map_or("", String::as_str)) {
            return Some(answer);
        }
        if asked.is("GET", "/oauth/authorize") {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            let location = format!("https://x/#access_token=token-{number}");
            return Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response());
        }
        let number = asked.headers["authorization"].to_str().unwrap();
        let number: usize = number.strip_prefix("Bearer token-").unwrap().parse().unwrap();
        if number <= dead.load(Ordering::SeqCst) {
            return status(401, "Unauthorized", "Unauthorized");
        }
        match asked.method.as_str() {
            "POST" | "DELETE" => ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": "u"}})),
            _ => api_user(asked),
        }
    })
    .await;
    endpoint
        .set(format!("{}oauth/authorize", server.base))
        .unwrap();
    Expiring {
        server,
        logins,
        expired,
    }
}

fn api_user(asked: &Asked) -> Option<Response> {
    asked
        .is("GET", "/apis/user.openshift.io/v1/users/~")
        .then(|| ok(json!({"metadata": {"name": "dev"}})))?
}

#[tokio::test]
async fn a_login_that_expires_is_made_anew_once_for_all() {
    let Expiring {
        server,
        logins,
        expired,
    } = expiring().await;
    let cluster = server
        .try_connect(&server.access(password("hunter2")))
        .await
        .unwrap();
    cluster.discovery().await.unwrap();
    for login in 1..=2 {
        assert_eq!(logins.load(Ordering::SeqCst), login);
        expired.store(login, Ordering::SeqCst);
        let users = futures::future::join_all((0..16).map(|_| cluster.user())).await;
        for user in users {
            assert_eq!(user.unwrap(), "dev");
        }
    }
    // What changes something as well: the server did nothing when it refused.
    expired.store(3, Ordering::SeqCst);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    cluster
        .create(Some("shop"), &Object::from_value(map).unwrap(), DryRun::No)
        .await
        .unwrap();
    let token = cluster.bearer_token().await.unwrap().unwrap();
    assert_eq!(token.expose_secret(), "token-4");
    cluster.logout().await.unwrap();
    let deleted: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|asked| asked.method == "DELETE")
        .map(|asked| asked.path)
        .collect();
    assert_eq!(
        deleted,
        ["/apis/oauth.openshift.io/v1/useroauthaccesstokens/token-4"]
    );
    // The end is the end.
    expired.store(4, Ordering::SeqCst);
    let error = cluster.user().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClusterError::Unauthorized {
                worked_before: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(logins.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_new_login_that_is_refused_as_well_is_an_error() {
    let Expiring {
        server,
        logins,
        expired,
    } = expiring().await;
    let cluster = server
        .try_connect(&server.access(password("hunter2")))
        .await
        .unwrap();
    // Whatever token it gives, it accepts none any more.
    expired.store(usize::MAX, Ordering::SeqCst);
    let error = cluster.discovery().await.unwrap_err();
    assert!(
        matches!(
            error,
            ClusterError::Unauthorized {
                worked_before: true,
                ..
            }
        ),
        "{error}"
    );
    let after = logins.load(Ordering::SeqCst);
    // An expired token counts as revoked, and nobody logs in for that.
    cluster.logout().await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), after);
}
