//! load and save.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use storage::{Error, Loaded};
use types::ErrorKind;

use crate::support::{Data, Tar, chain, has, is_root, run_alone};

fn load(data: &Data, archive: &[u8]) -> Result<Vec<Loaded>, Error> {
    data.storage.load(&mut &archive[..])
}

fn save(data: &Data, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut archive = Vec::new();
    data.storage.save(&names, &mut archive).unwrap();
    archive
}

fn listing(loaded: &[Loaded]) -> Vec<String> {
    loaded
        .iter()
        .map(|l| {
            l.reference
                .as_ref()
                .map_or("-".to_owned(), |r| r.familiar())
        })
        .collect()
}

fn sha(bytes: &[u8]) -> String {
    types::id::hex(&Sha256::digest(bytes))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A configuration of these layers.
fn config(layers: &[&[u8]]) -> String {
    let ids: Vec<_> = layers
        .iter()
        .map(|l| format!("\"sha256:{}\"", sha(l)))
        .collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":null,"Cmd":["x"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).build()
}

#[test]
fn saved_images_come_back_with_the_same_ids_and_the_same_bytes() {
    let data = Data::new();
    data.import(&layer("a"), "one:1").unwrap();
    data.import(&layer("b"), "registry.example:5000/two:2")
        .unwrap();
    data.storage
        .tag("one:1", &"uno:latest".parse().unwrap())
        .unwrap();
    let archive = save(&data, &["one:1", "uno", "registry.example:5000/two:2"]);
    assert_eq!(
        archive,
        save(&data, &["one:1", "uno", "registry.example:5000/two:2"])
    );

    let other = Data::new();
    let loaded = load(&other, &archive).unwrap();
    assert_eq!(
        listing(&loaded),
        ["one:1", "uno:latest", "registry.example:5000/two:2"]
    );
    for name in ["one:1", "uno", "registry.example:5000/two:2"] {
        let (old, new) = (
            data.storage.image(name).unwrap(),
            other.storage.image(name).unwrap(),
        );
        assert_eq!(
            (old.id, old.layers, old.size),
            (new.id, new.layers, new.size)
        );
    }
    assert_eq!(
        archive,
        save(&other, &["one:1", "uno", "registry.example:5000/two:2"])
    );
    // A second time nothing is new.
    assert_eq!(load(&other, &gzip(&archive)).unwrap().len(), 3);
    other.assert_clean();

    // By id it has no name.
    let id = data.storage.image("one:1").unwrap().id;
    let third = Data::new();
    let loaded = load(&third, &save(&data, &[id.hex()])).unwrap();
    assert_eq!(
        (listing(&loaded), &loaded[0].id),
        (vec!["-".to_owned()], &id)
    );
    assert!(
        third
            .storage
            .image(id.short())
            .unwrap()
            .references
            .is_empty()
    );
}

#[test]
fn a_repository_without_a_tag_is_saved_with_all_of_its_tags() {
    let data = Data::new();
    for (file, name) in [
        ("a", "team/app:one"),
        ("b", "team/app:two"),
        ("c", "team/apple"),
    ] {
        data.import(&layer(file), name).unwrap();
    }
    let archive = save(&data, &["team/app"]);
    let one = save(&data, &["team/app:one"]);
    let loaded = data.storage.load(&mut one.as_slice()).unwrap();
    assert_eq!(listing(&loaded), ["team/app:one"]);
    let loaded = data.storage.load(&mut archive.as_slice()).unwrap();
    assert_eq!(listing(&loaded), ["team/app:one", "team/app:two"]);
}

#[test]
fn an_unknown_name_stops_a_save_before_it_begins() {
    let data = Data::new();
    data.import(&layer("a"), "one:1").unwrap();
    let mut archive = Vec::new();
    let names = ["one:1".to_owned(), "two".to_owned()];
    let error = data.storage.save(&names, &mut archive).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), archive.len()),
        ("No such image: two", 0)
    );
}

