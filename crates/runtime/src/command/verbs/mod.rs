//! One file a verb, each with its table of flags.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod restore;
mod run;
mod spec;
mod start;
mod state;
mod update;

use oci_spec::runtime::Spec;

pub(crate) use create::{begin, nest};

use crate::log::Log;
use crate::words::{Flag, Verb};

/// All of them, as the help lists them.
pub(crate) const ALL: &[&Verb] = &[
    &checkpoint::VERB,
    &create::VERB,
    &delete::VERB,
    &events::VERB,
    &exec::VERB,
    &features::VERB,
    &kill::VERB,
    &list::VERB,
    &pause::PAUSE,
    &pause::RESUME,
    &ps::VERB,
    &restore::VERB,
    &run::VERB,
    &spec::VERB,
    &start::VERB,
    &state::VERB,
    &update::VERB,
];

/// Flags that more than one verb has.
mod flags {
    use super::Flag;

    pub(super) const BUNDLE: Flag = Flag::value(
        "bundle",
        "the bundle, a directory with config.json (default: .)",
    )
    .short("b");
    pub(super) const CONSOLE_SOCKET: Flag = Flag::value(
        "console-socket",
        "unix socket to which the master of the terminal is sent",
    );
    pub(super) const PIDFD_SOCKET: Flag = Flag::value(
        "pidfd-socket",
        "unix socket to which a descriptor of the process is sent",
    );
    pub(super) const PID_FILE: Flag = Flag::value("pid-file", "file for the pid of the process");
    pub(super) const PRESERVE_FDS: Flag = Flag::value(
        "preserve-fds",
        "how many descriptors after 2 and those of $LISTEN_FDS are passed on (default: 0)",
    );
    pub(super) const NO_PIVOT: Flag = Flag::switch(
        "no-pivot",
        "change to the root without pivot_root, as on a ramdisk",
    );
    pub(super) const NO_NEW_KEYRING: Flag = Flag::switch(
        "no-new-keyring",
        "leave the container the session keyring of the caller",
    );
    pub(super) const DETACH: Flag =
        Flag::switch("detach", "do not wait for the end of the process").short("d");
    pub(super) const NO_SUBREAPER: Flag = Flag::switch(
        "no-subreaper",
        "do not become the parent of the container's orphans",
    );
    pub(super) const FORMAT: Flag =
        Flag::value("format", "table or json (default: table)").short("f");
}

/// What most verbs take.
const ID: &str = "<container-id>";

/// Adds to the environment of the container's process.
pub(crate) fn add_environment(spec: &mut Spec, entries: impl IntoIterator<Item = String>) {
    let mut entries = entries.into_iter().peekable();
    let Some(mut process) = spec.process().clone() else {
        return;
    };
    if entries.peek().is_none() {
        return;
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(entries);
    process.set_env(Some(env));
    spec.set_process(Some(process));
}

/// What happened on the way to a process, in words that tests made for runc look for.
fn trace(log: &Log, pid: i32, last: &str) {
    log.debug("nsexec started: nsexec container setup by one clone3");
    log.debug(&format!("child process in init(): {pid}"));
    log.debug("init: closing the pipe to signal completion: by execve");
    log.debug(last);
}
