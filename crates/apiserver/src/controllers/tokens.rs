//! Service accounts' secrets: each account gets a dockercfg secret, a token secret gets its token, and a
//! secret whose account is not there (or is another one) goes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::auth::tokens::{AccountClaims, Signer};
use crate::catalogue::ResourceId;
use crate::metadata;
use crate::state::EventKind;
use crate::store::{DeleteOptions, Store};

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const PULL_SECRET: &str = "openshift.io/internal-registry-pull-secret-ref";
const REGISTRY: &str = "image-registry.openshift-image-registry.svc:5000";

fn secrets() -> ResourceId {
    ResourceId::core("secrets")
}

fn accounts() -> ResourceId {
    ResourceId::core("serviceaccounts")
}

pub(crate) async fn run(store: Store, signer: Arc<Signer>) {
    let mut events = store.subscribe();
    sweep(&store, &signer);
    loop {
        let Ok(event) = events.next().await else {
            sweep(&store, &signer);
            continue;
        };
        if event.resource == secrets() && event.kind != EventKind::Deleted {
            secret(&store, &signer, &event.object);
        } else if event.resource == accounts() {
            if event.kind != EventKind::Deleted {
                account(&store, &signer, &event.object);
            }
            for one in store.list(&secrets(), metadata::namespace(&event.object)) {
                if one["metadata"]["annotations"][ACCOUNT_NAME] == metadata::name(&event.object) {
                    secret(&store, &signer, &one);
                }
            }
        }
    }
}

fn sweep(store: &Store, signer: &Signer) {
    for one in store.list(&accounts(), None) {
        account(store, signer, &one);
    }
    for one in store.list(&secrets(), None) {
        secret(store, signer, &one);
    }
}

fn claims(account: &Value) -> AccountClaims {
    AccountClaims {
        namespace: metadata::namespace(account).unwrap_or_default().to_owned(),
        name: metadata::name(account).to_owned(),
        uid: account["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Fills a token secret, or deletes it.
fn secret(store: &Store, signer: &Signer, secret: &Value) {
    if secret["type"] != TOKEN_TYPE {
        return;
    }
    let annotations = &secret["metadata"]["annotations"];
    let (namespace, name) = (metadata::namespace(secret), metadata::name(secret));
    let account = annotations[ACCOUNT_NAME]
        .as_str()
        .and_then(|account| store.get(&accounts(), namespace, account))
        .filter(|account| {
            let wanted = annotations[ACCOUNT_UID].as_str().unwrap_or_default();
            wanted.is_empty() || account["metadata"]["uid"] == wanted
        });
    let Some(account) = account else {
        let options = DeleteOptions {
            uid: secret["metadata"]["uid"].as_str().map(str::to_owned),
            ..DeleteOptions::default()
        };
        let _ = store.delete(&secrets(), namespace, name, options);
        return;
    };
    if secret["data"]["token"].is_string() && annotations[ACCOUNT_UID].is_string() {
        return;
    }
    let token = signer.sign(&claims(&account), None);
    let ca = STANDARD.encode(&store.settings().ca_pem);
    let _ = store.update(&secrets(), namespace, name, |secret| {
        secret["metadata"]["annotations"][ACCOUNT_UID] = account["metadata"]["uid"].clone();
        let data = &mut secret["data"];
        if !data.is_object() {
            *data = json!({});
        }
        data["ca.crt"] = json!(ca);
        data["namespace"] = json!(STANDARD.encode(namespace.unwrap_or_default()));
        data["token"] = json!(STANDARD.encode(token.expose_secret()));
    });
}

/// Gives an account its dockercfg secret. A reference that was copied from another cluster is taken at
/// its word: a secret of that very name is made.
fn account(store: &Store, signer: &Signer, account: &Value) {
    if !store.settings().openshift || !account["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    let (namespace, name) = (metadata::namespace(account), metadata::name(account));
    let wanted = account["metadata"]["annotations"][PULL_SECRET].as_str();
    if wanted.is_some_and(|secret| store.get(&secrets(), namespace, secret).is_some()) {
        return;
    }
    let secret_name = wanted.map_or_else(
        || format!("{name}-dockercfg-{}", metadata::suffix(5)),
        str::to_owned,
    );
    let token = signer.sign(&claims(account), None);
    let login = STANDARD.encode(format!("<token>:{}", token.expose_secret()));
    let config = json!({
        REGISTRY: {
            "username": "<token>",
            "password": token.expose_secret(),
            "email": "serviceaccount@example.org",
            "auth": login,
        },
    });
    let made = store.create(
        &secrets(),
        namespace,
        json!({
            "metadata": {
                "name": secret_name,
                "annotations": {
                    "openshift.io/internal-registry-auth-token.binding": "bound",
                    "openshift.io/internal-registry-auth-token.service-account": name,
                },
                "ownerReferences": [{
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "name": name,
                    "uid": account["metadata"]["uid"],
                }],
            },
            "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": STANDARD.encode(config.to_string())},
        }),
    );
    if made.is_err() {
        // The namespace is on its way out.
        return;
    }
    let reference = json!({ "name": secret_name });
    let _ = store.update(&accounts(), namespace, name, |account| {
        let annotations = &mut account["metadata"]["annotations"];
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[PULL_SECRET] = json!(secret_name);
        for list in ["secrets", "imagePullSecrets"] {
            let mut names = account[list].as_array().cloned().unwrap_or_default();
            if !names.contains(&reference) {
                names.push(reference.clone());
            }
            account[list] = json!(names);
        }
    });
}
