//! A chart streams through the service, however large it is.

use std::path::Path;
use std::time::Duration;

use openshifter_testing::Running;

use crate::support::{Service, Tool, World, fill};
use crate::uploads::{built, tagged};

/// The most memory that a process ever had, in KiB; none when it has ended.
fn high_water(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
}

fn peak(process: u32) -> u64 {
    high_water(process).expect("it runs, and the kernel says so")
}

/// The same of a program that must come through, as it was just before its end.
#[track_caller]
fn peak_of(running: Running<'_>) -> u64 {
    let mut peak = 0;
    // The mark only rises, so that looking often is as good as looking at the end, when it is gone.
    while let Some(now) = high_water(running.id()) {
        peak = now;
        std::thread::sleep(Duration::from_millis(5));
    }
    running.end().ok();
    peak
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

#[test]
fn three_hundred_megabytes_pass_through_a_service_that_stays_small() {
    let world = World::start();
    let tool = Tool::alone();
    let service = Service::start(&world, &tool, true, &[]);
    let (shop, there) = world.pair("shop");
    fill(&shop, 300);
    let sum = shop.shell("deploy/web", "sha256sum /data/noise");
    let (source, target) = (shop.place(), there.place());

    service.shell(&format!(
        "curl --fail-with-body {}/export/{source} > _output",
        service.url()
    ));
    assert!(size(&tool.path("_output")) > 400_000_000);
    let exported = peak(service.id());
    // The largest of all forms, and the one that needs most work: base64.
    service.shell(&format!(
        "curl --fail-with-body -T _output {}/import/{target}",
        service.url()
    ));
    let imported = peak(service.id());
    there.ready("deploy/web");
    assert_eq!(there.shell("deploy/web", "sha256sum /data/noise"), sum);
    assert!(
        imported < 128 * 1024,
        "{exported} KiB after the export, {imported} KiB after the import"
    );
    service.stop();
}

#[test]
fn an_image_of_three_hundred_megabytes_passes_in_little_memory() {
    let world = World::start();
    let tool = Tool::new(&world);
    let shop = world.minishift.project("shop");
    let digest = built(&world, &shop, "web", 300 << 20);
    let (from, to) = (
        world.minishift.expose_registry(),
        world.production().expose_registry(),
    );
    let run = |words: &[&str]| peak_of(tool.start(words));
    let source = ["--from", "minishift", "--from-registry", &from];
    let target = ["--to", "production", "--to-registry", &to];
    let peaks = [
        run(&[&["export", "-n", "shop", "-o", "chart"], &source[..]].concat()),
        run(&[&["import", "chart", "-n", "live"], &target[..]].concat()),
        run(&[
            &["migrate", "-n", "shop", "--to-namespace", "moved"],
            &source[..],
            &target[..],
        ]
        .concat()),
    ];
    for project in ["live", "moved"] {
        let place = world.production().absent(project);
        assert_eq!(tagged(&place, "web").as_ref(), Some(&digest), "{project}");
    }
    assert!(
        peaks.iter().all(|peak| *peak < 96 * 1024),
        "export, import, migrate: {peaks:?} KiB"
    );
}
