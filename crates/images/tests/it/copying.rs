//! Copies are identical for an independent reader, whatever the image is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openshifter_images::{
    BlobWay, CopyOptions, Digest, Layout, Platforms, Progress, Wanted, copy, pull_to_layout,
    push_from_layout,
};

use crate::images::{DOCKER, Maker, OCI, seed};
use crate::inspect::{raw, read_whole};
use crate::proxy::{Fault, Proxy};
use crate::server::{Server, registry, repository};

/// Images of all forms, pushed by skopeo under these names.
fn seed_all(server: &Server) -> Vec<&'static str> {
    let maker = Maker::new();
    for (name, types) in [("oci", &OCI), ("docker", &DOCKER)] {
        let zstd = name == "oci";
        let base = maker.layer(types, 1, 200_000, false);
        let amd = maker.image(
            types,
            "amd64",
            &[base.clone(), maker.layer(types, 2, 70_000, zstd)],
        );
        let arm = maker.image(types, "arm64", &[base, maker.layer(types, 3, 10, false)]);
        maker.push(&amd, server, &format!("{name}/one:1"));
        let index = maker.index(types, &[("amd64", amd), ("arm64", arm)]);
        maker.push(&index, server, &format!("{name}/many:1"));
    }
    vec!["oci/one", "oci/many", "docker/one", "docker/many"]
}

#[tokio::test]
async fn registry_to_registry() {
    let (from, to) = (Server::start(), Server::start());
    for name in seed_all(&from) {
        let survey = from
            .repository(name)
            .await
            .survey(&Wanted::tag("1"), &Platforms::All)
            .await
            .unwrap();
        let target = to.repository(&format!("new/{name}")).await;
        let copied = copy(&survey, &target, Some("2"), &CopyOptions::default())
            .await
            .unwrap();
        assert_eq!(copied.copied, survey.blobs().count(), "{name}");
        let (old, new) = (
            format!("docker://{}/{name}:1", from.address),
            format!("docker://{}/new/{name}:2", to.address),
        );
        let bytes = raw(&new);
        assert_eq!(bytes, raw(&old), "{name}");
        assert_eq!(Digest::of(&bytes), copied.digest);
        assert_eq!(read_whole(&new), read_whole(&old), "{name}");
    }
}

#[tokio::test]
async fn registry_to_folder_to_registry() {
    let (from, to) = (Server::start(), Server::start());
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path().join("images")).await.unwrap();
    let names = seed_all(&from);
    let pulls = names.iter().map(|name| {
        let (layout, from) = (&layout, &from);
        async move {
            let source = from.repository(name).await;
            let survey = source
                .survey(&Wanted::tag("1"), &Platforms::All)
                .await
                .unwrap();
            pull_to_layout(
                &survey,
                layout,
                &format!("{name}:1"),
                &CopyOptions::default(),
            )
            .await
            .unwrap()
        }
    });
    let pulled = futures::future::join_all(pulls).await;
    // All share blobs, but each was fetched once.
    let fetched: u64 = pulled.iter().map(|one| one.copied_bytes).sum();
    let all: u64 = pulled.iter().map(|one| one.bytes).sum();
    let kept: u64 = blobs(&layout).iter().map(|(_, size)| size).sum();
    assert!(
        fetched < all && fetched < kept,
        "{fetched} of {all}, {kept} kept"
    );
    let layout = Layout::open(layout.path()).await.unwrap();
    let found: Vec<String> = layout
        .images()
        .await
        .unwrap()
        .into_iter()
        .map(|image| image.name)
        .collect();
    assert_eq!(
        found,
        ["docker/many:1", "docker/one:1", "oci/many:1", "oci/one:1"]
    );
    for name in names {
        let there = format!("docker://{}/{name}:1", from.address);
        let here = format!("oci:{}:{name}:1", layout.path().display());
        // skopeo finds only manifests of OCI's own types by their name.
        if name.starts_with("oci/") {
            assert_eq!(raw(&here), raw(&there), "{name}");
            assert_eq!(read_whole(&here), read_whole(&there), "{name}");
        }
        let target = to.repository(name).await;
        push_from_layout(
            &layout,
            &format!("{name}:1"),
            &target,
            Some("1"),
            &CopyOptions::default(),
        )
        .await
        .unwrap();
        let new = format!("docker://{}/{name}:1", to.address);
        assert_eq!(raw(&new), raw(&there), "{name}");
        assert_eq!(read_whole(&new), read_whole(&there), "{name}");
    }
}

