//! Objects, charts and tools for the tests.

use std::{
    env, fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use openshifter_chart::{Chart, ChartBuilder, ChartMeta, Content, VolumeNote};
use openshifter_objects::{Knob, KnobSource, LeftOut, Object, ObjectKey};
use openshifter_volumes::{RecordOptions, record};
use serde_json::{Value, json};

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A real tool: from the folder that `cargo xtask test` fills.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folder = env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "`{}` is missing: run `cargo xtask test`, which installs it",
        path.display()
    );
    path
}

/// Runs helm with no home but a temporary one; it has to succeed.
pub(crate) fn helm(words: &[&str]) -> String {
    let output = try_helm(words);
    assert!(
        output.status.success(),
        "helm {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn try_helm(words: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(tool("helm"))
        .args(words)
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"))
        .output()
        .unwrap()
}

pub(crate) fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

pub(crate) fn knob(object: &Object, pointer: &str, path: &[&str], optional: bool) -> Knob {
    Knob {
        object: object.key(),
        pointer: pointer.into(),
        source: KnobSource::Value(path.iter().map(|&key| key.to_owned()).collect()),
        optional,
    }
}

/// What an import with these values creates.
pub(crate) fn turned(
    prepared: &[Object],
    knobs: &[Knob],
    values: &Value,
    namespace: &str,
) -> Vec<Object> {
    prepared
        .iter()
        .map(|object| {
            let (key, mut object) = (object.key(), object.clone());
            for knob in knobs.iter().filter(|knob| knob.object == key) {
                knob.turn(&mut object, values, namespace).unwrap();
            }
            object.set_namespace(None);
            object
        })
        .collect()
}

/// A small application with a volume, a secret and names that are hard to write down.
pub(crate) struct Shop {
    pub(crate) objects: Vec<Object>,
    pub(crate) crds: Vec<Object>,
    pub(crate) knobs: Vec<Knob>,
    pub(crate) values: Value,
}

pub(crate) fn shop() -> Shop {
    let deployment = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "yes", "tier": "1e3"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "yes"}}, "template": {
            "metadata": {"labels": {"app": "yes"}},
            "spec": {
                "containers": [{"name": "web", "image": "quay.io/shop/web:1.0", "args": ["--user={{ .User }}", "-", "", "- x: y", "0644"],
                    "env": [{"name": "NAMESPACE", "value": "shop"}, {"name": "EMPTY", "value": ""}],
                    "ports": [{"containerPort": 8080}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}}}
    }));
    let route = object(json!({
        "apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"host": "web.old.example.com", "to": {"kind": "Service", "name": "web"}}
    }));
    let secret = object(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "type": "Opaque", "data": {"password": "cGFzc3dvcmQ="}
    }));
    let config = object(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "web", "annotations": {"note": "a: b # no comment", "empty": ""}},
        "data": {
            "template.tpl": "{{ if .Values.x }}\n{{- end }}\nplain {{{ braces }}} \\{{ }}\n",
            "plain.conf": "[main]\n  key = value\n\n---\nother: |\n\ttab\n",
            "trailing": "line  \nline \n\n", "leading": "  x\ny", "cr": "a\r\nb", "control": "a\u{1}\u{7f}\u{85}\u{2028}\u{feff}b",
            "yes": "no", "octal": "0644", "time": "12:30", "float": "1e3", "null": "null", "tilde": "~", "emoji": "🦀 ünï",
            "quote": "\"'`$x%", "percent": "%YAML", "doc": "---", "end": "...", "space": " ", "colon": "a:", "comment": "#x"
        }
    }));
    let role = |name: &str| {
        object(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        }))
    };
    let binding = object(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "system:web"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "system:web"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}]
    }));
    let claim = object(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    }));
    let custom = object(json!({
        "apiVersion": "example.com/v1", "kind": "Shop", "metadata": {"name": "web"},
        "spec": {"matrix": [[1, 2.5], [], [{}]], "nothing": null, "deep": {"a": {"b": {}}}, "big": 9_007_199_254_740_993_i64}
    }));
    let crd = object(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "shops.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Shop", "listKind": "ShopList", "plural": "shops", "singular": "shop"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "description": "not a {{ template }}", "x-kubernetes-preserve-unknown-fields": true}}}]}
    }));
    let mut namespace = knob(&binding, "/subjects/0/namespace", &[], false);
    namespace.source = KnobSource::ReleaseNamespace;
    let knobs = vec![
        knob(
            &deployment,
            "/spec/replicas",
            &["workloads", "web", "replicas"],
            false,
        ),
        knob(
            &deployment,
            "/spec/template/spec/containers/0/image",
            &["images", "web"],
            false,
        ),
        knob(
            &deployment,
            "/spec/template/spec/containers/0/env/1/value",
            &["env", "empty"],
            true,
        ),
        knob(&route, "/spec/host", &["routes", "web", "host"], true),
        knob(
            &secret,
            "/data/password",
            &["secrets", "db", "data", "password"],
            false,
        ),
        knob(
            &claim,
            "/spec/storageClassName",
            &["storage", "data", "class"],
            true,
        ),
        knob(
            &claim,
            "/spec/resources/requests/storage",
            &["storage", "data", "size"],
            false,
        ),
        namespace,
    ];
    let values = json!({
        "workloads": {"web": {"replicas": 2}}, "images": {"web": "quay.io/shop/web:1.0"}, "env": {"empty": ""},
        "routes": {"web": {"host": ""}}, "secrets": {"db": {"data": {"password": "cGFzc3dvcmQ="}}},
        "storage": {"data": {"class": null, "size": "1Gi"}}
    });
    let objects = vec![
        deployment,
        route,
        secret,
        config,
        role("system:web"),
        role("system:Web"),
        binding,
        claim,
        custom,
    ];
    Shop {
        objects,
        crds: vec![crd],
        knobs,
        values,
    }
}

/// The application's chart in `folder`, with one volume of two segments.
pub(crate) fn shop_chart(folder: &Path) -> Chart {
    let shop = shop();
    let mut meta = ChartMeta::new("shop");
    meta.source_cluster = "https://admin:hidden@old.example.com:6443".into();
    meta.source_namespace = "shop".into();
    let mut builder = ChartBuilder::create(folder.join("shop"), meta).unwrap();
    let options = RecordOptions {
        segment_size: 2000,
        ..RecordOptions::default()
    };
    let recorded = run(record(
        Cursor::new(volume_tar()),
        &builder.volume_dir("data"),
        &options,
    ))
    .unwrap();
    let note = VolumeNote {
        mount_path: Some("/data".into()),
        ..VolumeNote::default()
    };
    builder.add_volume("data", &recorded, note).unwrap();
    let left_out = [LeftOut {
        key: ObjectKey::new("", "Pod", "web-1-abcde"),
        rule: "owned-by-controller".into(),
        reason: "its ReplicaSet makes it".into(),
    }];
    builder
        .finish(Content {
            raw: &[shop.objects.clone(), shop.crds.clone()].concat(),
            crds: &shop.crds,
            prepared: &shop.objects,
            knobs: &shop.knobs,
            values: &shop.values,
            left_out: &left_out,
            ..Content::default()
        })
        .unwrap()
}

fn volume_tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in [("./a", "content a"), ("./b/c", "content c")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

/// Everything below a folder, by path.
pub(crate) fn contents(root: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut todo) = (std::collections::BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            found.insert(
                path.strip_prefix(root).unwrap().to_owned(),
                fs::read(&path).unwrap(),
            );
        }
    }
    found
}
