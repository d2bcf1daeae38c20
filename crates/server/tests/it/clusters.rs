//! The service with embedded clusters behind it: the walk-through, and a migration as a job.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openshifter_objects::GroupKind;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use crate::devcluster::Dev;
use crate::support::Service;

async fn service(clusters: &[&Dev]) -> Service {
    Service::with(|config| {
        config.trusts = clusters.iter().map(|cluster| cluster.trust()).collect();
    })
    .await
}

/// The end of a path: base, project, user, password.
fn place(cluster: &Dev, project: &str) -> String {
    format!(
        "{}/{project}/developer/{}",
        cluster.base(),
        cluster.password()
    )
}

/// As `curl --data-urlencode @FILE` sends it.
fn form(bytes: &[u8]) -> Vec<u8> {
    percent_encode(bytes, NON_ALPHANUMERIC)
        .to_string()
        .replace("%20", "+")
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_through_moves_the_application_with_its_data() {
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    minishift.guestbook("shop", &["first", "second"]).await;
    let service = service(&[&minishift, &production]).await;
    let here = place(&minishift, "shop");

    let volumes = service.get(&format!("/volumes/{here}")).await;
    assert_eq!(volumes.status, 200, "{}", volumes.body);
    let mounts: Vec<Value> = volumes
        .json()
        .as_object()
        .unwrap()
        .values()
        .cloned()
        .collect();
    assert_eq!(mounts, [json!(["/data"])]);
    let descriptor = service.get(&format!("/descriptor/{here}")).await.json();
    let kinds: Vec<&str> = descriptor["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    for kind in ["PersistentVolumeClaim", "Deployment", "Service", "Route"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(
        !kinds.contains(&"ReplicaSet") && !kinds.contains(&"Pod"),
        "{kinds:?}"
    );

    // The base as users paste it.
    let export = service.get(&format!("/export/https://{here}")).await;
    assert_eq!(export.status, 200, "{}", export.body);
    assert_eq!(
        export.header("content-length").unwrap(),
        export.body.len().to_string()
    );
    let chart = STANDARD.decode(&export.body).unwrap();

    let deleted = service.get(&format!("/delete/{here}")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    assert!(
        deleted
            .body
            .contains("claims stay, with their data: guestbook-data"),
        "{}",
        deleted.body
    );
    let again = service.get(&format!("/delete/{here}")).await;
    assert!(
        again.body.starts_with("nothing to delete"),
        "{}",
        again.body
    );

    // Back where it was. Mounting the claim anew may have changed the files' modes (fsGroup); the data is the same.
    let back = service
        .ask("POST", &format!("/import/{here}"), &[], &form(&chart))
        .await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert!(
        back.body.contains("holds the same data already"),
        "{}",
        back.body
    );
    assert_eq!(minishift.entries("shop").await, ["first", "second"]);

    // Elsewhere, under another name: as a file, base64 and raw.
    let there = place(&production, "live");
    let moved = service
        .ask(
            "PUT",
            &format!("/import/{there}"),
            &[],
            export.body.as_bytes(),
        )
        .await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    assert!(
        moved.body.contains("restored and verified"),
        "{}",
        moved.body
    );
    assert_eq!(production.entries("live").await, ["first", "second"]);
    let twice = service
        .ask("POST", &format!("/import/{there}"), &[], &chart)
        .await;
    assert_eq!(twice.status, 200, "{}", twice.body);
    assert!(twice.body.contains("0 objects created"), "{}", twice.body);

    // A chart that lost its end changes nothing.
    let torn = &chart[..chart.len() - 100];
    let other = place(&production, "torn");
    let refused = service
        .ask("POST", &format!("/import/{other}"), &[], torn)
        .await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let unknown = service.get(&format!("/export/{other}")).await;
    assert_eq!(unknown.status, 404, "{}", unknown.body);

    assert_eq!((minishift.tokens(), production.tokens()), (0, 0));
    assert!(service.left_in("spool").is_empty());
    for password in [minishift.password(), production.password()] {
        for path in service.left_in("") {
            let content = std::fs::read(&path).unwrap();
            let found = content
                .windows(password.len())
                .any(|part| part == password.as_bytes());
            assert!(!found, "{} holds a password", path.display());
        }
    }
    service.server.stop().await;
    minishift.stop().await;
    production.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_added_at_the_target_is_a_conflict() {
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    let service = service(&[&minishift]).await;
    let export = service
        .get(&format!("/export/{}", place(&minishift, "shop")))
        .await;
    assert_eq!(export.status, 200, "{}", export.body);
    let there = format!("/import/{}", place(&minishift, "copy"));
    let import = async || {
        service
            .ask("POST", &there, &[], export.body.as_bytes())
            .await
    };
    let first = import().await;
    assert_eq!(first.status, 200, "{}", first.body);

    let service_kind = GroupKind::new("", "Service");
    let ports = |ports: Value| json!({"spec": {"ports": ports}});
    let http = json!({"name": "http", "port": 80, "targetPort": "web"});
    let admin = json!({"name": "admin", "port": 81, "targetPort": 8081});
    for (change, back, field) in [
        (
            json!({"metadata": {"labels": {"team": "x"}}}),
            json!({"metadata": {"labels": {"team": null}}}),
            "/metadata/labels",
        ),
        (
            ports(json!([http, admin])),
            ports(json!([http])),
            "/spec/ports",
        ),
    ] {
        minishift
            .patch("copy", &service_kind, "guestbook", &change)
            .await;
        let refused = import().await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        let says = format!(
            "1 of the chart's objects exist in copy and are not what the chart says, Service/guestbook for one ({field}"
        );
        assert!(refused.body.contains(&says), "{}", refused.body);
        assert!(
            refused.body.contains("nothing was changed"),
            "{}",
            refused.body
        );
        minishift
            .patch("copy", &service_kind, "guestbook", &back)
            .await;
        let same = import().await;
        assert_eq!(same.status, 200, "{}", same.body);
    }
    assert_eq!(minishift.entries("copy").await, ["first"]);
    assert_eq!(minishift.tokens(), 0);
    service.server.stop().await;
    minishift.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_is_a_job_that_can_be_watched() {
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    minishift.guestbook("shop", &["first"]).await;
    let service = service(&[&minishift, &production]).await;
    let end = |cluster: &Dev, project: &str| json!({"base": cluster.base(), "project": project, "username": "developer", "password": cluster.password()});
    let json = [("Content-Type", "application/json")];
    let mut request = json!({
        "source": end(&minishift, "shop"), "target": end(&production, "live"), "policy": "move",
    });
    let ask = async |path: &str, request: &Value| {
        service
            .ask("POST", path, &json, request.to_string().as_bytes())
            .await
    };
    let plan = ask("/v1/plans", &request).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let plan = plan.json();
    assert_eq!(plan["deletedObjects"], 3, "{plan}");
    assert!(
        plan["deletes"].as_str().unwrap().contains("Deployment"),
        "{plan}"
    );
    // Nothing is deleted that was not shown.
    assert_eq!(ask("/v1/migrations", &request).await.status, 428);
    request["planDigest"] = json!("0000");
    assert_eq!(ask("/v1/migrations", &request).await.status, 409);
    request["planDigest"] = plan["digest"].clone();
    let begun = ask("/v1/migrations", &request).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    let path = begun.header("location").unwrap().to_owned();
    // The project is this job's.
    let busy = service
        .get(&format!("/export/{}", place(&minishift, "shop")))
        .await;
    assert_eq!(busy.status, 409, "{}", busy.body);
    let mut job = begun.json();
    let mut stages = Vec::new();
    while job["state"] == "running" {
        let after = job["revision"].as_u64().unwrap();
        let answer = service.get(&format!("{path}?after={after}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        job = answer.json();
        if let Some(stage) = job["stage"].as_str() {
            stages.push(stage.to_owned());
        }
    }
    assert_eq!(job["state"], "complete", "{job}");
    assert_eq!(job["report"]["outcome"], "complete");
    assert!(!stages.is_empty());
    assert_eq!(production.entries("live").await, ["first"]);
    let left = service
        .get(&format!("/descriptor/{}", place(&minishift, "shop")))
        .await
        .json();
    let left: Vec<&str> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["PersistentVolumeClaim"]);
    let listed = service.get("/v1/jobs").await.json();
    assert_eq!(listed[0]["id"], job["id"]);
    assert_eq!(listed[0]["state"], "complete");
    assert_eq!(service.ask("DELETE", &path, &[], b"").await.status, 200);
    assert_eq!((minishift.tokens(), production.tokens()), (0, 0));
    service.server.stop().await;
    minishift.stop().await;
    production.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_stops_its_export_in_order() {
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    minishift.fill("shop", "100M").await;
    // The cluster answers to two names.
    let other_name = minishift.base().replace("127.0.0.1", "localhost");
    let service = Service::with(|config| {
        let (name, trust) = minishift.trust();
        config.trusts = [(name, trust.clone()), (other_name.clone(), trust)].into();
    })
    .await;
    let here = place(&minishift, "shop");
    let client = service.begin(&format!("/export/{here}")).await;
    // The volume is being read.
    until(async || !service.left_in("spool").is_empty()).await;
    let busy = service.get(&format!("/delete/{here}")).await;
    assert_eq!(busy.status, 409, "{}", busy.body);
    let same = here.replace(&minishift.base(), &other_name);
    let busy = service.get(&format!("/delete/{same}")).await;
    assert_eq!(
        busy.line(),
        "409 the project shop is being read by another request; try again when that is done"
    );
    drop(client);
    until(async || minishift.tokens() == 0).await;
    until(async || service.left_in("spool").is_empty()).await;
    assert_eq!(minishift.pods("shop"), 1);
    // The project is free again, and another client's export comes through.
    let export = service.get(&format!("/export/{here}")).await;
    assert_eq!(export.status, 200, "{}", export.body);
    service.server.stop().await;
    minishift.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_at_once_get_their_own_and_nothing_of_each_other() {
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    let users = [(&minishift, "Ada"), (&production, "Grace")];
    for (cluster, entry) in users {
        cluster.guestbook("shop", &[entry]).await;
        // Long enough for the two to be under way together.
        cluster.fill("shop", "20M").await;
    }
    let service = service(&[&minishift, &production]).await;
    let [ours, theirs] = users.map(|(cluster, _)| place(cluster, "shop"));
    let both = async |paths: [String; 2]| {
        let [a, b] = paths;
        let (a, b) = tokio::join!(service.get(&a), service.get(&b));
        for answer in [&a, &b] {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        [a, b]
    };
    let charts = both([format!("/export/{ours}"), format!("/export/{theirs}")]).await;
    assert_ne!(charts[0].body, charts[1].body);

    // The same names, in the one cluster and in the other.
    let import = async |cluster: &Dev, chart: &str| {
        let path = format!("/import/{}", place(cluster, "copy"));
        let answer = service.ask("PUT", &path, &[], chart.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    tokio::join!(
        import(&minishift, &charts[0].body),
        import(&production, &charts[1].body)
    );
    for (cluster, entry) in users {
        for project in ["shop", "copy"] {
            assert_eq!(cluster.entries(project).await, [entry]);
        }
        assert_eq!(cluster.tokens(), 0);
    }
    assert!(service.left_in("spool").is_empty());
    service.server.stop().await;
    minishift.stop().await;
    production.stop().await;
}

/// Waits for what no event tells.
async fn until(is: impl AsyncFn() -> bool) {
    let looked = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), looked)
        .await
        .expect("it did not come about in time");
}
