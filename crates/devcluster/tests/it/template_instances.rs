//! A TemplateInstance: its template's objects are made for its requester, awaited, and removed with it.

use kube::Client;
use kube::api::DeleteParams;
use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::support::{Cluster, api, deployments, make};

fn instances() -> ResourceId {
    ResourceId::new("template.openshift.io", "templateinstances")
}

fn maps() -> ResourceId {
    ResourceId::core("configmaps")
}

async fn instantiate(client: &Client, instance: Value) -> Value {
    make(
        client,
        Some("shop"),
        "template.openshift.io/v1",
        "TemplateInstance",
        "templateinstances",
        instance,
    )
    .await
}

async fn parameters(client: &Client, values: Value) {
    let secret = json!({"metadata": {"name": "values"}, "stringData": values});
    make(client, Some("shop"), "v1", "Secret", "secrets", secret).await;
}

fn condition<'a>(instance: &'a Value, kind: &str) -> &'a Value {
    let conditions = instance["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

fn is_over(instance: &Value) -> bool {
    ["Ready", "InstantiateFailure"]
        .iter()
        .any(|kind| condition(instance, kind)["status"] == "True")
}

fn map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}})
}

#[tokio::test]
async fn a_template_is_made_awaited_and_removed() {
    let cluster = Cluster::start("instances").await;
    let client = cluster.project("shop").await;
    parameters(&client, json!({"NAME": "web", "GREETING": "hello"})).await;
    let labels = json!({"app": "${NAME}"});
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "${NAME}",
            "annotations": {"template.alpha.openshift.io/wait-for-ready": "true"},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "main",
                        "image": "openshifter.test/shell:1",
                        "command": ["sleep", "1000"],
                    }],
                },
            },
        },
    });
    let made = instantiate(
        &client,
        json!({
            "metadata": {"name": "app"},
            "spec": {
                "secret": {"name": "values"},
                "template": {
                    "metadata": {"name": "app"},
                    "labels": {"template": "app"},
                    "parameters": [
                        {"name": "NAME", "required": true},
                        {"name": "GREETING", "value": "none"},
                        {"name": "PASSWORD", "generate": "expression", "from": "[a-z]{12}"},
                    ],
                    "objects": [map("${NAME}", "${GREETING} ${PASSWORD}"), map("kept", "x"), deployment],
                },
            },
        }),
    )
    .await;
    let requester = &made["spec"]["requester"];
    assert_eq!(requester["username"], "developer");
    assert_eq!(
        requester["extra"]["scopes.authorization.openshift.io"],
        json!(["user:full"])
    );
    // Its objects are there at once, and it waits for the one that asks for that.
    let waiting = cluster
        .until(&instances(), "shop", "app", "waiting", |instance| {
            !condition(instance, "Ready").is_null()
        })
        .await;
    assert_eq!(waiting["status"]["objects"].as_array().unwrap().len(), 3);
    assert_eq!(
        waiting["metadata"]["finalizers"],
        json!(["template.openshift.io/finalizer"])
    );
    let ready = cluster
        .until(&instances(), "shop", "app", "over", is_over)
        .await;
    assert_eq!(condition(&ready, "Ready")["reason"], "Created");
    let store = cluster.store();
    let rolled_out = store.get(&deployments(), Some("shop"), "web").unwrap();
    assert_eq!(rolled_out["status"]["availableReplicas"], 1);
    let web = store.get(&maps(), Some("shop"), "web").unwrap();
    let text = web["data"]["key"].as_str().unwrap();
    assert!(text.starts_with("hello ") && text.len() == 18, "{text}");
    assert_eq!(web["metadata"]["labels"]["template"], "app");
    assert_eq!(
        web["metadata"]["labels"]["template.openshift.io/template-instance-owner"],
        made["metadata"]["uid"]
    );
    assert_eq!(web["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(
        ready["status"]["objects"][0]["ref"],
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": "web", "namespace": "shop",
            "uid": web["metadata"]["uid"],
        })
    );

    // What has the name of an object of it by then is somebody else's.
    let all = api(&client, Some("shop"), "v1", "ConfigMap", "configmaps");
    all.delete("kept", &DeleteParams::default()).await.unwrap();
    make(
        &client,
        Some("shop"),
        "v1",
        "ConfigMap",
        "configmaps",
        map("kept", "y"),
    )
    .await;
    api(
        &client,
        Some("shop"),
        "template.openshift.io/v1",
        "TemplateInstance",
        "templateinstances",
    )
    .delete("app", &DeleteParams::default())
    .await
    .unwrap();
    cluster.until_gone(&instances(), "shop", "app").await;
    cluster.until_gone(&maps(), "shop", "web").await;
    cluster.until_gone(&deployments(), "shop", "web").await;
    let kept = store.get(&maps(), Some("shop"), "kept").unwrap();
    assert_eq!(kept["data"]["key"], "y");
    cluster.stop().await;
}

