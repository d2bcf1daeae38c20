//! `openshifter v2 manifests`: what a converted application needs of a cluster, as a chart, a Template or plain manifests.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use openshifter_cluster::ExposeSecret as _;
use openshifter_objects::Object;
use openshifter_v2::manifests::{
    BuildSource, InputValue, ManifestOptions, Manifests, Values, Workload, manifests,
};
use openshifter_v2::{Limits, Needs, Tree, V2Error};
use serde::Serialize;
use serde_json::{Value, json};

use super::usage;
use crate::cli::{Again, Names};
use crate::commands::Session;
use crate::connect::given_text;
use crate::exit::{Exit, Usage};
use crate::printer::Printer;

/// What a person may decide about the objects on the cluster.
#[derive(Debug, Args)]
pub(crate) struct Choices {
    /// What keeps the application's pods
    #[arg(long, value_enum, default_value_t = WorkloadArg::Deployment, value_name = "KIND")]
    workload: WorkloadArg,
    /// Build from a Git repository, as URI or URI#REF, in place of uploads
    #[arg(long, value_name = "URI[#REF]")]
    git: Option<String>,
    /// Tag of the builder's image stream, as in python:3.12-ubi9 [default: the conversion's]
    #[arg(long, value_name = "TAG")]
    builder: Option<String>,
    /// Project of the builder's image stream; empty for the application's own
    #[arg(long, default_value = "openshift", value_name = "PROJECT")]
    builder_namespace: String,
    /// Tag of PostgreSQL's image stream in the project openshift
    #[arg(long, default_value = "postgresql:latest", value_name = "TAG")]
    postgresql: String,
    /// How many pods [default: 1; 2 if V2 scaled it and no claim keeps it on one node]
    #[arg(long, value_name = "COUNT")]
    replicas: Option<u32>,
    /// Host of the Route [default: the cluster's choice]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Size of each claim
    #[arg(long, default_value = "1Gi", value_name = "SIZE")]
    claim_size: String,
    /// Storage class of the claims [default: the cluster's]
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// For clusters before OpenShift 4.11: older API versions, and nothing that they refuse
    #[arg(long)]
    old_cluster: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WorkloadArg {
    /// A Deployment that follows the image stream
    Deployment,
    /// A DeploymentConfig, with hooks of its own
    DeploymentConfig,
}

impl Choices {
    pub(crate) fn options(&self) -> ManifestOptions {
        ManifestOptions {
            workload: match self.workload {
                WorkloadArg::Deployment => Workload::Deployment,
                WorkloadArg::DeploymentConfig => Workload::DeploymentConfig,
            },
            source: self
                .git
                .as_deref()
                .map_or(BuildSource::Binary, BuildSource::git),
            builder: self.builder.clone(),
            builder_namespace: Some(self.builder_namespace.clone())
                .filter(|project| !project.is_empty()),
            postgresql: self.postgresql.clone(),
            replicas: self.replicas,
            host: self.host.clone(),
            claim_size: self.claim_size.clone(),
            storage_class: self.storage_class.clone(),
            old_cluster: self.old_cluster,
        }
    }
}

/// `manifests`
#[derive(Debug, Args)]
pub(crate) struct ManifestsOf {
    /// The converted application's folder
    dir: PathBuf,
    /// What is written
    #[arg(long, value_enum, default_value_t = Form::Plain, value_name = "FORMAT")]
    format: Form,
    /// A folder or a file (*.yaml, *.yml, *.json), which must not exist; `-` for stdout [default: stdout; a chart needs a folder]
    #[arg(long, short = 'o', value_name = "PATH")]
    out: Option<PathBuf>,
    /// Values for plain manifests: a file with lines of NAME=VALUE, `-` for stdin
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// Make up the secrets of plain manifests that are not given
    #[arg(long)]
    generate: bool,
    /// Keep what was made up in this file, and take it from there the next time
    #[arg(long, value_name = "FILE", requires = "generate")]
    save_values: Option<PathBuf>,
    /// Take over what is at this cluster already: images that triggers put there, and how many pods there are
    #[arg(long, value_name = "CLUSTER", help_heading = "Cluster")]
    at: Option<String>,
    /// The project there [default: that of the context or of input.json]
    #[arg(
        long,
        short = 'n',
        value_name = "PROJECT",
        requires = "at",
        help_heading = "Cluster"
    )]
    namespace: Option<String>,
    #[command(flatten)]
    login: Again,
    #[command(flatten)]
    names: Names,
    #[command(flatten)]
    choices: Choices,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A Helm chart, with values
    Chart,
    /// An OpenShift Template, with parameters
    Template,
    /// Objects for `kubectl apply`
    Plain,
}

