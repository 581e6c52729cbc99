//! How a container gets its secrets: a file system in memory at `/run/secrets`, which is filled from
//! outside while the container waits for its start, or variables.

use std::ffi::OsStr;
use std::io::Write;

use oci_spec::runtime::{Mount, MountBuilder};
use sys::dir::{Dir, set_file_attributes};
use types::{ContainerSpec, ProcessRef, SecretRequest, SecretTarget};

use super::SecretError;
use crate::table::Container;
use crate::{Engine, Error};

/// Where they are.
const TARGET: &str = "/run/secrets";

/// The name that a file has while it is written; no secret's begins with a dot.
const NEW: &str = ".new";

/// Refuses secrets that are not there, before anything is made for a container.
pub(crate) fn check(engine: &Engine, spec: &ContainerSpec) -> Result<(), Error> {
    for request in &spec.secrets {
        engine.vault().find(&request.source)?;
    }
    Ok(())
}

/// Whether any of them are files.
fn has_files(secrets: &[SecretRequest]) -> bool {
    let file = |request: &SecretRequest| matches!(request.given, SecretTarget::File { .. });
    secrets.iter().any(file)
}

/// The file system, empty.
pub(crate) fn mount(spec: &ContainerSpec) -> Option<Mount> {
    let options = ["nosuid", "nodev", "noexec", "mode=0755", "rprivate"];
    let mount = MountBuilder::default()
        .destination(TARGET)
        .typ("tmpfs")
        .source("tmpfs")
        .options(options.map(str::to_owned))
        .build();
    // Nothing is missing from it.
    mount.ok().filter(|_| has_files(&spec.secrets))
}

/// The variables, `NAME=value`.
pub(crate) fn variables(engine: &Engine, spec: &ContainerSpec) -> Result<Vec<String>, Error> {
    let mut variables = Vec::new();
    for request in &spec.secrets {
        let SecretTarget::Variable { name } = &request.given else {
            continue;
        };
        let value = String::from_utf8(engine.vault().open(&request.source)?).ok();
        let text = value.filter(|value| !value.contains('\0'));
        let text = text.ok_or_else(|| SecretError::NoText(request.source.clone()))?;
        variables.push(format!("{name}={text}"));
    }
    Ok(variables)
}

/// Writes the files, over those that are there: each appears at once and whole.
pub(crate) fn files(
    engine: &Engine,
    container: &Container,
    process: ProcessRef,
) -> Result<(), Error> {
    let secrets = &container.fixed.spec.secrets;
    if !has_files(secrets) {
        return Ok(());
    }
    let what = || format!("give container {} its secrets", container.name());
    let root = sys::proc::open_root(process).map_err(Error::kernel(what()))?;
    // One that has ended needs none.
    let Some(root) = root else { return Ok(()) };
    // Looked up by the kernel inside the container's root: what has been put there in its place leads
    // nowhere else.
    let dir = root
        .open_dir(TARGET.trim_start_matches('/'))
        .and_then(|held| Dir::open_at(&held))
        .map_err(Error::kernel(what()))?;
    for request in secrets {
        if let SecretTarget::File {
            name,
            uid,
            gid,
            mode,
        } = &request.given
        {
            let data = engine.vault().open(&request.source)?;
            write(&dir, OsStr::new(name), &data, (*uid, *gid, *mode))
                .map_err(Error::kernel(what()))?;
        }
    }
    Ok(())
}

fn write(
    dir: &Dir,
    name: &OsStr,
    data: &[u8],
    (uid, gid, mode): (u32, u32, u32),
) -> std::io::Result<()> {
    let new = OsStr::new(NEW);
    // Left by somebody who was killed.
    let _ = dir.remove_file(new);
    let mut file = dir.create_file(new)?;
    file.write_all(data)?;
    let now = (crate::clock::now().div_euclid(1_000_000_000), 0);
    set_file_attributes(&file, uid, gid, mode, now)?;
    Ok(dir.rename(new, dir, name)?)
}
