//! Services as containers reach them: by name, by variable, whenever they come.

use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, make, make_claim, make_pod, with_claim};

async fn make_service(client: &kube::Client, name: &str, app: &str, port: u16) {
    let service = json!({
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": port}]},
    });
    make(client, Some("shop"), "v1", "Service", "services", service).await;
}

async fn until_log(client: &kube::Client, pod: &str, wanted: &str) {
    let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client.clone(), "shop");
    let mut last = String::new();
    let read = async {
        loop {
            // It may not have begun yet.
            last = api.logs(pod, &Default::default()).await.unwrap_or_default();
            if last == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(PATIENCE, read).await.is_err() {
        panic!("the log of {pod} never became {wanted:?}: {last:?}");
    }
}

/// PostgreSQL with a claim, a client beside it that finds it by its Service's name, and again after the
/// server was started anew.
#[tokio::test]
async fn a_database_is_reached_by_the_name_of_its_service() {
    let cluster = Cluster::start("database").await;
    let client = cluster.project("shop").await;
    let secret = json!({
        "metadata": {"name": "database"},
        "stringData": {"password": "it's \"secret\" $HOME", "user": "shop", "name": "sample"},
    });
    make(&client, Some("shop"), "v1", "Secret", "secrets", secret).await;
    make_claim(&client, "shop", "data", None).await;
    make_service(&client, "database", "database", 5432).await;
    let from = |variable: &str, key: &str| json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": "database", "key": key}}});
    let server = |name: &str| {
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": "database"}},
            "spec": {
                "terminationGracePeriodSeconds": 20,
                "containers": [{
                    "name": "postgresql",
                    "image": "openshifter.test/postgresql:1",
                    "ports": [{"containerPort": 5432}],
                    "env": [
                        from("POSTGRESQL_USER", "user"),
                        from("POSTGRESQL_PASSWORD", "password"),
                        from("POSTGRESQL_DATABASE", "name"),
                    ],
                    "readinessProbe": {"exec": {"command": ["/usr/libexec/check-container"]}, "timeoutSeconds": 10},
                }],
            },
        });
        let mut pod = with_claim(pod, "data");
        pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] = json!("/var/lib/pgsql/data");
        pod
    };
    make_pod(&client, "shop", server("first")).await;
    cluster.until_ready("shop", "first").await;

    let asking = |name: &str, host: &str, sql: &str| -> Value {
        let script = format!(
            "until psql --no-psqlrc -At -h {host} -c \"{sql}\" 2>/dev/null; do sleep 0.2; done; exec sleep 1000"
        );
        json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "psql",
                "image": "openshifter.test/postgresql:1",
                "command": ["sh", "-c", script],
                "env": [from("PGUSER", "user"), from("PGPASSWORD", "password"), from("PGDATABASE", "name")],
            }]},
        })
    };
    let rows = "create table if not exists t (n int); insert into t values (42); select count(*), max(n) from t";
    make_pod(&client, "shop", asking("writer", "database", rows)).await;
    until_log(&client, "writer", "CREATE TABLE\nINSERT 0 1\n1|42\n").await;

    crate::support::api(&client, Some("shop"), "v1", "Pod", "pods")
        .delete("first", &Default::default())
        .await
        .unwrap();
    cluster
        .until_gone(&crate::support::pods(), "shop", "first")
        .await;
    make_pod(&client, "shop", server("second")).await;
    cluster.until_ready("shop", "second").await;
    let by_variable = asking(
        "reader",
        "$DATABASE_SERVICE_HOST",
        "select count(*), max(n) from t",
    );
    make_pod(&client, "shop", by_variable).await;
    until_log(&client, "reader", "1|42\n").await;
    cluster.stop().await;
}

/// A Service that is made later, and whose pod comes later still, is reached by a pod that waits for it.
#[tokio::test]
async fn a_service_that_comes_later_is_found() {
    let cluster = Cluster::start("later").await;
    let client = cluster.project("shop").await;
    let script = "until python3 -c \"import urllib.request; print(urllib.request.urlopen('http://late.shop.svc:9090/').read().decode())\" 2>/dev/null; do sleep 0.2; done; exec sleep 1000";
    let asking = crate::support::shell_pod("asking", script);
    make_pod(&client, "shop", crate::support::ready_when(asking, "/tmp")).await;
    cluster.until_ready("shop", "asking").await;
    make_service(&client, "late", "late", 9090).await;
    let serve =
        "mkdir /tmp/w; cd /tmp/w; printf found >index.html; exec python3 -m http.server 9090";
    let mut pod = crate::support::shell_pod("late", serve);
    pod["metadata"]["labels"] = json!({"app": "late"});
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 9090}]);
    make_pod(&client, "shop", pod).await;
    until_log(&client, "asking", "found\n").await;
    cluster.stop().await;
}
