//! Templates of OpenShift: processed, and kept as they are.

use serde_json::json;

use crate::cluster::Cluster;

const BASE: &str = "/apis/template.openshift.io/v1/namespaces/shop";

#[tokio::test]
async fn a_template_is_processed_and_nothing_is_kept() {
    let cluster = Cluster::start("templates").await;
    cluster.project("shop", None).await;
    let template = json!({
        "apiVersion": "template.openshift.io/v1",
        "kind": "Template",
        "metadata": {"name": "web"},
        "labels": {"template": "web"},
        "parameters": [
            {"name": "NAME", "value": "notes"},
            {"name": "PASSWORD", "generate": "expression", "from": "[a-zA-Z0-9]{16}"},
        ],
        "objects": [{
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "${NAME}"}, "stringData": {"password": "${PASSWORD}"},
        }],
    });
    let reply = cluster
        .post(&format!("{BASE}/processedtemplates"), template.clone())
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["kind"], "Template");
    let secret = &reply.body["objects"][0];
    assert_eq!(secret["metadata"]["name"], "notes");
    assert_eq!(secret["metadata"]["labels"]["template"], "web");
    assert_eq!(secret["stringData"]["password"].as_str().unwrap().len(), 16);
    assert_eq!(
        reply.body["parameters"][1]["value"],
        secret["stringData"]["password"]
    );
    let kept = cluster.get(&format!("{BASE}/templates")).await;
    assert_eq!(kept.body["items"], json!([]));

    // Kept, it stays what it was.
    let reply = cluster.post(&format!("{BASE}/templates"), template).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["objects"][0]["metadata"]["name"], "${NAME}");

    let reply = cluster
        .post(
            &format!("{BASE}/processedtemplates"),
            json!({"metadata": {"name": "web"}, "parameters": [{"name": "NAME", "required": true}], "objects": []}),
        )
        .await;
    assert_eq!(
        (reply.status, &reply.body["reason"]),
        (422, &json!("Invalid"))
    );
}

#[tokio::test]
async fn an_instance_names_who_asked_and_never_changes() {
    let cluster = Cluster::start("instances").await;
    cluster.project("shop", None).await;
    let path = format!("{BASE}/templateinstances");
    let instance = json!({
        "apiVersion": "template.openshift.io/v1",
        "kind": "TemplateInstance",
        "metadata": {"name": "app"},
        "spec": {"template": {"metadata": {"name": "app"}, "objects": []}},
    });
    let reply = cluster.post(&path, instance.clone()).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let requester = &reply.body["spec"]["requester"];
    assert_eq!(requester["username"], "system:admin");
    assert_eq!(
        requester["groups"],
        json!(["system:masters", "system:authenticated"])
    );
    let mut changed = reply.body.clone();
    changed["spec"]["template"]["objects"] = json!([{"apiVersion": "v1", "kind": "ConfigMap"}]);
    let reply = cluster
        .send(
            "PUT",
            &format!("{path}/app"),
            None,
            &[],
            Some(changed.to_string()),
        )
        .await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    assert!(reply.text.contains("field is immutable"), "{}", reply.text);

    // The administrator may ask in another's name, who must be somebody.
    let mut other = instance.clone();
    other["metadata"]["name"] = json!("other");
    other["spec"]["requester"] = json!({"username": "dev"});
    let reply = cluster.post(&path, other.clone()).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["spec"]["requester"], json!({"username": "dev"}));
    other["metadata"]["name"] = json!("nobody");
    other["spec"]["requester"] = json!({});
    let reply = cluster.post(&path, other).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    assert!(
        reply
            .text
            .contains("spec.requester.username: Required value"),
        "{}",
        reply.text
    );
}
