//! Programs the configuration wants run at points of a container's life.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use oci_spec::runtime::{Hook, Spec};
use serde::Serialize;
use sys::spawn::Spawn;
use types::Signal;

use crate::error::{Doing, Error};

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

/// Runs hooks one after the other; the first that fails ends it.
pub(crate) fn run(hooks: &[Hook], point: &'static str, state: &[u8]) -> Result<(), Error> {
    hooks.iter().try_for_each(|hook| one(hook, point, state))
}

fn one(hook: &Hook, point: &'static str, state: &[u8]) -> Result<(), Error> {
    let failed = |reason: String| Error::Hook {
        point,
        path: hook.path().display().to_string(),
        reason,
    };
    if !hook.path().is_absolute() {
        return Err(failed("its path must be absolute".to_owned()));
    }
    let action = || format!("prepare the {point} hook {}", hook.path().display());
    let input = memory_file(state).doing(action)?;
    let mut output = std::fs::File::from(sys::fd::memory_file("hook").doing(action)?);
    let own_path = [hook.path().to_string_lossy().into_owned()];
    let args = hook.args().as_deref().unwrap_or(&own_path);
    let spawn = Spawn::new(hook.path(), args)
        .and_then(|spawn| spawn.env(hook.env().iter().flatten()))
        .doing(action)?;
    let fds = [input.as_fd(), output.as_fd(), output.as_fd()];
    let child = spawn
        .fds(&fds)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let limit = match hook.timeout() {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
        _ => Duration::MAX,
    };
    let in_time = sys::pidfd::ended_within(&child.pidfd, limit).doing(action)?;
    if !in_time {
        sys::pidfd::send_signal(&child.pidfd, Signal::KILL).doing(action)?;
    }
    let exit = sys::pidfd::wait(&child.pidfd).doing(action)?;
    match (in_time, exit) {
        (true, sys::pidfd::Exit::Code(0)) => Ok(()),
        (false, _) => Err(failed(format!("took longer than {} s", limit.as_secs()))),
        (true, sys::pidfd::Exit::Code(code)) => {
            Err(failed(format!("exit code {code}{}", said(&mut output))))
        }
        (true, sys::pidfd::Exit::Signal(signal)) => Err(failed(format!(
            "killed by signal {signal}{}",
            said(&mut output)
        ))),
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
