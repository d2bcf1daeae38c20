//! What genuine servers answered, replayed.

use futures::{SinkExt as _, StreamExt as _};
use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::cluster::{Cluster, Reply, config};
use crate::recorded::{all, differences, folder, load, normal};

/// A cluster as the exchanges were recorded on: project `shop` of user `dev`, and `other-ns`.
async fn lab() -> (Cluster, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("a", folder.path());
    config.route_suffix = Some("apps.a.lab".to_owned());
    config.service_network = ([10, 77, 160, 0].into(), 20);
    let cluster = Cluster::start_with(config, folder).await;
    let dev = cluster.login("dev").await;
    cluster.project("shop", Some(&dev)).await;
    for namespace in ["other-ns", "dying-ns", "quota-ns", "limit-ns"] {
        let made = cluster
            .post(
                "/api/v1/namespaces",
                json!({"metadata": {"name": namespace}}),
            )
            .await;
        assert_eq!(made.status, 201);
        cluster.settled(namespace).await;
    }
    let world = load(&folder_of("world.json"));
    for object in world.as_array().unwrap() {
        let path = object["path"].as_str().unwrap();
        let made = cluster.post(path, object["object"].clone()).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text);
    }
    (cluster, dev)
}

fn folder_of(name: &str) -> std::path::PathBuf {
    folder().join(name)
}

