//! What becomes of builds: images under their digests, and files of several platforms in one archive or
//! directory.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testkit::{Build, Client, Output};

const BOTH: &str = "--platform=linux/amd64,linux/arm64";
/// The same path with other text on each platform, and one of each platform's own.
const FILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n";
/// The same without what both have.
const APART: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH/only-* /own/\n";

fn contexts(build: &Build) {
    build.write("Dockerfile", FILE);
    build.write("Apart", APART);
    for platform in ["amd64", "arm64"] {
        build.write(&format!("{platform}/same"), platform);
        build.write(&format!("{platform}/only-{platform}"), "own");
    }
}

fn brig(build: &Build, args: &[&str]) -> Output {
    let mut all = vec!["build"];
    all.extend(args);
    all.push(build.dir());
    build.brig.with(Client::Brig, &all)
}

fn names(tar: &Path) -> Vec<String> {
    let mut list = Command::new("tar");
    let listed = Output::of(list.arg("-tf").arg(tar));
    listed.ok().lines().map(str::to_owned).collect()
}

fn output(kind: &str, path: &Path, more: &str) -> String {
    format!("type={kind},dest={}{more}", path.display())
}

#[test]
fn several_platforms_are_one_archive() {
    let Some(build) = Build::start() else { return };
    contexts(&build);
    let tar = build.beside("both.tar");
    let each = [
        "linux_amd64/",
        "linux_amd64/only-amd64",
        "linux_amd64/same",
        "linux_arm64/",
        "linux_arm64/only-arm64",
        "linux_arm64/same",
    ];
    brig(&build, &[BOTH, "-o", &output("tar", &tar, "")]).ok();
    assert_eq!(names(&tar), each);
    build.build(&[BOTH, "-o", &output("tar", &tar, "")]).ok();
    assert_eq!(names(&tar), each);
    // One platform has a directory of its own when that is asked for.
    let split = output("tar", &tar, ",platform-split=true");
    brig(&build, &["--platform=linux/amd64", "-o", &split]).ok();
    assert_eq!(names(&tar), each[..3]);
    let nonsense = output("tar", &tar, ",platform-split=perhaps");
    let refused = brig(&build, &[BOTH, "-o", &nonsense]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.stderr.contains("platform-split"), "{refused}");
    build.brig.finish();
}

#[test]
fn platforms_share_a_directory_unless_they_have_the_same_file() {
    let Some(build) = Build::start() else { return };
    contexts(&build);
    let apart = build.context.path().join("Apart");
    let apart = ["-f", apart.to_str().unwrap(), BOTH, "-o"];
    let together = ",platform-split=false";
    let (dir, tar) = (build.beside("together"), build.beside("together.tar"));
    for (kind, place) in [("local", &dir), ("tar", &tar)] {
        let out = output(kind, place, together);
        brig(&build, &[&apart[..], &[&out]].concat()).ok();
        let collision = brig(&build, &[BOTH, "-o", &out]);
        assert_ne!(collision.code, 0, "{kind}: {collision}");
        let said =
            "cannot overwrite same from linux/amd64 with linux/arm64 when split option is disabled";
        assert!(collision.stderr.contains(said), "{kind}: {collision}");
    }
    let files = |dir: &Path| {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(files(&dir.join("own")), ["only-amd64", "only-arm64"]);
    let packed = names(&tar);
    assert_eq!(packed.iter().filter(|name| *name == "own/").count(), 1);
    for name in ["own/only-amd64", "own/only-arm64"] {
        assert!(packed.iter().any(|packed| packed == name), "{packed:?}");
    }
    // Docker's plugin takes them into one directory, too.
    let plugin = build.beside("plugin");
    let out = output("local", &plugin, together);
    build.build(&[&apart[..], &[&out]].concat()).ok();
    assert_eq!(files(&plugin.join("own")), ["only-amd64", "only-arm64"]);
    // What is said about each does not hide what is said about the other.
    let out = output("local", &plugin, together);
    let said = ["--provenance=mode=min"];
    brig(&build, &[&apart[..], &[&out], &said].concat()).ok();
    for platform in ["amd64", "arm64"] {
        let file = plugin.join(format!("provenance.linux_{platform}.json"));
        assert!(file.exists(), "{}", file.display());
    }
    build.brig.finish();
}

/// Caches and images in directories, by both clients: what one has written the other reads.
#[test]
fn directories_with_content_are_caches_and_contexts() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb\nRUN cat /proc/sys/kernel/random/uuid >/one\n",
    );
    for (writer, reader) in [(true, false), (false, true)] {
        let by = |own: bool, args: &[&str]| match own {
            true => brig(&build, args),
            false => build.build(args),
        };
        let dir = build.beside(&format!("cache-{writer}"));
        let to = format!("type=local,dest={},mode=max", dir.display());
        by(writer, &["-t", "x", "--cache-to", &to]).ok();
        let said = build.says("x", &["cat", "/one"]);
        build.forget("x");
        let from = format!("type=local,src={}", dir.display());
        let again = by(reader, &["-t", "x", "--cache-from", &from]);
        again.ok();
        assert_eq!(build.says("x", &["cat", "/one"]), said, "{again}");
        build.forget("x");
        let ours = brig(&build, &["-t", "x", "--cache-from", &from]);
        ours.ok();
        assert_eq!(build.says("x", &["cat", "/one"]), said, "{ours}");
    }
    // One that is not there is told of, and no more.
    let none = format!("type=local,src={}", build.beside("none").display());
    let told = brig(&build, &["--cache-from", &none]);
    told.ok();
    assert!(told.stderr.contains("local cache import"), "{told}");
    let nowhere = brig(&build, &["--cache-to", "type=local"]);
    assert!(nowhere.stderr.contains("requires dest"), "{nowhere}");
    // An image in a directory is a context, by its tag and by its digest.
    let layout = build.beside("layout");
    fs::create_dir(&layout).unwrap();
    build.write("Base", "FROM bb\nRUN echo laid-out >/f\n");
    let base = build.context.path().join("Base");
    let tar = build.beside("layout.tar");
    let out = format!("type=oci,name=base:5,dest={}", tar.display());
    brig(&build, &["-f", base.to_str().unwrap(), "-o", &out]).ok();
    let mut unpack = Command::new("tar");
    Output::of(unpack.arg("-xf").arg(&tar).arg("-C").arg(&layout)).ok();
    build.write("Dockerfile", "FROM given\nRUN cat /f >/g\n");
    let index = fs::read_to_string(layout.join("index.json")).unwrap();
    let at = index.find("sha256:").unwrap();
    let digest = &index[at..at + "sha256:".len() + 64];
    for named in ["", &format!("@{digest}")] {
        let given = format!("given=oci-layout://{}{named}", layout.display());
        brig(&build, &["-t", "y", "--build-context", &given]).ok();
        assert_eq!(build.says("y", &["cat", "/g"]), "laid-out");
        build.forget("y");
    }
    let given = format!("given=oci-layout://{}:none", layout.display());
    let missing = brig(&build, &["--build-context", &given]);
    assert_ne!(missing.code, 0, "{missing}");
    assert!(
        missing.stderr.contains("nothing of the name none"),
        "{missing}"
    );
    build.brig.finish();
}

