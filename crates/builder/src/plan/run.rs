//! `RUN`: what is executed, and what it sees.

use super::Planner;
use super::dispatch::{absolute, with_shell};
use super::unit::{Step, Unit};
use crate::dockerfile::{
    Error, Heredoc, Instruction, Mount, MountKind, Run, RunNetwork, parse_heredoc,
};
use crate::graph::{
    About, Act, Agent, CacheMount, Exec, ExecMount, FileAction, MountSource, Network, Op, Operand,
    Output, Owner, Secret, SecretEnv, Slot, User,
};

/// Where a document with a `#!` line is put to be executed.
const DOCUMENTS: &str = "/dev/pipes/";
/// The namespace of names of cache mounts.
const NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// A command that grows mount by mount.
#[derive(Default)]
struct Draft {
    exec: Exec,
    inputs: Vec<Output>,
    agents: usize,
}

impl Draft {
    /// The place of a result among the inputs.
    fn input(&mut self, output: Option<Output>) -> Slot {
        let output = output?;
        let known = self.inputs.iter().position(|input| *input == output);
        Some(known.unwrap_or_else(|| {
            self.inputs.push(output);
            self.inputs.len() - 1
        }))
    }

    fn mount(&mut self, target: impl Into<String>, source: MountSource) -> &mut ExecMount {
        self.exec.mounts.push(ExecMount {
            input: None,
            selector: String::new(),
            target: target.into(),
            output: None,
            read_only: false,
            source,
            by_content: None,
        });
        let last = self.exec.mounts.len() - 1;
        &mut self.exec.mounts[last]
    }
}