#[tokio::test]
async fn an_instance_that_cannot_be_made_says_why() {
    let cluster = Cluster::start("refused").await;
    let client = cluster.project("shop").await;
    cluster.project_of("stranger", "private").await;
    make(
        &client,
        Some("shop"),
        "v1",
        "ConfigMap",
        "configmaps",
        map("taken", "x"),
    )
    .await;
    let mut elsewhere = map("web", "x");
    // By a parameter, since a template's own namespace is left out.
    elsewhere["metadata"]["namespace"] = json!("${PLACE}");
    let gadget = json!({"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "g"}});
    let needed = json!([{"name": "PLACE", "required": true}]);
    let place = json!([{"name": "PLACE", "value": "private"}]);
    let cases = [
        (
            "foreign",
            place,
            json!([map("first", "x"), elsewhere, gadget]),
        ),
        ("lacking", needed, json!([map("lacking", "x")])),
        (
            "taken",
            json!([]),
            json!([map("taken", "y"), map("other", "y")]),
        ),
    ];
    let mut messages = Vec::new();
    for (name, parameters, objects) in cases {
        let template = json!({
            "metadata": {"name": "app"}, "parameters": parameters, "objects": objects,
        });
        let instance = json!({"metadata": {"name": name}, "spec": {"template": template}});
        instantiate(&client, instance).await;
        let over = cluster
            .until(&instances(), "shop", name, "over", is_over)
            .await;
        let failure = condition(&over, "InstantiateFailure");
        assert_eq!(failure["reason"], "Failed", "{over:#}");
        messages.push(failure["message"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(messages.join("\n---\n"), @r#"
    configmaps "web" is forbidden: User "developer" cannot create resource "configmaps" in API group "" in the namespace "private"
    no matches for kind "Gadget" in version "v1"
    ---
    Template.template.openshift.io "app" is invalid: template.parameters[0]: Required value: template.parameters[0]: parameter PLACE is required and must be specified
    ---
    configmaps "taken" already exists
    "#);
    let store = cluster.store();
    // Nothing is made where something is refused; what could be made is noted.
    assert!(store.get(&maps(), Some("shop"), "first").is_none());
    let taken = store.get(&instances(), Some("shop"), "taken").unwrap();
    assert_eq!(taken["status"]["objects"][0]["ref"]["name"], "other");

    // Nobody makes one in another's name.
    let instance = json!({
        "metadata": {"name": "disguised"},
        "spec": {"requester": {"username": "stranger"}, "template": {"metadata": {"name": "app"}, "objects": []}},
    });
    let object = serde_json::from_value(json!({
        "apiVersion": "template.openshift.io/v1", "kind": "TemplateInstance",
        "metadata": instance["metadata"], "spec": instance["spec"],
    }))
    .unwrap();
    let refused = api(
        &client,
        Some("shop"),
        "template.openshift.io/v1",
        "TemplateInstance",
        "templateinstances",
    )
    .create(&Default::default(), &object)
    .await
    .unwrap_err();
    let kube::Error::Api(refused) = refused else {
        panic!("{refused}");
    };
    assert_eq!(
        refused.message,
        "TemplateInstance.template.openshift.io \"disguised\" is invalid: spec.impersonateUser: Forbidden: impersonation forbidden"
    );
    cluster.stop().await;
}
