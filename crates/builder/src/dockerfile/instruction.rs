//! The tree: stages, and the instructions in them, as they were written. Variables are not expanded yet.

use super::heredoc::Heredoc;
use super::mount::{Device, MountSpec};
use crate::source::Span;

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// `# name=value` at its head.
    pub directives: Vec<super::Directive>,
    /// The escape character, `\` unless a directive says otherwise.
    pub escape: char,
    /// `ARG` before the first `FROM`.
    pub args: Vec<Instruction>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// Statements with an empty line among their continuations: their last lines.
    pub empty_continuations: Vec<Span>,
}

impl Dockerfile {
    /// What a directive says.
    pub fn directive(&self, name: &str) -> Option<&str> {
        let found = self.directives.iter().find(|d| d.name == name);
        found.map(|directive| directive.value.as_str())
    }
}

/// `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The image or stage it is built on.
    pub base: String,
    /// Its name in lower case.
    pub name: Option<String>,
    /// Its name as written.
    pub written: Option<String>,
    /// `--platform`.
    pub platform: Option<String>,
    /// `FROM` as written.
    pub keyword: String,
    /// `AS` as written.
    pub as_keyword: Option<String>,
    /// The `FROM` line.
    pub span: Span,
    /// The line's text.
    pub code: String,
    /// Comment lines right above it.
    pub comments: Vec<String>,
    /// What is done in it.
    pub instructions: Vec<Instruction>,
}

/// One instruction other than `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its first word as written.
    pub keyword: String,
    /// Where it stands.
    pub span: Span,
    /// Its text, continuations joined.
    pub code: String,
    /// Comment lines right above it.
    pub comments: Vec<String>,
    /// What it says.
    pub verb: Verb,
}

/// The instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// `ADD`
    Add(Transfer),
    /// `ARG`
    Arg(Vec<Arg>),
    /// `CMD`
    Cmd(CommandLine),
    /// `COPY`
    Copy(Transfer),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `ENV`
    Env(Vec<Pair>),
    /// `EXPOSE`: ports as written, sorted.
    Expose(Vec<String>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<Pair>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `ONBUILD`: the instruction to come, with its heredocs.
    Onbuild(String),
    /// `RUN`
    Run(Box<Run>),
    /// `SHELL`
    Shell(Vec<String>),
    /// `STOPSIGNAL`
    Stopsignal(String),
    /// `USER`
    User(String),
    /// `VOLUME`
    Volume(Vec<String>),
    /// `WORKDIR`
    Workdir(String),
}

/// `ADD` and `COPY`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Paths, patterns, and for `ADD` addresses.
    pub sources: Vec<String>,
    /// Documents.
    pub inline: Vec<Inline>,
    /// Where to.
    pub target: String,
    /// `--from`, of `COPY`: a stage, a context or an image.
    pub from: Option<String>,
    /// `--chown`
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<String>,
    /// `--link`
    pub link: bool,
    /// `--parents`, of `COPY`.
    pub parents: bool,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// `--keep-git-dir`, of `ADD`.
    pub keep_git_dir: Option<bool>,
    /// `--checksum`, of `ADD`.
    pub checksum: Option<String>,
    /// `--unpack`, of `ADD`.
    pub unpack: Option<bool>,
}

/// A file whose text stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// Its name.
    pub name: String,
    /// Its text.
    pub data: String,
    /// Variables in it are expanded.
    pub expand: bool,
}

/// A build argument: a name, and a default if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Its default.
    pub value: Option<String>,
}

/// `name=value`, or `name value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The old form, with a space.
    pub spaced: bool,
}

/// A command: one string for a shell, or the arguments themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The string, or the arguments.
    pub args: Vec<String>,
    /// A shell has to take it.
    pub shell: bool,
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: CommandLine,
    /// Documents it reads.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`
    pub mounts: Vec<MountSpec>,
    /// `--network`
    pub network: RunNetwork,
    /// `--security=insecure`
    pub insecure: bool,
    /// `--device`
    pub devices: Vec<Device>,
}

/// The network of a `RUN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RunNetwork {
    /// The build's.
    #[default]
    Default,
    /// Loopback alone.
    None,
    /// The host's.
    Host,
}

/// `HEALTHCHECK`; all zero and an empty test mean what the base says.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Healthcheck {
    /// `NONE`; `CMD` and arguments; `CMD-SHELL` and a string.
    #[serde(rename = "Test", default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Nanoseconds between two checks.
    #[serde(rename = "Interval", default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Nanoseconds one may take.
    #[serde(rename = "Timeout", default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Nanoseconds in which failures do not count.
    #[serde(rename = "StartPeriod", default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Nanoseconds between two checks in that time.
    #[serde(rename = "StartInterval", default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// How many failures in a row are one too many.
    #[serde(rename = "Retries", default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
