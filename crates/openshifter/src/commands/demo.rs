//! `openshifter demo`: two embedded clusters, an application with data, one migration, shown and checked.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use openshifter_cluster::{Access, Cluster, Credentials, DryRun, Trust};
use openshifter_devcluster::{Config, DevCluster, DevClusterError, Sandbox};
use openshifter_migrate::{
    ExportOptions, ImportOptions, MigrateOptions, Policy, Progress, Run, StateDir, list_volume,
    migrate, plan_policy,
};
use openshifter_objects::{GroupKind, Object};
use openshifter_volumes::{Compare, compare};
use serde_json::{Value, json};

use crate::cli::Demo;
use crate::commands::cancel_on_signal;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::progress::Bars;

const USER: &str = "developer";
const PROJECT: &str = "guestbook";
const CLAIM: &str = "guestbook-data";
const IMAGE: &str = "openshifter.test/guestbook:1";
const HELPER_IMAGE: &str = "openshifter.test/shell:1";

const ENTRIES: &[(&str, &str)] = &[
    ("Ada", "It moved, and nothing was lost."),
    ("Grace", "Names with 'quotes', <tags> & ampersands too."),
    ("Zoë", "Grüße aus dem alten Cluster"),
];

/// How long anything of the demo may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: Demo, printer: Printer) -> Result<Exit> {
    let cancel = cancel_on_signal(printer);
    let began = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("openshifter-demo-")
        .tempdir()?;

    printer.note("starting two embedded OpenShift clusters, minishift and production");
    let sandbox = if args.isolation.no_sandbox {
        Sandbox::None
    } else {
        Sandbox::Bubblewrap
    };
    let (minishift, production) = match start_both(folder.path(), sandbox).await {
        // All that runs in the demo is this program's own sample: it may do so unconfined, if that is said.
        Err(error @ (DevClusterError::NoBubblewrap | DevClusterError::Bubblewrap { .. })) => {
            printer.note(&format!("  {error}"));
            printer
                .note("  the demo goes on without isolation: it runs nothing but its own sample");
            start_both(folder.path(), Sandbox::None).await?
        }
        started => started?,
    };
    let result = tokio::select! {
        result = shown(&args, printer, folder.path(), &minishift, &production, began, &cancel) => result,
        () = cancel.cancelled() => Ok(Exit::Stopped),
    };
    let result = match result {
        // Ctrl-C is how this ends; the service is stopped before its clusters are.
        Ok(Exit::Complete) if args.keep => {
            keep(printer, folder.path(), &minishift, &production, &cancel)
                .await
                .map(|()| Exit::Complete)
        }
        result => result,
    };
    minishift.stop().await;
    production.stop().await;
    result
}

async fn start_both(
    folder: &Path,
    sandbox: Sandbox,
) -> Result<(DevCluster, DevCluster), DevClusterError> {
    let agent = std::env::current_exe().unwrap_or_default();
    let start = |name: &str| {
        let mut config = Config::new(name, folder.join(name), &agent);
        config.users.push((USER.to_owned(), None));
        config.sandbox = sandbox;
        DevCluster::start(config)
    };
    tokio::try_join!(start("minishift"), start("production"))
}

/// Logs in as a person would, with user name and password.
async fn log_in(name: &str, cluster: &DevCluster) -> Result<Cluster> {
    let password = cluster
        .password(USER)
        .context("the embedded cluster made no password")?
        .clone();
    let access = Access {
        name: name.to_owned(),
        base: Access::parse_base(&cluster.api_url())?,
        trust: Trust {
            ca_pem: Some(cluster.ca_pem().into()),
            ..Trust::default()
        },
        credentials: Credentials::Password {
            username: USER.to_owned(),
            password,
        },
    };
    Ok(Cluster::connect(&access).await?)
}

