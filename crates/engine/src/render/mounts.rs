//! Mounts: the kernel's file systems, Brig's files, and what the user asked for.

use std::collections::HashSet;
use std::path::Path;

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder, Mount};
use types::{IdMap, MountKind, MountRequest, NamespaceMode, Propagation};

use super::process::INIT;
use super::{Error, HostFacts, RenderInput, tmpfs};

/// Bytes of `/dev/shm` unless something else is said.
pub(crate) const SHM_SIZE: i64 = 64 * 1024 * 1024;

/// The option by which a mount has the ids of the container's user namespace.
pub(crate) const IDMAP: &str = "idmap";

pub(super) fn mounts(input: &RenderInput<'_>) -> Result<Vec<Mount>, Error> {
    let user = user_mounts(input)?;
    let targets: HashSet<&str> = user.iter().map(|(target, _)| target.as_str()).collect();
    let mut all = kernel_mounts(input);
    all.extend(file_mounts(input));
    all.extend(init_mount(input));
    all.push(cgroups(input));
    // Whatever the user mounts takes the place of ours.
    let keeps = |m: &Mount| {
        let taken = |target| targets.contains(target) || is_of_dev(m, &targets, input);
        m.destination().to_str().is_none_or(|target| !taken(target))
    };
    all.retain(keeps);
    if input.spec.read_only {
        all.iter_mut().for_each(protect);
    }
    // Parents before what is mounted in them; otherwise in the order asked for.
    let mut user: Vec<Mount> = user.into_iter().map(|(_, m)| m).collect();
    user.sort_by_key(|m| m.destination().components().count());
    // A user's mount over a parent of one of ours must come first, and is made first.
    let below_user = |ours: &Mount| {
        user.iter()
            .any(|u| ours.destination().starts_with(u.destination()))
    };
    let (late, early): (Vec<Mount>, Vec<Mount>) = all.into_iter().partition(below_user);
    Ok(early.into_iter().chain(user).chain(late).collect())
}

/// Whether it belongs to a `/dev` of which the user has given another: what is in that is what is wanted, but for
/// memory that is shared with others.
fn is_of_dev(ours: &Mount, users: &HashSet<&str>, input: &RenderInput<'_>) -> bool {
    let shares =
        input.spec.namespaces.ipc == NamespaceMode::Shareable || input.joined.shm.is_some();
    let below = ours.destination().strip_prefix("/dev");
    users.contains("/dev") && below.is_ok_and(|path| path != Path::new("shm") || !shares)
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount.set_destination(target.into());
    mount.set_typ(Some(kind.to_owned()));
    mount.set_source(Some(source.into()));
    mount.set_options(Some(options.iter().map(|o| (*o).to_owned()).collect()));
    mount
}

const QUIET: [&str; 3] = ["nosuid", "noexec", "nodev"];

fn read_only(input: &RenderInput<'_>) -> &'static [&'static str] {
    match input.spec.security.privileged {
        true => &[],
        false => &["ro"],
    }
}

/// The last of ours: its directories are made while the container's process makes all others.
fn cgroups(input: &RenderInput<'_>) -> Mount {
    let closed = match input.spec.security.writable_cgroups {
        true => &[],
        false => read_only(input),
    };
    let options = [&QUIET, closed].concat();
    mount("/sys/fs/cgroup", "cgroup", "cgroup", &options)
}

fn kernel_mounts(input: &RenderInput<'_>) -> Vec<Mount> {
    let fixed = vec![
        mount("/proc", "proc", "proc", &QUIET),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount(
            "/sys",
            "sysfs",
            "sysfs",
            &[&QUIET, read_only(input)].concat(),
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &QUIET),
    ];
    fixed.into_iter().chain(shm(input)).collect()
}

/// Shared memory: its own, that of whoever shares the IPC namespace, or none.
fn shm(input: &RenderInput<'_>) -> Option<Mount> {
    const TARGET: &str = "/dev/shm";
    if input.spec.namespaces.ipc == NamespaceMode::None {
        return None;
    }
    if let Some(shared) = &input.joined.shm {
        let mut bind = mount(TARGET, "bind", "", &["rbind", "rprivate"]);
        bind.set_source(Some(shared.clone()));
        return Some(bind);
    }
    let size = input.spec.shm_size.filter(|s| *s > 0).unwrap_or(SHM_SIZE);
    let size = format!("size={size}");
    let options = ["nosuid", "noexec", "nodev", "mode=1777", &size];
    Some(mount(TARGET, "tmpfs", "shm", &options))
}

fn file_mounts(input: &RenderInput<'_>) -> Vec<Mount> {
    let files = [
        ("/etc/resolv.conf", &input.files.resolv_conf),
        ("/etc/hostname", &input.files.hostname),
        ("/etc/hosts", &input.files.hosts),
    ];
    files
        .iter()
        .filter(|(_, source)| !source.as_os_str().is_empty())
        .map(|(target, source)| {
            let mut bind = mount(target, "bind", "", &["rbind", "rprivate"]);
            bind.set_source(Some((*source).clone()));
            own_ids(&mut bind, input);
            bind
        })
        .collect()
}

/// What is the container's own, or shared by containers of any ids, has its ids.
fn own_ids(mount: &mut Mount, input: &RenderInput<'_>) {
    if input.ids.is_none() {
        return;
    }
    let mut options = mount.options().clone().unwrap_or_default();
    options.push(IDMAP.to_owned());
    mount.set_options(Some(options));
}

fn init_mount(input: &RenderInput<'_>) -> Option<Mount> {
    (input.spec.init == Some(true)).then(|| {
        let mut bind = mount(INIT, "bind", "", &["bind", "ro"]);
        bind.set_source(Some(input.init.to_owned()));
        bind
    })
}

/// With a read-only root, what is ours is read-only too but for what programs cannot do without.
fn protect(mount: &mut Mount) {
    const WRITABLE: [&str; 5] = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];
    let target = mount.destination().to_str().unwrap_or_default();
    let mut options = mount.options().clone().unwrap_or_default();
    if !WRITABLE.contains(&target) && !options.iter().any(|o| o == "ro") {
        options.push("ro".to_owned());
        mount.set_options(Some(options));
    }
}

