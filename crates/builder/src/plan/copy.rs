//! `ADD` and `COPY`.

use super::Planner;
use super::dispatch::absolute;
use super::git::{GitAddress, is_web};
use super::unit::{Step, Unit};
use crate::check::Rule;
use crate::dockerfile::{Error, Instruction, Transfer};
use crate::expand::Expander;
use crate::go;
use crate::graph::{
    About, Act, CopyFiles, FileAction, FileMode, Http, Op, Operand, Origin, Output, Owner,
};
use crate::ignore::clean;

/// Files to be copied, and where they come from.
struct Piece {
    from: Option<Output>,
    copy: CopyFiles,
}

impl Planner<'_> {
    pub(super) fn transfer(
        &mut self,
        unit: &mut Unit,
        step: &Step,
        written: &Transfer,
        add: bool,
    ) -> Result<(), Error> {
        let instruction = &step.instruction;
        let wrong = |message: String| Error::new(instruction.span, message);
        let transfer = self.expanded(unit, instruction, written)?;
        let mode = transfer.chmod.as_deref().map(file_mode).transpose();
        let mode = mode.map_err(wrong)?;
        judge_checksum(&transfer).map_err(wrong)?;
        let root = match step.from.first() {
            Some(Some(index)) => self.ready(*index, unit, instruction)?,
            _ => self.context,
        };
        let target = target_path(unit.directory(), &transfer.target);
        let mut pieces = Vec::new();
        for source in &transfer.sources {
            pieces.push(self.piece(instruction, &transfer, source, root, add)?);
            if step.from.is_empty() && !is_remote(source) {
                self.context_paths.insert(absolute("/", source));
                self.check_ignored(instruction, source, add);
            }
        }
        pieces.extend(self.documents(unit, &transfer));
        for piece in &mut pieces {
            target.clone_into(&mut piece.copy.target);
            piece.copy.mode.clone_from(&mode);
            piece.copy.exclude.clone_from(&transfer.exclude);
            piece.copy.make_target = true;
            piece.copy.time = self.time();
        }
        let link = transfer.link && transfer.chmod.is_none();
        self.put(unit, step, pieces, transfer.chown.as_deref(), link);
        self.note(unit, noted(&transfer, add), true);
        Ok(())
    }

    /// The instruction with its variables expanded.
    fn expanded(
        &mut self,
        unit: &Unit,
        instruction: &Instruction,
        written: &Transfer,
    ) -> Result<Transfer, Error> {
        let mut transfer = written.clone();
        let optional = [
            &mut transfer.chown,
            &mut transfer.chmod,
            &mut transfer.checksum,
        ];
        let texts = optional.into_iter().flatten();
        let texts = texts.chain(&mut transfer.sources);
        let texts = texts.chain(&mut transfer.exclude);
        for text in texts.chain([&mut transfer.target]) {
            *text = self.word(unit, instruction, text)?;
        }
        for inline in transfer.inline.iter_mut().filter(|inline| inline.expand) {
            let how = Expander::heredoc();
            inline.data = self.word_by(how, unit, instruction, &inline.data)?;
        }
        transfer.chown = transfer.chown.filter(|text| !text.is_empty());
        transfer.chmod = transfer.chmod.filter(|text| !text.is_empty());
        Ok(transfer)
    }

    fn piece(
        &mut self,
        instruction: &Instruction,
        transfer: &Transfer,
        source: &str,
        root: Option<Output>,
        add: bool,
    ) -> Result<Piece, Error> {
        let wrong = |message: &str| Error::new(instruction.span, message);
        if let Some(git) = GitAddress::parse(source).map_err(|error| wrong(&error))? {
            if !add {
                return Err(wrong("source can't be a git ref for COPY"));
            }
            return self.git(instruction, transfer, git);
        }
        if is_web(source) {
            if !add {
                return Err(wrong("source can't be a URL for COPY"));
            }
            return Ok(self.web(transfer, source));
        }
        Ok(Piece {
            from: root,
            copy: local(transfer, source, add),
        })
    }

    fn git(
        &mut self,
        instruction: &Instruction,
        transfer: &Transfer,
        mut git: GitAddress,
    ) -> Result<Piece, Error> {
        let wrong = |message: String| Error::new(instruction.span, message);
        if let (Some(flag), Some(said)) = (transfer.keep_git_dir, git.keep_git_dir)
            && flag != said
        {
            return Err(wrong("inconsistent keep-git-dir configuration".to_owned()));
        }
        if let Some(sum) = &transfer.checksum {
            if !git.checksum.is_empty() && git.checksum != *sum {
                let (flag, said) = (go::quote(sum), go::quote(&git.checksum));
                return Err(wrong(format!("checksum mismatch {flag} != {said}")));
            }
            sum.clone_into(&mut git.checksum);
        }
        let keep = transfer.keep_git_dir.unwrap_or_default();
        let about = fetch(&git.remote);
        let from = self.source(Origin::Git(git.origin(keep)), None, about);
        Ok(Piece {
            from: Some(from),
            copy: CopyFiles {
                contents: true,
                ..CopyFiles::plain(Operand::Empty, "/", "")
            },
        })
    }

    fn web(&mut self, transfer: &Transfer, url: &str) -> Piece {
        let name = file_name(url);
        let http = Http {
            url: url.to_owned(),
            filename: Some(name.clone()),
            checksum: transfer.checksum.clone(),
            ..Http::default()
        };
        let from = self.source(Origin::Http(http), None, fetch(url));
        Piece {
            from: Some(from),
            copy: CopyFiles {
                unpack: transfer.unpack.unwrap_or_default(),
                ..CopyFiles::plain(Operand::Empty, format!("/{name}"), "")
            },
        }
    }

    /// Files whose text stands in the Dockerfile.
    fn documents(&mut self, unit: &Unit, transfer: &Transfer) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for inline in &transfer.inline {
            let path = absolute("/", &inline.name);
            let act = Act::MakeFile {
                path: path.clone(),
                mode: 0o644,
                data: inline.data.clone().into_bytes(),
                owner: None,
                time: None,
            };
            let name = "[internal] preparing inline document";
            pieces.push(Piece {
                from: Some(self.on_nothing(act, unit, name)),
                copy: CopyFiles::plain(Operand::Empty, path, ""),
            });
        }
        pieces
    }

    /// One operation for all pieces, on the unit's files or linked on top of them.
    fn put(
        &mut self,
        unit: &mut Unit,
        step: &Step,
        pieces: Vec<Piece>,
        chown: Option<&str>,
        link: bool,
    ) {
        let mut inputs: Vec<Output> = Vec::new();
        let below = unit.root.filter(|_| !link);
        inputs.extend(below);
        let mut on = if below.is_some() {
            Operand::Input(0)
        } else {
            Operand::Empty
        };
        let names = on;
        let count = pieces.len();
        let mut actions = Vec::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            let mut copy = piece.copy;
            copy.from = operand(&mut inputs, piece.from);
            copy.owner = chown.map(|text| Owner::parse(text, names));
            actions.push(FileAction {
                on,
                output: (index + 1 == count).then_some(0),
                act: Act::Copy(Box::new(copy)),
            });
            on = Operand::Action(index);
        }
        let lower = unit.root;
        let about = self.about(unit, step, None);
        let group = link.then(|| about.name.clone());
        let about = About { group, ..about };
        self.apply(unit, Op::File(actions), inputs, about.clone());
        if let (true, Some(lower), Some(upper)) = (link, lower, unit.root) {
            let about = About {
                name: about.name.replacen("] ", "] LINK ", 1),
                ..about
            };
            let op = Op::Merge(vec![Some(0), Some(1)]);
            self.apply(unit, op, vec![lower, upper], about);
        }
    }

    fn check_ignored(&mut self, instruction: &Instruction, source: &str, add: bool) {
        let Some(ignored) = &self.ignored else { return };
        // What is taken back below a directory cannot be seen from its name.
        if ignored.has_exceptions() {
            return;
        }
        let path = clean(source);
        if [".", "/"].contains(&path.as_str()) && !ignored.names_everything() {
            return;
        }
        if ignored.matches(path.trim_start_matches('/')) {
            let verb = if add { "Add" } else { "Copy" };
            let quoted = go::quote(&path);
            let detail =
                format!("Attempting to {verb} file {quoted} that is excluded by .dockerignore");
            let rule = Rule::CopyIgnoredFile;
            self.checks
                .find(rule, instruction.span, &instruction.comments, detail);
        }
    }
}

