//! LLB: the definitions that BuildKit's clients send, as graphs.
//!
//! An operation's name on the wire is the digest of its bytes, which is another than its vertex has here;
//! [`Llb::places`] says which is which. What a definition says about operations (names, places in files) is
//! kept beside them. Fields that are not known are passed over, as every reader of protobuf does.

mod op;
mod origin;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use buildkit::pb;
use prost::Message as _;
use types::{Digest, ErrorKind, Platform};

use crate::graph::{About, Graph, Output, VertexId};
use crate::source::{Position, Source, Span};

/// So many operations are read.
const MOST_OPS: usize = 100_000;

/// A definition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid LLB definition: {0}")]
pub struct InvalidLlb(String);

impl InvalidLlb {
    /// The class: the definition is at fault.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// What is wrong with one operation.
#[derive(Debug)]
struct Wrong(String);

/// A definition, read.
#[derive(Debug)]
pub struct Llb {
    /// Its operations.
    pub graph: Graph,
    /// The result that is meant; none is an empty file system.
    pub result: Option<Output>,
    /// Where each operation of the wire is.
    pub places: HashMap<Digest, VertexId>,
    /// Files that operations come from.
    pub files: Vec<Source>,
}

/// The scheme of a source that is the result of a build under way.
pub const RESULT: &str = "brig-result://";

/// A definition whose one operation is to have the result of that name: what clients are given to build on.
pub fn of_result(name: &str) -> pb::Definition {
    let source = pb::Op {
        op: Some(pb::op::Op::Source(pb::SourceOp {
            identifier: format!("{RESULT}{name}"),
            attrs: HashMap::new(),
        })),
        ..pb::Op::default()
    };
    let source = source.encode_to_vec();
    let end = pb::Op {
        inputs: vec![pb::Input {
            digest: op::digest(&source).to_string(),
            index: 0,
        }],
        ..pb::Op::default()
    };
    let def = vec![source, end.encode_to_vec()];
    let named = def.iter().map(|op| op::digest(op).to_string());
    pb::Definition {
        metadata: named.map(|op| (op, pb::OpMetadata::default())).collect(),
        // Clients take one that says nothing of where it comes from for none.
        source: Some(pb::Source::default()),
        def,
    }
}

/// Reads an encoded definition.
///
/// # Errors
/// When the bytes are no definition, an input is missing, or an operation is wrong.
pub fn decode(bytes: &[u8]) -> Result<Llb, InvalidLlb> {
    let definition = pb::Definition::decode(bytes).map_err(|e| InvalidLlb(e.to_string()))?;
    read(definition)
}

/// Reads a definition that is part of another message.
///
/// # Errors
/// As [`decode`].
pub fn read(definition: pb::Definition) -> Result<Llb, InvalidLlb> {
    if definition.def.len() > MOST_OPS {
        let count = definition.def.len();
        let sentence = format!("it has {count} operations: {MOST_OPS} are read");
        return Err(InvalidLlb(sentence));
    }
    let mut reader = Reader {
        waiting: HashMap::new(),
        about: about(&definition),
        graph: Graph::new(),
        places: HashMap::new(),
    };
    let mut last = None;
    for bytes in &definition.def {
        let op = pb::Op::decode(bytes.as_slice()).map_err(|e| InvalidLlb(e.to_string()))?;
        let digest = op::digest(bytes);
        last = Some(op.clone());
        if op.op.is_some() {
            reader.waiting.insert(digest, op);
        }
    }
    let result = match last {
        None => None,
        Some(op) => reader.result(op)?,
    };
    let infos = definition.source.map(|source| source.infos);
    let files = infos.unwrap_or_default().into_iter();
    Ok(Llb {
        graph: reader.graph,
        result,
        places: reader.places,
        files: files
            .map(|info| Source::new(info.filename, &info.data))
            .collect(),
    })
}

struct Reader {
    /// Operations that are not in the graph yet.
    waiting: HashMap<Digest, pb::Op>,
    about: HashMap<String, About>,
    graph: Graph,
    places: HashMap<Digest, VertexId>,
}

impl Reader {
    /// The last operation only points at the result.
    fn result(&mut self, op: pb::Op) -> Result<Option<Output>, InvalidLlb> {
        let [input] = op.inputs.as_slice() else {
            let count = op.inputs.len();
            let sentence = format!("its end has {count} inputs: one is expected");
            return Err(InvalidLlb(sentence));
        };
        if op.op.is_some() {
            let sentence = "its last operation does something: an end is expected";
            return Err(InvalidLlb(sentence.to_owned()));
        }
        let digest = parse(&input.digest)?;
        self.add_all(&digest)?;
        self.output(input).map(Some)
    }

