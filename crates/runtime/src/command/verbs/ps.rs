//! `ps`: the processes of a container.

use crate::Outcome;
use crate::args::{Args, Format, Ps};
use crate::failure::Failure;
use crate::state_file::Place;

pub(crate) fn ps(args: &Args, ps: &Ps) -> Outcome {
    let place = Place::of(&args.root, &ps.id)?;
    let container = place
        .read()?
        .container()?
        .ok_or_else(|| Failure::NoContainer(place.id.clone()))?;
    let pids = container.pids()?;
    match ps.format {
        Format::Json => super::state::print(&serde_json::json!(pids))?,
        Format::Table => {
            println!("{:>7}  COMMAND", "PID");
            pids.iter()
                .for_each(|pid| println!("{pid:>7}  {}", command(*pid)));
        }
    }
    Ok(0)
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
