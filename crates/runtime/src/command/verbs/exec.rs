//! `exec`: another command in a running container.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Capabilities, Capability, Process};
use runtime::{Container, ExecRequest, Executed, Stdio};
use sys::sched::Numbers;
use types::Signal;

use super::create::{own_size, size_of, write_pid};
use super::{flags, trace};
use crate::failure::{Failure, OnFile};
use crate::foreground::{Foreground, take_signals};
use crate::global::Global;
use crate::listen::Passed;
use crate::log::Log;
use crate::state_file::{Place, Record, Status};
use crate::words::{Flag, MANY, Verb, Words};
use crate::{Outcome, console};

pub(super) const VERB: Verb = Verb {
    name: "exec",
    usage: "<container-id> <command> [arguments] || --process process.json <container-id>",
    about: "run another command in a running container",
    flags: &[
        flags::CONSOLE_SOCKET,
        flags::PIDFD_SOCKET,
        Flag::value("cwd", "working directory in the container"),
        Flag::value("env", "environment variable, NAME=VALUE; may be repeated").short("e"),
        Flag::switch("tty", "give the command a terminal").short("t"),
        Flag::value("user", "user id, or user and group id as UID:GID").short("u"),
        Flag::value("additional-gids", "additional group id; may be repeated").short("g"),
        Flag::value("process", "file with the whole process as JSON").short("p"),
        flags::DETACH,
        flags::PID_FILE,
        Flag::value("process-label", "SELinux label of the process"),
        Flag::value("apparmor", "AppArmor profile of the process"),
        Flag::switch("no-new-privs", "set no_new_privs"),
        Flag::value("cap", "capability to add; may be repeated").short("c"),
        flags::PRESERVE_FDS,
        Flag::value(
            "cgroup",
            "cgroup below the container's, as [CONTROLLERS:]PATH; may be repeated",
        ),
        Flag::switch("ignore-paused", "go on in a paused container"),
        Flag::switch("no-subreaper", "").hidden(),
    ],
    arguments: (1, MANY),
    interleaved: false,
    enters: true,
    run: exec,
};

fn exec(global: &Global, words: &Words) -> Outcome {
    // Flags that are misused, as with every verb.
    words.number::<u32>("preserve-fds")?;
    for gid in words.all("additional-gids")? {
        id("additional-gids", gid)?;
    }
    exec_in(global, words).map_err(|failure| Failure::Exec(Box::new(failure)))
}

fn exec_in(global: &Global, words: &Words) -> Outcome {
    let passed = Passed::look(words.number("preserve-fds")?.unwrap_or(0))?;
    let place = Place::of(&global.root, words.id()?)?;
    let record = place.read()?;
    let container = enter(&record, words.has("ignore-paused"))?;
    let missing = || Failure::NoContainer(place.id.clone());
    let container = container.ok_or_else(missing)?;
    let process = process(global, words, &record, passed)?;
    let wants_terminal = process.terminal().unwrap_or(false);
    let detach = words.has("detach");
    let console_socket = words.path("console-socket");
    console::check(detach, wants_terminal, console_socket)?;
    let stdio = if wants_terminal {
        let size = size_of(&process).unwrap_or_else(own_size);
        let bare_lines = console_socket.is_none();
        Stdio::Terminal { size, bare_lines }
    } else {
        Stdio::Inherit
    };
    let signals = if detach {
        None
    } else {
        Some(take_signals(false)?)
    };
    let cgroups = words.all("cgroup")?;
    let executed = container.exec(ExecRequest {
        process: &process,
        stdio,
        preserve_fds: passed.count(),
        new_keyring: record.new_keyring,
        cgroups: &cgroups,
        meanwhile: Some(crate::let_go_of_seal),
    });
    let mut executed = executed.map_err(|error| not_executed(error, &cgroups, &record))?;
    let pid = executed.pid;
    trace(&global.log, pid, "setns_init: about to exec");
    if let Some(cpus) = first_cpus(&process) {
        global
            .log
            .debug(&format!("nsexec[{pid}]: affinity: {cpus}"));
    }
    if let Err(failure) = hand_out(words, &mut executed) {
        // The caller, who is told of a failure, will not look for it.
        let _ = sys::pidfd::send_signal(&executed.pidfd, Signal::KILL);
        return Err(failure);
    }
    let Some(signals) = signals else { return Ok(0) };
    Foreground {
        pidfd: &executed.pidfd,
        signals,
        terminal: executed.terminal,
        notify: None,
        among_orphans: None,
    }
    .wait()
}

