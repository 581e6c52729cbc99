//! Statements -> instructions.

mod flags;
mod simple;
mod transfer;

use super::error::Error;
use super::heredoc;
use super::instruction::{CommandLine, Dockerfile, Instruction, Run, RunNetwork, Stage, Verb};
use super::lines::{Lines, Statement};
use super::mount::{Device, MountSpec};
use super::words::{self, Parts};
use crate::source::{Source, Span};
use crate::{go, suggest};
use flags::{Flags, Kind};

/// Every keyword.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What is wrong with a statement, and at which byte of it.
#[derive(Debug)]
struct Wrong {
    message: String,
    at: Option<usize>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { message, at: None }
    }
}

impl From<&str> for Wrong {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// Reads a Dockerfile.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(source: &Source) -> Result<Dockerfile, Error> {
    let mut lines = Lines::new(source)?;
    let (mut args, mut stages) = (Vec::new(), Vec::<Stage>::new());
    while let Some(mut statement) = lines.next()? {
        let named =
            heredoc::named(&statement).map_err(|message| Error::new(statement.span, message))?;
        lines.heredocs(&mut statement, named)?;
        let escape = lines.escape();
        let parsed = one(&statement, escape).map_err(|wrong| located(&statement, wrong))?;
        match (parsed, stages.last_mut()) {
            (Parsed::Stage(stage), _) => stages.push(stage),
            (Parsed::Instruction(instruction), Some(stage)) => {
                stage.instructions.push(instruction);
            }
            (Parsed::Instruction(instruction), None) if is_arg(&instruction) => {
                args.push(instruction);
            }
            (Parsed::Instruction(instruction), None) => {
                return Err(Error::new(
                    instruction.span,
                    "no build stage in current context",
                ));
            }
        }
    }
    if stages.is_empty() {
        let end = Span::lines(lines.number(), lines.number());
        let message = if args.is_empty() {
            "file with no instructions"
        } else {
            "dockerfile contains no stages to build"
        };
        return Err(Error::new(end, message));
    }
    let empty = lines.empty_continuations.iter();
    Ok(Dockerfile {
        escape: lines.escape(),
        empty_continuations: empty.map(|line| Span::lines(*line, *line)).collect(),
        directives: lines.directives,
        args,
        stages,
    })
}

fn is_arg(instruction: &Instruction) -> bool {
    matches!(instruction.verb, Verb::Arg(_))
}

/// Reads the one instruction of an `ONBUILD` trigger; it stands where the image is used.
///
/// # Errors
/// When it is none, more than one, or wrong.
pub fn parse_trigger(text: &str, used_at: Span) -> Result<Instruction, Error> {
    let at = |error: Error| Error::new(used_at, error.to_string());
    let single = || Error::new(used_at, "onbuild trigger should be a single expression");
    let source = Source::new("trigger", text.as_bytes());
    let mut lines = Lines::new(&source).map_err(at)?;
    let mut statement = lines.next().map_err(at)?.ok_or_else(single)?;
    let named = heredoc::named(&statement).map_err(|message| Error::new(used_at, message))?;
    lines.heredocs(&mut statement, named).map_err(at)?;
    if lines.next().map_err(at)?.is_some() {
        return Err(single());
    }
    match one(&statement, lines.escape()).map_err(|wrong| located(&statement, wrong)) {
        Ok(Parsed::Instruction(mut instruction)) => {
            instruction.span = used_at;
            Ok(instruction)
        }
        Ok(Parsed::Stage(_)) => Err(Error::new(
            used_at,
            "FROM isn't allowed as an ONBUILD trigger",
        )),
        Err(error) => Err(at(error)),
    }
}

fn located(statement: &Statement, wrong: Wrong) -> Error {
    let mut span = statement.span;
    let line = span.start.line;
    if let Some(at) = wrong.at {
        span = Span::at(statement.position(at));
    }
    Error::instruction(span, line, wrong.message)
}

enum Parsed {
    Stage(Stage),
    Instruction(Instruction),
}

/// All that the functions for single instructions need.
struct Request<'a> {
    statement: &'a Statement,
    parts: Parts<'a>,
    /// In upper case.
    keyword: String,
    escape: char,
}

