//! Digests, sharing, and what depends on what.

use super::*;

fn local(name: &str) -> Op {
    Op::Source(Origin::Local(Local {
        name: name.into(),
        ..Local::default()
    }))
}

fn copy(source: &str) -> Op {
    let copy = CopyFiles {
        from: Operand::Input(1),
        source: source.into(),
        target: "/".into(),
        owner: None,
        mode: None,
        follow: true,
        contents: true,
        unpack: false,
        make_target: true,
        wildcard: true,
        allow_empty: true,
        include: Vec::new(),
        exclude: vec!["*.o".into()],
        required: Vec::new(),
        replace: false,
        time: None,
    };
    Op::File(vec![FileAction {
        on: Operand::Input(0),
        output: Some(0),
        act: Act::Copy(Box::new(copy)),
    }])
}

fn first(vertex: VertexId) -> Output {
    Output { vertex, index: 0 }
}

fn small() -> (Graph, [VertexId; 4]) {
    let mut graph = Graph::new();
    let base = graph.add(local("base"), vec![], None, About::default());
    let context = graph.add(local("context"), vec![], None, About::default());
    let unused = graph.add(local("unused"), vec![], None, About::default());
    let inputs = vec![first(base), first(context)];
    let copy = graph.add(copy("/a"), inputs, None, About::default());
    (graph, [base, context, unused, copy])
}

#[test]
fn the_same_definition_is_the_same_vertex() {
    let (mut graph, [base, context, _, copied]) = small();
    let inputs = vec![first(base), first(context)];
    let named = About {
        name: "other".into(),
        no_cache: true,
        ..About::default()
    };
    assert_eq!(graph.add(copy("/a"), inputs.clone(), None, named), copied);
    assert!(graph.get(copied).about.no_cache && graph.get(copied).about.name.is_empty());
    let other = graph.add(copy("/b"), inputs, None, About::default());
    assert_ne!(other, copied);
    let elsewhere = vec![first(context), first(base)];
    assert_ne!(
        graph.add(copy("/a"), elsewhere, None, About::default()),
        copied
    );
    let digest = graph.get(copied).digest().clone();
    assert_eq!(graph.find(&digest), Some(copied));
    assert_eq!(small().0.get(copied).digest(), &digest);
}

#[test]
fn only_what_is_needed_is_done_and_in_order() {
    let (graph, [base, context, _, copied]) = small();
    assert_eq!(graph.needed(&[first(copied)]), [base, context, copied]);
    let (rebuilt, results) = graph.rebuilt(&[first(copied)], |op| {
        if let Op::Source(Origin::Local(local)) = op {
            local.follow = vec!["a".into()];
        }
    });
    assert_eq!(rebuilt.iter().count(), 3);
    assert_ne!(
        rebuilt.get(results[0].vertex).digest(),
        graph.get(copied).digest()
    );
    let (same, results) = graph.rebuilt(&[first(copied)], |_| {});
    assert_eq!(
        same.get(results[0].vertex).digest(),
        graph.get(copied).digest()
    );
}

#[test]
fn a_copy_depends_on_what_it_reads() {
    let (graph, [.., copied]) = small();
    let vertex = graph.get(copied);
    assert_eq!(vertex.reads(0), Reads::All);
    let Reads::Files(files) = vertex.reads(1) else {
        panic!("{vertex:?}")
    };
    assert_eq!((files[0].path.as_str(), files[0].exclude.len()), ("/a", 1));
    assert_eq!(vertex.reads(2), Reads::Nothing);
    assert_eq!(
        Owner::parse("app:0", Operand::Input(0)),
        Owner {
            user: Some(User::Name {
                name: "app".into(),
                known_to: Operand::Input(0)
            }),
            group: Some(User::Id(0)),
        }
    );
}

#[test]
fn circumstances_are_no_part_of_a_recipe() {
    let mut graph = Graph::new();
    let mut exec = |proxy: Option<&str>, mount: ExecMount| {
        let exec = Exec {
            args: vec!["true".into()],
            proxy: proxy.map(|http| Proxy {
                http: http.into(),
                ..Proxy::default()
            }),
            mounts: vec![mount],
            ..Exec::default()
        };
        let id = graph.add(Op::Exec(Box::new(exec)), vec![], None, About::default());
        graph.get(id).clone()
    };
    let mount = |target: &str, read_only| ExecMount {
        input: Some(0),
        selector: "/x".into(),
        target: target.into(),
        output: None,
        read_only,
        source: MountSource::Files,
        by_content: None,
    };
    let (a, b) = (
        exec(None, mount("/", true)),
        exec(Some("p"), mount("/", true)),
    );
    assert_ne!(a.digest(), b.digest());
    assert_eq!(a.recipe(), b.recipe());
    assert_eq!(a.reads(0), Reads::All);
    assert!(matches!(exec(None, mount("/m", true)).reads(0), Reads::Files(f) if f[0].path == "/x"));
    assert_eq!(exec(None, mount("/m", false)).reads(0), Reads::All);
}
