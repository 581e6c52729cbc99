//! Definitions made message by message, and what is read of them.

use super::*;
use crate::graph::{Act, MountSource, Op, Operand, Origin, Reads};

/// A definition that grows.
#[derive(Default)]
struct Made(pb::Definition);

impl Made {
    fn op(&mut self, inputs: &[&str], op: pb::op::Op) -> String {
        self.raw(pb::Op {
            inputs: inputs.iter().map(|digest| input(digest)).collect(),
            op: Some(op),
            ..pb::Op::default()
        })
    }

    fn raw(&mut self, op: pb::Op) -> String {
        let bytes = op.encode_to_vec();
        let digest = op::digest(&bytes).to_string();
        self.0.def.push(bytes);
        digest
    }

    fn end(mut self, digest: &str) -> pb::Definition {
        self.raw(pb::Op {
            inputs: vec![input(digest)],
            ..pb::Op::default()
        });
        self.0
    }
}

fn input(digest: &str) -> pb::Input {
    pb::Input {
        digest: digest.to_owned(),
        index: 0,
    }
}

fn source(identifier: &str, attributes: &[(&str, &str)]) -> pb::op::Op {
    let attributes = attributes.iter();
    pb::op::Op::Source(pb::SourceOp {
        identifier: identifier.to_owned(),
        attrs: attributes
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    })
}

fn exec(mounts: Vec<pb::Mount>) -> pb::op::Op {
    pb::op::Op::Exec(pb::ExecOp {
        meta: Some(pb::Meta {
            args: vec!["make".into()],
            cwd: "/".into(),
            ..pb::Meta::default()
        }),
        mounts,
        network: 2,
        ..pb::ExecOp::default()
    })
}

fn mount(dest: &str, input: i64, output: i64) -> pb::Mount {
    pb::Mount {
        dest: dest.to_owned(),
        input,
        output,
        ..pb::Mount::default()
    }
}

fn copy(on: i64, from: i64) -> pb::FileAction {
    pb::FileAction {
        input: on,
        secondary_input: from,
        output: 0,
        action: Some(pb::file_action::Action::Copy(pb::Copy {
            src: "/a".into(),
            dest: "/b".into(),
            mode: -1,
            timestamp: -1,
            owner: Some(pb::ChownOpt {
                user: Some(pb::UserOpt {
                    user: Some(pb::user_opt::User::ById(7)),
                }),
                group: None,
            }),
            ..pb::Copy::default()
        })),
    }
}

/// The sentence about what is made.
fn with(make: &dyn Fn(&mut Made) -> String) -> String {
    let mut made = Made::default();
    let last = make(&mut made);
    error(made.end(&last))
}

fn ends(make: &dyn Fn(&mut Made) -> String, sentence: &str) {
    let found = with(make);
    assert!(found.ends_with(sentence), "{found}");
}

fn error(definition: pb::Definition) -> String {
    read(definition).unwrap_err().to_string()
}

/// One of each kind, and the names of the context, the command, the copies and the end.
fn one_of_each() -> (Made, [String; 4]) {
    let mut made = Made::default();
    let image = made.op(
        &[],
        source(
            "docker-image://docker.io/library/a:1",
            &[("image.resolvemode", "local")],
        ),
    );
    let local = made.op(
        &[],
        source(
            "local://context",
            &[
                ("local.followpaths", "[\"x\"]"),
                ("local.sharedkeyhint", "k"),
            ],
        ),
    );
    let cache = pb::Mount {
        mount_type: pb::MountType::Cache.into(),
        cache_opt: Some(pb::CacheOpt {
            id: "c".into(),
            sharing: 2,
        }),
        ..mount("/c", -1, -1)
    };
    let run = made.op(
        &[&image, &local],
        exec(vec![
            mount("/", 0, 0),
            pb::Mount {
                readonly: true,
                ..mount("/m", 1, -1)
            },
            cache,
        ]),
    );
    let file = made.op(
        &[&run, &local],
        pb::op::Op::File(pb::FileOp {
            actions: vec![copy(0, 1), copy(2, -1)],
        }),
    );
    let merged = made.op(
        &[&image, &file],
        pb::op::Op::Merge(pb::MergeOp {
            inputs: vec![pb::Slot { input: 0 }, pb::Slot { input: 1 }],
        }),
    );
    let diff = made.op(
        &[&merged, &image],
        pb::op::Op::Diff(pb::DiffOp {
            lower: Some(pb::Slot { input: 1 }),
            upper: Some(pb::Slot { input: 0 }),
        }),
    );
    made.op(&[], source("local://unused", &[]));
    made.0.metadata.insert(
        run.clone(),
        pb::OpMetadata {
            ignore_cache: true,
            description: [("llb.customname".to_owned(), "RUN make".to_owned())].into(),
            progress_group: None,
        },
    );
    (made, [local, run, file, diff])
}