/// The user's mounts with their targets in one spelling.
fn user_mounts(input: &RenderInput<'_>) -> Result<Vec<(String, Mount)>, Error> {
    let mut seen = HashSet::new();
    let render = |request: &MountRequest| {
        let target = clean(&request.target)?;
        if !seen.insert(target.clone()) {
            return Err(refuse(&request.target, "duplicate mount point"));
        }
        let mount = match &request.kind {
            MountKind::Bind { .. } => bind(&target, request, input)?,
            MountKind::Tmpfs { .. } => tmpfs_mount(&target, request)?,
            MountKind::Volume(_) => volume(&target, request, input)?,
            MountKind::Image { .. } => {
                let mut image = mount(&target, "overlay", "overlay", &["ro"]);
                own_ids(&mut image, input);
                image
            }
        };
        Ok((target, mount))
    };
    input.resolved.mounts.iter().map(render).collect()
}

/// What the user asked for, in that order.
pub(crate) fn asked(input: &RenderInput<'_>) -> Result<Vec<Mount>, Error> {
    let all = user_mounts(input)?.into_iter();
    Ok(all.map(|(_, mount)| mount).collect())
}

fn refuse(target: &str, reason: &str) -> Error {
    Error::Mount {
        target: target.to_owned(),
        reason: reason.to_owned(),
    }
}

/// An absolute path without `.`, `..` and doubled slashes.
fn clean(target: &str) -> Result<String, Error> {
    if !target.starts_with('/') {
        return Err(refuse(target, "mount path must be absolute"));
    }
    if target.contains('\0') {
        return Err(refuse(target, "a path has no zero byte"));
    }
    match plain(target) {
        root if root == "/" => Err(refuse(target, "destination can't be '/'")),
        target => Ok(target),
    }
}

/// A path without `.`, `..` and doubled slashes.
pub(crate) fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A volume, as storage says it is mounted.
fn volume(target: &str, request: &MountRequest, input: &RenderInput<'_>) -> Result<Mount, Error> {
    // Before it starts nobody knows.
    let unknown = || types::Mount {
        kind: "bind".to_owned(),
        source: "/".into(),
        target: target.into(),
        options: vec!["bind".to_owned()],
        lower: Vec::new(),
        subpath: None,
    };
    let placed = input.placed.mounts.get(target);
    let placed = placed.cloned().unwrap_or_else(unknown);
    let source = placed.source.to_str();
    let source = source.ok_or_else(|| refuse(target, "its source has no name in Unicode"))?;
    let own: Vec<&str> = placed.options.iter().map(String::as_str).collect();
    let mut options = [own.as_slice(), &["rprivate"]].concat();
    if request.read_only {
        options.push("ro");
    }
    let mut volume = mount(target, &placed.kind, source, &options);
    own_ids(&mut volume, input);
    Ok(volume)
}

/// The mappings by which two users change places in a mount: what belongs to `owner` outside is
/// `user`'s inside, and the other way round, so that nobody's files are without an owner.
fn swapped(owner: u32, user: u32) -> Vec<LinuxIdMapping> {
    let line = |outside, inside, size| (outside, inside, size);
    let (low, high) = (owner.min(user), owner.max(user));
    // The last number is nobody's.
    let mut lines = vec![line(0, 0, low)];
    if low == high {
        lines.push(line(low, low, 1));
    } else {
        lines.push(line(low, high, 1));
        lines.push(line(low + 1, low + 1, high - low - 1));
        lines.push(line(high, low, 1));
    }
    lines.push(line(high + 1, high + 1, u32::MAX - high - 1));
    let mapping = |(outside, inside, size): (u32, u32, u32)| {
        let builder = LinuxIdMappingBuilder::default();
        let builder = builder.container_id(outside).host_id(inside).size(size);
        // All three are said: nothing can be missing.
        builder.build().ok()
    };
    let lines = lines.into_iter().filter(|(_, _, size)| *size > 0);
    lines.filter_map(mapping).collect()
}

