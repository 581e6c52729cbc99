//! What strangers write, changed at random: Dockerfiles, ignore files, options, LLB. Whatever comes, it is taken
//! or refused with a sentence, and never panics, hangs or grows. `cargo xtask fuzz` runs these for as long
//! as one likes.
#![allow(clippy::print_stdout, reason = "a long run says what it has done")]

// The same changes that the runtime's documents are put to.
#[path = "../../runtime/tests/support/mutate.rs"]
#[expect(dead_code, reason = "no JSON is changed here")]
mod mutate;

use buildkit::pb;
use prost::Message;
use sha2::{Digest as _, Sha256};
use types::Platform;

use crate::check::Report;
use crate::dockerfile::{Dockerfile, directives, parse};
use crate::ignore::{self, Matcher};
use crate::llb;
use crate::plan::{
    Checked, ImageConfig, Known, KnownImage, Options, Outcome, RunConfig, check, plan,
};
use crate::source::Source;
use mutate::{Random, bytes, with_seeds};

const CASES: u64 = 1000;

const FILES: [&str; 4] = [
    "# syntax=a/b:1\n# escape=\\\n# check=skip=all;error=true\nARG V=1\nFROM --platform=$BUILDPLATFORM a:${V:-2} AS b\n\
     RUN --mount=type=cache,id=x,target=/y,sharing=locked,uid=1 --network=none a && \\\n  # no\n\n b\n\
     COPY --from=b --chown=1:2 --link --exclude=*.o a* ./x/\nADD --checksum=sha256:1 https://h/a git@h:a.git#b:c /\n",
    "FROM scratch\nCOPY <<A <<-'B' /d/\n$x ${y%%z*}\nA\n\tq\n\tB\nRUN <<E python3\nprint(1)\nE\nENV a=b \"c d\"=${e:?f} g=h\\ i\n\
     ENV j k l\nLABEL m.n=\"$a\"\nONBUILD COPY <<F /g\nh\nF\nSHELL [\"a\", \"b\"]\nCMD [\"c\"]\nENTRYPOINT d\n",
    "FROM a AS x\nONBUILD RUN b\nHEALTHCHECK --interval=1m30s --retries=3 CMD [\"c\"]\nEXPOSE 80-90/udp 1.2.3.4:5:6/TCP\n\
     VOLUME [\"/a b\"]\nUSER u:g\nWORKDIR r\nSTOPSIGNAL RTMIN+3\nMAINTAINER m\nFROM x\nCOPY --parents a/./b/*.c /d\n",
    "from a\r\narg B=${C//d*/e} F=${G#*/}\r\nrun --mount=type=secret,id=s,env=T --mount=target=/m,from=x,rw --security=insecure x\r\n",
];

fn mutated(random: &mut Random, samples: &[&str]) -> Vec<u8> {
    let mut text = random.pick(samples).as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        text = bytes(random, &text);
    }
    text
}

fn options() -> Options {
    let platform = Platform {
        os: "linux".into(),
        architecture: "amd64".into(),
        variant: None,
    };
    Options {
        platform: platform.clone(),
        build_platform: platform,
        exclude: vec!["*.o".into()],
        ..Options::default()
    }
}

/// Some base for whatever is asked for.
fn base() -> KnownImage {
    let config = ImageConfig {
        config: RunConfig {
            on_build: vec!["RUN trigger".into()],
            ..RunConfig::default()
        },
        ..ImageConfig::default()
    };
    KnownImage::Found {
        digest: Some("sha256:0".into()),
        config: Box::new(config),
    }
}

/// What holds of every file that is taken for a Dockerfile.
fn go_on(source: &Source, file: &Dockerfile) {
    let options = options();
    let mut known = Known::new();
    for _ in 0..8 {
        match plan(file, &options, &known) {
            Ok(Outcome::Needs(needs)) => {
                assert!(needs.iter().all(|need| !known.contains_key(need)));
                known.extend(needs.into_iter().map(|need| (need, base())));
            }
            Ok(Outcome::Planned(plan)) => {
                let results: Vec<_> = plan.result.into_iter().collect();
                assert_eq!(plan.graph.needed(&results).len(), plan.graph.iter().count());
                serde_json::to_string(&plan.image).unwrap();
                break;
            }
            Err(error) => {
                assert!(error.show(source).contains(&error.to_string()));
                break;
            }
        }
    }
    if let Checked::Done { findings, error } = check(file, &options, &known) {
        let report = Report {
            source,
            findings: &findings,
            error: error.as_ref(),
        };
        assert!(report.text().matches("WARNING: ").count() >= findings.len());
        report.json();
    }
}

