//! A chart is there whole or not at all, and holds what it should.

use std::{fs, os::unix::fs::PermissionsExt as _};

use openshifter_chart::{Chart, ChartBuilder, ChartError, ChartMeta, Content};
use tempfile::tempdir;

use crate::support::{contents, knob, object, shop, shop_chart};
use serde_json::json;

#[test]
fn a_chart_holds_everything_and_reads_back() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let report = chart.verify().unwrap();
    assert_eq!(
        (
            report.objects,
            report.volumes,
            report.volume_files,
            report.volume_bytes
        ),
        (10, 1, 2, 18)
    );

    let again = Chart::open(chart.dir()).unwrap();
    assert_eq!(again.manifest(), chart.manifest());
    let shop = shop();
    let mut objects = again.objects().unwrap();
    let mut expected = [shop.objects, shop.crds].concat();
    objects.sort_by_key(openshifter_objects::Object::key);
    expected.sort_by_key(openshifter_objects::Object::key);
    assert_eq!(objects, expected);
    assert_eq!(again.knobs().unwrap(), shop.knobs);
    assert_eq!(again.default_values().unwrap(), shop.values);
    assert_eq!(again.volumes().unwrap()[0].0, "data");
    assert!(!again.legacy());

    let listing: Vec<String> = contents(chart.dir())
        .into_keys()
        .map(|path| path.display().to_string())
        .filter(|path| !path.contains("segments/"))
        .collect();
    insta::assert_snapshot!(listing.join("\n"), @r#"
    .helmignore
    Chart.yaml
    README.md
    crds/customresourcedefinition.apiextensions.k8s.io-shops.example.com.yaml
    data/knobs.json
    data/manifest.json
    data/objects/configmap-web.json
    data/objects/customresourcedefinition.apiextensions.k8s.io-shops.example.com.json
    data/objects/deployment.apps-web.json
    data/objects/persistentvolumeclaim-data.json
    data/objects/role.rbac.authorization.k8s.io-system%3a%57eb.json
    data/objects/role.rbac.authorization.k8s.io-system%3aweb.json
    data/objects/rolebinding.rbac.authorization.k8s.io-system%3aweb.json
    data/objects/route.route.openshift.io-web.json
    data/objects/secret-db.json
    data/objects/shop.example.com-web.json
    data/values.json
    data/volumes/data/files.jsonl.zst
    data/volumes/data/volume.json
    templates/_openshifter.tpl
    templates/configmap-web.yaml
    templates/deployment.apps-web.yaml
    templates/persistentvolumeclaim-data.yaml
    templates/role.rbac.authorization.k8s.io-system%3a%57eb.yaml
    templates/role.rbac.authorization.k8s.io-system%3aweb.yaml
    templates/rolebinding.rbac.authorization.k8s.io-system%3aweb.yaml
    templates/route.route.openshift.io-web.yaml
    templates/secret-db.yaml
    templates/shop.example.com-web.yaml
    values.schema.json
    values.yaml
    "#);
}

#[test]
fn nobody_else_can_read_a_chart_and_it_tells_no_credential() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(&spool.path().join("new folder"));
    for (path, content) in contents(chart.dir()) {
        let mode = fs::metadata(chart.dir().join(&path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        let folder = chart.dir().join(&path);
        let mode = fs::metadata(folder.parent().unwrap())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        assert!(
            !String::from_utf8_lossy(&content).contains("hidden"),
            "{}",
            path.display()
        );
    }
    assert_eq!(
        chart.manifest().chart.source_cluster,
        "https://old.example.com:6443"
    );
}

#[test]
fn a_person_is_told_what_is_inside() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let readme = fs::read_to_string(chart.dir().join("README.md")).unwrap();
    for part in [
        "openshifter import shop",
        "helm install shop",
        "data/volumes/data/segments/* | zstd -d",
        "Pod/web-1-abcde",
        "| data | 2 | 18 |",
    ] {
        assert!(readme.contains(part), "{part} in {readme}");
    }
}

#[test]
fn a_chart_that_cannot_be_finished_leaves_nothing() {
    let spool = tempdir().unwrap();
    let thing = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}));
    let make = |content: Content<'_>| {
        let builder = ChartBuilder::create(spool.path().join("x"), ChartMeta::new("x")).unwrap();
        let error = builder.finish(content).unwrap_err().to_string();
        assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 0, "{error}");
        error
    };
    let twice = [thing.clone(), thing.clone()];
    let other = [knob(
        &object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})),
        "/a",
        &["a"],
        false,
    )];
    let clash = [
        knob(&thing, "/data", &["a"], false),
        knob(&thing, "/data/x", &["b"], false),
    ];
    let one = [object(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}}),
    )];
    let errors = [
        make(Content {
            raw: &twice,
            ..Content::default()
        }),
        make(Content {
            prepared: &twice,
            ..Content::default()
        }),
        make(Content {
            prepared: &one,
            knobs: &other,
            ..Content::default()
        }),
        make(Content {
            prepared: &one,
            knobs: &clash,
            ..Content::default()
        }),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    ConfigMap/x is there twice
    ConfigMap/x is there twice
    Secret/x cannot have a knob at `/a`: the chart has no template of the object
    ConfigMap/x cannot have a knob at `/data/x`: another knob has the same place or a part of it
    ");
    drop(ChartBuilder::create(spool.path().join("x"), ChartMeta::new("x")).unwrap());
    assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 0);
}

#[test]
fn a_chart_is_never_overwritten() {
    let spool = tempdir().unwrap();
    let place = spool.path().join("shop");
    let builder = ChartBuilder::create(&place, ChartMeta::new("shop")).unwrap();
    fs::create_dir(&place).unwrap();
    assert!(
        matches!(builder.finish(Content::default()), Err(ChartError::Exists(path)) if path == place)
    );
    assert!(matches!(
        ChartBuilder::create(&place, ChartMeta::new("shop")),
        Err(ChartError::Exists(_))
    ));
    assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 1);
}
