//! Cgroups below a container's, for another process in it.

use std::path::{Component, Path};

use sys::cgroup::Join;

use super::{Group, cannot, detect, is_missing};
use crate::error::Error;

const FIELD: &str = "cgroup";

impl Group {
    /// The doors of cgroups below, as `[CONTROLLERS:]PATH`; where none is named, of the container's
    /// own.
    pub(crate) fn join_below(&self, subs: &[&str]) -> Result<Join, Error> {
        if subs.is_empty() {
            return match self.join_handles() {
                // Somebody has taken one of its directories away, or mounted it elsewhere.
                Err(error) if is_missing(&error) => self.found_again()?.join_handles(),
                answer => answer,
            };
        }
        let mut all = Vec::new();
        for sub in subs {
            let (controllers, path) = parse(sub)?;
            match controllers {
                None => all.push((None, path)),
                Some(controllers) => {
                    all.extend(controllers.split(',').map(|one| (Some(one), path)));
                }
            }
        }
        Join::below(&self.files, &all).map_err(|source| cannot("open", source))
    }

    /// The doors of where the container's first process is: it may have moved below, and version 2
    /// takes no process into a cgroup whose children have controllers.
    pub(crate) fn join_beside(pid: i32) -> Result<Join, Error> {
        Join::of_process(&detect()?, pid).map_err(|source| cannot("open", source))
    }
}

/// Controllers and path.
fn parse(sub: &str) -> Result<(Option<&str>, &str), Error> {
    let (controllers, path) = match sub.split_once(':') {
        Some((controllers, path)) => (Some(controllers), path),
        None => (None, sub),
    };
    let stays = |part: Component<'_>| !matches!(part, Component::ParentDir);
    if !Path::new(path).components().all(stays) {
        let reason = format!(
            "bad sub cgroup path: {path} is not a sub cgroup path: it must stay below the \
             container's"
        );
        return Err(Error::invalid(FIELD, reason));
    }
    Ok((controllers, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        assert_eq!(parse("cpu,cpuacct:a").unwrap(), (Some("cpu,cpuacct"), "a"));
        assert_eq!(parse("/").unwrap(), (None, "/"));
        for out in ["..", "a/../../b", "cpu:../x"] {
            let error = parse(out).unwrap_err().to_string();
            assert!(error.contains("bad sub cgroup path"), "{error}");
        }
    }
}
