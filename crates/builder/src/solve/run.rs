//! Runs a graph: every vertex once, when what it is built on is there, several at a time.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use storage::{Layers, Storage};
use types::Digest;

use super::copy::{self, Marks, Target};
use super::files::{Files, Kind, with_mounts};
use super::memory::Step;
use super::progress::{Event, Time, VertexState};
use super::{Ask, Failure, Solver, actions, digest, exec, sources};
use crate::graph::{CopyFiles, Graph, Op, Operand, Output, Reads, Selection, Vertex, VertexId};
use crate::source::Source;

/// Vertices of one build that are worked on at a time: most of them wait.
const AT_ONCE: usize = 8;
/// Of a worker: directories are walked on it.
const STACK: usize = 4 << 20;
/// How long a worker without work sleeps before it looks whether the build was given up.
const LOOK: Duration = Duration::from_millis(200);

/// The time.
pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}

/// One build.
pub(super) struct Run<'a> {
    pub(super) solver: &'a Solver,
    pub(super) ask: &'a Ask<'a>,
    /// The file that vertices have their places in.
    pub(super) source: Option<Arc<Source>>,
}

/// The results of a vertex by their numbers.
type Results = Vec<Option<Files>>;

/// Who works on the vertices of a build: as many as there are some for at a time. What comes from the cache, one
/// after the other, is done by one.
struct Crew<'a> {
    run: &'a Run<'a>,
    graph: &'a Graph,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<VertexId>,
    workers: usize,
    idle: usize,
    done: HashMap<VertexId, Results>,
    failed: Option<Failure>,
}

impl<'a> Run<'a> {
    pub(super) fn new(solver: &'a Solver, ask: &'a Ask<'a>, source: Option<Arc<Source>>) -> Self {
        Self {
            solver,
            ask,
            source,
        }
    }
}