/// Sends terminal and process where the command line says, and writes the pid file.
fn hand_out(words: &Words, executed: &mut Executed) -> Result<(), Failure> {
    if let (Some(socket), Some(master)) = (words.path("console-socket"), &executed.terminal) {
        console::send(socket, master)?;
        executed.terminal = None;
    }
    if let Some(socket) = words.path("pidfd-socket") {
        console::send_process(socket, &executed.pidfd)?;
    }
    write_pid(words.path("pid-file"), executed.pid)
}

/// The container, if something may be executed in it.
fn enter(record: &Record, ignore_paused: bool) -> Result<Option<Container>, Failure> {
    if record.nested && sys::process::user() != 0 {
        check_status(record.status(), ignore_paused)?;
        runtime::nest_again(&record.saved).map_err(|error| not_entered(error, record))?;
        return record.container();
    }
    let container = record.container()?;
    check_status(record.status_of(container.as_ref()), ignore_paused)?;
    Ok(container)
}

/// The CPUs that the process ran on until it was in the cgroup.
fn first_cpus(process: &Process) -> Option<Numbers> {
    let affinity = process.exec_cpu_affinity().as_ref()?;
    Numbers::cpus(affinity.initial().as_deref()?)
}

/// Where cgroups were asked for, anything but the command's own failure is about them.
fn not_executed(error: runtime::Error, cgroups: &[&str], record: &Record) -> Failure {
    if cgroups.is_empty() || matches!(error, runtime::Error::Command { .. }) {
        return error.into();
    }
    let cgroups = cgroups.join(" ");
    let own = Path::new(&record.saved.cgroup);
    match closed_door(&error, own) {
        Some((path, errno)) => Failure::CgroupDoor {
            cgroups,
            path,
            errno,
        },
        None => Failure::Cgroups(cgroups, error),
    }
}

/// Which cgroup took nobody in, and why: version 1 says so when its file is opened, version 2 when
/// the process is made in it.
fn closed_door(error: &runtime::Error, own: &Path) -> Option<(PathBuf, sys::Errno)> {
    match error {
        runtime::Error::Cgroup {
            source: sys::cgroup::Error::File { path, source, .. },
            ..
        } => {
            let dir = path.ancestors().find(|path| !path.ends_with("tasks"));
            Some((dir?.to_owned(), sys::Errno(source.raw_os_error()?)))
        }
        runtime::Error::System { source, .. } if source.call == "clone3" => {
            Some((own.to_owned(), source.errno))
        }
        _ => None,
    }
}

/// In runc's words.
fn check_status(status: Status, ignore_paused: bool) -> Result<(), Failure> {
    let reason = match status {
        Status::Stopped => "cannot exec in a stopped container",
        Status::Paused if !ignore_paused => {
            "cannot exec in a paused container (use --ignore-paused to override)"
        }
        _ => return Ok(()),
    };
    Err(Failure::Refused(reason.to_owned()))
}

/// What waits for its start is closed to its user, unless it was made apart from all others.
fn not_entered(error: runtime::Error, record: &Record) -> Failure {
    match record.status() {
        Status::Created => Failure::Refused(
            "cannot exec in a container of a user's that waits for its start, unless both its user \
             namespace and its pid namespace were made for it: start it first"
                .to_owned(),
        ),
        _ => error.into(),
    }
}

