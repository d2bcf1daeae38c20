//! The registry's questions, answered by the API server.

use openshifter_apiserver::{Access, LayersVerb};

use crate::registry::{Action, Rights, Verdict};

const IMAGES: &str = "image.openshift.io";

impl Rights for Access {
    fn may(&self, token: Option<&str>, action: Action<'_>) -> Verdict {
        let layers = |verb, namespace, stream| self.may_layers(token, verb, namespace, stream);
        let cluster = |verb, resource| self.may(token, verb, IMAGES, resource, None, None, None);
        let answer = match action {
            Action::Login => self.user(token),
            Action::Pull(namespace, stream) => layers(LayersVerb::Pull, namespace, stream),
            Action::Push(namespace, stream) => layers(LayersVerb::Push, namespace, stream),
            Action::Prune => cluster("delete", "images"),
            Action::Catalog => cluster("list", "imagestreams"),
        };
        match answer {
            Ok(_) => Verdict::Allowed,
            Err(_) => Verdict::Denied,
        }
    }

    fn account_may_pull(&self, namespace: &str, account: &str, of: &str, stream: &str) -> bool {
        Access::account_may_pull(self, namespace, account, of, stream)
    }
}
