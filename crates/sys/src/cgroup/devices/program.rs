//! Device rules as a program of version 2 (BPF_PROG_TYPE_CGROUP_DEVICE).

use std::fs::File;
use std::io;
use std::path::Path;

use super::bpf::{self, Insn};
use super::{DeviceRule, DeviceType};
use crate::cgroup::{Cgroup, Error};

/// The program: asked for every opening and making of a device node, answers 1 to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cgroup) struct DeviceFilter {
    program: Vec<Insn>,
}

// Registers. The kernel passes the context in R1 and reads the answer from R0.
const R0: u8 = 0;
const R1: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

impl DeviceFilter {
    pub(in crate::cgroup) fn new(rules: &[DeviceRule]) -> Self {
        // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor, 32 bits each.
        let mut program = vec![
            Insn::load32(KIND, R1, 0),
            Insn::copy(ACCESS, KIND),
            Insn::and(KIND, 0xffff),
            Insn::shift_right(ACCESS, 16),
            Insn::load32(MAJOR, R1, 4),
            Insn::load32(MINOR, R1, 8),
        ];
        // The last rule wins, so the program asks it first. A use may be of several kinds at once,
        // reading and writing: the ones a rule allows are struck off, what is left goes on to the
        // rule before.
        let mut decided = false;
        for rule in rules.iter().rev() {
            if let Some(block) = block(rule) {
                program.extend(block);
            }
            if rule.kind == DeviceType::All {
                decided = true;
                break;
            }
        }
        if !decided {
            program.extend(answer(false));
        }
        Self { program }
    }

    pub(in crate::cgroup) fn apply(&self, cgroup: &Cgroup) -> Result<(), Error> {
        self.attach(&Target::open(cgroup)?)
    }

    /// Puts the program in the place of those that are there. The new one is attached first: at no
    /// moment is anything allowed that neither the old nor the new one allows.
    pub(in crate::cgroup) fn replace(&self, cgroup: &Cgroup) -> Result<(), Error> {
        let target = Target::open(cgroup)?;
        let old = bpf::attached_device_programs(&target.directory);
        let old = old.map_err(|e| target.failed("list", e))?;
        self.attach(&target)?;
        old.iter().try_for_each(|program| {
            bpf::detach_device_program(program, &target.directory)
                .map_err(|e| target.failed("detach", e))
        })
    }

    fn attach(&self, target: &Target<'_>) -> Result<(), Error> {
        let program = bpf::load_device_program(&self.program);
        let program = program.map_err(|e| target.failed("load", e))?;
        bpf::attach_device_program(&program, &target.directory)
            .map_err(|e| target.failed("attach", e))
    }
}

/// The version 2 directory that programs are attached to.
struct Target<'a> {
    path: &'a Path,
    directory: File,
}

impl<'a> Target<'a> {
    fn open(cgroup: &'a Cgroup) -> Result<Self, Error> {
        let dir = cgroup.v2().ok_or_else(|| Error::Unsupported {
            limit: "device access",
            file: "version 2 hierarchy".to_owned(),
        })?;
        let directory = File::open(&dir.path).map_err(|source| Error::DeviceFilter {
            action: "open",
            path: dir.path.clone(),
            source,
        })?;
        Ok(Self {
            path: &dir.path,
            directory,
        })
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::DeviceFilter {
            action,
            path: self.path.to_owned(),
            source,
        }
    }
}

/// The instructions of one rule; none if no device can match it.
fn block(rule: &DeviceRule) -> Option<Vec<Insn>> {
    let mut tests = Vec::new();
    match rule.kind {
        DeviceType::All => return Some(answer(rule.allow).to_vec()),
        DeviceType::Block => tests.push((KIND, 1)),
        DeviceType::Char => tests.push((KIND, 2)),
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            // The kernel's numbers have 12 and 20 bits.
            tests.push((register, i32::try_from(number).ok()?));
        }
    }
    let access = i32::from(rule.access.bits());
    let verdict = match (rule.access == super::DeviceAccess::ALL, rule.allow) {
        (true, allow) => answer(allow).to_vec(),
        (false, true) => {
            let mut insns = vec![
                Insn::and(ACCESS, !access),
                Insn::skip_unless_zero(ACCESS, 2),
            ];
            insns.extend(answer(true));
            insns
        }
        (false, false) => {
            let mut insns = vec![Insn::skip_if_any(ACCESS, access, 1), Insn::skip(2)];
            insns.extend(answer(false));
            insns
        }
    };
    let mut insns = Vec::new();
    for (at, (register, value)) in tests.iter().enumerate() {
        let rest = tests.len() - at - 1 + verdict.len();
        insns.push(Insn::skip_unless_equal(
            *register,
            *value,
            i16::try_from(rest).ok()?,
        ));
    }
    insns.extend(verdict);
    Some(insns)
}

fn answer(allow: bool) -> [Insn; 2] {
    [Insn::set(R0, i32::from(allow)), Insn::exit()]
}

#[cfg(test)]
mod tests;