#[test]
fn a_definition_becomes_a_graph() {
    let (made, [local, run, file, diff]) = one_of_each();
    let llb = decode(&made.end(&diff).encode_to_vec()).unwrap();
    assert_eq!(llb.graph.iter().count(), 6);
    let vertex = |digest: &str| llb.graph.get(llb.places[&digest.parse().unwrap()]);
    assert_eq!(
        llb.result.unwrap().vertex,
        llb.places[&diff.parse().unwrap()]
    );
    assert!(matches!(&vertex(&local).op, Op::Source(Origin::Local(l)) if l.follow == ["x"]));
    let run = vertex(&run);
    assert_eq!(
        (run.about.name.as_str(), run.about.no_cache),
        ("RUN make", true)
    );
    assert!(matches!(run.reads(1), Reads::Files(_)) && run.reads(0) == Reads::All);
    let Op::Exec(exec) = &run.op else { panic!() };
    assert!(matches!(&exec.mounts[2].source, MountSource::Cache(cache) if cache.id == "c"));
    let Op::File(actions) = &vertex(&file).op else {
        panic!()
    };
    assert_eq!(
        (actions[0].on, actions[1].on),
        (Operand::Input(0), Operand::Action(0))
    );
    assert!(
        matches!(&actions[1].act, Act::Copy(copy) if copy.from == Operand::Empty && copy.time.is_none())
    );
}

#[test]
fn the_two_doors_make_the_same_source() {
    let mut made = Made::default();
    let git = made.op(
        &[],
        source(
            "git://h/a.git#v1:sub",
            &[
                ("git.fullurl", "https://h/a.git"),
                ("git.authtokensecret", "GIT_AUTH_TOKEN"),
                ("git.authheadersecret", "GIT_AUTH_HEADER"),
            ],
        ),
    );
    let llb = read(made.end(&git)).unwrap();
    let written = crate::plan::GitAddress::parse("https://h/a.git#v1:sub")
        .unwrap()
        .unwrap();
    let (_, vertex) = llb.graph.iter().next().unwrap();
    assert_eq!(vertex.op, Op::Source(Origin::Git(written.origin(false))));
}

#[test]
fn what_is_used_twice_is_read_once() {
    let mut made = Made::default();
    let base = made.op(&[], source("local://a", &[]));
    let upper = made.op(&[&base], exec(vec![mount("/", 0, 0)]));
    let slots = vec![pb::Slot { input: 0 }, pb::Slot { input: 1 }];
    let both = pb::op::Op::Merge(pb::MergeOp { inputs: slots });
    let merged = made.op(&[&base, &upper], both.clone());
    let turned = made.op(&[&upper, &base], both);
    for (last, count) in [(&merged, 3), (&turned, 3)] {
        let made = Made(made.0.clone());
        assert_eq!(read(made.end(last)).unwrap().graph.iter().count(), count);
    }
}

