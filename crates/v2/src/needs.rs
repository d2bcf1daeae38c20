//! What a converted application needs of a cluster: all that manifests are made of, without any secret's value.

use serde::{Deserialize, Serialize};

use crate::analysis::Analysis;
use crate::convert;
use crate::facts::{DatabaseKind, EntryKind, Facts, SOURCE_DIR};
use crate::options::{DatabaseChoice, Options};
use crate::tree::{Node, Tree};
use crate::variables::{Source, Supply};

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Where it is mounted, without a `/` at the end.
    pub mount_path: String,
    /// What is kept there.
    pub why: String,
    /// Some of the application's files that it would hide. Not recorded: the tree tells, when it is looked at.
    #[serde(skip)]
    pub hides: Vec<String>,
}

impl Claim {
    /// Files of the tree that a volume at that place would hide.
    fn hidden(mount_path: &str, tree: &Tree) -> Vec<String> {
        let Some(folder) = mount_path.strip_prefix(SOURCE_DIR) else {
            return Vec::new();
        };
        tree.below(folder)
            .filter(|(path, node)| {
                let name = path.rsplit('/').next().unwrap_or_default();
                !matches!(node, Node::EmptyFolder)
                    && !matches!(name, ".gitkeep" | ".gitignore" | ".keep")
            })
            .map(|(path, _)| path.to_owned())
            .take(3)
            .collect()
    }
}

/// A variable of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsVariable {
    /// Its name.
    pub name: String,
    /// Where the workload has it from; `None` when a person has to say it.
    pub source: Option<Source>,
    /// Whether the application fails without it.
    pub required: bool,
    /// Whether it belongs into a Secret.
    pub secret: bool,
}

/// A database beside the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsDatabase {
    /// Its kind.
    pub kind: DatabaseKind,
    /// The name of its Service, as the application's variables have it.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// The name of the database in it.
    pub database: String,
}

/// Jobs that a CronJob starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsCron {
    /// The category, which `jobs` is called with.
    pub category: String,
    /// When.
    pub schedule: String,
    /// After how many seconds a run is ended, as V2 did.
    pub deadline_seconds: u32,
}

/// Where migrations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Migration {
    /// There are none.
    None,
    /// In the deploy hook: one pod at a time has the data.
    DeployHook,
    /// In an init container or a hook of the rollout, by the runner's `migrate`.
    InitContainer,
}

/// What probes ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The path.
    pub path: String,
}

impl Health {
    pub(crate) fn of(facts: &Facts, options: &Options) -> Self {
        let admin = facts
            .project
            .as_ref()
            .and_then(|project| project.admin_path.clone());
        Self {
            path: options
                .health_path
                .clone()
                .or(admin)
                .unwrap_or_else(|| "/".to_owned()),
        }
    }
}

/// Scripts of lifecycle hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// After the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_start: Option<String>,
    /// Before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<String>,
}

impl Lifecycle {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(facts: &Facts) -> Self {
        let (post_start, pre_stop) = convert::lifecycle(&facts.hooks);
        let script = |name: &str| format!("{SOURCE_DIR}{}/{name}", convert::LIFECYCLE);
        Self {
            post_start: post_start.then(|| script("post_start")),
            pre_stop: pre_stop.then(|| script("pre_stop")),
        }
    }
}

/// What a converted application needs of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The application's name, which objects are named after.
    pub name: String,
    /// Tag of the builder's image stream, as in `python:3.12`.
    pub builder: String,
    /// Whether the builder image has to be a full one, with Apache.
    pub full_builder: bool,
    /// The port that it listens on.
    pub port: u16,
    /// How the runner is called in the image: `exec`, `ready`, `alive`, `migrate`, `setup`, `verify` and `jobs` follow it.
    pub runner: String,
    /// Hooks that the result has.
    pub hooks: Vec<String>,
    /// The workload's variables, in the order in which they are to be listed: later ones may hold `$(NAME)` of earlier ones.
    pub variables: Vec<NeedsVariable>,
    /// The claim, if data is kept. It is ReadWriteOnce, so the rollout has to be Recreate.
    pub claim: Option<Claim>,
    /// Databases beside the application.
    pub databases: Vec<NeedsDatabase>,
    /// Where migrations run.
    pub migration: Migration,
    /// Jobs.
    pub cron: Vec<NeedsCron>,
    /// Whether plain http is redirected to https by the Route.
    pub redirect_to_https: bool,
    /// Memory limit in MiB, from the gear's size.
    pub memory_mb: u32,
    /// Whether it was scaled in V2.
    pub scaled: bool,
    /// What probes ask for.
    pub health: Health,
    /// Scripts that a container calls after its start and before its end, as paths in the image.
    #[serde(default, skip_serializing_if = "Lifecycle::is_empty")]
    pub lifecycle: Lifecycle,
    /// Whether the build starts from nothing each time (the marker `force_clean_build`).
    pub clean_build: bool,
}

