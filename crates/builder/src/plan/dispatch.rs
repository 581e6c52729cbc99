//! Instruction after instruction: the image's configuration, and operations on files.

use super::args::NOT_IN_ENV;
use super::unit::{Step, Unit};
use super::{Planner, expose};
use crate::check::{Rule, names_secret};
use crate::dockerfile::{Arg, CommandLine, Error, Healthcheck, Instruction, Pair, Verb};
use crate::expand::{Env, Expander};
use crate::go;
use crate::graph::{About, Act, FileAction, Op, Operand, Output, Owner};
use crate::ignore::clean;
use crate::source::Span;

/// The shell of commands in shell form, unless `SHELL` says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

impl Planner<'_> {
    /// Plans one unit; those it is made from are planned.
    pub(super) fn dispatch(&mut self, index: usize) -> Result<(), Error> {
        let mut unit = std::mem::take(&mut self.units[index]);
        if let Some(base) = unit.base {
            unit.continue_from(&self.units[base]);
            self.spend(size(&unit), unit.span)?;
        }
        begin(&mut unit);
        let steps = std::mem::take(&mut unit.steps);
        for step in &steps {
            self.step_of(&mut unit, step)?;
        }
        unit.steps = steps;
        unit.done = true;
        self.units[index] = unit;
        Ok(())
    }

    fn step_of(&mut self, unit: &mut Unit, step: &Step) -> Result<(), Error> {
        let instruction = &step.instruction;
        match &instruction.verb {
            Verb::Add(add) => self.transfer(unit, step, add, true),
            Verb::Copy(copy) => self.transfer(unit, step, copy, false),
            Verb::Run(run) => self.run_command(unit, step, run),
            Verb::Workdir(path) => self.workdir(unit, step, path),
            Verb::Arg(args) => self.arg(unit, instruction, args),
            Verb::Env(pairs) => self.env(unit, instruction, pairs),
            Verb::Label(pairs) => self.label(unit, instruction, pairs),
            Verb::Expose(ports) => self.expose(unit, instruction, ports),
            Verb::Volume(paths) => self.volume(unit, instruction, paths),
            Verb::User(user) => self.user(unit, instruction, user),
            Verb::Stopsignal(signal) => self.stop_signal(unit, instruction, signal),
            Verb::Cmd(line) => {
                self.cmd(unit, instruction, line);
                Ok(())
            }
            Verb::Entrypoint(line) => {
                self.entrypoint(unit, instruction, line);
                Ok(())
            }
            Verb::Healthcheck(check) => {
                self.healthcheck(unit, instruction, check);
                Ok(())
            }
            Verb::Shell(shell) => {
                unit.image.config.shell.clone_from(shell);
                self.note(unit, format!("SHELL {}", go::plain_list(shell)), false);
                Ok(())
            }
            Verb::Maintainer(name) => {
                name.clone_into(&mut unit.image.author);
                self.note(unit, format!("MAINTAINER {name}"), false);
                Ok(())
            }
            Verb::Onbuild(text) => {
                unit.image.config.on_build.push(text.clone());
                Ok(())
            }
        }
    }

    /// A line of the image's history.
    pub(super) fn note(&self, unit: &mut Unit, what: String, layer: bool) {
        unit.image.note(what, layer, self.created().as_ref());
    }

    /// Expands a word of an instruction; variables that are not set are found.
    pub(super) fn word(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        text: &str,
    ) -> Result<String, Error> {
        let how = self.expander;
        self.word_by(how, unit, instruction, text)
    }

    pub(super) fn word_by(
        &mut self,
        how: Expander,
        unit: &Unit,
        instruction: &Instruction,
        text: &str,
    ) -> Result<String, Error> {
        let word = how
            .expand(text, &unit.env)
            .map_err(|error| Error::new(instruction.span, error.to_string()))?;
        for name in &word.unmatched {
            self.undefined(unit, instruction, name);
        }
        self.spend(word.text.len(), instruction.span)?;
        Ok(word.text)
    }

    pub(super) fn undefined(&mut self, unit: &Unit, instruction: &Instruction, name: &str) {
        let declared = unit.args.iter().any(|(arg, _)| arg == name);
        if declared || unit.open || NOT_IN_ENV.contains(&name) {
            return;
        }
        let mut detail = format!("Usage of undefined variable '${name}'");
        if let Some(guess) = Self::nearest(name, &unit.env) {
            detail.push_str(&format!(" (did you mean ${guess}?)"));
        }
        let rule = Rule::UndefinedVar;
        self.checks
            .find(rule, instruction.span, &instruction.comments, detail);
    }

    fn find(&mut self, rule: Rule, instruction: &Instruction, detail: String) {
        self.checks
            .find(rule, instruction.span, &instruction.comments, detail);
    }

    fn arg(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        args: &[Arg],
    ) -> Result<(), Error> {
        let mut shown = vec!["ARG".to_owned()];
        for arg in args {
            self.check_secret(instruction, "ARG", &arg.name);
            self.taken.insert(arg.name.clone());
            let given = self.options.args.get(&arg.name).cloned();
            let value = match (given, &arg.value) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.word(unit, instruction, default)?),
                (None, None) => self.globals.get(&arg.name).map(str::to_owned),
            };
            if let Some(value) = &value
                && !NOT_IN_ENV.contains(&arg.name.as_str())
            {
                unit.env.set(&arg.name, value);
            }
            shown.push(match &value {
                Some(value) => format!("{}={value}", arg.name),
                None => arg.name.clone(),
            });
            unit.args.push((arg.name.clone(), value));
        }
        self.note(unit, shown.join(" "), false);
        Ok(())
    }

    fn check_secret(&mut self, instruction: &Instruction, keyword: &str, name: &str) {
        if names_secret(name) {
            let detail = format!(
                "Do not use ARG or ENV instructions for sensitive data ({keyword} {})",
                go::quote(name)
            );
            self.find(Rule::SecretsUsedInArgOrEnv, instruction, detail);
        }
    }

    /// Expands pairs; each sees the variables as they were before the instruction.
    fn pairs(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        pairs: &[Pair],
    ) -> Result<Vec<(String, String)>, Error> {
        let mut out = Vec::new();
        for pair in pairs {
            if pair.spaced {
                let keyword = &instruction.keyword;
                let detail = format!(
                    "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
                );
                self.find(Rule::LegacyKeyValueFormat, instruction, detail);
            }
            let name = self.word(unit, instruction, &pair.name)?;
            out.push((name, self.word(unit, instruction, &pair.value)?));
        }
        Ok(out)
    }

    fn env(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        pairs: &[Pair],
    ) -> Result<(), Error> {
        let mut shown = vec!["ENV".to_owned()];
        for (name, value) in self.pairs(unit, instruction, pairs)? {
            self.check_secret(instruction, "ENV", &name);
            shown.push(format!("{name}={value}"));
            unit.image.set_env(&name, &value);
            unit.env.set(name, value);
        }
        self.note(unit, shown.join(" "), false);
        Ok(())
    }

    fn label(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        pairs: &[Pair],
    ) -> Result<(), Error> {
        let mut shown = vec!["LABEL".to_owned()];
        for (name, value) in self.pairs(unit, instruction, pairs)? {
            shown.push(format!("{name}={value}"));
            unit.image.config.labels.insert(name, value);
        }
        self.note(unit, shown.join(" "), false);
        Ok(())
    }

    fn expose(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        ports: &[String],
    ) -> Result<(), Error> {
        let wrong = |message: String| Error::new(instruction.span, message);
        let mut exposed = Vec::new();
        for text in ports {
            let word = self.expander.expand(text, &unit.env);
            let word = word.map_err(|error| wrong(error.to_string()))?;
            for port in &word.words {
                for (rule, detail) in expose::findings(port) {
                    self.find(rule, instruction, detail);
                }
                exposed.extend(expose::ports(port).map_err(wrong)?);
            }
        }
        self.note(unit, format!("EXPOSE {}", go::plain_list(&exposed)), false);
        let names = exposed
            .into_iter()
            .map(|port| (port, serde_json::Map::new()));
        unit.image.config.exposed_ports.extend(names);
        Ok(())
    }

    fn volume(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        paths: &[String],
    ) -> Result<(), Error> {
        let mut expanded = Vec::new();
        for path in paths {
            let path = self.word(unit, instruction, path)?;
            if path.is_empty() {
                let sentence = "VOLUME specified can not be an empty string";
                return Err(Error::new(instruction.span, sentence));
            }
            expanded.push(path);
        }
        self.note(unit, format!("VOLUME {}", go::plain_list(&expanded)), false);
        let names = expanded
            .into_iter()
            .map(|path| (path, serde_json::Map::new()));
        unit.image.config.volumes.extend(names);
        Ok(())
    }

    fn user(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        user: &str,
    ) -> Result<(), Error> {
        let user = self.word(unit, instruction, user)?;
        self.note(unit, format!("USER {user}"), false);
        unit.image.config.user = user;
        Ok(())
    }

    fn stop_signal(
        &mut self,
        unit: &mut Unit,
        instruction: &Instruction,
        signal: &str,
    ) -> Result<(), Error> {
        let signal = self.word(unit, instruction, signal)?;
        if signal.parse::<types::Signal>().is_err() {
            let sentence = format!("invalid signal: {signal}");
            return Err(Error::new(instruction.span, sentence));
        }
        self.note(unit, format!("STOPSIGNAL {signal}"), false);
        unit.image.config.stop_signal = signal;
        Ok(())
    }

    /// The one before is of no use: found where it stands.
    fn used_once(&mut self, last: Option<(Span, Vec<String>)>, instruction: &Instruction) {
        if let Some((span, comments)) = last {
            let detail = format!(
                "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                instruction.keyword
            );
            let rule = Rule::MultipleInstructionsDisallowed;
            self.checks.find(rule, span, &comments, detail);
        }
    }

    /// The arguments of a container's command.
    fn container_args(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        line: &CommandLine,
    ) -> Vec<String> {
        if !line.shell {
            return line.args.clone();
        }
        if unit.image.config.shell.is_empty() {
            let detail = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                instruction.keyword
            );
            self.find(Rule::JSONArgsRecommended, instruction, detail);
        }
        with_shell(unit, &line.args)
    }

    fn cmd(&mut self, unit: &mut Unit, instruction: &Instruction, line: &CommandLine) {
        let this = (instruction.span, instruction.comments.clone());
        self.used_once(unit.last_cmd.replace(this), instruction);
        let args = self.container_args(unit, instruction, line);
        self.note(unit, format!("CMD {}", go::quote_list(&args)), false);
        unit.image.config.cmd = Some(args);
        unit.image.config.args_escaped = true;
    }

    fn entrypoint(&mut self, unit: &mut Unit, instruction: &Instruction, line: &CommandLine) {
        let this = (instruction.span, instruction.comments.clone());
        self.used_once(unit.last_entrypoint.replace(this), instruction);
        let args = self.container_args(unit, instruction, line);
        self.note(unit, format!("ENTRYPOINT {}", go::quote_list(&args)), false);
        unit.image.config.entrypoint = (!args.is_empty()).then_some(args);
        if unit.last_cmd.is_none() {
            unit.image.config.cmd = None;
        }
    }

    fn healthcheck(&mut self, unit: &mut Unit, instruction: &Instruction, check: &Healthcheck) {
        let this = (instruction.span, instruction.comments.clone());
        self.used_once(unit.last_healthcheck.replace(this), instruction);
        let what = format!(
            "HEALTHCHECK &{{{} {:?} {:?} {:?} {:?} {}}}",
            go::quote_list(&check.test),
            go::duration(check.interval),
            go::duration(check.timeout),
            go::duration(check.start_period),
            go::duration(check.start_interval),
            quote_number(check.retries)
        );
        self.note(unit, what, false);
        unit.image.config.healthcheck = Some(check.clone());
    }

    fn workdir(&mut self, unit: &mut Unit, step: &Step, path: &str) -> Result<(), Error> {
        let instruction = &step.instruction;
        let path = self.word(unit, instruction, path)?;
        if !unit.workdir_set && !path.starts_with('/') {
            let detail = format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                go::quote(&path)
            );
            self.find(Rule::WorkdirRelativePath, instruction, detail);
        }
        unit.workdir_set = true;
        let directory = absolute(unit.directory(), &path);
        directory.clone_into(&mut unit.image.config.working_dir);
        let layer = directory != "/";
        if layer {
            self.make_directory(unit, step, &directory);
        }
        self.note(unit, format!("WORKDIR {directory}"), layer);
        Ok(())
    }

    fn make_directory(&mut self, unit: &mut Unit, step: &Step, directory: &str) {
        let on = if unit.root.is_some() {
            Operand::Input(0)
        } else {
            Operand::Empty
        };
        let user = unit.image.config.user.clone();
        let action = FileAction {
            on,
            output: Some(0),
            act: Act::MakeDirectory {
                path: directory.to_owned(),
                mode: 0o755,
                parents: true,
                owner: (!user.is_empty()).then(|| Owner::parse(&user, on)),
                time: self.time(),
            },
        };
        let about = self.about(unit, step, None);
        self.apply(
            unit,
            Op::File(vec![action]),
            unit.root.into_iter().collect(),
            about,
        );
    }

    /// Puts an operation on top of a unit's files.
    pub(super) fn apply(&mut self, unit: &mut Unit, op: Op, inputs: Vec<Output>, about: About) {
        let vertex = self.graph.add(op, inputs, unit.platform.clone(), about);
        unit.root = Some(Output { vertex, index: 0 });
    }

    /// What people see of a step.
    pub(super) fn about(&self, unit: &mut Unit, step: &Step, code: Option<String>) -> About {
        let instruction = &step.instruction;
        let prefix = unit.prefix(self.options.several, step.triggered);
        let code = code.unwrap_or_else(|| instruction.code.clone());
        let shown = self.shown(&unit.env, &code);
        let command = (
            "com.docker.dockerfile.v1.command".to_owned(),
            instruction.code.clone(),
        );
        About {
            name: format!("{prefix}{shown}"),
            spans: vec![instruction.span],
            no_cache: unit.no_cache,
            description: [command].into(),
            ..About::default()
        }
    }

    /// An instruction with its variables expanded where that goes well, its keyword in upper case.
    fn shown(&self, env: &Env, code: &str) -> String {
        let how = Expander {
            keep_quotes: true,
            keep_unset: true,
            ..self.expander
        };
        let text = match how.expand(code, env) {
            Ok(word) if word.text.len() <= 4096 => word.text,
            _ => code.to_owned(),
        };
        match text.split_once(' ') {
            Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
            None => text.to_uppercase(),
        }
    }
}

