//! A login that ends while an image is copied is made anew, where the password is known.

use openshifter_testing::Relay;

use crate::images::{json_of, names, web};
use crate::support::{Tool, World, is_clean};
use crate::uploads::built;

const MIB: u64 = 1 << 20;

#[test]
fn a_login_that_ends_in_the_middle_of_a_copy_is_made_anew() {
    let world = World::start();
    let (shop, target) = (world.minishift.project("shop"), world.production());
    let tool = Tool::new(&world);
    let bytes = 32 * MIB;
    let digest = built(&world, &shop, "web", bytes);
    let from = world.minishift.expose_registry();
    let exposed = target.expose_registry();
    let port = exposed.rsplit(':').next().expect("it has a port");
    let relay = Relay::start(&format!("127.0.0.1:{port}"));
    let wire = format!("localhost:{}", relay.address().port());
    tool.write("password", target.password("developer"));
    let ca = target.ca().display().to_string();
    let migrate = |project: &str, login: &[&str]| {
        // In the middle of the layer the connection ends, and with it the login.
        relay.cut_after(bytes / 2, true);
        let words = [
            "--output",
            "json",
            "migrate",
            "--from",
            "minishift",
            "--namespace",
            "shop",
            "--from-registry",
            &from,
            "--to",
            target.base(),
            "--to-ca",
            &ca,
            "--to-namespace",
            project,
            "--to-registry",
            &wire,
        ];
        let before = relay.sent();
        let mut running = tool.start(&[&words, login].concat());
        running.until("half of the layer to be there", || {
            (relay.sent() - before >= bytes / 2).then_some(())
        });
        target.revoke_logins();
        relay.mend();
        running.end()
    };
    let known = ["--to-user", "developer", "--to-password-file", "password"];
    let report = json_of(&migrate("live", &known), 0);
    assert_eq!(web(&report)["action"], "pushed", "{report:#}");
    assert_eq!(web(&report)["digest"], digest);
    // A token alone cannot be had again.
    tool.write("token", target.log_in("developer"));
    let report = json_of(&migrate("never", &["--to-token-file", "token"]), 4);
    names(
        &report["error"].to_string(),
        "the credentials are not accepted",
    );
    is_clean(&[&shop]);
}
