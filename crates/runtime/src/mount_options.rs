//! The options of a mount, as fstab(5) and the OCI runtime specification write them, sorted by what
//! takes them. Pure.

use sys::mount::{Attributes, Change, Propagation};

/// Options sorted by what takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// A bind mount; recursive or not.
    pub(crate) bind: Option<bool>,
    /// Attributes of the mount itself.
    pub(crate) change: Change,
    /// Attributes of the mount and of all below it.
    pub(crate) recursive: Change,
    /// Propagation, in the order given; recursive or not.
    pub(crate) propagation: Vec<(Propagation, bool)>,
    /// What the directory held is copied into the new file system.
    pub(crate) copy_up: bool,
    /// Ids are to be translated.
    pub(crate) map_ids: bool,
    /// The file system's own parameters.
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

impl MountOptions {
    /// Sorts options. What is not known belongs to the file system.
    pub(crate) fn parse<S: AsRef<str>>(options: &[S]) -> Self {
        let mut sorted = Self::default();
        for option in options.iter().map(AsRef::as_ref) {
            sorted.take(option);
        }
        sorted
    }

    /// What the mount has of its own.
    pub(crate) fn attributes(&self) -> Attributes {
        self.change.set
    }

    fn take(&mut self, option: &str) {
        if let Some((attributes, set)) = attribute(option) {
            apply(&mut self.change, attributes, set);
            return;
        }
        if let Some((attributes, set)) = option.strip_prefix('r').and_then(attribute) {
            apply(&mut self.recursive, attributes, set);
            return;
        }
        if let Some(propagation) = propagation(option) {
            self.propagation.push(propagation);
            return;
        }
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "idmap" | "ridmap" => self.map_ids = true,
            // What a new mount is anyway, or what only mount(8) understands.
            "defaults" | "async" | "nomand" | "nolazytime" | "loud" | "silent" | "remount"
            | "norelatime" | "nostrictatime" | "auto" | "noauto" | "user" | "nouser"
            | "_netdev" | "nofail" | "" => {}
            _ => self.parameters.push(match option.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (option.to_owned(), None),
            }),
        }
    }
}

/// The attribute an option names, and whether it is to be had or not.
fn attribute(option: &str) -> Option<(Attributes, bool)> {
    let how_to_keep_atime = Attributes::NO_ATIME | Attributes::STRICT_ATIME;
    Some(match option {
        "ro" => (Attributes::READ_ONLY, true),
        "rw" => (Attributes::READ_ONLY, false),
        "nosuid" => (Attributes::NO_SUID, true),
        "suid" => (Attributes::NO_SUID, false),
        "nodev" => (Attributes::NO_DEV, true),
        "dev" => (Attributes::NO_DEV, false),
        "noexec" => (Attributes::NO_EXEC, true),
        "exec" => (Attributes::NO_EXEC, false),
        "noatime" => (Attributes::NO_ATIME, true),
        "atime" => (Attributes::NO_ATIME, false),
        "strictatime" => (Attributes::STRICT_ATIME, true),
        "relatime" => (how_to_keep_atime, false),
        "nodiratime" => (Attributes::NO_DIR_ATIME, true),
        "diratime" => (Attributes::NO_DIR_ATIME, false),
        "nosymfollow" => (Attributes::NO_SYMLINK_FOLLOW, true),
        "symfollow" => (Attributes::NO_SYMLINK_FOLLOW, false),
        _ => return None,
    })
}

/// The later option wins; of the ways to keep access times only one holds.
fn apply(change: &mut Change, attributes: Attributes, set: bool) {
    let atime = Attributes::NO_ATIME | Attributes::STRICT_ATIME;
    if attributes.intersects(atime) {
        change.set -= atime;
    }
    if set {
        change.set |= attributes;
        change.clear -= attributes;
    } else {
        change.set -= attributes;
        change.clear |= attributes;
    }
}

fn propagation(option: &str) -> Option<(Propagation, bool)> {
    Some(match option {
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}

/// Every option with a meaning of its own, for `features`.
pub(crate) const KNOWN: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "tmpcopyup",
    "unbindable",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> MountOptions {
        MountOptions::parse(&options.split(',').collect::<Vec<_>>())
    }

    #[test]
    fn options_go_where_they_belong() {
        let sorted = parse("rbind,rprivate,nosuid,ro,rw,rro,mode=755,newinstance");
        assert_eq!(sorted.bind, Some(true));
        assert_eq!(sorted.propagation, [(Propagation::Private, true)]);
        assert_eq!(sorted.change.set, Attributes::NO_SUID);
        assert_eq!(sorted.change.clear, Attributes::READ_ONLY);
        assert_eq!(sorted.recursive.set, Attributes::READ_ONLY);
        let own = [
            ("mode".to_owned(), Some("755".to_owned())),
            ("newinstance".to_owned(), None),
        ];
        assert_eq!(sorted.parameters, own);
    }

    #[test]
    fn the_last_way_to_keep_access_times_wins() {
        assert_eq!(
            parse("noatime,strictatime").change.set,
            Attributes::STRICT_ATIME
        );
        assert_eq!(
            parse("strictatime,relatime").change.set,
            Attributes::empty()
        );
        assert_eq!(parse("relatime,noatime").change.set, Attributes::NO_ATIME);
    }

    #[test]
    fn every_known_option_is_known() {
        for option in KNOWN {
            assert_eq!(parse(option).parameters, [], "{option}");
        }
    }
}
