//! A container's processes written to images and brought back, by CRIU (criu(8)).
//!
//! What belongs to the host is not in the images: it is named at the dump, noted beside the images,
//! and handed over at the restore.

mod criu;
mod dump;
mod outside;
mod protobuf;
mod restore;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use oci_spec::runtime::Spec;

use criu::Directories;
use protobuf::Writer;

pub use restore::{RestoreRequest, Restored, restore};

/// What is noted beside the images.
const NOTE: &str = "brig.json";

/// What [`crate::Container::checkpoint`] needs.
#[derive(Debug)]
pub struct CheckpointRequest<'a> {
    /// The configuration the container was made with.
    pub spec: &'a Spec,
    /// The bundle it was made from.
    pub bundle: &'a Path,
    /// The directory for the images; made if it is not there.
    pub images: &'a Path,
    /// The directory of earlier images, from that one on, of which only the changes are written.
    pub parent: Option<&'a str>,
    /// Only memory, of a container that goes on.
    pub pre_dump: bool,
    /// Whether the container goes on afterwards.
    pub leave_running: bool,
    /// Unlinked files are linked again for the images.
    pub link_remap: bool,
    /// Connections that are being made are left out.
    pub skip_in_flight: bool,
    /// Where memory is sent instead of into the images: address and port.
    pub page_server: Option<(&'a str, u16)>,
    /// Told by a zero byte when lazy pages can be asked for.
    pub status_fd: Option<BorrowedFd<'a>>,
    /// What dump and restore have in common.
    pub options: CriuOptions<'a>,
}

/// How CRIU goes about it.
#[derive(Debug, Default)]
pub struct CriuOptions<'a> {
    /// The program; by the path if nothing is said.
    pub program: Option<&'a Path>,
    /// The directory for logs and what is needed meanwhile; that of the images if nothing is said.
    pub work: Option<&'a Path>,
    /// Open TCP connections are taken along.
    pub tcp_established: bool,
    /// Unix sockets may lead outside.
    pub external_unix_sockets: bool,
    /// The processes may belong to a terminal outside.
    pub shell_job: bool,
    /// File locks are taken along.
    pub file_locks: bool,
    /// Memory is brought only when it is used.
    pub lazy_pages: bool,
    /// Pages that are in a later image are dropped from the earlier.
    pub auto_dedup: bool,
    /// What becomes of cgroups.
    pub cgroups: CgroupsMode,
    /// Kinds of namespaces whose contents are left out: CLONE_NEW* flags.
    pub empty_namespaces: u32,
}

/// What CRIU does about cgroups (its `--manage-cgroups`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupsMode {
    /// Nothing.
    Ignore,
    /// Properties of those it makes.
    #[default]
    Soft,
    /// All properties.
    Full,
    /// All, and none may be there before.
    Strict,
}

impl CgroupsMode {
    /// `criu_cg_mode`.
    fn number(self) -> u64 {
        match self {
            Self::Ignore => 0,
            Self::Soft => 3,
            Self::Full => 4,
            Self::Strict => 5,
        }
    }
}

/// CRIU opens these of its caller, by the caller's numbers.
fn own_number(fd: impl AsFd) -> u64 {
    fd.as_fd().as_raw_fd().unsigned_abs().into()
}

/// The annotation that names a configuration file for CRIU.
const CONFIG: &str = "org.criu.config";
/// Otherwise it is this one, which runc has made known, if it is there.
const USUAL_CONFIG: &str = "/etc/criu/runc.conf";

impl CriuOptions<'_> {
    /// The fields of `criu_opts` that both requests have.
    fn write(&self, directories: &Directories, log: &str, spec: &Spec, to: &mut Writer) {
        to.number(1, own_number(&directories.images))
            .flag(4, self.external_unix_sockets)
            .flag(5, self.tcp_established)
            .flag(7, self.shell_job)
            .flag(8, self.file_locks)
            .number(9, 4)
            .text(10, log)
            .flag(12, true)
            .flag(16, self.auto_dedup)
            .number(17, own_number(&directories.work))
            .flag(24, true)
            .number(34, self.cgroups.number())
            .flag(48, self.lazy_pages)
            .flag(50, true);
        if self.empty_namespaces != 0 {
            to.number(38, self.empty_namespaces.into());
        }
        let annotations = spec.annotations().as_ref();
        let named = annotations.and_then(|all| all.get(CONFIG)).cloned();
        let usual = || {
            Path::new(USUAL_CONFIG)
                .exists()
                .then(|| USUAL_CONFIG.to_owned())
        };
        if let Some(config) = named.or_else(usual) {
            to.text(51, &config);
        }
    }
}
