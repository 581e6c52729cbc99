//! Changes of files without a command: the actions of one vertex, each on a writable layer.

use std::ffi::OsStr;

use storage::Draft;
use sys::dir::{Dir, Kind as FileKind};
use types::ErrorKind;

use super::Failure;
use super::copy::{self, Marks, Target};
use super::files::{self, Files, Kind};
use super::run::Run;
use super::tree;
use crate::graph::{Act, FileAction, Operand, Owner, User};

/// What an action has made.
enum Made {
    /// Still written to.
    Draft(Draft),
    Done(Files),
    /// Taken on by the next action.
    Moved,
}

/// Does all of them; the results by their numbers.
pub(super) fn perform(
    run: &Run<'_>,
    actions: &[FileAction],
    inputs: &[Files],
) -> Result<Vec<Option<Files>>, Failure> {
    let mut work = Work {
        run,
        actions,
        inputs,
        made: Vec::new(),
    };
    for action in actions {
        run.check()?;
        let draft = work.base(action.on)?;
        let draft = work.act(draft, &action.act)?;
        work.made.push(Made::Draft(draft));
    }
    let mut outputs = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        let Some(output) = action.output else {
            continue;
        };
        let output = output as usize;
        if output >= actions.len() {
            let sentence = format!("a change of files has no result {output}");
            return Err(Failure::invalid(sentence));
        }
        if outputs.len() <= output {
            outputs.resize(output + 1, None);
        }
        outputs[output] = Some(work.done(index)?);
    }
    Ok(outputs)
}

struct Work<'a> {
    run: &'a Run<'a>,
    actions: &'a [FileAction],
    inputs: &'a [Files],
    made: Vec<Made>,
}

impl Work<'_> {
    /// A writable layer on an operand.
    fn base(&mut self, on: Operand) -> Result<Draft, Failure> {
        let store = self.run.store();
        match on {
            Operand::Empty => Ok(store.scratch()?),
            Operand::Input(input) => {
                let layers = self.run.layers_of(self.input(input)?)?;
                Ok(store.draft(&layers)?)
            }
            Operand::Action(action) => {
                if self.uses(action) == 1
                    && let Some(Made::Draft(_)) = self.made.get(action)
                    && let Made::Draft(draft) =
                        std::mem::replace(&mut self.made[action], Made::Moved)
                {
                    return Ok(draft);
                }
                let files = self.done(action)?;
                Ok(store.draft(&self.run.layers_of(&files)?)?)
            }
        }
    }

    /// How often an action's result is wanted.
    fn uses(&self, action: usize) -> usize {
        let wanted = Operand::Action(action);
        let of_act = |act: &Act| {
            let from = matches!(act, Act::Copy(copy) if copy.from == wanted);
            usize::from(from) + usize::from(asks(act, wanted))
        };
        let uses = self.actions.iter();
        let uses = uses.map(|next| usize::from(next.on == wanted) + of_act(&next.act));
        let output = self.actions[action].output.is_some();
        uses.sum::<usize>() + usize::from(output)
    }

    fn input(&self, input: usize) -> Result<&Files, Failure> {
        let missing = || Failure::invalid(format!("a change of files has no input {input}"));
        self.inputs.get(input).ok_or_else(missing)
    }

    /// The result of an action, which nobody writes to any more.
    fn done(&mut self, action: usize) -> Result<Files, Failure> {
        let wrong = || Failure::invalid(format!("no change of files {action} comes before"));
        let made = self.made.get_mut(action).ok_or_else(wrong)?;
        let files = match std::mem::replace(made, Made::Moved) {
            Made::Draft(draft) => self.run.files(Kind::Layers(draft.commit()?)),
            Made::Done(files) => files,
            Made::Moved => return Err(wrong()),
        };
        self.made[action] = Made::Done(files.clone());
        Ok(files)
    }

    /// The files that an operand is.
    fn operand(&mut self, operand: Operand) -> Result<Option<Files>, Failure> {
        match operand {
            Operand::Empty => Ok(None),
            Operand::Input(input) => Ok(Some(self.input(input)?.clone())),
            Operand::Action(action) => match self.made.get(action) {
                // The one that is being written to.
                Some(Made::Moved) => Ok(None),
                _ => self.done(action).map(Some),
            },
        }
    }

    fn act(&mut self, draft: Draft, act: &Act) -> Result<Draft, Failure> {
        draft.again()?;
        let mut mounts = vec![draft.mount()];
        if let Act::Copy(copy) = act {
            let from = self.operand(copy.from)?;
            let from = from.map_or_else(|| self.run.store().mount_dirs(Vec::new()), |f| f.mount());
            mounts.push(from);
        }
        let known_to = match owner(act).and_then(named_in) {
            Some(operand) => self.operand(operand)?,
            None => None,
        };
        let names = known_to.is_some();
        let upper = Dir::open(&draft.upper()).map_err(tree::failed("open", "/"))?;
        mounts.extend(known_to.map(|files| files.mount()));
        files::with_mounts(&mounts, &self.run.solver.place(), |roots| {
            let known = match names {
                true => roots.last(),
                false => roots.first(),
            };
            let ids = owner(act).map(|owner| ids(owner, known)).transpose()?;
            let to = Target {
                root: &roots[0],
                upper: Some(&upper),
            };
            change(to, roots.get(1), act, ids)
        })?;
        Ok(draft)
    }
}

