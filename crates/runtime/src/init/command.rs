//! The command: found in the container, by its rules, and executed. The words of its errors are
//! Docker's and runc's, which scripts and people look for.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use sys::process::Strings;
use types::ErrorKind;

use super::{Init, Launch, Outcome};
use crate::protocol::{During, Failure};

/// After the host's descriptors were closed: the path may not lead out through one of them. With
/// full rights, because the directory may be one that only root can enter.
pub(crate) fn enter_working_directory(launch: &mut Launch<'_>) -> Outcome {
    match enter(&launch.process.cwd) {
        // A file system may trust the user and not root.
        Err(error) if error.errno == sys::Errno::ACCES => {
            launch.retry_cwd = true;
            Ok(())
        }
        answer => check_entered(&launch.process.cwd, answer),
    }
}

/// After the change of user, for directories that only that one can enter.
pub(crate) fn retry_working_directory(launch: &mut Launch<'_>) -> Outcome {
    if !launch.retry_cwd {
        return Ok(());
    }
    check_entered(&launch.process.cwd, enter(&launch.process.cwd))
}

fn enter(cwd: &Path) -> sys::Result<()> {
    sys::process::change_dir(cwd)
}

fn check_entered(cwd: &Path, entered: sys::Result<()>) -> Outcome {
    let name = cwd.display();
    entered.map_err(|error| {
        let kind = match error.errno {
            sys::Errno::NOENT | sys::Errno::NOTDIR | sys::Errno::ACCES => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        };
        Failure::new(
            kind,
            format!("cannot enter the working directory {name}: {error}"),
        )
    })?;
    let inside = sys::process::working_dir_is_inside_root();
    if inside.during(|| format!("look where {name} leads"))? {
        return Ok(());
    }
    let message = format!("the working directory {name} leads out of the container");
    Err(Failure::new(ErrorKind::Invalid, message))
}

/// Before the gate, where the maker of a container that is started later can still say what is
/// wrong: podman tells "not found" from other failures by that. Mounts and users are in place; what
/// depends on the working directory is left to [`find`].
pub(crate) fn look(init: &mut Init<'_>) -> Outcome {
    if init.gate.is_none() {
        return Ok(());
    }
    let process = init.launch.process;
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let relative = |path: &str| !path.starts_with('/');
    let path = search_path(&process.env.entries);
    let depends = match name.contains('/') {
        true => relative(name),
        false => path.split(':').any(relative),
    };
    if depends {
        return Ok(());
    }
    let found = || search(&init.launch).map(drop);
    sys::process::with_access_of(process.uid, process.gid, found)
}

/// As the user who will execute it, and before the filter, which may forbid to look.
pub(crate) fn find(launch: &mut Launch<'_>) -> Outcome {
    let path = search(launch)?;
    launch.program = Some(path);
    Ok(())
}

fn search(launch: &Launch<'_>) -> Result<PathBuf, Failure> {
    let name = launch
        .process
        .args
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(why) => Err(why.failure(name)),
        };
    }
    for dir in search_path(&launch.process.env.entries).split(':') {
        let dir = if dir.is_empty() { "." } else { dir };
        let candidate = Path::new(dir).join(name);
        if !name.is_empty() && executable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    let message = format!("exec: {name:?}: executable file not found in $PATH");
    Err(Failure::new(ErrorKind::CommandNotFound, message))
}

/// The value of PATH: of the last entry that sets it, as a shell would see it.
fn search_path(env: &[String]) -> &str {
    env.iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or_default()
}

/// Why a file is no command.
enum NoCommand {
    Missing(sys::Errno),
    Directory,
    Forbidden(sys::Errno),
}

impl NoCommand {
    fn failure(self, name: &str) -> Failure {
        let (kind, why) = match self {
            Self::Missing(errno) => (ErrorKind::CommandNotFound, format!("stat {name}: {errno}")),
            // Docker's client takes it for no executable by the last two words only.
            Self::Directory => {
                let why = "is a directory: permission denied";
                (ErrorKind::NotExecutable, why.to_owned())
            }
            Self::Forbidden(errno) => (ErrorKind::NotExecutable, errno.to_string()),
        };
        Failure::new(kind, format!("exec: {name:?}: {why}"))
    }
}

fn executable(path: &Path) -> Result<(), NoCommand> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let errno = sys::Errno(error.raw_os_error().unwrap_or(sys::Errno::NOENT.0));
        match errno {
            sys::Errno::ACCES | sys::Errno::PERM => NoCommand::Forbidden(errno),
            errno => NoCommand::Missing(errno),
        }
    })?;
    if metadata.is_dir() {
        return Err(NoCommand::Directory);
    }
    sys::process::may_execute(path).map_err(|error| NoCommand::Forbidden(error.errno))
}

/// The end. On success there is no after; the channel closes by itself and so tells the maker.
pub(crate) fn execute(launch: &mut Launch<'_>) -> Outcome {
    let process = launch.process;
    let program = launch.program.clone().unwrap_or_default();
    let action = || format!("execute {}", program.display());
    let arguments = Strings::new(&process.args).during(action)?;
    let entries = process.env.entries.iter().chain(&launch.home);
    let environment = Strings::new(entries).during(action)?;
    let path = CString::new(program.as_os_str().as_encoded_bytes()).during(action)?;
    match sys::process::execute(&path, &arguments, &environment) {
        Ok(never) => match never {},
        Err(error) => {
            let kind = match error.errno {
                sys::Errno::NOENT => ErrorKind::CommandNotFound,
                _ => ErrorKind::NotExecutable,
            };
            let message = format!("exec {}: {}", program.display(), error.errno);
            Err(Failure::new(kind, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_path_counts() {
        let env = ["PATH=/a", "X=1", "PATH=/b:/c"].map(str::to_owned);
        assert_eq!(search_path(&env), "/b:/c");
        assert_eq!(search_path(&[]), "");
    }

    #[test]
    fn reasons_have_the_usual_words() {
        let text = |why: NoCommand| why.failure("/x").message;
        assert_eq!(
            text(NoCommand::Directory),
            "exec: \"/x\": is a directory: permission denied"
        );
        let missing = NoCommand::Missing(sys::Errno::NOENT);
        assert_eq!(
            text(missing),
            "exec: \"/x\": stat /x: no such file or directory"
        );
        let forbidden = NoCommand::Forbidden(sys::Errno::ACCES);
        assert_eq!(text(forbidden), "exec: \"/x\": permission denied");
    }
}