#[test]
fn an_empty_definition_is_an_empty_result() {
    let llb = decode(&[]).unwrap();
    assert!(llb.result.is_none() && llb.graph.iter().next().is_none());
}

#[test]
fn wrong_definitions_are_refused() {
    let gone = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        with(&|_| gone.clone()),
        format!("invalid LLB definition: the operation {gone} is missing")
    );
    assert!(with(&|_| "x".into()).contains("invalid digest \"x\""));
    ends(
        &|made| made.op(&[], exec(vec![mount("/", 0, 0)])),
        "input 0 of 0 does not exist",
    );
    ends(
        &|made| made.op(&[], exec(vec![mount("/", -1, -2)])),
        "a result cannot have the number -2",
    );
    ends(
        &|made| {
            made.op(
                &[],
                exec(vec![pb::Mount {
                    mount_type: 9,
                    ..mount("/", -1, 0)
                }]),
            )
        },
        "unknown mount type 9",
    );
    ends(
        &|made| {
            made.op(
                &[],
                exec(vec![pb::Mount {
                    mount_type: 3,
                    ..mount("/c", -1, 0)
                }]),
            )
        },
        "the mount at /c lacks its options",
    );
    ends(
        &|made| made.op(&[], pb::op::Op::Exec(pb::ExecOp::default())),
        "a command has no meta",
    );
}

#[test]
fn wrong_files_and_sources_are_refused() {
    let file = |action| {
        pb::op::Op::File(pb::FileOp {
            actions: vec![action],
        })
    };
    ends(
        &|made| made.op(&[], file(copy(0, -1))),
        "a file action works on 0, which does not exist",
    );
    ends(
        &|made| made.op(&[], file(pb::FileAction::default())),
        "a file action does nothing",
    );
    ends(
        &|made| made.op(&[], source("what", &[])),
        "the source \"what\" has no scheme",
    );
    ends(
        &|made| made.op(&[], source("local://a", &[("local.followpaths", "x")])),
        "attribute local.followpaths cannot be \"x\"",
    );
    let mut made = Made::default();
    made.op(&[], source("local://a", &[]));
    assert!(error(made.0).contains("its end has 0 inputs"));
    assert!(
        decode(b"\xff")
            .unwrap_err()
            .to_string()
            .starts_with("invalid LLB definition: ")
    );
}

#[test]
fn long_chains_need_no_stack() {
    let mut made = Made::default();
    let mut last = made.op(&[], source("local://a", &[]));
    for _ in 0..5_000 {
        last = made.op(&[&last], exec(vec![mount("/", 0, 0)]));
    }
    assert_eq!(read(made.end(&last)).unwrap().graph.iter().count(), 5_001);
}

#[test]
fn places_of_mounts_lead_nowhere_else() {
    let at = |dest: &str| {
        let exec = pb::ExecOp {
            meta: Some(pb::Meta {
                args: vec!["true".to_owned()],
                ..pb::Meta::default()
            }),
            mounts: vec![pb::Mount {
                input: -1,
                output: -1,
                dest: dest.to_owned(),
                mount_type: 4,
                ..pb::Mount::default()
            }],
            ..pb::ExecOp::default()
        };
        let mut made = Made::default();
        let digest = made.op(&[], pb::op::Op::Exec(exec));
        let read = read(made.end(&digest));
        let graph = read.map_err(|error| error.to_string())?.graph;
        let vertex = graph.iter().next().map(|(_, vertex)| vertex.op.clone());
        match vertex {
            Some(Op::Exec(exec)) => Ok(exec.mounts[0].target.clone()),
            other => Err(format!("{other:?}")),
        }
    };
    assert_eq!(
        at("/../../../../etc/nologin").as_deref(),
        Ok("/etc/nologin")
    );
    assert_eq!(at("/a/./b/../c/").as_deref(), Ok("/a/c"));
    assert_eq!(at("/").as_deref(), Ok("/"));
    assert!(at("../etc").unwrap_err().contains("no absolute path"));
}