impl Needs {
    /// What the application needs, as far as its tree and the decisions tell.
    pub fn of(analysis: &Analysis) -> Self {
        let (facts, options) = (&analysis.facts, &analysis.options);
        let variables = analysis
            .variables
            .iter()
            .filter_map(|variable| {
                let (source, required, secret) = match &variable.supply {
                    Supply::Deployment { source } => (
                        Some(source.clone()),
                        true,
                        matches!(source, Source::Secret { .. }),
                    ),
                    Supply::Input { required, secret } => (None, *required, *secret),
                    _ => return None,
                };
                Some(NeedsVariable {
                    name: variable.name.clone(),
                    source,
                    required,
                    secret,
                })
            })
            .collect();
        let mut kinds: Vec<DatabaseKind> =
            if options.database == DatabaseChoice::Service && facts.is_django() {
                vec![DatabaseKind::Postgresql]
            } else {
                let mut kinds: Vec<DatabaseKind> = facts
                    .databases
                    .iter()
                    .map(|database| database.kind)
                    .collect();
                for variable in &analysis.variables {
                    for (mark, kind) in [
                        ("OPENSHIFT_MYSQL", DatabaseKind::Mysql),
                        ("OPENSHIFT_MARIADB", DatabaseKind::Mysql),
                        ("OPENSHIFT_POSTGRESQL", DatabaseKind::Postgresql),
                        ("OPENSHIFT_MONGODB", DatabaseKind::Mongodb),
                    ] {
                        if variable.name.starts_with(mark) {
                            kinds.push(kind);
                        }
                    }
                }
                kinds
            };
        kinds.sort();
        kinds.dedup();
        let databases = kinds
            .into_iter()
            .filter_map(|kind| {
                let (service, port) = match kind {
                    DatabaseKind::Mysql => ("mysql", 3306),
                    DatabaseKind::Postgresql => ("postgresql", 5432),
                    DatabaseKind::Mongodb => ("mongodb", 27017),
                    DatabaseKind::Sqlite | DatabaseKind::Other => return None,
                };
                Some(NeedsDatabase {
                    kind,
                    service: service.to_owned(),
                    port,
                    // V2 named the database after the application, and settings rely on it.
                    database: facts.name.clone(),
                })
            })
            .collect();
        let mut hooks = vec!["ready", "alive", "verify"];
        if facts.is_django() {
            hooks.push("migrate");
        }
        if facts.has_users() {
            hooks.push("setup");
        }
        Self {
            name: facts.name.clone(),
            builder: format!("python:{}", options.python),
            full_builder: options.server == crate::options::Server::ModWsgi
                && facts
                    .entry
                    .as_ref()
                    .is_some_and(|entry| entry.kind == EntryKind::Wsgi),
            port: 8080,
            runner: convert::runner_command(options.runner).to_owned(),
            hooks: hooks.into_iter().map(str::to_owned).collect(),
            variables,
            claim: facts.data_dir.needed.then(|| Claim {
                mount_path: facts.data_dir.path.trim_end_matches('/').to_owned(),
                why: facts.data_dir.why.clone(),
                hides: Vec::new(),
            }),
            databases,
            migration: Migration::of(analysis),
            cron: facts
                .cron
                .iter()
                .map(|category| NeedsCron {
                    category: category.category.clone(),
                    schedule: category.schedule.clone(),
                    deadline_seconds: 1200,
                })
                .collect(),
            redirect_to_https: facts.forces_https,
            memory_mb: options.gear_mb,
            scaled: facts.scaled,
            health: Health::of(facts, options),
            lifecycle: Lifecycle::of(facts),
            clean_build: facts
                .markers
                .iter()
                .any(|marker| marker == "force_clean_build"),
        }
    }
}

impl Needs {
    /// Reads what a conversion recorded in its result, and sees which of the tree's files a claim would hide.
    pub fn recorded(tree: &Tree) -> Option<Self> {
        let mut needs = convert::recorded_needs(tree)?;
        if let Some(claim) = &mut needs.claim {
            claim.hides = Claim::hidden(&claim.mount_path, tree);
        }
        Some(needs)
    }
}

impl Options {
    /// Reads the decisions from the record that a conversion leaves in the tree.
    pub fn recorded(tree: &Tree) -> Option<Self> {
        convert::recorded_options(tree)
    }
}