/// What the controllers of a whole cluster would have done.
fn settle(cluster: &Cluster) {
    let store = cluster.server.store();
    let claims = ResourceId::core("persistentvolumeclaims");
    store
        .update_status(&claims, Some("shop"), "shop-data", |claim| {
            claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        })
        .unwrap();
    store
        .update(
            &ResourceId::core("configmaps"),
            Some("dying-ns"),
            "held",
            |map| {
                map["metadata"]["finalizers"] = json!(["example.test/hold"]);
            },
        )
        .unwrap();
    store
        .delete(
            &ResourceId::core("namespaces"),
            None,
            "dying-ns",
            Default::default(),
        )
        .unwrap();
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (field, value) in patch {
                merge(target.entry(field.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// Puts what this cluster drew into a recorded request.
fn fill(body: &Value, cluster: &Cluster) -> String {
    let store = cluster.server.store();
    let service = |name: &str| {
        store
            .get(&ResourceId::core("services"), Some("shop"), name)
            .unwrap()
    };
    let address = service("frontend")["spec"]["clusterIP"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut text = body.to_string().replace("10.77.169.22", &address);
    let shop = store
        .get(&ResourceId::core("namespaces"), None, "shop")
        .unwrap();
    let annotations = &shop["metadata"]["annotations"];
    let range = annotations["openshift.io/sa.scc.uid-range"]
        .as_str()
        .unwrap();
    let level = annotations["openshift.io/sa.scc.mcs"].as_str().unwrap();
    text = text
        .replace("1000160000", range.split_once('/').unwrap().0)
        .replace("s0:c13,c2", level);
    text
}

async fn send(cluster: &Cluster, fixture: &Value, dev: &str, pages: &[(&str, String)]) -> Reply {
    let request = &fixture["request"];
    let mut path = request["path"].as_str().unwrap().to_owned();
    for (name, token) in pages {
        path = path.replace(&format!("{{{name}}}"), token);
    }
    let mut headers: Vec<(String, String)> = request["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let token = match fixture["as"].as_str().unwrap() {
        "admin" => None,
        "impersonated dev" => {
            headers.push(("impersonate-user".to_owned(), "dev".to_owned()));
            headers.push((
                "impersonate-group".to_owned(),
                "system:authenticated".to_owned(),
            ));
            None
        }
        "dev" => Some(dev),
        "anonymous" => Some(""),
        "bad token" => Some("sha256~nonsense"),
        other => panic!("who is {other}?"),
    };
    if let Some(basic) = fixture["basic"].as_str() {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(basic);
        headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
    }
    let body = if let Some(current) = request["current"].as_object() {
        let reply = cluster.get(current["path"].as_str().unwrap()).await;
        let mut object = reply.body;
        merge(&mut object, &current["merge"]);
        Some(object.to_string())
    } else if let Some(text) = request["text"].as_str() {
        Some(text.to_owned())
    } else {
        (!request["body"].is_null()).then(|| fill(&request["body"], cluster))
    };
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let method = request["method"].as_str().unwrap();
    cluster.send(method, &path, token, &headers, body).await
}

fn compare(fixture: &Value, reply: &Reply) -> Vec<String> {
    let recorded = &fixture["response"];
    let mut found = differences(&recorded["status"], &json!(reply.status), "status");
    for (name, value) in recorded["headers"].as_object().into_iter().flatten() {
        let answered = reply
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        let answered = answered.map_or(Value::Null, |text| json!(text));
        found.extend(differences(value, &answered, name));
    }
    if let Some(text) = recorded["text"].as_str()
        && normal(text) != normal(&reply.text)
    {
        found.push(format!(
            "text: recorded {text:?}, answered {:?}",
            reply.text
        ));
    }
    if !recorded["body"].is_null() {
        found.extend(differences(&recorded["body"], &reply.body, ""));
    }
    found
}

#[tokio::test]
async fn answers_are_those_of_genuine_servers() {
    let (cluster, dev) = lab().await;
    settle(&cluster);
    let mut failures = Vec::new();
    let mut pages: Vec<(&str, String)> = Vec::new();
    for (name, fixture) in all("exchanges") {
        if fixture["before"] == "compact" {
            let store = cluster.server.store();
            let write = json!({"metadata": {"name": "later"}});
            store
                .create(&ResourceId::core("configmaps"), Some("default"), write)
                .unwrap();
            store.compact();
        }
        let mut events = cluster.server.store().subscribe();
        let mut reply = send(&cluster, &fixture, &dev, &pages).await;
        // What a controller does takes a moment.
        while fixture["until"] == true && !compare(&fixture, &reply).is_empty() {
            let next =
                tokio::time::timeout(std::time::Duration::from_secs(60), events.next()).await;
            if next.is_err() {
                break;
            }
            reply = send(&cluster, &fixture, &dev, &pages).await;
        }
        if let Some(token) = reply.body["metadata"]["continue"].as_str() {
            if fixture["remember"] == true {
                pages.push(("remembered", token.to_owned()));
            }
            pages.retain(|(name, _)| *name != "continue");
            pages.push(("continue", token.to_owned()));
        }
        let found = compare(&fixture, &reply);
        if !found.is_empty() {
            failures.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    cluster.stop().await;
}

#[tokio::test]
async fn frames_are_those_of_genuine_servers() {
    let (cluster, _) = lab().await;
    let token = {
        let accounts = ResourceId::core("serviceaccounts");
        cluster
            .until(|store| store.get(&accounts, Some("shop"), "default").is_some())
            .await;
        cluster.login("dev").await
    };
    let mut failures = Vec::new();
    for (name, fixture) in all("exec") {
        let recorded = &fixture["response"];
        let (status, frames, body) =
            run(&cluster, &token, &fixture["request"], awaited(recorded)).await;
        let mut found = differences(&recorded["status"], &json!(status), "status");
        if recorded["body"].is_string() {
            found.extend(differences(
                &json!(recorded["body"].as_str().unwrap().trim()),
                &json!(body.trim()),
                "body",
            ));
        }
        found.extend(differences(&recorded["frames"], &frames, "frames"));
        if !found.is_empty() {
            failures.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    cluster.stop().await;
}

/// How many frames a genuine server sent before nothing came any more.
fn awaited(recorded: &Value) -> usize {
    let frames = recorded["frames"].as_array().into_iter().flatten();
    frames.filter(|frame| frame["end"].is_null()).count()
}

/// Runs a command over a bare WebSocket: status, frames, body of a refusal. So many frames are waited for; that no
/// others follow shows soon.
async fn run(
    cluster: &Cluster,
    token: &str,
    request: &Value,
    awaited: usize,
) -> (u16, Value, String) {
    let address = cluster.server.addr();
    let path = request["path"].as_str().unwrap();
    let mut upgrade = format!("wss://{address}{path}")
        .into_client_request()
        .unwrap();
    let headers = upgrade.headers_mut();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    headers.insert(
        "sec-websocket-protocol",
        request["protocol"].as_str().unwrap().parse().unwrap(),
    );
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pem(cluster.server.ca_pem()) {
        roots.add(certificate).unwrap();
    }
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::from(address.ip());
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls))
        .connect(name, stream)
        .await
        .unwrap();
    let mut socket = match tokio_tungstenite::client_async(upgrade, stream).await {
        Ok((socket, _)) => socket,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            return (response.status().as_u16(), json!([]), text);
        }
        Err(error) => panic!("{error}"),
    };
    if let Some(stdin) = request["stdin"].as_str() {
        let mut message = vec![0];
        message.extend_from_slice(stdin.as_bytes());
        socket.send(Message::Binary(message.into())).await.unwrap();
        // Sent with either protocol: only the newer one knows it.
        socket
            .send(Message::Binary(vec![255, 0].into()))
            .await
            .unwrap();
    }
    let mut frames = Vec::new();
    loop {
        let patience =
            std::time::Duration::from_millis(if frames.len() < awaited { 30_000 } else { 500 });
        match tokio::time::timeout(patience, socket.next()).await {
            Err(_) => {
                frames.push(json!({"end": "TimeoutError"}));
                break;
            }
            Ok(Some(Ok(Message::Binary(bytes)))) => {
                let text = String::from_utf8_lossy(&bytes[1..]).into_owned();
                frames.push(frame(bytes[0], &text));
            }
            Ok(Some(Ok(Message::Close(close)))) => {
                let close = close.unwrap();
                frames.push(json!({"opcode": "close", "code": u16::from(close.code), "reason": close.reason.as_str()}));
                break;
            }
            Ok(Some(Ok(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    (101, json!(sorted(frames)), String::new())
}

fn frame(channel: u8, text: &str) -> Value {
    json!({"opcode": "binary", "channel": channel, "payload_text": text})
}

/// Output and errors come in any order; what was said on each channel is compared.
fn sorted(mut frames: Vec<Value>) -> Vec<Value> {
    frames.sort_by_key(|frame| frame["channel"].as_u64().unwrap_or(u64::MAX));
    frames
}

fn rustls_pem(text: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(text.as_bytes())
        .map(Result::unwrap)
        .collect()
}

#[tokio::test]
async fn a_project_holds_what_a_genuine_one_holds() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_with(config("a", folder.path()), folder).await;
    let dev = cluster.login("dev").await;
    let request =
        json!({"metadata": {"name": "fresh-project"}, "displayName": "Fresh", "description": "d"});
    let headers = [("content-type", "application/json")];
    let made = cluster
        .send(
            "POST",
            "/apis/project.openshift.io/v1/projectrequests",
            Some(&dev),
            &headers,
            Some(request.to_string()),
        )
        .await;
    assert_eq!(made.status, 201);
    cluster.settled("fresh-project").await;
    let fixture = load(&folder_of("new-project.json"));
    let namespace = cluster.get("/api/v1/namespaces/fresh-project").await.body;
    let mut found = differences(&fixture["namespace"], &namespace, "namespace");
    for (resource, recorded) in fixture["contents"].as_object().unwrap() {
        let (version, plural) = resource.rsplit_once('/').unwrap();
        let base = if version == "v1" {
            "api/v1".to_owned()
        } else {
            format!("apis/{version}")
        };
        let list = cluster
            .get(&format!("/{base}/namespaces/fresh-project/{plural}"))
            .await;
        found.extend(differences(recorded, &list.body["items"], resource));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    cluster.stop().await;
}

#[tokio::test]
async fn objects_of_another_cluster_fare_as_on_a_genuine_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("b", folder.path());
    config.service_network = ([10, 77, 176, 0].into(), 20);
    let cluster = Cluster::start_with(config, folder).await;
    let dev = cluster.login("dev").await;
    cluster.project("shop", Some(&dev)).await;
    let mut failures = Vec::new();
    let fixture = load(&folder_of("recreation.json"));
    let rows = fixture["rows"].as_array().unwrap();
    for row in rows {
        let path = row["path"].as_str().unwrap();
        let name = row["object"]["metadata"]["name"].as_str().unwrap();
        let mut object = row["object"].clone();
        for way in ["verbatim", "without resourceVersion"] {
            if way == "without resourceVersion" {
                if row["verbatim"]["status"] == 201 {
                    continue;
                }
                object["metadata"]
                    .as_object_mut()
                    .unwrap()
                    .remove("resourceVersion");
            }
            let reply = cluster.post(path, object.clone()).await;
            let mut found = differences(&row[way]["status"], &json!(reply.status), "status");
            if reply.status >= 400 {
                for field in ["reason", "message"] {
                    found.extend(differences(&row[way][field], &reply.body[field], field));
                }
            }
            if !found.is_empty() {
                failures.push(format!(
                    "{path} {name} {way}:\n  {}\n  {}",
                    found.join("\n  "),
                    reply.text
                ));
            }
        }
    }
    // What a controller takes away goes after a while; all else stays.
    let mut events = cluster.server.store().subscribe();
    loop {
        let mut left = Vec::new();
        for row in rows {
            let name = row["object"]["metadata"]["name"].as_str().unwrap();
            let path = format!("{}/{name}", row["path"].as_str().unwrap());
            let status = cluster.get(&path).await.status;
            let wanted = if row["after"] == "gone" { 404 } else { 200 };
            if status != wanted {
                left.push(format!(
                    "{path}: {} was recorded, {status} answered",
                    row["after"]
                ));
            }
        }
        if left.is_empty() {
            break;
        }
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), events.next()).await;
        if next.is_err() {
            failures.extend(left);
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    cluster.stop().await;
}
