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
#[command(group = clap::ArgGroup::new("operation").args(["add", "remove", "list"]))]
pub(crate) struct SetVolume {
    /// KIND/NAME: deployment/x, dc/x, statefulset/x
    pub(crate) target: String,
    /// Add a volume, or change one with --overwrite
    #[arg(long)]
    pub(crate) add: bool,
    /// Take a volume out; what it was made of stays
    #[arg(long)]
    pub(crate) remove: bool,
    /// List the volumes and who mounts them, which is what is done without --add and --remove
    #[arg(long)]
    pub(crate) list: bool,
    /// The volume's name [default with --add: made up, or with --overwrite that of the volume at the mount path]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What it is [default: what is named, else emptyDir for a new volume]
    #[arg(
        long = "type",
        short = 't',
        value_enum,
        ignore_case = true,
        value_name = "TYPE",
        requires = "add"
    )]
    pub(crate) kind: Option<VolumeKind>,
    /// The claim
    #[arg(long, value_name = "NAME", requires = "add")]
    pub(crate) claim_name: Option<String>,
    /// Make the claim with this size, if it is not there
    #[arg(long, value_name = "SIZE", requires = "add")]
    pub(crate) claim_size: Option<String>,
    /// Access mode of a new claim: ReadWriteOnce (rwo), ReadWriteMany (rwm), ReadOnlyMany (rom)
    #[arg(long, value_name = "MODE", value_parser = access_mode, requires = "add")]
    pub(crate) claim_mode: Option<String>,
    /// Storage class of a new claim
    #[arg(long, value_name = "CLASS", requires = "add")]
    pub(crate) claim_class: Option<String>,
    /// The Secret
    #[arg(long, value_name = "NAME", requires = "add")]
    pub(crate) secret_name: Option<String>,
    /// The ConfigMap
    #[arg(long, value_name = "NAME", requires = "add")]
    pub(crate) configmap_name: Option<String>,
    /// Permission bits of a Secret's or ConfigMap's files, as in 0644
    #[arg(long, value_name = "MODE", value_parser = file_mode, requires = "add")]
    pub(crate) default_mode: Option<u32>,
    /// The folder of the node, with --type hostPath
    #[arg(id = "host_path", long = "path", value_name = "PATH", requires = "add")]
    pub(crate) host_path: Option<String>,
    /// Any volume that a pod may have, as JSON: '{"nfs": {"server": …}}'
    #[arg(long, value_name = "JSON", requires = "add", conflicts_with_all = ["kind", "claim_name", "claim_size", "secret_name", "configmap_name", "host_path"])]
    pub(crate) source: Option<String>,
    /// Where it is mounted
    #[arg(long, short = 'm', value_name = "PATH", requires = "add")]
    pub(crate) mount_path: Option<String>,
    /// The part of the volume that is mounted
    #[arg(long, value_name = "PATH", requires = "mount_path")]
    pub(crate) sub_path: Option<String>,
    /// The containers that it is about; `*` stands for any characters [default: all; for one that moves, those that mount it]
    #[arg(long, short = 'c', alias = "container", value_name = "CONTAINERS")]
    pub(crate) containers: Option<String>,
    /// Mount it to be read only
    #[arg(long, requires = "mount_path")]
    pub(crate) read_only: bool,
    /// Change a volume that is there: without a source its mounts alone
    #[arg(long, requires = "add")]
    pub(crate) overwrite: bool,
    /// Take out all volumes
    #[arg(long, requires = "remove")]
    pub(crate) confirm: bool,
    /// Only say what would be done; with --output json the workload as it would be
    #[arg(long, conflicts_with = "list")]
    pub(crate) dry_run: bool,
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
    /// A folder of the node
    #[value(name = "hostPath")]
    HostPath,
}

/// Permission bits in octal digits.
fn file_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("write it in octal digits, as in 0644".to_owned()),
    }
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
