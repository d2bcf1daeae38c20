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