impl Planner<'_> {
    pub(super) fn run_command(
        &mut self,
        unit: &mut Unit,
        step: &Step,
        run: &Run,
    ) -> Result<(), Error> {
        let instruction = &step.instruction;
        let mut draft = Draft::default();
        let root = draft.input(unit.root);
        let mount = draft.mount("/", MountSource::Files);
        mount.input = root;
        mount.output = Some(0);
        let args = self.command_of(unit, instruction, run, &mut draft)?;
        let args = match run.command.shell {
            true => with_shell(unit, &args),
            false => args,
        };
        let env = unit.env.to_list();
        let size = env.iter().map(String::len).sum();
        self.spend(size, instruction.span)?;
        draft.exec.args.clone_from(&args);
        draft.exec.env = env;
        unit.directory().clone_into(&mut draft.exec.directory);
        unit.image.config.user.clone_into(&mut draft.exec.user);
        self.surroundings(run, &mut draft.exec);
        self.mounts(unit, step, run, &mut draft)?;
        let about = self.about(unit, step, shown_code(instruction, run));
        self.apply(unit, Op::Exec(Box::new(draft.exec)), draft.inputs, about);
        let what = format!("RUN {}{} # buildkit", args_shown(unit), args.join(" "));
        self.note(unit, what, true);
        Ok(())
    }

    /// The command, documents put where it reads them, or where it is executed.
    fn command_of(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        run: &Run,
        draft: &mut Draft,
    ) -> Result<Vec<String>, Error> {
        let (Some(first), [line]) = (run.heredocs.first(), run.command.args.as_slice()) else {
            return Ok(run.command.args.clone());
        };
        let wrong = |message: String| Error::new(instruction.span, message);
        if parse_heredoc(line).map_err(wrong)?.is_none() {
            return Ok(vec![with_documents(line, &run.heredocs)]);
        }
        let text = first.content();
        if !text.starts_with("#!") {
            return Ok(vec![text]);
        }
        let act = Act::MakeFile {
            path: format!("/{}", first.name),
            mode: 0o755,
            data: text.into_bytes(),
            owner: None,
            time: None,
        };
        let file = self.on_nothing(act, unit, "[internal] preparing inline document");
        let input = draft.input(Some(file));
        let mount = draft.mount(DOCUMENTS, MountSource::Files);
        mount.input = input;
        mount.selector = "/".to_owned();
        mount.read_only = true;
        Ok(vec![format!("{DOCUMENTS}{}", first.name)])
    }

    /// A result with nothing else in it.
    pub(super) fn on_nothing(&mut self, act: Act, unit: &Unit, name: &str) -> Output {
        let action = FileAction {
            on: Operand::Empty,
            output: Some(0),
            act,
        };
        let about = About {
            name: name.to_owned(),
            ..About::default()
        };
        let op = Op::File(vec![action]);
        let vertex = self.graph.add(op, Vec::new(), unit.platform.clone(), about);
        Output { vertex, index: 0 }
    }

    fn surroundings(&self, run: &Run, exec: &mut Exec) {
        let options = self.options;
        exec.hosts.clone_from(&options.hosts);
        exec.ulimits.clone_from(&options.ulimits);
        exec.hostname.clone_from(&options.hostname);
        exec.cgroup_parent.clone_from(&options.cgroup_parent);
        exec.resources.clone_from(&options.resources);
        exec.proxy = self.proxy();
        exec.insecure = run.insecure;
        exec.devices.clone_from(&run.devices);
        exec.remove_stubs = true;
        exec.network = match run.network {
            RunNetwork::Default => options.network,
            RunNetwork::None => Network::None,
            RunNetwork::Host => Network::Host,
        };
    }

    fn mounts(
        &mut self,
        unit: &Unit,
        step: &Step,
        run: &Run,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        for (index, spec) in run.mounts.iter().enumerate() {
            let instruction = &step.instruction;
            let mut failed = None;
            let mount = spec.resolve(|value| {
                self.word(unit, instruction, value).map_err(|error| {
                    let sentence = error.to_string();
                    failed = Some(error);
                    sentence
                })
            });
            let mount = mount.map_err(|sentence| {
                failed.unwrap_or_else(|| Error::new(instruction.span, sentence))
            })?;
            match mount.kind {
                MountKind::Secret => secret(&mount, unit, draft),
                MountKind::Ssh => agent(&mount, unit, draft),
                MountKind::Bind | MountKind::Cache | MountKind::Tmpfs => {
                    let from = step.from.get(index).copied().flatten();
                    self.files(unit, instruction, &mount, from, draft)?;
                }
            }
        }
        if self.options.shm_size > 0 {
            draft.mount("/dev/shm", MountSource::Memory(self.options.shm_size));
        }
        Ok(())
    }

    fn files(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        mount: &Mount,
        from: Option<usize>,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let target = absolute(unit.directory(), &mount.target);
        if target == "/" {
            let sentence = "invalid mount target \"/\"";
            return Err(Error::new(instruction.span, sentence));
        }
        let from_context = mount.kind == MountKind::Bind && from.is_none();
        let mut root = match (mount.kind, from) {
            (MountKind::Tmpfs, _) | (MountKind::Cache, None) => None,
            (_, Some(index)) => self.ready(index, unit, instruction)?,
            (_, None) => self.context,
        };
        let mut selector = absolute("/", &mount.source);
        if from_context {
            self.context_paths.insert(selector.clone());
        }
        let owned = mount.uid.is_some() || mount.gid.is_some() || mount.mode.is_some();
        if mount.kind == MountKind::Cache && selector == "/" && owned {
            root = Some(self.owned_cache(unit, mount, root));
            selector = "/cache".to_owned();
        }
        let source = match mount.kind {
            MountKind::Tmpfs => MountSource::Memory(mount.size),
            MountKind::Cache => MountSource::Cache(self.cache(mount, &target)),
            _ => MountSource::Files,
        };
        let input = draft.input(root);
        let new = draft.mount(target, source);
        new.input = input;
        if selector != "/" {
            new.selector = selector;
        }
        new.read_only = mount.read_only;
        Ok(())
    }

    /// The files of a unit that has to be planned already.
    pub(super) fn ready(
        &self,
        index: usize,
        user: &Unit,
        instruction: &Instruction,
    ) -> Result<Option<Output>, Error> {
        let unit = &self.units[index];
        if unit.done {
            return Ok(unit.root);
        }
        let sentence = format!(
            "cannot copy from stage \"{}\", it needs to be defined before current stage \"{}\"",
            unit.shown, user.shown
        );
        Err(Error::new(instruction.span, sentence))
    }

    fn cache(&self, mount: &Mount, target: &str) -> CacheMount {
        let namespace = self.options.args.get(NAMESPACE).map_or("", String::as_str);
        let id = if mount.id.is_empty() {
            target
        } else {
            &mount.id
        };
        CacheMount {
            id: format!("{namespace}/{id}"),
            sharing: mount.sharing.unwrap_or_default(),
        }
    }

    /// What a cache begins with, so that it belongs to somebody.
    fn owned_cache(&mut self, unit: &Unit, mount: &Mount, root: Option<Output>) -> Output {
        let act = Act::MakeDirectory {
            path: "/cache".to_owned(),
            mode: mount.mode.unwrap_or(0o755),
            parents: false,
            owner: Some(Owner {
                user: Some(User::Id(mount.uid.unwrap_or(0))),
                group: Some(User::Id(mount.gid.unwrap_or(0))),
            }),
            time: None,
        };
        let name = "[internal] setting cache mount permissions";
        let Some(root) = root else {
            return self.on_nothing(act, unit, name);
        };
        let action = FileAction {
            on: Operand::Input(0),
            output: Some(0),
            act,
        };
        let about = About {
            name: name.to_owned(),
            ..About::default()
        };
        let op = Op::File(vec![action]);
        let vertex = self.graph.add(op, vec![root], unit.platform.clone(), about);
        Output { vertex, index: 0 }
    }
}

