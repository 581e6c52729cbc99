//! How a container gets its secrets: a file system in memory at `/run/secrets`, which is filled from
//! outside while the container waits for its start, or variables.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use oci_spec::runtime::{Mount, MountBuilder, Spec};
use sys::Errno;
use sys::dir::{Dir, set_file_attributes};
use types::{ContainerSpec, ProcessRef, SecretRequest, SecretTarget};

use super::SecretError;
use crate::container::rootfs;
use crate::table::Container;
use crate::{Engine, Error, render};

/// Where they are.
const TARGET: &str = "/run/secrets";

/// The name that a file has while it is written; no secret's begins with a dot.
const NEW: &str = ".new";

/// Has requests name secrets by their names, and refuses those that are not there, before anything is
/// made for a container.
pub(crate) fn resolve(engine: &Engine, spec: &mut ContainerSpec) -> Result<(), Error> {
    for request in &mut spec.secrets {
        request.source = engine.vault().find(&request.source)?.name;
    }
    Ok(())
}

/// Whether any of them are files.
fn has_files(secrets: &[SecretRequest]) -> bool {
    let file = |request: &SecretRequest| matches!(request.given, SecretTarget::File { .. });
    secrets.iter().any(file)
}

/// Adds the file system, empty, and the variables to a container's configuration.
pub(crate) fn add(engine: &Engine, asked: &ContainerSpec, config: &mut Spec) -> Result<(), Error> {
    if asked.secrets.is_empty() {
        return Ok(());
    }
    if has_files(&asked.secrets) {
        let mut mounts = config.mounts().clone().unwrap_or_default();
        add_mount(&mut mounts);
        config.set_mounts(Some(mounts));
    }
    let variables = variables(engine, asked)?;
    if let Some(process) = config.process_mut() {
        let mut env = process.env().clone().unwrap_or_default();
        for variable in variables {
            render::set_variable(&mut env, &variable);
        }
        process.set_env(Some(env));
    }
    Ok(())
}

/// Before what is mounted in it.
fn add_mount(mounts: &mut Vec<Mount>) {
    let options = ["nosuid", "nodev", "noexec", "mode=0755", "rprivate"];
    let mount = MountBuilder::default()
        .destination(TARGET)
        .typ("tmpfs")
        .source("tmpfs")
        .options(options.map(str::to_owned))
        .build();
    let inside = |mount: &Mount| {
        let at = mount.destination();
        at.starts_with(TARGET) && at != Path::new(TARGET)
    };
    let place = mounts.iter().position(inside).unwrap_or(mounts.len());
    // Nothing is missing from it.
    mounts.splice(place..place, mount);
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

/// Writes the files, over those that are there: each appears at once and whole. How often secrets had
/// been replaced by then.
pub(crate) fn files(
    engine: &Engine,
    container: &Container,
    process: ProcessRef,
) -> Result<u64, Error> {
    let secrets = &container.fixed.spec.secrets;
    if !has_files(secrets) {
        return Ok(0);
    }
    let what = || format!("give container {} its secrets", container.name());
    let _order = engine.vault().giving();
    let replaced = engine.vault().replaced();
    let root = sys::proc::open_root(process).map_err(Error::kernel(what()))?;
    // One that has ended needs none.
    let Some(root) = root else {
        return Ok(replaced);
    };
    let ids = Ids::of(process).map_err(Error::kernel(what()))?;
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
            let owner = ids.outside(&request.source, *uid, *gid)?;
            rootfs::as_its_root(container, || {
                let written = write(&dir, OsStr::new(name), &data, (owner, *mode));
                written.map_err(Error::kernel(what()))
            })?;
        }
    }
    Ok(replaced)
}

/// Writes the files anew if secrets were replaced since they were written: who replaced one may have
/// seen the container before it ran.
pub(crate) fn again(engine: &Engine, container: &Container, given: u64) {
    let Some(process) = container.lifecycle().process() else {
        return;
    };
    if !has_files(&container.fixed.spec.secrets) || engine.vault().replaced() == given {
        return;
    }
    if let Err(error) = files(engine, container, process) {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "a container has a secret as it was before");
    }
}

/// The file system that holds a running container's secrets, if it has files of them: what is there is
/// copied to nobody.
pub(crate) fn file_system(container: &Container, root: &Dir) -> Result<Option<u64>, sys::Error> {
    if !has_files(&container.fixed.spec.secrets) || !container.lifecycle().is_running() {
        return Ok(None);
    }
    let of = |dir: &Dir| dir.own_status().map(|status| status.identity.0);
    let place = match root.open_in_root(TARGET.as_bytes()) {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        answer => answer?,
    };
    // Who may, inside, can have taken the mount away, and the files with it.
    let (own, place) = (of(root)?, of(&place)?);
    Ok(Some(place).filter(|place| *place != own))
}

fn write(
    dir: &Dir,
    name: &OsStr,
    data: &[u8],
    ((uid, gid), mode): ((u32, u32), u32),
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

/// Ids of a container's user namespace, as texts of /proc/PID/uid_map and gid_map, user_namespaces(7).
struct Ids {
    users: String,
    groups: String,
}

impl Ids {
    fn of(process: ProcessRef) -> sys::Result<Self> {
        let (users, groups) = sys::proc::id_maps(process)?;
        Ok(Self { users, groups })
    }

    /// What a user and a group of the container's are outside.
    fn outside(&self, secret: &str, uid: u32, gid: u32) -> Result<(u32, u32), SecretError> {
        let of = |map: &str, id: u32| {
            outside(map, id).ok_or_else(|| SecretError::NoId {
                secret: secret.to_owned(),
                id,
            })
        };
        Ok((of(&self.users, uid)?, of(&self.groups, gid)?))
    }
}

fn outside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (inside, outside, count) = (next()?, next()?, next()?);
        let place = id.checked_sub(inside).filter(|place| *place < count)?;
        outside.checked_add(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_outside() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(outside(whole, 1000), Some(1000));
        let map = "0 100000 1000\n1000 5000 1\n";
        let found = [0, 999, 1000, 1001].map(|id| outside(map, id));
        assert_eq!(found, [Some(100_000), Some(100_999), Some(5000), None]);
    }

    #[test]
    fn mounts_inside_come_after() {
        let mount = |at: &str| {
            let built = MountBuilder::default().destination(at).build();
            built.unwrap()
        };
        let mut mounts = vec![mount("/run"), mount("/run/secrets/more"), mount("/tmp")];
        add_mount(&mut mounts);
        let order: Vec<_> = mounts.iter().map(|m| m.destination().to_str()).collect();
        let expected = ["/run", TARGET, "/run/secrets/more", "/tmp"].map(Some);
        assert_eq!(order, expected);
    }
}
