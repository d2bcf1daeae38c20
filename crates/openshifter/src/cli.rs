//! The arguments: types only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use openshifter_migrate::Policy;
use openshifter_objects::Selector;

/// The name under which the embedded cluster's pods call this program.
pub(crate) const AGENT: &str = "devcluster-agent";

/// Moves applications, with their data, between OpenShift and Kubernetes clusters.
///
/// Exit status: 0 everything is there and was checked; 1 finished with something missing, which is listed;
/// 2 wrong usage; 3 failed, nothing was changed; 4 stopped half-way, `undo` and `resume` are possible.
#[derive(Debug, Parser)]
#[command(
    name = "openshifter",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub(crate) struct Cli {
    /// How data and reports are written to stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Say nothing but results and failures
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log what happens, to stderr; twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all: two embedded clusters, an application with data, one migration
    Demo(Demo),
    /// Export an application with its data into a fat chart
    Export(Export),
    /// Import a fat chart, its data verified before the application starts
    Import(Import),
    /// Delete exactly an application's objects
    Delete(Delete),
    /// Export and import in one go, by a policy
    Migrate(Box<Migrate>),
    /// Take back what a run changed
    Undo(Undo),
    /// Go on with an import that stopped half-way
    Resume(Resume),
    /// List the runs that are remembered, or show the report of one
    Runs(Runs),
    /// Look at fat charts
    #[command(subcommand)]
    Chart(Chart),
    /// Serve the REST service
    Serve(Serve),
    /// Migrate in a dialogue
    Client(Client),
    /// Run an embedded OpenShift for development and tests
    Devcluster(Devcluster),
    /// Print shell completions
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Files that name clusters.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// File with named clusters and their credentials
    #[arg(long, value_name = "FILE", default_value = "input.json")]
    pub(crate) input: PathBuf,
    /// Kubeconfig whose contexts name clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// Credentials and trust of one cluster that is given by its address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) insecure: bool,
    pub(crate) oauth_ca: Option<PathBuf>,
    pub(crate) oauth_insecure: bool,
    /// Prefix of the environment variables `…_PASSWORD` and `…_TOKEN`.
    pub(crate) prefix: &'static str,
}

/// One end, with the same options under another prefix.
macro_rules! side {
    ($name:ident, $flag:literal, $prefix:literal, $id:literal, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Args)]
        pub(crate) struct $name {
            #[arg(id = $id, long = $flag, value_name = "CLUSTER", help = concat!($what, ": a kubeconfig context, a name from input.json, `in-cluster`, or an address as in api.example.com:6443"))]
            pub(crate) cluster: String,
            /// User name there; the password is asked for, or comes from a file or the environment
            #[arg(id = concat!($id, "_user"), long = concat!($flag, "-user"), value_name = "NAME")]
            user: Option<String>,
            #[arg(help = concat!("File with the password, `-` for stdin [env: ", $prefix, "_PASSWORD]"), id = concat!($id, "_password_file"), long = concat!($flag, "-password-file"), value_name = "FILE")]
            password_file: Option<PathBuf>,
            #[arg(help = concat!("File with a bearer token, `-` for stdin [env: ", $prefix, "_TOKEN]"), id = concat!($id, "_token_file"), long = concat!($flag, "-token-file"), value_name = "FILE")]
            token_file: Option<PathBuf>,
            /// File with a client certificate
            #[arg(id = concat!($id, "_client_certificate"), long = concat!($flag, "-client-certificate"), value_name = "FILE", requires = concat!($id, "_client_key"))]
            client_certificate: Option<PathBuf>,
            /// File with its key
            #[arg(id = concat!($id, "_client_key"), long = concat!($flag, "-client-key"), value_name = "FILE", requires = concat!($id, "_client_certificate"))]
            client_key: Option<PathBuf>,
            /// File with the certificate authority of the API
            #[arg(id = concat!($id, "_ca"), long = concat!($flag, "-ca"), value_name = "FILE")]
            ca: Option<PathBuf>,
            /// Do not check the API's certificate
            #[arg(id = concat!($id, "_insecure"), long = concat!($flag, "-insecure"))]
            insecure: bool,
            /// File with the certificate authority of the OAuth host
            #[arg(id = concat!($id, "_oauth_ca"), long = concat!($flag, "-oauth-ca"), value_name = "FILE")]
            oauth_ca: Option<PathBuf>,
            /// Do not check the OAuth host's certificate
            #[arg(id = concat!($id, "_oauth_insecure"), long = concat!($flag, "-oauth-insecure"))]
            oauth_insecure: bool,
        }

        impl $name {
            /// What there is to log in with.
            pub(crate) fn login(&self) -> Login {
                Login {
                    user: self.user.clone(),
                    password_file: self.password_file.clone(),
                    token_file: self.token_file.clone(),
                    client_certificate: self.client_certificate.clone(),
                    client_key: self.client_key.clone(),
                    ca: self.ca.clone(),
                    insecure: self.insecure,
                    oauth_ca: self.oauth_ca.clone(),
                    oauth_insecure: self.oauth_insecure,
                    prefix: $prefix,
                }
            }
        }
    };
}

