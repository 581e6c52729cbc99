//! The graph that a build is: operations, and whose result is whose input.
//!
//! Three doors lead here: a Dockerfile over the classic API, a Dockerfile over BuildKit's `Solve`, and a
//! definition in LLB. So the operations are LLB's, with names for its numbers: a vertex of LLB becomes one
//! vertex here, an output index stays one, and -1 is `None`.
//!
//! A vertex has two digests. [`Vertex::digest`] is of its definition with that of all it is built on: the
//! same definition is the same vertex, whatever the files in it. [`Vertex::recipe`] is of the operation
//! alone, without what does not change its result: with what [`Vertex::reads`] names of each input, it is
//! the key of the cache.

mod file;
mod op;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use types::{Digest, Platform};

pub use file::{Act, CopyFiles, FileAction, FileMode, Operand, Owner, User};
pub use op::{
    Agent, Build, CacheMount, Exec, ExecMount, MountSource, Network, Op, Proxy, Resources, Secret,
    SecretEnv, Ulimit,
};
pub use source::{Git, Http, Image, Layout, Local, Origin, Pull};

use crate::source::Span;

/// A vertex of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(usize);

/// A result of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// Whose.
    pub vertex: VertexId,
    /// Which; most have one, 0.
    pub index: u32,
}

/// An input of the vertex by its place, none for an empty file system.
pub type Slot = Option<usize>;

/// What people see of a vertex; no part of its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `[stage 1/2] RUN make`
    pub name: String,
    /// The lines of the Dockerfile it is for.
    pub spans: Vec<Span>,
    /// It is run, whatever the cache holds.
    pub no_cache: bool,
    /// Vertices with the same group are shown as one.
    pub group: Option<String>,
    /// What LLB's clients say of it.
    pub description: BTreeMap<String, String>,
}

/// One operation in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What is done.
    pub op: Op,
    /// On what.
    pub inputs: Vec<Output>,
    /// For which platform, where that matters.
    pub platform: Option<Platform>,
    /// What people see.
    pub about: About,
    digest: Digest,
}

/// How the result of a vertex depends on one of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// On all of it: the key of that input is part of the key.
    All,
    /// On some files: the digest of their contents may stand for them.
    Files(Vec<Selection>),
    /// Not at all.
    Nothing,
}

/// Files of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// A path, or a pattern.
    pub path: String,
    /// It is a pattern.
    pub wildcard: bool,
    /// Links at the end of the path are followed.
    pub follow: bool,
    /// Only what matches one of these, if there are any.
    pub include: Vec<String>,
    /// Not what matches one of these.
    pub exclude: Vec<String>,
}

impl Vertex {
    /// The digest of the definition with all it is built on.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The digest of the operation alone, without what does not change its result: proxies, the names of
    /// what is waited for, whatever [`About`] says.
    pub fn recipe(&self) -> Digest {
        #[derive(Serialize)]
        struct Recipe<'a> {
            op: &'a Op,
            platform: &'a Option<Platform>,
        }
        let op = self.op.without_circumstances();
        hash(&Recipe {
            op: &op,
            platform: &self.platform,
        })
    }

    /// How the result depends on an input.
    pub fn reads(&self, input: usize) -> Reads {
        self.op.reads(input)
    }
}

