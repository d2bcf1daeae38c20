//! What was overwritten comes back.

use openshifter_migrate::{Existing, ImportOptions, VolumeAction};

use crate::devcluster::Dev;
use crate::support::{Home, connect, imported};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_claims_alone_is_imported_without_naming_an_image() {
    let home = Home::new();
    let minishift = Dev::start("minishift").await;
    minishift.guestbook("shop", &["first"]).await;
    let cluster = connect(&minishift).await;
    let chart = home.export(&cluster, "shop", "shop").await;
    minishift.write_entry("shop", "second").await;
    assert_eq!(minishift.entries("shop").await, ["first", "second"]);

    // What the reports of such an import suggest: `--existing apply --overwrite-data`, and no more.
    let options = ImportOptions {
        existing: Existing::Apply,
        overwrite_data: true,
        ..ImportOptions::default()
    };
    let report = imported(&home.run(), &chart, &cluster, "shop", &options).await;
    assert_eq!(report.volumes[0].action, VolumeAction::Overwritten);
    minishift.settled("shop").await;
    assert_eq!(minishift.entries("shop").await, ["first"]);

    let backup = home
        .open(report.volumes[0].backup.as_deref().unwrap())
        .await;
    let kinds: Vec<_> = backup
        .objects()
        .unwrap()
        .iter()
        .map(|object| object.kind().to_owned())
        .collect();
    assert_eq!(kinds, ["PersistentVolumeClaim"]);
    let report = imported(&home.run(), &backup, &cluster, "shop", &options).await;
    assert_eq!(report.volumes[0].action, VolumeAction::Overwritten);
    minishift.settled("shop").await;
    assert_eq!(minishift.entries("shop").await, ["first", "second"]);

    // Also where the application is gone, and nothing there names an image.
    let elsewhere = imported(&home.run(), &backup, &cluster, "empty", &options).await;
    assert_eq!(elsewhere.volumes[0].action, VolumeAction::Restored);
    cluster.logout().await.unwrap();
    minishift.stop().await;
}
