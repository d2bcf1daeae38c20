//! The kinds of objects that applications are made of.

use serde_json::{Value, json};

use crate::support::{Tool, World, claim, config, deployment, fill, until};

#[test]
fn an_application_that_is_built_in_the_cluster_is_built_again_at_the_target() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let source = world.path("source");
    std::fs::create_dir(&source).expect("there is room");
    let script = "cat message.txt; exec sleep 2147483647\n";
    std::fs::write(source.join("app.sh"), script).expect("there is room");
    std::fs::write(source.join("message.txt"), "built here\n").expect("there is room");

    let labels = json!({"app": "web"});
    shop.create(&[
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "web", "labels": labels}}),
        json!({
            "apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web", "labels": labels},
            "spec": {
                "source": {"type": "Git", "git": {"uri": format!("file://{}", source.display())}},
                "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "openshifter.test/shell:1"}}},
                "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}},
                "triggers": [{"type": "ConfigChange"}],
            },
        }),
        claim("web-data"),
        json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web", "labels": labels},
            "spec": {
                "replicas": 1, "selector": labels,
                "strategy": {"type": "Recreate"},
                "triggers": [
                    {"type": "ConfigChange"},
                    {"type": "ImageChange", "imageChangeParams": {
                        "automatic": true, "containerNames": ["main"],
                        "from": {"kind": "ImageStreamTag", "name": "web:latest"},
                    }},
                ],
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{
                            "name": "main", "image": " ",
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        }],
                        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}],
                    },
                },
            },
        }),
    ]);
    let log = |space: &crate::support::Space<'_>| {
        until("the built application to run", || {
            let pods = space.names("pods");
            let output = space.attempt(&["logs", "-l", "app=web"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (!pods.is_empty() && text.contains("built here")).then_some(())
        });
    };
    log(&shop);
    let pod = |space: &crate::support::Space<'_>| {
        until("a running pod", || {
            let list = space.kubectl(&["get", "pods", "-l", "app=web", "-o", "json"]);
            let list: Value = serde_json::from_str(&list).expect("it is JSON");
            let pods = list["items"].as_array().expect("it is a list");
            let running = pods.iter().find(|pod| {
                pod["status"]["containerStatuses"][0]["ready"] == true
                    && pod["metadata"]["deletionTimestamp"].is_null()
            })?;
            Some(running["metadata"]["name"].as_str()?.to_owned())
        })
    };
    shop.shell(&format!("pod/{}", pod(&shop)), "echo kept > /data/file");

    let tool = Tool::new(&world);
    tool.export("shop", "chart").ok();
    tool.run(&["import", "chart", "--to", "production", "-n", "shop"])
        .ok();
    log(&there);
    let kept = there.shell(&format!("pod/{}", pod(&there)), "cat /data/file");
    assert_eq!(kept, b"kept\n");
    let build = there.must("build", "web-1");
    assert_eq!(build["status"]["phase"], "Complete");
    let image =
        there.must("dc", "web")["spec"]["template"]["spec"]["containers"][0]["image"].to_string();
    assert!(image.contains("/shop/web@sha256:"), "{image}");
}

/// Everything that stands beside workloads.
fn company() -> Vec<Value> {
    let once = json!({
        "metadata": {"labels": {"job": "migrate"}},
        "spec": {"restartPolicy": "Never", "containers": [{
            "name": "main", "image": "openshifter.test/shell:1", "command": ["sh", "-c", "echo done"],
        }]},
    });
    vec![
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": once}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": once}}}}),
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 1, "maxReplicas": 3,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "worker-reads"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": "shop"}]}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "generated"},
            "spec": {"to": {"kind": "Service", "name": "web"}}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "kept"},
            "spec": {"host": "www.shop.example.com", "to": {"kind": "Service", "name": "web"}}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "renamed"},
            "spec": {"host": "old.shop.example.com", "to": {"kind": "Service", "name": "web"}}}),
        config("settings", json!({"shop": "the shop's own shop"})),
    ]
}