impl Run<'_> {
    pub(super) fn store(&self) -> &Storage {
        self.solver.engine.storage()
    }

    pub(super) fn files(&self, kind: Kind) -> Files {
        Files {
            store: self.store().clone(),
            place: self.solver.place(),
            kind,
            made: None,
        }
    }

    /// Nothing goes on when the build was given up.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.ask.cancel.is_cancelled() {
            true => Err(Failure::cancelled()),
            false => Ok(()),
        }
    }

    pub(super) fn tell(&self, event: Event) {
        self.ask.progress.tell(event);
    }

    /// Files as layers: a directory of the client's is copied into one.
    pub(super) fn layers_of(&self, files: &Files) -> Result<Layers, Failure> {
        if let Some(layers) = files.layers() {
            return Ok(layers.clone());
        }
        let draft = self.store().scratch()?;
        let everything = CopyFiles {
            contents: true,
            make_target: true,
            ..CopyFiles::plain(Operand::Empty, "/", "/")
        };
        let mounts = [files.mount(), draft.mount()];
        with_mounts(&mounts, &self.solver.place(), |roots| {
            let target = Target::plain(&roots[1]);
            copy::copy(&roots[0], target, &everything, Marks::default())
        })?;
        Ok(draft.commit()?)
    }

    /// Makes some results and what they need.
    pub(super) fn run(&self, graph: &Graph, results: &[Output]) -> Result<Vec<Files>, Failure> {
        self.ask.memory.define(graph, results);
        let needed = graph.needed(results);
        for id in &needed {
            self.tell(Event::Vertex(self.state(graph, *id)));
        }
        let crew = Crew {
            run: self,
            graph,
            state: Mutex::new(State {
                waiting: needed,
                ..State::default()
            }),
            wake: Condvar::new(),
        };
        std::thread::scope(|scope| crew.hire(scope));
        let state = crew.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failed {
            return Err(failure);
        }
        results
            .iter()
            .map(|result| output(&state.done, *result))
            .collect()
    }

    fn state(&self, graph: &Graph, id: VertexId) -> VertexState {
        let vertex = graph.get(id);
        let inputs = vertex.inputs.iter();
        VertexState {
            digest: vertex.digest().clone(),
            name: vertex.about.name.clone(),
            inputs: inputs
                .map(|i| graph.get(i.vertex).digest().clone())
                .collect(),
            cached: false,
            started: None,
            completed: None,
            error: None,
            spans: vertex.about.spans.clone(),
            group: vertex.about.group.clone(),
        }
    }

    /// One vertex, told of from its beginning to its end.
    fn vertex(&self, graph: &Graph, id: VertexId, inputs: &[Files]) -> Result<Results, Failure> {
        let vertex = graph.get(id);
        let mut told = self.state(graph, id);
        told.started = Some(now());
        self.tell(Event::Vertex(told.clone()));
        let made = self.made(vertex, inputs);
        told.completed = Some(now());
        let made = match made {
            Ok((results, cached)) => {
                told.cached = cached;
                Ok(results)
            }
            Err(mut failure) => {
                failure
                    .vertex
                    .get_or_insert_with(|| vertex.digest().clone());
                if let Some(source) = &self.source {
                    failure = failure.at(source, &vertex.about.spans);
                }
                told.error = Some(failure.message.clone());
                Err(failure)
            }
        };
        self.tell(Event::Vertex(told));
        made
    }

    /// Its results, and whether they were there before.
    fn made(&self, vertex: &Vertex, inputs: &[Files]) -> Result<(Results, bool), Failure> {
        match &vertex.op {
            Op::Source(origin) => {
                let files = sources::load(self, vertex, origin)?;
                return Ok((vec![Some(files)], false));
            }
            Op::Merge(slots) => return Ok((vec![Some(self.merge(slots, inputs)?)], false)),
            Op::Diff { lower, upper } => {
                let files = self.diff(*lower, *upper, inputs)?;
                return Ok((vec![Some(files)], false));
            }
            Op::Build(_) => {
                let sentence = "a build in a build cannot be done";
                return Err(Failure::new(types::ErrorKind::Unsupported, sentence));
            }
            Op::Exec(_) | Op::File(_) => {}
        }
        let key = self.key(vertex, inputs)?;
        if !vertex.about.no_cache
            && let Some(results) = self.known(&key)?
        {
            self.note(&key, &results);
            return Ok((results, true));
        }
        if !vertex.about.no_cache
            && let Some(results) = self.brought(&key, vertex, inputs)?
        {
            self.note(&key, &results);
            return Ok((results, true));
        }
        let mut results = match &vertex.op {
            Op::Exec(exec) => {
                let (digest, platform) = (vertex.digest(), vertex.platform.as_ref());
                exec::perform(self, digest, exec, platform, inputs)?
            }
            Op::File(all) => actions::perform(self, all, inputs)?,
            _ => Vec::new(),
        };
        self.keep(&key, vertex, inputs, &mut results, None)?;
        self.note(&key, &results);
        Ok((results, false))
    }

    fn merge(&self, slots: &[Option<usize>], inputs: &[Files]) -> Result<Files, Failure> {
        let mut layers = Layers::default();
        let mut made = None;
        for files in slots
            .iter()
            .flatten()
            .filter_map(|input| inputs.get(*input))
        {
            layers = layers.with(&self.layers_of(files)?);
            made = made.max(files.made);
        }
        let files = self.files(Kind::Layers(layers));
        Ok(Files { made, ..files })
    }

    fn diff(
        &self,
        lower: Option<usize>,
        upper: Option<usize>,
        inputs: &[Files],
    ) -> Result<Files, Failure> {
        let layers = |slot: Option<usize>| match slot.and_then(|input| inputs.get(input)) {
            Some(files) => self.layers_of(files),
            None => Ok(Layers::default()),
        };
        let (lower, upper) = (layers(lower)?, layers(upper)?);
        let above = upper.above(&lower).ok_or_else(|| {
            let sentence =
                "the difference of files of which neither is built on the other cannot be had";
            Failure::new(types::ErrorKind::Unsupported, sentence)
        })?;
        Ok(self.files(Kind::Layers(above)))
    }

    /// What a vertex has read: the operation, and of each input what it depends on.
    fn key(&self, vertex: &Vertex, inputs: &[Files]) -> Result<String, Failure> {
        let mut sum = Sha256::new();
        sum.update(vertex.recipe().to_string());
        for (number, files) in inputs.iter().enumerate() {
            let read = match vertex.reads(number) {
                Reads::Nothing => "nothing".to_owned(),
                Reads::All => self.identity(files)?,
                Reads::Files(selections) => {
                    format!("files {}", self.remembered(files, &selections)?)
                }
            };
            sum.update(format!("\n{number} {read}"));
        }
        Ok(Digest::sha256(sum.finalize().into()).to_string())
    }

    /// A digest of files: of those that do not change only once.
    fn remembered(&self, files: &Files, selections: &[Selection]) -> Result<Digest, Failure> {
        let read = |root: &sys::dir::Dir| digest::selections(root, selections);
        match &files.kind {
            Kind::Layers(layers) => {
                let what = format!("{} {selections:?}", chain(layers));
                if let Some(known) = lock(&self.solver.inner.digests).get(&what) {
                    return Ok(known.clone());
                }
                let found = files.with_root(read)?;
                let mut known = lock(&self.solver.inner.digests);
                if known.len() >= super::DIGESTS {
                    known.clear();
                }
                known.insert(what, found.clone());
                Ok(found)
            }
            Kind::Tree(tree) => match &tree.known {
                Some(known) => files.with_root(|root| digest::known(root, selections, known)),
                None => files.with_root(read),
            },
            Kind::Upon(..) => files.with_root(read),
        }
    }

    /// What tells all of some files apart.
    fn identity(&self, files: &Files) -> Result<String, Failure> {
        match &files.kind {
            Kind::Layers(layers) => Ok(format!("layers {}", chain(layers))),
            Kind::Tree(_) | Kind::Upon(..) => {
                let all = [Selection::default()];
                Ok(format!("tree {}", self.remembered(files, &all)?))
            }
        }
    }

    /// The results under a key, if all of them are there.
    fn known(&self, key: &str) -> Result<Option<Results>, Failure> {
        let Some(first) = self.store().result(&format!("{key}#0"))? else {
            return Ok(None);
        };
        let count = super::cache::outputs(&first.body);
        let made = Some(first.created);
        let files = |layers| {
            let files = self.files(Kind::Layers(layers));
            Some(Files { made, ..files })
        };
        let mut results = vec![files(first.layers)];
        for number in 1..count {
            let Some(kept) = self.store().result(&format!("{key}#{number}"))? else {
                return Ok(None);
            };
            results.push(files(kept.layers));
        }
        Ok(Some(results))
    }

    /// The results that somebody else has made and put into one of the build's caches.
    fn brought(
        &self,
        key: &str,
        vertex: &Vertex,
        inputs: &[Files],
    ) -> Result<Option<Results>, Failure> {
        for cache in self.ask.memory.caches() {
            let Some(found) = cache.find(key) else {
                continue;
            };
            let layers = match found.bring(self.store()) {
                Ok(layers) => layers,
                // What cannot be had is made here.
                Err(error) => {
                    self.check()?;
                    tracing::warn!("a result of a cache elsewhere: {}", error.message);
                    continue;
                }
            };
            let files = layers.into_iter();
            let files = files.map(|layers| Some(self.files(Kind::Layers(layers))));
            let mut results: Results = files.collect();
            self.keep(key, vertex, inputs, &mut results, found.created())?;
            return Ok(Some(results));
        }
        Ok(None)
    }

    /// Remembers what a step has come to, for who writes a cache.
    fn note(&self, key: &str, results: &Results) {
        let files = results.iter().map(Option::as_ref);
        let layers = files.map(|files| files.and_then(Files::layers).cloned());
        let made = results.iter().flatten().find_map(|files| files.made);
        if let (Some(results), Some(created)) = (layers.collect(), made) {
            self.ask.memory.note(Step {
                key: key.to_owned(),
                results,
                created,
            });
        }
    }

    fn keep(
        &self,
        key: &str,
        vertex: &Vertex,
        inputs: &[Files],
        results: &mut Results,
        created: Option<Time>,
    ) -> Result<(), Failure> {
        // Only a whole one is found again.
        if results.is_empty() || results.iter().any(Option::is_none) {
            return Ok(());
        }
        let body = super::cache::body(&vertex.about.name, results.len());
        for (number, files) in results.iter_mut().enumerate() {
            let Some(files) = files else { continue };
            let Some(layers) = files.layers() else {
                continue;
            };
            let built_on = |input: &Files| input.layers().and_then(|below| layers.above(below));
            let own = inputs
                .iter()
                .filter_map(built_on)
                .map(|own| own.len())
                .min();
            let own = own.unwrap_or(layers.len());
            let key = format!("{key}#{number}");
            let kept = (layers, own, created);
            files.made = Some(self.store().keep_result(&key, &body, kept)?);
        }
        Ok(())
    }
}