/// Reads what a conversion recorded.
pub(crate) fn recorded(dir: &Path) -> Result<Needs> {
    let tree = Tree::load(dir, &Limits::default()).map_err(usage)?;
    Needs::recorded(&tree).ok_or_else(|| {
        usage(V2Error::NotConverted {
            path: dir.to_owned(),
        })
    })
}

/// Where it goes.
enum Target<'a> {
    Stdout,
    File(&'a Path),
    Folder(&'a Path),
}

impl ManifestsOf {
    fn target(&self) -> Result<Target<'_>> {
        let target = match self.out.as_deref() {
            None => Target::Stdout,
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path)
                if path.extension().is_some_and(|end| {
                    ["yaml", "yml", "json"].iter().any(|known| end == *known)
                }) =>
            {
                Target::File(path)
            }
            Some(path) => Target::Folder(path),
        };
        let wrong = |text: &str| Err(Usage(text.to_owned()).into());
        match (self.format, &target) {
            (Form::Chart, Target::Stdout | Target::File(_)) => {
                wrong("a chart is a folder: say which, with --out DIR")
            }
            (Form::Template, Target::Folder(_)) => {
                wrong("a Template is one file: say which, with --out FILE.yaml")
            }
            (Form::Chart | Form::Template, _) if self.at.is_some() => wrong(
                "--at is for plain manifests: a chart keeps what is at the cluster by itself, and a Template is for the first time",
            ),
            (Form::Chart | Form::Template, _) if self.generate || self.values.is_some() => wrong(
                "--values and --generate are for plain manifests: a chart has values and a Template has parameters, which hold no secret until they are used",
            ),
            _ => Ok(target),
        }
    }

    /// The workloads and jobs of the application that are at the cluster.
    async fn live(
        &self,
        cluster: &str,
        manifests: &Manifests,
        printer: Printer,
    ) -> Result<Vec<Value>> {
        let session = Session::new(printer);
        let target = session
            .connect(&self.names, cluster, self.login.login())
            .await?;
        let reading = async {
            let namespace = target.namespace(self.namespace.as_deref())?;
            let mut live = Vec::new();
            for manifest in &manifests.objects {
                let wanted = Object::from_value(manifest.object.clone())?;
                if wanted.value().pointer("/spec/template").is_none()
                    && wanted.value().pointer("/spec/jobTemplate").is_none()
                {
                    continue;
                }
                let found = target
                    .cluster
                    .get(&wanted.group_kind(), Some(&namespace), wanted.name())
                    .await?;
                live.extend(found.map(|object| object.value().clone()));
            }
            Ok(live)
        };
        let result = session.unless_stopped(reading).await;
        target.logout().await;
        result
    }

    fn values(&self, manifests: &Manifests) -> Result<Values> {
        let mut values = match &self.values {
            None => Values::new(),
            Some(file) => Values::parse(&given_text(file)?).map_err(usage)?,
        };
        let saved = match &self.save_values {
            Some(file) if file.symlink_metadata().is_ok() => fs_err::read_to_string(file)?,
            _ => String::new(),
        };
        values = values.or(Values::parse(&saved).map_err(usage)?.known_to(manifests));
        let missing = manifests.missing(&values);
        if self.generate {
            let mut random = fs_err::File::open("/dev/urandom")?;
            manifests
                .generate(&mut values, &mut random)
                .context("making up secrets")?;
        }
        if let Some(file) = &self.save_values {
            let made: Vec<&str> = missing
                .iter()
                .filter(|input| matches!(input.value, InputValue::Generated { .. }))
                .map(|input| input.name.as_str())
                .collect();
            if !made.is_empty() {
                // Before anybody has seen them: what is applied and then lost could not be made again.
                replace_file(file, values.added_to(&saved, &made).expose_secret())?;
            }
        }
        Ok(values)
    }
}

/// What was written, for programs.
#[derive(Serialize)]
struct Wrote<'a> {
    out: &'a Path,
    files: Vec<&'a str>,
    missing: Vec<&'a str>,
    notes: &'a [String],
}