impl<'a> Request<'a> {
    fn rest(&self) -> &'a str {
        self.parts.rest(&self.statement.text)
    }

    fn flags(&self, known: &[(&'static str, Kind)]) -> Result<Flags, Wrong> {
        Flags::parse(&self.parts.flags, known)
    }

    /// JSON if it is any, or the words at spaces.
    fn list(&self) -> Result<Vec<String>, Wrong> {
        match words::json(self.rest()) {
            Some(list) => Ok(list?),
            None => Ok(words::plain_words(self.rest(), 0)
                .into_iter()
                .map(|word| word.text)
                .collect()),
        }
    }

    /// JSON if it is any, or all as one string for a shell.
    fn command(&self) -> Result<CommandLine, Wrong> {
        command(self.rest())
    }

    fn at_least_one(&self) -> Wrong {
        format!("{} requires at least one argument", self.keyword).into()
    }
}

fn command(rest: &str) -> Result<CommandLine, Wrong> {
    Ok(match words::json(rest) {
        Some(args) => CommandLine {
            args: args?,
            shell: false,
        },
        None if rest.is_empty() => CommandLine {
            args: Vec::new(),
            shell: true,
        },
        None => CommandLine {
            args: vec![rest.to_owned()],
            shell: true,
        },
    })
}

fn one(statement: &Statement, escape: char) -> Result<Parsed, Wrong> {
    let parts = words::split_statement(&statement.text);
    let request = Request {
        statement,
        keyword: parts.keyword.to_uppercase(),
        parts,
        escape,
    };
    if request.keyword == "FROM" {
        return Ok(Parsed::Stage(stage(&request)?));
    }
    let verb = verb(&request)?;
    Ok(Parsed::Instruction(Instruction {
        keyword: request.parts.keyword.to_owned(),
        span: statement.span,
        code: statement.text.trim().to_owned(),
        comments: statement.comments.clone(),
        verb,
    }))
}

fn verb(request: &Request) -> Result<Verb, Wrong> {
    match request.keyword.as_str() {
        "ADD" => transfer::add(request).map(Verb::Add),
        "ARG" => simple::arg(request).map(Verb::Arg),
        "CMD" => plain_command(request).map(Verb::Cmd),
        "COPY" => transfer::copy(request).map(Verb::Copy),
        "ENTRYPOINT" => plain_command(request).map(Verb::Entrypoint),
        "ENV" => simple::pairs(request).map(Verb::Env),
        "EXPOSE" => simple::expose(request).map(Verb::Expose),
        "HEALTHCHECK" => simple::healthcheck(request).map(Verb::Healthcheck),
        "LABEL" => simple::pairs(request).map(Verb::Label),
        "MAINTAINER" => simple::single(request).map(Verb::Maintainer),
        "ONBUILD" => onbuild(request).map(Verb::Onbuild),
        "RUN" => run(request).map(|run| Verb::Run(Box::new(run))),
        "SHELL" => simple::shell(request).map(Verb::Shell),
        "STOPSIGNAL" => simple::single(request).map(Verb::Stopsignal),
        "USER" => simple::single(request).map(Verb::User),
        "VOLUME" => simple::volume(request).map(Verb::Volume),
        "WORKDIR" => simple::single(request).map(Verb::Workdir),
        _ => Err(unknown(request.parts.keyword)),
    }
}

fn unknown(keyword: &str) -> Wrong {
    let sentence = format!("unknown instruction: {keyword}");
    Wrong {
        message: suggest::hint(sentence, keyword, KEYWORDS, false),
        at: Some(0),
    }
}

fn plain_command(request: &Request) -> Result<CommandLine, Wrong> {
    request.flags(&[])?;
    request.command()
}

fn stage(request: &Request) -> Result<Stage, Wrong> {
    let words: Vec<String> = words::plain_words(request.rest(), 0)
        .into_iter()
        .map(|word| word.text)
        .collect();
    let (base, named) = match words.as_slice() {
        [base] => (base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (base, Some((word, name))),
        _ => return Err("FROM requires either one or three arguments".into()),
    };
    if let Some((_, name)) = named.filter(|(_, name)| !is_stage_name(&name.to_lowercase())) {
        return Err(format!(
            "invalid name for build stage: {}, name can't start with a number or contain symbols",
            go::quote(name)
        )
        .into());
    }
    let mut flags = request.flags(&[("platform", Kind::Text)])?;
    Ok(Stage {
        base: base.clone(),
        name: named.map(|(_, name)| name.to_lowercase()),
        written: named.map(|(_, name)| name.clone()),
        platform: flags.text("platform").filter(|text| !text.is_empty()),
        keyword: request.parts.keyword.to_owned(),
        as_keyword: named.map(|(word, _)| word.clone()),
        span: request.statement.span,
        code: request.statement.text.trim().to_owned(),
        comments: request.statement.comments.clone(),
        instructions: Vec::new(),
    })
}

fn is_stage_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    name.bytes().all(word) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn onbuild(request: &Request) -> Result<String, Wrong> {
    request.flags(&[])?;
    let rest = request.rest();
    if rest.is_empty() {
        return Err(request.at_least_one());
    }
    let keyword = words::split_statement(rest).keyword.to_uppercase();
    match keyword.as_str() {
        "ONBUILD" => {
            return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into());
        }
        "MAINTAINER" | "FROM" => {
            return Err(format!("{keyword} isn't allowed as an ONBUILD trigger").into());
        }
        _ => {}
    }
    judge_trigger(request, rest)?;
    let mut text = rest.to_owned();
    for heredoc in &request.statement.heredocs {
        text.push('\n');
        text.push_str(&heredoc.data);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}

/// A trigger whose arguments are wrong is said here, not to whoever uses the image. One that is not known
/// here may be in another frontend.
fn judge_trigger(request: &Request, rest: &str) -> Result<(), Wrong> {
    let parts = words::split_statement(rest);
    let keyword = parts.keyword.to_uppercase();
    if !KEYWORDS.contains(&keyword.as_str()) {
        return Ok(());
    }
    let mut trigger = request.statement.clone();
    trigger.text = rest.to_owned();
    let inner = Request {
        statement: &trigger,
        parts,
        keyword,
        escape: request.escape,
    };
    let base = request.parts.start;
    verb(&inner).map(drop).map_err(|wrong| Wrong {
        at: wrong.at.map(|at| at + base),
        ..wrong
    })
}

fn run(request: &Request) -> Result<Run, Wrong> {
    let mut flags = request.flags(&[
        ("mount", Kind::Texts),
        ("network", Kind::Text),
        ("security", Kind::Text),
        ("device", Kind::Texts),
    ])?;
    let network = match flags.text("network").as_deref() {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(format!("invalid network mode {}", go::quote(other)).into()),
    };
    let insecure = match flags.text("security").as_deref() {
        None | Some("sandbox") => false,
        Some("insecure") => true,
        Some(other) => return Err(format!("security {} is not valid", go::quote(other)).into()),
    };
    let mounts = flags.each("mount", MountSpec::parse)?;
    let devices = flags.each("device", Device::parse)?;
    Ok(Run {
        command: request.command()?,
        heredocs: request.statement.heredocs.clone(),
        mounts,
        network,
        insecure,
        devices,
    })
}
