//! `openshifter v2`: source trees written for OpenShift V2.

mod deploy;
mod manifests;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use openshifter_v2::{
    Analysis, DatabaseChoice, Limits, Options, Plan, Runner, RunnerFile, Server, Tree, V2Error,
    Version, analyze, apply_in_place, check_in_place, plan, report, write_out,
};

use crate::exit::{Exit, Usage};
use crate::printer::Printer;

/// Commands for trees of V2.
#[derive(Debug, Subcommand)]
pub(crate) enum V2 {
    /// Say what an application is and what of it will not work on V3
    Analyze(Box<Analyze>),
    /// Make the V3 tree, with a reason for each change
    Convert(Box<Convert>),
    /// Write what a converted application needs of a cluster
    Manifests(Box<manifests::ManifestsOf>),
    /// Build and run a converted application on a cluster; run it again, and what is there stays
    Deploy(Box<deploy::Deploy>),
}

/// What a person may decide.
#[derive(Debug, Args)]
pub(crate) struct Decisions {
    /// Python of the builder image [default: 3.12]
    #[arg(long, value_name = "VERSION")]
    python: Option<Version>,
    /// Django that the sources are brought to [default: 5.2]
    #[arg(long, value_name = "VERSION")]
    django: Option<Version>,
    /// What serves the application [default: mod-wsgi]
    #[arg(long, value_enum, value_name = "SERVER")]
    server: Option<ServerArg>,
    /// How the action-hook runner comes into the image [default: vendored]
    #[arg(long, value_enum, value_name = "HOW")]
    runner: Option<RunnerArg>,
    /// What `--runner pip` installs: an address, a file of the tree, or a package of an index [default: openshifter-image of the same version]
    #[arg(long, value_name = "REQUIREMENT")]
    runner_requirement: Option<String>,
    /// Where the database is [default: keep]
    #[arg(long, value_enum, value_name = "WHERE")]
    database: Option<DatabaseArg>,
    /// The application's name [default: the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The data directory in the image [default: data/ of the sources, if no file is hidden there]
    #[arg(long, value_name = "PATH")]
    data_dir: Option<String>,
    /// The entry point, as OPENSHIFT_PYTHON_WSGI_APPLICATION named it
    #[arg(long, value_name = "FILE")]
    entry: Option<String>,
    /// The project's manage.py, if there is more than one
    #[arg(long, value_name = "FILE")]
    manage: Option<String>,
    /// The settings module, if it cannot be found
    #[arg(long, value_name = "MODULE")]
    settings: Option<String>,
    /// A cartridge that the application had, as in python-2.7; may be given more than once
    #[arg(long, value_name = "CARTRIDGE")]
    cartridge: Vec<String>,
    /// The file that OPENSHIFT_PYTHON_REQUIREMENTS_PATH named in V2 [default: requirements.txt]
    #[arg(long, value_name = "FILE")]
    requirements: Option<String>,
    /// A requirement in place of the application's, as in `Pillow>=10`; may be given more than once
    #[arg(long, value_name = "REQUIREMENT")]
    pin: Vec<String>,
    /// Memory of the gear in MiB [default: 512, the small gear]
    #[arg(long, value_name = "MIB")]
    gear: Option<u32>,
    /// The path that probes ask for
    #[arg(long, value_name = "PATH")]
    health_path: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ServerArg {
    /// Apache with mod_wsgi-express, as in V2; needs a full builder image
    ModWsgi,
    /// gunicorn, with WhiteNoise for static files
    Gunicorn,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RunnerArg {
    /// The program lies in the tree: builds need nothing from anywhere
    Vendored,
    /// Installed by pip at the start of each build
    Pip,
    /// Part of the builder image
    Image,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DatabaseArg {
    /// Where the application has it
    Keep,
    /// PostgreSQL beside the application, and the secret key from a Secret: it scales and rolls
    Service,
}

/// `analyze`
#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// The application's folder
    dir: PathBuf,
    /// Write the report as a page of HTML to this file, `-` for stdout
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    decisions: Decisions,
}

/// `convert`
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The application's folder
    dir: PathBuf,
    /// The folder of the result, which must not exist [default: the application's with -v3 at its end]
    #[arg(long, short = 'o', value_name = "DIR", conflicts_with_all = ["in_place", "patch"])]
    out: Option<PathBuf>,
    /// Change the application's folder itself
    #[arg(long, conflicts_with = "patch")]
    in_place: bool,
    /// Write the changes to stdout, for `git apply`
    #[arg(long)]
    patch: bool,
    /// Only say what would be changed, as a diff with reasons
    #[arg(long)]
    dry_run: bool,
    /// Change a folder in place although git could not take it back
    #[arg(long, requires = "in_place")]
    force: bool,
    /// The static program `openshifter-image` to put into the tree [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    runner_binary: Option<PathBuf>,
    #[command(flatten)]
    decisions: Decisions,
}

pub(crate) async fn run(args: V2, printer: Printer) -> Result<Exit> {
    let args = match args {
        V2::Deploy(args) => return deploy::run(*args, printer).await,
        V2::Manifests(args) => return manifests::run(*args, printer).await,
        other => other,
    };
    // All the others are files and thinking.
    tokio::task::spawn_blocking(move || match args {
        V2::Analyze(args) => analyze_tree(&args, printer),
        V2::Convert(args) => convert_tree(&args, printer),
        // These have gone another way.
        V2::Manifests(_) | V2::Deploy(_) => Ok(Exit::Usage),
    })
    .await
    .context("working on the tree")?
}

fn analyze_tree(args: &Analyze, printer: Printer) -> Result<Exit> {
    let (_, analysis) = analyzed(&args.dir, &args.decisions)?;
    match &args.html {
        Some(file) if file == Path::new("-") => printer.out(&report::html(&analysis)),
        Some(file) => {
            fs_err::write(file, report::html(&analysis))?;
            printer.note(&format!("wrote {}", file.display()));
        }
        None => printer.data(&analysis, report::text)?,
    }
    Ok(Exit::Complete)
}

fn convert_tree(args: &Convert, printer: Printer) -> Result<Exit> {
    let (tree, analysis) = analyzed(&args.dir, &args.decisions)?;
    let runner = runner(args, &tree, &analysis)?;
    let plan = plan(&tree, &analysis, runner.as_ref()).map_err(usage)?;
    if args.dry_run {
        printer.data(&plan, |plan| {
            if plan.is_empty() {
                return "nothing to do: it is converted already\n".to_owned();
            }
            format!("{}\n{}", report::plan_text(plan), plan.diff())
        })?;
        return Ok(Exit::Complete);
    }
    if args.patch {
        printer.out(&plan.patch());
        return Ok(Exit::Complete);
    }
    if plan.is_empty() {
        printer.data(&plan, |_| {
            "nothing to do: it is converted already\n".to_owned()
        })?;
        return Ok(Exit::Complete);
    }
    let written = if args.in_place {
        check_in_place(&tree, args.force).map_err(usage)?;
        apply_in_place(&tree, &plan)?
    } else {
        write_out(&tree, &plan, &out(args, &tree)?).map_err(usage)?
    };
    printer.data(&plan, report::plan_text)?;
    printer.note(&summary(&plan, &analysis, &written.folder));
    Ok(Exit::Complete)
}

fn summary(plan: &Plan, analysis: &Analysis, folder: &Path) -> String {
    let left = analysis
        .findings
        .iter()
        .filter(|finding| {
            finding.severity == openshifter_v2::Severity::Blocker
                && matches!(finding.remedy, openshifter_v2::Remedy::Person(_))
        })
        .count();
    let mut text = format!(
        "converted to {}: {} files changed; CONVERSION.md there says what and why",
        folder.display(),
        plan.actions.len()
    );
    if left > 0 {
        text.push_str(&format!(
            "; {left} things must be done by a person before it works"
        ));
    }
    text
}

/// Beside the application, under its name with `-v3`.
fn out(args: &Convert, tree: &Tree) -> Result<PathBuf> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let name = tree
        .root()
        .file_name()
        .ok_or_else(|| Usage("say where the result goes, with --out".to_owned()))?;
    let mut name = name.to_owned();
    name.push("-v3");
    Ok(tree.root().with_file_name(name))
}

