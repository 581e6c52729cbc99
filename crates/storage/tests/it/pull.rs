//! Images that come piece by piece, as from a registry, and go out again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::Duration;

use storage::{Committed, Descriptor, Error, Opened, Pull, Storage, Wanted};
use types::{Digest, Platform};

use crate::support::{Data, Tar, assert_clean, chain, names};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a registry would have.
#[derive(Default)]
pub(crate) struct Remote {
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    /// Whether it names by SHA-512.
    pub(crate) long: bool,
}

pub(crate) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest::sha256(sha2::Sha256::digest(bytes).into())
}

impl Remote {
    fn digest(&self, bytes: &[u8]) -> Digest {
        use sha2::Digest as _;
        match self.long {
            true => Digest::sha512(sha2::Sha512::digest(bytes).into()),
            false => digest(bytes),
        }
    }

    pub(crate) fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest(&bytes),
            size: bytes.len() as u64,
            urls: Vec::new(),
            platform: None,
        };
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    /// An image of these archives, each with what it is stored as.
    pub(crate) fn image(&mut self, platform: &str, layers: &[(&[u8], Vec<u8>)]) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let diff_ids: Vec<_> = layers.iter().map(|(tar, _)| self.digest(tar)).collect();
        let config = serde_json::json!({
            "architecture": platform.architecture, "os": platform.os, "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.add(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().into_bytes(),
        );
        let layers: Vec<_> = layers
            .iter()
            .map(|(_, blob)| json(&self.add(LAYER, blob.clone())))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": json(&config), "layers": layers,
        });
        let mut descriptor = self.add(MANIFEST, manifest.to_string().into_bytes());
        descriptor.platform = Some(platform);
        descriptor
    }

    pub(crate) fn index(&mut self, manifests: &[Descriptor]) -> Descriptor {
        let manifests: Vec<_> = manifests.iter().map(json).collect();
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests,
        });
        self.add(INDEX, index.to_string().into_bytes())
    }

    pub(crate) fn begin(&self, storage: &Storage, root: &Descriptor, wanted: Wanted) -> Pull {
        storage
            .pull(root, &self.blobs[&root.digest], wanted)
            .unwrap()
    }

    /// Brings everything.
    pub(crate) fn bring(&self, pull: &Pull) -> Result<(), Error> {
        loop {
            let missing = pull.missing()?;
            for document in &missing.documents {
                pull.document(document, &self.blobs[&document.digest])?;
            }
            for layer in &missing.layers {
                let Opened::Ours(mut ingest) = pull.open(layer)? else {
                    continue;
                };
                let rest = &self.blobs[&layer.digest][ingest.offset() as usize..];
                for piece in rest.chunks(1000) {
                    ingest.write(piece)?;
                }
                ingest.finish()?;
            }
            if missing.documents.is_empty() && missing.layers.is_empty() {
                return Ok(());
            }
        }
    }

    pub(crate) fn pull(
        &self,
        storage: &Storage,
        root: &Descriptor,
        wanted: Wanted,
        name: &str,
    ) -> Result<Committed, Error> {
        let pull = self.begin(storage, root, wanted);
        self.bring(&pull)?;
        pull.commit(&[name.parse().unwrap()], Some("docker.io/library/test"))
    }
}

fn json(descriptor: &Descriptor) -> serde_json::Value {
    let mut json = serde_json::json!({
        "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size,
    });
    if let Some(platform) = &descriptor.platform {
        json["platform"] =
            serde_json::json!({ "os": platform.os, "architecture": platform.architecture });
    }
    json
}

pub(crate) fn host() -> Wanted {
    Wanted::Platform(Platform::host())
}

fn other() -> &'static str {
    match Platform::host().architecture.as_str() {
        "arm64" => "linux/amd64",
        _ => "linux/arm64",
    }
}

pub(crate) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(size)
        .collect()
}

