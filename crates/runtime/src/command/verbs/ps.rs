//! `ps`: the processes of a container.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;

use super::{flags, list};
use crate::Outcome;
use crate::failure::{Doing, Failure};
use crate::global::Global;
use crate::state_file::Place;
use crate::words::{MANY, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "ps",
    usage: "<container-id> [ps options]",
    about: "list the processes of a container",
    flags: &[flags::FORMAT],
    arguments: (1, MANY),
    interleaved: false,
    enters: false,
    run: ps,
};

/// Of what ps says.
const MOST: usize = 64 << 20;

fn ps(global: &Global, words: &Words) -> Outcome {
    let as_json = list::wants_json(words)?;
    let place = Place::of(&global.root, words.id()?)?;
    // One that has stopped has none.
    let container = place.read()?.container()?;
    let pids = container.map_or_else(|| Ok(Vec::new()), |container| container.pids())?;
    if as_json {
        super::state::print_line(&serde_json::json!(pids))?;
        return Ok(0);
    }
    let options = words.arguments.get(1..).unwrap_or_default();
    match listing(options)? {
        Some(text) => print!("{}", of_container(&text, &pids)?),
        // Its own small table where there is no program, unless somebody asks for that one's.
        None if options.is_empty() => print!("{}", own_table(&pids)),
        None => {
            let message = "there is no program ps on $PATH, whose options these are";
            return Err(Failure::Usage(message.to_owned()));
        }
    }
    Ok(0)
}

/// What the machine's ps says of all processes; none without that program.
fn listing(options: &[OsString]) -> Result<Option<String>, Failure> {
    let doing = "run ps";
    let mut args = vec![OsString::from("ps")];
    match options {
        [] => args.push("-ef".into()),
        options => args.extend_from_slice(options),
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let program = sys::spawn::Spawn::search(OsStr::new("ps"), &path, &args).doing(doing)?;
    let environment = crate::variables().map(|(mut entry, value)| {
        entry.push("=");
        entry.push(value);
        entry
    });
    let (output, theirs) = sys::fd::pipe().doing(doing)?;
    let (input, errors) = (std::io::stdin(), std::io::stderr());
    let program = program.env(environment).doing(doing)?;
    let child = match program
        .fds(&[input.as_fd(), theirs.as_fd(), errors.as_fd()])
        .spawn()
    {
        Err(error) if error.errno == sys::Errno::NOENT => return Ok(None),
        child => child.doing(doing)?,
    };
    drop(theirs);
    let text = sys::fd::read_to_end(output, MOST).doing(doing)?;
    match sys::pidfd::wait(&child.pidfd).doing(doing)? {
        sys::pidfd::Exit::Code(0) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        _ => Err(Failure::Usage("ps failed".to_owned())),
    }
}

/// The heading, and the lines whose column `PID` has one of the container's.
fn of_container(text: &str, pids: &[i32]) -> Result<String, Failure> {
    let missing = || Failure::Usage("couldn't find PID field in ps output".to_owned());
    let mut lines = text.lines();
    let heading = lines.next().ok_or_else(missing)?;
    let column = heading.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(missing)?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column);
        pid.and_then(|pid| pid.parse().ok())
            .is_some_and(|pid: i32| pids.contains(&pid))
    };
    let lines = std::iter::once(heading).chain(lines.filter(ours));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

fn own_table(pids: &[i32]) -> String {
    let heading = format!("{:>7}  COMMAND\n", "PID");
    let line = |pid: &i32| format!("{pid:>7}  {}\n", command(*pid));
    std::iter::once(heading)
        .chain(pids.iter().map(line))
        .collect()
}

/// The command line, or the name in brackets of a process that has none.
fn command(pid: i32) -> String {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = read("cmdline");
    let text = String::from_utf8_lossy(&line).replace('\0', " ");
    match text.trim_end() {
        "" => format!("[{}]", String::from_utf8_lossy(&read("comm")).trim_end()),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_the_column_of_pids() {
        let text = "USER   PID COMMAND\nroot     1 init 7\nroot     7 sh 1\n";
        assert_eq!(
            of_container(text, &[7]).unwrap(),
            "USER   PID COMMAND\nroot     7 sh 1\n"
        );
        assert!(of_container("COMMAND\n", &[7]).is_err());
        assert!(of_container("", &[7]).is_err());
    }
}