fn operand(inputs: &mut Vec<Output>, from: Option<Output>) -> Operand {
    let Some(from) = from else {
        return Operand::Empty;
    };
    let known = inputs.iter().position(|input| *input == from);
    Operand::Input(known.unwrap_or_else(|| {
        inputs.push(from);
        inputs.len() - 1
    }))
}

fn fetch(what: &str) -> About {
    About {
        name: format!("[internal] fetch {what}"),
        ..About::default()
    }
}

fn is_remote(source: &str) -> bool {
    is_web(source) || matches!(GitAddress::parse(source), Ok(Some(_)) | Err(_))
}

/// Files of a context or stage; with `--parents` their directories too, from a `/./` on.
fn local(transfer: &Transfer, source: &str, add: bool) -> CopyFiles {
    let mut copy = CopyFiles {
        follow: true,
        contents: true,
        wildcard: true,
        allow_empty: true,
        unpack: transfer.unpack.unwrap_or(add),
        ..CopyFiles::plain(Operand::Empty, absolute("/", source), "")
    };
    if !transfer.parents {
        return copy;
    }
    let (parent, pattern) = source.split_once("/./").unwrap_or(("/", source));
    let (parent, pattern) = (absolute("/", parent), absolute("/", pattern));
    if !has_wildcards(&parent) && !has_wildcards(&pattern) {
        copy.required = vec![clean(&format!("{parent}/{pattern}"))];
    }
    copy.include = vec![pattern.trim_start_matches('/').to_owned()];
    copy.source = parent;
    copy
}

fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    false
}

/// Where to, absolute; a slash or dot at the end still says that it is a directory.
fn target_path(directory: &str, target: &str) -> String {
    let target = if target.is_empty() { "." } else { target };
    let path = absolute(directory, target);
    let is_directory = target.ends_with('/') || target == "." || target.ends_with("/.");
    if is_directory && path != "/" {
        format!("{path}/")
    } else {
        path
    }
}

/// The last part of an address's path.
fn file_name(url: &str) -> String {
    let path = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once('/').map_or("", |(_, path)| path);
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | "." | "..") => "__unnamed__".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn judge_checksum(transfer: &Transfer) -> Result<(), String> {
    let Some(sum) = &transfer.checksum else {
        return Ok(());
    };
    let [source] = transfer.sources.as_slice() else {
        return Err("checksum can't be specified for multiple sources".to_owned());
    };
    if !is_remote(source) {
        return Err("checksum requires HTTP(S) or Git sources".to_owned());
    }
    if is_web(source) {
        sum.parse::<types::Digest>().map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// `--chmod`: octal, or chmod(1)'s words.
fn file_mode(text: &str) -> Result<FileMode, String> {
    let octal = format!(
        "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
    );
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let bits = u32::from_str_radix(text, 8).ok();
        return bits
            .filter(|bits| *bits <= 0o7777)
            .map(FileMode::Bits)
            .ok_or(octal);
    }
    let clause = |text: &str| {
        let rest = text.trim_start_matches(['u', 'g', 'o', 'a']);
        !rest.is_empty()
            && rest.starts_with(['+', '-', '='])
            && rest.chars().all(|c| "+-=rwxXstugo".contains(c))
    };
    if text.split(',').all(clause) {
        Ok(FileMode::Words(text.to_owned()))
    } else {
        Err(format!(
            "invalid chmod parameter: '{text}'. it should be an octal string, or like u=rwX,go=rX"
        ))
    }
}

/// The line of the history.
fn noted(transfer: &Transfer, add: bool) -> String {
    let mut out = if add { "ADD" } else { "COPY" }.to_owned();
    if transfer.parents {
        out.push_str(" --parents");
    }
    for (flag, value) in [("chown", &transfer.chown), ("chmod", &transfer.chmod)] {
        if let Some(value) = value {
            out.push_str(&format!(" --{flag}={value}"));
        }
    }
    for source in &transfer.sources {
        out.push_str(&format!(" {source}"));
    }
    for inline in &transfer.inline {
        out.push_str(&format!(" <<{}", inline.name));
    }
    out.push_str(&format!(" {} # buildkit", transfer.target));
    out
}
