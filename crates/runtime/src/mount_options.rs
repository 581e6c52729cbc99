//! The options of a mount, as fstab(5) and the OCI runtime specification write them, sorted by what
//! takes them. Pure.

use sys::mount::{Attributes, Change, Propagation};

/// Options sorted by what takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// A bind mount; recursive or not.
    pub(crate) bind: Option<bool>,
    /// What is there already is changed, and nothing mounted.
    pub(crate) remount: bool,
    /// Attributes of the mount itself that were named.
    pub(crate) named: Change,
    /// Whether the options say anything at all about the mount or its file system: a bind for which
    /// they do not has all attributes of its source.
    pub(crate) says_something: bool,
    /// Whether a way to keep access times was chosen.
    pub(crate) chooses_atime: bool,
    /// Attributes of the mount and of all below it.
    pub(crate) recursive: Change,
    /// Propagation, in the order given; recursive or not.
    pub(crate) propagation: Vec<(Propagation, bool)>,
    /// What the directory held is copied into the new file system.
    pub(crate) copy_up: bool,
    /// Ids are to be translated; those of the mounts below too or not.
    pub(crate) map_ids: Option<bool>,
    /// The file system's own parameters.
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

/// A mount in a user namespace was to be without an attribute that its source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locked(pub(crate) Attributes);

impl Locked {
    /// As options.
    pub(crate) fn names(self) -> String {
        const NAMES: [(Attributes, &str); 7] = [
            (Attributes::READ_ONLY, "ro"),
            (Attributes::NO_SUID, "nosuid"),
            (Attributes::NO_DEV, "nodev"),
            (Attributes::NO_EXEC, "noexec"),
            (Attributes::NO_ATIME, "noatime"),
            (Attributes::STRICT_ATIME, "strictatime"),
            (Attributes::NO_DIR_ATIME, "nodiratime"),
        ];
        let names = NAMES.iter().filter(|(one, _)| self.0.contains(*one));
        let names: Vec<_> = names.map(|(_, name)| *name).collect();
        if names.is_empty() {
            "relatime".to_owned()
        } else {
            names.join(",")
        }
    }
}

const ATIME: Attributes = Attributes::NO_ATIME.union(Attributes::STRICT_ATIME);
const ALL_ATIME: Attributes = ATIME.union(Attributes::NO_DIR_ATIME);

/// What a mount in a user namespace may not lose.
const LOCKABLE: Attributes = Attributes::READ_ONLY
    .union(Attributes::NO_SUID)
    .union(Attributes::NO_DEV)
    .union(Attributes::NO_EXEC);

impl MountOptions {
    /// Sorts options. What is not known belongs to the file system.
    pub(crate) fn parse<S: AsRef<str>>(options: &[S]) -> Self {
        let mut sorted = Self::default();
        for option in options.iter().map(AsRef::as_ref) {
            sorted.take(option);
        }
        sorted
    }

    /// What a new mount has of its own.
    pub(crate) fn attributes(&self) -> Attributes {
        self.named.set
    }

    /// What becomes of a bind's attributes. As with mount(8) and other runtimes, whoever names one
    /// names them all: the others are as in a new mount; only access times stay as they are unless
    /// a way to keep them is chosen.
    pub(crate) fn of_bind(&self) -> Change {
        if !self.says_something || self.remount {
            return self.named;
        }
        let others = LOCKABLE | Attributes::NO_SYMLINK_FOLLOW;
        let all = if self.chooses_atime {
            others | ALL_ATIME
        } else {
            others
        };
        Change {
            set: self.named.set,
            clear: all - self.named.set,
            propagation: None,
        }
    }

    /// The same for a container in a user namespace of its own, which must not get more out of its
    /// source than the source gives: what the source forbids stays forbidden, and to ask for it is
    /// an error.
    pub(crate) fn of_bind_from(&self, source: Attributes) -> Result<Change, Locked> {
        let asked = self.named.clear & source & LOCKABLE;
        let mut change = self.of_bind();
        if self.chooses_atime && (change.set ^ source).intersects(ALL_ATIME) {
            return Err(Locked(source & ALL_ATIME));
        }
        if !asked.is_empty() {
            return Err(Locked(asked));
        }
        change.clear -= source & (LOCKABLE | ALL_ATIME);
        Ok(change)
    }

    fn take(&mut self, option: &str) {
        let known = self.take_attribute(option)
            || self.take_recursive(option)
            || self.take_propagation(option)
            || self.take_kind(option);
        if !known {
            // Of the file system, as `sync` and `lazytime` are: fsconfig(2) knows them by name.
            self.says_something |= ALL_FILE_SYSTEMS.contains(&option);
            self.parameters.push(match option.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (option.to_owned(), None),
            });
        }
    }

    fn take_attribute(&mut self, option: &str) -> bool {
        let Some((attributes, set)) = attribute(option) else {
            return false;
        };
        self.says_something = true;
        let relative = option == "relatime";
        self.chooses_atime |= relative || (set && attributes.intersects(ALL_ATIME));
        apply(&mut self.named, attributes, set);
        true
    }

    fn take_recursive(&mut self, option: &str) -> bool {
        let Some((attributes, set)) = option.strip_prefix('r').and_then(attribute) else {
            return false;
        };
        apply(&mut self.recursive, attributes, set);
        true
    }

    fn take_propagation(&mut self, option: &str) -> bool {
        let Some(propagation) = propagation(option) else {
            return false;
        };
        self.propagation.push(propagation);
        true
    }

    fn take_kind(&mut self, option: &str) -> bool {
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.map_ids = Some(self.map_ids.unwrap_or(false)),
            "ridmap" => self.map_ids = Some(true),
            // What a new mount is anyway, what the kernel does without being asked, or what only
            // mount(8) understands. And [`FILE_SYSTEM_DECIDES`].
            "defaults" | "loud" | "silent" | "iversion" | "noiversion" | "auto" | "noauto"
            | "user" | "nouser" | "_netdev" | "nofail" | "" => {}
            _ => return false,
        }
        true
    }
}

