//! Programs the configuration wants run at points of a container's life.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use oci_spec::runtime::{Hook, Spec};
use serde::Serialize;
use sys::pidfd::Exit;
use sys::spawn::Spawn;
use types::Signal;

use crate::error::Error;
use crate::warning::warn;

/// What a hook is told about the container, besides its status and pid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HookState<'a> {
    pub(crate) version: &'a str,
    pub(crate) id: &'a str,
    pub(crate) bundle: &'a Path,
    pub(crate) annotations: Option<&'a HashMap<String, String>>,
}

/// The specification's state document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a HashMap<String, String>>,
}

impl<'a> HookState<'a> {
    pub(crate) fn new(spec: &'a Spec, id: &'a str, bundle: &'a Path) -> Self {
        Self {
            version: spec.version(),
            id,
            bundle,
            annotations: spec.annotations().as_ref(),
        }
    }

    /// The document for a hook's standard input.
    pub(crate) fn json(&self, status: &str, pid: Option<i32>) -> Vec<u8> {
        let document = Document {
            oci_version: self.version,
            id: self.id,
            status,
            pid,
            bundle: self.bundle,
            annotations: self.annotations,
        };
        // Strings and numbers with string keys: there is nothing in it that could fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// The hooks of one point.
pub(crate) type Point<'a> = (&'static str, &'a [Hook]);

/// Those the maker runs when the namespaces exist. `prestart` is the old name of the same point.
#[allow(
    deprecated,
    reason = "prestart is obsolete but still part of the specification"
)]
pub(crate) fn of_maker(spec: &Spec) -> [Point<'_>; 2] {
    [
        ("prestart", list(spec, |hooks| hooks.prestart())),
        ("createRuntime", list(spec, |hooks| hooks.create_runtime())),
    ]
}

/// One list of the configuration.
pub(crate) fn list<'a>(
    spec: &'a Spec,
    pick: impl FnOnce(&'a oci_spec::runtime::Hooks) -> &'a Option<Vec<Hook>>,
) -> &'a [Hook] {
    spec.hooks()
        .as_ref()
        .and_then(|hooks| pick(hooks).as_deref())
        .unwrap_or_default()
}

/// Refuses what cannot be run before anything is made.
#[allow(
    deprecated,
    reason = "prestart is obsolete but still part of the specification"
)]
pub(crate) fn check(spec: &Spec) -> Result<(), Error> {
    let Some(hooks) = spec.hooks() else {
        return Ok(());
    };
    let points = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (point, list) in points {
        for (number, hook) in list.iter().flatten().enumerate() {
            let field = |name: &str| format!("hooks.{point}[{number}].{name}");
            if !hook.path().is_absolute() {
                return Err(Error::invalid(field("path"), "must be an absolute path"));
            }
            if hook.timeout().is_some_and(|seconds| seconds <= 0) {
                return Err(Error::invalid(
                    field("timeout"),
                    "must be greater than zero",
                ));
            }
        }
    }
    Ok(())
}

/// Where a hook is run, if anywhere else than the caller, and with what environment if it names none.
pub(crate) type Place<'a> = (Option<&'a Path>, &'a [String]);

/// Nowhere else, and nothing.
pub(crate) const HERE: Place<'static> = (None, &[]);

/// Runs hooks one after the other; the first that fails ends it.
pub(crate) fn run(
    hooks: &[Hook],
    point: &'static str,
    state: &[u8],
    place: Place<'_>,
) -> Result<(), Error> {
    let mut numbered = hooks.iter().enumerate();
    numbered.try_for_each(|(number, hook)| {
        one(hook, state, place).map_err(|reason| Error::Hook {
            point,
            number,
            path: hook.path().display().to_string(),
            reason,
        })
    })
}

/// Runs the hooks after a container's end. One that fails is warned of, and the next one runs.
pub(crate) fn run_poststop(hooks: &[Hook], container: HookState<'_>) {
    if hooks.is_empty() {
        return;
    }
    let state = container.json("stopped", None);
    for hook in hooks {
        if let Err(reason) = one(hook, &state, HERE) {
            warn(|| format!("poststop hook {}: {reason}", hook.path().display()));
        }
    }
}

/// Runs one, or says why it did not do what it should.
fn one(hook: &Hook, state: &[u8], place: Place<'_>) -> Result<(), String> {
    let told = |error: sys::Error| error.to_string();
    let input = memory_file(state).map_err(told)?;
    let mut output = std::fs::File::from(sys::fd::memory_file("hook").map_err(told)?);
    let fds = [input.as_fd(), output.as_fd(), output.as_fd()];
    let child = prepare(hook, place)
        .and_then(|spawn| spawn.fds(&fds).spawn())
        .map_err(told)?;
    let limit = match hook.timeout() {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
        _ => Duration::MAX,
    };
    let in_time = sys::pidfd::ended_within(&child.pidfd, limit).map_err(told)?;
    if !in_time {
        sys::pidfd::send_signal(&child.pidfd, Signal::KILL).map_err(told)?;
    }
    let exit = sys::pidfd::wait(&child.pidfd).map_err(told)?;
    if !in_time {
        return Err(format!("took longer than {} s", limit.as_secs()));
    }
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(format!("exit code {code}{}", said(&mut output))),
        Exit::Signal(signal) => {
            let words = words_of(signal);
            Err(format!(
                "killed by signal {signal}{words}{}",
                said(&mut output)
            ))
        }
    }
}

fn prepare<'a>(hook: &Hook, (dir, env): Place<'_>) -> sys::Result<Spawn<'a>> {
    let own_path = [hook.path().to_string_lossy().into_owned()];
    let args = hook.args().as_deref().filter(|args| !args.is_empty());
    let spawn = Spawn::new(hook.path(), args.unwrap_or(&own_path))?;
    let spawn = spawn.env(hook.env().as_deref().unwrap_or(env))?;
    match dir {
        Some(dir) => spawn.dir(dir),
        None => Ok(spawn),
    }
}

/// SIGSYS of signal(7), where it is not Alpha, SPARC or MIPS.
const BAD_CALL: i32 = 31;

/// What a filter of system calls does to a hook is worth a word.
fn words_of(signal: i32) -> &'static str {
    if signal == BAD_CALL {
        " (bad system call)"
    } else {
        ""
    }
}

/// The state document as a file at its beginning.
fn memory_file(text: &[u8]) -> sys::Result<std::fs::File> {
    let fd = sys::fd::memory_file("state")?;
    sys::fd::write_all(&fd, text)?;
    let mut file = std::fs::File::from(fd);
    // A memory file can always seek.
    let _ = file.seek(SeekFrom::Start(0));
    Ok(file)
}

/// What the hook printed, as the end of a sentence.
fn said(output: &mut std::fs::File) -> String {
    let mut text = Vec::new();
    let read = output
        .seek(SeekFrom::Start(0))
        .and_then(|_| Read::by_ref(output).take(4096).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    match (read, text.trim()) {
        (Ok(_), text) if !text.is_empty() => format!(": {text}"),
        _ => String::new(),
    }
}
