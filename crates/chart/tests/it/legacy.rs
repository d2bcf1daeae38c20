//! Charts of the prototype of 2019.

use std::{fs, path::Path};

use flate2::{Compression, write::GzEncoder};
use openshifter_chart::{Chart, ChartError};
use openshifter_volumes::{Allow, FileKind, Progress};
use serde_json::json;
use tempfile::tempdir;

use crate::support::run;

const STATE: &str = "_state/192.168.42.10:8443/shop";

fn tgz(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in members {
        let mut header = tar::Header::new_gnu();
        let kind = match *content {
            "FOLDER" => tar::EntryType::Directory,
            "DEVICE" => tar::EntryType::Char,
            _ => tar::EntryType::Regular,
        };
        let content = if kind == tar::EntryType::Regular {
            *content
        } else {
            ""
        };
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_560_000_000);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A chart as the prototype wrote it: a database with a claim at `/data/db`, a web application with one at
/// `/data` that has a ConfigMap mounted inside, and two pods of a StatefulSet.
fn legacy_chart(folder: &Path, data: &[(&str, &str)]) -> Vec<u8> {
    let workload = |kind: &str,
                    name: &str,
                    mounts: serde_json::Value,
                    volumes: serde_json::Value| {
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {"replicas": 2,
            "volumeClaimTemplates": if kind == "StatefulSet" { json!([{"metadata": {"name": "store"}}]) } else { json!([]) },
            "template": {"spec": {"containers": [{"name": "c", "volumeMounts": mounts}], "volumes": volumes}}}})
    };
    let descriptor = json!({"apiVersion": "v1", "kind": "List", "items": [
        workload("Deployment", "db", json!([{"name": "d", "mountPath": "/data/db"}]),
            json!([{"name": "d", "persistentVolumeClaim": {"claimName": "db"}}])),
        workload("Deployment", "web",
            json!([{"name": "w", "mountPath": "/srv/"}, {"name": "conf", "mountPath": "/srv/conf"}]),
            json!([{"name": "w", "persistentVolumeClaim": {"claimName": "web"}}, {"name": "conf", "configMap": {"name": "conf"}}])),
        workload("StatefulSet", "kv", json!([{"name": "store", "mountPath": "/store", "subPath": "inner"}]), json!([])),
    ]});
    let root = folder.join("shop-chart");
    fs::create_dir_all(root.join("templates")).unwrap();
    fs::create_dir_all(root.join("volumes")).unwrap();
    fs::write(root.join("Chart.yaml"), "name: shop\n").unwrap();
    fs::write(root.join("values.yaml"), "").unwrap();
    fs::write(
        root.join("templates/descriptor.json"),
        descriptor.to_string(),
    )
    .unwrap();
    fs::write(root.join("volumes/data.tgz"), tgz(data)).unwrap();
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    builder.append_dir_all("shop-chart", &root).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn state(path: &str) -> String {
    format!("{STATE}/{path}")
}

fn opened(data: &[(&str, &str)], spool: &Path) -> Result<Chart, ChartError> {
    let file = spool.join("output.tgz");
    fs::write(&file, legacy_chart(&spool.join("source"), data)).unwrap();
    Chart::open_any(&file, &spool.join("spool"))
}

