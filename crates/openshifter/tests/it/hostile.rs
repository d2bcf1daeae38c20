//! Charts that somebody made to harm: refused before anybody logs in.

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Archive, Builder, EntryType, Header};

use crate::support::{Service, Tool, World, claim, deployment, fill};

/// A header that says what it likes, as no honest program would write it.
fn header(name: &str, kind: EntryType, size: u64, link: &str) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    let raw = header.as_gnu_mut().expect("it is one");
    raw.name[..name.len()].copy_from_slice(name.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    if matches!(kind, EntryType::Char | EntryType::Block) {
        header.set_device_major(1).expect("it is a device");
        header.set_device_minor(3).expect("it is a device");
    }
    header.set_cksum();
    header
}

/// The good chart with one entry more.
fn with_entry(good: &[u8], into: &Path, header: &Header, content: &[u8]) {
    let file = std::fs::File::create(into).expect("there is room");
    let mut out = Builder::new(GzEncoder::new(file, Compression::fast()));
    let mut archive = Archive::new(GzDecoder::new(good));
    for entry in archive.entries().expect("it is an archive") {
        let mut entry = entry.expect("it is whole");
        let header = entry.header().clone();
        let path = entry.path().expect("it has a name").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it is whole");
        let mut header = header;
        out.append_data(&mut header, path, bytes.as_slice())
            .expect("there is room");
    }
    out.append(header, content).expect("there is room");
    out.into_inner()
        .expect("there is room")
        .finish()
        .expect("there is room");
}

#[test]
fn archives_that_reach_out_of_their_folder_are_refused() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, 1);
    let tool = Tool::new(&world);
    tool.export("shop", "good.tgz").ok();
    let good = std::fs::read(tool.path("good.tgz")).expect("there is a chart");
    let root = {
        let mut archive = Archive::new(GzDecoder::new(good.as_slice()));
        let first = archive
            .entries()
            .expect("it is an archive")
            .next()
            .expect("it is not empty")
            .expect("it is whole");
        let path = first.path().expect("it has a name").into_owned();
        path.iter()
            .next()
            .expect("it has a folder")
            .to_string_lossy()
            .into_owned()
    };
    let outside = world.path("outside");
    let absolute = outside.to_string_lossy().into_owned();
    let inner = |name: &str| format!("{root}/{name}");
    let cases = [
        (
            "absolute",
            absolute.clone(),
            EntryType::Regular,
            String::new(),
        ),
        (
            "above",
            inner("../../outside"),
            EntryType::Regular,
            String::new(),
        ),
        (
            "link",
            inner("templates/link"),
            EntryType::Symlink,
            absolute.clone(),
        ),
        (
            "link-up",
            inner("templates/link"),
            EntryType::Symlink,
            "../../outside".to_owned(),
        ),
        (
            "hard-link",
            inner("templates/link"),
            EntryType::Link,
            "/etc/hostname".to_owned(),
        ),
        (
            "device",
            inner("templates/device"),
            EntryType::Char,
            String::new(),
        ),
        (
            "fifo",
            inner("templates/fifo"),
            EntryType::Fifo,
            String::new(),
        ),
        (
            "twice",
            inner("Chart.yaml"),
            EntryType::Regular,
            String::new(),
        ),
        (
            "second-root",
            "other/file".to_owned(),
            EntryType::Regular,
            String::new(),
        ),
    ];
    let service_tool = Tool::alone();
    let service = Service::start(&world, &service_tool, true, &[]);
    let password = world.production().password("developer");
    let route = format!(
        "/import/{}/shop/developer/{password}",
        world.production().base()
    );
    for (name, path, kind, link) in cases {
        let file = tool.path(&format!("{name}.tgz"));
        let content: &[u8] = if kind == EntryType::Regular {
            b"evil"
        } else {
            b""
        };
        let header = header(&path, kind, content.len() as u64, &link);
        with_entry(&good, &file, &header, content);
        let chart = file.to_string_lossy().into_owned();
        let ran = tool
            .run(&["import", &chart, "--to", "production", "-n", "shop"])
            .ended(3);
        let errors: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("error:"))
            .collect();
        assert_eq!(errors.len(), 1, "{name}: {ran:?}");
        let entry = path.rsplit('/').next().unwrap_or_default();
        assert!(errors[0].contains(entry), "{name}: {ran:?}");
        service.curl(&route, &["-T", &chart]).is(422).says(entry);
    }
    assert!(!outside.exists());
    assert!(!there.exists());
    service.stop();
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    let world = World::start();
    let there = world.production().absent("shop");
    let tool = Tool::new(&world);
    let file = std::fs::File::create(tool.path("bomb.tgz")).expect("there is room");
    let mut out = GzEncoder::new(file, Compression::best());
    // A file that says it is larger than any disk, and begins with a gigabyte of nothing.
    let mut header = header("shop-chart/values.yaml", EntryType::Regular, 0, "");
    header.set_size(1 << 50);
    header.set_cksum();
    out.write_all(header.as_bytes()).expect("there is room");
    let zeroes = vec![0; 1 << 20];
    for _ in 0..1024 {
        out.write_all(&zeroes).expect("there is room");
    }
    out.finish().expect("there is room");
    let ran = tool
        .run(&["import", "bomb.tgz", "--to", "production", "-n", "shop"])
        .ended(3);
    assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    assert!(!there.exists());
    let spool = tool.state().join("spool");
    let left = std::fs::read_dir(spool).map_or(0, |entries| entries.count());
    assert_eq!(left, 0);
}