#[test]
fn old_docker_archives_with_links_and_compressed_layers() {
    let (a, b) = (layer("a"), layer("b"));
    let config = config(&[&a, &b, &a]);
    let manifest = format!(
        r#"[{{"Config":"{0}.json","RepoTags":["old:1","older:2"],"Layers":["x/layer.tar","y/layer.tar","z/layer.tar"]}},
            {{"Config":"{0}.json","RepoTags":null,"Layers":["x/layer.tar","y/layer.tar","z/layer.tar"]}}]"#,
        sha(config.as_bytes())
    );
    let archive = Tar::new()
        .dir("x/")
        .file("x/VERSION", b"1.0")
        .symlink("z/layer.tar", "../x/layer.tar")
        .file("x/layer.tar", &a)
        .file("y/layer.tar", &gzip(&b))
        .file("manifest.json", manifest.as_bytes())
        .file(
            &format!("{}.json", sha(config.as_bytes())),
            config.as_bytes(),
        )
        .build();
    let data = Data::new();
    let loaded = load(&data, &archive).unwrap();
    assert_eq!(listing(&loaded), ["old:1", "older:2"]);
    let image = data.storage.image("old:1").unwrap();
    assert_eq!(image.layers.len(), 3);
    assert_eq!(image.layers[0], image.layers[2]);
    // A layer that is there twice is mounted once, where it is uppermost.
    let id = types::ContainerId::from_random([1; 32]);
    let snapshot = data.storage.prepare(&id, &image, true).unwrap();
    let lower: Vec<_> = snapshot.mounts[0]
        .lower
        .iter()
        .map(|dir| crate::support::names(dir))
        .collect();
    // The last are the places of mounts.
    assert_eq!(lower[..2], [["a"], ["b"]]);
    assert_eq!(lower[2][..], [".dockerenv", "dev", "etc", "proc", "sys"]);
    assert_eq!(lower.len(), 3);
    data.assert_clean();
    // The same files give the same id, and what is saved loads to it.
    let other = Data::new();
    assert_eq!(
        load(&other, &save(&data, &["old:1"])).unwrap()[0].id,
        image.id
    );
    assert_eq!(load(&other, &archive).unwrap()[0].id, image.id);
}

struct Layout {
    tar: Tar,
    manifests: Vec<String>,
}

impl Layout {
    fn new() -> Self {
        Self {
            tar: Tar::new(),
            manifests: Vec::new(),
        }
    }

