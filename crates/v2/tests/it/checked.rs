//! What a conversion hands out passes the runner's own `check`.

use openshifter_hooks::check;
use openshifter_v2::Options;

use crate::support::World;

#[test]
fn a_fresh_conversion_passes_the_runners_check() {
    let world = World::of_fixture("django-starter");
    world.write(
        ".openshift/action_hooks/deploy*",
        "#!/bin/bash\necho 'Executing syncdb'\npython manage.py syncdb --noinput\npython manage.py loaddata x\n",
    );
    for name in [
        "post_deploy*",
        "pre_build*",
        "post_start_python*",
        "pre_stop*",
    ] {
        world.write(
            &format!(".openshift/action_hooks/{name}"),
            "#!/bin/bash\nrun one\nrun two\n",
        );
    }
    let others = ["flask", "bottle", "wsgi", "app-py"].map(World::of_fixture);
    for world in std::iter::once(world).chain(others) {
        let result = world.convert(&Options::default());
        let found: Vec<String> = check(&result.root)
            .iter()
            .map(ToString::to_string)
            // Jobs are the application's own.
            .filter(|line| !line.starts_with(".s2i/jobs/"))
            .collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}
