//! Logging in: passwords, tokens, and tokens that end in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_images::{
    CopyOptions, ImagesError, Platforms, Registry, RegistryCredentials, RegistryEndpoint, Wanted,
    copy,
};

use crate::images::seed;
use crate::inspect::raw;
use crate::proxy::{Asked, Fault, Proxy, error};
use crate::server::{Server, plain, tuning};

async fn connect(address: &str, credentials: RegistryCredentials) -> Result<Registry, ImagesError> {
    let endpoint = RegistryEndpoint::parse(&format!("http://{address}"), plain()).unwrap();
    Registry::connect_tuned(&endpoint, credentials, tuning()).await
}

fn basic(username: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials::Basic {
        username: username.into(),
        password: password.into(),
    }
}

#[tokio::test]
async fn a_password_is_proven_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("htpasswd");
    // The password is `geheim`.
    std::fs::write(
        &file,
        "dev:$2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n",
    )
    .unwrap();
    let auth = format!(
        "auth:\n  htpasswd:\n    realm: here\n    path: {}\n",
        file.display()
    );
    let server = Server::configured("", &auth);
    let error = connect(&server.address, basic("dev", "falsch"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ImagesError::Unauthorized {
                had_credentials: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("falsch"));

    let registry = connect(&server.address, basic("dev", "geheim"))
        .await
        .unwrap();
    let from = Server::start();
    seed(&from, "a:1");
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let target = registry.repository("b").unwrap();
    copy(&survey, &target, Some("1"), &CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(server.tags("b"), ["1"]);

    let nobody = connect(&server.address, RegistryCredentials::Anonymous)
        .await
        .unwrap();
    let error = nobody
        .repository("b")
        .unwrap()
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ImagesError::Unauthorized {
                had_credentials: false,
                ..
            }
        ),
        "{error}"
    );
}

/// A registry that wants tokens, as OpenShift's does: its own host gives them for user and token of the cluster. Each
/// is good for so many requests, and so many are given.
async fn with_tokens(server: &Server, uses: u64, given: u64) -> Proxy {
    let (asked_for, used) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    Proxy::start(&server.address, move |asked: &Asked| {
        let unauthorized = |text: &str| {
            let realm = format!(
                "Bearer realm=\"http://{}/openshift/token\"",
                asked.header("host")
            );
            Fault::Answer(
                401,
                vec![("www-authenticate", realm)],
                error("UNAUTHORIZED", text),
            )
        };
        if asked.target.starts_with("/openshift/token") {
            let expected = format!("Basic {}", STANDARD.encode("dev:sha256~geheim"));
            if asked.header("authorization") != expected
                || asked_for.load(Ordering::SeqCst) >= given
            {
                return unauthorized("the token of the cluster has expired");
            }
            let number = asked_for.fetch_add(1, Ordering::SeqCst) + 1;
            used.store(0, Ordering::SeqCst);
            return Fault::Answer(
                200,
                vec![],
                format!(r#"{{"access_token":"number-{number}","expires_in":3600}}"#),
            );
        }
        let current = format!("Bearer number-{}", asked_for.load(Ordering::SeqCst));
        if asked.header("authorization") != current || used.fetch_add(1, Ordering::SeqCst) >= uses {
            return unauthorized("authentication required");
        }
        Fault::Pass
    })
    .await
}

#[tokio::test]
async fn tokens_that_end_are_renewed() {
    let (from, to) = (Server::start(), Server::start());
    seed(&from, "a:1");
    let proxy = with_tokens(&to, 4, u64::MAX).await;
    let credentials = RegistryCredentials::openshift("dev", "sha256~geheim".into());
    let registry = connect(&proxy.address, credentials).await.unwrap();
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let target = registry.repository("b").unwrap();
    // One blob at a time: a token that another request used up is that one's to renew.
    let options = CopyOptions::default().parallel(1);
    copy(&survey, &target, Some("1"), &options).await.unwrap();
    assert_eq!(
        raw(&format!("docker://{}/b:1", to.address)),
        raw(&format!("docker://{}/a:1", from.address))
    );
    assert!(proxy.count("GET", "/openshift/token") > 3);
}

#[tokio::test]
async fn an_expired_login_is_told_and_nothing_is_tagged() {
    let (from, to) = (Server::start(), Server::start());
    seed(&from, "a:1");
    let credentials = RegistryCredentials::openshift("dev", "sha256~geheim".into());
    let proxy = with_tokens(&to, 4, 2).await;
    let registry = connect(&proxy.address, credentials.clone()).await.unwrap();
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let target = registry.repository("b").unwrap();
    let options = CopyOptions::default().parallel(1);
    let error = copy(&survey, &target, Some("1"), &options)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ImagesError::Unauthorized {
                had_credentials: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("the token of the cluster has expired"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("geheim"));
    assert_eq!(to.tags("b"), Vec::<String>::new());

    let none = with_tokens(&to, 4, 0).await;
    let error = connect(&none.address, credentials).await.unwrap_err();
    assert!(matches!(error, ImagesError::Unauthorized { .. }), "{error}");
}
