//! Data at rest: what writes to a claim is stopped while it is copied, and does not start on a part of it.

use std::sync::{Arc, Mutex};

use openshifter_cluster::{Cluster, DryRun};
use openshifter_migrate::{
    ChartForm, Existing, ExportOptions, ImportOptions, ResumeOptions, VolumeAction, export, import,
    resume, undo,
};
use openshifter_objects::{GroupKind, Object};
use openshifter_testing::Relay;
use serde_json::{Value, json};

use crate::devcluster::Dev;
use crate::support::{Home, When, connect, connect_by, failure, imported};

/// How much of a volume passes before something happens.
const A_PART: u64 = 4 << 20;

fn overwrite() -> ImportOptions {
    ImportOptions {
        existing: Existing::Apply,
        overwrite_data: true,
        ..ImportOptions::default()
    }
}

async fn create(cluster: &Cluster, project: &str, value: Value) {
    let object = Object::from_value(value).unwrap();
    cluster
        .create(Some(project), &object, DryRun::No)
        .await
        .unwrap();
}

async fn get(cluster: &Cluster, project: &str, kind: (&str, &str), name: &str) -> Value {
    let kind = GroupKind::new(kind.0, kind.1);
    let object = cluster.get(&kind, Some(project), name).await.unwrap();
    object.unwrap().value().clone()
}

