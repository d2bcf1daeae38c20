//! The policies with embedded clusters, in this process and by a service.

use std::path::Path;

use openshifter_client::{ClientError, ClientOptions};
use openshifter_migrate::StateDir;
use openshifter_server::{Server, ServerConfig};
use serde_json::json;

use crate::answered::{answered, options};
use crate::devcluster::Dev;

/// `input.json` with the certificate authorities beside it.
fn write_input(folder: &Path, clusters: &[(&str, &Dev, &str)]) {
    let mut credentials = serde_json::Map::new();
    for (name, cluster, project) in clusters {
        let (base, trust) = cluster.trust();
        let ca = format!("{name}.pem");
        std::fs::write(folder.join(&ca), trust.ca_pem.unwrap()).unwrap();
        let entry = json!({
            "base": base, "project": project, "username": "developer", "password": cluster.password(), "ca": ca,
        });
        credentials.insert((*name).to_owned(), entry);
    }
    let text = json!({"credentials": credentials}).to_string();
    std::fs::write(folder.join("input.json"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_in_place_asks_first_and_keeps_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first", "second"]).await;
    write_input(folder.path(), &[("minishift", &minishift, "shop")]);
    let answers = "1\n1\n1\n1\nmove\n";

    let (refused, shown) = answered(options(folder.path()), &format!("{answers}no\n")).await;
    assert!(
        matches!(refused, Err(ClientError::NotConfirmed)),
        "{refused:?}"
    );
    assert!(shown.contains("Policy: move, in place"), "{shown}");
    assert!(
        shown.contains("3 objects go from minishift/shop"),
        "{shown}"
    );
    assert!(
        shown.contains("claims that stay, with their data: guestbook-data"),
        "{shown}"
    );
    assert_eq!(minishift.entries("shop").await, ["first", "second"]);
    assert!(!folder.path().join("state/runs").exists());

    let (done, shown) = answered(options(folder.path()), &format!("{answers}yes\n")).await;
    assert_eq!(done.unwrap(), 0, "{shown}");
    let order: Vec<usize> = [
        "Type `yes`",
        "- deleting 3 objects",
        "complete: everything is there",
    ]
    .map(|text| {
        shown
            .find(text)
            .unwrap_or_else(|| panic!("{text} is not in {shown}"))
    })
    .to_vec();
    assert!(order.is_sorted(), "{shown}");
    assert!(!shown.contains(&minishift.password()));
    assert_eq!(minishift.entries("shop").await, ["first", "second"]);
    assert_eq!(minishift.tokens(), 0);
    minishift.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_copies_and_plays_ping_pong() {
    let folder = tempfile::tempdir().unwrap();
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    minishift.guestbook("shop", &["first"]).await;
    write_input(
        folder.path(),
        &[
            ("minishift", &minishift, "shop"),
            ("production", &production, "live"),
        ],
    );
    let mut config = ServerConfig::new(StateDir::new(folder.path().join("state")));
    config.listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(config).await.unwrap();
    let mut options = options(folder.path());
    options.service = Some(ClientOptions::parse_service(&server.url()).unwrap());

    let (done, shown) = answered(options.clone(), "1\nminishift\n1\nproduction\ncopy\n").await;
    assert_eq!(done.unwrap(), 0, "{shown}");
    assert!(shown.contains("Nothing is deleted"), "{shown}");
    assert_eq!(production.entries("live").await, ["first"]);

    let answers = "1\nminishift\n1\nproduction\nping\nyes\n";
    let (done, shown) = answered(options, answers).await;
    assert_eq!(done.unwrap(), 0, "{shown}");
    assert!(
        shown.contains("export production/live as a backup that is kept"),
        "{shown}"
    );
    assert_eq!(production.entries("live").await, ["first"]);
    assert_eq!(minishift.entries("shop").await, ["first"]);
    assert_eq!((minishift.tokens(), production.tokens()), (0, 0));
    server.stop().await;
    minishift.stop().await;
    production.stop().await;
}
