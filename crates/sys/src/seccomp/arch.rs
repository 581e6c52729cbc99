//! The machines whose system calls can be filtered.

use super::numbers::NUMBERS;

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
}

/// The bit that marks a number as x32's.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Numbers from here on are ARM's own, not in line with the others.
pub(super) const PRIVATE: u32 = 0x000f_0000;

impl Arch {
    /// What this program was compiled for.
    pub fn native() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "x86" => Some(Self::X86),
            "aarch64" => Some(Self::Aarch64),
            "arm" => Some(Self::Arm),
            _ => None,
        }
    }

    /// From the name that the OCI specification uses, `SCMP_ARCH_X86_64`. None for machines that
    /// none of ours can run the programs of.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_NATIVE" => Self::native(),
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X86" => Some(Self::X86),
            "SCMP_ARCH_X32" => Some(Self::X32),
            "SCMP_ARCH_AARCH64" => Some(Self::Aarch64),
            "SCMP_ARCH_ARM" => Some(Self::Arm),
            _ => None,
        }
    }

    /// What the kernel says in `seccomp_data.arch`, linux/audit.h.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The first number of its range; `X86_64` and `X32` share a machine.
    pub(super) fn base(self) -> u32 {
        match self {
            Self::X32 => X32_BIT,
            Self::X86_64 | Self::X86 | Self::Aarch64 | Self::Arm => 0,
        }
    }

    /// The number, with base, of a call that [`lookup`] found.
    pub(super) fn number(self, numbers: &[i32; 5]) -> Option<u32> {
        let column = match self {
            Self::X86_64 => 0,
            Self::X86 => 1,
            Self::X32 => 2,
            Self::Aarch64 => 3,
            Self::Arm => 4,
        };
        let number = u32::try_from(numbers[column]).ok()?;
        Some(self.base() + number)
    }
}

/// The numbers of a call by name.
pub(super) fn lookup(name: &str) -> Option<&'static [i32; 5]> {
    let at = NUMBERS.binary_search_by(|(known, _)| (*known).cmp(name));
    Some(&NUMBERS[at.ok()?].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_right() {
        assert!(NUMBERS.is_sorted_by(|a, b| a.0 < b.0));
        let number = |arch: Arch, name| arch.number(lookup(name).unwrap());
        assert_eq!(number(Arch::X86_64, "read"), Some(0));
        assert_eq!(number(Arch::X86, "socketcall"), Some(102));
        assert_eq!(number(Arch::X86_64, "socketcall"), None);
        assert_eq!(number(Arch::X32, "ioctl"), Some(X32_BIT + 514));
        assert_eq!(number(Arch::Aarch64, "openat"), Some(56));
        assert_eq!(number(Arch::Arm, "set_tls"), Some(PRIVATE + 5));
        assert!(lookup("nonsense").is_none());
        assert_eq!(number(Arch::X86_64, "file_setattr"), Some(469));
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