fn read(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn content_may_be_named_by_sha512() {
    let (data, other) = (Data::new(), Data::new());
    let mut remote = Remote {
        long: true,
        ..Remote::default()
    };
    let tars = [
        Tar::new().file("a", &noise(100_000, 1)).build(),
        Tar::new().file("b", &noise(50_000, 2)).build(),
    ];
    let layers = [
        (&tars[0][..], gzip(&tars[0], 6)),
        (&tars[1][..], tars[1].clone()),
    ];
    let root = remote.image(&Platform::host().to_string(), &layers);
    remote.pull(&data.storage, &root, host(), "x").unwrap();
    let mut wrong = remote.blobs[&root.digest].clone();
    wrong.push(b' ');
    let mut longer = root.clone();
    longer.size += 1;
    let error = data.storage.pull(&longer, &wrong, host()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");

    let id = root.digest.to_string();
    assert_eq!(data.storage.image(&id[..30]).unwrap().id, root.digest);
    let save = |storage: &Storage| {
        let mut archive = Vec::new();
        storage.save(&["x".to_owned()], &mut archive).unwrap();
        archive
    };
    let archive = save(&data.storage);
    let loaded = other.storage.load(&mut archive.as_slice()).unwrap();
    assert_eq!(loaded[0].id, root.digest);
    let stop = std::sync::atomic::AtomicBool::new(false);
    data.storage.compact(&stop).unwrap();
    for storage in [&data.storage, &other.storage] {
        assert!(save(storage) == archive);
        let push = storage.push("x", None).unwrap();
        for blob in push.blobs() {
            let digest = &blob.descriptor.digest;
            let mut bytes = Vec::new();
            push.open(digest, 0)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            assert!(bytes == remote.blobs[digest], "{digest}");
        }
        let check = storage::Check {
            repair: false,
            runs: &|_| false,
        };
        let checked = storage.check(&check, &mut |_| {}).unwrap();
        assert_eq!(checked.problems, []);
    }
    for data in [&data, &other] {
        data.storage.remove("x", false).unwrap();
        data.assert_clean();
        assert_eq!(names(&data.root().join("blobs/sha512")), [""; 0]);
    }
}

#[test]
fn an_image_is_pulled_in_every_compression_and_pushed_as_it_came() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tars: Vec<_> = (0..3)
        .map(|i| {
            Tar::new()
                .dir("d")
                .file("d/f", &noise(200_000, i + 1))
                .build()
        })
        .collect();
    let zstd = zstd::encode_all(tars[1].as_slice(), 3).unwrap();
    let root = remote.image(
        &Platform::host().to_string(),
        &[
            (&tars[0], gzip(&tars[0], 6)),
            (&tars[1], zstd),
            (&tars[2], tars[2].clone()),
        ],
    );
    let pulled = remote.pull(&data.storage, &root, host(), "test").unwrap();
    assert!(pulled.fresh);
    assert_eq!(pulled.image.id, root.digest);
    let diff_ids: Vec<_> = tars.iter().map(|tar| digest(tar)).collect();
    assert_eq!(pulled.image.layers, diff_ids);
    assert_eq!(
        std::fs::read(data.top("test").join("d/f")).unwrap(),
        noise(200_000, 3)
    );
    data.assert_clean();
    let again = remote.pull(&data.storage, &root, host(), "test").unwrap();
    assert!(!again.fresh);

    let push = data.storage.push("test", None).unwrap();
    assert!(!push.incomplete);
    assert_eq!(
        push.root,
        Descriptor {
            platform: None,
            ..root.clone()
        }
    );
    assert_eq!(push.documents(), std::slice::from_ref(&push.root));
    assert_eq!(push.blobs().len(), 4);
    for blob in push.blobs() {
        let digest = &blob.descriptor.digest;
        assert_eq!(read(push.open(digest, 0).unwrap()), remote.blobs[digest]);
        assert_eq!(
            read(push.open(digest, 7).unwrap()),
            remote.blobs[digest][7..]
        );
        assert_eq!(blob.repositories, ["docker.io/library/test"]);
    }
    // Held by the push.
    data.storage.remove("test", false).unwrap();
    let first = &push.blobs()[0].descriptor.digest;
    assert_eq!(read(push.open(first, 0).unwrap()), remote.blobs[first]);
    drop(push);
    data.assert_clean();
    assert_eq!(names(&data.root().join("blobs/sha256")), [""; 0]);
}

#[test]
fn one_platform_of_an_index_or_all() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = |text: &str| Tar::new().file("f", text.as_bytes()).build();
    let (ours, theirs) = (tar("ours"), tar("theirs"));
    let mine = remote.image(&Platform::host().to_string(), &[(&ours, gzip(&ours, 6))]);
    let other_one = remote.image(other(), &[(&theirs, gzip(&theirs, 6))]);
    let root = remote.index(&[other_one.clone(), mine.clone()]);

    let pulled = remote.pull(&data.storage, &root, host(), "one").unwrap();
    assert_eq!(
        (&pulled.image.id, &pulled.image.manifest),
        (&root.digest, &mine.digest)
    );
    assert!(
        !data
            .root()
            .join("blobs/sha256")
            .join(other_one.digest.hex())
            .exists()
    );
    let push = data.storage.push("one", None).unwrap();
    assert!(push.incomplete);
    assert_eq!(push.root.digest, mine.digest);
    drop(push);
    let error = data
        .storage
        .push("one", Some(&other().parse().unwrap()))
        .unwrap_err();
    assert!(matches!(error, Error::NoPlatform { .. }), "{error}");

    // The other one comes too, and what runs here stays what runs.
    let wanted = Wanted::Platform(other().parse().unwrap());
    let pulled = remote.pull(&data.storage, &root, wanted, "one").unwrap();
    assert_eq!((&pulled.image.manifest, pulled.fresh), (&mine.digest, true));
    assert_eq!(pulled.image.layers, [digest(&ours)]);
    let push = data.storage.push("one", None).unwrap();
    assert_eq!((push.incomplete, &push.root.digest), (false, &root.digest));
    let order: Vec<_> = push.documents().iter().map(|d| &d.digest).collect();
    assert_eq!(order, [&other_one.digest, &mine.digest, &root.digest]);
    drop(push);
    data.storage.remove("one", false).unwrap();
    data.assert_clean();

    remote
        .pull(&data.storage, &root, Wanted::All, "all")
        .unwrap();
    assert_eq!(names(&data.root().join("blobs/sha256")).len(), 7);
    assert_eq!(std::fs::read(data.top("all").join("f")).unwrap(), b"ours");
    data.assert_clean();

    let pull = remote.begin(
        &data.storage,
        &root,
        Wanted::Platform("linux/s390x".parse().unwrap()),
    );
    let error = pull.missing().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has nothing for linux/s390x: it has linux/a"),
        "{error}"
    );
}

