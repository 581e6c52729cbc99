//! What was typed: runc's command line, as far as this runtime has it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Runs containers from OCI bundles.
#[derive(Debug, Parser)]
#[command(name = "brig-runtime", version, about)]
pub(crate) struct Args {
    /// Directory for the state of containers
    #[arg(long, global = true, default_value = "/run/brig-runtime")]
    pub(crate) root: PathBuf,
    /// File to which errors are written too
    #[arg(long, global = true)]
    pub(crate) log: Option<PathBuf>,
    /// Format of that file
    #[arg(long, global = true, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Accepted for compatibility: errors are always complete
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Refused: cgroups are made directly, not through systemd
    #[arg(long, global = true)]
    pub(crate) systemd_cgroup: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Formats of the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line an error
    Text,
    /// One JSON object an error
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a container; its command waits for start
    Create(Create),
    /// Run the command of a created container
    Start(Id),
    /// Make a container and run its command
    Run(Run),
    /// Run another command in a running container
    Exec(Exec),
    /// Show a container's state as JSON
    State(Id),
    /// List containers
    List(List),
    /// Send a signal to a container's first process
    Kill(Kill),
    /// Remove a container that has stopped
    Delete(Delete),
    /// List the processes of a container
    Ps(Ps),
    /// Stop all processes of a container for a while
    Pause(Id),
    /// Let them go on
    Resume(Id),
    /// Write a configuration to begin with
    Spec(Spec),
    /// Show what this runtime can do, as JSON
    Features,
}

/// The verbs that put a copy of this program into a container.
pub(crate) const ENTERING: [&str; 3] = ["create", "run", "exec"];

/// One container.
#[derive(Debug, ClapArgs)]
pub(crate) struct Id {
    /// The container's id
    pub(crate) id: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Create {
    /// The bundle: a directory with config.json
    #[arg(short, long, default_value = ".")]
    pub(crate) bundle: PathBuf,
    /// Socket to which the master of the terminal is sent
    #[arg(long)]
    pub(crate) console_socket: Option<PathBuf>,
    /// File for the pid of the first process
    #[arg(long)]
    pub(crate) pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on are passed on
    #[arg(long, default_value_t = 0)]
    pub(crate) preserve_fds: u32,
    /// The container's id
    pub(crate) id: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) create: Create,
    /// Do not wait for the container's end
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keep the state when the container ends
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Exec {
    /// Do not wait for the command's end
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Socket to which the master of the terminal is sent
    #[arg(long)]
    pub(crate) console_socket: Option<PathBuf>,
    /// Working directory
    #[arg(long)]
    pub(crate) cwd: Option<PathBuf>,
    /// Environment variable, NAME=VALUE
    #[arg(short, long)]
    pub(crate) env: Vec<String>,
    /// Give the command a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// User id, or user and group id as UID:GID
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Additional group ids
    #[arg(short = 'g', long)]
    pub(crate) additional_gids: Vec<u32>,
    /// File with the whole process as JSON, instead of a command
    #[arg(short, long)]
    pub(crate) process: Option<PathBuf>,
    /// File for the pid of the process
    #[arg(long)]
    pub(crate) pid_file: Option<PathBuf>,
    /// Set no_new_privs
    #[arg(long)]
    pub(crate) no_new_privs: bool,
    /// Capability to add
    #[arg(short, long)]
    pub(crate) cap: Vec<String>,
    /// The container's id
    pub(crate) id: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct List {
    /// Ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Format
    #[arg(short, long, default_value = "table")]
    pub(crate) format: Format,
}

/// Formats of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns
    Table,
    /// JSON
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Kill {
    /// Send it to every process of the container
    #[arg(short, long)]
    pub(crate) all: bool,
    /// The container's id
    pub(crate) id: String,
    /// The signal, by name or number
    #[arg(default_value = "TERM")]
    pub(crate) signal: types::Signal,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Delete {
    /// Kill it first if it runs; no error if there is none
    #[arg(short, long)]
    pub(crate) force: bool,
    /// The container's id
    pub(crate) id: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Ps {
    /// Format
    #[arg(short, long, default_value = "table")]
    pub(crate) format: Format,
    /// The container's id
    pub(crate) id: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Spec {
    /// The bundle in which config.json is written
    #[arg(short, long, default_value = ".")]
    pub(crate) bundle: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn commands_of_exec_keep_their_flags() {
        let args = Args::parse_from(["brig-runtime", "exec", "-t", "x", "ls", "-l", "--", "-t"]);
        let Verb::Exec(exec) = args.verb else {
            panic!("not exec")
        };
        assert_eq!((exec.id.as_str(), exec.tty), ("x", true));
        assert_eq!(exec.command, ["ls", "-l", "--", "-t"]);
    }
}