/// Known options that change nothing: file systems that count the changes of a file (ext4, xfs, btrfs,
/// tmpfs) always do since Linux 6.1, the others cannot, and fsconfig(2) has no word for it.
pub(crate) const FILE_SYSTEM_DECIDES: [&str; 2] = ["iversion", "noiversion"];

/// Options of every file system that fsconfig(2) takes by these names.
const ALL_FILE_SYSTEMS: [&str; 7] = [
    "async",
    "dirsync",
    "lazytime",
    "mand",
    "nolazytime",
    "nomand",
    "sync",
];

/// The attribute an option names, and whether it is to be had or not.
fn attribute(option: &str) -> Option<(Attributes, bool)> {
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
        "nostrictatime" => (Attributes::STRICT_ATIME, false),
        "relatime" => (ATIME, false),
        "norelatime" => (Attributes::empty(), false),
        "nodiratime" => (Attributes::NO_DIR_ATIME, true),
        "diratime" => (Attributes::NO_DIR_ATIME, false),
        "nosymfollow" => (Attributes::NO_SYMLINK_FOLLOW, true),
        "symfollow" => (Attributes::NO_SYMLINK_FOLLOW, false),
        _ => return None,
    })
}

/// The later option wins; of the ways to keep access times only one holds.
fn apply(change: &mut Change, attributes: Attributes, set: bool) {
    if attributes.intersects(ATIME) {
        change.set -= ATIME;
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
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
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
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
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
        assert_eq!(sorted.named.set, Attributes::NO_SUID);
        assert_eq!(sorted.named.clear, Attributes::READ_ONLY);
        assert_eq!(sorted.recursive.set, Attributes::READ_ONLY);
        let own = [
            ("mode".to_owned(), Some("755".to_owned())),
            ("newinstance".to_owned(), None),
        ];
        assert_eq!(sorted.parameters, own);
        assert_eq!(parse("idmap").map_ids, Some(false));
        assert_eq!(parse("ridmap,idmap").map_ids, Some(true));
    }

    #[test]
    fn the_last_way_to_keep_access_times_wins() {
        assert_eq!(
            parse("noatime,strictatime").named.set,
            Attributes::STRICT_ATIME
        );
        assert_eq!(parse("strictatime,relatime").named.set, Attributes::empty());
        assert_eq!(parse("relatime,noatime").named.set, Attributes::NO_ATIME);
    }

    #[test]
    fn every_known_option_is_known() {
        for option in KNOWN {
            let parameters = parse(option).parameters;
            let of_all = ALL_FILE_SYSTEMS.contains(option);
            assert_eq!(parameters.len(), usize::from(of_all), "{option}");
        }
    }

    /// What a bind with these options sets and clears.
    fn bind(options: &str) -> (Attributes, Attributes) {
        let change = parse(options).of_bind();
        (change.set, change.clear)
    }

    #[test]
    fn a_bind_that_names_one_attribute_names_all() {
        let nothing = (Attributes::empty(), Attributes::empty());
        assert_eq!(bind("bind,rprivate"), nothing);
        let usual = LOCKABLE | Attributes::NO_SYMLINK_FOLLOW;
        assert_eq!(
            bind("bind,ro"),
            (Attributes::READ_ONLY, usual - Attributes::READ_ONLY)
        );
        assert_eq!(bind("bind,dev"), (Attributes::empty(), usual));
        assert_eq!(bind("bind,sync"), (Attributes::empty(), usual));
        assert_eq!(bind("bind,atime"), (Attributes::empty(), usual));
        assert_eq!(
            bind("bind,nodiratime"),
            (Attributes::NO_DIR_ATIME, usual | ATIME)
        );
        assert_eq!(
            bind("bind,relatime"),
            (Attributes::empty(), usual | ALL_ATIME)
        );
        // With `remount` the others stay.
        assert_eq!(
            bind("bind,remount,ro"),
            (Attributes::READ_ONLY, Attributes::empty())
        );
    }

    #[test]
    fn a_user_namespace_keeps_what_the_source_forbids() {
        let source = Attributes::READ_ONLY | Attributes::NO_SUID | Attributes::NO_ATIME;
        let from = |options: &str| parse(options).of_bind_from(source);
        let kept = from("bind,nodev").unwrap();
        assert_eq!(kept.set, Attributes::NO_DEV);
        assert_eq!(
            kept.clear,
            Attributes::NO_EXEC | Attributes::NO_SYMLINK_FOLLOW
        );
        assert_eq!(from("bind,rw"), Err(Locked(Attributes::READ_ONLY)));
        assert_eq!(from("bind,relatime"), Err(Locked(Attributes::NO_ATIME)));
        assert_eq!(from("bind,nodiratime"), Err(Locked(Attributes::NO_ATIME)));
        assert!(from("bind,atime").is_ok() && from("bind,noatime").is_ok());
    }
}