fn blobs(layout: &Layout) -> Vec<(std::ffi::OsString, u64)> {
    std::fs::read_dir(layout.path().join("blobs/sha256"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), entry.metadata().unwrap().len())
        })
        .collect()
}

#[tokio::test]
async fn one_platform_of_many() {
    let (from, to) = (Server::start(), Server::start());
    seed_all(&from);
    let source = from.repository("oci/many").await;
    let platform = Platforms::One("linux/amd64".parse().unwrap());
    let survey = source.survey(&Wanted::tag("1"), &platform).await.unwrap();
    let target = to.repository("amd").await;
    copy(&survey, &target, Some("1"), &CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(
        raw(&format!("docker://{}/amd:1", to.address)),
        raw(&format!("docker://{}/oci/one:1", from.address))
    );
    let other = Platforms::One("linux/s390x".parse().unwrap());
    let error = source.survey(&Wanted::tag("1"), &other).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is not there for linux/s390x, only for linux/amd64, linux/arm64"),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_target_has_is_mounted_or_left() {
    let (from, to) = (Server::start(), Server::start());
    let (digest, _) = seed(&from, "a:1");
    let source = from.repository("a").await;
    let survey = source
        .survey(&Wanted::digest(digest), &Platforms::All)
        .await
        .unwrap();
    let target = registry(&to.address).await;
    let ways = async |name: &str, tag: Option<&str>| {
        let repository = target.repository(name).unwrap();
        let copied = copy(&survey, &repository, tag, &CopyOptions::default())
            .await
            .unwrap();
        (copied.copied, copied.mounted, copied.present)
    };
    assert_eq!(ways("one", None).await, (3, 0, 0));
    assert_eq!(ways("two", Some("1")).await, (0, 3, 0));
    assert_eq!(ways("one", Some("1")).await, (0, 0, 3));
    // By its digest alone it has no tag.
    assert_eq!(to.tags("one"), ["1"]);
    assert_eq!(
        target
            .repository("one")
            .unwrap()
            .digest_of("1")
            .await
            .unwrap(),
        Some(digest)
    );
    assert_eq!(
        target
            .repository("one")
            .unwrap()
            .digest_of("2")
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        raw(&format!("docker://{}/two@{digest}", to.address)),
        raw(&format!("docker://{}/a:1", from.address))
    );
}

#[derive(Default)]
struct Counted {
    announced: AtomicU64,
    bytes: AtomicU64,
    done: AtomicU64,
}

impl Progress for Counted {
    fn image(&self, _: &str, _: usize, bytes: u64) {
        self.announced.fetch_add(bytes, Ordering::Relaxed);
    }

    fn bytes(&self, more: u64) {
        self.bytes.fetch_add(more, Ordering::Relaxed);
    }

    fn blob(&self, _: Digest, size: u64, way: BlobWay) {
        assert_eq!(way, BlobWay::Copied);
        self.done.fetch_add(size, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn progress_adds_up() {
    let (from, to) = (Server::start(), Server::start());
    seed(&from, "a:1");
    let source = from.repository("a").await;
    let survey = source
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let counted = Arc::new(Counted::default());
    let options = CopyOptions::default().parallel(1).progress(counted.clone());
    copy(&survey, &to.repository("a").await, Some("1"), &options)
        .await
        .unwrap();
    for number in [&counted.announced, &counted.bytes, &counted.done] {
        assert_eq!(number.load(Ordering::Relaxed), survey.size());
    }
}

#[tokio::test]
async fn a_broken_run_is_gone_on_with() {
    let from = Server::start();
    let (_, large) = seed(&from, "a:1");
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let cuts = Proxy::start(&from.address, move |asked| {
        if asked.is("GET", &large.to_string()) {
            Fault::CutAnswer(100_000)
        } else {
            Fault::Pass
        }
    })
    .await;
    // Every answer is cut after as many bytes, so it comes to its end in spite of that.
    let survey = repository(&cuts.address, "a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    pull_to_layout(&survey, &layout, "a:1", &CopyOptions::default())
        .await
        .unwrap();
    let ranges: Vec<String> = cuts
        .seen()
        .iter()
        .filter(|asked| asked.is("GET", &large.to_string()))
        .map(|asked| asked.header("range").to_owned())
        .collect();
    assert!(
        ranges.len() >= 3 && ranges[1..].iter().all(|range| range.starts_with("bytes=")),
        "{ranges:?}"
    );

    // What another process left is completed by this one, and verified with it.
    let whole = std::fs::read(layout.path().join("blobs/sha256").join(large.hex())).unwrap();
    for (name, left) in [
        ("right", whole[..100_000].to_vec()),
        ("wrong", vec![0; 100_000]),
        ("long", vec![0; 500_000]),
    ] {
        let layout = Layout::create(folder.path().join(name)).await;
        assert!(layout.is_ok(), "{layout:?}");
        let layout = layout.unwrap();
        std::fs::create_dir_all(layout.path().join(".incoming")).unwrap();
        std::fs::write(layout.path().join(".incoming").join(large.hex()), left).unwrap();
        let counted = Arc::new(Counted::default());
        let options = CopyOptions::default().progress(counted.clone());
        let survey = from
            .repository("a")
            .await
            .survey(&Wanted::tag("1"), &Platforms::All)
            .await
            .unwrap();
        pull_to_layout(&survey, &layout, "a:1", &options)
            .await
            .unwrap();
        assert!(
            std::fs::read(layout.path().join("blobs/sha256").join(large.hex())).unwrap() == whole
        );
        if name == "right" {
            assert_eq!(
                counted.bytes.load(Ordering::Relaxed),
                survey.size() - 100_000
            );
        }
        assert!(!layout.path().join(".incoming").exists());
    }
}

#[tokio::test]
async fn a_server_without_ranges_begins_anew() {
    let (from, to) = (Server::start(), Server::start());
    let (_, large) = seed(&from, "a:1");
    let cuts = Proxy::start(&from.address, move |asked| match asked.before {
        before @ 0..=1 if asked.is("GET", &large.to_string()) => {
            Fault::CutAnswerWithoutRanges(100_000 * (before + 1))
        }
        _ if asked.is("GET", &large.to_string()) => Fault::CutAnswerWithoutRanges(usize::MAX),
        _ => Fault::Pass,
    })
    .await;
    let survey = repository(&cuts.address, "a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let target = to.repository("a").await;
    copy(&survey, &target, Some("1"), &CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(
        raw(&format!("docker://{}/a:1", to.address)),
        raw(&format!("docker://{}/a:1", from.address))
    );
}

#[tokio::test]
async fn images_that_share_layers_send_them_once() {
    let (from, to) = (Server::start(), Server::start());
    let maker = Maker::new();
    let base = maker.layer(&OCI, 1, 200_000, false);
    for (name, seed) in [("a", 11), ("b", 12), ("c", 13)] {
        let top = maker.image(
            &OCI,
            "amd64",
            &[base.clone(), maker.layer(&OCI, seed, 1000, false)],
        );
        maker.push(&top, &from, &format!("{name}:1"));
    }
    let (source, target) = (registry(&from.address).await, registry(&to.address).await);
    let options = CopyOptions::default();
    let copies = ["a", "b", "c"].map(|name| {
        let (source, target, options) = (
            source.repository(name).unwrap(),
            target.repository(name).unwrap(),
            &options,
        );
        async move {
            let survey = source
                .survey(&Wanted::tag("1"), &Platforms::All)
                .await
                .unwrap();
            copy(&survey, &target, Some("1"), options).await.unwrap()
        }
    });
    let copied = futures::future::join_all(copies).await;
    let mounted: usize = copied.iter().map(|one| one.mounted).sum();
    assert_eq!(mounted, 2, "{copied:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_layout_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let from = Server::start();
    let (_, large) = seed(&from, "a:1");
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path().join("images")).await.unwrap();
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    pull_to_layout(&survey, &layout, "a:1", &CopyOptions::default())
        .await
        .unwrap();
    let mode = |name: &str| {
        std::fs::metadata(layout.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("index.json"), 0o600);
    assert_eq!(mode(&format!("blobs/sha256/{}", large.hex())), 0o600);
}