/// A chart as the prototype of 2019 made it, with one archive for the volume.
fn prototype(into: &Path, entries: &[(Header, &[u8])]) {
    let mut volume = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (header, content) in entries {
        volume.append(header, *content).expect("there is room");
    }
    let volume = volume
        .into_inner()
        .expect("there is room")
        .finish()
        .expect("there is room");
    let mut web = deployment("web", Some("web-data"));
    web["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] =
        json!("/data");
    let list =
        json!({"apiVersion": "v1", "kind": "List", "items": [claim("web-data"), web]}).to_string();
    let file = std::fs::File::create(into).expect("there is room");
    let mut out = Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, content) in [
        (
            "shop-chart/Chart.yaml",
            "name: shop\nversion: 0.0.1\n".as_bytes(),
        ),
        ("shop-chart/values.yaml", b""),
        ("shop-chart/templates/descriptor.json", list.as_bytes()),
        ("shop-chart/volumes/data.tgz", &volume),
    ] {
        let header = header(name, EntryType::Regular, content.len() as u64, "");
        out.append(&header, content).expect("there is room");
    }
    out.into_inner()
        .expect("there is room")
        .finish()
        .expect("there is room");
}

/// A file of the prototype's volume.
fn inside(name: &str) -> String {
    format!("_state/192.168.42.10:8443/shop/data/{name}")
}

#[test]
fn charts_of_the_prototype_are_imported_and_their_volumes_put_in_place() {
    let world = World::small();
    let there = world.minishift.absent("shop");
    let tool = Tool::new(&world);
    let content = b"from 2019\n";
    let file = header(
        &inside("file"),
        EntryType::Regular,
        content.len() as u64,
        "",
    );
    prototype(&tool.path("old.tgz"), &[(file, content)]);
    let ran = tool.run(&["import", "old.tgz", "--to", "minishift", "-n", "shop"]);
    assert!(matches!(ran.status, Some(0 | 1)), "{ran:?}");
    there.ready("deploy/web");
    assert_eq!(there.shell("deploy/web", "cat /data/file"), content);
}

#[test]
fn volumes_that_reach_out_of_themselves_are_refused() {
    let world = World::start();
    let there = world.production().absent("shop");
    let tool = Tool::new(&world);
    for (name, header, says) in [
        (
            "above",
            header(
                &inside("../../../../../../outside"),
                EntryType::Regular,
                4,
                "",
            ),
            "outside",
        ),
        (
            "absolute",
            header("/outside", EntryType::Regular, 4, ""),
            "outside",
        ),
        (
            "link",
            header(&inside("link"), EntryType::Symlink, 0, "/etc/passwd"),
            "--allow links",
        ),
        (
            "device",
            header(&inside("device"), EntryType::Char, 0, ""),
            "device node",
        ),
    ] {
        let size = header.size().expect("it says so");
        let content: &[u8] = if size == 0 { b"" } else { b"evil" };
        let chart = format!("{name}.tgz");
        prototype(&tool.path(&chart), &[(header, content)]);
        let ran = tool
            .run(&["import", &chart, "--to", "production", "-n", "shop"])
            .ended(3);
        assert!(ran.stderr.contains(says), "{name}: {}", ran.stderr);
        assert!(!there.exists(), "{name}");
    }
}