async fn shown(
    args: &Demo,
    printer: Printer,
    folder: &Path,
    minishift: &DevCluster,
    production: &DevCluster,
    began: Instant,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<Exit> {
    let source = log_in("minishift", minishift).await?;
    let target = log_in("production", production).await?;
    printer.note(&format!(
        "  minishift   {}   production   {}",
        minishift.api_url(),
        production.api_url()
    ));

    printer.note(&format!(
        "deploying a guestbook with a volume into minishift/{PROJECT}"
    ));
    deploy(&source).await?;
    let from = Page::of(&source, minishift.router_addr()).await?;
    from.available().await?;
    for (name, message) in ENTRIES {
        from.write(name, message).await?;
    }
    let before = from.read().await?;
    printer.note(&format!(
        "  wrote {} entries through its route http://{}",
        ENTRIES.len(),
        from.host
    ));

    let bars = Arc::new(Bars::new(printer));
    let run = Run::begin(StateDir::new(folder.join("state")))?
        .with_progress(Arc::clone(&bars) as Arc<dyn Progress>)
        .with_cancel(cancel.clone());
    let options = MigrateOptions {
        policy: Policy::Copy,
        export: ExportOptions {
            quiesce: true,
            helper_image: Some(HELPER_IMAGE.to_owned()),
            ..ExportOptions::default()
        },
        import: ImportOptions {
            helper_image: Some(HELPER_IMAGE.to_owned()),
            patience: PATIENCE,
            ..ImportOptions::default()
        },
        with_data: false,
        keep_chart: Some(folder.join("guestbook-chart")),
    };
    printer.note("migrating it to production (openshifter migrate --policy copy --quiesce)");
    let plan = plan_policy(&source, PROJECT, &target, PROJECT, &options).await?;
    let migrated = migrate(&run, &source, PROJECT, &target, PROJECT, &options, &plan).await;
    bars.finish();
    let mut report = match migrated {
        Ok(report) => report,
        Err(failed) => {
            printer.report(&failed.report, true)?;
            return Ok(Exit::of_report(&failed.report));
        }
    };
    if !args.keep {
        // It is gone at the end.
        report.chart = None;
    }
    printer.report(&report, !printer.is_json())?;
    if Exit::of_report(&report) != Exit::Complete {
        return Ok(Exit::of_report(&report));
    }

    printer.note("comparing both ends");
    let to = Page::of(&target, production.router_addr()).await?;
    to.available().await?;
    let after = to.read().await?;
    ensure!(
        before == after,
        "the page at {} is not the page that was at {}",
        to.host,
        from.host
    );
    printer.note(&format!(
        "  the same page from http://{}: {} bytes",
        to.host,
        after.len()
    ));
    let (old, new) = tokio::try_join!(
        list_volume(&run, &source, PROJECT, CLAIM, Some(HELPER_IMAGE)),
        list_volume(&run, &target, PROJECT, CLAIM, Some(HELPER_IMAGE)),
    )?;
    let differences = compare(&old, &new, &Compare::default());
    if let Some(first) = differences.first() {
        bail!("the volumes differ: {first}");
    }
    printer.note(&format!(
        "  the same {} files, {} bytes, compared one by one by their SHA-256",
        new.files(),
        new.bytes()
    ));
    printer.note(&format!("done in {:.1} s", began.elapsed().as_secs_f64()));

    if !args.keep {
        printer.note(
            "try next:\n  openshifter demo --keep          leaves both clusters and a REST service running\n  openshifter devcluster --help    an embedded OpenShift of your own\n  openshifter migrate --help       the same with your clusters",
        );
    }
    source.logout().await?;
    target.logout().await?;
    Ok(Exit::Complete)
}

/// The guestbook's objects.
fn objects() -> Vec<Value> {
    let labels = json!({"app": "guestbook"});
    vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guestbook", "labels": labels},
            "data": {"title": "Guestbook"}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM, "labels": labels},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "containers": [{"name": "guestbook", "image": IMAGE,
                        "env": [{"name": "DATA_DIR", "value": "/data"}, {"name": "PORT", "value": "8080"}],
                        "envFrom": [{"configMapRef": {"name": "guestbook"}}],
                        "ports": [{"containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}]}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 8080}]}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "guestbook", "labels": labels},
            "spec": {"to": {"kind": "Service", "name": "guestbook"}, "port": {"targetPort": "http"}}}),
    ]
}

async fn deploy(cluster: &Cluster) -> Result<()> {
    cluster.ensure_namespace(PROJECT).await?;
    for object in objects() {
        cluster
            .create(Some(PROJECT), &Object::from_value(object)?, DryRun::No)
            .await?;
    }
    let kind = GroupKind::new("apps", "Deployment");
    cluster
        .wait(&kind, Some(PROJECT), "guestbook", PATIENCE, |deployment| {
            deployment
                .is_some_and(|deployment| deployment.value()["status"]["availableReplicas"] == 1)
        })
        .await?;
    Ok(())
}

/// The guestbook's page behind a router.
struct Page {
    http: reqwest::Client,
    router: SocketAddr,
    host: String,
}

impl Page {
    async fn of(cluster: &Cluster, router: SocketAddr) -> Result<Self> {
        let kind = GroupKind::new("route.openshift.io", "Route");
        let route = cluster
            .wait(&kind, Some(PROJECT), "guestbook", PATIENCE, |route| {
                route.is_some_and(|route| {
                    route.value()["status"]["ingress"][0]["conditions"][0]["status"] == "True"
                })
            })
            .await?
            .context("the route is gone")?;
        let host = route.value()["spec"]["host"]
            .as_str()
            .context("the route has no host")?
            .to_owned();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self { http, router, host })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        // No name server knows the route's host: the router tells by the header, as behind any balancer.
        self.http
            .request(method, format!("http://{}{path}", self.router))
            .header("Host", &self.host)
    }

    /// Waits until the router knows of the ready pod: the last link of the chain.
    async fn available(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self
                .request(reqwest::Method::GET, "/healthz")
                .send()
                .await?;
            if answer.status().is_success() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} answers {}",
                self.host,
                answer.status()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn write(&self, name: &str, message: &str) -> Result<()> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("name", name)
            .append_pair("message", message)
            .finish();
        let answer = self
            .request(reqwest::Method::POST, "/entries")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await?;
        let status = answer.status();
        ensure!(
            status.is_success() || status.is_redirection(),
            "writing an entry: {status}"
        );
        Ok(())
    }

    async fn read(&self) -> Result<String> {
        Ok(self
            .request(reqwest::Method::GET, "/")
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    }
}