/// A graph: what a vertex is built on stands before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    vertices: Vec<Vertex>,
    known: HashMap<Digest, VertexId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation on results that are in the graph, or finds the one that is defined alike; then
    /// what is said about the first one stays, but a wish not to use the cache counts.
    ///
    /// # Panics
    /// When an input is of another graph.
    pub fn add(
        &mut self,
        op: Op,
        inputs: Vec<Output>,
        platform: Option<Platform>,
        about: About,
    ) -> VertexId {
        let digest = self.digest_of(&op, &inputs, platform.as_ref());
        if let Some(known) = self.known.get(&digest) {
            self.vertices[known.0].about.no_cache |= about.no_cache;
            return *known;
        }
        let id = VertexId(self.vertices.len());
        self.known.insert(digest.clone(), id);
        self.vertices.push(Vertex {
            op,
            inputs,
            platform,
            about,
            digest,
        });
        id
    }

    fn digest_of(&self, op: &Op, inputs: &[Output], platform: Option<&Platform>) -> Digest {
        #[derive(Serialize)]
        struct Definition<'a> {
            op: &'a Op,
            inputs: Vec<(String, u32)>,
            platform: Option<&'a Platform>,
        }
        let inputs = inputs.iter();
        hash(&Definition {
            op,
            inputs: inputs
                .map(|input| (self.get(input.vertex).digest.to_string(), input.index))
                .collect(),
            platform,
        })
    }

    /// A vertex.
    ///
    /// # Panics
    /// When it is of another graph.
    pub fn get(&self, id: VertexId) -> &Vertex {
        &self.vertices[id.0]
    }

    /// The vertex with a digest.
    pub fn find(&self, digest: &Digest) -> Option<VertexId> {
        self.known.get(digest).copied()
    }

    /// Every vertex, what is built on first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (VertexId, &Vertex)> {
        let all = self.vertices.iter().enumerate();
        all.map(|(index, vertex)| (VertexId(index), vertex))
    }

    /// What has to be done for some results, in an order in which it can be done.
    pub fn needed(&self, results: &[Output]) -> Vec<VertexId> {
        let mut wanted = vec![false; self.vertices.len()];
        for result in results {
            wanted[result.vertex.0] = true;
        }
        for (id, vertex) in self.iter().rev() {
            if wanted[id.0] {
                for input in &vertex.inputs {
                    wanted[input.vertex.0] = true;
                }
            }
        }
        let ids = self.iter().map(|(id, _)| id);
        ids.filter(|id| wanted[id.0]).collect()
    }

    /// The graph with what some results need only, operations changed on the way: digests are made anew.
    /// The second result says where the wanted ones are now.
    pub fn rebuilt(
        &self,
        results: &[Output],
        mut change: impl FnMut(&mut Op),
    ) -> (Self, Vec<Output>) {
        let mut graph = Self::new();
        let mut moved: HashMap<VertexId, VertexId> = HashMap::new();
        let place = |moved: &HashMap<VertexId, VertexId>, output: &Output| Output {
            vertex: moved[&output.vertex],
            index: output.index,
        };
        for id in self.needed(results) {
            let vertex = self.get(id);
            let mut op = vertex.op.clone();
            change(&mut op);
            let inputs = vertex.inputs.iter().map(|input| place(&moved, input));
            let new = graph.add(
                op,
                inputs.collect(),
                vertex.platform.clone(),
                vertex.about.clone(),
            );
            moved.insert(id, new);
        }
        let results = results.iter().map(|result| place(&moved, result));
        let results = results.collect();
        (graph, results)
    }
}

impl Graph {
    /// Adds what some results of another graph need, and says where those are here.
    pub fn join(&mut self, other: &Self, results: &[Output]) -> Vec<Output> {
        let mut moved: HashMap<VertexId, VertexId> = HashMap::new();
        let place = |moved: &HashMap<VertexId, VertexId>, output: &Output| Output {
            vertex: moved[&output.vertex],
            index: output.index,
        };
        for id in other.needed(results) {
            let vertex = other.get(id);
            let inputs = vertex.inputs.iter().map(|input| place(&moved, input));
            let (op, about) = (vertex.op.clone(), vertex.about.clone());
            let new = self.add(op, inputs.collect(), vertex.platform.clone(), about);
            moved.insert(id, new);
        }
        let results = results.iter().map(|result| place(&moved, result));
        results.collect()
    }
}

/// SHA-256 of a value's JSON: maps are sorted, fields have an order, so the same value has one text.
fn hash(value: &impl Serialize) -> Digest {
    struct Hasher(Sha256);
    impl io::Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(Sha256::new());
    // Neither can a hasher refuse bytes, nor has a value of ours a key that is no text.
    if serde_json::to_writer(&mut hasher, value).is_err() {
        unreachable!("definitions have a JSON form")
    }
    Digest::sha256(hasher.0.finalize().into())
}