impl Crew<'_> {
    /// Starts one more.
    fn hire<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut state = lock(&self.state);
        state.workers += 1;
        // Of its own, for the caller's stack may be small.
        let thread = std::thread::Builder::new().stack_size(STACK);
        if let Err(error) = thread.spawn_scoped(scope, move || self.work(scope)) {
            state.workers -= 1;
            let sentence = format!("cannot start a thread: {error}");
            state.failed.get_or_insert(Failure::internal(sentence));
        }
    }

    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut state = lock(&self.state);
        loop {
            if state.failed.is_some() || state.waiting.is_empty() {
                self.wake.notify_all();
                return;
            }
            if let Err(failure) = self.run.check() {
                state.failed = Some(failure);
                continue;
            }
            let Some((id, inputs)) = next(self.graph, &mut state) else {
                state.idle += 1;
                let waited = self.wake.wait_timeout(state, LOOK);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.idle -= 1;
                continue;
            };
            let more = ready(self.graph, &state).is_some();
            let hire = more && state.idle == 0 && state.workers < AT_ONCE;
            drop(state);
            if hire {
                self.hire(scope);
            }
            let made = inputs.and_then(|inputs| self.run.vertex(self.graph, id, &inputs));
            state = lock(&self.state);
            settle(&mut state, id, made);
            self.wake.notify_all();
        }
    }
}

