//! Builds of Dockerfiles with one stage, as far as the sandbox goes: commands run as the project's user, who may
//! write to what the Dockerfile copied or made and to what the base image lets its group write to.

mod files;
mod parse;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Builder;
use super::log::Log;
use super::run::{Made, build_env, build_labels, strategy_env};
use super::s2i;
use super::source::Source;
use super::status::Failure;
use crate::images::{Image, ImageConfig};
use crate::node::Task;
use crate::object::{self, text};
use files::Files;
use parse::Instruction;

/// The name of a Dockerfile where none is given.
const DOCKERFILE: &str = "Dockerfile";

pub(super) fn failed(detail: impl Into<String>) -> Failure {
    Failure::new(
        "DockerBuildFailed",
        "Dockerfile build strategy has failed.",
        detail,
    )
}

/// A Dockerfile whose every line can be built.
#[derive(Debug)]
pub(super) struct Dockerfile {
    lines: Vec<parse::Line>,
    /// The image that it starts from.
    pub(super) from: String,
}

impl Dockerfile {
    /// Finds the Dockerfile of a build: the one that it holds itself, or one of its source.
    pub(super) fn of(build: &Value, source: &Source) -> Result<Self, Failure> {
        let text = match build["spec"]["source"]["dockerfile"].as_str() {
            Some(inline) => inline.to_owned(),
            None => {
                let path = match text(build, "/spec/strategy/dockerStrategy/dockerfilePath") {
                    "" => DOCKERFILE,
                    path => path,
                };
                let file = files::inside(&source.folder, path).map_err(failed)?;
                fs_err::read_to_string(file).map_err(|error| failed(error.to_string()))?
            }
        };
        if source.folder.join(".dockerignore").exists() {
            return Err(failed("this cluster does not heed .dockerignore"));
        }
        Self::read(&text).map_err(failed)
    }

    /// Reads it; whatever cannot be built is said before anything is run.
    fn read(text: &str) -> Result<Self, String> {
        let lines = parse::lines(text)?;
        let mut from = None;
        for line in &lines {
            match (line.read(&BTreeMap::new())?, &from) {
                (Instruction::From(image), None) => from = Some(image),
                (Instruction::From(_), Some(_)) => {
                    return Err(format!(
                        "line {}: this cluster builds Dockerfiles of one stage alone",
                        line.number
                    ));
                }
                (_, None) => {
                    return Err(format!(
                        "line {}: the first instruction is not FROM",
                        line.number
                    ));
                }
                _ => {}
            }
        }
        let from = from.ok_or_else(|| "it holds no instruction".to_owned())?;
        Ok(Self { lines, from })
    }
}

/// What belongs to one build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) builder: &'a Builder,
    pub(super) build: &'a Value,
    /// A folder of its own.
    pub(super) work: &'a Path,
    pub(super) log: &'a Log,
}

/// A build under way.
struct Step<'a> {
    job: Job<'a>,
    base: &'a Image,
    config: ImageConfig,
    files: Files,
}

/// Carries the instructions out and makes the image.
pub(super) async fn build(
    job: &Job<'_>,
    dockerfile: &Dockerfile,
    base: &Image,
    source: &Source,
    repository: &str,
) -> Result<Made, Failure> {
    let Job {
        builder,
        build,
        log,
        ..
    } = *job;
    let files = {
        let (images, base) = (builder.inner.images.clone(), base.clone());
        let work = job.work.join("root");
        tokio::task::spawn_blocking(move || Files::of(&images, &base, work))
    };
    let files = files
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)?;
    let mut step = Step {
        job: *job,
        base,
        config: base.config.clone(),
        files,
    };
    for (name, value) in strategy_env(build) {
        step.config.set_env(&name, &value);
    }
    let count = dockerfile.lines.len();
    for (at, line) in dockerfile.lines.iter().enumerate() {
        log.line(&format!(
            "STEP {}/{count}: {} {}",
            at + 1,
            line.name,
            line.rest
        ));
        let variables: BTreeMap<String, String> = step.config.env.iter().cloned().collect();
        let instruction = line.read(&variables).map_err(failed)?;
        step.carry_out(instruction, source)
            .await
            .map_err(|why| failed(format!("line {}: {why}", line.number)))?;
    }
    let mut config = step.config;
    for (name, value) in build_env(build, source) {
        config.set_env(&name, &value);
    }
    config.labels.extend(build_labels(source));
    let (images, base) = (builder.inner.images.clone(), base.clone());
    let (folders, repository) = (step.files.folders(), repository.to_owned());
    let committed = tokio::task::spawn_blocking(move || {
        images.commit(&base, config, &folders, &repository, &object::now())
    });
    committed
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| {
            let why = std::error::Error::source(&error)
                .map_or(String::new(), |source| format!(": {source}"));
            failed(format!("{error}{why}"))
        })
}