#[test]
fn an_image_keeps_the_name_that_is_its_digest() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo one >/n\n");
    let named = "type=image,name=app:1,name-canonical=true";
    brig(&build, &["-o", named]).ok();
    let digests = build.inspect("app:1", "{{json .RepoDigests}}");
    let first = build.inspect("app:1", "{{.Id}}");
    assert_eq!(digests, format!("[\"app@{first}\"]"));
    // Its tag goes to another image, and it is called by its digest still.
    build.write("Dockerfile", "FROM bb\nRUN echo two >/n\n");
    brig(&build, &["-o", "type=image,name=app:1"]).ok();
    assert_ne!(build.inspect("app:1", "{{.Id}}"), first);
    let canonical = format!("app@{first}");
    assert_eq!(build.inspect(&canonical, "{{.Id}}"), first);
    assert_eq!(build.says(&canonical, &["cat", "/n"]), "one");
    // Without a name it has the one of a prefix.
    build.write("Dockerfile", "FROM bb\nRUN echo three >/n\n");
    let metadata = build.beside("metadata");
    let prefix = "type=image,dangling-name-prefix=nameless";
    let write = format!("--metadata-file={}", metadata.display());
    brig(&build, &["-o", prefix, &write]).ok();
    let text = fs::read_to_string(&metadata).unwrap();
    let at = text.find("nameless@sha256:").unwrap();
    let name = &text[at..at + "nameless@sha256:".len() + 64];
    assert_eq!(build.says(name, &["cat", "/n"]), "three");
    let nonsense = "type=image,name=x,name-canonical=perhaps";
    let refused = brig(&build, &["-o", nonsense]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.stderr.contains("name-canonical"), "{refused}");
    build.brig.finish();
}

/// An image of one layer that is not compressed, as older archives have them.
fn load_plain(build: &Build, name: &str) {
    let dir = build.beside("plain");
    fs::create_dir(&dir).unwrap();
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        Output::of(command.args(args).current_dir(&dir))
            .ok()
            .to_owned()
    };
    fs::write(dir.join("plain"), "plain").unwrap();
    run("tar", &["-cf", "layer.tar", "plain"]);
    let sum = run("sha256sum", &["layer.tar"]);
    let sum = sum.split_whitespace().next().unwrap();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{sum}"]}}}}"#
    );
    fs::write(dir.join("config.json"), config).unwrap();
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);
    fs::write(dir.join("manifest.json"), manifest).unwrap();
    run(
        "tar",
        &[
            "-cf",
            "all.tar",
            "manifest.json",
            "config.json",
            "layer.tar",
        ],
    );
    build.load(&dir.join("all.tar"));
}

