//! Capabilities: Docker's fourteen, more or fewer.

use oci_spec::runtime::{Capability, LinuxCapabilities};
use sys::caps::NAMES;
use types::Security;

use super::{Error, HostFacts};

/// What every container has unless told otherwise.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities; bit n is capability n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Set(u64);

impl Set {
    /// Every capability that the kernel knows and the daemon can give.
    fn available(host: &HostFacts) -> Self {
        let known = u64::MAX >> (63 - host.last_capability.min(63));
        let named = u64::MAX >> (64 - NAMES.len());
        Self(known & named & host.bounding)
    }

    fn one(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(Self(1 << number))
    }

    /// Whether it has the capability of this name, with or without `CAP_`.
    pub(super) fn has(self, name: &str) -> bool {
        Self::one(name.strip_prefix("CAP_").unwrap_or(name)).is_some_and(|c| self.0 & c.0 != 0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |name| self.has(name))
    }
}

/// A list as users write it.
struct List {
    all: bool,
    set: Set,
}

impl List {
    fn parse(field: &'static str, words: &[String]) -> Result<Self, Error> {
        let mut list = Self {
            all: false,
            set: Set::default(),
        };
        for word in words {
            let upper = word.trim().to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
            match Set::one(name) {
                Some(one) => list.set.0 |= one.0,
                None if name == "ALL" => list.all = true,
                None => {
                    return Err(Error::Capability {
                        field,
                        name: word.clone(),
                    });
                }
            }
        }
        Ok(list)
    }
}

/// The capabilities of a container's processes when they are root.
pub(super) fn of_container(security: &Security, host: &HostFacts) -> Result<Set, Error> {
    let add = List::parse("CapAdd", &security.cap_add)?;
    let drop = List::parse("CapDrop", &security.cap_drop)?;
    let available = Set::available(host);
    if security.privileged {
        return Ok(available);
    }
    if let Some(name) = Set(add.set.0 & !available.0).names().next() {
        return Err(Error::UnavailableCapability {
            name: format!("CAP_{name}"),
        });
    }
    let default = DEFAULT
        .iter()
        .filter_map(|name| Set::one(name))
        .fold(0, |set, one| set | one.0);
    // Dropping all keeps what is added by name; adding all keeps out what is dropped by name;
    // between two names the addition wins.
    Ok(Set(if add.all {
        available.0 & !drop.set.0
    } else if drop.all {
        add.set.0
    } else {
        (default & available.0 & !drop.set.0) | add.set.0
    }))
}

/// All that can be had, for a privileged exec session.
pub(super) fn everything(host: &HostFacts) -> Set {
    Set::available(host)
}

/// The sets of a process. Another user than root gets them in its bounding set only, as execve(2)
/// of an unprivileged user would leave them; nobody gets inheritable ones (CVE-2022-24769).
pub(super) fn sets(set: Set, uid: u32) -> LinuxCapabilities {
    let all: oci_spec::runtime::Capabilities = set
        .names()
        .filter_map(|name| name.parse::<Capability>().ok())
        .collect();
    let held = (uid == 0).then(|| all.clone());
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(all));
    sets.set_effective(held.clone());
    sets.set_permitted(held);
    sets.set_inheritable(None);
    sets.set_ambient(None);
    sets
}

/// The name of a capability by number.
#[cfg(test)]
pub(super) fn name(number: usize) -> Option<String> {
    NAMES.get(number).map(|name| format!("CAP_{name}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    fn show(add: &[&str], drop: &[&str]) -> String {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        let security = Security {
            cap_add: own(add),
            cap_drop: own(drop),
            ..Security::default()
        };
        match of_container(&security, &host()) {
            Ok(set) => set.names().collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lists_are_added_and_dropped() {
        assert_eq!(show(&[], &[]).split(' ').count(), 14);
        assert_eq!(show(&["ALL"], &[]).split(' ').count(), 41);
        assert_eq!(show(&[], &["all"]), "");
        assert_eq!(show(&["CAP_sys_admin"], &["ALL"]), "SYS_ADMIN");
        assert_eq!(show(&["ALL"], &["chown"]).split(' ').count(), 40);
        assert!(show(&["CHOWN"], &["CHOWN"]).starts_with("CHOWN "));
        assert_eq!(
            show(&["NOPE"], &[]),
            "invalid CapAdd: unknown capability: \"NOPE\"; a name as in capabilities(7), or ALL, \
             is expected"
        );
        assert!(show(&[], &["CAP_"]).starts_with("invalid CapDrop"));
    }

    #[test]
    fn what_the_machine_lacks_is_refused_or_left_out() {
        let small = HostFacts {
            last_capability: 37,
            bounding: !1,
            ..host()
        };
        let security = Security::default();
        let set = of_container(&security, &small).unwrap();
        assert!(!set.has("CAP_CHOWN") && set.has("KILL"));
        let security = Security {
            cap_add: vec!["BPF".to_owned()],
            ..Security::default()
        };
        assert_eq!(
            of_container(&security, &small).unwrap_err(),
            Error::UnavailableCapability {
                name: "CAP_BPF".to_owned()
            }
        );
    }

    #[test]
    fn every_name_is_one_of_the_specification() {
        for name in NAMES {
            let parsed: Capability = name.parse().unwrap();
            assert_eq!(
                serde_json::to_string(&parsed).unwrap(),
                format!("\"CAP_{name}\"")
            );
        }
    }
}