pub(super) async fn run(args: ManifestsOf, printer: Printer) -> Result<Exit> {
    args.target()?;
    let (args, made) = tokio::task::spawn_blocking(move || {
        let needs = recorded(&args.dir)?;
        let made = manifests(&needs, &args.choices.options()).map_err(usage)?;
        anyhow::Ok((args, made))
    })
    .await
    .context("reading the tree")??;
    let live = match &args.at {
        Some(cluster) => args.live(cluster, &made, printer).await?,
        None => Vec::new(),
    };
    tokio::task::spawn_blocking(move || write(&args, made, &live, printer))
        .await
        .context("writing the manifests")?
}

fn write(
    args: &ManifestsOf,
    mut made: Manifests,
    live: &[Value],
    printer: Printer,
) -> Result<Exit> {
    let target = args.target()?;
    made.keep(live);
    let values = args.values(&made)?;
    let as_json = match &target {
        Target::Stdout => printer.is_json(),
        Target::File(path) => path.extension().is_some_and(|end| end == "json"),
        Target::Folder(_) => false,
    };
    let files = match args.format {
        Form::Chart => made.chart(),
        Form::Template => {
            let text = if as_json {
                pretty(&made.template())?
            } else {
                made.template_yaml()
            };
            vec![(String::new(), text)]
        }
        Form::Plain if as_json => {
            let items: Vec<_> = made
                .filled(&values)
                .map_err(usage)?
                .into_iter()
                .map(|manifest| manifest.object)
                .collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            vec![(String::new(), pretty(&list)?)]
        }
        Form::Plain => made.plain(&values).map_err(usage)?,
    };
    // Values may be secrets, so what holds them is its owner's alone.
    let private = args.generate || args.values.is_some();
    match &target {
        Target::Stdout => printer.out(&joined(&files)),
        Target::File(path) => write_file(path, &joined(&files), private)?,
        Target::Folder(path) => write_folder(path, &files, private)?,
    }
    let missing = match args.format {
        Form::Plain => made.missing(&values),
        _ => Vec::new(),
    };
    if let Target::File(path) | Target::Folder(path) = target
        && printer.is_json()
    {
        let wrote = Wrote {
            out: path,
            files: files
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| !name.is_empty() && matches!(target, Target::Folder(_)))
                .collect(),
            missing: missing.iter().map(|input| input.name.as_str()).collect(),
            notes: &made.notes,
        };
        printer.data(&wrote, |_| String::new())?;
        return Ok(Exit::Complete);
    }
    for note in &made.notes {
        printer.note(&format!("note: {note}"));
    }
    for input in missing {
        printer.note(&format!(
            "to be given: {}: {}; with --values{}",
            input.name,
            input.description,
            if matches!(input.value, InputValue::Generated { .. }) {
                ", or made up with --generate"
            } else {
                ""
            }
        ));
    }
    if let Target::File(path) | Target::Folder(path) = target {
        printer.note(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Complete)
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// All in one: documents of YAML are divided by a line.
fn joined(files: &[(String, String)]) -> String {
    files
        .iter()
        .map(|(_, text)| text.as_str())
        .collect::<Vec<_>>()
        .join("---\n")
}

/// The folder that a path is in, which has to be there.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn exists(path: &Path) -> anyhow::Error {
    usage(V2Error::OutExists {
        path: path.to_owned(),
    })
}

/// Writes a file that appears whole or not at all.
fn write_file(path: &Path, text: &str, private: bool) -> Result<()> {
    use std::io::Write as _;
    let cannot = || format!("cannot write {}", path.display());
    let mode = if private { 0o600 } else { 0o666 };
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent(path))
        .with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(error.error).with_context(cannot),
    }
}

/// Writes a file of secrets in place of the one that was there.
fn replace_file(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let cannot = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(parent(path))
        .with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(cannot)?;
    Ok(())
}

/// Writes a folder that appears whole or not at all.
fn write_folder(path: &Path, files: &[(String, String)], private: bool) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let cannot = || format!("cannot write {}", path.display());
    let mode = if private { 0o700 } else { 0o777 };
    let folder = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempdir_in(parent(path))
        .with_context(cannot)?;
    for (name, text) in files {
        let file = folder.path().join(name);
        fs_err::create_dir_all(file.parent().unwrap_or(folder.path()))?;
        fs_err::write(&file, text)?;
        if private {
            fs_err::set_permissions(&file, Permissions::from_mode(0o600))?;
        }
    }
    fs_err::rename(folder.path(), path)?;
    // It is not temporary any more.
    let _ = folder.keep();
    Ok(())
}
