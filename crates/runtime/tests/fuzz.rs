//! The command's own files, changed at random: a verb that reads one answers or says what is wrong,
//! and never dies of it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and its files are its own"
)]

#[path = "support/mutate.rs"]
mod mutate;
mod support;

use mutate::{bytes, value, with_seeds};
use serde_json::Value;
use std::process::Stdio;
use support::{Bundle, text};

#[test]
fn any_record_is_read_or_refused() {
    if let Some(reason) = support::cannot_run() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{reason}");
        return;
    }
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let created = bundle
        .command(&["create", "ID"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(created.unwrap().success());
    let place = bundle.state().join(&bundle.id);
    let record = std::fs::read(place.join("state.json")).unwrap();
    assert!(bundle.output(&["delete", "-f", "ID"]).status.success());
    let parsed: Value = serde_json::from_slice(&record).unwrap();
    std::fs::create_dir_all(&place).unwrap();
    with_seeds(200, "records", |random| {
        let changed = match random.below(2) {
            0 => bytes(random, &record),
            _ => value(random, &parsed).to_string().into_bytes(),
        };
        std::fs::write(place.join("state.json"), &changed).unwrap();
        let verb: &[&str] = match random.below(3) {
            0 => &["list"],
            1 => &["start", "ID"],
            _ => &["state", "ID"],
        };
        let output = bundle.output(verb);
        let said = text(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{verb:?}: {said}"
        );
        assert_eq!(output.status.success(), said.is_empty(), "{verb:?}: {said}");
    });
}
