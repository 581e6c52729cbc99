//! System call filters: from names and conditions to a program of the kernel's classic BPF.
//!
//! A [`Filter`] says what shall happen, [`Filter::compile`] makes a [`Program`] of it: per machine a
//! binary tree over ranges of numbers with the same verdict, so that a call passes some ten
//! instructions where a list would have hundreds. The rules mean what they mean to libseccomp, which
//! other runtimes use: names the machine does not have are passed over; a rule without conditions
//! decides alone; among rules with conditions the first that holds decides; a rule about a call that
//! can also be reached through socketcall(2) or ipc(2) is about that way too.
//!
//! One thing is stricter. Of many arguments the kernel reads only the low 32 bits: a protocol family
//! is an int. Only these bits are compared, so that a program cannot get past a rule about the rest
//! by setting the others (CVE-2019-10063 was that).

mod arch;
mod compile;
mod emit;
mod install;
mod numbers;

use std::io;

use types::ErrorKind;

pub use arch::Arch;
pub use install::{Flags, Program};

/// What shall happen to system calls.
#[derive(Debug, Clone)]
pub struct Filter<'a> {
    /// To those no rule is about.
    pub default: Action,
    /// Machines whose calls are filtered; this program's own is always among them. A call of another
    /// machine's kind kills the process. Those whose programs cannot run here change nothing.
    pub architectures: Vec<Arch>,
    /// The rules.
    pub rules: Vec<Rule<'a>>,
    /// Whether a call newer than every one that the rules name fails with ENOSYS, where `default`
    /// would refuse it otherwise: programs that try new calls take that for an old kernel and go on.
    /// runc does it.
    pub unknown_is_enosys: bool,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule<'a> {
    /// Calls by name.
    pub names: &'a [String],
    /// What happens to them.
    pub action: Action,
    /// All of which must hold; none always holds.
    pub conditions: Vec<Condition>,
}

/// What happens to a call, seccomp(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made and logged.
    Log,
    /// It fails with this error number.
    Errno(u16),
    /// A tracer decides; it gets this number.
    Trace(u16),
    /// A supervisor decides, seccomp_unotify(2).
    Notify,
    /// SIGSYS.
    Trap,
    /// The thread is killed.
    KillThread,
    /// The process is killed.
    KillProcess,
}

/// A condition on an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub argument: u8,
    /// How it is compared, as an unsigned number.
    pub compare: Compare,
    /// With what.
    pub value: u64,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// It is another.
    NotEqual,
    /// It is less.
    Less,
    /// It is less or the same.
    LessOrEqual,
    /// It is the same.
    Equal,
    /// It is greater or the same.
    GreaterOrEqual,
    /// It is greater.
    Greater,
    /// Its bits in this mask are the value.
    MaskedEqual(u64),
}

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no table for the machine.
    #[error("system calls cannot be filtered on this machine: its call numbers are not known")]
    UnknownMachine,
    /// An argument that no call has.
    #[error("a seccomp rule is about argument {0}; system calls have arguments 0 to 5")]
    Argument(u8),
    /// An error number that the kernel would cut off.
    #[error("a seccomp rule returns error number {0}; 4095 is the greatest")]
    ErrorNumber(u16),
    /// The kernel takes no longer program.
    #[error("the seccomp filter needs {0} instructions, the kernel takes 4096")]
    TooLong(usize),
    /// The kernel is too old for a flag.
    #[error("the seccomp filter wants {0}, which this kernel does not have")]
    Flag(&'static str),
    /// The kernel refused it.
    #[error("cannot install the seccomp filter")]
    Install(#[source] io::Error),
}

impl Error {
    /// A filter that cannot be is the request's fault.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Argument(_) | Self::ErrorNumber(_) | Self::TooLong(_) => ErrorKind::Invalid,
            Self::UnknownMachine | Self::Flag(_) => ErrorKind::Unsupported,
            Self::Install(_) => ErrorKind::Internal,
        }
    }
}

impl Action {
    /// The number the program returns, linux/seccomp.h.
    fn code(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(message) => 0x7ff0_0000 | u32::from(message),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// Whether calls are kept from being made.
    fn refuses(self) -> bool {
        matches!(
            self,
            Self::Errno(_) | Self::Trap | Self::KillThread | Self::KillProcess
        )
    }
}

/// Whether a machine of ours has a call of this name.
pub fn is_known(name: &str) -> bool {
    arch::lookup(name).is_some()
}

#[cfg(test)]
mod tests;
