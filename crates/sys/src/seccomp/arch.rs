//! The machines whose system calls can be filtered.

use super::numbers::CALLS;

/// A machine, or a way of calling that it has beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 32-bit pointers on 64-bit x86.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit POWER, low byte first.
    Ppc64le,
    /// 64-bit z/Architecture.
    S390x,
    /// 64-bit `LoongArch`.
    Loongarch64,
}

/// The bit that marks a number as x32's.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Numbers from here on are ARM's own, not in line with the others.
pub(super) const PRIVATE: u32 = 0x000f_0000;

/// A system call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    /// The arguments that the kernel reads 32 bits of at most, as bits; the first is bit 0.
    pub(super) narrow: u8,
    /// By which call it can be reached too, on machines that have that one.
    pub(super) multiplexed: Multiplexed,
    /// Its numbers in the order of [`Arch`], without [`X32_BIT`]; -1 where there is no such call.
    pub(super) numbers: [i32; 9],
}

/// A call that stands for many takes which one as its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Multiplexed {
    /// It is reached by its own number only.
    No,
    /// By socketcall(2), with this argument.
    Socket(u8),
    /// By ipc(2), with this argument.
    Ipc(u8),
}

impl Arch {
    /// What this program was compiled for.
    pub fn native() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "x86" => Some(Self::X86),
            "aarch64" => Some(Self::Aarch64),
            "arm" => Some(Self::Arm),
            "riscv64" => Some(Self::Riscv64),
            "powerpc64" if cfg!(target_endian = "little") => Some(Self::Ppc64le),
            "s390x" => Some(Self::S390x),
            "loongarch64" => Some(Self::Loongarch64),
            _ => None,
        }
    }

    /// From the name that the OCI specification uses, `SCMP_ARCH_X86_64`. None for machines whose
    /// programs run on none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_NATIVE" => Self::native(),
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X86" => Some(Self::X86),
            "SCMP_ARCH_X32" => Some(Self::X32),
            "SCMP_ARCH_AARCH64" => Some(Self::Aarch64),
            "SCMP_ARCH_ARM" => Some(Self::Arm),
            "SCMP_ARCH_RISCV64" => Some(Self::Riscv64),
            "SCMP_ARCH_PPC64LE" => Some(Self::Ppc64le),
            "SCMP_ARCH_S390X" => Some(Self::S390x),
            "SCMP_ARCH_LOONGARCH64" => Some(Self::Loongarch64),
            _ => None,
        }
    }

    /// Those whose programs a kernel of this machine can run, itself among them.
    pub(super) fn family(self) -> &'static [Self] {
        match self {
            Self::X86_64 | Self::X86 | Self::X32 => &[Self::X86_64, Self::X86, Self::X32],
            Self::Aarch64 | Self::Arm => &[Self::Aarch64, Self::Arm],
            Self::Riscv64 => &[Self::Riscv64],
            Self::Ppc64le => &[Self::Ppc64le],
            Self::S390x => &[Self::S390x],
            Self::Loongarch64 => &[Self::Loongarch64],
        }
    }

    /// What the kernel says in `seccomp_data.arch`, linux/audit.h.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
            Self::Ppc64le => 0xc000_0015,
            Self::S390x => 0x8000_0016,
            Self::Loongarch64 => 0xc000_0102,
        }
    }

    /// Whether the high half of an argument is the first in memory.
    pub(super) fn high_half_first(self) -> bool {
        self == Self::S390x
    }

    /// Whether registers have 32 bits, so that the high half of an argument is always zero.
    pub(super) fn is_32_bit(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }

    /// The first number of its range; `X86_64` and `X32` share a machine.
    pub(super) fn base(self) -> u32 {
        match self {
            Self::X32 => X32_BIT,
            _ => 0,
        }
    }

    /// The number, with base, of a call.
    pub(super) fn number(self, call: &Call) -> Option<u32> {
        let number = u32::try_from(call.numbers[self as usize]).ok()?;
        Some(self.base() + number)
    }
}

/// A call by name.
pub(super) fn lookup(name: &str) -> Option<&'static Call> {
    let at = CALLS.binary_search_by(|call| call.name.cmp(name));
    Some(&CALLS[at.ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_right() {
        assert!(CALLS.is_sorted_by(|a, b| a.name < b.name));
        let number = |arch: Arch, name| arch.number(lookup(name).unwrap());
        assert_eq!(number(Arch::X86_64, "read"), Some(0));
        assert_eq!(number(Arch::X86, "socketcall"), Some(102));
        assert_eq!(number(Arch::X86_64, "socketcall"), None);
        assert_eq!(number(Arch::X32, "ioctl"), Some(X32_BIT + 514));
        assert_eq!(number(Arch::Aarch64, "openat"), Some(56));
        assert_eq!(number(Arch::Arm, "set_tls"), Some(PRIVATE + 5));
        assert_eq!(number(Arch::Riscv64, "riscv_hwprobe"), Some(258));
        assert_eq!(number(Arch::Ppc64le, "swapcontext"), Some(249));
        assert_eq!(number(Arch::S390x, "s390_pci_mmio_read"), Some(353));
        assert_eq!(number(Arch::Loongarch64, "clone3"), Some(435));
        assert!(lookup("nonsense").is_none());
        assert_eq!(number(Arch::X86_64, "file_setattr"), Some(469));
    }

    /// The kernel's prototypes: socket(int, int, int), ioctl(unsigned, unsigned, unsigned long).
    #[test]
    fn the_table_knows_how_wide_arguments_are() {
        let narrow = |name| lookup(name).unwrap().narrow;
        assert_eq!(narrow("socket"), 0b111);
        assert_eq!(narrow("ioctl"), 0b011);
        assert_eq!(narrow("personality"), 0b001);
        assert_eq!(narrow("clone"), 0);
        assert_eq!(narrow("mmap"), 0);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_c_library_has_the_same_numbers() {
        let same = |name, number: libc::c_long| {
            let ours = Arch::X86_64.number(lookup(name).unwrap()).unwrap();
            assert_eq!(libc::c_long::from(ours), number, "{name}");
        };
        same("clone3", libc::SYS_clone3);
        same("personality", libc::SYS_personality);
        same("mseal", libc::SYS_mseal);
        same("unshare", libc::SYS_unshare);
    }
}
