//! What was typed, and nothing more: no environment, no file, no daemon is asked here.
//!
//! The command line is read in two steps: the flags before the verb, then those of the one verb
//! that was named, so that a start builds one verb's table of flags and not those of all.

pub mod absent;
pub mod build;
pub mod builds;
pub mod container;
pub mod containers;
pub mod contexts;
pub mod devices;
mod help;
pub mod images;
mod mount;
pub mod networks;
pub mod publish;
mod refusal;
pub mod registry;
pub mod secrets;
pub mod unsupported;
pub mod values;
pub mod volumes;

use clap::{Arg, ArgAction, ArgMatches, Command};

pub use help::{group_help, top_help, verb_help};
pub use refusal::{Refusal, unknown_command};

/// One command.
#[derive(Debug)]
pub struct Verb {
    /// Its names, as "container ls" and "ps"; the first belongs to the management group.
    pub names: &'static [&'static str],
    /// What follows the name in the usage line.
    pub usage: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// How many words it takes.
    pub arity: Arity,
    /// Its flags.
    pub flags: fn(Command) -> Command,
    /// Runs it; answers the exit code.
    pub run: fn(Invocation) -> Result<u8, crate::error::CliError>,
}

/// How many words a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None.
    None,
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// So many or fewer.
    AtMost(usize),
    /// Between the two.
    Between(usize, usize),
}

/// Flags before the verb.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globals {
    /// `-H`, the last one.
    pub host: Option<String>,
    /// `-D`
    pub debug: bool,
    /// `-l`
    pub log_level: Option<String>,
    /// `-c`
    pub context: Option<String>,
    /// `--tls` and its kin.
    pub tls: TlsFlags,
}

/// What flags say of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFlags {
    /// `--tls`
    pub on: bool,
    /// `--tlsverify`; whatever it says, TLS is meant.
    pub verify: Option<bool>,
    /// `--tlscacert`
    pub ca: Option<String>,
    /// `--tlscert`
    pub cert: Option<String>,
    /// `--tlskey`
    pub key: Option<String>,
}

impl Globals {
    /// Whether requests and answers are told.
    pub fn tells_requests(&self) -> bool {
        self.debug || self.log_level.as_deref() == Some("debug")
    }

    /// Whether to tell of what went well without being asked for.
    pub fn tells_notices(&self) -> bool {
        self.debug || matches!(self.log_level.as_deref(), None | Some("debug" | "info"))
    }
}

/// A verb with its flags.
#[derive(Debug)]
pub struct Invocation {
    /// The verb.
    pub verb: &'static Verb,
    /// The name it was called by: "container ls".
    pub name: String,
    /// Its flags.
    pub matches: ArgMatches,
    /// The flags before it.
    pub globals: Globals,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Text to print.
    Text(String),
    /// Text for who has not said what is to be done.
    Hint(String),
    /// A verb to run.
    Run(Box<Invocation>),
}

/// Reads the command line, without the program's name.
pub fn parse(verbs: &'static [Verb], words: Vec<String>) -> Result<Parsed, Refusal> {
    // Made once more for who has to be told about it: a copy for everybody takes longer.
    let matches = match top_command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            return Ok(Parsed::Text(top_help(verbs, &top_command())));
        }
        Err(error) => return Err(refusal::of_top(&error, &top_command(), &words)),
    };
    if matches.get_flag("version") {
        return Ok(Parsed::Text(version_line()));
    }
    let globals = Globals {
        host: matches
            .get_many::<String>("host")
            .and_then(|mut hosts| hosts.next_back().cloned()),
        debug: matches.get_flag("debug"),
        log_level: text(&matches, "log-level"),
        context: text(&matches, "context"),
        tls: TlsFlags {
            on: matches.get_flag("tls"),
            verify: said(&matches, "tlsverify"),
            ca: text(&matches, "tlscacert"),
            cert: text(&matches, "tlscert"),
            key: text(&matches, "tlskey"),
        },
    };
    if let Some(directory) = text(&matches, "config") {
        crate::credentials::use_directory(directory);
    }
    let rest: Vec<String> = matches
        .get_many::<String>("words")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    if rest.is_empty() {
        return Ok(Parsed::Text(top_help(verbs, &top_command())));
    }
    verb(verbs, rest, globals)
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