/// Of a file, or the container's own with what the command line changes.
fn process(
    global: &Global,
    words: &Words,
    record: &Record,
    passed: Passed,
) -> Result<Process, Failure> {
    let mut process = match words.path("process") {
        Some(path) => read_process(path)?,
        None => typed(
            global,
            words,
            record.spec.process().clone().unwrap_or_default(),
        )?,
    };
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(passed.environment());
    process.set_env(Some(env));
    Ok(process)
}

fn read_process(path: &Path) -> Result<Process, Failure> {
    let text = sys::fd::open_read(path)
        .and_then(|file| sys::fd::read_to_end(file, 16 << 20))
        .on_file("read", path)?;
    runtime::parse_process(&text).map_err(|source| Failure::Malformed {
        path: path.to_owned(),
        source,
    })
}

fn typed(global: &Global, words: &Words, mut process: Process) -> Result<Process, Failure> {
    let command: Option<Vec<_>> = (1..words.arguments.len())
        .map(|place| words.word(place).map(|word| word.map(str::to_owned)))
        .collect::<Result<_, _>>()?;
    let command = command.filter(|command| !command.is_empty());
    let missing = "process args cannot be empty: a command or --process is needed";
    let command = command.ok_or_else(|| Failure::Usage(missing.to_owned()))?;
    process.set_args(Some(command));
    process.set_terminal(Some(words.has("tty")));
    process.set_console_size(None);
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(words.all("env")?.into_iter().map(str::to_owned));
    process.set_env(Some(env));
    if let Some(cwd) = words.path("cwd") {
        process.set_cwd(cwd.to_owned());
    }
    if let Some(label) = words.text("process-label")? {
        process.set_selinux_label(Some(label.to_owned()));
    }
    if let Some(profile) = words.text("apparmor")? {
        process.set_apparmor_profile(Some(profile.to_owned()));
    }
    if words.given("no-new-privs") {
        process.set_no_new_privileges(Some(words.has("no-new-privs")));
    }
    set_user(words, &mut process)?;
    add_capabilities(&words.all("cap")?, &mut process, &global.log);
    Ok(process)
}

fn set_user(words: &Words, process: &mut Process) -> Result<(), Failure> {
    let mut user = process.user().clone();
    if let Some(text) = words.text("user")? {
        let (uid, gid) = text
            .split_once(':')
            .map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        user.set_uid(id("user", uid)?);
        if let Some(gid) = gid {
            user.set_gid(id("user", gid)?);
        }
    }
    let gids = words.all("additional-gids")?;
    if !gids.is_empty() {
        let gids: Result<Vec<u32>, _> = gids
            .into_iter()
            .map(|gid| id("additional-gids", gid))
            .collect();
        user.set_additional_gids(Some(gids?));
    }
    process.set_user(user);
    Ok(())
}

fn id(flag: &str, text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| {
        let message = format!("--{flag}: {text:?} is no id: a number is expected");
        Failure::Usage(message)
    })
}

fn add_capabilities(names: &[&str], process: &mut Process, log: &Log) {
    if names.is_empty() {
        return;
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    // A capability is ambient only where it is inheritable too: those of who has none are left alone.
    let inherits = sets
        .inheritable()
        .as_ref()
        .is_some_and(|set| !set.is_empty());
    for name in names {
        let bare = name.trim_start_matches("CAP_");
        // As those of a configuration that cannot be granted.
        let Ok(one) = bare.parse::<Capability>() else {
            log.warning(&format!(
                "ignoring unknown or unavailable capabilities: [{name}]: names as in CAP_CHOWN are expected"
            ));
            continue;
        };
        let with = |set: &Option<Capabilities>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(one);
            Some(set)
        };
        sets.set_bounding(with(sets.bounding()));
        sets.set_effective(with(sets.effective()));
        sets.set_permitted(with(sets.permitted()));
        if inherits {
            sets.set_ambient(with(sets.ambient()));
        }
    }
    process.set_capabilities(Some(sets));
}
