//! `.s2i/jobs` and `.s2i/cron_jobs`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Findings, script, sorted};
use crate::{file, jobs};

pub(super) fn check(s2i: &Path, findings: &mut Findings<'_>) {
    for root in [s2i.join("cron_jobs"), s2i.join("jobs")] {
        for category in sorted(&root) {
            let name = category.file_name().map_or(&b""[..], OsStrExt::as_bytes);
            if file::is_file(&category) {
                if !name.starts_with(b".") && !name.starts_with(b"README") {
                    findings.warning(&category, None, "lies in no category, so it is never run; jobs are in folders as jobs/hourly/");
                }
                continue;
            }
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
            if name.starts_with(b"-") || !name.iter().all(allowed) {
                findings.error(&category, None, "cannot be named on a command line: letters, digits, `.`, `_` and `-` are allowed, and no `-` at the beginning");
            }
            let listed = jobs::list(&category);
            for path in sorted(&category) {
                let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
                if listed.contains(&path) {
                    script::check(&path, script::Kind::Job, findings);
                } else if file::is_file(&path)
                    && !jobs::is_job_name(name)
                    && !name.starts_with(b".")
                    && !name.starts_with(b"jobs.")
                {
                    findings.warning(
                        &path,
                        None,
                        "is taken for a leftover by its name and never run",
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::tests::findings;

    #[test]
    fn what_is_a_job_and_what_is_not() {
        let files = [
            (".s2i/jobs/clean*", "#!/bin/sh\n"),
            (".s2i/jobs/every hour/clean*", "#!/bin/sh\n"),
            (".s2i/jobs/hourly/clean~", "#!/bin/sh\n"),
            (".s2i/jobs/hourly/README", "text"),
            (".s2i/cron_jobs/weekly/chrono.dat", "x"),
            (".s2i/cron_jobs/weekly/jobs.deny", "chrono.dat"),
            (".s2i/cron_jobs/weekly/chronograph", "#!/bin/sh\ndate\n"),
        ];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/cron_jobs/weekly/chronograph: error: is not executable, which ends the command with status 1: chmod +x .s2i/cron_jobs/weekly/chronograph, and with git: git update-index --chmod=+x .s2i/cron_jobs/weekly/chronograph
        .s2i/jobs/clean: warning: lies in no category, so it is never run; jobs are in folders as jobs/hourly/
        .s2i/jobs/every hour: error: cannot be named on a command line: letters, digits, `.`, `_` and `-` are allowed, and no `-` at the beginning
        .s2i/jobs/hourly/clean~: warning: is taken for a leftover by its name and never run
        ");
    }
}