/// How much a unit takes over from its base.
fn size(unit: &Unit) -> usize {
    let env: usize = unit
        .env
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let history = unit.image.history.iter().map(|line| line.created_by.len());
    env + history.sum::<usize>()
}

/// Variables and directory of an image become those of the unit.
fn begin(unit: &mut Unit) {
    let path = unit
        .image
        .config
        .env
        .iter()
        .any(|line| line.starts_with("PATH="));
    if !path {
        unit.image.set_env("PATH", super::DEFAULT_PATH);
    }
    for line in &unit.image.config.env {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        unit.env.set(name, value);
    }
    if !unit.image.config.working_dir.is_empty() {
        unit.image.config.working_dir = absolute("/", &unit.image.config.working_dir);
    }
}

/// A command line for the unit's shell.
pub(super) fn with_shell(unit: &Unit, args: &[String]) -> Vec<String> {
    let shell = &unit.image.config.shell;
    let mut out: Vec<String> = if shell.is_empty() {
        SHELL.map(str::to_owned).to_vec()
    } else {
        shell.clone()
    };
    out.push(args.join(" "));
    out
}

/// A path below a directory, or itself.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    clean(&if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{directory}/{path}")
    })
}

/// A number as `%q` writes it: as the letter that has it, in single quotes.
fn quote_number(number: i64) -> String {
    let letter = u32::try_from(number).ok().and_then(char::from_u32);
    match letter.unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        letter => format!("'{}'", go::quote(&letter.to_string()).trim_matches('"')),
    }
}