#[test]
fn any_dockerfile_is_taken_or_refused() {
    with_seeds(CASES, "dockerfiles", |random| {
        let text = mutated(random, &FILES);
        let source = Source::new("Dockerfile", &text);
        directives(&source);
        match parse(&source) {
            Ok(file) => {
                let lines = source.text().split('\n').count();
                let stages = file.stages.iter().flat_map(|stage| &stage.instructions);
                for instruction in stages {
                    let (start, end) = (instruction.span.start, instruction.span.end);
                    assert!(start <= end && end.line <= lines && start.column > 0);
                }
                go_on(&source, &file);
            }
            Err(error) => assert!(error.show(&source).len() < 100_000),
        }
    });
}

#[test]
fn any_ignore_file_is_taken_or_refused() {
    let samples = [
        "# a\n*.o\n!keep.o\n/x/**/y\n**/z*\n[a-c]?\\*\n!\n",
        "**\n!a/b\na/b/c\n",
    ];
    let paths = ["a/b/c", "x/q/y", "keep.o", "a*"];
    with_seeds(CASES, "ignore files", |random| {
        let patterns = ignore::read(&mutated(random, &samples));
        if let Ok(matcher) = Matcher::new(patterns.iter().map(String::as_str)) {
            let path = String::from_utf8_lossy(&mutated(random, &paths)).into_owned();
            matcher.matches(&path);
            matcher.prunes(&path);
        }
    });
}

/// Operations of LLB as bytes.
fn operations() -> Vec<Vec<u8>> {
    let mount = pb::Mount {
        dest: "/".into(),
        input: -1,
        cache_opt: Some(pb::CacheOpt {
            id: "c".into(),
            sharing: 1,
        }),
        mount_type: 3,
        ..pb::Mount::default()
    };
    let exec = pb::op::Op::Exec(pb::ExecOp {
        meta: Some(pb::Meta {
            args: vec!["a".into()],
            ..pb::Meta::default()
        }),
        mounts: vec![mount],
        ..pb::ExecOp::default()
    });
    let attributes = [("local.followpaths".to_owned(), "[\"a\"]".to_owned())];
    let source = pb::op::Op::Source(pb::SourceOp {
        identifier: "local://a".into(),
        attrs: attributes.into(),
    });
    let copy = pb::file_action::Action::Copy(pb::Copy {
        src: "/a".into(),
        mode: -1,
        ..pb::Copy::default()
    });
    let action = pb::FileAction {
        input: -1,
        secondary_input: -1,
        action: Some(copy),
        ..pb::FileAction::default()
    };
    let file = pb::op::Op::File(pb::FileOp {
        actions: vec![action],
    });
    let encoded = [exec, source, file].map(|op| pb::Op {
        op: Some(op),
        ..pb::Op::default()
    });
    encoded.iter().map(Message::encode_to_vec).collect()
}

#[test]
fn any_definition_is_taken_or_refused() {
    let operations = operations();
    with_seeds(CASES, "definitions", |random| {
        let sample = random.pick(&operations).clone();
        let op = bytes(random, &sample);
        let digest = types::Digest::sha256(Sha256::digest(&op).into());
        let end = pb::Op {
            inputs: vec![pb::Input {
                digest: digest.to_string(),
                index: 0,
            }],
            ..pb::Op::default()
        };
        let definition = pb::Definition {
            def: vec![op, end.encode_to_vec()],
            ..pb::Definition::default()
        };
        let mut encoded = definition.encode_to_vec();
        if random.below(4) == 0 {
            encoded = bytes(random, &encoded);
        }
        if let Ok(llb) = llb::decode(&encoded) {
            for (id, vertex) in llb.graph.iter() {
                assert_eq!(llb.graph.find(vertex.digest()), Some(id));
                vertex.recipe();
            }
        }
    });
}

#[test]
fn any_attributes_are_taken_or_refused() {
    let keys = [
        "build-arg:X",
        "label:a",
        "context:b",
        "target",
        "platform",
        "no-cache",
        "add-hosts",
        "force-network-mode",
        "image-resolve-mode",
        "shm-size",
        "ulimit",
        "multi-platform",
    ];
    let values = [
        "a",
        "linux/arm64/v8,linux/amd64",
        "https://h/a.git?tag=v1&submodules=0#:d",
        "h=1.2.3.4,i=[::1]",
        "oci-layout://a@sha256:0",
        "nofile=1:2,core=0",
        "9223372036854775807",
        "true",
    ];
    with_seeds(CASES, "attributes", |random| {
        let key = (*random.pick(&keys)).to_owned();
        let value = String::from_utf8_lossy(&mutated(random, &values)).into_owned();
        if let Err(error) = Options::from_attributes([(key.as_str(), value.as_str())]) {
            assert!(error.to_string().contains(&key));
        }
    });
}
