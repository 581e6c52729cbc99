//! What holds for every verb: where the state is, where the log goes, who makes cgroups.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use runtime::{CgroupDriver, Rootless};

use crate::failure::Failure;
use crate::log::{Format, Log};
use crate::words::{Flag, Words};

/// The program's flags.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::switch("debug", "log what is done as well"),
    Flag::value("log", "file for the log, instead of standard error"),
    Flag::value(
        "log-format",
        "format of the log, text or json (default: text)",
    ),
    Flag::value(
        "root",
        "directory for the state of containers (default: /run/brig-runtime, \
         or $XDG_RUNTIME_DIR/brig-runtime for a user)",
    ),
    Flag::switch(
        "systemd-cgroup",
        "have systemd make cgroups; cgroupsPath is \"slice:prefix:name\" then",
    ),
    Flag::value(
        "rootless",
        "go on where cgroups must not be made: true, false or auto (default: auto)",
    ),
    Flag::switch("version", "print the version").short("v"),
    Flag::value("criu", "the program criu, instead of the one on the path").hidden(),
];

/// All of it.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) root: PathBuf,
    /// Whether the root was named: then it has to be there.
    pub(crate) root_given: bool,
    pub(crate) log: Log,
    pub(crate) driver: CgroupDriver,
    pub(crate) rootless: Rootless,
    /// Where criu is, if it is not on the path.
    pub(crate) criu: Option<PathBuf>,
}

/// The directory under /run.
const STATE: &str = "brig-runtime";

impl Global {
    /// The log first: what is wrong with the rest goes there.
    pub(crate) fn log(words: &Words) -> Result<Log, Failure> {
        let format = match words.text("log-format")? {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => {
                let message = format!("invalid log-format: {other}: text or json is expected");
                return Err(Failure::Usage(message));
            }
        };
        Ok(Log {
            file: words.path("log").map(Path::to_owned),
            format,
            debug: words.has("debug"),
        })
    }

    pub(crate) fn new(words: &Words, log: Log) -> Result<Self, Failure> {
        let rootless = match words.text("rootless")? {
            None | Some("auto") => Rootless::Auto,
            Some("true") => Rootless::Yes,
            Some("false") => Rootless::No,
            Some(other) => {
                let message =
                    format!("invalid --rootless: {other}: true, false or auto is expected");
                return Err(Failure::Usage(message));
            }
        };
        let driver = if words.has("systemd-cgroup") {
            CgroupDriver::Systemd
        } else {
            CgroupDriver::Direct
        };
        let root = match words.path("root") {
            Some(root) => absolute(root)?,
            None => default_root(&Surroundings::look()),
        };
        Ok(Self {
            root,
            root_given: words.given("root"),
            log,
            driver,
            rootless,
            criu: words.path("criu").map(Path::to_owned),
        })
    }
}

/// Commands that come later may be run from elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Usage(format!("--root: {error}")))
}

/// What decides where a user's state is.
struct Surroundings {
    runtime_dir: Option<OsString>,
    user: u32,
    user_name: Option<OsString>,
    /// Whether this is a user namespace; asked for root only.
    nested: bool,
}

impl Surroundings {
    fn look() -> Self {
        let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        // Root of the container's namespace is still the user that it was made by.
        let user = match crate::is_nested() {
            true => u32::MAX,
            false => sys::process::user(),
        };
        Self {
            nested: runtime_dir.is_some() && user == 0 && Rootless::Auto.holds(),
            runtime_dir,
            user,
            user_name: std::env::var_os("USER"),
        }
    }
}

/// The user's own runtime directory where the user is none that the machine's belongs to. Root of a
/// user namespace is such a one, unless its environment is root's.
fn default_root(at: &Surroundings) -> PathBuf {
    let of_user = match at.user {
        0 => at.nested && at.user_name.as_deref().is_some_and(|name| name != "root"),
        _ => true,
    };
    match &at.runtime_dir {
        Some(dir) if of_user => Path::new(dir).join(STATE),
        _ => Path::new("/run").join(STATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_their_own_state() {
        let root = |dir: Option<&str>, user, name: Option<&str>, nested| {
            let at = Surroundings {
                runtime_dir: dir.map(OsString::from),
                user,
                user_name: name.map(OsString::from),
                nested,
            };
            default_root(&at).display().to_string()
        };
        let machines = "/run/brig-runtime";
        let own = "/run/user/7/brig-runtime";
        assert_eq!(root(None, 0, Some("root"), false), machines);
        assert_eq!(root(Some("/run/user/0"), 0, Some("root"), false), machines);
        assert_eq!(root(Some("/run/user/7"), 7, Some("me"), false), own);
        assert_eq!(root(None, 7, None, false), machines);
        assert_eq!(root(Some("/run/user/7"), 0, Some("me"), true), own);
        assert_eq!(root(Some("/run/user/7"), 0, Some("root"), true), machines);
        assert_eq!(root(Some("/run/user/7"), 0, None, true), machines);
    }
}
