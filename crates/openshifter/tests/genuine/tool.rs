//! The program under test, with a state of its own and the kubeconfig of the clusters.

use std::ops::Deref;

/// The program, its state, and a folder for charts.
pub(crate) struct Tool(openshifter_testing::Tool);

impl Tool {
    pub(crate) fn new() -> Self {
        Self(openshifter_testing::Tool::new(env!(
            "CARGO_BIN_EXE_openshifter"
        )))
    }

    /// Charts and parts of charts in the test's own folder.
    pub(crate) fn charts(&self) -> Vec<String> {
        let mut files = self.files();
        files.retain(|name| {
            name.contains("chart") || name.ends_with(".partial") || name.ends_with(".tgz")
        });
        files
    }
}

impl Deref for Tool {
    type Target = openshifter_testing::Tool;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