impl Step<'_> {
    async fn carry_out(&mut self, instruction: Instruction, source: &Source) -> Result<(), String> {
        let config = &mut self.config;
        match instruction {
            Instruction::From(_) => {}
            Instruction::Env(pairs) => {
                for (name, value) in pairs {
                    config.set_env(&name, &value);
                }
            }
            Instruction::Label(pairs) => config.labels.extend(pairs),
            Instruction::Expose(ports) => {
                for port in ports {
                    if !config.exposed_ports.contains(&port) {
                        config.exposed_ports.push(port);
                    }
                }
            }
            Instruction::User(user) => config.user = user,
            Instruction::Cmd(words) => config.cmd = words,
            Instruction::Entrypoint(words) => {
                config.entrypoint = words;
                // The base image's arguments were meant for its own entry point.
                config.cmd.clear();
            }
            Instruction::Workdir(folder) => {
                let whole = absolute(&config.working_dir, &folder);
                self.files.make(&whole)?;
                config.working_dir = whole.display().to_string();
            }
            Instruction::Copy { from, to } => {
                let is_folder = to.ends_with('/') || to == "." || from.len() > 1;
                let place = absolute(&config.working_dir, &to);
                for one in &from {
                    let path = files::inside(&source.folder, one)?;
                    self.files.copy(&path, &place, is_folder)?;
                }
            }
            Instruction::Run(words) => self.run(words).await?,
        }
        Ok(())
    }

    /// Runs a command over the files as they are so far.
    async fn run(&self, command: Vec<String>) -> Result<(), String> {
        let mut image = self.base.clone();
        image.config = self.config.clone();
        let shown = command.join(" ");
        let Job {
            builder,
            build,
            work,
            log,
        } = self.job;
        let task = Task {
            name: object::name(build),
            image: &image,
            layers: &self.files.mounts(),
            mounts: &[],
            identity: s2i::identity(builder, build),
            command,
            env: self.config.env.clone(),
            work,
            network: true,
        };
        let file = log.file().map_err(|error| error.to_string())?;
        let code = builder
            .inner
            .node
            .run_task(task, file)
            .await
            .map_err(|error| error.to_string())?;
        match code {
            0 => Ok(()),
            code => Err(format!("running {shown:?}: exit status {code}")),
        }
    }
}

/// A path as an instruction means it.
fn absolute(working_dir: &str, path: &str) -> PathBuf {
    // The components drop dots and doubled slashes; a path that leads upwards is refused where it is used.
    Path::new(working_dir).join(path).components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_built_is_said_before_anything_is_run() {
        for (text, why) in [
            ("", "it holds no instruction"),
            ("RUN true\n", "line 1: the first instruction is not FROM"),
            (
                "FROM a\nFROM b\n",
                "line 2: this cluster builds Dockerfiles of one stage alone",
            ),
            (
                "FROM a\nRUN true\nHEALTHCHECK NONE\n",
                "line 3: HEALTHCHECK is not built by this cluster",
            ),
        ] {
            assert_eq!(Dockerfile::read(text).unwrap_err(), why);
        }
        assert_eq!(Dockerfile::read("FROM a:1 AS x\n").unwrap().from, "a:1");
    }

    #[test]
    fn paths_are_below_the_working_folder() {
        for (path, whole) in [("/app/", "/app"), (".", "/srv"), ("./x/./y", "/srv/x/y")] {
            assert_eq!(absolute("/srv", path), Path::new(whole));
        }
    }
}
