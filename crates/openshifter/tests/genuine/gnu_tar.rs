//! A container whose `tar` is GNU's, which writes other archives than BusyBox.

use std::path::Path;
use std::process::Command;

use openshifter_testing::run;
use serde_json::{Value, json};

use crate::app::{claim, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{ODDITIES, describe, same};

/// `web`, which finds the programs in the folder `/gnu` first.
fn application() -> Value {
    let mut web = deployment("web", Some("data"));
    let pod = &mut web["spec"]["template"]["spec"];
    pod["volumes"] = json!([
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "gnu", "emptyDir": {}},
    ]);
    pod["containers"][0]["volumeMounts"] = json!([
        {"name": "data", "mountPath": "/data"},
        {"name": "gnu", "mountPath": "/gnu"},
    ]);
    pod["containers"][0]["env"] =
        json!([{"name": "PATH", "value": "/gnu:/usr/local/bin:/usr/bin:/bin"}]);
    web
}

/// Puts this machine's `tar` and `sh` into the pod's folder `/gnu`, with the libraries that they need. A BusyBox shell
/// would run its own `tar`, whatever the path says.
fn install_tar(space: &Space, tool: &Tool) {
    let folder = tool.path("gnu");
    std::fs::create_dir_all(folder.join("lib")).expect("there is room");
    let copy = |from: &Path, to: &Path| {
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    for program in ["tar", "sh"] {
        let path = Path::new("/bin").join(program);
        copy(&path, &folder.join(format!("{program}.program")));
        let libraries = run(Command::new("ldd").arg(&path), b"");
        for library in libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .map(Path::new)
        {
            let name = library.file_name().expect("it is a file");
            let name = if name.to_string_lossy().starts_with("ld-") {
                Path::new("loader").to_owned()
            } else {
                Path::new("lib").join(name)
            };
            copy(library, &folder.join(name));
        }
        let script = format!(
            "#!/bin/sh\nexec /gnu/loader --library-path /gnu/lib /gnu/{program}.program \"$@\"\n"
        );
        std::fs::write(folder.join(program), script).expect("there is room");
        run(
            Command::new("chmod")
                .arg("755")
                .args([folder.join(program), folder.join("loader")]),
            b"",
        );
    }
    let archive = Command::new("tar")
        .arg("-C")
        .arg(&folder)
        .args(["-cf", "-", "."])
        .output()
        .expect("tar is installed");
    assert!(archive.status.success());
    let unpack = ["-n", &space.name, "exec", "-i", "deploy/web", "--"];
    let unpack = [&unpack[..], &["/bin/tar", "-C", "/gnu", "-xf", "-"]].concat();
    run(&mut space.cluster.command(&unpack), &archive.stdout);
    let version = space.shell("deploy/web", "tar --version");
    let version = String::from_utf8_lossy(&version).into_owned();
    assert!(version.contains("GNU tar"), "{version}");
}

#[test]
fn what_gnu_tar_wrote_arrives() {
    let (source, target) = Space::pair("gnu");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data"), application()]);
    source.ready("deploy/web");
    let tool = Tool::new();
    install_tar(&source, &tool);
    source.shell("deploy/web", ODDITIES);
    // Holes in several places, data at the very end, and a file that is one hole.
    source.shell(
        "deploy/web",
        "cd /data; for at in 0 3000 9000 40000; do echo $at | dd of=holes bs=4096 seek=$at conv=notrunc 2>/dev/null; done; \
         truncate -s 100M hole; mkdir many; cd many; i=0; while [ $i -lt 500 ]; do echo $i > $i; i=$((i+1)); done",
    );
    let before = describe(&source, "deploy/web");
    tool.run(&source.export_to("chart")).ok();
    tool.run(&["chart", "verify", "chart"]).ok();
    tool.run(&target.import_of("chart")).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    // Holes are holes again, or what they were written as by a tar that knows none; never more than that.
    let blocks = |space: &Space| -> u64 {
        let text = space.shell("deploy/web", "stat -c %b /data/hole");
        String::from_utf8_lossy(&text)
            .trim()
            .parse()
            .expect("it is a number")
    };
    assert_eq!(blocks(&source), 0);
    let (own, bookkeeping) = (100 * 2048, 64);
    assert!(blocks(&target) <= own + bookkeeping);
}
