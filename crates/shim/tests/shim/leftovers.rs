//! Every step of create and of start made to fail in turn: nothing is left.

use shim::Call;

use crate::guest::{LONG, Setup, can_run};

#[test]
fn a_failure_at_any_step_leaves_nothing() {
    if !can_run() {
        return;
    }
    for step in shim::steps() {
        let mut setup = Setup::new(&["sleep", "1000"]);
        setup.launch.fail_at = Some(step.to_owned());
        let guest = setup.launch();
        let created = guest.shim.call(&Call::Create { filter: None }, &[]);
        let answer = created.and_then(|_| guest.shim.call(&Call::Start, &[]));
        let Err(error) = answer else {
            // Not every step of the runtime is taken for every container.
            assert!(!shim::protocol::STEPS.contains(&step), "{step}");
            continue;
        };
        assert!(error.to_string().contains(step), "{step}: {error}");
        assert!(
            sys::pidfd::ended_within(guest.shim.pidfd(), LONG).unwrap(),
            "{step}"
        );
        guest.shim.has_ended();
        let mut left: Vec<_> = std::fs::read_dir(guest.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        // The log of a container that was created is kept.
        left.retain(|name| name != "log.json");
        assert_eq!(left, ["config.json", "rootfs"], "{step}");
        assert_eq!(guest.cgroups(), [] as [std::path::PathBuf; 0], "{step}");
    }
}
