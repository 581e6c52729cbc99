//! What stands beside an image: where it comes from and what is in it, as Docker's plugin asks for it and shows it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use serde_json::Value;
use testkit::registry::Registry;
use testkit::{Build, Client};

/// What Docker's plugin finds beside an image in a registry.
#[track_caller]
fn beside(build: &Build, name: &str, what: &str) -> Value {
    let format = format!("{{{{json .{what}}}}}");
    build
        .docker(&["buildx", "imagetools", "inspect", "--format", &format, name])
        .json()
}

#[test]
fn where_an_image_comes_from_stands_beside_it() {
    let Some(build) = Build::start() else { return };
    let Some(registry) = Registry::start() else {
        return;
    };
    build.write(
        "Dockerfile",
        "FROM bb\nARG TOKEN\nCOPY Dockerfile /\nRUN echo $TOKEN | wc -c >/x\n",
    );
    let name = |tag: &str| format!("{}/made:{tag}", registry.address());
    let words = |tag: &str, more: &[&str]| {
        let mut all = vec!["--push", "-t", tag, "--build-arg", "TOKEN=hush"];
        all.extend(more);
        build.build(&all).ok();
    };
    let (least, most, newer) = (name("least"), name("most"), name("newer"));
    words(&least, &["--provenance=true"]);
    words(&most, &["--provenance=mode=max,builder-id=https://us"]);
    words(&newer, &["--attest=type=provenance,version=v1"]);
    let said = beside(&build, &least, "Provenance");
    let slsa = &said["SLSA"];
    assert_eq!(
        slsa["buildType"], "https://mobyproject.org/buildkit@v1",
        "{said}"
    );
    let base = slsa["materials"][0]["uri"].as_str().unwrap();
    assert!(
        base.starts_with("pkg:docker/bb@latest?platform=linux%2F"),
        "{said}"
    );
    assert_eq!(
        slsa["invocation"]["configSource"]["entryPoint"],
        "Dockerfile"
    );
    // CVE-2023-26054 was of this kind: the least names no argument.
    assert!(!said.to_string().contains("hush"), "{said}");
    let said = beside(&build, &most, "Provenance");
    let slsa = &said["SLSA"];
    assert_eq!(slsa["builder"]["id"], "https://us", "{said}");
    let args = &slsa["invocation"]["parameters"]["args"];
    assert_eq!(args["build-arg:TOKEN"], "hush", "{said}");
    assert!(
        slsa["buildConfig"]["llbDefinition"]
            .as_array()
            .unwrap()
            .len()
            >= 4,
        "{said}"
    );
    let said = beside(&build, &newer, "Provenance");
    assert!(
        said["SLSA"]["buildDefinition"]["buildType"].is_string(),
        "{said}"
    );
    // The image is what it was, and runs.
    build.docker(&["rmi", &most]).ok();
    build.docker(&["pull", &most]).ok();
    assert_eq!(build.says(&most, &["cat", "/x"]), "5");
    // Brig's own client asks for the same, and what is here says it too.
    let mine = ["build", "-t", "mine", "--provenance=mode=min", build.dir()];
    build.brig.with(Client::Brig, &mine).ok();
    let answer = build
        .brig
        .http("GET /images/mine/attestations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(
        answer.contains("https://slsa.dev/provenance/v0.2"),
        "{answer}"
    );
    // Unasked nothing is said: the same build is the same image.
    for tag in ["one", "two"] {
        build.build(&["-t", tag]).ok();
    }
    assert_eq!(
        build.inspect("one", "{{.Id}}"),
        build.inspect("two", "{{.Id}}")
    );
    build.brig.finish();
}

