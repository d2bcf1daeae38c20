//! A chart streams through the service, however large it is.

use std::path::Path;

use crate::support::{Service, Tool, World, fill};

/// The most memory that a process ever had, in KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .expect("the kernel says so")
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