#[test]
fn jobs_autoscalers_accounts_roles_and_routes_arrive_with_the_namespaces_of_the_target() {
    let world = World::start();
    let shop = world.minishift.project("shop");
    let there = world.production().absent("live");
    let mut objects = company();
    objects.push(deployment("web", None));
    shop.create(&objects);
    shop.ready("deploy/web");
    shop.kubectl(&[
        "wait",
        "--for=condition=complete",
        "job/migrate",
        "--timeout=180s",
    ]);

    let tool = Tool::new(&world);
    let hosts = ["--route-host", "renamed=new.live.example.com"];
    let export = ["export", "--from", "minishift", "-n", "shop", "-o", "chart"];
    tool.run(&[&export[..], &hosts].concat()).ok();
    tool.run(&["import", "chart", "--to", "production", "-n", "live"])
        .ok();

    // It has run already, and must not run twice unasked.
    assert_eq!(there.must("job", "migrate")["spec"]["suspend"], true);
    there.kubectl(&[
        "patch",
        "job/migrate",
        "-p",
        r#"{"spec": {"suspend": false}}"#,
    ]);
    there.kubectl(&[
        "wait",
        "--for=condition=complete",
        "job/migrate",
        "--timeout=180s",
    ]);
    assert_eq!(
        there.must("cronjob", "nightly")["spec"]["schedule"],
        "0 3 * * *"
    );
    assert_eq!(there.must("hpa", "web")["spec"]["maxReplicas"], 3);
    there.must("serviceaccount", "worker");
    let binding = there.must("rolebinding", "worker-reads");
    assert_eq!(binding["subjects"][0]["namespace"], "live");
    assert_eq!(
        there.must("role", "reader")["rules"],
        shop.must("role", "reader")["rules"]
    );
    let host = |name: &str| there.must("route", name)["spec"]["host"].to_string();
    assert_eq!(host("generated"), "\"generated-live.apps.production.test\"");
    assert_eq!(host("kept"), "\"www.shop.example.com\"");
    assert_eq!(host("renamed"), "\"new.live.example.com\"");
    // Only fields that name a project are changed, never a text.
    assert_eq!(
        there.must("configmap", "settings")["data"]["shop"],
        "the shop's own shop"
    );
    let ip = |space: &crate::support::Space<'_>| {
        space.must("service", "web")["spec"]["clusterIP"].clone()
    };
    assert!(ip(&there).is_string());
    // What each cluster makes by itself was not carried along.
    let accounts = there.names("serviceaccounts");
    assert_eq!(
        accounts.len(),
        shop.names("serviceaccounts").len(),
        "{accounts:?}"
    );
}

#[test]
fn custom_resources_need_their_definition_to_be_allowed() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "shelves.shop.example.com"},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced",
            "names": {"plural": "shelves", "singular": "shelf", "kind": "Shelf", "listKind": "ShelfList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"boards": {"type": "integer"}}}}}}}],
        },
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "shelves"},
        "rules": [
            {"apiGroups": ["shop.example.com"], "resources": ["shelves"], "verbs": ["*"]},
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "list", "create"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "shelves"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "shelves"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "developer"}],
    });
    let create = ["create", "-f", "-"];
    world.minishift.admin(&create, &definition.to_string());
    for cluster in [&world.minishift, world.production()] {
        cluster.admin(&create, &role.to_string());
        cluster.admin(&create, &binding.to_string());
    }
    until("the kind to be served", || {
        let args = ["-n", "shop", "get", "shelves.shop.example.com"];
        world
            .minishift
            .attempt(&args)
            .status
            .success()
            .then_some(())
    });
    shop.create(&[
        json!({"apiVersion": "shop.example.com/v1", "kind": "Shelf", "metadata": {"name": "books"}, "spec": {"boards": 5}}),
    ]);
    fill(&shop, 1);

    let tool = Tool::new(&world);
    tool.export("shop", "chart").ok();
    let import = ["import", "chart", "--to", "production", "-n", "shop"];
    let ran = tool.run(&import).ended(3).says("--allow crds");
    assert!(
        ran.stderr.contains("shelves.shop.example.com"),
        "{}",
        ran.stderr
    );
    assert!(!there.exists());

    tool.run(&[&import[..], &["--allow", "crds"]].concat()).ok();
    let shelf = there.must("shelves.shop.example.com", "books");
    assert_eq!(shelf["spec"]["boards"], 5);
    // What reaches beyond the project is never taken away again.
    tool.run(&["undo", &tool.last_run()]).ok();
    world.production().admin(
        &[
            "get",
            "customresourcedefinition",
            "shelves.shop.example.com",
        ],
        "",
    );
}

#[test]
fn a_selection_takes_what_it_names_and_what_that_needs() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    fill(&shop, 1);
    let mut other = deployment("other", None);
    other["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "settings"}}]);
    shop.create(&[
        config("settings", json!({"a": "b"})),
        config("unrelated", json!({})),
        other,
    ]);
    shop.ready("deploy/other");
    let tool = Tool::new(&world);
    let plan = tool
        .run(&[
            "--output",
            "json",
            "export",
            "--from",
            "minishift",
            "-n",
            "shop",
            "-l",
            "app=other",
            "--dry-run",
        ])
        .ok();
    assert!(plan.stdout.contains("settings"), "{}", plan.stdout);
    assert_eq!(tool.files(), [""; 0], "a dry run writes nothing");

    tool.run(&[
        "delete",
        "--from",
        "minishift",
        "-n",
        "shop",
        "-l",
        "app=other",
        "--yes",
    ])
    .ok();
    assert_eq!(shop.names("deployments"), ["deployment.apps/web"]);
    shop.must("pvc", "web-data");
    shop.must("configmap", "unrelated");
    // Without a terminal there is nobody to ask.
    tool.run(&["delete", "--from", "minishift", "-n", "shop"])
        .ended(2)
        .says("--yes");
    shop.must("deployment", "web");
}