#[test]
fn what_is_in_an_image_is_said_by_a_scanner() {
    let Some(build) = Build::start() else { return };
    let Some(registry) = Registry::start() else {
        return;
    };
    build.write(
        "scan.sh",
        "test -e $BUILDKIT_SCAN_SOURCE/found || exit 3\n\
         touch $BUILDKIT_SCAN_SOURCE/x 2>/dev/null && exit 4\n\
         printf '{\"_type\": \"https://in-toto.io/Statement/v0.1\", \
         \"predicateType\": \"https://spdx.dev/Document\", \
         \"predicate\": {\"spdxVersion\": \"SPDX-2.3\", \"name\": \"%s\"}}' \"$BUILDKIT_SCAN_WHO\" \
         >$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json\n",
    );
    build.write(
        "Dockerfile",
        "FROM bb\nCOPY scan.sh /\nENTRYPOINT [\"sh\", \"/scan.sh\"]\n",
    );
    build.build(&["-t", "scanner"]).ok();
    build.write("Dockerfile", "FROM bb\nRUN touch /found\n");
    let name = format!("{}/scanned:1", registry.address());
    let sbom = ["--sbom=generator=scanner,WHO=us", "--provenance=true"];
    let built = build.build(&["--push", "-t", &name, sbom[0], sbom[1]]);
    built.ok();
    assert!(built.stderr.contains("generating sbom using"), "{built}");
    let said = beside(&build, &name, "SBOM");
    assert_eq!(said["SPDX"]["name"], "us", "{said}");
    let said = beside(&build, &name, "Provenance");
    assert!(said["SLSA"]["buildType"].is_string(), "{said}");
    // A scanner that fails fails the build, by its name.
    build.write("Dockerfile", "FROM bb\nRUN touch /else\n");
    let failed = build.build(&[sbom[0]]);
    assert_ne!(failed.code, 0, "{failed}");
    assert!(failed.stderr.contains("exit code: 3"), "{failed}");
    let nowhere = build.build(&["--sbom=generator=127.0.0.1:1/none"]);
    assert!(
        nowhere.stderr.contains("the scanner 127.0.0.1:1/none"),
        "{nowhere}"
    );
    let unknown = build.build(&["--attest=type=provenance,mode=most"]);
    assert!(
        unknown.stderr.contains("min or max is expected"),
        "{unknown}"
    );
    build.brig.finish();
}

/// What is said about files that are no image stands among them.
#[test]
fn where_files_come_from_stands_among_them() {
    let Some(build) = Build::start() else { return };
    build.write(
        "scan.sh",
        "printf '{\"predicateType\": \"https://spdx.dev/Document\", \
         \"predicate\": {\"name\": \"x\"}}' >$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json\n",
    );
    build.write(
        "Dockerfile",
        "FROM bb\nCOPY scan.sh /\nENTRYPOINT [\"sh\", \"/scan.sh\"]\n",
    );
    build.build(&["-t", "scanner"]).ok();
    build.write("given", "abc");
    build.write(
        "Dockerfile",
        "FROM scratch\nCOPY given /dir/given\nCOPY scan.sh /\n",
    );
    // `abc`, by SHA-256's own specification.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let about_given = |said: &Value| {
        let subjects = said["subject"].as_array().unwrap();
        assert_eq!(subjects.len(), 2, "{said}");
        assert_eq!(subjects[0]["name"], "dir/given", "{said}");
        assert_eq!(subjects[0]["digest"]["sha256"], abc, "{said}");
    };
    let out = build.beside("out");
    let to = format!("type=local,dest={},attestation-prefix=my-", out.display());
    let asked = ["--provenance=mode=max", "--sbom=generator=scanner"];
    build.build(&["-o", &to, asked[0], asked[1]]).ok();
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(out.join(name)).unwrap()).unwrap()
    };
    assert_eq!(std::fs::read(out.join("dir/given")).unwrap(), b"abc");
    let said = read("my-provenance.json");
    assert_eq!(said["predicateType"], "https://slsa.dev/provenance/v0.2");
    assert_eq!(
        said["predicate"]["buildType"],
        "https://mobyproject.org/buildkit@v1"
    );
    about_given(&said);
    let said = read("my-sbom.spdx.json");
    assert_eq!(said["predicate"]["name"], "x");
    about_given(&said);
    // The archive, by Brig's own client; of an empty result there is only what is said.
    let tar = build.beside("out.tar");
    let to = format!("type=tar,dest={}", tar.display());
    let mine = ["build", "-o", &to, "--provenance=true", build.dir()];
    build.brig.with(Client::Brig, &mine).ok();
    let names = || {
        let listed = std::process::Command::new("tar")
            .arg("-tf")
            .arg(&tar)
            .output()
            .unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    assert!(
        names().lines().any(|name| name == "provenance.json"),
        "{}",
        names()
    );
    assert!(names().lines().any(|name| name == "dir/given"));
    build.write("Dockerfile", "FROM scratch\n");
    build.brig.with(Client::Brig, &mine).ok();
    assert!(names().lines().any(|name| name == "provenance.json"));
    assert!(!names().contains("given"));
    build.brig.finish();
}
