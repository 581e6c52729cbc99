//! Stages as units: names, bases, dependencies, triggers; which are needed, and on what they are built.

use std::collections::BTreeSet;

use types::{ImageRef, Platform};

use super::image::ImageConfig;
use super::options::Context;
use super::unit::{Step, Unit};
use super::{ImageRequest, KnownImage, Planner};
use crate::check::Rule;
use crate::dockerfile::{Error, Instruction, MountKind, Stage, Verb, parse_trigger};
use crate::expand::{Env, Expanded};
use crate::graph::{
    About, Act, CopyFiles, FileAction, Graph, Http, Image, Layout, Op, Operand, Origin, Output,
};
use crate::source::Span;
use crate::{go, suggest};

/// The base without files.
const SCRATCH: &str = "scratch";

/// What a base has come to.
pub(super) struct Loaded {
    pub(super) root: Option<Output>,
    image: Option<ImageConfig>,
    /// It cannot be had.
    unknown: bool,
}

impl Planner<'_> {
    /// A unit a stage, in order.
    pub(super) fn make_units(&mut self) -> Result<(), Error> {
        let file = self.file;
        for (index, stage) in file.stages.iter().enumerate() {
            let base_name = self.base_name(stage)?;
            let platform = self.stage_platform(stage)?;
            let replaced = stage.name.as_deref().and_then(|name| self.named(name));
            let mut unit = Unit {
                name: stage.name.clone(),
                base: self.by_name.get(&base_name).copied(),
                span: stage.span,
                shown: stage
                    .name
                    .clone()
                    .unwrap_or_else(|| format!("stage-{index}")),
                no_cache: self.options.skips_cache(stage.name.as_deref()),
                platform,
                replaced,
                base_name,
                ..Unit::default()
            };
            if unit.replaced.is_some() {
                unit.base = None;
            } else {
                unit.stage = Some(stage.clone());
                unit.total = count(stage, unit.base.is_none() && unit.base_name != SCRATCH);
            }
            self.add(unit);
        }
        if let [only] = self.units.as_mut_slice() {
            only.shown.clear();
        }
        Ok(())
    }

    fn add(&mut self, unit: Unit) -> usize {
        let index = self.units.len();
        if let Some(name) = &unit.name {
            self.by_name.insert(name.clone(), index);
        }
        self.units.push(unit);
        index
    }

    fn base_name(&mut self, stage: &Stage) -> Result<String, Error> {
        let word = self.word_of_from(stage, &stage.base)?;
        if word.text.is_empty() {
            let sentence = format!("base name ({}) should not be blank", stage.base);
            return Err(Error::new(stage.span, sentence));
        }
        Ok(word.text)
    }

    /// A word of `FROM`; variables that nobody has declared are found.
    fn word_of_from(&mut self, stage: &Stage, text: &str) -> Result<Expanded, Error> {
        let word = self
            .expander
            .expand(text, &self.globals)
            .map_err(|error| Error::new(stage.span, error.to_string()))?;
        for name in word.unmatched.difference(&self.declared) {
            let mut detail = format!("FROM argument '{name}' is not declared");
            let names = self.globals.names();
            let known = names.chain(self.declared.iter().map(String::as_str));
            if let Some(guess) = suggest::nearest(name, known, true) {
                detail.push_str(&format!(" (did you mean {guess}?)"));
            }
            let rule = Rule::UndefinedArgInFrom;
            self.checks.find(rule, stage.span, &stage.comments, detail);
        }
        Ok(word)
    }

    fn stage_platform(&mut self, stage: &Stage) -> Result<Option<Platform>, Error> {
        let Some(text) = &stage.platform else {
            return Ok(None);
        };
        let word = self.word_of_from(stage, text)?;
        self.check_platform(stage, text, &word);
        if word.text.is_empty() {
            let sentence = format!("empty platform value from expression {text}");
            return Err(Error::new(stage.span, sentence));
        }
        let platform = word.text.parse().map_err(|error| {
            Error::new(
                stage.span,
                format!("failed to parse platform {text}: {error}"),
            )
        })?;
        Ok(Some(platform))
    }

    fn check_platform(&mut self, stage: &Stage, text: &str, word: &Expanded) {
        let (span, comments) = (stage.span, &stage.comments);
        let target = "TARGETPLATFORM";
        let only = word.unmatched.is_empty() && word.matched.iter().eq([target]);
        if only && Some(word.text.as_str()) == self.globals.get(target) {
            let detail = format!(
                "Setting platform to predefined {text} in FROM is redundant as this is the default behavior"
            );
            let rule = Rule::RedundantTargetPlatform;
            self.checks.find(rule, span, comments, detail);
        }
        if !word.matched.is_empty() || !word.unmatched.is_empty() {
            return;
        }
        let Ok(platform) = word.text.parse::<Platform>() else {
            return;
        };
        let name = stage.name.as_deref().unwrap_or_default();
        if name.contains(&platform.os) || name.contains(&platform.architecture) {
            return;
        }
        let value = go::quote(&word.text);
        let detail = format!("FROM --platform flag should not use constant value {value}");
        let rule = Rule::FromPlatformFlagConstDisallowed;
        self.checks.find(rule, span, comments, detail);
    }

    /// The context that stands for a stage or image of that name.
    fn named(&self, name: &str) -> Option<Context> {
        if name.eq_ignore_ascii_case(SCRATCH) || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let contexts = &self.options.contexts;
        let reference: ImageRef = name.parse().ok()?;
        let familiar = reference.familiar();
        let short = familiar.strip_suffix(":latest").unwrap_or(&familiar);
        let for_platform = format!("{short}::{}", self.options.platform);
        contexts
            .get(&for_platform)
            .or_else(|| contexts.get(short))
            .cloned()
    }

    /// The stage to build.
    pub(super) fn target(&self) -> Result<usize, Error> {
        let Some(name) = &self.options.target else {
            return Ok(self.file.stages.len() - 1);
        };
        if let Some(index) = self.by_name.get(&name.to_lowercase()) {
            return Ok(*index);
        }
        // The classic builder takes numbers.
        let number = name.parse().ok();
        if let Some(index) = number.filter(|index| *index < self.file.stages.len()) {
            return Ok(index);
        }
        let sentence = format!("target stage {} could not be found", go::quote(name));
        let names = self.units.iter().filter_map(|unit| unit.name.as_deref());
        let sentence = suggest::hint(sentence, name, names, true);
        Err(Error::new(Span::default(), sentence))
    }

    /// Finds out which stages each one takes files from.
    pub(super) fn link(&mut self) -> Result<(), Error> {
        for index in 0..self.file.stages.len() {
            let instructions = match &self.units[index].stage {
                Some(stage) => stage.instructions.clone(),
                None => continue,
            };
            for instruction in instructions {
                let step = self.step(index, instruction, false)?;
                self.units[index].steps.push(step);
            }
        }
        self.circles()
    }

    /// An instruction with its sources; the unit depends on them from now on.
    fn step(
        &mut self,
        unit: usize,
        instruction: Instruction,
        triggered: bool,
    ) -> Result<Step, Error> {
        let span = instruction.span;
        let from = match &instruction.verb {
            Verb::Copy(copy) => match &copy.from {
                Some(name) => vec![Some(self.copy_source(name, span)?)],
                None => Vec::new(),
            },
            Verb::Run(run) => {
                let named = run.mounts.iter().map(|mount| {
                    let files = matches!(
                        mount.kind(),
                        None | Some(MountKind::Bind | MountKind::Cache)
                    );
                    mount.from().filter(|_| files).map(str::to_owned)
                });
                let named: Vec<Option<String>> = named.collect();
                named
                    .into_iter()
                    .map(|name| name.map(|name| self.source_unit(&name, span)))
                    .collect()
            }
            _ => Vec::new(),
        };
        self.units[unit].depends.extend(from.iter().flatten());
        Ok(Step {
            instruction,
            from,
            triggered,
        })
    }

    /// The stage of `COPY --from`, by number or name.
    fn copy_source(&mut self, name: &str, span: Span) -> Result<usize, Error> {
        let word = self.expander.expand(name, &Env::new());
        let word = word.map_err(|error| Error::new(span, error.to_string()))?;
        if word.text != name {
            return Err(Error::new(
                span,
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
            ));
        }
        match name.parse::<i64>() {
            Ok(number) => usize::try_from(number)
                .ok()
                .filter(|index| *index < self.file.stages.len())
                .ok_or_else(|| Error::new(span, format!("invalid stage index {number}"))),
            Err(_) => Ok(self.source_unit(name, span)),
        }
    }

    /// The stage of that name, or a unit for the image or context it is.
    fn source_unit(&mut self, name: &str, span: Span) -> usize {
        if let Some(index) = self.by_name.get(&name.to_lowercase()) {
            return *index;
        }
        let same =
            |unit: &Unit| unit.name.is_none() && unit.stage.is_none() && unit.base_name == name;
        if let Some(index) = self.units.iter().position(same) {
            return index;
        }
        self.add(Unit {
            base_name: name.to_owned(),
            span,
            shown: name.to_owned(),
            ..Unit::default()
        })
    }

    /// Nothing may be built on itself.
    fn circles(&self) -> Result<(), Error> {
        let mut left: Vec<usize> = self
            .units
            .iter()
            .map(|unit| unit.parents().count())
            .collect();
        let mut ready: Vec<usize> = (0..left.len()).filter(|i| left[*i] == 0).collect();
        let mut users = vec![Vec::new(); left.len()];
        for (index, unit) in self.units.iter().enumerate() {
            for parent in unit.parents() {
                users[parent].push(index);
            }
        }
        let mut seen = 0;
        while let Some(index) = ready.pop() {
            seen += 1;
            for user in &users[index] {
                left[*user] -= 1;
                if left[*user] == 0 {
                    ready.push(*user);
                }
            }
        }
        if seen == left.len() {
            return Ok(());
        }
        let first = left.iter().position(|left| *left > 0).unwrap_or(0);
        let unit = &self.units[first];
        let name = unit.name.as_deref().unwrap_or(&unit.shown);
        let sentence = format!("circular dependency detected on stage: {name}");
        Err(Error::new(unit.span, sentence))
    }

    /// Everything a unit is made from.
    fn reachable(&self, target: usize) -> BTreeSet<usize> {
        let (mut found, mut ahead) = (BTreeSet::new(), vec![target]);
        while let Some(index) = ahead.pop() {
            if found.insert(index) {
                ahead.extend(self.units[index].parents());
            }
        }
        found
    }

    /// Finds the bases and their triggers, which may need further ones. None when images have to be known
    /// first.
    pub(super) fn resolve(&mut self, target: usize) -> Result<Option<BTreeSet<usize>>, Error> {
        loop {
            let reachable = self.reachable(target);
            let wanted: Vec<usize> = (0..self.units.len())
                .filter(|index| self.all || reachable.contains(index))
                .collect();
            for index in &wanted {
                if self.units[*index].base.is_none() && !self.units[*index].resolved {
                    self.resolve_base(*index)?;
                }
            }
            if !self.needs.is_empty() {
                return Ok(None);
            }
            let mut more = false;
            for index in wanted {
                more |= self.triggers(index)?;
            }
            if !more {
                return Ok(Some(reachable));
            }
            self.circles()?;
        }
    }

    fn resolve_base(&mut self, index: usize) -> Result<(), Error> {
        let mut unit = std::mem::take(&mut self.units[index]);
        let result = self.base_of(&mut unit);
        self.units[index] = unit;
        result
    }

    fn base_of(&mut self, unit: &mut Unit) -> Result<(), Error> {
        let wanted = unit.platform.clone();
        let platform = wanted.clone().unwrap_or(self.options.platform.clone());
        if unit.base_name == SCRATCH && unit.replaced.is_none() {
            unit.image = ImageConfig::empty(&self.options.platform);
            unit.platform = Some(self.options.platform.clone());
            unit.done = unit.stage.is_none();
            unit.resolved = true;
            return Ok(());
        }
        let context = match &unit.replaced {
            Some(context) => context.clone(),
            None => self.context_of(unit)?,
        };
        let about = About {
            name: format!(
                "{}FROM {}",
                unit.prefix(self.options.several, false),
                shown(&context)
            ),
            spans: vec![unit.span],
            ..About::default()
        };
        let needs = self.needs.len();
        let loaded = self.load(&context, &platform, about, unit.span)?;
        if self.needs.len() > needs {
            unit.shown_steps = 0;
            return Ok(());
        }
        unit.base_image.clone_from(&loaded.image);
        let mut image = loaded
            .image
            .unwrap_or_else(|| ImageConfig::empty(&platform));
        image.created = None;
        let own = image.platform();
        unit.platform = match (wanted, own) {
            (None, Some(own)) if self.options.implicit || unit.replaced.is_some() => Some(own),
            _ => Some(platform),
        };
        unit.image = image;
        unit.open = loaded.unknown;
        unit.root = loaded.root;
        unit.done = unit.stage.is_none();
        unit.resolved = true;
        Ok(())
    }

    /// Where a base that is no stage comes from.
    fn context_of(&self, unit: &Unit) -> Result<Context, Error> {
        let name = &unit.base_name;
        let reference: ImageRef = name.parse().map_err(|error| {
            let sentence = format!("failed to parse stage name {}: {error}", go::quote(name));
            Error::new(unit.span, sentence)
        })?;
        let named = self.named(name);
        Ok(named.unwrap_or_else(|| Context::Image(reference.to_string())))
    }

    /// The files of a context, and its configuration if it is an image.
    pub(super) fn load(
        &mut self,
        context: &Context,
        platform: &Platform,
        about: About,
        span: Span,
    ) -> Result<Loaded, Error> {
        let plain = |root| Loaded {
            root,
            image: None,
            unknown: false,
        };
        Ok(match context {
            Context::Local(name) => plain(Some(self.local(name, about))),
            Context::Git(git) => {
                let origin = Origin::Git(git.clone().origin(self.options.keeps_git_dir()));
                plain(Some(self.source(origin, None, about)))
            }
            Context::Web(url) => {
                let time = self.time();
                plain(Some(archive(&mut self.graph, url, time, about)))
            }
            Context::Input(name) => {
                let Some(root) = self.options.given.1.get(name) else {
                    let sentence = format!("invalid input {name} for build context");
                    return Err(Error::new(span, sentence));
                };
                Loaded {
                    image: self.options.given_images.get(name).cloned(),
                    ..plain(*root)
                }
            }
            Context::Image(name) => self.image(name, false, platform, about, span)?,
            Context::Layout(name) => self.image(name, true, platform, about, span)?,
        })
    }

    fn image(
        &mut self,
        name: &str,
        layout: bool,
        platform: &Platform,
        about: About,
        span: Span,
    ) -> Result<Loaded, Error> {
        let reference = match name.parse::<ImageRef>() {
            Ok(reference) => reference.to_string(),
            Err(_) if layout => name.to_owned(),
            Err(error) => return Err(Error::new(span, error.to_string())),
        };
        let request = ImageRequest {
            reference: reference.clone(),
            layout,
            platform: platform.clone(),
        };
        let nothing = |unknown| Loaded {
            root: None,
            image: None,
            unknown,
        };
        let (digest, config) = match self.known.get(&request) {
            None => {
                self.needs.push(request);
                return Ok(nothing(false));
            }
            Some(KnownImage::Unavailable(_)) if self.lenient => return Ok(nothing(true)),
            Some(KnownImage::Unavailable(why)) => {
                return Err(Error::new(span, format!("{name}: {why}")));
            }
            Some(KnownImage::Found { digest, config }) => (digest, config),
        };
        let pinned = match digest {
            Some(digest) if !reference.contains('@') => format!("{reference}@{digest}"),
            _ => reference,
        };
        let origin = if layout {
            Origin::Layout(Layout {
                reference: pinned,
                ..Layout::default()
            })
        } else {
            Origin::Image(Image {
                reference: pinned,
                pull: self.options.pull,
                layers: 0,
            })
        };
        let root = (!config.is_empty()).then(|| self.source(origin, Some(platform.clone()), about));
        Ok(Loaded {
            root,
            image: Some((**config).clone()),
            unknown: false,
        })
    }

    /// Takes over what the base of a unit wants done first. Whether that needs further units.
    fn triggers(&mut self, index: usize) -> Result<bool, Error> {
        let mut texts = std::mem::take(&mut self.units[index].image.config.on_build);
        if self.units[index].stage.is_none() {
            // Files are taken from it, and nothing is built on it.
            texts.clear();
        }
        if let Some(base) = self.units[index]
            .base
            .filter(|_| !self.units[index].triggered)
        {
            texts.extend(self.units[base].own_triggers());
        }
        self.units[index].triggered = true;
        let span = self.units[index].span;
        let mut steps = Vec::new();
        for text in texts {
            let instruction = parse_trigger(&text, span)?;
            steps.push(self.step(index, instruction, true)?);
        }
        let more = steps.iter().any(|step| !step.from.is_empty());
        let unit = &mut self.units[index];
        unit.total += steps.len();
        unit.steps.splice(0..0, steps);
        Ok(more)
    }
}

