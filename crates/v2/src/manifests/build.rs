//! ImageStream and BuildConfig: how the image is made.

use serde_json::json;

use super::draft::{Component, Draft};
use super::model::{Input, Stage};
use super::options::BuildSource;

pub(super) fn add(draft: &mut Draft<'_>) {
    let (needs, options) = (draft.needs, draft.options);
    let name = &needs.name;
    let metadata = draft.metadata(name, Component::Application);
    draft.add(
        Stage::Build,
        json!({
            "apiVersion": "image.openshift.io/v1",
            "kind": "ImageStream",
            "metadata": metadata,
            "spec": {"lookupPolicy": {"local": false}},
        }),
    );

    let builder = options.builder.as_ref().unwrap_or(&needs.builder);
    let mut from = json!({"kind": "ImageStreamTag", "name": builder});
    if let Some(namespace) = &options.builder_namespace {
        from["namespace"] = json!(namespace);
    }
    let mut strategy = json!({"from": from});
    if needs.clean_build {
        strategy["incremental"] = json!(false);
    }
    let (source, triggers) = match &options.source {
        // Nothing could be built without an upload, so nothing starts a build by itself.
        BuildSource::Binary => (json!({"type": "Binary", "binary": {}}), json!([])),
        BuildSource::Git { uri, reference } => {
            let mut git = json!({"uri": uri});
            if let Some(reference) = reference {
                git["ref"] = json!(reference);
            }
            (
                json!({"type": "Git", "git": git}),
                json!([{"type": "ConfigChange"}, {"type": "ImageChange", "imageChange": {}}]),
            )
        }
    };
    let mut spec = json!({
        "source": source,
        "strategy": {"type": "Source", "sourceStrategy": strategy},
        "output": {"to": {"kind": "ImageStreamTag", "name": format!("{name}:latest")}},
        "runPolicy": "Serial",
        "triggers": triggers,
        "successfulBuildsHistoryLimit": 5,
        "failedBuildsHistoryLimit": 5,
    });
    if needs.hooks.iter().any(|hook| hook == "verify") {
        // A script runs in the image's own shell, which older builder images prepare their Python in.
        spec["postCommit"] = json!({"script": format!("{} verify", needs.runner)});
    }
    let metadata = draft.metadata(name, Component::Application);
    let at = draft.add(
        Stage::Build,
        json!({
            "apiVersion": "build.openshift.io/v1",
            "kind": "BuildConfig",
            "metadata": metadata,
            "spec": spec,
        }),
    );
    let from = "/spec/strategy/sourceStrategy/from";
    draft.input(
        Input::preset(
            "BUILDER",
            &["builder", "name"],
            builder,
            "Tag of the builder's image stream",
        )
        .at(at, format!("{from}/name")),
    );
    if let Some(namespace) = &options.builder_namespace {
        draft.input(
            Input::preset(
                "BUILDER_NAMESPACE",
                &["builder", "namespace"],
                namespace,
                "Project of the builder's image stream",
            )
            .at(at, format!("{from}/namespace")),
        );
    }
    match &options.source {
        BuildSource::Binary => draft.note(format!(
            "builds take an upload: `oc start-build {name} --from-dir=. --follow` in the converted tree"
        )),
        BuildSource::Git { uri, reference } => {
            draft.input(
                Input::preset("SOURCE_URI", &["git", "uri"], uri, "Address of the Git repository")
                    .at(at, "/spec/source/git/uri"),
            );
            let description = "Branch, tag or commit; empty for the repository's own choice";
            let input = match reference {
                Some(reference) => {
                    Input::preset("SOURCE_REF", &["git", "ref"], reference, description)
                }
                None => Input::new(
                    "SOURCE_REF",
                    &["git", "ref"],
                    super::InputValue::Optional,
                    description,
                ),
            };
            draft.input(input.may_be_empty().at(at, "/spec/source/git/ref"));
        }
    }
    let project = options.builder_namespace.as_deref().unwrap_or("its own");
    draft.note(format!(
        "the builder is the tag {builder} of the project {project}; clusters differ in the tags they have (`oc get imagestreamtags -n openshift`)"
    ));
    if needs.full_builder {
        draft.note("the builder has to be a full image: mod_wsgi-express needs Apache, which the minimal ones lack");
    }
}
