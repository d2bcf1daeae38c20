//! What V2 called around an application's life, and what scaled it, on a cluster: the hooks `post_start`, `post_deploy` and
//! `pre_stop` in the containers of its pods, by the real runner, and an autoscaler whose replicas stay.

use serde_json::json;

use crate::deploy_steps::page;
use crate::support::{Space, Tool, World, deploy, runner, script, step, until};

/// It serves itself, keeps nothing, and says when it is told to end, and what hooks have noted by then. It says that it
/// serves before anybody can reach it: the runner may call `post_deploy` as soon as it does.
const APP: &str = r#"import os
import signal
import sys
from wsgiref.simple_server import make_server


def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']


def end(*ignored):
    os.write(1, open('/tmp/noted').read().encode('utf-8') + b'told to end\n')
    os._exit(0)


signal.signal(signal.SIGTERM, end)
sys.stdout.write('serving\n')
sys.stdout.flush()
port = int(os.environ['OPENSHIFT_PYTHON_PORT'])
make_server(os.environ['OPENSHIFT_PYTHON_IP'], port, application).serve_forever()
"#;

/// V2's hooks. The second one needs an application that answers.
const HOOKS: [(&str, &str); 3] = [
    (
        "post_start",
        "#!/bin/bash\necho \"$OPENSHIFT_APP_NAME has started\" >> /tmp/noted\n",
    ),
    (
        "post_deploy",
        "#!/bin/bash\npython3 -c \"import urllib.request as u; \
         print(u.urlopen('http://127.0.0.1:8080/').read().decode(), 'of what is deployed')\"\n",
    ),
    (
        "pre_stop",
        "#!/bin/bash\nsleep 1\necho \"$OPENSHIFT_APP_NAME stops\" >> /tmp/noted\n",
    ),
];

/// Names of the application's pods that are ready.
fn pods(space: &Space<'_>) -> Vec<String> {
    let names = space.kubectl(&[
        "get",
        "pods",
        "-l",
        "app.kubernetes.io/name=lives",
        "-o",
        "name",
    ]);
    names
        .lines()
        .map(|name| name.trim_start_matches("pod/").to_owned())
        .collect()
}

#[test]
fn hooks_of_v2_run_in_containers_and_its_scaling_is_the_clusters() {
    let world = World::small();
    let tool = Tool::new(&world);
    let tree = tool.path("lives");
    std::fs::create_dir_all(tree.join(".openshift/action_hooks")).expect("there is room");
    std::fs::write(tree.join("requirements.txt"), "").expect("there is room");
    script(&tree.join("app.py"), APP);
    for (name, text) in HOOKS {
        script(&tree.join(".openshift/action_hooks").join(name), text);
    }
    let runner = runner();
    tool.run(&[
        "v2",
        "convert",
        "lives",
        "--cartridge",
        "haproxy-1.4",
        "--runner-binary",
        &runner,
    ])
    .ok();
    let space = world.minishift.absent("shop");
    let args = deploy("lives-v3", "shop", &["--output", "json"]);
    let report = tool.run(&args).ok().report();
    assert_eq!(report["health"], 200, "{report:#}");
    let route = space.must("route", "lives");
    let host = route["spec"]["host"].as_str().expect("it has a host");
    assert_eq!(page(&space, host), "hello");

    // Every container has called its hooks, each once, and post_deploy when the application answered.
    let both = pods(&space);
    assert_eq!(both.len(), 2, "{both:?}");
    for pod in &both {
        let log = until("the hooks to have run", || {
            let log = tool.run(&step("shop", &["logs", pod], &[])).ok().stdout;
            log.contains("of what is deployed").then_some(log)
        });
        let deployed = "serving\n-----> Running /opt/app-root/src/.s2i/action_hooks/post_deploy\n";
        assert_eq!(log.matches("of what is deployed").count(), 1, "{log}");
        assert!(log.replace(" ----->", "----->").contains(deployed), "{log}");
        let noted = ["--", "cat", "/tmp/noted"];
        let noted = tool.run(&step("shop", &["exec", pod], &noted)).ok();
        assert_eq!(noted.stdout, "lives has started\n");
    }

    // Before the end of one the hook is through when the application is told.
    let mut following = tool.start(&step("shop", &["logs", "-f", &both[0]], &[]));
    following.until_line();
    space.kubectl(&["delete", "pod", &both[0]]);
    let log = following.end().ok().stdout;
    assert!(
        log.ends_with("lives has started\nlives stops\ntold to end\n"),
        "{log}"
    );

    scaled(&tool, &space);
}

/// What the autoscaler sets stays, whether a deployment changes something or not.
fn scaled(tool: &Tool, space: &Space<'_>) {
    let scaler = &space.must("horizontalpodautoscaler", "lives")["spec"];
    assert_eq!(
        *scaler,
        json!({
            "minReplicas": 2, "maxReplicas": 4,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "lives"},
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "AverageValue", "averageValue": "400m"}}}],
        })
    );
    // It asks for the subresource, as this does.
    let scale = ["scale", "deployment/lives", "--replicas=3", "--timeout=3m"];
    tool.run(&step("shop", &scale, &[])).ok();
    let args = deploy("lives-v3", "shop", &["--output", "json"]);
    let actions = || {
        let report = tool.run(&args).ok().report();
        assert_eq!(report["built"], false, "{report:#}");
        assert_eq!(space.must("deployment", "lives")["spec"]["replicas"], 3);
        let objects = report["objects"].as_array().expect("a list").iter();
        let changed: Vec<String> = objects
            .filter(|object| object["action"] == "change")
            .map(|object| object["object"].to_string())
            .collect();
        changed
    };
    assert_eq!(actions(), [""; 0]);
    let other = r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":2}}}}"#;
    space.kubectl(&["patch", "deployment", "lives", "--type=merge", "-p", other]);
    assert_eq!(actions(), ["\"Deployment.apps/lives\""]);
}
