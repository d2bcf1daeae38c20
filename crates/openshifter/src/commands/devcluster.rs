//! `openshifter devcluster`.

use anyhow::Result;
use openshifter_cluster::{ExposeSecret as _, SecretString};
use openshifter_devcluster::{Config, DevCluster, Sandbox};

use crate::cli::Devcluster;
use crate::commands::cancel_on_signal;
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) async fn run(args: Devcluster, printer: Printer) -> Result<Exit> {
    let cancel = cancel_on_signal(printer);
    let mut config = Config::new(&args.name, &args.data, std::env::current_exe()?);
    config.listen = args.listen;
    config.router = args.router;
    config.sandbox = if args.isolation.no_sandbox {
        Sandbox::None
    } else {
        Sandbox::Bubblewrap
    };
    for user in &args.user {
        let (name, password) = match user.split_once('=') {
            Some((name, file)) => {
                let password = fs_err::read_to_string(file)?;
                (
                    name,
                    Some(SecretString::from(
                        password.trim_end_matches(['\r', '\n']).to_owned(),
                    )),
                )
            }
            None => (user.as_str(), None),
        };
        config.users.push((name.to_owned(), password));
    }
    let cluster = DevCluster::start(config).await?;
    printer.out(&format!(
        "API         {}\nroutes      http://{}\nkubeconfig  {}\npasswords   {}\n",
        cluster.api_url(),
        cluster.router_addr(),
        cluster.kubeconfig().display(),
        args.data.join("passwords").display(),
    ));
    for user in &args.user {
        // A given password is known; a random one is shown this once, and lies in the file.
        if let (false, Some(password)) = (user.contains('='), cluster.password(user)) {
            printer.out(&format!(
                "user        {user}, password {}\n",
                password.expose_secret()
            ));
        }
    }
    printer.note("Ctrl-C stops it");
    cancel.cancelled().await;
    cluster.stop().await;
    Ok(Exit::Complete)
}