#[test]
fn a_pull_goes_on_where_the_last_one_stopped() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("f", &noise(1_000_000, 5)).build();
    let small = Tar::new().file("g", b"x").build();
    let root = remote.image(
        &Platform::host().to_string(),
        &[(&tar, gzip(&tar, 1)), (&small, gzip(&small, 1))],
    );
    let layer = |pull: &Pull, i: usize| pull.layers().unwrap()[i].descriptor.clone();
    let pull = remote.begin(&data.storage, &root, host());
    while !pull.missing().unwrap().documents.is_empty() {
        for document in pull.missing().unwrap().documents {
            pull.document(&document, &remote.blobs[&document.digest])
                .unwrap();
        }
    }
    let (big, second) = (layer(&pull, 0), layer(&pull, 1));
    let Opened::Ours(mut ingest) = pull.open(&big).unwrap() else {
        panic!("nobody else brings it");
    };
    ingest.write(&remote.blobs[&big.digest][..400_000]).unwrap();
    // Somebody else waits for it.
    let other = remote.begin(&data.storage, &root, host());
    let Opened::Busy(busy) = other.open(&big).unwrap() else {
        panic!("it is being brought");
    };
    assert!(!busy.wait(Duration::from_millis(1)));
    let error = ingest.finish().unwrap_err();
    assert!(
        error.to_string().contains("has 400000 bytes instead of"),
        "{error}"
    );
    assert!(busy.wait(Duration::ZERO));
    let Opened::Ours(mut ingest) = pull.open(&second).unwrap() else {
        panic!("nobody else brings it");
    };
    ingest.write(&remote.blobs[&second.digest]).unwrap();
    ingest.finish().unwrap();
    assert!(matches!(pull.open(&second).unwrap(), Opened::Here));
    assert!(matches!(other.open(&second).unwrap(), Opened::Here));
    drop((pull, other, busy));

    // As after a restart: what was whole is there too, without a byte to bring.
    let root_dir = data.root();
    let Data { dir, storage } = data;
    drop(storage);
    let storage = Storage::open(&root_dir).unwrap();
    let pull = remote.begin(&storage, &root, host());
    for (layer, held) in [(&big, 400_000), (&second, second.size)] {
        let Opened::Ours(ingest) = pull.open(layer).unwrap() else {
            panic!("nobody else brings it");
        };
        assert_eq!(ingest.offset(), held);
    }
    drop(pull);
    remote.pull(&storage, &root, host(), "x").unwrap();
    assert_eq!(names(&root_dir.join("partial")), [""; 0]);
    assert_clean(&root_dir);
    drop(dir);
}

