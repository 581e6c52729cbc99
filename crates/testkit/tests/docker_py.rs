//! Docker's library for Python and testcontainers, unmodified: the scripts beside this file.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::process::Command;

use testkit::{Brig, docker_py, root};

/// Runs a script against a daemon with the image `bb`, which must say that all is well.
#[track_caller]
fn run(script: &str) {
    let (Some(python), true) = (docker_py(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let file = brig.root().join("script.py");
    std::fs::write(&file, script).unwrap();
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore"])
        .arg(&file)
        .env("DOCKER_HOST", brig.host())
        // The one that cleans up for it is an image of Docker's hub.
        .env("TESTCONTAINERS_RYUK_DISABLED", "true");
    let output = brig.finish_command(&mut command);
    assert!(output.ok().ends_with("all is well"), "{output}");
    brig.finish();
}

#[test]
fn containers_live_and_are_removed() {
    run(include_str!("python/containers.py"));
}

#[test]
fn streams_pass_in_every_form() {
    run(include_str!("python/streams.py"));
}

#[test]
fn images_and_the_system_are_seen() {
    run(include_str!("python/images.py"));
}

#[test]
fn testcontainers_makes_what_a_test_needs() {
    run(include_str!("python/testcontainers_project.py"));
}