/// What an output calls the manifest, the configuration and the layers of an image.
fn types(build: &Build, more: &str) -> String {
    let layout = build.beside("layout");
    let _ = fs::remove_dir_all(&layout);
    fs::create_dir(&layout).unwrap();
    let tar = build.beside("layout.tar");
    brig(build, &["-o", &output("oci", &tar, more)]).ok();
    let mut unpack = Command::new("tar");
    Output::of(unpack.arg("-xf").arg(&tar).arg("-C").arg(&layout)).ok();
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let top = &index["manifests"][0];
    let digest = top["digest"].as_str().unwrap().replace(':', "/");
    let manifest = read(&layout.join("blobs").join(digest));
    assert_eq!(top["mediaType"], manifest["mediaType"]);
    let mut all = vec![&manifest["mediaType"], &manifest["config"]["mediaType"]];
    let layers = manifest["layers"].as_array().unwrap();
    all.extend(layers.iter().map(|layer| &layer["mediaType"]));
    let all = all.iter().map(|kind| kind.as_str().unwrap());
    all.map(|kind| kind.trim_start_matches("application/vnd."))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_parts_of_an_image_are_called_and_compressed_as_is_asked() {
    let Some(build) = Build::start() else { return };
    load_plain(&build, "plain:1");
    build.write("Dockerfile", "FROM plain:1\nCOPY own /own\n");
    build.write("own", "own");
    let oci = "oci.image.manifest.v1+json oci.image.config.v1+json";
    let docker = "docker.distribution.manifest.v2+json docker.container.image.v1+json";
    let both = "oci.image.layer.v1.tar+gzip oci.image.layer.v1.tar+gzip";
    assert_eq!(
        types(&build, ""),
        format!("{oci} oci.image.layer.v1.tar oci.image.layer.v1.tar+gzip")
    );
    assert_eq!(
        types(&build, ",force-compression=true"),
        format!("{oci} {both}")
    );
    assert_eq!(
        types(&build, ",oci-mediatypes=false,compression=gzip"),
        format!("{docker} docker.image.rootfs.diff.tar docker.image.rootfs.diff.tar.gzip")
    );
    // Docker's words have no place for annotations.
    let annotated = ",oci-mediatypes=false,force-compression=true,annotation.a=b";
    assert_eq!(types(&build, annotated), format!("{oci} {both}"));
    // It is an image like others.
    let named = "type=image,name=words:1,oci-mediatypes=false";
    brig(&build, &["-o", named]).ok();
    let saved = build.save("words:1");
    build.forget("words:1");
    build.load(&saved);
    build.write("Dockerfile", "FROM bb\nCOPY --from=words:1 / /all\n");
    brig(&build, &["-t", "looks"]).ok();
    assert_eq!(
        build.says("looks", &["cat", "/all/plain", "/all/own"]),
        "plainown"
    );
    for refused in [
        "compression-level=10",
        "compression=estargz",
        "oci-mediatypes=perhaps",
    ] {
        let output = brig(&build, &["-o", &format!("type=image,{refused}")]);
        assert_ne!(output.code, 0, "{output}");
        let name = refused.split('=').next().unwrap();
        assert!(output.stderr.contains(name), "{refused}: {output}");
    }
    build.brig.finish();
}

/// An output as an archive, unpacked: what reads a document of it.
fn unpacked(build: &Build, args: &[&str]) -> impl Fn(&Value) -> Value + use<> {
    let layout = build.beside("unpacked");
    let _ = fs::remove_dir_all(&layout);
    fs::create_dir(&layout).unwrap();
    let tar = build.beside("unpacked.tar");
    let to = output("oci", &tar, "");
    brig(build, &[args, &["-o", &to]].concat()).ok();
    let mut unpack = Command::new("tar");
    Output::of(unpack.arg("-xf").arg(&tar).arg("-C").arg(&layout)).ok();
    move |named: &Value| {
        let file = match named["digest"].as_str() {
            Some(digest) => format!("blobs/{}", digest.replace(':', "/")),
            None => "index.json".to_owned(),
        };
        serde_json::from_slice(&fs::read(layout.join(file)).unwrap()).unwrap()
    }
}

#[test]
fn annotations_are_of_what_they_name() {
    let Some(build) = Build::start() else { return };
    contexts(&build);
    let words = [
        "k=all",
        "manifest[linux/arm64]:k=arm",
        "manifest-descriptor:named=yes",
        "index:of=index",
        "index-descriptor:of=index-descriptor",
    ];
    let args = words.map(|word| ["--annotation", word]).concat();
    let read = unpacked(&build, &[&[BOTH, "--provenance=false"], &args[..]].concat());
    let top = read(&Value::Null)["manifests"][0].clone();
    assert_eq!(top["annotations"]["of"], "index-descriptor", "{top}");
    let index = read(&top);
    assert_eq!(index["annotations"]["of"], "index", "{index}");
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 2, "{index}");
    for (manifest, said) in manifests.iter().zip(["all", "arm"]) {
        assert_eq!(manifest["annotations"]["named"], "yes", "{manifest}");
        assert_eq!(read(manifest)["annotations"]["k"], said, "{index}");
    }
    // An image for one platform has no index, unless something is said about it there.
    let one = "--provenance=false";
    let read = unpacked(&build, &[one, "--annotation", "manifest-descriptor:a=b"]);
    let top = read(&Value::Null)["manifests"][0].clone();
    assert_eq!(top["annotations"]["a"], "b", "{top}");
    let refused = brig(&build, &[one, "-t", "x", "--annotation", "index:a=b"]);
    assert_ne!(refused.code, 0, "{refused}");
    let sentence = "index annotations not supported for single platform export: a";
    assert!(refused.stderr.contains(sentence), "{refused}");
    let said = ["--provenance=true", "--annotation", "index:a=b"];
    let read = unpacked(&build, &said);
    let top = read(&Value::Null)["manifests"][0].clone();
    assert_eq!(read(&top)["annotations"]["a"], "b", "{top}");
    build.brig.finish();
}

