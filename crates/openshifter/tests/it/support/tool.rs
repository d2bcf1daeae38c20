//! The program under test, which knows the embedded clusters.

use std::ops::Deref;

use crate::support::{Ran, World};

/// The program, its state, and a working folder with an `input.json` that names the clusters.
pub(crate) struct Tool(openshifter_testing::Tool);

impl Tool {
    /// One that knows the clusters as `minishift` and `production`, and no project by itself.
    pub(crate) fn new(world: &World) -> Self {
        Self::with_projects(world, "nothing-said", "nothing-said")
    }

    /// One that knows the clusters with their projects.
    pub(crate) fn with_projects(world: &World, source: &str, target: &str) -> Self {
        let tool = Self::alone();
        world.write_input(tool.folder(), source, target);
        tool
    }

    /// One that knows no cluster.
    pub(crate) fn alone() -> Self {
        let mut tool = openshifter_testing::Tool::new(env!("CARGO_BIN_EXE_openshifter"));
        let home = tool.folder().as_os_str().to_owned();
        tool.env("KUBECONFIG", None);
        tool.env("HOME", Some(home.clone()));
        tool.env("CURL_HOME", Some(home));
        tool.env("NO_PROXY", Some("127.0.0.1,localhost".into()));
        Self(tool)
    }

    /// Exports a project of the first cluster.
    #[track_caller]
    pub(crate) fn export(&self, project: &str, out: &str) -> Ran {
        self.run(&["export", "--from", "minishift", "-n", project, "-o", out])
    }
}

impl Deref for Tool {
    type Target = openshifter_testing::Tool;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
