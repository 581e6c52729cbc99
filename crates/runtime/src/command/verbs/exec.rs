//! `exec`: another command in a running container.

use std::path::Path;

use oci_spec::runtime::{Capabilities, Capability, Process};
use runtime::{ExecRequest, Stdio};

use super::create::{own_size, write_pid};
use crate::args::{Args, Exec};
use crate::failure::{Failure, OnFile};
use crate::foreground::{Foreground, take_signals};
use crate::state_file::{Place, Status};
use crate::{Outcome, console};

pub(crate) fn exec(args: &Args, exec: &Exec) -> Outcome {
    let place = Place::of(&args.root, &exec.id)?;
    let record = place.read_in(&[Status::Running, Status::Created], "entered")?;
    let container = record
        .container()?
        .ok_or_else(|| Failure::NoContainer(place.id.clone()))?;
    let process = match &exec.process {
        Some(path) => read_process(path)?,
        None => process(exec, record.spec.process().clone().unwrap_or_default())?,
    };
    let wants_terminal = process.terminal().unwrap_or(false);
    if exec.detach && wants_terminal && exec.console_socket.is_none() {
        let reason = "--tty and --detach: --console-socket must say where the terminal is to go";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let stdio = if wants_terminal {
        Stdio::Terminal { size: own_size() }
    } else {
        Stdio::Inherit
    };
    let signals = if exec.detach {
        None
    } else {
        Some(take_signals()?)
    };
    let mut executed = container.exec(ExecRequest {
        process: &process,
        stdio,
    })?;
    if let (Some(socket), Some(master)) = (&exec.console_socket, &executed.terminal) {
        console::send(socket, master)?;
        executed.terminal = None;
    }
    write_pid(exec.pid_file.as_deref(), executed.process.pid)?;
    let Some(signals) = signals else { return Ok(0) };
    Foreground {
        pidfd: &executed.pidfd,
        signals,
        terminal: executed.terminal,
    }
    .wait()
}

fn read_process(path: &Path) -> Result<Process, Failure> {
    let text = sys::fd::open_read(path)
        .and_then(|file| sys::fd::read_to_end(file, 16 << 20))
        .on_file("read", path)?;
    serde_json::from_slice(&text).map_err(|source| Failure::Malformed {
        path: path.to_owned(),
        source,
    })
}

/// The container's own process with what the command line changes.
fn process(exec: &Exec, mut process: Process) -> Result<Process, Failure> {
    if exec.command.is_empty() {
        return Err(Failure::Usage(
            "exec needs a command or --process".to_owned(),
        ));
    }
    process.set_args(Some(exec.command.clone()));
    process.set_terminal(Some(exec.tty));
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(exec.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(cwd) = &exec.cwd {
        process.set_cwd(cwd.clone());
    }
    if exec.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    set_user(exec, &mut process)?;
    add_capabilities(exec, &mut process)?;
    Ok(process)
}

fn set_user(exec: &Exec, process: &mut Process) -> Result<(), Failure> {
    let mut user = process.user().clone();
    if let Some(text) = &exec.user {
        let number = |text: &str| {
            text.parse::<u32>()
                .map_err(|_| Failure::Usage(format!("--user: {text:?} is no number")))
        };
        let (uid, gid) = text
            .split_once(':')
            .map_or((text.as_str(), None), |(u, g)| (u, Some(g)));
        user.set_uid(number(uid)?);
        if let Some(gid) = gid {
            user.set_gid(number(gid)?);
        }
    }
    if !exec.additional_gids.is_empty() {
        user.set_additional_gids(Some(exec.additional_gids.clone()));
    }
    process.set_user(user);
    Ok(())
}

fn add_capabilities(exec: &Exec, process: &mut Process) -> Result<(), Failure> {
    if exec.cap.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    for name in &exec.cap {
        let bare = name.trim_start_matches("CAP_");
        let one: Capability = bare
            .parse()
            .map_err(|_| Failure::Usage(format!("--cap: there is no capability {name:?}")))?;
        let with = |set: &Option<Capabilities>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(one);
            Some(set)
        };
        sets.set_bounding(with(sets.bounding()));
        sets.set_effective(with(sets.effective()));
        sets.set_permitted(with(sets.permitted()));
    }
    process.set_capabilities(Some(sets));
    Ok(())
}
