//! Device rules as entries of version 1's devices controller.

use super::{DeviceAccess, DeviceRule, DeviceType};
use crate::cgroup::{Cgroup, Dir, Error, read};

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

    fn same_as(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
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

    /// The controller's answer to [`V1Devices::writes`] read back, `devices.list`: for what denies
    /// by default. What allows by default it shows as allowing everything, whatever the exceptions.
    fn parse(list: &str) -> Self {
        let number = |text: &str| text.parse().ok();
        let line = |line: &str| {
            let mut words = line.split(' ');
            let kind = match words.next()? {
                "c" => DeviceType::Char,
                "b" => DeviceType::Block,
                _ => return None,
            };
            let (major, minor) = words.next()?.split_once(':')?;
            Some(Exception {
                kind,
                major: number(major),
                minor: number(minor),
                access: DeviceAccess::parse(words.next()?)?,
            })
        };
        Self {
            default_allow: list.lines().any(|l| l.starts_with('a')),
            exceptions: list.lines().filter_map(line).collect(),
        }
    }

    /// The default and the exceptions from it: two files, and what is written to each.
    fn writes(&self) -> [(&'static str, Vec<String>); 2] {
        let (default, exception) = match self.default_allow {
            true => (ALLOW, DENY),
            false => (DENY, ALLOW),
        };
        let exceptions = self.exceptions.iter().map(Exception::to_string).collect();
        [(default, vec!["a".to_owned()]), (exception, exceptions)]
    }

    /// What leads from `now` to here, with no moment in between in which more is denied than before
    /// and after.
    fn writes_from(&self, now: &Self) -> [(&'static str, Vec<String>); 2] {
        if self.default_allow || now.default_allow {
            return self.writes();
        }
        let less = |from: &Self, take: &Self| -> Vec<String> {
            let rest = |e: &Exception| {
                let same = take.exceptions.iter().filter(|t| t.same_as(e));
                let access = same.fold(e.access, |left, t| left.without(t.access));
                (!access.is_empty()).then(|| Exception { access, ..*e }.to_string())
            };
            from.exceptions.iter().filter_map(rest).collect()
        };
        [(ALLOW, less(self, now)), (DENY, less(now, self))]
    }

    pub(in crate::cgroup) fn apply(&self, cgroup: &Cgroup) -> Result<(), Error> {
        write(cgroup, &self.writes())
    }

    /// Replaces what is there.
    pub(in crate::cgroup) fn change(&self, cgroup: &Cgroup) -> Result<(), Error> {
        let list = read::text(&directory(cgroup)?.path.join("devices.list"))?;
        write(cgroup, &self.writes_from(&Self::parse(&list)))
    }
}

const ALLOW: &str = "devices.allow";
const DENY: &str = "devices.deny";

fn directory(cgroup: &Cgroup) -> Result<&Dir, Error> {
    cgroup
        .controller("devices")
        .ok_or_else(|| Error::Unsupported {
            limit: "device access",
            file: DENY.to_owned(),
        })
}

/// One rule a write(2) is what the controller takes; the file is opened once for all.
fn write(cgroup: &Cgroup, writes: &[(&str, Vec<String>)]) -> Result<(), Error> {
    let dir = directory(cgroup)?;
    for (file, values) in writes {
        let Some(first) = values.first() else {
            continue;
        };
        let path = dir.path.join(file);
        let file = read::open_to_write(&path, first)?;
        values
            .iter()
            .try_for_each(|value| read::write_to(&file, &path, value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    fn lines(writes: &[(&str, Vec<String>)]) -> String {
        let line = |file: &str, value: &String| format!("{} {value}\n", &file["devices.".len()..]);
        writes
            .iter()
            .flat_map(|(file, values)| values.iter().map(move |value| line(file, value)))
            .collect()
    }

    fn show(text: &str) -> String {
        match V1Devices::new(&rules(text)) {
            Ok(devices) => lines(&devices.writes()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_change_allows_first_and_denies_then() {
        let from = |now: &str, then: &str| {
            let now = V1Devices::parse(now);
            lines(&V1Devices::new(&rules(then)).unwrap().writes_from(&now))
        };
        let now = "c 1:3 rwm\nb *:* m\nc 10:200 rw\n";
        assert_eq!(
            from(now, "-a; +c 1:3 rwm; +b *:* m; +c 10:200 r; +c 136:* rw"),
            "allow c 136:* rw\ndeny c 10:200 w\n"
        );
        assert_eq!(from(now, "+a"), "allow a\n");
        assert_eq!(
            from("a *:* rwm\n", "-a; +c 1:3 r"),
            "deny a\nallow c 1:3 r\n"
        );
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
