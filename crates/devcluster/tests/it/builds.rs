//! A build: source folder to image, image to tag, tag to roll-out.

use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, deployments, make, pods};

#[tokio::test]
async fn a_build_rolls_out_what_it_built() {
    let cluster = Cluster::start("build").await;
    let client = cluster.project("shop").await;
    let source = tempfile::tempdir().unwrap();
    std::fs::write(
        source.path().join("app.sh"),
        "cat message.txt; exec sleep 1000\n",
    )
    .unwrap();
    std::fs::write(source.path().join("message.txt"), "built here\n").unwrap();

    let labels = json!({"app": "web"});
    let trigger = json!([{
        "from": {"kind": "ImageStreamTag", "name": "web:latest"},
        "fieldPath": "spec.template.spec.containers[?(@.name==\"web\")].image",
    }]);
    let deployment = json!({
        "metadata": {"name": "web", "annotations": {"image.openshift.io/triggers": trigger.to_string()}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "web", "image": "web:latest"}],
                },
            },
        },
    });
    make(
        &client,
        Some("shop"),
        "apps/v1",
        "Deployment",
        "deployments",
        deployment,
    )
    .await;
    let stream = json!({"metadata": {"name": "web"}});
    make(
        &client,
        Some("shop"),
        "image.openshift.io/v1",
        "ImageStream",
        "imagestreams",
        stream,
    )
    .await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": {"type": "Git", "git": {"uri": format!("file://{}", source.path().display())}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
            "triggers": [{"type": "ConfigChange"}],
        },
    });
    make(
        &client,
        Some("shop"),
        "build.openshift.io/v1",
        "BuildConfig",
        "buildconfigs",
        config,
    )
    .await;
    let builds = ResourceId::new("build.openshift.io", "builds");
    let over = |build: &Value| {
        matches!(
            build["status"]["phase"].as_str(),
            Some("Complete" | "Failed")
        )
    };
    let build = cluster.until(&builds, "shop", "web-1", "over", over).await;
    assert_eq!(
        build["status"]["phase"], "Complete",
        "{:#}",
        build["status"]
    );
    cluster
        .until(&deployments(), "shop", "web", "available", |deployment| {
            deployment["status"]["availableReplicas"] == 1
        })
        .await;
    let pod = cluster
        .store()
        .list(&pods(), Some("shop"))
        .into_iter()
        .find(crate::support::is_ready)
        .unwrap();
    let image = pod["status"]["containerStatuses"][0]["imageID"]
        .as_str()
        .unwrap();
    assert!(
        image.starts_with("image-registry.openshift-image-registry.svc:5000/shop/web@sha256:"),
        "{image}"
    );
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let read = async {
        while api.logs(&name, &Default::default()).await.unwrap() != "built here\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, read)
        .await
        .unwrap();
    cluster.stop().await;
}

/// A BuildConfig on the shell image whose output is `web:latest`, with more of a specification.
fn config(source: Value, more: Value) -> Value {
    let mut config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "source": source,
            "strategy": {"type": "Source", "sourceStrategy": {
                "from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"},
                "env": [{"name": "GREETING", "value": "hello"}],
            }},
            "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
        },
    });
    for (name, value) in more.as_object().unwrap() {
        config["spec"][name] = value.clone();
    }
    config
}

pub(crate) async fn make_config(client: &kube::Client, config: Value) {
    let version = "build.openshift.io/v1";
    make(
        client,
        Some("shop"),
        version,
        "BuildConfig",
        "buildconfigs",
        config,
    )
    .await;
}

pub(crate) fn builds() -> ResourceId {
    ResourceId::new("build.openshift.io", "builds")
}

pub(crate) fn is_over(build: &Value) -> bool {
    matches!(
        build["status"]["phase"].as_str(),
        Some("Complete" | "Failed" | "Cancelled")
    )
}

