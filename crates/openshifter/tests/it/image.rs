//! The action-hook runner in the whole program: its words are its own, and the program's old name is enough.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

fn run(folder: &std::path::Path, program: &std::path::Path, words: &[&str]) -> Output {
    Command::new(program)
        .args(words)
        .env("S2I_APPLICATION_PATH", folder)
        .current_dir(folder.join("src"))
        .output()
        .expect("the program starts")
}

#[test]
fn the_whole_program_is_the_runner_too() {
    let work = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(work.path()).unwrap();
    let hooks = folder.join("src/.s2i/action_hooks");
    fs::create_dir_all(&hooks).unwrap();
    fs::write(hooks.join("deploy_env"), "TEXT=$'a\\nb'\n").unwrap();
    let program = std::path::PathBuf::from(env!("CARGO_BIN_EXE_openshifter"));
    let powershift = folder.join("powershift");
    symlink(&program, &powershift).unwrap();
    for program in [&program, &powershift] {
        // Options that the whole program has as well belong to the command here.
        let words = [
            "image", "exec", "printf", "%s|", "--quiet", "--output", "-v",
        ];
        let output = run(&folder, program, &words);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "--quiet|--output|-v|",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let output = run(
            &folder,
            program,
            &["image", "exec", "sh", "-c", "echo \"$TEXT\"; exit 7"],
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a\nb\n");
        assert_eq!(output.status.code(), Some(7));
    }
    let output = run(&folder, &powershift, &["export"]);
    assert_eq!(output.status.code(), Some(2));
}
