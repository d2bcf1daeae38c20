//! The program in a pod: the account that the cluster mounts there is the login.

use std::process::Command;

use openshifter_testing::keep_secret;

use crate::access::account;
use crate::app::{claim, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};

/// The program as a pod of a project would start it: with the variables and files that the cluster gives to a pod
/// with this account.
fn in_pod(tool: &Tool, space: &Space, token: &str, args: &[&str]) -> Command {
    use base64::Engine as _;
    let (_, ca) = space.cluster.address();
    let ca = base64::engine::general_purpose::STANDARD
        .decode(ca)
        .expect("a kubeconfig holds base64");
    let folder = tool.path("account");
    std::fs::create_dir_all(&folder).expect("there is room");
    tool.write("account/token", token);
    tool.write("account/ca.crt", ca);
    tool.write("account/namespace", &space.name);
    let (host, port) = space.cluster.host_and_port();
    let folder = folder.to_string_lossy().into_owned();
    let program = tool.program().to_string_lossy().into_owned();
    let own = tool.path("").to_string_lossy().into_owned();
    let mut all = Vec::new();
    // Not all of `/`: mounts of the clusters' own pods come and go below it.
    for system in ["/usr", "/bin", "/lib", "/lib64", "/etc"] {
        all.extend(["--ro-bind-try", system, system]);
    }
    all.extend(["--dev", "/dev", "--proc", "/proc"]);
    all.extend(["--symlink", "/run", "/var/run"]);
    all.extend(["--bind", &own, &own, "--ro-bind", &program, &program]);
    all.extend([
        "--tmpfs",
        "/run",
        "--ro-bind",
        &folder,
        "/run/secrets/kubernetes.io/serviceaccount",
        "--unsetenv",
        "KUBECONFIG",
        "--setenv",
        "KUBERNETES_SERVICE_HOST",
        &host,
        "--setenv",
        "KUBERNETES_SERVICE_PORT",
        &port,
        &program,
    ]);
    all.extend(args);
    tool.wrapped("bwrap", &all)
}

#[test]
fn a_pod_of_the_project_exports_and_imports_with_its_own_account() {
    let (source, target) = (
        Space::new(&crate::world::world().source, "inside"),
        Space::new(&crate::world::world().target, "inside"),
    );
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    let (from, to) = (
        account(&source, "mover", "admin"),
        account(&target, "mover", "admin"),
    );
    keep_secret(&from);
    keep_secret(&to);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", "mkdir /data/d; echo mine > /data/d/file");
    let before = describe(&source, "deploy/web");
    let tool = Tool::new();

    let export = [
        "export",
        "--from",
        "in-cluster",
        "-n",
        &source.name,
        "-l",
        "app=web",
        "-o",
        "chart",
    ];
    tool.spawn(in_pod(&tool, &source, &from, &export))
        .end()
        .ok();
    let import = ["import", "chart", "--to", "in-cluster", "-n", &target.name];
    tool.spawn(in_pod(&tool, &target, &to, &import)).end().ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));

    // An account that may not, and a token that is none.
    let stranger = account(&target, "stranger", "view");
    let picture = target.picture();
    let delete = [
        "delete",
        "--from",
        "in-cluster",
        "-n",
        &target.name,
        "--yes",
    ];
    let ran = tool.spawn(in_pod(&tool, &target, &stranger, &delete)).end();
    assert_ne!(ran.status, Some(0), "{ran:?}");
    tool.spawn(in_pod(&tool, &target, "no-token", &delete))
        .end()
        .ended(3)
        .one_message()
        .says("in-cluster: ")
        .says("not accepted");
    assert_eq!(target.picture(), picture);

    // The account is an object of the project, too: it takes the application away and stays itself.
    let application = [&delete[..], &["-l", "app=web"]].concat();
    tool.spawn(in_pod(&tool, &target, &to, &application))
        .end()
        .ok();
    assert_eq!(target.get("deploy", "web"), None);
    target.must("pvc", "data");
    target.must("serviceaccount", "mover");
}
