//! What the program says about itself and about source trees.

use std::process::{Command, Output};

use crate::image::output;

fn program(words: &[&str]) -> Output {
    output(Command::new(crate::program()).args(words))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command() {
    for words in [
        &["--help"][..],
        &["help"],
        &["image", "--help"],
        &["exec", "--help"],
    ] {
        let output = program(words);
        assert!(output.status.success());
        let help = text(&output.stdout);
        for command in [
            "assemble", "run", "exec", "shell", "verify", "ready", "alive", "setup", "migrate",
            "jobs", "check",
        ] {
            assert!(help.contains(command), "{command}");
        }
    }
    assert!(text(&program(&["--version"]).stdout).starts_with("openshifter-image "));
}

#[test]
fn wrong_words() {
    let output = program(&["nosuch"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(text(&output.stderr), @r"
    ERROR: No such command 'nosuch'
    ERROR: `--help` lists what there is.
    ");
    assert_eq!(program(&[]).status.code(), Some(2));
}

#[test]
fn checking_a_tree() {
    let tree = tempfile::tempdir().unwrap();
    let hooks = tree.path().join(".s2i/action_hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    std::fs::write(hooks.join("deploy"), "#!/bin/bash\r\ngear restart\r\n").unwrap();
    let path = tree.path().to_str().unwrap();
    let output = program(&["check", path]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout), @r"
    .s2i/action_hooks/deploy: error: is not executable, which ends the command with status 1: chmod +x .s2i/action_hooks/deploy, and with git: git update-index --chmod=+x .s2i/action_hooks/deploy
    .s2i/action_hooks/deploy:1: error: Windows line ends (CRLF), so the interpreter is not found (status 127); convert it to plain line ends
    .s2i/action_hooks/deploy:2: error: `gear` is V2's; a container is its one process
    .s2i/bin/assemble: warning: is missing, so that the builder's own assemble runs and no hooks; see docs/image-runner.md for what it has to be
    .s2i/bin/run: warning: is missing, so that the builder's own run runs and no hooks; see docs/image-runner.md for what it has to be
    3 errors, 2 warnings
    ");
    let output = program(&["check", "--json", path]);
    assert_eq!(text(&output.stdout).lines().count(), 5);
    assert_eq!(program(&["check", "/nosuch"]).status.code(), Some(2));
}

#[test]
fn each_script_in_the_documentation_says_who_runs_it() {
    let document = include_str!("../../../../docs/image-runner.md");
    // Blocks are indented by four columns, and follow a line that is not.
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        match line.strip_prefix("    ") {
            Some(code) if inside => *blocks.last_mut().unwrap() += &format!("\n{code}"),
            Some(code) => blocks.push(code.to_owned()),
            None => {}
        }
        inside = line.starts_with("    ");
    }
    let scripts: Vec<_> = blocks
        .iter()
        .filter(|block| block.contains("exec ") || block.contains("\"$@\""))
        .collect();
    // Two for each of three ways to have the runner, and the vendored one's former name.
    assert_eq!(scripts.len(), 7, "{scripts:#?}");
    for script in scripts {
        assert!(
            script.starts_with("#!/bin/bash\n") || script.starts_with("#!/bin/sh\n"),
            "{script}"
        );
        // As S2I runs them: `bash -n` finds no mistake.
        let checked = output(Command::new("bash").args(["-n", "-c", script]));
        assert!(checked.status.success(), "{script}");
    }
}