#[test]
fn volumes_are_found_by_where_they_were_mounted() {
    let spool = tempdir().unwrap();
    let members = [
        ("", "FOLDER"),
        ("data/", "FOLDER"),
        ("data/db/", "FOLDER"),
        ("data/db/table", "rows"),
        ("data/dbx", "no claim's"),
        ("srv/", "FOLDER"),
        ("srv/page.html", "page"),
        ("srv/conf/token", "a secret of the pod"),
        ("store/key", "value"),
        ("var/run/secrets/token", "a secret of the pod"),
    ]
    .map(|(path, content)| (state(path), content));
    let members: Vec<(&str, &str)> = members
        .iter()
        .map(|(path, content)| (path.as_str(), *content))
        .collect();
    let chart = opened(&members, spool.path()).unwrap();
    assert!(chart.legacy());
    assert_eq!(chart.objects().unwrap().len(), 3);
    assert_eq!(chart.manifest().chart.name, "shop");
    assert_eq!(chart.verify().unwrap().volume_files, 6);

    let volumes = chart.legacy_volumes();
    let summary: Vec<String> = volumes
        .iter()
        .map(|volume| {
            format!(
                "{} {} {:?}",
                volume.claim, volume.mount_path, volume.shared_with
            )
        })
        .collect();
    insta::assert_snapshot!(summary.join("\n"), @r#"
    db /data/db []
    store-kv-0 /store ["store-kv-1"]
    store-kv-1 /store ["store-kv-0"]
    web /srv/ []
    "#);
    let paths = |claim: &str| {
        let volume = volumes.iter().find(|volume| volume.claim == claim).unwrap();
        assert!(volume.has_data().unwrap());
        let stored = run(volume.convert(
            &spool.path().join("converted").join(claim),
            Allow::default(),
        ))
        .unwrap();
        stored.verify().unwrap();
        let mut tar = Vec::new();
        run(stored.copy_to(&mut tar, &Progress::none())).unwrap();
        stored
            .list()
            .unwrap()
            .entries()
            .iter()
            .map(|entry| entry.shown())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(paths("db"), ". table");
    assert_eq!(paths("web"), ". page.html");
    assert_eq!(paths("store-kv-0"), "inner/key");
}

#[test]
fn a_claim_without_data_is_told() {
    let spool = tempdir().unwrap();
    let path = state("data/db/table");
    let chart = opened(&[(&path, "rows")], spool.path()).unwrap();
    let has: Vec<bool> = chart
        .legacy_volumes()
        .iter()
        .map(|volume| volume.has_data().unwrap())
        .collect();
    assert_eq!(has, [true, false, false, false]);
}

#[test]
fn a_hostile_legacy_volume_is_refused() {
    for (path, content, says) in [
        ("/etc/passwd".to_owned(), "x", "absolute"),
        (state("data/db/../../../x"), "x", "`..`"),
        (state("data/db/null"), "DEVICE", "device"),
    ] {
        let spool = tempdir().unwrap();
        let chart = opened(&[(&path, content)], spool.path()).unwrap();
        let error = chart.verify().unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        let converted = spool.path().join("converted");
        run(chart.legacy_volumes()[0].convert(&converted, Allow::default())).unwrap_err();
        assert!(!converted.exists());
    }
}

#[test]
fn device_nodes_come_along_where_they_are_allowed() {
    let spool = tempdir().unwrap();
    let path = state("data/db/null");
    let chart = opened(&[(&path, "DEVICE")], spool.path()).unwrap();
    let allow = Allow {
        devices: true,
        ..Allow::default()
    };
    chart.verify_with(allow, &Progress::none()).unwrap();
    let volume = &chart.legacy_volumes()[0];
    assert!(volume.has_data().unwrap());
    let stored = run(volume.convert(&spool.path().join("converted"), allow)).unwrap();
    stored.verify_with(allow, &Progress::none()).unwrap();
    assert!(stored.verify().is_err());
    let list = stored.list().unwrap();
    let device = list
        .entries()
        .iter()
        .find(|entry| entry.shown() == "null")
        .unwrap();
    assert_eq!(device.kind, FileKind::CharDevice { major: 1, minor: 3 });
}

#[test]
fn a_torn_legacy_volume_is_refused() {
    let spool = tempdir().unwrap();
    let path = state("data/db/table");
    legacy_chart(spool.path(), &[(&path, &"rows".repeat(1000))]);
    let file = spool.path().join("shop-chart/volumes/data.tgz");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let chart = Chart::open(spool.path().join("shop-chart")).unwrap();
    assert!(matches!(chart.verify(), Err(ChartError::Torn { .. })));
    let converted = spool.path().join("converted");
    let error = run(chart.legacy_volumes()[0].convert(&converted, Allow::default())).unwrap_err();
    assert!(matches!(error, ChartError::Torn { .. }), "{error}");
    assert!(!converted.exists());
}