#[test]
fn what_is_wrong_is_refused_and_not_kept() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("f", &noise(300_000, 9)).build();
    let platform = Platform::host().to_string();
    let root = remote.image(&platform, &[(&tar, gzip(&tar, 6))]);
    let layer = digest(&gzip(&tar, 6));
    let good = remote.blobs[&layer].clone();
    let mut refused = |blob: Vec<u8>| {
        remote.blobs.insert(layer.clone(), blob);
        let error = remote
            .pull(&data.storage, &root, host(), "bad")
            .unwrap_err();
        assert_eq!(names(&data.root().join("partial")), [""; 0]);
        data.assert_clean();
        chain(&error)
    };
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let error = refused(flipped);
    assert!(
        error.contains("is damaged: its content hashes to") || error.contains("gzip"),
        "{error}"
    );
    let error = refused([good.as_slice(), b"more"].concat());
    assert!(error.contains("bytes instead of"), "{error}");
    let mut garbage = good.clone();
    garbage[20..2000].fill(0xaa);
    let error = refused(garbage);
    assert!(
        error.contains("is damaged") || error.contains("cannot unpack layer sha256:"),
        "{error}"
    );

    // A layer that is not what the configuration says.
    let mut remote = Remote::default();
    let other = Tar::new().file("g", b"other").build();
    let root = remote.image(&platform, &[(&tar, gzip(&other, 6))]);
    let error = remote
        .pull(&data.storage, &root, host(), "bad")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("where the configuration has sha256:"),
        "{error}"
    );
    assert_eq!(names(&data.root().join("partial")), [""; 0]);
    // A document that is not what its descriptor says.
    let root = Descriptor {
        size: root.size + 1,
        ..root
    };
    let error = data
        .storage
        .pull(&root, &remote.blobs[&root.digest], host())
        .unwrap_err();
    assert!(error.to_string().contains("bytes instead of"), "{error}");
    data.assert_clean();
    assert!(data.storage.images().unwrap().is_empty());
}

#[test]
fn what_one_platform_shares_with_another_that_comes_stays_when_it_goes() {
    let mut remote = Remote::default();
    let shared = Tar::new().file("shared", b"by both").build();
    let tar = |name: &str| Tar::new().file(name, name.as_bytes()).build();
    let mut image = |platform: &str, name: &str| {
        let own = tar(name);
        let layers = [
            (shared.as_slice(), gzip(&shared, 6)),
            (own.as_slice(), gzip(&own, 6)),
        ];
        remote.image(platform, &layers)
    };
    let (one, two, three) = (
        image("linux/amd64", "one"),
        image("linux/s390x", "two"),
        image("linux/riscv64", "three"),
    );
    let index = remote.index(&[one, two, three]);
    let data = Data::new();
    let bring = |platform: &str| {
        let wanted = Wanted::Platform(platform.parse().unwrap());
        remote.pull(&data.storage, &index, wanted, "app:1").unwrap();
    };
    bring("linux/amd64");
    let platform = |text: &str| text.parse::<Platform>().unwrap();
    for _ in 0..20 {
        bring("linux/s390x");
        std::thread::scope(|scope| {
            scope.spawn(|| bring("linux/riscv64"));
            let gone = [platform("linux/s390x")];
            data.storage.remove_platforms("app:1", &gone).unwrap();
        });
        for stays in ["linux/amd64", "linux/riscv64"] {
            let image = data.storage.image_on("app:1", &platform(stays));
            assert_eq!(image.unwrap().layers.len(), 2, "{stays}");
        }
        let gone = [platform("linux/riscv64")];
        data.storage.remove_platforms("app:1", &gone).unwrap();
    }
    data.assert_clean();
}

/// What a builder states about a manifest, beside it in its index.
fn stated(remote: &mut Remote, about: &Descriptor) -> (Descriptor, serde_json::Value) {
    let config = remote.add(CONFIG, b"{\"os\":\"unknown\"}".to_vec());
    let text = format!("{{\"about\":\"{}\"}}", about.digest);
    let statement = remote.add("application/vnd.in-toto+json", text.into_bytes());
    let mut layer = json(&statement);
    layer["annotations"] = serde_json::json!({ "in-toto.io/predicate-type": "https://x.example" });
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": json(&config), "layers": [layer],
    });
    let manifest = remote.add(MANIFEST, manifest.to_string().into_bytes());
    let mut entry = json(&manifest);
    entry["annotations"] = serde_json::json!({
        "vnd.docker.reference.digest": about.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    });
    (statement, entry)
}

