//! The steps of a deployment as commands of their own, with the flags that users of `oc` know.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::parse::{duration, pair};
use crate::cli::{Again, Names};

/// Where a step is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct At {
    /// A kubeconfig context, a name from input.json, `in-cluster`, or an address as in api.example.com:6443
    /// [default: the kubeconfig's current context]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) at: Option<String>,
    /// The project [default: that of the context or of input.json]
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) login: Again,
    #[command(flatten)]
    pub(crate) names: Names,
}

/// Builds.
#[derive(Debug, Subcommand)]
pub(crate) enum Build {
    /// Start a build, and send it its source
    Start(Box<StartBuild>),
}

#[derive(Debug, Args)]
pub(crate) struct StartBuild {
    /// The BuildConfig, as in `django` or `bc/django`
    pub(crate) name: String,
    /// Build this folder: without .git and what its .s2iignore names
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from_file", "from_archive"])]
    pub(crate) from_dir: Option<PathBuf>,
    /// Build this one file
    #[arg(long, value_name = "FILE", conflicts_with = "from_archive")]
    pub(crate) from_file: Option<PathBuf>,
    /// Build this archive, sent as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) from_archive: Option<PathBuf>,
    /// A variable for this build; may be given more than once
    #[arg(long, short = 'e', value_name = "NAME=VALUE", value_parser = pair, conflicts_with_all = ["from_dir", "from_file", "from_archive"])]
    pub(crate) env: Vec<(String, String)>,
    /// Show its log until it ends; its failure is this command's
    #[arg(long, short = 'F')]
    pub(crate) follow: bool,
    /// Wait until it ends; its failure is this command's
    #[arg(long, short = 'w')]
    pub(crate) wait: bool,
    /// How long the build may take
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A pod, or KIND/NAME: deployment/x, dc/x, statefulset/x, job/x, build/x, bc/x, svc/x
    pub(crate) target: String,
    /// Go on until it ends
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u64>,
    /// Only what was written in this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// The log of the container before this one
    #[arg(long, short = 'p')]
    pub(crate) previous: bool,
    /// Begin each line with its time
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// The container [default: the first]
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// A pod, or KIND/NAME of a workload
    pub(crate) target: String,
    /// Pass standard input on
    #[arg(long, short = 'i')]
    pub(crate) stdin: bool,
    /// Give it a terminal
    #[arg(long, short = 't')]
    pub(crate) tty: bool,
    /// The container [default: the first]
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rsh {
    #[command(flatten)]
    pub(crate) at: At,
    /// The container [default: the first]
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    /// The shell
    #[arg(long, value_name = "PATH", default_value = "/bin/sh")]
    pub(crate) shell: String,
    /// No terminal, although there is one here
    #[arg(long, short = 'T')]
    pub(crate) no_tty: bool,
    /// A pod, or KIND/NAME of a workload
    pub(crate) target: String,
    /// A command in place of the shell
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// A file or folder: PATH here, or [PROJECT/]POD:PATH
    pub(crate) from: String,
    /// Where to: one of both is here
    pub(crate) to: String,
    /// The container [default: the first]
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PortForward {
    /// A pod, or KIND/NAME of a workload or service
    pub(crate) target: String,
    /// Ports: LOCAL:REMOTE, REMOTE for the same number here, :REMOTE for a free one
    #[arg(required = true, value_name = "PORTS")]
    pub(crate) ports: Vec<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// KIND/NAME: deployment/x, dc/x, statefulset/x, rc/x
    pub(crate) target: String,
    /// How many pods
    #[arg(long, value_name = "NUMBER")]
    pub(crate) replicas: u32,
    /// Wait so long until they are ready, or gone [default: do not wait]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct SetVolume {
    /// KIND/NAME: deployment/x, dc/x, statefulset/x
    pub(crate) target: String,
    /// Add a volume
    #[arg(long, required = true)]
    pub(crate) add: bool,
    /// The volume's name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it is [default: pvc if a claim is named, else emptyDir]
    #[arg(
        long = "type",
        short = 't',
        value_enum,
        ignore_case = true,
        value_name = "TYPE"
    )]
    pub(crate) kind: Option<VolumeKind>,
    /// The claim
    #[arg(long, value_name = "NAME")]
    pub(crate) claim_name: Option<String>,
    /// Make the claim with this size, if it is not there
    #[arg(long, value_name = "SIZE")]
    pub(crate) claim_size: Option<String>,
    /// Access mode of a new claim: ReadWriteOnce (rwo), ReadWriteMany (rwm), ReadOnlyMany (rom)
    #[arg(long, value_name = "MODE", value_parser = access_mode)]
    pub(crate) claim_mode: Option<String>,
    /// Storage class of a new claim
    #[arg(long, value_name = "CLASS")]
    pub(crate) claim_class: Option<String>,
    /// The Secret
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_name: Option<String>,
    /// The ConfigMap
    #[arg(long, value_name = "NAME")]
    pub(crate) configmap_name: Option<String>,
    /// Where it is mounted
    #[arg(long, short = 'm', value_name = "PATH")]
    pub(crate) mount_path: Option<String>,
    /// The container that mounts it [default: all of them]
    #[arg(long, short = 'c', value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    /// Mount it to be read only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Replace a volume of that name
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VolumeKind {
    /// A claim
    #[value(name = "pvc", alias = "persistentVolumeClaim")]
    Claim,
    /// An empty folder that ends with the pod
    #[value(name = "emptyDir", alias = "emptydir")]
    EmptyDir,
    /// A Secret's keys as files
    Secret,
    /// A ConfigMap's keys as files
    #[value(name = "configmap")]
    ConfigMap,
}

/// Access modes by their names and by the short ones of `oc`.
fn access_mode(text: &str) -> Result<String, String> {
    let mode = match text.to_ascii_lowercase().as_str() {
        "rwo" | "readwriteonce" => "ReadWriteOnce",
        "rwm" | "rwx" | "readwritemany" => "ReadWriteMany",
        "rom" | "rox" | "readonlymany" => "ReadOnlyMany",
        "rwop" | "readwriteoncepod" => "ReadWriteOncePod",
        _ => return Err("it is ReadWriteOnce, ReadWriteMany or ReadOnlyMany".to_owned()),
    };
    Ok(mode.to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Expose {
    /// The service, as in svc/django
    pub(crate) target: String,
    /// The route's name [default: the service's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Its host [default: the cluster's choice]
    #[arg(long, value_name = "HOST")]
    pub(crate) hostname: Option<String>,
    /// Name or number of the service's port [default: the first]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// Its path
    #[arg(id = "route_path", long = "path", value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Take TLS at the router, and redirect plain requests to it
    #[arg(long)]
    pub(crate) tls: bool,
    #[command(flatten)]
    pub(crate) at: At,
}
