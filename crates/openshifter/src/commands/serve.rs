//! `openshifter serve` and `openshifter client`.

use std::path::Path;

use anyhow::{Result, anyhow};
use openshifter_client::{ClientOptions, LinePrompter, TerminalOutput};
use openshifter_cluster::Trust;
use openshifter_devcluster::DevCluster;
use openshifter_migrate::StateDir;
use openshifter_server::{Leave, Server, ServerConfig, Tls, token_path};

use crate::cli::{Allow, Client, Serve, in_volumes};
use crate::commands::{cancel_on_signal, state};
use crate::connect::given;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn serve(args: Serve, printer: Printer) -> Result<Exit> {
    let cancel = cancel_on_signal(printer);
    let mut config = ServerConfig::new(state()?);
    config.listen = args.listen;
    config.tls = match (args.http, args.certificate, args.key) {
        (true, _, _) => Tls::None,
        (false, Some(cert), Some(key)) => Tls::Files { cert, key },
        _ => config.tls,
    };
    for (base, file) in args.cluster_ca {
        let trust = Trust {
            ca_pem: Some(given(Path::new(&file))?),
            ..Trust::default()
        };
        config.trusts.push((base, trust));
    }
    for base in args.insecure_cluster {
        let trust = Trust {
            insecure: true,
            oauth_insecure: true,
            ..Trust::default()
        };
        config.trusts.push((base, trust));
    }
    config.allowed_clusters = args.allow_cluster;
    config.allowed_hosts = args.allowed_host;
    let allows = |what| args.allow.contains(&what);
    config.leave = Leave {
        crds: allows(Allow::Crds),
        beyond_project: allows(Allow::BeyondProject),
        volumes: in_volumes(&args.allow),
    };
    config.kubeconfig = args.kubeconfig;
    config.keep_backups = args.keep_backups;
    config.helper_image = args.helper.helper_image;
    let loopback = args.listen.ip().is_loopback();
    let token = token_path(&config.state);
    let server = Server::start(config).await?;
    printer.out(&format!("{}\n", server.url()));
    if !loopback {
        printer.note(&format!(
            "the /v1 routes need the bearer token in {}",
            token.display()
        ));
    }
    cancel.cancelled().await;
    server.stop().await;
    Ok(Exit::Complete)
}

pub(crate) async fn client(args: Client) -> Result<Exit> {
    let mut options = ClientOptions::new(state()?);
    options.service = args
        .service
        .as_deref()
        .map(ClientOptions::parse_service)
        .transpose()?;
    options.input = args.input.path;
    options.ca = args.ca;
    options.insecure = args.insecure;
    options.helper_image = args.helper.helper_image;
    let mut prompter = LinePrompter::stdin(Box::new(std::io::stderr()));
    let mut output = TerminalOutput::stderr();
    let status = openshifter_client::run(options, &mut prompter, &mut output).await?;
    Exit::of_status(status).ok_or_else(|| anyhow!("the run ended with the unknown status {status}"))
}

/// The service of `openshifter demo --keep`, which knows the embedded clusters' certificates.
pub(crate) async fn for_demo(
    folder: &Path,
    clusters: &[&DevCluster],
    helper_image: &str,
) -> Result<Server> {
    let mut config = ServerConfig::new(StateDir::new(folder.join("state")));
    config.listen = ([127, 0, 0, 1], 0).into();
    config.helper_image = Some(helper_image.to_owned());
    for cluster in clusters {
        let trust = Trust {
            ca_pem: Some(cluster.ca_pem().into()),
            ..Trust::default()
        };
        config.trusts.push((cluster.api_url(), trust));
    }
    Ok(Server::start(config).await?)
}
