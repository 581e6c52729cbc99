//! A container's processes written to images.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use sys::root::Root;

use super::criu::{Criu, Directories, Request};
use super::outside::{self, Outside};
use super::protobuf::Writer;
use super::{CheckpointRequest, NOTE, own_number};
use crate::Container;
use crate::error::{Doing, Error};

/// The log's name.
const LOG: &str = "dump.log";

impl Container {
    /// Writes its processes to images. Unless it was to go on, they have ended then, and what is
    /// left is for [`Container::remove_remains`].
    pub fn checkpoint(&self, request: &CheckpointRequest<'_>) -> Result<(), Error> {
        let directories = Directories::open(request.images, request.options.work, LOG)?;
        let outside = self.outside(request.spec)?;
        if !request.pre_dump {
            note(request.images, &outside)?;
        }
        let options = self.options(request, &directories, &outside)?;
        let kind = if request.pre_dump {
            Request::PreDump
        } else {
            Request::Dump
        };
        let criu = Criu::start(request.options.program, &[])?;
        criu.serve(kind, &options, &directories.log, |_| Ok(()))
            .map(drop)
    }

    fn outside(&self, spec: &Spec) -> Result<Outside, Error> {
        let pid = self.process().pid;
        let table = read(&format!("/proc/{pid}/mountinfo"))?;
        let inside = outside::mount_ids(&table);
        let root = format!("/proc/{pid}/root");
        let root = sys::fd::open_dir(Path::new(&root)).map(Root::new);
        let root = root.doing(|| "open the container's root".to_owned())?;
        let id_at = |path: &Path| sys::mount::id(root.open_path(path).ok()?).ok();
        let mut streams = [const { String::new() }; 3];
        for (number, stream) in streams.iter_mut().enumerate() {
            *stream = outside_stream(pid, number, &inside)?;
        }
        let process = spec.process().as_ref();
        Ok(Outside {
            namespaces: self.namespaces.bits(),
            mounts: outside::mounts(&table, spec, id_at),
            streams,
            terminal: process
                .and_then(|process| process.terminal())
                .unwrap_or(false),
        })
    }

    fn options(
        &self,
        request: &CheckpointRequest<'_>,
        directories: &Directories,
        outside: &Outside,
    ) -> Result<Writer, Error> {
        let mut options = Writer::default();
        let common = &request.options;
        common.write(directories, LOG, request.spec, &mut options);
        let root = root_of(request.spec, request.bundle)?;
        options
            .number(2, self.process().pid.unsigned_abs().into())
            .flag(3, request.leave_running)
            .text(13, &root.to_string_lossy())
            .flag(15, request.pre_dump || request.parent.is_some())
            .flag(18, request.link_remap)
            .flag(46, request.skip_in_flight);
        if let Some(parent) = request.parent {
            options.text(14, parent);
        }
        if let Some((address, port)) = request.page_server {
            let mut server = Writer::default();
            server.text(1, address).number(2, port.into());
            options.message(11, &server);
        }
        if let Some(status) = request.status_fd {
            options.number(49, own_number(status));
        }
        if let Some(freezer) = self.freezer() {
            options.text(44, &freezer.to_string_lossy());
        }
        for mount in &outside.mounts {
            options.text(37, &format!("mnt[{0}]:{0}", mount.target));
        }
        for file in outside.files() {
            options.text(37, file);
        }
        for (inode, name) in joined(request.spec)? {
            options.text(37, &format!("{name}[{inode}]:{}", joined_key(name)));
        }
        Ok(options)
    }

    /// The directory by which its processes are stopped meanwhile.
    fn freezer(&self) -> Option<PathBuf> {
        let directories = self.cgroup.files.directories();
        let freezes = |dir: &&sys::cgroup::Directory| {
            dir.version == 1 && dir.controllers.iter().any(|one| one == "freezer")
        };
        let v1 = directories.iter().find(freezes);
        let found = v1.or_else(|| directories.iter().find(|dir| dir.version == 2));
        found.map(|dir| dir.path.clone())
    }
}

impl Outside {
    /// The streams that are files of the host, each once.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.streams.iter().enumerate();
        let first = |number: usize, name: &str| !self.streams[..number].iter().any(|s| s == name);
        files
            .filter(move |(number, name)| name.starts_with("file[") && first(*number, name))
            .map(|(_, name)| name.as_str())
    }
}

/// What CRIU calls the namespace of a kind that is not the container's own.
pub(super) fn joined_key(name: &str) -> &'static str {
    if name == "net" {
        "extRootNetNS"
    } else {
        "extRootPidNS"
    }
}

/// Namespaces by path that CRIU can leave to the host: their inodes, and their names in /proc.
pub(super) fn joined(spec: &Spec) -> Result<Vec<(u64, &'static str)>, Error> {
    use std::os::unix::fs::MetadataExt;
    joined_paths(spec)
        .map(|(path, name)| {
            let metadata = std::fs::metadata(path).map_err(|error| sys::Error {
                call: "stat",
                errno: sys::Errno(error.raw_os_error().unwrap_or(sys::Errno::INVAL.0)),
            });
            let metadata = metadata.doing(|| format!("look at {}", path.display()))?;
            Ok((metadata.ino(), name))
        })
        .collect()
}

/// Their paths and names.
pub(super) fn joined_paths(spec: &Spec) -> impl Iterator<Item = (&Path, &'static str)> {
    let linux = spec.linux().as_ref();
    let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
    namespaces.into_iter().flatten().filter_map(|namespace| {
        let name = match namespace.typ() {
            LinuxNamespaceType::Network => "net",
            LinuxNamespaceType::Pid => "pid",
            _ => return None,
        };
        let path = namespace.path().as_deref()?;
        (!path.as_os_str().is_empty()).then_some((path, name))
    })
}

/// The directory that is the container's root.
pub(super) fn root_of(spec: &Spec, bundle: &Path) -> Result<PathBuf, Error> {
    let root = spec.root().as_ref();
    root.map(|root| bundle.join(root.path()))
        .ok_or_else(|| Error::invalid("root", "is missing"))
}

fn read(path: &str) -> Result<String, Error> {
    let text = sys::fd::open_read(path.as_ref())
        .and_then(|file| sys::fd::read_to_end(file, 64 << 20))
        .doing(|| format!("read {path}"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// CRIU's name for a stream that is the host's: a pipe, or a file that no mount of the container
/// leads to.
fn outside_stream(
    pid: i32,
    number: usize,
    inside: &std::collections::BTreeSet<u32>,
) -> Result<String, Error> {
    use std::os::unix::fs::MetadataExt;
    let path = format!("/proc/{pid}/fd/{number}");
    let Ok(link) = std::fs::read_link(&path) else {
        return Ok(String::new());
    };
    let link = link.to_string_lossy();
    if link.starts_with("pipe:") {
        return Ok(link.into_owned());
    }
    let info = read(&format!("/proc/{pid}/fdinfo/{number}"))?;
    let mut lines = info.lines();
    let mount = lines.find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u32>().ok());
    let metadata = std::fs::metadata(&path).ok();
    Ok(match (mount, metadata) {
        (Some(mount), Some(metadata)) if link.starts_with('/') && !inside.contains(&mount) => {
            format!("file[{mount:x}:{:x}]", metadata.ino())
        }
        _ => String::new(),
    })
}

fn note(images: &Path, outside: &Outside) -> Result<(), Error> {
    let path = images.join(NOTE);
    let text = serde_json::to_vec(outside).unwrap_or_default();
    sys::file::replace_unsynced(&path, &text, 0o600).doing(|| format!("write {}", path.display()))
}