/// Leaves everything running, with a REST service in front of it, until it is stopped.
async fn keep(
    printer: Printer,
    folder: &Path,
    minishift: &DevCluster,
    production: &DevCluster,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<()> {
    let server =
        crate::commands::serve::for_demo(folder, &[minishift, production], HELPER_IMAGE).await?;
    let base = |cluster: &DevCluster| cluster.api_url().trim_start_matches("https://").to_owned();
    let at = server.addr();
    let certificate = folder.join("service.crt");
    fs_err::write(&certificate, server.ca_pem().unwrap_or_default())?;
    printer.note(&format!(
        "both clusters stay; the REST service is at https://{at}. Ctrl-C ends them all.\n\
         passwords: {folder}/minishift/passwords, {folder}/production/passwords\n\
         \n\
         M=$(sed -n 's/^{USER}[:= ]*//p' {folder}/minishift/passwords)\n\
         P=$(sed -n 's/^{USER}[:= ]*//p' {folder}/production/passwords)\n\
         curl --cacert {certificate} https://{at}/export/{m}/{PROJECT}/{USER}/$M > _output\n\
         base64 -d < _output > _output.tgz\n\
         curl --cacert {certificate} https://{at}/delete/{p}/{PROJECT}/{USER}/$P\n\
         curl --cacert {certificate} -X POST --data-urlencode @_output.tgz https://{at}/import/{p}/{PROJECT}/{USER}/$P\n\
         \n\
         curl -H \"Host: guestbook-guestbook.apps.production.test\" http://{router}/",
        folder = folder.display(),
        certificate = certificate.display(),
        m = base(minishift),
        p = base(production),
        router = production.router_addr(),
    ));
    cancel.cancelled().await;
    server.stop().await;
    Ok(())
}