fn secret(mount: &Mount, unit: &Unit, draft: &mut Draft) {
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let named = [&mount.source, &mount.id]
        .into_iter()
        .find(|id| !id.is_empty());
    let id = named.cloned().unwrap_or_else(|| base(&mount.target));
    if let Some(name) = &mount.env {
        draft.exec.secrets.push(SecretEnv {
            id: id.clone(),
            name: name.clone(),
            optional: !mount.required,
        });
        if mount.target.is_empty() {
            return;
        }
    }
    let target = match mount.target.as_str() {
        "" => format!("/run/secrets/{}", base(&id)),
        target => absolute(unit.directory(), target),
    };
    let source = MountSource::Secret(Secret {
        id,
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        mode: mount.mode.unwrap_or(0o400),
        optional: !mount.required,
    });
    draft.mount(target, source).read_only = true;
}

fn agent(mount: &Mount, unit: &Unit, draft: &mut Draft) {
    let id = match mount.id.as_str() {
        "" if mount.source.is_empty() => "default".to_owned(),
        "" => mount.source.clone(),
        id => id.to_owned(),
    };
    let target = match mount.target.as_str() {
        "" => format!("/run/buildkit/ssh_agent.{}", draft.agents),
        target => absolute(unit.directory(), target),
    };
    if draft.agents == 0 && unit.env.get("SSH_AUTH_SOCK").is_none() {
        draft.exec.env.push(format!("SSH_AUTH_SOCK={target}"));
    }
    draft.agents += 1;
    let source = MountSource::Agent(Agent {
        id,
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        mode: mount.mode.unwrap_or(0o600),
        optional: !mount.required,
    });
    draft.mount(target, source).read_only = true;
}

/// A command line and its documents as a shell reads them.
fn with_documents(line: &str, heredocs: &[Heredoc]) -> String {
    let mut text = line.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.data);
        text.push_str(&heredoc.name);
    }
    text
}

/// `|2 A=1 B=2 `: the arguments a command has seen.
fn args_shown(unit: &Unit) -> String {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &unit.args {
        let value = unit.env.get(name).or(value.as_deref()).unwrap_or_default();
        match names.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => names.push((name, value)),
        }
    }
    if names.is_empty() {
        return String::new();
    }
    let mut out = format!("|{} ", names.len());
    for (name, value) in names {
        out.push_str(&format!("{name}={value} "));
    }
    out
}

/// An instruction with the first line of its document.
fn shown_code(instruction: &Instruction, run: &Run) -> Option<String> {
    let [line] = run.command.args.as_slice() else {
        return None;
    };
    let first = run.heredocs.first()?;
    if !matches!(parse_heredoc(line), Ok(Some(_))) {
        return None;
    }
    let text = first.data.trim();
    let head = text.lines().next().unwrap_or_default();
    let more = if text.contains('\n') { "..." } else { "" };
    Some(format!("{} ({head}{more})", instruction.code))
}