/// An index of two images and what is stated about each; the statements.
fn stated_index(remote: &mut Remote) -> (Descriptor, [Descriptor; 2]) {
    let mut entries = Vec::new();
    let mut statements = Vec::new();
    for platform in [Platform::host().to_string(), other().to_owned()] {
        let tar = Tar::new().file("f", platform.as_bytes()).build();
        let image = remote.image(&platform, &[(&tar, gzip(&tar, 6))]);
        let (statement, entry) = stated(remote, &image);
        entries.extend([json(&image), entry]);
        statements.push(statement);
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
    });
    let index = remote.add(INDEX, index.to_string().into_bytes());
    (index, statements.try_into().unwrap())
}

#[test]
fn what_is_stated_about_a_platform_comes_and_goes_with_it() {
    let data = Data::new();
    let mut remote = Remote::default();
    let (index, [mine, theirs]) = stated_index(&mut remote);
    let here = |data: &Data, statement: &Descriptor| {
        let blobs = data.root().join("blobs/sha256");
        blobs.join(statement.digest.hex()).exists()
    };
    remote.pull(&data.storage, &index, host(), "app").unwrap();
    assert!(here(&data, &mine) && !here(&data, &theirs));
    let asked = storage::Asked::default();
    assert_eq!(data.storage.statements("app", &asked).unwrap().len(), 1);

    // An archive of one platform has what is stated about it.
    let mut archive = Vec::new();
    let names = ["app".to_owned()];
    data.storage
        .save_platforms(
            &names,
            &[Platform::host()],
            &std::collections::BTreeMap::new(),
            &mut archive,
        )
        .unwrap();
    let copy = Data::new();
    copy.storage.load(&mut archive.as_slice()).unwrap();
    assert!(here(&copy, &mine) && !here(&copy, &theirs));
    copy.assert_clean();

    let wanted = Wanted::Platform(other().parse().unwrap());
    remote.pull(&data.storage, &index, wanted, "app").unwrap();
    assert!(here(&data, &theirs));
    let gone = [other().parse().unwrap()];
    let removed = data.storage.remove_platforms("app", &gone).unwrap();
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(here(&data, &mine) && !here(&data, &theirs));
    data.assert_clean();
}

#[test]
fn an_image_comes_without_statements_that_nobody_has() {
    let mut remote = Remote::default();
    let (index, [mine, _]) = stated_index(&mut remote);
    let manifest = |remote: &Remote| {
        let names = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(mine.digest.hex());
        let found = remote.blobs.iter().find(|(_, bytes)| names(bytes));
        found.unwrap().0.clone()
    };
    for lost in [mine.digest.clone(), manifest(&remote)] {
        let data = Data::new();
        let pull = remote.begin(&data.storage, &index, host());
        remote.blobs.remove(&lost);
        loop {
            let missing = pull.missing().unwrap();
            let mut all = missing.documents.iter().chain(&missing.layers);
            if all.clone().next().is_none() {
                break;
            }
            if all.any(|wanted| wanted.digest == lost) {
                assert!(pull.leave_out(&lost).unwrap());
                continue;
            }
            for document in &missing.documents {
                // What the image is made of is needed.
                assert!(lost == mine.digest || !pull.leave_out(&document.digest).unwrap());
                pull.document(document, &remote.blobs[&document.digest])
                    .unwrap();
            }
            for layer in &missing.layers {
                let Opened::Ours(mut ingest) = pull.open(layer).unwrap() else {
                    continue;
                };
                ingest.write(&remote.blobs[&layer.digest]).unwrap();
                ingest.finish().unwrap();
            }
        }
        let name = "app".parse().unwrap();
        pull.commit(&[name], None).unwrap();
        let asked = storage::Asked::default();
        assert_eq!(data.storage.statements("app", &asked).unwrap().len(), 0);
        data.assert_clean();
    }
}

#[test]
fn a_manifest_is_no_layer_of_another() {
    let mut remote = Remote::default();
    let tar = Tar::new().file("a", b"a").build();
    let hidden = remote.image("linux/s390x", &[(&tar, gzip(&tar, 6))]);
    let manifest = remote.blobs[&hidden.digest].clone();
    // Its layer is the other manifest, byte for byte.
    let visible = remote.image("linux/amd64", &[(&manifest, manifest.clone())]);
    let index = remote.index(&[visible, hidden.clone()]);
    let data = Data::new();
    let error = remote.pull(&data.storage, &index, Wanted::All, "app:1");
    assert_eq!(
        chain(&error.unwrap_err()),
        format!(
            "content {} is named as a manifest, and as a part of one",
            hidden.digest
        )
    );
    data.assert_clean();
}