/// A flag that is one of yes and no, if it was given.
fn said(matches: &ArgMatches, name: &str) -> Option<bool> {
    let given = matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    given.then(|| matches.get_flag(name))
}

/// `brig version 0.1.0`.
fn version_line() -> String {
    format!("Brig version {}\n", env!("CARGO_PKG_VERSION"))
}

fn verb(
    verbs: &'static [Verb],
    mut words: Vec<String>,
    globals: Globals,
) -> Result<Parsed, Refusal> {
    if words[0] == "help" {
        words.remove(0);
        words.push("--help".to_owned());
    }
    let first = words[0].as_str();
    if first == "--help" {
        return Ok(Parsed::Text(top_help(verbs, &top_command())));
    }
    if let Some(group) = GROUPS.iter().find(|group| group.name == first) {
        return in_group(verbs, group, words, globals);
    }
    let Some(found) = find(verbs, first) else {
        return Err(unknown_command(verbs, None, first));
    };
    let name = words.remove(0);
    flags_of(found, name, words, globals)
}

fn in_group(
    verbs: &'static [Verb],
    group: &Group,
    mut words: Vec<String>,
    globals: Globals,
) -> Result<Parsed, Refusal> {
    let verbs = group.verbs.unwrap_or(verbs);
    match words.get(1).map(String::as_str) {
        // Nothing was asked for: it is no answer, either.
        None => Ok(Parsed::Hint(group_help(verbs, group))),
        Some("--help" | "-h") => Ok(Parsed::Text(group_help(verbs, group))),
        Some(second) => {
            let name = format!("{} {second}", group.name);
            let Some(found) = find(verbs, &name) else {
                return Err(unknown_command(verbs, Some(group.name), second));
            };
            words.drain(..2);
            flags_of(found, name, words, globals)
        }
    }
}

fn find(verbs: &'static [Verb], name: &str) -> Option<&'static Verb> {
    verbs.iter().find(|verb| verb.names.contains(&name))
}

fn flags_of(
    verb: &'static Verb,
    name: String,
    words: Vec<String>,
    globals: Globals,
) -> Result<Parsed, Refusal> {
    match verb.command().try_get_matches_from(&words) {
        Ok(matches) => {
            verb.check_arity(&name, &matches)?;
            Ok(Parsed::Run(Box::new(Invocation {
                verb,
                name,
                matches,
                globals,
            })))
        }
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            Ok(Parsed::Text(verb_help(verb, &name)))
        }
        Err(error) => Err(refusal::of_verb(
            &error,
            verb,
            &name,
            &verb.command(),
            &words,
        )),
    }
}

impl Verb {
    /// The name outside a group, or the only one.
    pub fn name(&self) -> &'static str {
        self.names
            .iter()
            .find(|name| !name.contains(' '))
            .unwrap_or(&self.names[0])
    }

    /// Its flags as clap wants them.
    pub fn command(&self) -> Command {
        let bare = Command::new("brig")
            .no_binary_name(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args_override_self(true);
        let command = (self.flags)(bare).mut_args(as_pflag);
        let taken = command.get_arguments().any(|a| a.get_short() == Some('h'));
        let help = Arg::new("help").long("help").action(ArgAction::Help);
        command.arg(if taken {
            help.help("Print usage")
        } else {
            help.short('h').hide(true)
        })
    }

    fn check_arity(&self, name: &str, matches: &ArgMatches) -> Result<(), Refusal> {
        let count = ["names", "words"]
            .iter()
            .find_map(|id| matches.try_get_many::<String>(id).ok().flatten())
            .map_or(0, Iterator::count);
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let says = match self.arity {
            Arity::None if count > 0 => "accepts no arguments".to_owned(),
            Arity::Exactly(n) if count != n => format!("requires {n} argument{}", plural(n)),
            Arity::AtLeast(n) if count < n => {
                format!("requires at least {n} argument{}", plural(n))
            }
            Arity::AtMost(n) if count > n => format!("requires at most {n} argument{}", plural(n)),
            Arity::Between(low, high) if !(low..=high).contains(&count) => {
                format!("requires at least {low} and at most {high} arguments")
            }
            _ => return Ok(()),
        };
        Err(Refusal::arity(self, name, (count, &says)))
    }
}

