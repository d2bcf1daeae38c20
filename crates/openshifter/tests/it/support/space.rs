//! A project of a test.

use std::ops::Deref;

use openshifter_testing::Project;

use crate::support::Dev;

/// What one would not want to lose of a project.
pub(crate) const KINDS: &str = "deployments,statefulsets,configmaps,secrets,services,persistentvolumeclaims,serviceaccounts,\
     roles,rolebindings,routes,deploymentconfigs,jobs,cronjobs,horizontalpodautoscalers";

/// A project at a cluster.
#[derive(Clone)]
pub(crate) struct Space<'a> {
    pub(crate) cluster: &'a Dev,
    pub(crate) project: Project,
}

impl Space<'_> {
    /// The end of a path of the service: `<base>/<project>/<user>/<password>`.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.cluster.base(), self.end())
    }

    /// The same without the cluster.
    pub(crate) fn end(&self) -> String {
        let password = self.cluster.password("developer");
        format!("{}/developer/{password}", self.name)
    }
}

/// Nothing that the program made is left, and no login.
#[track_caller]
pub(crate) fn is_clean(spaces: &[&Space<'_>]) {
    for space in spaces {
        assert_eq!(space.helpers(), [""; 0]);
        assert_eq!(space.cluster.sessions(), 0, "at {}", space.cluster.name);
    }
}

impl Deref for Space<'_> {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}