fn translate(
    mount: &mut Mount,
    ids: IdMap,
    target: &str,
    input: &RenderInput<'_>,
) -> Result<(), Error> {
    if input.host.kernel < (5, 12) {
        return Err(refuse(target, "translated ids need Linux 5.12"));
    }
    let identity = &input.identity;
    let (user, group) = match ids {
        IdMap::Ids(user, group) => (user, group),
        // Before it starts nobody knows.
        IdMap::Owner => input.placed.owners.get(target).copied().unwrap_or_default(),
    };
    let (uid, gid) = match input.ids {
        None => (identity.uid, identity.gid),
        Some(ids) => ids
            .outside(identity.uid, identity.gid)
            .ok_or_else(|| refuse(target, "the container's user is not mapped"))?,
    };
    mount.set_uid_mappings(Some(swapped(user, uid)));
    mount.set_gid_mappings(Some(swapped(group, gid)));
    Ok(())
}

fn bind(target: &str, request: &MountRequest, input: &RenderInput<'_>) -> Result<Mount, Error> {
    let host = &input.host;
    let MountKind::Bind {
        source,
        propagation,
        recursive,
        read_only_non_recursive,
        read_only_force_recursive,
        id_map,
        ..
    } = &request.kind
    else {
        return Err(refuse(target, "it is no bind"));
    };
    let mut options = vec![if *recursive { "rbind" } else { "bind" }];
    if request.read_only {
        let deep = ReadOnly {
            recursive: *recursive,
            shallow: *read_only_non_recursive,
            forced: *read_only_force_recursive,
            propagation: *propagation,
        };
        options.push(deep.option(target, host)?);
    } else if *read_only_non_recursive || *read_only_force_recursive {
        return Err(refuse(
            target,
            "recursive read-only options need a read-only mount",
        ));
    }
    options.push(propagation.unwrap_or(Propagation::Rprivate).as_str());
    let mut mount = mount(target, "bind", source, &options);
    if let Some(ids) = id_map {
        translate(&mut mount, *ids, target, input)?;
    }
    Ok(mount)
}

/// How deep read-only goes.
#[derive(Clone, Copy)]
struct ReadOnly {
    recursive: bool,
    shallow: bool,
    forced: bool,
    propagation: Option<Propagation>,
}

impl ReadOnly {
    /// `rro` covers the mounts below too; it needs mount_setattr(2), Linux 5.12.
    fn option(self, target: &str, host: &HostFacts) -> Result<&'static str, Error> {
        if self.forced && self.shallow {
            return Err(refuse(
                target,
                "read-only cannot be both recursive and non-recursive",
            ));
        }
        let supported = host.kernel >= (5, 12);
        if self.forced && !supported {
            return Err(refuse(target, "recursive read-only needs Linux 5.12"));
        }
        if self.forced && self.propagation.is_some_and(|p| p != Propagation::Rprivate) {
            return Err(refuse(
                target,
                "forced recursive read-only needs rprivate propagation",
            ));
        }
        let deep = self.recursive && !self.shallow && supported;
        Ok(if deep { "rro" } else { "ro" })
    }
}

fn tmpfs_mount(target: &str, request: &MountRequest) -> Result<Mount, Error> {
    let MountKind::Tmpfs {
        size,
        mode,
        options,
        ..
    } = &request.kind
    else {
        return Err(refuse(target, "it is no tmpfs"));
    };
    let mut given: Vec<String> = Vec::new();
    if request.read_only {
        given.push("ro".to_owned());
    }
    given.extend(mode.map(|m| format!("mode={m:o}")));
    given.extend(size.filter(|s| *s > 0).map(|s| format!("size={s}")));
    given.extend(options.iter().cloned());
    let mut mount = mount(target, "tmpfs", "tmpfs", &[]);
    mount.set_options(Some(tmpfs::merge(target, &given)?));
    Ok(mount)
}

/// A mount that travels to the host needs a root that lets it through.
pub(super) fn root_propagation(mounts: &[MountRequest]) -> Option<String> {
    let asked = |wanted: [Propagation; 2]| {
        mounts.iter().any(|m| {
            matches!(&m.kind, MountKind::Bind { propagation: Some(p), .. } if wanted.contains(p))
        })
    };
    if asked([Propagation::Shared, Propagation::Rshared]) {
        Some("shared".to_owned())
    } else if asked([Propagation::Slave, Propagation::Rslave]) {
        Some("rslave".to_owned())
    } else {
        None
    }
}