/// An archive on the web, unpacked; the file `context`, when it is none.
pub(super) fn archive(graph: &mut Graph, url: &str, time: Option<i64>, about: About) -> Output {
    let file = "context";
    let http = Http {
        url: url.to_owned(),
        filename: Some(file.to_owned()),
        ..Http::default()
    };
    let origin = Op::Source(Origin::Http(http));
    let vertex = graph.add(origin, Vec::new(), None, about.clone());
    let fetched = Output { vertex, index: 0 };
    let copy = CopyFiles {
        unpack: true,
        make_target: true,
        time,
        ..CopyFiles::plain(Operand::Input(0), format!("/{file}"), "/")
    };
    let op = Op::File(vec![FileAction {
        on: Operand::Empty,
        output: Some(0),
        act: Act::Copy(Box::new(copy)),
    }]);
    let vertex = graph.add(op, vec![fetched], None, about);
    Output { vertex, index: 0 }
}

impl Unit {
    fn parents(&self) -> impl Iterator<Item = usize> {
        self.base.into_iter().chain(self.depends.iter().copied())
    }

    fn own_triggers(&self) -> Vec<String> {
        let verbs = self.steps.iter().map(|step| &step.instruction.verb);
        verbs
            .filter_map(|verb| match verb {
                Verb::Onbuild(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }
}

/// How many steps of a stage are shown.
fn count(stage: &Stage, from: bool) -> usize {
    let shown = stage.instructions.iter().filter(|instruction| {
        matches!(
            instruction.verb,
            Verb::Add(_) | Verb::Copy(_) | Verb::Run(_) | Verb::Workdir(_)
        )
    });
    shown.count() + usize::from(from)
}

fn shown(context: &Context) -> String {
    match context {
        Context::Image(name) | Context::Layout(name) | Context::Web(name) => name.clone(),
        Context::Local(name) | Context::Input(name) => name.clone(),
        Context::Git(git) => git.remote.clone(),
    }
}