side!(
    From,
    "from",
    "OPENSHIFTER_FROM",
    "from",
    "The source cluster"
);
side!(To, "to", "OPENSHIFTER_TO", "to", "The target cluster");

/// How the source is read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// Only objects with these labels, and what they need
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub(crate) selector: Option<Selector>,
    /// Leave this claim's data out; may be given more than once
    #[arg(long, value_name = "CLAIM")]
    pub(crate) skip_volume: Vec<String>,
    /// Host of a route at the target; may be given more than once
    #[arg(long, value_name = "ROUTE=HOST", value_parser = pair)]
    pub(crate) route_host: Vec<(String, String)>,
    /// Storage class at the target, `*` for all; may be given more than once
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    pub(crate) storage_class: Vec<(String, String)>,
}

/// Image of helper pods.
#[derive(Debug, Args)]
pub(crate) struct Helper {
    /// Image with sh, sleep and tar for the pods that reach volumes which no running container reaches
    #[arg(long, value_name = "IMAGE")]
    pub(crate) helper_image: Option<String>,
}

/// How the target is written.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    /// File with values over the chart's own; may be given more than once
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
    /// One value over the chart's own, as in helm; may be given more than once
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// What happens to objects that exist at the target
    #[arg(long, value_enum, default_value_t = Existing::Fail, value_name = "WHAT")]
    pub(crate) existing: Existing,
    /// Replace the data of claims that hold other data; a backup of it is kept
    #[arg(long)]
    pub(crate) overwrite_data: bool,
    /// Allow what reaches beyond the project
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) allow: Vec<Allow>,
    /// How long the application may take to be ready
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Existing {
    /// Refuse the import
    Fail,
    /// Leave them as they are
    Skip,
    /// Make them what the chart says
    Apply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allow {
    /// Custom resource definitions of the chart
    Crds,
    /// Symbolic links in volumes that point out of the volume
    Links,
    /// Device nodes in volumes
    Devices,
    /// Privileged pods, grants of security context constraints and the like
    BeyondProject,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Stop what writes to the volumes for the time of the copy
    #[arg(long)]
    pub(crate) quiesce: bool,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// A folder, a file that ends in .tgz, or `-` for an archive on stdout [default: PROJECT-chart]
    #[arg(long = "out", short = 'o', value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Only say what would be exported
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The chart: a folder or an archive, ours or the 2019 prototype's
    pub(crate) chart: PathBuf,
    #[command(flatten)]
    pub(crate) to: To,
    /// The project; it is created if it is missing and allowed
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    /// Only objects with these labels, and what they need
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub(crate) selector: Option<Selector>,
    /// Delete the claims too, with their data
    #[arg(long)]
    pub(crate) with_data: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Only say what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project at the source
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) to: To,
    /// The project at the target [default: as at the source]
    #[arg(long, value_name = "PROJECT")]
    pub(crate) to_namespace: Option<String>,
    /// copy deletes nothing; move deletes the source's objects; ping-pong the target's present ones
    #[arg(long, default_value = "copy", value_name = "POLICY")]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Stop what writes to the volumes for the time of the copy; a move always does
    #[arg(long)]
    pub(crate) quiesce: bool,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// Claims are deleted with the objects
    #[arg(long)]
    pub(crate) with_data: bool,
    /// Keep the chart in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep_chart: Option<PathBuf>,
    /// Do not ask before anything is deleted
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

/// Ends of a run that is taken up again; its journal knows what they were called.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// Id of the run
    pub(crate) run: openshifter_migrate::RunId,
    /// The source cluster, if the run changed something there [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) from: Option<String>,
    /// The target cluster [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) names: Names,
}

