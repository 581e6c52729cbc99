//! Devices for a command of a build. It gets what its build may have: what whoever began that allows (BuildKit's
//! entitlement `device`), and what its description allows everybody.

use std::collections::{BTreeMap, BTreeSet};

use super::{Registry, Unfulfilled, spec};

/// An annotation of a description: every build may have the device.
const FREE: &str = "org.mobyproject.buildkit.device.autoallow";
/// An annotation of a description: another name that builds may ask for, in the stead of the device's.
const CLASS: &str = "org.mobyproject.buildkit.device.class";

/// A device that a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// `vendor.com/class=name`; without a name it is the first of the class, with `*` it is all of them.
    pub name: &'a str,
    /// The command is nothing without it.
    pub required: bool,
}

/// What a build may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    all: bool,
    named: BTreeSet<String>,
    /// What is called otherwise in the build, by that name.
    aliases: BTreeMap<String, String>,
}

impl Grants {
    /// Reads them out of a build's entitlements, of which some are `device` or `device=NAME[,alias=NAME]`.
    ///
    /// # Errors
    /// When one is not written so.
    pub fn read(entitlements: &[String]) -> Result<Self, Unfulfilled> {
        let mut grants = Self::default();
        for entitlement in entitlements {
            match entitlement.split_once('=') {
                None if entitlement == "device" => grants.all = true,
                Some(("device", "")) => grants.all = true,
                Some(("device", device)) => grants.add(device)?,
                _ => {}
            }
        }
        Ok(grants)
    }

    fn add(&mut self, device: &str) -> Result<(), Unfulfilled> {
        let Some((name, more)) = device.split_once(',') else {
            self.named.insert(device.to_owned());
            return Ok(());
        };
        match more.strip_prefix("alias=") {
            Some(alias) if !alias.is_empty() && !alias.contains(',') => {
                self.aliases.insert(alias.to_owned(), name.to_owned());
                Ok(())
            }
            _ => Err(Unfulfilled::Grant(device.to_owned())),
        }
    }
}

impl Registry {
    /// The whole names of what a command gets.
    ///
    /// # Errors
    /// When something required is not described, or something described is not allowed.
    pub fn for_build(
        &self,
        wanted: &[Wanted<'_>],
        grants: &Grants,
    ) -> Result<Vec<String>, Unfulfilled> {
        let mut allowed = BTreeSet::new();
        for name in &grants.named {
            allowed.extend(self.found(name)?);
        }
        let mut given: Vec<String> = Vec::new();
        let mut forbidden = Vec::new();
        for one in wanted {
            let alias = grants.aliases.get(one.name);
            let found = self.found(alias.map_or(one.name, String::as_str))?;
            if found.is_empty() && one.required {
                return Err(Unfulfilled::NotThere(one.name.to_owned()));
            }
            for device in found {
                let may = grants.all || alias.is_some() || allowed.contains(&device);
                let list = match may || self.is(&device, FREE, is_true) {
                    true => &mut given,
                    false => &mut forbidden,
                };
                if !list.contains(&device) {
                    list.push(device);
                }
            }
        }
        match forbidden.is_empty() {
            true => Ok(given),
            false => Err(Unfulfilled::Forbidden(forbidden)),
        }
    }

    /// What a build means by a name.
    fn found(&self, asked: &str) -> Result<Vec<String>, Unfulfilled> {
        let (kind, name) = asked.split_once('=').unwrap_or((asked, ""));
        if !spec::is_kind(kind) {
            return Err(Unfulfilled::Name(asked.to_owned()));
        }
        let of_kind = |device: &&str| device.split_once('=').is_some_and(|(of, _)| of == kind);
        let mut all = self.names().filter(of_kind).map(str::to_owned);
        Ok(match name {
            "" => all.take(1).collect(),
            "*" => all.collect(),
            _ => match all.find(|device| device == asked) {
                Some(device) => vec![device],
                None => {
                    let all = self.names().filter(of_kind);
                    let so = all.filter(|device| self.is(device, CLASS, |class| class == name));
                    so.map(str::to_owned).collect()
                }
            },
        })
    }

    fn is(&self, device: &str, annotation: &str, so: impl Fn(&str) -> bool) -> bool {
        let found = self.devices.get(device);
        let said = found.and_then(|found| found.annotations.get(annotation));
        said.is_some_and(|said| so(said))
    }
}

fn is_true(word: &str) -> bool {
    matches!(word, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: &str = r#"{"cdiVersion": "0.6.0", "kind": "acme.com/card", "devices": [
        {"name": "0", "containerEdits": {"env": ["A=0"]}},
        {"name": "1", "annotations": {"org.mobyproject.buildkit.device.class": "fast"},
         "containerEdits": {"env": ["A=1"]}},
        {"name": "2", "annotations": {"org.mobyproject.buildkit.device.autoallow": "true"},
         "containerEdits": {"env": ["A=2"]}}]}"#;

    fn asked(name: &str, required: bool, entitlements: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test")]
        std::fs::write(dir.path().join("cards.json"), CARDS).unwrap();
        let registry = Registry::read(&[dir.path().to_owned()]);
        let entitlements: Vec<String> = entitlements.iter().map(|e| (*e).to_owned()).collect();
        let given = Grants::read(&entitlements)
            .and_then(|grants| registry.for_build(&[Wanted { name, required }], &grants));
        match given {
            Ok(names) => names.join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_build_has_what_it_may() {
        let (zero, one) = ("acme.com/card=0", "acme.com/card=1");
        assert_eq!(asked(zero, true, &["device"]), zero);
        assert_eq!(asked("acme.com/card", true, &["device"]), zero);
        assert_eq!(
            asked(zero, true, &["network.host", "device=acme.com/card"]),
            zero
        );
        assert_eq!(asked("acme.com/card=2", true, &[]), "acme.com/card=2");
        assert_eq!(
            asked("acme.com/card=fast", true, &["device=acme.com/card=1"]),
            one
        );
        let alias = "device=acme.com/card=1,alias=my.com/card=x";
        assert_eq!(asked("my.com/card=x", true, &[alias]), one);
        let all = [zero, one, "acme.com/card=2"].join(" ");
        assert_eq!(
            asked("acme.com/card=*", false, &["device=acme.com/card=*"]),
            all
        );
        assert_eq!(asked("acme.com/none", false, &["device"]), "");
    }

    #[test]
    fn what_it_may_not_have_is_named() {
        let other = "device=acme.com/card=1";
        assert_eq!(
            asked("acme.com/card=0", false, &[other]),
            "device acme.com/card=0 is requested by the build but not allowed"
        );
        assert_eq!(
            asked("acme.com/card=*", false, &[]),
            "devices acme.com/card=0, acme.com/card=1 are requested by the build but not allowed"
        );
        assert_eq!(
            asked("acme.com/none=1", true, &["device"]),
            "required device \"acme.com/none=1\" is not registered"
        );
        assert_eq!(
            asked("/dev/fuse", true, &["device"]),
            "invalid device \"/dev/fuse\": vendor.com/class=name is expected"
        );
        assert_eq!(
            asked("acme.com/card", true, &["device=acme.com/card,name=x"]),
            "invalid entitlement device=acme.com/card,name=x: device=NAME[,alias=NAME] is expected"
        );
    }
}