/// The layers of an image that is written so: their types, and their bytes.
fn layers(build: &Build, more: &str) -> Vec<(String, Vec<u8>)> {
    let layout = build.beside("layers");
    let words = output("oci", &layout, &format!(",tar=true,{more}"));
    let words = words.trim_end_matches(',').to_owned();
    brig(build, &["-o", &words]).ok();
    let file = |name: &str| {
        let mut tar = Command::new("tar");
        let output = tar.arg("-xOf").arg(&layout).arg(name).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        output.stdout
    };
    let json = |name: &str| -> Value { serde_json::from_slice(&file(name)).unwrap() };
    let blob = |value: &Value| {
        let digest = value["digest"].as_str().unwrap();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let manifest = json(&blob(&json("index.json")["manifests"][0]));
    let layers = manifest["layers"].as_array().unwrap();
    let layer = |layer: &Value| {
        let kind = layer["mediaType"].as_str().unwrap();
        let bytes = file(&blob(layer));
        assert_eq!(layer["size"], bytes.len());
        let kind = kind.trim_start_matches("application/vnd.oci.image.layer.v1.");
        (kind.to_owned(), bytes)
    };
    layers.iter().map(layer).collect()
}

#[test]
fn layers_are_compressed_as_hard_as_is_asked() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nCOPY own /own\n");
    let lines = (0..40_000_u32).map(|n| format!("{} {n}\n", n.wrapping_mul(2_654_435_761)));
    build.write("own", &lines.collect::<String>());
    let usual = layers(&build, "");
    let size = |more: &str, base: &str, own: &str| {
        let all = layers(&build, more);
        assert_eq!([&*all[0].0, &*all[1].0], [base, own], "{more}");
        all[1].1.len()
    };
    let gzip = |level: u8| {
        let words = format!("compression=gzip,compression-level={level}");
        size(&words, "tar+gzip", "tar+gzip")
    };
    assert!(gzip(9) < gzip(1) && gzip(1) < gzip(0));
    let zstd = |level: u8| {
        let words = format!("compression=zstd,compression-level={level}");
        size(&words, "tar+gzip", "tar+zstd")
    };
    assert!(zstd(19) < zstd(1) && zstd(1) < gzip(0));
    let plain = size("compression=uncompressed", "tar+gzip", "tar");
    assert!(plain > 40_000 && plain <= gzip(0));
    size(
        "compression=zstd,force-compression=true",
        "tar+zstd",
        "tar+zstd",
    );
    size(
        "compression=uncompressed,force-compression=true",
        "tar",
        "tar",
    );
    // What others have asked for changes nothing.
    assert_eq!(layers(&build, ""), usual);
    assert_eq!(
        layers(&build, "compression=zstd,compression-level=3"),
        layers(&build, "compression=zstd,compression-level=3")
    );
    // It is an image like others, also after it was elsewhere.
    let named = "type=image,name=small:1,compression=zstd,compression-level=9,oci-mediatypes=false";
    brig(&build, &["-o", named]).ok();
    let saved = build.save("small:1");
    build.forget("small:1");
    build.brig.brig(&["builder", "prune", "-af"]).ok();
    build.load(&saved);
    let count = ["sh", "-c", "wc -l </own"];
    assert_eq!(build.says("small:1", &count), "40000");
    build.brig.finish();
}