/// What names a chain of layers.
pub(super) fn chain(layers: &Layers) -> Digest {
    let mut sum = Sha256::new();
    for id in layers.ids() {
        sum.update(id.to_string());
        sum.update(b"\n");
    }
    Digest::sha256(sum.finalize().into())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn output(done: &HashMap<VertexId, Results>, output: Output) -> Result<Files, Failure> {
    let results = done.get(&output.vertex);
    let file = results.and_then(|results| results.get(output.index as usize));
    file.cloned().flatten().ok_or_else(|| {
        let sentence = format!("a step has no result {}", output.index);
        Failure::invalid(sentence)
    })
}

/// Where among those that wait is one whose inputs are there.
fn ready(graph: &Graph, state: &State) -> Option<usize> {
    state.waiting.iter().position(|id| {
        let mut inputs = graph.get(*id).inputs.iter();
        inputs.all(|input| state.done.contains_key(&input.vertex))
    })
}

/// A vertex that can be done now, with what it is built on.
fn next(graph: &Graph, state: &mut State) -> Option<(VertexId, Result<Vec<Files>, Failure>)> {
    let at = ready(graph, state)?;
    let id = state.waiting.remove(at);
    let inputs = graph.get(id).inputs.iter();
    let inputs = inputs.map(|input| output(&state.done, *input)).collect();
    Some((id, inputs))
}

fn settle(state: &mut State, id: VertexId, made: Result<Results, Failure>) {
    match made {
        Ok(results) => drop(state.done.insert(id, results)),
        // The first one to fail is the one to blame, not those that end because of it.
        Err(failure) if state.failed.is_none() => state.failed = Some(failure),
        Err(_) => {}
    }
}
