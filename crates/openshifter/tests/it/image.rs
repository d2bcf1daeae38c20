//! The action-hook runner in the whole program: its words are its own, and the program's old name is enough. How the
//! program is linked for its sake.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
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

/// Whether the machine has what a static link needs.
fn has_static_library() -> bool {
    let output = Command::new("cc").arg("-print-file-name=libc.a").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

#[test]
fn the_program_needs_no_library_where_the_machine_can_link_it_so() {
    let program = fs::read(env!("CARGO_BIN_EXE_openshifter")).expect("the program can be read");
    // The dynamic linker is named in the program.
    let loader = b"/ld-linux";
    let dynamic = program[..4096]
        .windows(loader.len())
        .any(|bytes| bytes == loader);
    assert_eq!(dynamic, !has_static_library());
}

#[test]
fn names_are_looked_up_in_files_whatever_else_the_machine_names() {
    let work = tempfile::tempdir().expect("a folder");
    let put = |name: &str, content: &str| {
        let path = work.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    let hosts = put("hosts", "127.0.0.1 localhost api.cluster.test\n");
    // Each of them is a module of the machine's own C library.
    let sources = put(
        "nsswitch.conf",
        "hosts: resolve mymachines myhostname compat files dns\npasswd: sss systemd compat files\n",
    );
    for name in ["localhost", "api.cluster.test"] {
        let kubeconfig = put(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\n\
                 clusters: [{{name: a, cluster: {{server: 'http://{name}:9'}}}}]\n\
                 contexts: [{{name: a, context: {{cluster: a, user: u, namespace: x}}}}]\n\
                 users: [{{name: u, user: {{token: t}}}}]\n"
            ),
        );
        let output = Command::new("bwrap")
            .args(["--dev-bind", "/", "/", "--unshare-net"])
            .arg("--ro-bind")
            .args([hosts.as_path(), Path::new("/etc/hosts")])
            .arg("--ro-bind")
            .args([sources.as_path(), Path::new("/etc/nsswitch.conf")])
            .args(["--", env!("CARGO_BIN_EXE_openshifter")])
            .args(["export", "--from", "a", "--kubeconfig"])
            .arg(&kubeconfig)
            .current_dir(work.path())
            // The home folder is then looked up, too.
            .env_remove("HOME")
            .env("OPENSHIFTER_STATE_DIR", work.path().join("state"))
            .output()
            .expect("bubblewrap starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let expected = format!("cannot reach {name}:9: Connection refused");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}