    fn blob(&mut self, bytes: &[u8]) -> String {
        let tar = std::mem::replace(&mut self.tar, Tar::new());
        self.tar = tar.file(&format!("blobs/sha256/{}", sha(bytes)), bytes);
        format!(r#""digest":"sha256:{}","size":{}"#, sha(bytes), bytes.len())
    }

    fn image(&mut self, layers: &[&[u8]]) -> String {
        let config = config(layers);
        let config = self.blob(config.as_bytes());
        let layers: Vec<_> = layers
            .iter()
            .map(|l| format!(r#"{{"mediaType":"l",{}}}"#, self.blob(l)))
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c",{config}}},"layers":[{}]}}"#,
            layers.join(",")
        );
        self.blob(manifest.as_bytes())
    }

    fn list(&mut self, descriptor: &str, more: &str) {
        self.manifests.push(format!("{{{descriptor}{more}}}"));
    }

    fn index(&self) -> String {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            self.manifests.join(",")
        )
    }

    fn build(self) -> Vec<u8> {
        let index = self.index();
        self.tar.file("index.json", index.as_bytes()).build()
    }
}

#[test]
fn an_index_of_platforms_gives_this_machines_image_and_keeps_the_others() {
    let host = types::Platform::host().architecture;
    let mut layout = Layout::new();
    let platform = |arch: &str| format!(r#","platform":{{"os":"linux","architecture":"{arch}"}}"#);
    let mut inner = Layout::new();
    let other = layout.image(&[&layer("other")]);
    inner.list(&other, &platform("riscv64"));
    let mine = layout.image(&[&layer("mine")]);
    inner.list(&mine, &platform(&host));
    inner.list(
        &format!(r#""digest":"sha256:{}","size":7"#, "00".repeat(32)),
        &platform("s390x"),
    );
    let index = layout.blob(inner.index().as_bytes());
    layout.list(
        &index,
        r#","annotations":{"org.opencontainers.image.ref.name":"multi:1"}"#,
    );
    let data = Data::new();
    let loaded = load(&data, &layout.build()).unwrap();
    assert_eq!(listing(&loaded), ["multi:1"]);
    let image = data.storage.image("multi:1").unwrap();
    assert_ne!(image.id, image.manifest);
    assert_eq!(crate::support::names(&data.top("multi:1")), ["mine"]);
    data.assert_clean();
    let second = Data::new();
    let loaded = load(&second, &save(&data, &["multi:1"])).unwrap();
    assert_eq!(loaded[0].id, image.id);
    assert_eq!(second.storage.image("multi:1").unwrap().size, image.size);
}

#[test]
fn names_come_from_annotations_or_from_dockers_document() {
    let mut layout = Layout::new();
    let image = layout.image(&[&layer("a")]);
    layout.list(
        &image,
        r#","annotations":{"org.opencontainers.image.ref.name":"latest"}"#,
    );
    let path = format!("blobs/sha256/{}", sha(config(&[&layer("a")]).as_bytes()));
    let document = format!(r#"[{{"Config":"{path}","RepoTags":["named:1"],"Layers":[]}}]"#);
    layout.tar = layout.tar.file("manifest.json", document.as_bytes());
    let data = Data::new();
    assert_eq!(listing(&load(&data, &layout.build()).unwrap()), ["named:1"]);

    let mut layout = Layout::new();
    let image = layout.image(&[&layer("a")]);
    let both = r#","annotations":{"org.opencontainers.image.ref.name":"1","io.containerd.image.name":"example.com/x:1"}"#;
    layout.list(&image, both);
    let bare = r#","annotations":{"org.opencontainers.image.ref.name":"1"}"#;
    let image = layout.image(&[&layer("b")]);
    layout.list(&image, bare);
    assert_eq!(
        listing(&load(&data, &layout.build()).unwrap()),
        ["example.com/x:1", "-"]
    );
}

/// Loads an archive that must be refused, and compares why.
fn refused(archive: &[u8], expected: &str) {
    let data = Data::new();
    let error = load(&data, archive).unwrap_err();
    assert_eq!(chain(&error), expected);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(data.storage.images().unwrap().is_empty());
    data.assert_clean();
}

#[test]
fn wrong_digests_and_sizes_are_refused_by_name() {
    let zeros = "00".repeat(32);
    let wrong = Tar::new()
        .file(&format!("blobs/sha256/{zeros}"), b"x")
        .build();
    refused(
        &wrong,
        &format!(
            "the archive cannot be loaded: blob sha256:{zeros} is damaged: \
             its content hashes to sha256:{}",
            sha(b"x")
        ),
    );

    let mut layout = Layout::new();
    let image = layout.image(&[&layer("a")]).replace("size\":", "size\":1");
    layout.list(&image, "");
    let text = chain(&load(&Data::new(), &layout.build()).unwrap_err());
    assert!(text.contains("bytes instead of 1"), "{text}");

    let mut layout = Layout::new();
    layout.list(&format!(r#""digest":"sha256:{zeros}","size":1"#), "");
    refused(
        &layout.build(),
        &format!("the archive cannot be loaded: manifest sha256:{zeros} is missing"),
    );
}

/// A docker-archive of one layer.
fn one_layer(config: &str, layer: &[u8]) -> Vec<u8> {
    let manifest = r#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l.tar"]}]"#;
    Tar::new()
        .file("c.json", config.as_bytes())
        .file("l.tar", layer)
        .file("manifest.json", manifest.as_bytes())
        .build()
}

#[test]
fn wrong_and_broken_layers_are_refused_by_name() {
    let a = layer("a");
    // A configuration that lists another layer than the archive has.
    refused(
        &one_layer(&config(&[&layer("b")]), &a),
        &format!(
            "layer sha256:{0} of image x:1 unpacks to sha256:{0}, \
             where the configuration has sha256:{1}",
            sha(&a),
            sha(&layer("b"))
        ),
    );

    let long = Tar::new().file("a", &[7; 600]).build();
    let broken = &long[..long.len() - 1600];
    refused(
        &one_layer(&config(&[broken]), broken),
        &format!(
            "cannot unpack layer sha256:{} of image x:1: \
             the tar archive is broken at byte {}, at \"a\": it ends too early",
            sha(broken),
            broken.len()
        ),
    );
}

#[test]
fn archives_that_lack_what_they_name_are_refused() {
    let manifest = br#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l.tar"]}]"#;
    refused(
        &Tar::new().file("manifest.json", manifest).build(),
        "the archive cannot be loaded: the file \"c.json\" of image x:1 is missing",
    );
    refused(
        &Tar::new().file("etc/passwd", b"").build(),
        "the archive holds no image: neither manifest.json nor index.json is in it",
    );
    refused(
        &Tar::new().file("manifest.json", b"{").build(),
        "manifest.json cannot be understood: \
         invalid type: map, expected a sequence at line 1 column 0",
    );
    let index = b"{\"schemaVersion\":2,\"manifests\":[]}";
    refused(
        &Tar::new().file("index.json", index).build(),
        "the archive holds no image: neither manifest.json nor index.json is in it",
    );
}

#[test]
fn a_hundred_and_thirty_layers_are_an_image() {
    let layers: Vec<_> = (0..130).map(|i| layer(&format!("f{i}"))).collect();
    let refs: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    let config = config(&refs);
    let names: Vec<_> = (0..130).map(|i| format!("\"{i}.tar\"")).collect();
    let manifest = format!(
        r#"[{{"Config":"c","RepoTags":["deep:1"],"Layers":[{}]}}]"#,
        names.join(",")
    );
    let mut tar = Tar::new()
        .file("c", config.as_bytes())
        .file("manifest.json", manifest.as_bytes());
    for (i, layer) in layers.iter().enumerate() {
        tar = tar.file(&format!("{i}.tar"), layer);
    }
    let data = Data::new();
    load(&data, &tar.build()).unwrap();
    let image = data.storage.image("deep:1").unwrap();
    let id = types::ContainerId::from_random([3; 32]);
    let snapshot = data.storage.prepare(&id, &image, true).unwrap();
    let lower = &snapshot.mounts[0].lower;
    // With the places of mounts.
    assert_eq!(lower.len(), 131);
    assert_eq!(crate::support::names(&lower[0]), ["f129"]);
    // In the usual data root all of them fit a page of options.
    let root = data.root();
    let text: usize = lower
        .iter()
        .map(|dir| {
            Path::new("/var/lib/brig")
                .join(dir.strip_prefix(&root).unwrap())
                .as_os_str()
                .len()
                + 1
        })
        .sum();
    assert!(text < 4096 - 300, "{text}");
}

#[test]
fn a_damaged_file_of_the_store_is_named_by_save() {
    let data = Data::new();
    data.import(&layer("a"), "one:1").unwrap();
    let archive = save(&data, &["one:1"]);
    let blobs = data.root().join("blobs/sha256");
    for name in crate::support::names(&blobs) {
        let path = blobs.join(&name);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = data
            .storage
            .save(&["one:1".to_owned()], &mut Vec::new())
            .unwrap_err();
        assert!(
            chain(&error).contains(&format!("sha256:{name} is damaged")),
            "{}",
            chain(&error)
        );
        assert_eq!(error.kind(), ErrorKind::Internal);
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(save(&data, &["one:1"]), archive);
}

#[test]
fn skopeo_and_podman_read_what_is_saved_and_the_other_way_round() {
    if !has("skopeo") || !is_root() {
        return;
    }
    let data = Data::new();
    let image = data.import(&layer("a"), "example/one:1").unwrap();
    let dir = data.dir.path();
    let file = dir.join("saved.tar");
    std::fs::write(&file, save(&data, &["example/one:1"])).unwrap();
    let inspect = |transport: &str| {
        let name = format!("{transport}:{}", file.display());
        let args = ["--tmpdir", dir.to_str().unwrap(), "inspect", "--raw", &name];
        String::from_utf8(run_alone("skopeo", &args)).unwrap()
    };
    // From the OCI layout the very manifest; from the docker-archive one made of the same layer.
    assert_eq!(
        format!("sha256:{}", sha(inspect("oci-archive").as_bytes())),
        image.id.to_string()
    );
    assert!(inspect("docker-archive").contains(image.layers[0].hex()));

    for transport in ["docker-archive", "oci-archive"] {
        let out = dir.join(format!("{transport}.tar"));
        let from = format!("oci-archive:{}", file.display());
        let to = format!("{transport}:{}:example/copied:2", out.display());
        let tmp = ["--tmpdir", dir.to_str().unwrap()];
        let copy = ["--insecure-policy", "copy", &from, &to];
        run_alone("skopeo", &[tmp.as_slice(), &copy].concat());
        let other = Data::new();
        let loaded = load(&other, &std::fs::read(&out).unwrap()).unwrap();
        assert_eq!(listing(&loaded), ["example/copied:2"], "{transport}");
        let copied = other.storage.image("example/copied:2").unwrap();
        assert_eq!(copied.layers, image.layers, "{transport}");
    }
}

#[test]
fn podman_loads_what_is_saved() {
    if !has("podman") || !is_root() {
        return;
    }
    let data = Data::new();
    data.import(&layer("a"), "example/one:1").unwrap();
    let dir = data.dir.path();
    let file = dir.join("saved.tar");
    std::fs::write(&file, save(&data, &["example/one:1"])).unwrap();
    let podman = |args: &[&str]| {
        let root = format!("{}/podman", dir.display());
        let own = [
            "--root",
            &root,
            "--runroot",
            &format!("{root}-run"),
            "--storage-driver",
            "vfs",
        ];
        String::from_utf8(run_alone("podman", &[&own, args].concat())).unwrap()
    };
    let text = podman(&["load", "-q", "-i", file.to_str().unwrap()]);
    assert!(text.contains("example/one:1"), "{text}");
    let out = dir.join("podman.tar");
    podman(&[
        "save",
        "-q",
        "-o",
        out.to_str().unwrap(),
        "docker.io/example/one:1",
    ]);
    let other = Data::new();
    let loaded = load(&other, &std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(listing(&loaded), ["example/one:1"]);
}
