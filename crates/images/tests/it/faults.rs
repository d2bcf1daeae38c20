//! What breaks on the way: gone on with where that is right, else named, and nothing tagged.

use http::StatusCode;
use openshifter_images::{
    Copied, CopyOptions, ImagesError, Layout, Platforms, Wanted, copy, pull_to_layout,
    push_from_layout,
};

use crate::images::seed;
use crate::inspect::raw;
use crate::proxy::{Asked, Fault, Proxy, error, status};
use crate::server::{Server, repository};

/// Copies an image through a faulty way to the target; the registries and the way as well.
async fn copy_through(
    rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static,
) -> (Result<Copied, ImagesError>, Server, Server, Proxy) {
    let (from, to) = (Server::start(), Server::start());
    seed(&from, "a:1");
    let proxy = Proxy::start(&to.address, rule).await;
    let source = from.repository("a").await;
    let survey = source
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let target = repository(&proxy.address, "b").await;
    let result = copy(&survey, &target, Some("1"), &CopyOptions::default()).await;
    (result, from, to, proxy)
}

fn identical(from: &Server, to: &Server) {
    assert_eq!(
        raw(&format!("docker://{}/b:1", to.address)),
        raw(&format!("docker://{}/a:1", from.address))
    );
}

#[tokio::test]
async fn an_upload_goes_on_where_the_registry_has_it() {
    // Of the second chunk nothing arrives.
    let (result, from, to, proxy) = copy_through(|asked| {
        if asked.method == "PATCH"
            && asked.header("content-range").starts_with("65536-")
            && asked.before < 2
        {
            status(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            Fault::Pass
        }
    })
    .await;
    result.unwrap();
    identical(&from, &to);
    // One upload for each of three blobs, and nothing was sent twice.
    assert_eq!(proxy.count("POST", "/uploads/"), 3);
    let asked: Vec<String> = proxy
        .seen()
        .iter()
        .filter(|asked| asked.is("GET", "/uploads/"))
        .map(|asked| asked.target.clone())
        .collect();
    assert!(!asked.is_empty());
}

#[tokio::test]
async fn a_cut_upload_is_sent_again() {
    for fault in [
        || Fault::CutBody(10_000),
        || Fault::LoseAnswer,
        || Fault::CutRequest,
    ] {
        let once = std::sync::atomic::AtomicBool::new(true);
        let (result, from, to, _proxy) = copy_through(move |asked| {
            let third =
                asked.method == "PATCH" && asked.header("content-range").starts_with("131072-");
            if third && once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                fault()
            } else {
                Fault::Pass
            }
        })
        .await;
        result.unwrap();
        identical(&from, &to);
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_end_of_an_upload_is_no_failure() {
    let (result, from, to, proxy) = copy_through(|asked| {
        if asked.is("PUT", "/blobs/uploads/") {
            Fault::LoseAnswer
        } else {
            Fault::Pass
        }
    })
    .await;
    result.unwrap();
    identical(&from, &to);
    assert_eq!(proxy.count("POST", "/uploads/"), 3);
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_the_whole() {
    let (result, from, to, _proxy) = copy_through(|asked| {
        let range = asked.header("content-range");
        if !range.is_empty() && !range.starts_with("0-") {
            Fault::Answer(416, vec![], error("BLOB_UPLOAD_INVALID", "no chunks here"))
        } else {
            Fault::Pass
        }
    })
    .await;
    result.unwrap();
    identical(&from, &to);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_says() {
    let (result, from, to, proxy) = copy_through(|asked| match asked.before {
        0 if asked.method == "HEAD" || asked.method == "PUT" => Fault::Answer(
            429,
            vec![("retry-after", "0".to_owned())],
            error("TOOMANYREQUESTS", "slow down"),
        ),
        _ => Fault::Pass,
    })
    .await;
    result.unwrap();
    identical(&from, &to);
    assert!(proxy.count("PUT", "/manifests/1") == 2);
}

#[tokio::test]
async fn trouble_that_stays_is_named_and_nothing_is_tagged() {
    let no_space = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Err":"write /data: no space left on device"}}]}"#;
    let mut texts = Vec::new();
    let cases: [(u16, &'static str); 5] = [
        (500, no_space),
        (507, ""),
        (500, ""),
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
        (413, "<html>too large</html>"),
    ];
    for (status, body) in cases {
        let (result, _from, to, proxy) = copy_through(move |asked| {
            if asked.method == "PATCH" {
                Fault::Answer(status, vec![], body.to_owned())
            } else {
                Fault::Pass
            }
        })
        .await;
        let error = result.unwrap_err();
        assert!(error.hint().is_some() || status == 413, "{error}");
        let text = error.to_string();
        let (front, rest) = text.split_once("sha256:").unwrap();
        texts.push(format!("{front}sha256:…{}", &rest[64..]).replace(&proxy.address, "TARGET"));
        assert_eq!(to.tags("b"), Vec::<String>::new());
        assert_eq!(proxy.count("PUT", "/manifests/"), 0);
    }
    insta::assert_snapshot!(texts.join("\n"), @r"
    TARGET: no room left to write the blob sha256:… to b: UNKNOWN: unknown error: write /data: no space left on device
    TARGET: no room left to write the blob sha256:… to b: Insufficient Storage
    TARGET: cannot write the blob sha256:… to b: Internal Server Error (500)
    TARGET: may not write the blob sha256:… to b: DENIED: requested access to the resource is denied
    TARGET: cannot write the blob sha256:… to b: Payload Too Large (413)
    ");
}

#[tokio::test]
async fn damaged_bytes_are_noticed_on_their_way() {
    let (from, to) = (Server::start(), Server::start());
    let (_, large) = seed(&from, "a:1");
    let proxy = Proxy::start(&from.address, move |asked| {
        if asked.is("GET", &large.to_string()) {
            Fault::Spoil
        } else {
            Fault::Pass
        }
    })
    .await;
    let source = repository(&proxy.address, "a").await;
    let survey = source
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let error = copy(
        &survey,
        &to.repository("b").await,
        Some("1"),
        &CopyOptions::default(),
    )
    .await
    .unwrap_err();
    let ImagesError::WrongDigest {
        expected, place, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((expected, place), (&large, &proxy.address));
    assert_eq!(to.tags("b"), Vec::<String>::new());
    assert!(!to.blob(&large.hex()).exists());

    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let error = pull_to_layout(&survey, &layout, "a:1", &CopyOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ImagesError::WrongDigest { .. }), "{error}");
    assert_eq!(layout.images().await.unwrap(), []);
    assert!(
        !layout
            .path()
            .join("blobs/sha256")
            .join(large.hex())
            .exists()
    );
}

#[tokio::test]
async fn a_damaged_layout_is_not_pushed() {
    let (from, to) = (Server::start(), Server::start());
    let (digest, large) = seed(&from, "a:1");
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    pull_to_layout(&survey, &layout, "a:1", &CopyOptions::default())
        .await
        .unwrap();
    let path = layout.path().join("blobs/sha256").join(large.hex());
    let whole = std::fs::read(&path).unwrap();
    let target = to.repository("b").await;
    let push = async || {
        let layout = Layout::open(folder.path()).await.unwrap();
        push_from_layout(&layout, "a:1", &target, Some("1"), &CopyOptions::default())
            .await
            .unwrap_err()
    };
    let mut other = whole.clone();
    other[7] ^= 1;
    std::fs::write(&path, &other).unwrap();
    assert!(matches!(push().await, ImagesError::WrongDigest { .. }));
    std::fs::write(&path, &whole[1..]).unwrap();
    assert!(matches!(push().await, ImagesError::WrongSize { .. }));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(push().await, ImagesError::BlobGone { digest, .. } if digest == large));
    let manifest = layout.path().join("blobs/sha256").join(digest.hex());
    std::fs::write(manifest, b"{}").unwrap();
    assert!(matches!(push().await, ImagesError::WrongDigest { .. }));
    assert!(matches!(
        push_from_layout(&layout, "b:1", &target, None, &CopyOptions::default()).await,
        Err(ImagesError::NotInLayout { .. })
    ));
    assert_eq!(to.tags("b"), Vec::<String>::new());
    // What is pulled again replaces what is damaged.
    std::fs::write(&path, &other).unwrap();
    let layout = Layout::open(folder.path()).await.unwrap();
    pull_to_layout(&survey, &layout, "a:1", &CopyOptions::default())
        .await
        .unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[tokio::test]
async fn an_upload_that_the_registry_forgot_is_begun_anew() {
    let forgotten = std::sync::OnceLock::new();
    let (result, from, to, proxy) = copy_through(move |asked| {
        let path = asked
            .target
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let first = asked.is("PUT", "/blobs/uploads/") && forgotten.set(path.clone()).is_ok();
        if first || forgotten.get() == Some(&path) {
            let text = error("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
            Fault::Answer(404, vec![], text)
        } else {
            Fault::Pass
        }
    })
    .await;
    result.unwrap();
    identical(&from, &to);
    assert_eq!(proxy.count("POST", "/uploads/"), 4);
}
