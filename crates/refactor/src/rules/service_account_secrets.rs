//! Secrets that a cluster made for a service account and listed in it.
//!
//! If `openshift.io/internal-registry-pull-secret-ref` or the reference to a dockercfg secret is copied, the
//! target makes a secret of that very name. Names end in five characters of a set without vowels that
//! Kubernetes uses for all generated names.

use openshifter_objects::{Object, ObjectKey};

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "service-account-secrets",
    reason: "the source's cluster made this secret for the account; the target makes its own",
    apply,
};

const PULL_SECRET_REF: &str = "openshift.io/internal-registry-pull-secret-ref";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !draft.object().is("", "ServiceAccount") {
        return;
    }
    for list in ["/secrets", "/imagePullSecrets"] {
        // From the end, so that what is still to be looked at stays where it is.
        for at in draft.places(&format!("{list}/*")).into_iter().rev() {
            let generated = draft.text(&format!("{at}/name")).is_some_and(|name| {
                is_generated_secret_name(draft.original(), name)
                    && !context.has(&ObjectKey::new("", "Secret", name))
            });
            if generated {
                draft.remove(&at);
                draft.drop_if_empty(list);
            }
        }
    }
    draft.remove_annotation(PULL_SECRET_REF);
}

/// Whether a cluster gave a secret of this service account its name.
pub(crate) fn is_generated_secret_name(account: &Object, name: &str) -> bool {
    account.annotation(PULL_SECRET_REF) == Some(name) || is_generated_name(account.name(), name)
}

/// `<account>-dockercfg-x9k2f` and `<account>-token-x9k2f`.
pub(crate) fn is_generated_name(account: &str, name: &str) -> bool {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    name.strip_prefix(account)
        .and_then(|rest| {
            rest.strip_prefix("-dockercfg-")
                .or_else(|| rest.strip_prefix("-token-"))
        })
        .is_some_and(|end| end.len() == 5 && end.bytes().all(|b| LETTERS.contains(&b)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_generated_name;
    use crate::rules::testing::{one, refactored};

    #[test]
    fn only_a_person_s_secrets_stay() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop",
            "annotations": {"openshift.io/internal-registry-pull-secret-ref": "shop-dockercfg-mt24v"}},
            "secrets": [{"name": "shop-dockercfg-mt24v"}, {"name": "shop-token-mt24v"}], "imagePullSecrets": [{"name": "shop-pull"}, {"name": "shop-dockercfg-mt24v"}]}),
        );
        assert_eq!(
            done,
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop"}, "imagePullSecrets": [{"name": "shop-pull"}]})
        );
    }

    #[test]
    fn a_secret_that_comes_along_stays() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}, "secrets": [{"name": "ci-token-x9k2f"}]});
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci-token-x9k2f"}});
        let done = refactored([account.clone(), secret]);
        assert_eq!(done.objects[0].object.value(), &account);
    }

    #[test]
    fn generated_names_are_told_from_others() {
        assert!(is_generated_name("shop", "shop-dockercfg-745kr"));
        for name in [
            "shop-token-named",
            "shop-token-abcde",
            "shop-pull",
            "other-token-745kr",
            "shop-token-745krx",
        ] {
            assert!(!is_generated_name("shop", name), "{name}");
        }
    }
}
