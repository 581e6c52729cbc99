//! import.

use storage::{Import, Storage};
use types::ErrorKind;

use crate::support::{Data, Tar, chain};

#[test]
fn an_import_is_an_image_of_one_layer() {
    let data = Data::new();
    let tar = Tar::new()
        .dir("etc/")
        .file("etc/hostname", b"brig\n")
        .build();
    let import = Import {
        reference: Some("example/base:1".parse().unwrap()),
        message: "from a test".to_owned(),
        changes: vec!["CMD [\"sh\"]".to_owned(), "ENV A=1".to_owned()],
        ..Import::default()
    };
    let id = data.storage.import(&mut tar.as_slice(), &import).unwrap();
    let image = data.storage.image("example/base:1").unwrap();
    assert_eq!(
        (&image.id, &image.manifest, image.layers.len()),
        (&id, &id, 1)
    );
    assert_eq!(image.references[0].familiar(), "example/base:1");
    let config = image.config.config().as_ref().unwrap();
    assert_eq!(config.cmd().as_deref(), Some(["sh".to_owned()].as_slice()));
    assert_eq!(config.env().as_deref(), Some(["A=1".to_owned()].as_slice()));
    assert_eq!(
        image.config.rootfs().diff_ids(),
        &[image.layers[0].to_string()]
    );
    assert_eq!(
        image.config.history().as_ref().unwrap()[0]
            .comment()
            .as_deref(),
        Some("from a test")
    );
    assert_eq!(
        std::fs::read(data.top("example/base:1").join("etc/hostname")).unwrap(),
        b"brig\n"
    );
    for name in [
        &id.to_string(),
        id.hex(),
        &id.hex()[..6],
        &format!("example/base@{id}"),
    ] {
        assert_eq!(data.storage.image(name).unwrap().id, id, "{name}");
    }
    data.assert_clean();
    // And after it was closed.
    let root = data.root();
    let Data { dir, storage } = data;
    drop(storage);
    let storage = Storage::open(&root).unwrap();
    assert_eq!(storage.images().unwrap().len(), 1);
    drop(dir);
}

#[test]
fn a_bad_change_or_name_is_refused_before_anything_is_read() {
    let data = Data::new();
    let import = Import {
        changes: vec!["RUN x".to_owned()],
        ..Import::default()
    };
    let error = data
        .storage
        .import(&mut [0_u8; 0].as_slice(), &import)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(chain(&error).starts_with("invalid change \"RUN x\": "));
}

#[test]
fn what_is_no_archive_is_refused_and_leaves_nothing() {
    let data = Data::new();
    let tar = Tar::new().file("usr/share/doc", &[7; 5000]).build();
    for (bytes, expected) in [
        (
            [b'x'; 3000].as_slice(),
            "the tar archive is broken at byte 0: the header's checksum is wrong",
        ),
        (
            &tar[..3000],
            "the tar archive is broken at byte 3000, at \"usr/share/doc\": it ends too early",
        ),
    ] {
        let error = data.import(bytes, "x").unwrap_err();
        assert_eq!(chain(&error), expected);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(data.storage.images().unwrap().is_empty());
    }
    data.assert_clean();
}

#[test]
fn nothing_at_all_is_an_image_without_files() {
    let data = Data::new();
    let image = data.import(b"", "empty").unwrap();
    assert_eq!(image.layers.len(), 1);
    let mut archive = Vec::new();
    let names = ["empty".to_owned()];
    data.storage.save(&names, &mut archive).unwrap();
    data.storage.remove("empty", true).unwrap();
    data.storage.load(&mut archive.as_slice()).unwrap();
    assert_eq!(data.storage.image("empty").unwrap().id, image.id);
}

#[test]
fn no_image_and_ambiguous_names() {
    let data = Data::new();
    for name in ["nothing", "sha256:00", "", "a b", "0"] {
        let error = data.storage.image(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("No such image: {name}"));
    }
}
