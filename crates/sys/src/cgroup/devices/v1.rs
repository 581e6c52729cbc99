//! Device rules as entries of version 1's devices controller.

use super::{DeviceAccess, DeviceRule, DeviceType};
use crate::cgroup::{Cgroup, Error, read};

/// What the controller is brought to: a default and the exceptions from it.
///
/// The controller keeps no order of rules. Writing them one by one would lose a rule that takes a
/// part away from a wider one, silently; so the rules are added up here, and what the controller
/// cannot express is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cgroup) struct V1Devices {
    default_allow: bool,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exception {
    kind: DeviceType,
    major: Option<u32>,
    minor: Option<u32>,
    access: DeviceAccess,
}

impl Exception {
    fn same_devices(&self, rule: &DeviceRule) -> bool {
        (self.kind, self.major, self.minor) == (rule.kind, rule.major, rule.minor)
    }

    fn overlaps(&self, rule: &DeviceRule) -> bool {
        let number = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == rule.kind
            && number(self.major, rule.major)
            && number(self.minor, rule.minor)
            && self.access.bits() & rule.access.bits() != 0
    }

    /// Whether the rule is about every device that the exception is about.
    fn within(&self, rule: &DeviceRule) -> bool {
        let number = |inner: Option<u32>, outer: Option<u32>| outer.is_none() || inner == outer;
        self.kind == rule.kind && number(self.major, rule.major) && number(self.minor, rule.minor)
    }
}

impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            DeviceType::All => 'a',
            DeviceType::Char => 'c',
            DeviceType::Block => 'b',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let (major, minor) = (number(self.major), number(self.minor));
        write!(f, "{kind} {major}:{minor} {}", self.access)
    }
}

impl V1Devices {
    pub(in crate::cgroup) fn new(rules: &[DeviceRule]) -> Result<Self, Error> {
        let mut sum = Self {
            default_allow: false,
            exceptions: Vec::new(),
        };
        for rule in rules {
            sum.add(rule)?;
        }
        Ok(sum)
    }

    fn add(&mut self, rule: &DeviceRule) -> Result<(), Error> {
        if rule.kind == DeviceType::All {
            self.default_allow = rule.allow;
            self.exceptions.clear();
        } else if rule.allow == self.default_allow {
            self.take_back(rule)?;
        } else {
            self.except(rule);
        }
        Ok(())
    }

    fn except(&mut self, rule: &DeviceRule) {
        if let Some(known) = self.exceptions.iter_mut().find(|e| e.same_devices(rule)) {
            known.access = known.access.union(rule.access);
        } else {
            self.exceptions.push(Exception {
                kind: rule.kind,
                major: rule.major,
                minor: rule.minor,
                access: rule.access,
            });
        }
    }

    fn take_back(&mut self, rule: &DeviceRule) -> Result<(), Error> {
        for known in self.exceptions.iter_mut().filter(|e| e.overlaps(rule)) {
            if !known.within(rule) {
                return Err(Error::Invalid {
                    limit: "device rules",
                    reason: format!(
                        "cgroup version 1 cannot make an exception from the rule {known:?}",
                        known = known.to_string()
                    ),
                });
            }
            known.access = known.access.without(rule.access);
        }
        self.exceptions.retain(|e| !e.access.is_empty());
        Ok(())
    }

    /// File and value, in order.
    fn writes(&self) -> Vec<(&'static str, String)> {
        let (default, exception) = match self.default_allow {
            true => ("devices.allow", "devices.deny"),
            false => ("devices.deny", "devices.allow"),
        };
        std::iter::once((default, "a".to_owned()))
            .chain(self.exceptions.iter().map(|e| (exception, e.to_string())))
            .collect()
    }

    pub(in crate::cgroup) fn apply(&self, cgroup: &Cgroup) -> Result<(), Error> {
        let dir = cgroup
            .controller("devices")
            .ok_or_else(|| Error::Unsupported {
                limit: "device access",
                file: "devices.deny".to_owned(),
            })?;
        self.writes()
            .iter()
            .try_for_each(|(file, value)| read::write(&dir.path.join(file), value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    fn show(text: &str) -> String {
        match V1Devices::new(&rules(text)) {
            Ok(devices) => devices
                .writes()
                .iter()
                .map(|(file, value)| format!("{} {value}\n", &file["devices.".len()..]))
                .collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn allowed_devices_are_exceptions_from_denying_all() {
        assert_eq!(
            show("-a; +c *:* m; +c 1:3 r; +c 1:3 w; +c 136:* rwm"),
            "deny a\nallow c *:* m\nallow c 1:3 rw\nallow c 136:* rwm\n"
        );
        assert_eq!(show("+b 8:0 r"), "deny a\nallow b 8:0 r\n");
    }

    #[test]
    fn later_rules_take_back() {
        assert_eq!(show("-a; +c 1:3 rwm; -c 1:3 w"), "deny a\nallow c 1:3 rm\n");
        assert_eq!(show("-a; +c 1:3 rw; -c 1:* rwm"), "deny a\n");
        assert_eq!(show("-c 1:3 rwm; +a"), "allow a\n");
        assert_eq!(show("+a; -b 8:* w"), "allow a\ndeny b 8:* w\n");
    }

    #[test]
    fn what_version_1_cannot_say_is_refused() {
        assert_eq!(
            show("-a; +c *:* rwm; -c 10:200 rwm"),
            "invalid device rules: cgroup version 1 cannot make an exception from the rule \
             \"c *:* rwm\""
        );
    }
}
