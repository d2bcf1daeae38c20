//! What a category of jobs is locked by.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::image::{Image, Runner};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_lock_is_the_groups() {
    let image = Image::new();
    image.job("jobs/hourly/a", "echo job");
    let line = "umask 077; jobs() { powershift image jobs --lock=/log/lock hourly | tail -n 1; }\n\
                jobs; stat -c %a /log/lock; chmod 444 /log/lock; jobs";
    let output = image.run(Runner::Ours, &["bash", "-c", line]);
    assert_eq!(
        text(&output.stdout),
        "job\n664\njob\n",
        "{}",
        text(&output.stderr)
    );
}

/// The last line of a run while another has the category's usual lock, and what `--trace` says is locked.
fn locked(image: &mut Image, variables: &[(&'static str, &'static str)]) -> (String, String) {
    image.environment.extend(variables);
    image.job("jobs/hourly/a", "echo job");
    image.job(
        "jobs/hourly/b",
        "[ -e /log/within ] || { touch /log/within; powershift image jobs --lock hourly; }",
    );
    let output = image.ours(&["jobs", "--lock", "hourly"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let traced = text(&image.ours(&["--trace", "jobs", "--lock", "hourly"]).stdout);
    let traced = traced.lines().find(|line| line.starts_with("lock"));
    let stdout = text(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    (last.to_owned(), traced.unwrap_or_default().to_owned())
}

#[test]
fn the_usual_lock_is_on_the_volume_where_there_is_one() {
    const DATA: (&str, &str) = ("OPENSHIFT_DATA_DIR", "/opt/app-root/src/data/");
    let with = |folders: &[&str], mode: u32, variables: &[(&'static str, &'static str)]| {
        let mut image = Image::new();
        for folder in folders {
            let folder = image.at(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        locked(&mut image, variables)
    };
    let is = |path: &str| {
        (
            format!(" -----> Jobs (hourly) are still running, skipped: {path} is locked"),
            format!("lock               {path}"),
        )
    };
    let folder = is("/opt/app-root/src/.s2i/jobs/hourly");
    let data = is("/opt/app-root/src/data/.openshifter-jobs-hourly.lock");
    assert_eq!(with(&[], 0o755, &[]), folder);
    assert_eq!(with(&[], 0o755, &[DATA]), folder);
    assert_eq!(with(&["app/src/data"], 0o555, &[DATA]), folder);
    assert_eq!(with(&["app/src/data"], 0o755, &[DATA]), data);
    assert_eq!(
        with(
            &["app/src/data", "log"],
            0o755,
            &[DATA, ("OPENSHIFTER_LOCK_DIR", "/log")]
        ),
        is("/log/.openshifter-jobs-hourly.lock")
    );
}

#[test]
fn a_volume_that_cannot_lock_is_named() {
    let mut image = Image::new();
    image.environment.push(("OPENSHIFTER_LOCK_DIR", "/log"));
    image.job("jobs/hourly/a", "echo job");
    std::os::unix::net::UnixListener::bind(image.at("log/.openshifter-jobs-hourly.lock")).unwrap();
    let output = image.ours(&["jobs", "--lock", "hourly"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).ends_with("job\n"));
    let stderr = text(&output.stderr);
    assert!(
        stderr.starts_with("WARNING: /log/.openshifter-jobs-hourly.lock cannot be locked (")
            && stderr.ends_with("the same jobs.\n"),
        "{stderr}"
    );
}