/// Credentials for the clusters of a run that were given by their address.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// User name; the password is asked for, or comes from a file or the environment
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File with the password, `-` for stdin [env: OPENSHIFTER_PASSWORD]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with a bearer token, `-` for stdin [env: OPENSHIFTER_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the certificate authority
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not check certificates
    #[arg(long)]
    insecure: bool,
}

impl Again {
    pub(crate) fn login(&self) -> Login {
        Login {
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            token_file: self.token_file.clone(),
            ca: self.ca.clone(),
            insecure: self.insecure,
            oauth_insecure: self.insecure,
            prefix: "OPENSHIFTER",
            ..Login::default()
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Id of the run
    pub(crate) run: openshifter_migrate::RunId,
    /// The target cluster [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Show the report of this run
    pub(crate) run: Option<openshifter_migrate::RunId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Chart {
    /// Say what a chart holds
    Inspect {
        /// A folder or an archive
        chart: PathBuf,
    },
    /// Check everything in a chart against its ledger
    Verify {
        /// A folder or an archive
        chart: PathBuf,
    },
    /// Make the folder of an archive, for helm
    Unpack {
        /// The archive
        chart: PathBuf,
        /// The folder, which must not exist [default: the archive's name without .tgz]
        folder: Option<PathBuf>,
    },
    /// Make an archive of a folder
    Pack {
        /// The folder
        chart: PathBuf,
        /// The archive
        archive: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// Plain http instead of TLS
    #[arg(long, conflicts_with_all = ["certificate", "key"])]
    pub(crate) http: bool,
    /// File with the service's certificate; one is made otherwise
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// File with its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// File with the certificate authority of a cluster; may be given more than once
    #[arg(long, value_name = "BASE=FILE", value_parser = pair)]
    pub(crate) cluster_ca: Vec<(String, String)>,
    /// Do not check the certificates of this cluster; may be given more than once
    #[arg(long, value_name = "BASE")]
    pub(crate) insecure_cluster: Vec<String>,
    /// Off loopback, only these clusters are reached; may be given more than once
    #[arg(long, value_name = "BASE")]
    pub(crate) allow_cluster: Vec<String>,
    /// Names under which the service is called besides its address; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
    /// Kubeconfig whose contexts the service can see
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) helper: Helper,
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    /// Address of a service that does the work; it is done here otherwise
    pub(crate) service: Option<String>,
    /// File with named clusters and their credentials
    #[arg(long, value_name = "FILE", default_value = "input.json")]
    pub(crate) input: PathBuf,
    /// File with the certificate authority of the service
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Do not check the service's certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    #[command(flatten)]
    pub(crate) helper: Helper,
}

#[derive(Debug, Args)]
pub(crate) struct Devcluster {
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// Where the router answers Routes, by plain http
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) router: SocketAddr,
    /// Folder of all its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Name of the cluster
    #[arg(long, default_value = "devcluster")]
    pub(crate) name: String,
    /// A user, with a password from a file; random otherwise; may be given more than once
    #[arg(long, value_name = "NAME[=PASSWORD-FILE]", default_value = "developer")]
    pub(crate) user: Vec<String>,
    /// Run containers without isolation, where bubblewrap is not to be had
    #[arg(long)]
    pub(crate) no_sandbox: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave both clusters and a REST service running, and print the curl lines
    #[arg(long)]
    pub(crate) keep: bool,
    /// Run containers without isolation, where bubblewrap is not to be had
    #[arg(long)]
    pub(crate) no_sandbox: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// `90s`, `10m`, `1h`, or plain seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is no time, as 90s or 10m"))?;
    let seconds = match unit {
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err(format!("`{text}` is no time, as 90s or 10m")),
    };
    Ok(Duration::from_secs(seconds))
}

impl Reading {
    /// The choices for refactoring.
    pub(crate) fn choices(&self) -> openshifter_refactor::Choices {
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
        openshifter_refactor::Choices {
            route_hosts: map(&self.route_host),
            storage_classes: map(&self.storage_class),
            ..openshifter_refactor::Choices::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(duration("5 minutes").is_err());
    }
}
