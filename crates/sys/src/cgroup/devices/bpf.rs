//! The few instructions of eBPF that device programs need, and bpf(2) to load and attach them.
#![allow(
    unsafe_code,
    reason = "bpf(2) has no safe wrapper and takes a union by pointer"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One instruction, `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Insn {
    pub(super) code: u8,
    /// Destination in the low half, source in the high half.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) value: i32,
}

/// BPF_LDX | BPF_W | BPF_MEM
pub(super) const LOAD32: u8 = 0x61;
/// BPF_ALU64 | BPF_MOV | BPF_X
pub(super) const COPY: u8 = 0xbf;
/// BPF_ALU64 | BPF_MOV | BPF_K
pub(super) const SET: u8 = 0xb7;
/// BPF_ALU64 | BPF_AND | BPF_K
pub(super) const AND: u8 = 0x57;
/// BPF_ALU64 | BPF_RSH | BPF_K
pub(super) const SHIFT_RIGHT: u8 = 0x77;
/// BPF_JMP | BPF_JNE | BPF_K
pub(super) const SKIP_UNLESS_EQUAL: u8 = 0x55;
/// BPF_JMP | BPF_JSET | BPF_K
pub(super) const SKIP_IF_ANY: u8 = 0x45;
/// BPF_JMP | BPF_JA
pub(super) const SKIP: u8 = 0x05;
/// BPF_JMP | BPF_EXIT
pub(super) const EXIT: u8 = 0x95;

impl Insn {
    fn new(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Self {
        Self {
            code,
            registers: from << 4 | to,
            offset,
            value,
        }
    }

    pub(super) fn load32(to: u8, base: u8, offset: i16) -> Self {
        Self::new(LOAD32, to, base, offset, 0)
    }

    pub(super) fn copy(to: u8, from: u8) -> Self {
        Self::new(COPY, to, from, 0, 0)
    }

    pub(super) fn set(to: u8, value: i32) -> Self {
        Self::new(SET, to, 0, 0, value)
    }

    pub(super) fn and(to: u8, value: i32) -> Self {
        Self::new(AND, to, 0, 0, value)
    }

    pub(super) fn shift_right(to: u8, bits: i32) -> Self {
        Self::new(SHIFT_RIGHT, to, 0, 0, bits)
    }

    pub(super) fn skip_unless_equal(register: u8, value: i32, count: i16) -> Self {
        Self::new(SKIP_UNLESS_EQUAL, register, 0, count, value)
    }

    pub(super) fn skip_unless_zero(register: u8, count: i16) -> Self {
        Self::skip_unless_equal(register, 0, count)
    }

    pub(super) fn skip_if_any(register: u8, bits: i32, count: i16) -> Self {
        Self::new(SKIP_IF_ANY, register, 0, count, bits)
    }

    pub(super) fn skip(count: i16) -> Self {
        Self::new(SKIP, 0, 0, count, 0)
    }

    pub(super) fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Lets programs of other owners, above and below, be asked too: all must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` that BPF_PROG_LOAD reads.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kernel_version: u32,
    flags: u32,
}

/// How many programs of one cgroup the kernel takes (BPF_CGROUP_MAX_PROGS).
const MOST_PROGRAMS: usize = 64;

/// The part of `union bpf_attr` that BPF_PROG_GET_FD_BY_ID reads.
#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_QUERY reads and writes.
#[repr(C)]
struct QueryAttr {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    reserved: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_ATTACH and BPF_PROG_DETACH read.
#[repr(C)]
struct AttachAttr {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Has the kernel check and take a device program.
pub(super) fn load_device_program(program: &[Insn]) -> io::Result<OwnedFd> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_count: u32::try_from(program.len()).map_err(too_long)?,
        insns: program.as_ptr().expose_provenance() as u64,
        license: c"Apache-2.0".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `LoadAttr` is a prefix of what BPF_PROG_LOAD reads (linux/bpf.h), all of it written;
    // `insns` and `license` point to memory that outlives the call, with as many instructions as
    // `insn_count` says and a terminating zero.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attr) }?;
    // SAFETY: BPF_PROG_LOAD returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a version 2 cgroup, which keeps it until it is removed.
pub(super) fn attach_device_program(program: &impl AsFd, cgroup: &impl AsFd) -> io::Result<()> {
    let mut attr = AttachAttr::new(program, cgroup, BPF_F_ALLOW_MULTI)?;
    // SAFETY: `AttachAttr` is a prefix of what BPF_PROG_ATTACH reads, all of it written, without
    // pointers; both descriptors are borrowed for the call.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// Takes a device program off a version 2 cgroup.
pub(super) fn detach_device_program(program: &impl AsFd, cgroup: &impl AsFd) -> io::Result<()> {
    let mut attr = AttachAttr::new(program, cgroup, 0)?;
    // SAFETY: `AttachAttr` is a prefix of what BPF_PROG_DETACH reads, all of it written, without
    // pointers; both descriptors are borrowed for the call.
    unsafe { bpf(BPF_PROG_DETACH, &mut attr) }.map(drop)
}

/// The device programs that are attached to a version 2 cgroup itself.
pub(super) fn attached_device_programs(cgroup: &impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut attr = QueryAttr {
        target: number(cgroup)?,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr().expose_provenance() as u64,
        count: u32::try_from(ids.len()).map_err(io::Error::other)?,
        reserved: 0,
    };
    // SAFETY: `QueryAttr` is a prefix of what BPF_PROG_QUERY reads and writes, all of it written;
    // `ids` points to `count` numbers that outlive the call and that nobody reads meanwhile.
    unsafe { bpf(BPF_PROG_QUERY, &mut attr) }?;
    let count = usize::try_from(attr.count).unwrap_or(0).min(ids.len());
    ids[..count].iter().map(|id| program_by_id(*id)).collect()
}

fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = IdAttr {
        id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: `IdAttr` is a prefix of what BPF_PROG_GET_FD_BY_ID reads, all of it written, without
    // pointers.
    let fd = unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut attr) }?;
    // SAFETY: BPF_PROG_GET_FD_BY_ID returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: &impl AsFd) -> io::Result<u32> {
    u32::try_from(fd.as_fd().as_raw_fd()).map_err(io::Error::other)
}

impl AttachAttr {
    fn new(program: &impl AsFd, cgroup: &impl AsFd, flags: u32) -> io::Result<Self> {
        Ok(Self {
            target: number(cgroup)?,
            program: number(program)?,
            attach_type: BPF_CGROUP_DEVICE,
            flags,
        })
    }
}

/// bpf(2), again when interrupted: the verifier gives up on a pending signal.
///
/// # Safety
/// `attr` must be a prefix of `union bpf_attr` that is valid for `command`.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    for _ in 0..8 {
        // SAFETY: the kernel reads and may write `size_of::<T>()` bytes at `attr`, which is a live
        // exclusive reference to a T; what the bytes mean is the caller's promise.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                std::ptr::from_mut(attr),
                size_of::<T>(),
            )
        };
        match libc::c_int::try_from(result) {
            Ok(result) if result >= 0 => return Ok(result),
            _ => {
                let error = io::Error::last_os_error();
                if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) {
                    return Err(error);
                }
            }
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}
