//! Connections that break, logins that end, applications that do not start.

use std::sync::Arc;
use std::time::Duration;

use openshifter_cluster::{Access, Cluster, Credentials};
use openshifter_migrate::{
    ExportOptions, ImportOptions, MigrateOptions, Policy, ResumeOptions, Run, delete, import,
    migrate, plan_delete, plan_policy, resume, undo,
};
use openshifter_objects::GroupKind;
use openshifter_testing::Relay;
use serde_json::json;

use crate::devcluster::Dev;
use crate::support::{Home, When, connect, connect_by, failure, imported};

/// How much of a volume passes before something happens.
const A_PART: u64 = 4 << 20;

/// Objects of these kinds that a project has.
async fn names(cluster: &Cluster, project: &str, kinds: &[(&str, &str)]) -> Vec<String> {
    let discovery = cluster.discovery().await.unwrap();
    let mut names = Vec::new();
    for (group, kind) in kinds {
        let resource = discovery.find(&GroupKind::new(*group, *kind)).unwrap();
        let listed = cluster.list(resource, Some(project), None).await.unwrap();
        names.extend(listed.iter().map(|object| object.key().to_string()));
    }
    names
}

const APPLICATION: &[(&str, &str)] = &[
    ("apps", "Deployment"),
    ("", "Service"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_whose_upload_is_torn_is_undone_or_resumed() {
    let home = Home::new();
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    minishift.guestbook("shop", &["first"]).await;
    minishift.fill("shop", "64M").await;
    let source = connect(&minishift).await;
    let chart = home.export(&source, "shop", "shop").await;
    source.logout().await.unwrap();

    let relay = Arc::new(Relay::start(&production.base()));
    let target = connect_by(&production, relay.address()).await;
    let torn = async || {
        let wire = Arc::clone(&relay);
        // All connections end in the middle of the upload; new ones are taken.
        let progress = When::bytes(A_PART, move || {
            wire.cut();
            wire.mend();
        });
        let run = home.run().with_progress(progress);
        let options = ImportOptions::default();
        let failed = failure(import(&run, &chart, &target, "live", &options).await);
        assert_eq!(failed.report.exit_status(), 4, "{}", failed.report.text());
        let id = &failed.report.run;
        for way in [
            format!("openshifter undo {id} takes back what this run changed"),
            format!("openshifter resume {id} goes on"),
        ] {
            assert!(
                failed.report.next.contains(&way),
                "{}",
                failed.report.text()
            );
        }
        // The application did not start on half of its data, and the helper pod is gone.
        assert_eq!(production.pods("live"), 0);
        failed.report
    };

    let report = torn().await;
    let undone = undo(&home.again(&report), None, Some(&target))
        .await
        .unwrap();
    assert_eq!(undone.exit_status(), 0, "{}", undone.text());
    assert!(names(&target, "live", APPLICATION).await.is_empty());

    let report = torn().await;
    let resumed = resume(&home.again(&report), &target, &ResumeOptions::default()).await;
    let resumed = resumed.unwrap_or_else(|failed| panic!("{}", failed.report.text()));
    assert_eq!(resumed.exit_status(), 0, "{}", resumed.text());
    assert_eq!(production.entries("live").await, ["first"]);
    target.logout().await.unwrap();
    minishift.stop().await;
    production.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_ends_half_way_is_made_anew_and_a_token_is_asked_for() {
    let home = Home::new();
    let minishift = Arc::new(Dev::start("minishift").await);
    minishift.guestbook("shop", &["first"]).await;
    minishift.fill("shop", "64M").await;
    let source = connect(&minishift).await;
    let chart = home.export(&source, "shop", "shop").await;
    source.logout().await.unwrap();

    // The password is known: nobody notices.
    let target = connect(&minishift).await;
    let revoke = || {
        let cluster = Arc::clone(&minishift);
        When::bytes(A_PART, move || cluster.revoke_logins())
    };
    let run = home.run().with_progress(revoke());
    let options = ImportOptions::default();
    imported(&run, &chart, &target, "again", &options).await;
    assert_eq!(minishift.entries("again").await, ["first"]);
    drop(run);

    // A token that was given cannot be had anew.
    let token = target.bearer_token().await.unwrap().unwrap();
    let given = Access {
        credentials: Credentials::Token(token),
        ..minishift.access()
    };
    let target = Cluster::connect(&given).await.unwrap();
    let run = home.run().with_progress(revoke());
    let failed = failure(import(&run, &chart, &target, "live", &options).await);
    assert_eq!(failed.report.exit_status(), 4);
    let message = failed.error.chain();
    assert!(message.contains("expired or revoked since"), "{message}");
    drop(run);

    let target = connect(&minishift).await;
    let resumed = resume(
        &home.again(&failed.report),
        &target,
        &ResumeOptions::default(),
    )
    .await;
    let resumed = resumed.unwrap_or_else(|failed| panic!("{}", failed.report.text()));
    assert_eq!(resumed.exit_status(), 0, "{}", resumed.text());
    assert_eq!(minishift.entries("live").await, ["first"]);
    assert_eq!(minishift.pods("live"), 1);
    target.logout().await.unwrap();
    Arc::into_inner(minishift).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_to_what_does_not_start_keeps_the_source() {
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    let cluster = connect(&minishift).await;
    let before = names(&cluster, "shop", &APPLICATION[..3]).await;
    let options = MigrateOptions {
        policy: Policy::Move,
        export: ExportOptions::default(),
        import: ImportOptions {
            values: json!({"images": {"Deployment": {"guestbook": {"guestbook": "openshifter.test/none:1"}}}}),
            helper_image: Some("openshifter.test/guestbook:1".to_owned()),
            patience: Duration::from_secs(1),
            ..ImportOptions::default()
        },
        with_data: false,
        keep_chart: None,
    };
    let plan = plan_policy(&cluster, "shop", &cluster, "live", &options)
        .await
        .unwrap();
    let run = home.run();
    let failed = failure(migrate(&run, &cluster, "shop", &cluster, "live", &options, &plan).await);
    assert_eq!(failed.report.exit_status(), 4, "{}", failed.report.text());
    let message = failed.error.chain();
    assert!(
        message.starts_with("the source is not deleted, since the target is not complete: Deployment.apps/guestbook is not ready"),
        "{message}"
    );
    // Nobody takes back what is still at work.
    let at_work = Run::with_id(run.state.clone(), run.id.clone())
        .err()
        .expect("a run at work is refused");
    assert!(
        at_work.to_string().starts_with("the run is still at work"),
        "{at_work}"
    );
    drop(run);
    // It was stopped for the copy, and runs again.
    assert_eq!(names(&cluster, "shop", &APPLICATION[..3]).await, before);
    assert_eq!(minishift.entries("shop").await, ["first"]);

    let undone = undo(&home.again(&failed.report), Some(&cluster), Some(&cluster))
        .await
        .unwrap();
    assert_eq!(undone.exit_status(), 0, "{}", undone.text());
    assert!(names(&cluster, "live", APPLICATION).await.is_empty());
    assert_eq!(minishift.entries("shop").await, ["first"]);

    // The chart is kept, and does where the image is there.
    let chart = home.open(failed.report.chart.as_deref().unwrap()).await;
    let options = ImportOptions::default();
    imported(&home.run(), &chart, &cluster, "live", &options).await;
    assert_eq!(minishift.entries("live").await, ["first"]);
    cluster.logout().await.unwrap();
    minishift.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_after_it_was_shown_is_not_deleted() {
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    let cluster = connect(&minishift).await;
    for (kind, change) in [
        // One has a generation, the other has none.
        (
            GroupKind::new("apps", "Deployment"),
            json!({"spec": {"minReadySeconds": 1}}),
        ),
        (
            GroupKind::new("", "Service"),
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
        ),
    ] {
        let plan = plan_delete(&cluster, "shop", None, false).await.unwrap();
        minishift.patch("shop", &kind, "guestbook", &change).await;
        let failed = failure(delete(&home.run(), &cluster, &plan).await);
        let message = failed.error.chain();
        let expected = format!("{kind}/guestbook was changed after it was shown; look again");
        assert_eq!(message, expected);
        assert!(
            cluster
                .get(&kind, Some("shop"), "guestbook")
                .await
                .unwrap()
                .is_some()
        );
        // The route had been shown as it is, and went before.
        let route = GroupKind::new("route.openshift.io", "Route");
        let gone = cluster.get(&route, Some("shop"), "guestbook").await;
        assert!(gone.unwrap().is_none());
    }
    // A label that somebody adds is no other object, nor is a status.
    let plan = plan_delete(&cluster, "shop", None, false).await.unwrap();
    let label = json!({"metadata": {"labels": {"seen": "1"}}});
    let service = GroupKind::new("", "Service");
    minishift.patch("shop", &service, "guestbook", &label).await;
    delete(&home.run(), &cluster, &plan).await.unwrap();
    assert!(names(&cluster, "shop", &APPLICATION[..2]).await.is_empty());
    cluster.logout().await.unwrap();
    minishift.stop().await;
}
