//! Which devices a cgroup may use.
//!
//! The rules are those of the OCI specification: the last one that is about a device and a way of
//! using it decides, and what none is about is denied. Version 1 keeps them as entries of its
//! devices controller, version 2 as a small program.

mod bpf;
mod program;
mod v1;

pub(super) use program::DeviceFilter;
pub(super) use v1::V1Devices;

/// What kind of device a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceType {
    /// Every device; the numbers and the access of such a rule do not count.
    All,
    /// Character devices.
    Char,
    /// Block devices.
    Block,
}

/// Ways of using a device: a set of bits, as the kernel's device programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    /// Making a node, mknod(2).
    pub const MKNOD: Self = Self(1);
    /// Reading.
    pub const READ: Self = Self(2);
    /// Writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// From some of the letters `r`, `w` and `m`; none if another is among them.
    pub fn parse(text: &str) -> Option<Self> {
        text.chars().try_fold(Self(0), |set, letter| {
            let bit = match letter {
                'r' => Self::READ,
                'w' => Self::WRITE,
                'm' => Self::MKNOD,
                _ => return None,
            };
            Some(Self(set.0 | bit.0))
        })
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")]
            .iter()
            .filter(|(bit, _)| self.0 & bit.0 != 0)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// Which kind.
    pub kind: DeviceType,
    /// Which major number; none is every one.
    pub major: Option<u32>,
    /// Which minor number; none is every one.
    pub minor: Option<u32>,
    /// Which ways of using it.
    pub access: DeviceAccess,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rules from text: `-a; +c 1:* rw`.
    pub(in crate::cgroup) fn rules(text: &str) -> Vec<DeviceRule> {
        text.split(';').map(|r| rule(r.trim())).collect()
    }

    fn rule(text: &str) -> DeviceRule {
        let (sign, rest) = text.split_at(1);
        let mut words = rest.split(' ');
        let kind = match words.next() {
            Some("c") => DeviceType::Char,
            Some("b") => DeviceType::Block,
            _ => DeviceType::All,
        };
        let (major, minor) = words.next().unwrap_or("*:*").split_once(':').unwrap();
        DeviceRule {
            allow: sign == "+",
            kind,
            major: major.parse().ok(),
            minor: minor.parse().ok(),
            access: DeviceAccess::parse(words.next().unwrap_or("rwm")).unwrap(),
        }
    }

    #[test]
    fn access_is_letters() {
        let show = |text: &str| DeviceAccess::parse(text).map(|a| a.to_string());
        assert_eq!(show("mr").as_deref(), Some("rm"));
        assert_eq!(show("").as_deref(), Some(""));
        assert_eq!(show("rx"), None);
    }
}
