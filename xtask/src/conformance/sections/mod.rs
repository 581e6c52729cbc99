//! The tests, one file a section of the specification.

mod bundle;
mod capabilities;
mod cgroups;
mod config;
mod create;
mod devices;
mod features;
mod filesystems;
mod hooks;
mod kernel;
mod kill;
mod mount_options;
mod mounts;
mod namespaces;
mod process;
mod protect;
mod resources;
mod root;
mod scheduling;
mod seccomp;
mod start;
mod state;
mod terminal;
mod userns;
mod valid;

use super::suite::Test;

/// All of them, in the specification's order.
pub(crate) fn all() -> Vec<Test> {
    [
        bundle::tests,
        config::tests,
        valid::tests,
        state::tests,
        create::tests,
        start::tests,
        kill::tests,
        root::tests,
        mounts::tests,
        mount_options::tests,
        process::tests,
        capabilities::tests,
        scheduling::tests,
        terminal::tests,
        hooks::tests,
        filesystems::tests,
        namespaces::tests,
        userns::tests,
        devices::tests,
        cgroups::tests,
        resources::tests,
        seccomp::tests,
        protect::tests,
        kernel::tests,
        features::tests,
    ]
    .into_iter()
    .flat_map(|section| section())
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_test_has_a_name_of_its_own_and_a_sentence_with_its_place() {
        let mut names = BTreeSet::new();
        for test in all() {
            assert!(test.says.contains(".md, "), "{}: {}", test.name, test.says);
            assert!(test.name.contains('/'), "{}", test.name);
            assert!(names.insert(test.name.clone()), "{} twice", test.name);
        }
        assert!(names.len() >= 150, "{}", names.len());
    }
}
