//! `top`: the host's ps(1), narrowed to the container's processes.

use std::process::{Command, Stdio};

use sys::cgroup::Cgroup;
use types::ErrorKind;

use super::{Top, WrongState, or_ended, start::cgroup_path};
use crate::{Engine, Error, event};

/// ps(1) cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// It is not installed.
    #[error("cannot run ps(1) of the host: the package procps is expected")]
    NoPs(#[source] std::io::Error),
    /// It says that the arguments are wrong.
    #[error("ps: {0}")]
    Refused(String),
    /// Without it nobody knows which rows are the container's.
    #[error("Couldn't find PID field in ps output")]
    NoPidColumn,
    /// A column that is called `PID` and is another.
    #[error("specifying \"{0}\" is not allowed")]
    Title(String),
}

impl TopError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoPs(_) => ErrorKind::Unsupported,
            Self::Refused(_) | Self::NoPidColumn | Self::Title(_) => ErrorKind::Invalid,
        }
    }
}

/// The processes inside, by the host's ps(1) with `args` (`-ef` if empty). Blocking.
pub fn top(engine: &Engine, who: &str, args: &str) -> Result<Top, Error> {
    let container = engine.find(who)?;
    let run = container.lifecycle().process();
    if run.is_none() {
        return Err(WrongState::NotRunning(container.id().clone()).into());
    }
    let path = cgroup_path(engine, &container.fixed.spec, container.id());
    let pids = Cgroup::open(&engine.host().cgroups, &path)
        .and_then(|cgroup| cgroup.pids())
        .map_err(Error::kernel(format!(
            "list the processes of the cgroup {path}"
        )));
    let pids = or_ended(&container, run, pids)?;
    let text = ps(args)?;
    let top = narrow(&text, &pids)?;
    event::of_container(engine, &container, "top");
    Ok(top)
}

/// Refuses columns that are called `PID` and are something else: whose rows are shown goes by that title.
fn check_titles(args: &str) -> Result<(), TopError> {
    let words = args.split_ascii_whitespace();
    let pieces = words.flat_map(|word| word.split(','));
    for (name, title) in pieces.filter_map(|piece| piece.split_once('=')) {
        if title.starts_with("PID") && name != "pid" {
            return Err(TopError::Title(format!("{name}={title}")));
        }
    }
    Ok(())
}

fn ps(args: &str) -> Result<String, TopError> {
    let args = if args.trim().is_empty() { "-ef" } else { args };
    check_titles(args)?;
    let output = Command::new("ps")
        .args(args.split_ascii_whitespace())
        .stdin(Stdio::null())
        .output()
        .map_err(TopError::NoPs)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let first = text.lines().find(|line| !line.trim().is_empty());
        return Err(TopError::Refused(first.unwrap_or("failed").to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rows whose PID is among `pids`; the last column takes the rest of a row, spaces and all.
fn narrow(text: &str, pids: &[i32]) -> Result<Top, TopError> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    let pid = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or(TopError::NoPidColumn)?;
    let processes = lines
        .map(|line| columns(line, titles.len()))
        .filter(|row| {
            let of_row = row.get(pid).and_then(|text| text.parse().ok());
            of_row.is_some_and(|of_row| pids.contains(&of_row))
        })
        .collect();
    Ok(Top { titles, processes })
}

fn columns(line: &str, count: usize) -> Vec<String> {
    let mut rest = line.trim_start();
    let mut row = Vec::with_capacity(count);
    while row.len() + 1 < count {
        let Some((column, after)) = rest.split_once(|c: char| c.is_ascii_whitespace()) else {
            break;
        };
        row.push(column.to_owned());
        rest = after.trim_start();
    }
    row.push(rest.trim_end().to_owned());
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_pids_is_theirs() {
        for fine in ["-ef", "aux", "-eo pid,args", "-o pid=PID,args=WHAT", "-o"] {
            assert!(check_titles(fine).is_ok(), "{fine}");
        }
        for other in ["e -eo uid=PID,args", "-eo pid,uid=PIDS", "-eouid=PID"] {
            let error = check_titles(other).unwrap_err();
            assert!(error.to_string().contains("=PID"), "{error}");
        }
    }

    #[test]
    fn rows_of_others_are_left_out() {
        let text = "UID          PID    PPID CMD\n\
            root           1       0 /sbin/init splash\n\
            root         712     700 sh -c sleep  1\n\
            root         713     712 x\n";
        let top = narrow(text, &[712, 713]).unwrap();
        assert_eq!(top.titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(
            top.processes,
            [
                vec!["root", "712", "700", "sh -c sleep  1"],
                vec!["root", "713", "712", "x"],
            ]
        );
        assert!(matches!(
            narrow("USER CMD\nroot x\n", &[1]),
            Err(TopError::NoPidColumn)
        ));
    }
}
