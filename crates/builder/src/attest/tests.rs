//! What is asked for, and what is said.

use std::collections::HashMap;

use super::*;
use crate::graph::{About, Graph, Image, Op, Origin};
use crate::source::Source;

fn wishes(pairs: &[(&str, &str)]) -> Result<Wishes, String> {
    let all = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Wishes::read(&all.collect())
}

#[test]
fn attributes_ask_for_statements() {
    let asked = wishes(&[
        (
            "attest:provenance",
            "type=provenance,mode=max,builder-id=\"a,b\",version=v1",
        ),
        ("attest:sbom", "generator=scan:1,DEPTH=2"),
        ("filename", "x"),
    ]);
    let called = wishes(&[("attest:provenance", "filename=a/b.json")]).unwrap();
    let called = called.provenance.unwrap().file;
    assert_eq!(called.as_deref(), Some("b.json"));
    let asked = asked.unwrap();
    let provenance = asked.provenance.unwrap();
    assert!(provenance.full && provenance.version == Version::New);
    assert_eq!(provenance.builder, "a,b");
    let scanner = asked.contents.unwrap();
    assert_eq!(scanner.image, "scan:1");
    assert_eq!(scanner.parameters["DEPTH"], "2");
    for nothing in ["disabled=true", "mode=min,inline-only=true", "false"] {
        assert!(
            wishes(&[("attest:provenance", nothing)])
                .unwrap()
                .is_empty(),
            "{nothing}"
        );
    }
    assert_eq!(
        wishes(&[("attest:sbom", "")])
            .unwrap()
            .contents
            .unwrap()
            .image,
        SCANNER
    );
    for (name, value, word) in [
        ("attest:other", "", "other"),
        ("attest:provenance", "mode=most", "most"),
        ("attest:provenance", "version=v7", "v7"),
        ("attest:provenance", "colour=red", "colour"),
    ] {
        let error = wishes(&[(name, value)]).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

/// A build of an image, a directory, and an argument that nobody else is to see.
fn said(provenance: &Provenance) -> Value {
    let digest = Digest::sha256([7; 32]);
    let materials = [
        Material::Image {
            name: "alpine:3".parse().unwrap(),
            platform: "linux/amd64".parse().unwrap(),
            digest,
        },
        Material::Repository {
            url: "https://example.org/r.git#main".to_owned(),
            commit: "abc".to_owned(),
        },
        Material::Local("context".to_owned()),
    ];
    let attributes = HashMap::from([
        ("build-arg:TOKEN".to_owned(), "hush".to_owned()),
        ("target".to_owned(), "app".to_owned()),
        (
            "context".to_owned(),
            "https://me:hush@example.org/r.git".to_owned(),
        ),
        ("attest:provenance".to_owned(), "mode=max".to_owned()),
    ]);
    let mut graph = Graph::new();
    let image = Origin::Image(Image {
        reference: "docker.io/library/alpine:3".to_owned(),
        ..Image::default()
    });
    graph.add(Op::Source(image), Vec::new(), None, About::default());
    let source = Source::new("Dockerfile", b"FROM alpine:3\n");
    let facts = Facts {
        frontend: "dockerfile.v0",
        attributes: &attributes,
        materials: &materials,
        source: Some(&source),
        graph: Some(&graph),
        id: "one",
        started: 0,
        finished: 1_000_000_000,
    };
    provenance.statement(&facts).predicate
}

#[test]
fn the_least_says_nothing_of_arguments() {
    let said = said(&Provenance::default());
    let image = "pkg:docker/alpine@3?platform=linux%2Famd64";
    assert_eq!(said["materials"][0]["uri"], image);
    assert_eq!(said["materials"][0]["digest"]["sha256"], "07".repeat(32));
    assert_eq!(said["materials"][1]["digest"]["sha1"], "abc");
    assert_eq!(said["materials"].as_array().unwrap().len(), 2);
    let parameters = &said["invocation"]["parameters"];
    assert_eq!(parameters["args"]["target"], "app");
    assert_eq!(parameters["locals"][0]["name"], "context");
    let completeness = &said["metadata"]["completeness"];
    assert_eq!(completeness["parameters"], false);
    assert_eq!(completeness["materials"], false);
    assert!(!said.to_string().contains("hush"), "{said}");
    assert!(said.get("buildConfig").is_none());
}

#[test]
fn the_most_says_all() {
    let said = said(&Provenance {
        full: true,
        ..Provenance::default()
    });
    let args = &said["invocation"]["parameters"]["args"];
    assert_eq!(args["build-arg:TOKEN"], "hush");
    assert_eq!(args["context"], "https://xxxxx:xxxxx@example.org/r.git");
    let step = &said["buildConfig"]["llbDefinition"][0];
    let identifier = &step["op"]["Op"]["source"]["identifier"];
    assert_eq!(identifier, "docker-image://docker.io/library/alpine:3");
    let own = &said["metadata"]["https://mobyproject.org/buildkit@v1#metadata"];
    assert_eq!(own["source"]["infos"][0]["filename"], "Dockerfile");
}

#[test]
fn the_newer_form_says_the_same() {
    let said = said(&Provenance {
        version: Version::New,
        ..Provenance::default()
    });
    let definition = &said["buildDefinition"];
    assert_eq!(
        definition["externalParameters"]["request"]["args"]["target"],
        "app"
    );
    assert_eq!(
        definition["resolvedDependencies"].as_array().unwrap().len(),
        2
    );
    assert_eq!(said["runDetails"]["metadata"]["invocationId"], "one");
}