/// Docker's flags are read by pflag: a boolean takes `--flag=false`, any other flag takes whatever
/// word comes next, and the last of several counts.
fn as_pflag(arg: Arg) -> Arg {
    if arg.is_positional() {
        return arg;
    }
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let arg = if arg.get_default_values().is_empty() {
            arg.default_value("false")
        } else {
            arg
        };
        arg.action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(values::go_bool)
            .hide_default_value(true)
    } else {
        arg.allow_hyphen_values(true)
    }
}

pub(crate) fn top_command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    Command::new("brig")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(
            flag("host", "Socket of the daemon to talk to")
                .short('H')
                .value_name("list")
                .action(ArgAction::Append),
        )
        .arg(
            flag("debug", "Show what is asked of the daemon (as --log-level debug)")
                .short('D')
                .action(ArgAction::SetTrue),
        )
        .arg(
            flag(
                "log-level",
                "How much to say (\"debug\", \"info\", \"warn\", \"error\", \"fatal\") (default \"info\")",
            )
            .short('l')
            .value_name("string")
            .value_parser(["debug", "info", "warn", "error", "fatal"]),
        )
        .arg(
            flag("config", "Directory of the client's configuration (default \"~/.docker\")")
                .value_name("string"),
        )
        .arg(
            flag("context", "Name of the context that says which daemon to talk to")
                .short('c')
                .value_name("string"),
        )
        .arg(as_pflag(
            flag("tls", "Use TLS; implied by --tlsverify").action(ArgAction::SetTrue),
        ))
        .arg(
            flag("tlscacert", "Trust daemons whose certificate this authority has signed")
                .value_name("string"),
        )
        .arg(flag("tlscert", "Certificate of this client").value_name("string"))
        .arg(flag("tlskey", "Key of that certificate").value_name("string"))
        .arg(as_pflag(
            flag("tlsverify", "Use TLS and verify the daemon").action(ArgAction::SetTrue),
        ))
        .arg(
            flag("version", "Print the version and end")
                .short('v')
                .action(ArgAction::SetTrue),
        )
        .arg(
            flag("help", "Print usage")
                .short('h')
                .action(ArgAction::Help)
                .hide(true),
        )
        .arg(
            Arg::new("words")
                .trailing_var_arg(true)
                .num_args(0..)
                .hide(true)
                .action(ArgAction::Append),
        )
}

/// A management group.
#[derive(Debug)]
pub struct Group {
    /// The first word.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// Its verbs, where they are not with all others: such a group is not shown in `--help`.
    pub verbs: Option<&'static [Verb]>,
}

const fn group(name: &'static str, about: &'static str) -> Group {
    Group {
        name,
        about,
        verbs: None,
    }
}

/// One of which there is nothing.
const fn absent(name: &'static str, about: &'static str) -> Group {
    Group {
        name,
        about,
        verbs: Some(&crate::commands::absent::VERBS),
    }
}

/// All groups.
pub static GROUPS: &[Group] = &[
    group("builder", "Manage builds"),
    group("buildx", "Manage builds, in the words of Docker's plugin"),
    group("container", "Manage containers"),
    group("context", "Manage contexts: daemons with names"),
    group("image", "Manage images"),
    group(
        "manifest",
        "Manage manifests and lists of them in registries",
    ),
    group("network", "Manage networks"),
    group("secret", "Manage secrets"),
    group("system", "Manage Brig"),
    group("volume", "Manage volumes"),
    absent("checkpoint", "Manage checkpoints"),
    absent("config", "Manage configs of swarms"),
    absent("node", "Manage nodes of swarms"),
    absent("plugin", "Manage plugins"),
    absent("service", "Manage services of swarms"),
    absent("stack", "Manage stacks of swarms"),
    absent("swarm", "Manage swarms"),
];

#[cfg(test)]
mod tests;