    /// Adds an operation and all that it is built on, without recursion.
    fn add_all(&mut self, digest: &Digest) -> Result<(), InvalidLlb> {
        let mut ahead = vec![digest.clone()];
        while let Some(digest) = ahead.last().cloned() {
            if self.places.contains_key(&digest) {
                ahead.pop();
                continue;
            }
            let Some(op) = self.waiting.get(&digest) else {
                return Err(InvalidLlb(format!("the operation {digest} is missing")));
            };
            let mut missing = Vec::new();
            for input in &op.inputs {
                let input = parse(&input.digest)?;
                if !self.places.contains_key(&input) {
                    missing.push(input);
                }
            }
            if missing.is_empty() {
                ahead.pop();
                self.add(&digest)?;
            } else {
                // This ends: nobody finds bytes that name themselves by their digest.
                ahead.extend(missing);
            }
        }
        Ok(())
    }

    /// Adds one operation whose inputs are there.
    fn add(&mut self, digest: &Digest) -> Result<(), InvalidLlb> {
        let Some(op) = self.waiting.remove(digest) else {
            return Ok(());
        };
        let inputs = op.inputs.iter().map(|input| self.output(input));
        let inputs: Vec<Output> = inputs.collect::<Result<_, _>>()?;
        let wrong = |Wrong(what)| InvalidLlb(format!("{digest}: {what}"));
        let Some(what) = op.op else { return Ok(()) };
        let what = op::op(what, inputs.len()).map_err(wrong)?;
        let about = self.about.remove(&digest.to_string());
        let platform = op.platform.map(platform);
        let id = self
            .graph
            .add(what, inputs, platform, about.unwrap_or_default());
        self.places.insert(digest.clone(), id);
        Ok(())
    }

    fn output(&self, input: &pb::Input) -> Result<Output, InvalidLlb> {
        let digest = parse(&input.digest)?;
        let index = u32::try_from(input.index).map_err(|_| {
            let index = input.index;
            InvalidLlb(format!("a result cannot have the number {index}"))
        })?;
        let missing = || InvalidLlb(format!("the operation {digest} is missing"));
        let vertex = *self.places.get(&digest).ok_or_else(missing)?;
        Ok(Output { vertex, index })
    }
}

fn parse(digest: &str) -> Result<Digest, InvalidLlb> {
    digest.parse().map_err(|e| InvalidLlb(format!("{e}")))
}

fn platform(platform: pb::Platform) -> Platform {
    Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: (!platform.variant.is_empty()).then_some(platform.variant),
    }
}

/// What is said about each operation.
fn about(definition: &pb::Definition) -> HashMap<String, About> {
    let mut all: HashMap<String, About> = HashMap::new();
    for (digest, metadata) in &definition.metadata {
        let about = all.entry(digest.clone()).or_default();
        let texts = metadata.description.iter();
        about.description = texts.map(|(k, v)| (k.clone(), v.clone())).collect();
        let name = metadata.description.get("llb.customname");
        about.name = name.cloned().unwrap_or_default();
        about.no_cache = metadata.ignore_cache;
        about.group = metadata.progress_group.as_ref().map(|g| g.name.clone());
    }
    let Some(source) = &definition.source else {
        return all;
    };
    for (digest, places) in &source.locations {
        let about = all.entry(digest.clone()).or_default();
        let ranges = places.locations.iter().flat_map(|place| &place.ranges);
        about.spans = ranges.filter_map(span).collect();
    }
    all
}

fn span(range: &pb::Range) -> Option<Span> {
    let place = |position: pb::Position| {
        let line = usize::try_from(position.line).ok()?;
        let column = usize::try_from(position.character).ok()?;
        Some(Position {
            line,
            column: column.checked_add(1)?,
        })
    };
    Some(Span {
        start: place(range.start?)?,
        end: place(range.end?)?,
    })
}