fn analyzed(dir: &Path, decisions: &Decisions) -> Result<(Tree, Analysis)> {
    let tree = Tree::load(dir, &Limits::default()).map_err(usage)?;
    let options = decisions.over(Options::recorded(&tree).unwrap_or_default());
    let analysis = analyze(&tree, &options).map_err(usage)?;
    Ok((tree, analysis))
}

/// A wrong option ends with the status of wrong usage.
fn usage(error: V2Error) -> anyhow::Error {
    if error.is_usage() {
        Usage(error.to_string()).into()
    } else {
        error.into()
    }
}

/// The runner to put into the tree: the one that was named, else the one beside this program.
fn runner(args: &Convert, tree: &Tree, analysis: &Analysis) -> Result<Option<RunnerFile>> {
    if let Some(file) = &args.runner_binary {
        return Ok(Some(RunnerFile::read(file)?));
    }
    // The one beside may be of no use in images, which is no matter where none is needed.
    if !RunnerFile::is_needed(tree, &analysis.options) {
        return Ok(None);
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join("openshifter-image")))
        .filter(|file| file.is_file());
    match beside {
        Some(file) => Ok(Some(RunnerFile::read(&file)?)),
        None => Ok(None),
    }
}

impl Decisions {
    /// What was said now, over what was decided before.
    fn over(&self, before: Options) -> Options {
        let runner = self.runner.map_or(before.runner, |runner| match runner {
            RunnerArg::Vendored => Runner::Vendored,
            RunnerArg::Pip => Runner::Pip,
            RunnerArg::Image => Runner::Image,
        });
        Options {
            python: self.python.unwrap_or(before.python),
            django: self.django.unwrap_or(before.django),
            server: self.server.map_or(before.server, |server| match server {
                ServerArg::ModWsgi => Server::ModWsgi,
                ServerArg::Gunicorn => Server::Gunicorn,
            }),
            runner,
            // What was decided for pip is of no use to another one.
            runner_requirement: self
                .runner_requirement
                .clone()
                .or(before.runner_requirement.filter(|_| runner == Runner::Pip)),
            database: self
                .database
                .map_or(before.database, |database| match database {
                    DatabaseArg::Keep => DatabaseChoice::Keep,
                    DatabaseArg::Service => DatabaseChoice::Service,
                }),
            name: self.name.clone().or(before.name),
            data_dir: self.data_dir.clone().or(before.data_dir),
            entry: self.entry.clone().or(before.entry),
            manage: self.manage.clone().or(before.manage),
            settings: self.settings.clone().or(before.settings),
            cartridges: more(&self.cartridge, before.cartridges),
            requirements: self.requirements.clone().or(before.requirements),
            pins: more(&self.pin, before.pins),
            gear_mb: self.gear.unwrap_or(before.gear_mb),
            health_path: self.health_path.clone().or(before.health_path),
        }
    }
}

fn more(said: &[String], before: Vec<String>) -> Vec<String> {
    if said.is_empty() {
        before
    } else {
        said.to_vec()
    }
}
