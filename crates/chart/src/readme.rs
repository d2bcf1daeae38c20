//! `README.md` of a chart, for a person who finds it.

use std::fmt::Write as _;

use crate::{ImageRecord, Manifest};

/// What is inside, and how to get it into a cluster with and without openshifter.
pub(crate) fn readme(manifest: &Manifest, helm_name: &str) -> String {
    let meta = &manifest.chart;
    let mut text = format!(
        "# {name}\n\nAn application of the namespace `{namespace}` of `{cluster}`, exported at {created} by openshifter {tool}.\n\
         {quiesced}\n\n\
         This folder is a helm chart. `data/` holds what helm has no place for: the objects exactly as the source\n\
         served them, and the files of the volumes. `data/manifest.json` lists all of it with sizes and SHA-256.\n\
         It can hold secrets: keep it readable by its owner alone.\n\n",
        name = inline(&meta.name),
        namespace = inline(&meta.source_namespace),
        cluster = inline(&meta.source_cluster),
        created = meta.created,
        tool = inline(&meta.tool_version),
        quiesced = if meta.quiesced {
            "The application was stopped while its volumes were read."
        } else {
            "The application was not stopped while its volumes were read."
        },
    );
    let _ = write!(
        text,
        "## Import with openshifter\n\n    openshifter chart verify {helm_name}\n    openshifter import {helm_name} --to CONTEXT -n NAMESPACE\n\n\
         ## Import without it\n\n    helm install {helm_name} ./{helm_name} --namespace NAMESPACE\n\n\
         `values.yaml` has what another cluster may need to be different. Helm does not fill the volumes.\n"
    );
    if !manifest.volumes.is_empty() {
        text.push_str(
            "For each of them, before its application starts, in a pod that mounts it:\n\n",
        );
        for volume in &manifest.volumes {
            let mount = volume.mount_path.as_deref().unwrap_or("MOUNT-PATH");
            let _ = writeln!(
                text,
                "    cat {}/segments/* | zstd -d | kubectl exec -i POD -- tar -C {} -xpf -",
                inline(&volume.folder),
                inline(mount)
            );
        }
        text.push_str("\n## Volumes\n\n| claim | files | bytes |\n| --- | --- | --- |\n");
        for volume in &manifest.volumes {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                cell(&volume.claim),
                volume.files,
                volume.bytes
            );
        }
    }
    let (included, straight): (Vec<&ImageRecord>, Vec<&ImageRecord>) = manifest
        .images
        .iter()
        .filter(|image| image.comes_along())
        .partition(|image| image.included);
    if !included.is_empty() {
        text.push_str(
            "\n## Images\n\n`data/images` is an OCI image layout. Without openshifter, each is pushed before its application starts, by its\n\
             name there:\n\n    skopeo copy oci:data/images:NAME docker://REGISTRY/NAMESPACE/STREAM:TAG\n\n\
             | name | digest |\n| --- | --- |\n",
        );
        rows(&mut text, &included);
    }
    if !straight.is_empty() {
        text.push_str(
            "\n## Images that are not in the chart\n\nThe migration that wrote this chart copies them straight from the source's registry into the target's.\n\n\
             | name | digest |\n| --- | --- |\n",
        );
        rows(&mut text, &straight);
    }
    text.push_str("\n## Objects\n\n");
    for object in &manifest.objects {
        let _ = writeln!(text, "- {}", inline(&object.key.to_string()));
    }
    if !manifest.left_out.is_empty() {
        text.push_str("\n## Left out\n\n| object | why |\n| --- | --- |\n");
        for left in &manifest.left_out {
            let _ = writeln!(
                text,
                "| {} | {} |",
                cell(&left.key.to_string()),
                cell(&left.reason)
            );
        }
    }
    if !manifest.unlisted.is_empty() {
        text.push_str(
            "\n## Could not be listed at the source\n\n| resource | why |\n| --- | --- |\n",
        );
        for unlisted in &manifest.unlisted {
            let _ = writeln!(
                text,
                "| {} | {} |",
                cell(&unlisted.resource),
                cell(&unlisted.reason)
            );
        }
    }
    if !manifest.losses.is_empty() {
        text.push_str("\n## May be incomplete\n\n");
        for loss in &manifest.losses {
            let _ = writeln!(text, "- {}", inline(loss));
        }
    }
    text
}

fn rows(text: &mut String, images: &[&ImageRecord]) {
    for image in images {
        let _ = writeln!(
            text,
            "| {} | {} |",
            cell(&image.name),
            cell(image.digest.as_deref().unwrap_or_default())
        );
    }
}

fn inline(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn cell(text: &str) -> String {
    inline(text).replace('|', "\\|")
}
