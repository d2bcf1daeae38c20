//! The help text.

pub(crate) const TEXT: &str = "\
The action-hook runner inside images made by source-to-image: a drop-in for `powershift image`.

Usage: openshifter image [OPTIONS] COMMAND [ARGS]
       openshifter-image [OPTIONS] COMMAND [ARGS]
       powershift image [OPTIONS] COMMAND [ARGS]

Commands:
  assemble       Build: hooks pre_build, build_env, the builder's assemble, hook build
  run            Start: deploy_env, hook deploy, then the process becomes the hook run or the builder's run
  exec COMMAND   Become a command, with the application's environment
  shell          Become an interactive bash, with the application's environment
  verify         Run the hook of this name, with the application's environment
  ready alive    The same, for probes
  setup migrate  The same, for data
  jobs CATEGORY  Run the jobs in .s2i/jobs/CATEGORY and .s2i/cron_jobs/CATEGORY
  check [FOLDER] Look for mistakes in a source tree's hooks [--json]

Options, before the command; what follows the command is given to the hook or program:
  --init                       Stay as process 1: pass signals on, reap orphans, run the hook post_deploy once the
                               application answers on $PORT [8080] (for run and exec)
  --post-deploy-timeout TIME   For the application to answer and post_deploy to run [5m]
  --log json                   One JSON object for each step that ended, on standard error
  --refresh-env                Evaluate deploy_env although S2I_MARKERS_ENVIRON says that it has been
  --trace                      Print the steps, run nothing
  -h, --help                   This
  -V, --version                The version

Options of jobs:
  -k, --keep-going             Go on after a job has failed; all failures are listed, the first one's status is the end's
  --timeout TIME               End a job that takes longer, as 90s, 20m, 1h; its status is 124
  --lock[=FILE]                Skip the run while another one has FILE locked, without it a file in
                               $OPENSHIFTER_LOCK_DIR or $OPENSHIFT_DATA_DIR, else the category's folder
  --line-buffer HOW            auto, stdbuf, pty or off [auto]

Exit status: the hook's or program's; 1 refused; 2 wrong usage; 126 and 127 as in a shell; 128 and the signal's number.";
