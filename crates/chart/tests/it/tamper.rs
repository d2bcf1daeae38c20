//! Whatever is changed in a chart is found and named.

use std::{fs, os::unix::fs::symlink};

use openshifter_chart::{Chart, ChartBuilder, ChartMeta, Content};
use tempfile::tempdir;

use crate::support::{contents, shop_chart};

#[test]
fn a_flipped_byte_in_any_file_is_named() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let files = contents(chart.dir());
    assert!(files.len() > 30);
    for (path, whole) in files {
        if path.ends_with("data/manifest.json") {
            continue;
        }
        let place = chart.dir().join(&path);
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&place, &bytes).unwrap();
            let error = Chart::open(chart.dir())
                .and_then(|chart| chart.verify())
                .unwrap_err();
            let text = format!(
                "{error} {}",
                std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default()
            );
            let named = path.display().to_string();
            assert!(text.contains(&named), "{named}: {text}");
        }
        fs::write(&place, &whole[..whole.len() - 1]).unwrap();
        assert!(
            Chart::open(chart.dir())
                .and_then(|chart| chart.verify())
                .is_err()
        );
        fs::remove_file(&place).unwrap();
        assert!(
            Chart::open(chart.dir())
                .and_then(|chart| chart.verify())
                .is_err()
        );
        fs::write(&place, &whole).unwrap();
    }
    chart.verify().unwrap();
}

#[test]
fn the_ledger_cannot_lie() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let place = chart.dir().join("data/manifest.json");
    let whole = fs::read_to_string(&place).unwrap();
    let verify = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        fs::write(&place, whole.replacen(from, to, 1)).unwrap();
        let error = Chart::open(chart.dir())
            .and_then(|chart| chart.verify())
            .unwrap_err();
        error.to_string()
    };
    insta::assert_snapshot!(
        [
            verify("\"path\": \"Chart.yaml\"", "\"path\": \"../Chart.yaml\""),
            verify("\"path\": \"Chart.yaml\"", "\"path\": \"/etc/passwd\""),
            verify("\"path\": \"Chart.yaml\"", "\"path\": \"values.yaml\""),
            verify("\"folder\": \"data/volumes/data\"", "\"folder\": \"data/volumes/../volumes/data\""),
            verify("\"volumeFiles\": 2", "\"volumeFiles\": 3"),
            verify("\"name\": \"db\"", "\"name\": \"other\""),
            verify("\"raw\": \"data/objects/secret-db.json\"", "\"raw\": \"data/objects/none.json\""),
            verify("\"format\": 1", "\"format\": 2").replace(spool.path().to_str().unwrap(), "SPOOL"),
            verify("{", "["),
        ]
        .join("\n"),
        @r#"
    the chart is damaged: `data/manifest.json` names the impossible file `../Chart.yaml`
    the chart is damaged: `data/manifest.json` names the impossible file `/etc/passwd`
    the chart is damaged: `data/manifest.json` names `values.yaml` twice
    the chart is damaged: `data/manifest.json` has a wrong folder for the volume of `data`
    the chart is damaged: `data/manifest.json` has wrong totals
    the chart is damaged: `data/objects/secret-db.json` is not Secret/other
    the chart is damaged: `data/manifest.json` does not have the file of Secret/db
    `SPOOL/shop` is a chart of format 2, and this program knows format 1; use a newer one
    the chart is damaged: `data/manifest.json` is no ledger (invalid type: string "format", expected u32 at line 2 column 10)
    "#
    );
}

#[test]
fn what_the_ledger_does_not_name_is_refused() {
    let spool = tempdir().unwrap();
    let chart = shop_chart(spool.path());
    let verify = || chart.verify().unwrap_err().to_string();
    let extra = chart.dir().join("templates/extra.yaml");
    fs::write(&extra, "kind: ClusterRoleBinding").unwrap();
    assert_eq!(
        verify(),
        "the chart is damaged: `templates/extra.yaml` is not in the ledger"
    );
    fs::remove_file(&extra).unwrap();
    symlink("/etc/passwd", &extra).unwrap();
    assert_eq!(
        verify(),
        "the chart is damaged: `templates/extra.yaml` is neither a file nor a folder"
    );
    fs::remove_file(&extra).unwrap();

    // A link to the very content is no file of the chart either.
    let (values, moved) = (
        chart.dir().join("values.yaml"),
        spool.path().join("values.yaml"),
    );
    fs::rename(&values, &moved).unwrap();
    symlink(&moved, &values).unwrap();
    assert_eq!(
        verify(),
        "the chart is damaged: `values.yaml` is neither a file nor a folder"
    );
}

#[test]
fn a_blob_of_an_image_is_what_its_name_says() {
    let spool = tempdir().unwrap();
    let builder = ChartBuilder::create(spool.path().join("shop"), ChartMeta::new("shop")).unwrap();
    let blobs = builder.images_dir().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    // Whoever changes a blob can change the ledger, but not the name by which its manifest calls it.
    let name = "0".repeat(64);
    fs::write(blobs.join(&name), "another layer").unwrap();
    let chart = builder.finish(Content::default()).unwrap();
    let error = chart.verify().unwrap_err().to_string();
    let expected =
        format!("the chart is damaged: `data/images/blobs/sha256/{name}` has the SHA-256");
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.ends_with("which is not its name"), "{error}");
}