#[tokio::test]
async fn a_source_that_is_not_here_fails_and_says_so() {
    let cluster = Cluster::start("nobuild").await;
    let client = cluster.project("shop").await;
    let git = json!({"type": "Git", "git": {"uri": "ssh://git.example.test/shop.git"}});
    let triggers = json!({"triggers": [{"type": "ConfigChange"}]});
    make_config(&client, config(git, triggers)).await;
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    let status = &build["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["reason"], "FetchSourceFailed");
    assert_eq!(status["message"], "Failed to fetch the input source.");
    insta::assert_snapshot!(
        status["logSnippet"].as_str().unwrap(),
        @r#"cannot fetch "ssh://git.example.test/shop.git": this cluster fetches http://, https:// and, from this machine, file:// alone"#
    );
    cluster.stop().await;
}

#[tokio::test]
async fn an_uploaded_folder_is_built_and_its_log_is_followed() {
    let cluster = Cluster::start("binary").await;
    let client = cluster.project("shop").await;
    let binary = json!({"type": "Binary", "binary": {}});
    let hook = json!({"postCommit": {"script": "echo \"checked: $(cat app.sh)\"; test $GREETING = hello"}});
    make_config(&client, config(binary, hook)).await;

    let mut tar = tar::Builder::new(Vec::new());
    let script = b"exec sleep 1000\n".as_slice();
    let mut header = tar::Header::new_gnu();
    header.set_size(script.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "./app.sh", script).unwrap();
    let tar = tar.into_inner().unwrap();
    let base = "/apis/build.openshift.io/v1/namespaces/shop";
    let request = http::Request::post(format!(
        "{base}/buildconfigs/web/instantiatebinary?name=web"
    ))
    .body(tar)
    .unwrap();
    let made: Value = client.request(request).await.unwrap();
    assert_eq!(made["metadata"]["name"], "web-1");
    let request = http::Request::get(format!("{base}/builds/web-1/log?follow=true"))
        .body(Vec::new())
        .unwrap();
    let log = tokio::time::timeout(PATIENCE, client.request_text(request))
        .await
        .unwrap()
        .unwrap();
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    assert_eq!(
        build["status"]["phase"], "Complete",
        "{log}\n{:#}",
        build["status"]
    );
    let digest = build["status"]["output"]["to"]["imageDigest"]
        .as_str()
        .unwrap();
    insta::assert_snapshot!(log.replace(digest, "[digest]"), @r"
    Receiving source from STDIN as archive ...
    Running post commit hook ...
    checked: exec sleep 1000

    Pushing image image-registry.openshift-image-registry.svc:5000/shop/web:latest ...
    Successfully pushed image-registry.openshift-image-registry.svc:5000/shop/web@[digest]
    Push successful
    ");

    // What is no archive is refused, and the build's failure says why.
    let request = http::Request::post(format!(
        "{base}/buildconfigs/web/instantiatebinary?name=web"
    ))
    .body(b"garbage that is no archive".to_vec())
    .unwrap();
    assert!(client.request::<Value>(request).await.is_err());
    cluster
        .until(&builds(), "shop", "web-2", "over", is_over)
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_repository_is_cloned_and_its_commit_noted() {
    let cluster = Cluster::start("clone").await;
    let client = cluster.project("shop").await;
    let server = crate::git::Server::start().await;
    let first = server
        .commit("app.sh", "cat version; exec sleep 1000\n")
        .await;
    let second = server.commit("version", "2\n").await;
    let source = json!({"type": "Git", "git": {"uri": server.url()}});
    let triggers = json!({"triggers": [{"type": "ConfigChange"}]});
    make_config(&client, config(source, triggers)).await;
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    assert_eq!(
        build["status"]["phase"], "Complete",
        "{:#}",
        build["status"]
    );
    assert_eq!(build["spec"]["revision"]["git"]["commit"], second.as_str());

    // A commit of the past by a request.
    let request = json!({
        "kind": "BuildRequest",
        "apiVersion": "build.openshift.io/v1",
        "metadata": {"name": "web"},
        "revision": {"git": {"commit": first}},
    });
    let path = "/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/web/instantiate";
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(request.to_string().into_bytes())
        .unwrap();
    let _: Value = client.request(request).await.unwrap();
    let build = cluster
        .until(&builds(), "shop", "web-2", "over", is_over)
        .await;
    assert_eq!(
        build["status"]["phase"], "Complete",
        "{:#}",
        build["status"]
    );
    assert_eq!(build["spec"]["revision"]["git"]["commit"], first.as_str());

    // A repository that is not there.
    let nowhere = json!({"type": "Git", "git": {"uri": format!("{}-not", server.url())}});
    let mut other = config(nowhere, json!({"triggers": [{"type": "ConfigChange"}]}));
    other["metadata"]["name"] = json!("other");
    make_config(&client, other).await;
    let build = cluster
        .until(&builds(), "shop", "other-1", "over", is_over)
        .await;
    assert_eq!(build["status"]["reason"], "FetchSourceFailed");
    let said = build["status"]["logSnippet"].as_str().unwrap();
    assert!(said.contains("not found"), "{said}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_build_is_cancelled_and_the_next_one_takes_its_turn() {
    let cluster = Cluster::start("cancel").await;
    let client = cluster.project("shop").await;
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("app.sh"), "true\n").unwrap();
    let folder =
        json!({"type": "Git", "git": {"uri": format!("file://{}", source.path().display())}});
    // The first build's hook waits for ever; the second's finds the file that says to go on.
    let word = crate::support::unique_word(7);
    let hook = json!({
        "postCommit": {"script": format!("test -e go || exec sleep {word}")},
        "triggers": [{"type": "ConfigChange"}],
    });
    make_config(&client, config(folder, hook)).await;
    let runs = async {
        while !crate::support::runs(&word) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, runs).await.unwrap();
    std::fs::write(source.path().join("go"), "").unwrap();
    let store = cluster.store();
    let next = store.instantiate_build("shop", "web", &json!({})).unwrap();
    assert_eq!(next["metadata"]["name"], "web-2");
    assert_eq!(
        store.get(&builds(), Some("shop"), "web-2").unwrap()["status"]["phase"],
        "New"
    );
    store
        .update_status(&builds(), Some("shop"), "web-1", |build| {
            build["status"]["cancelled"] = json!(true);
        })
        .unwrap();
    let first = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    assert_eq!(
        (
            first["status"]["phase"].as_str(),
            first["status"]["reason"].as_str()
        ),
        (Some("Cancelled"), Some("CancelledBuild"))
    );
    let ended = async {
        while crate::support::runs(&word) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let second = cluster
        .until(&builds(), "shop", "web-2", "over", is_over)
        .await;
    assert_eq!(
        second["status"]["phase"], "Complete",
        "{:#}",
        second["status"]
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_new_base_image_starts_a_build_and_a_failing_hook_ends_it() {
    let cluster = Cluster::start("rebuild").await;
    let client = cluster.project("shop").await;
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("app.sh"), "true\n").unwrap();
    let folder =
        json!({"type": "Git", "git": {"uri": format!("file://{}", source.path().display())}});
    let mut config = config(
        folder,
        json!({
            "triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChange": {}}],
            "postCommit": {"command": ["test", "-e", "/usr/bin/no-such-file"]},
        }),
    );
    config["spec"]["strategy"]["sourceStrategy"]["from"] =
        json!({"kind": "ImageStreamTag", "name": "base:1"});
    make_config(&client, config).await;
    let stream = |image: &str| {
        json!({
            "metadata": {"name": "base"},
            "spec": {"tags": [{"name": "1", "from": {"kind": "DockerImage", "name": image}}]},
        })
    };
    // Nothing is built before its base is there.
    let version = "image.openshift.io/v1";
    let first = stream("openshifter.test/shell:1");
    make(
        &client,
        Some("shop"),
        version,
        "ImageStream",
        "imagestreams",
        first,
    )
    .await;
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    assert_eq!(
        build["status"]["reason"], "PostCommitHookFailed",
        "{:#}",
        build["status"]
    );
    let streams = ResourceId::new("image.openshift.io", "imagestreams");
    assert!(cluster.store().get(&streams, Some("shop"), "web").is_none());

    cluster
        .store()
        .update(&streams, Some("shop"), "base", |stream| {
            stream["spec"]["tags"][0]["from"]["name"] = json!("openshifter.test/python:1");
            stream["spec"]["tags"][0]["generation"] = json!(2);
        })
        .unwrap();
    let build = cluster
        .until(&builds(), "shop", "web-2", "over", is_over)
        .await;
    assert_eq!(build["spec"]["triggeredBy"][0]["message"], "Image change");
    cluster.stop().await;
}

/// A wheel with one module, as a wheelhouse would have it: no network is needed to install it.
fn write_wheel(folder: &std::path::Path) {
    const SCRIPT: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    info = 'greeter-1.0.dist-info/'
    wheel.writestr('greeter.py', 'def greet(name): return \"hello, \" + name\\n')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: greeter\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', 'greeter.py,,\\n' + info + 'METADATA,,\\n' + info + 'WHEEL,,\\n' + info + 'RECORD,,\\n')
";
    let status = std::process::Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(folder.join("greeter-1.0-py3-none-any.whl"))
        .status()
        .expect("Python has to be installed: the Debian package python3-venv");
    assert!(status.success());
}

#[tokio::test]
async fn a_python_source_is_assembled_with_pip_and_served() {
    let cluster = Cluster::start("s2i").await;
    let client = cluster.project("shop").await;
    let source = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = source.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".s2i/environment", "# for the image\nGUEST = world\n");
    write(
        "requirements.txt",
        "--no-index\n./greeter-1.0-py3-none-any.whl\n",
    );
    write(
        "app.py",
        "
import http.server, os
from greeter import greet
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open('visits', 'a').write('x')
        body = (greet(os.environ['GUEST']) + ' ' + str(os.getuid() >= 1000000000)).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('', 8080), Handler).serve_forever()
",
    );
    write_wheel(source.path());
    let folder =
        json!({"type": "Git", "git": {"uri": format!("file://{}", source.path().display())}});
    let mut config = config(
        folder,
        json!({
            "triggers": [{"type": "ConfigChange"}],
            "postCommit": {"script": "python -c 'import greeter; print(greeter.greet(\"hook\"))'"},
        }),
    );
    config["spec"]["strategy"]["sourceStrategy"]["from"] =
        json!({"kind": "ImageStreamTag", "namespace": "openshift", "name": "python:latest"});
    make_config(&client, config).await;
    let build = cluster
        .until(&builds(), "shop", "web-1", "over", is_over)
        .await;
    let request =
        http::Request::get("/apis/build.openshift.io/v1/namespaces/shop/builds/web-1/log")
            .body(Vec::new())
            .unwrap();
    let log = client.request_text(request).await.unwrap();
    assert_eq!(build["status"]["phase"], "Complete", "{log}");
    for line in [
        "---> Installing application source ...",
        "---> Installing dependencies ...",
        "Successfully installed greeter-1.0",
        "hello, hook",
    ] {
        assert!(log.contains(line), "{line} is missing in\n{log}");
    }

    let image = format!(
        "{}@{}",
        "image-registry.openshift-image-registry.svc:5000/shop/web",
        build["status"]["output"]["to"]["imageDigest"]
            .as_str()
            .unwrap()
    );
    let pod = json!({
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "web",
            "image": image,
            "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}},
        }]},
    });
    crate::support::make_pod(&client, "shop", pod).await;
    cluster.until_ready("shop", "web").await;
    let service = json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 8080}]},
    });
    make(&client, Some("shop"), "v1", "Service", "services", service).await;
    let route = json!({
        "metadata": {"name": "web"},
        "spec": {"host": "web.test", "to": {"kind": "Service", "name": "web"}},
    });
    make(
        &client,
        Some("shop"),
        "route.openshift.io/v1",
        "Route",
        "routes",
        route,
    )
    .await;
    let answered = async {
        loop {
            let (status, text) = cluster.route("web.test", "/").await;
            if status == 200 {
                return text;
            }
        }
    };
    let text = tokio::time::timeout(PATIENCE, answered).await.unwrap();
    assert_eq!(text, "hello, world True");
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let log = api.logs("web", &Default::default()).await.unwrap();
    assert!(
        log.starts_with("---> Running application from Python script (app.py) ...\n"),
        "{log}"
    );
    cluster.stop().await;
}
