//! `restore`: a container's processes brought back from images.

use std::os::unix::fs::DirBuilderExt;

use runtime::{RestoreRequest, Restored};
use types::{Decimals, rfc3339};

use super::checkpoint::{self, images, options};
use super::create::{Bundle, write_pid};
use super::run::end;
use super::{ID, flags};
use crate::failure::{Failure, OnFile};
use crate::foreground::{Foreground, take_signals};
use crate::global::Global;
use crate::state_file::{Place, Record, VERSION};
use crate::words::{Flag, Verb, Words};
use crate::{Outcome, console};

pub(super) const VERB: Verb = Verb {
    name: "restore",
    usage: ID,
    about: "bring a container's processes back from images, by criu",
    flags: &[
        flags::CONSOLE_SOCKET,
        checkpoint::IMAGE_PATH,
        checkpoint::WORK_PATH,
        checkpoint::TCP_ESTABLISHED,
        checkpoint::EXT_UNIX_SK,
        checkpoint::SHELL_JOB,
        checkpoint::FILE_LOCKS,
        checkpoint::CGROUPS_MODE,
        flags::BUNDLE,
        flags::DETACH,
        flags::PID_FILE,
        flags::NO_SUBREAPER,
        flags::NO_PIVOT,
        checkpoint::EMPTY_NS,
        checkpoint::AUTO_DEDUP,
        checkpoint::LAZY_PAGES,
        Flag::value("lsm-profile", "profile of a security module, as TYPE:NAME"),
        Flag::value(
            "lsm-mount-context",
            "context of mounts for a security module",
        ),
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: restore,
};

fn restore(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let bundle = Bundle::open(words.path("bundle").unwrap_or(".".as_ref()))?;
    let socket = words.path("console-socket");
    console::check(words.has("detach"), bundle.wants_terminal(), socket)?;
    place.claim()?;
    restore_in(global, &place, bundle, words).inspect_err(|_| {
        // The first error is the one that says why.
        let _ = place.release();
    })
}

fn restore_in(global: &Global, place: &Place, bundle: Bundle, words: &Words) -> Outcome {
    let detach = words.has("detach");
    let subreaper = !detach && !words.has("no-subreaper") && !bundle.has_pid_namespace();
    let signals = if detach {
        None
    } else {
        Some(take_signals(subreaper)?)
    };
    let Restored {
        container,
        mut terminal,
    } = bring_back(global, place, &bundle, words)?;
    let pid = container.process().pid;
    if let (Some(socket), Some(master)) = (words.path("console-socket"), &terminal) {
        console::send(socket, master)?;
        terminal = None;
    }
    write_pid(words.path("pid-file"), pid)?;
    place.write(&record(bundle, &container))?;
    let Some(signals) = signals else { return Ok(0) };
    let code = Foreground {
        pidfd: container.pidfd(),
        signals,
        terminal,
        notify: None,
        among_orphans: subreaper.then_some(pid),
    }
    .wait()?;
    end(place, container, false)?;
    Ok(code)
}

fn bring_back(
    global: &Global,
    place: &Place,
    bundle: &Bundle,
    words: &Words,
) -> Result<Restored, Failure> {
    let planned = runtime::planned_cgroup(&bundle.spec, &place.id, global.driver)?;
    place.intend(&planned)?;
    let root = place.root();
    let made = std::fs::DirBuilder::new().mode(0o700).create(&root);
    made.on_file("make", &root)?;
    Ok(runtime::restore(&RestoreRequest {
        id: &place.id,
        bundle: &bundle.dir,
        spec: &bundle.spec,
        images: &images(words)?,
        root: &root,
        cgroup_driver: global.driver,
        lsm_profile: words.text("lsm-profile")?,
        lsm_mount_context: words.text("lsm-mount-context")?,
        options: options(global, words)?,
    })?)
}

fn record(bundle: Bundle, container: &runtime::Container) -> Record {
    Record {
        version: VERSION,
        saved: container.saved(),
        spec: bundle.spec,
        created: rfc3339(crate::time::now(), Decimals::Nine).to_string(),
        started: true,
        paused: false,
        // The keyring is not in the images.
        new_keyring: true,
        nested: false,
    }
}