fn owner(act: &Act) -> Option<&Owner> {
    match act {
        Act::Copy(copy) => copy.owner.as_ref(),
        Act::MakeFile { owner, .. }
        | Act::MakeDirectory { owner, .. }
        | Act::MakeLink { owner, .. } => owner.as_ref(),
        Act::Remove { .. } => None,
    }
}

fn named_in(owner: &Owner) -> Option<Operand> {
    let mut named = [&owner.user, &owner.group].into_iter().flatten();
    named.find_map(|user| match user {
        User::Name { known_to, .. } => Some(*known_to),
        User::Id(_) => None,
    })
}

fn asks(act: &Act, operand: Operand) -> bool {
    owner(act).and_then(named_in) == Some(operand)
}

fn change(
    to: Target<'_>,
    from: Option<&Dir>,
    act: &Act,
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let marks = |time: &Option<i64>| Marks {
        owner,
        time: time.map(copy::time_of),
    };
    let root = to.root;
    match act {
        Act::Copy(files) => match from {
            Some(from) => copy::copy(from, to, files, marks(&files.time)),
            None => Ok(()),
        },
        Act::MakeFile {
            path,
            mode,
            data,
            time,
            ..
        } => copy::make_file(root, path, data, *mode, marks(time)),
        Act::MakeDirectory {
            path,
            mode,
            parents,
            time,
            ..
        } => make_directory(root, path, *mode, *parents, marks(time)),
        Act::MakeLink {
            target, path, time, ..
        } => copy::make_link(root, path, target, marks(time)),
        Act::Remove {
            path,
            wildcard,
            allow_missing,
        } => remove(root, path, *wildcard, *allow_missing),
    }
}

fn make_directory(
    root: &Dir,
    path: &str,
    mode: u32,
    parents: bool,
    marks: Marks,
) -> Result<(), Failure> {
    if let Some(place) = tree::locate(root, path, true)? {
        if place.status.kind == FileKind::Directory && parents {
            return Ok(());
        }
        let sentence = format!("cannot make the directory {path}: something is there");
        return Err(Failure::invalid(sentence));
    }
    let path = path.trim_end_matches('/');
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if parents {
        copy::make_dirs(root, above, marks)?;
    }
    copy::make_dir(root, above, name, mode, marks)
}

fn remove(root: &Dir, path: &str, wildcard: bool, allow_missing: bool) -> Result<(), Failure> {
    let paths = match wildcard {
        true => tree::expand(root, path)?,
        false => vec![path.to_owned()],
    };
    for path in paths {
        match tree::locate(root, &path, false)? {
            Some(place) => copy::remove_all(&place.dir, &place.name, &path)?,
            None if allow_missing => {}
            None => {
                let sentence = format!("{path}: not found");
                return Err(Failure::new(ErrorKind::NotFound, sentence));
            }
        }
    }
    Ok(())
}

/// Who an owner is in numbers, by the files of a root.
fn ids(owner: &Owner, root: Option<&Dir>) -> Result<(u32, u32), Failure> {
    let (uid, primary) = match &owner.user {
        None => (0, 0),
        Some(User::Id(id)) => (*id, *id),
        Some(User::Name { name, .. }) => {
            let line = entry(root, "/etc/passwd", name);
            let line = line.ok_or_else(|| unknown("user", name))?;
            let number = |at: usize| line.get(at)?.parse().ok();
            let uid = number(2).ok_or_else(|| unknown("user", name))?;
            (uid, number(3).unwrap_or(uid))
        }
    };
    let gid = match &owner.group {
        None => primary,
        Some(User::Id(id)) => *id,
        Some(User::Name { name, .. }) => {
            let line = entry(root, "/etc/group", name);
            let gid = line.and_then(|line| line.get(2)?.parse().ok());
            gid.ok_or_else(|| unknown("group", name))?
        }
    };
    Ok((uid, gid))
}

fn unknown(what: &str, name: &str) -> Failure {
    let sentence =
        format!("unable to find {what} {name}: no matching entries in the image's files");
    Failure::invalid(sentence)
}

/// The fields of the line that begins with a name.
fn entry(root: Option<&Dir>, path: &str, name: &str) -> Option<Vec<String>> {
    const LONGEST: u64 = 4 << 20;
    let place = tree::locate(root?, path, true).ok()??;
    let file = place.dir.open_regular(OsStr::new(&place.name)).ok()?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, LONGEST), &mut text).ok()?;
    let mut lines = text.lines().map(|line| line.split(':'));
    let found = lines.find(|fields| fields.clone().next() == Some(name))?;
    Some(found.map(str::to_owned).collect())
}