/// A pod template that mounts the guestbook's claim.
fn writer() -> Value {
    json!({"restartPolicy": "Never",
        "containers": [{"name": "w", "image": "openshifter.test/shell:1", "command": ["sleep", "1"],
            "volumeMounts": [{"name": "d", "mountPath": "/data"}]}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "guestbook-data"}}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_suspended_for_a_copy_and_what_starts_meanwhile_is_noticed() {
    let home = Home::new();
    let minishift = Arc::new(Dev::start("minishift").await);
    minishift.guestbook("shop", &["first"]).await;
    minishift.fill("shop", "64M").await;
    let cluster = Arc::new(connect(&minishift).await);
    let nightly = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": writer()}}}}});
    create(&cluster, "shop", nightly).await;
    let suspended = async || {
        let nightly = get(&cluster, "shop", ("batch", "CronJob"), "nightly").await;
        nightly["spec"]["suspend"] == true
    };

    // While the volume is read, somebody or an operator may start a pod of their own. This one is never run: it leaves
    // nothing that tar could notice.
    let copying = |sneaky: bool| {
        let cluster = Arc::clone(&cluster);
        let handle = tokio::runtime::Handle::current();
        let within = async move {
            let nightly = get(&cluster, "shop", ("batch", "CronJob"), "nightly").await;
            assert_eq!(nightly["spec"]["suspend"], true);
            if sneaky {
                let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sneaky"}, "spec": writer()});
                pod["spec"]["nodeName"] = "elsewhere".into();
                create(&cluster, "shop", pod).await;
            }
        };
        let within = Mutex::new(Some(within));
        let progress = When::bytes(A_PART, move || {
            let within = within.lock().unwrap().take().unwrap();
            tokio::task::block_in_place(|| handle.block_on(within));
        });
        home.run().with_progress(progress)
    };
    let options = ExportOptions {
        quiesce: true,
        ..ExportOptions::default()
    };
    let form = |name: &str| ChartForm::Folder(home.path(name));
    let exported = export(&copying(false), &cluster, "shop", &options, &form("whole")).await;
    let report = exported
        .unwrap_or_else(|failed| panic!("{}", failed.report.text()))
        .report;
    assert_eq!(report.exit_status(), 0, "{}", report.text());
    assert!(!suspended().await);

    let run = copying(true);
    let form = form("chart");
    let failed = export(&run, &cluster, "shop", &options, &form).await;
    let failed = failed.expect_err("a copy that was written to is none");
    let message = failed.error.chain();
    assert!(
        message.contains("Pod/sneaky")
            && message.contains("was started while the data was to rest"),
        "{message}"
    );
    assert!(!home.path("chart").exists());
    assert!(!suspended().await);
    let guestbook = get(&cluster, "shop", ("apps", "Deployment"), "guestbook").await;
    assert_eq!(guestbook["spec"]["replicas"], 1);

    drop(run);
    Arc::into_inner(cluster).unwrap().logout().await.unwrap();
    Arc::into_inner(minishift).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_does_not_start_on_a_part_of_what_overwrites_its_data() {
    let home = Home::new();
    let (minishift, production) = tokio::join!(Dev::start("minishift"), Dev::start("production"));
    minishift.guestbook("shop", &["first"]).await;
    minishift.fill("shop", "64M").await;
    let source = connect(&minishift).await;
    let chart = home.export(&source, "shop", "shop").await;
    source.logout().await.unwrap();

    let relay = Arc::new(Relay::start(&production.base()));
    let target = connect_by(&production, relay.address()).await;
    let torn = async |project: &str| {
        production.guestbook(project, &["old"]).await;
        let wire = Arc::clone(&relay);
        // All connections end in the middle of the upload; new ones are taken.
        let progress = When::bytes(A_PART, move || {
            wire.cut();
            wire.mend();
        });
        let run = home.run().with_progress(progress);
        let failed = failure(import(&run, &chart, &target, project, &overwrite()).await);
        assert_eq!(failed.report.exit_status(), 4, "{}", failed.report.text());
        let said = failed.report.next.iter().any(|next| {
            next.starts_with("Deployment.apps/guestbook stays stopped, since claim guestbook-data holds only a part")
        });
        assert!(said, "{}", failed.report.text());
        let guestbook = get(&target, project, ("apps", "Deployment"), "guestbook").await;
        assert_eq!(guestbook["spec"]["replicas"], 0);
        failed.report
    };

    // An undo has not the data: it says where that is, and starts nothing on what is there.
    let report = torn("live").await;
    let undone = undo(&home.again(&report), None, Some(&target)).await;
    let undone = undone.unwrap_or_else(|failed| panic!("{}", failed.report.text()));
    assert_eq!(undone.exit_status(), 1, "{}", undone.text());
    let text = undone.losses.join("\n");
    assert!(
        text.contains("the data that was in claim guestbook-data first is in ")
            && text.contains("Deployment.apps/guestbook stays stopped"),
        "{text}"
    );
    let guestbook = get(&target, "live", ("apps", "Deployment"), "guestbook").await;
    assert_eq!(guestbook["spec"]["replicas"], 0);

    // A resume has, starts it, and names the backup of what was there at first.
    let report = torn("again").await;
    let resumed = resume(&home.again(&report), &target, &ResumeOptions::default()).await;
    let resumed = resumed.unwrap_or_else(|failed| panic!("{}", failed.report.text()));
    assert_eq!(resumed.exit_status(), 0, "{}", resumed.text());
    assert_eq!(production.entries("again").await, ["first"]);
    let backup = resumed.volumes[0].backup.clone().unwrap();
    let backup = home.open(&backup).await;
    let report = imported(&home.run(), &backup, &target, "again", &overwrite()).await;
    assert_eq!(report.volumes[0].action, VolumeAction::Overwritten);
    production.settled("again").await;
    assert_eq!(production.entries("again").await, ["old"]);
    target.logout().await.unwrap();
    minishift.stop().await;
    production.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_starts_what_was_stopped_below_an_autoscaler() {
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    let cluster = connect(&minishift).await;
    let scaler = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "guestbook"}, "spec": {"minReplicas": 1, "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "guestbook"}}});
    create(&cluster, "shop", scaler).await;
    let chart = home.export(&cluster, "shop", "shop").await;
    let deployments = GroupKind::new("apps", "Deployment");
    cluster
        .scale(&deployments, Some("shop"), "guestbook", 0)
        .await
        .unwrap();
    let refused = import(
        &home.run(),
        &chart,
        &cluster,
        "shop",
        &ImportOptions::default(),
    )
    .await;
    let message = failure(refused).error.chain();
    assert!(message.contains("/spec/replicas"), "{message}");
    let report = imported(&home.run(), &chart, &cluster, "shop", &overwrite()).await;
    assert_eq!(report.exit_status(), 0, "{}", report.text());
    assert_eq!(minishift.entries("shop").await, ["first"]);
    cluster.logout().await.unwrap();
    minishift.stop().await;
}
