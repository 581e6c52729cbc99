//! Naming and removing images.

use storage::{Durability, Record, Removed};
use types::{ContainerId, Digest, ErrorKind, ImageRef};

use crate::support::{Data, Tar, names};

fn removed(list: &[Removed]) -> Vec<String> {
    list.iter()
        .map(|removed| match removed {
            Removed::Untagged(name) => format!("Untagged: {}", name.familiar()),
            Removed::Deleted(digest) => format!("Deleted: {digest}"),
        })
        .collect()
}

fn image(data: &Data, file: &str, name: &str) -> Digest {
    data.import(&Tar::new().file(file, file.as_bytes()).build(), name)
        .unwrap()
        .id
}

#[test]
fn a_name_goes_and_the_image_with_the_last() {
    let data = Data::new();
    let id = image(&data, "a", "a:1");
    data.storage.tag("a:1", &"a:2".parse().unwrap()).unwrap();
    assert_eq!(
        removed(&data.storage.remove("a:1", false).unwrap()),
        ["Untagged: a:1"]
    );
    assert_eq!(
        removed(&data.storage.remove("a:2", false).unwrap()),
        ["Untagged: a:2".to_owned(), format!("Deleted: {id}")]
    );
    let error = data.storage.remove("a:2", true).unwrap_err();
    assert_eq!(error.to_string(), "No such image: a:2");
    data.assert_clean();
    assert!(names(&data.root().join("blobs/sha256")).is_empty());
    assert_eq!(names(&data.root().join("layers")), ["0"]);
}

#[test]
fn by_id_all_names_of_one_repository_go_and_of_several_only_by_force() {
    let data = Data::new();
    let id = image(&data, "a", "a:1");
    data.storage.tag("a:1", &"a:2".parse().unwrap()).unwrap();
    data.storage
        .tag(id.short(), &"b:1".parse().unwrap())
        .unwrap();
    let error = data.storage.remove(id.short(), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "conflict: unable to delete {} (must be forced) - \
             image is referenced in multiple repositories",
            id.short()
        )
    );
    data.storage.remove("b:1", false).unwrap();
    assert_eq!(
        removed(&data.storage.remove(id.short(), false).unwrap()),
        [
            "Untagged: a:1".to_owned(),
            "Untagged: a:2".to_owned(),
            format!("Deleted: {id}")
        ]
    );
    let id = image(&data, "a", "a:1");
    data.storage.tag("a:1", &"b:1".parse().unwrap()).unwrap();
    assert_eq!(data.storage.remove(&id.to_string(), true).unwrap().len(), 3);
    data.assert_clean();
}

#[test]
fn no_name_takes_the_place_of_an_id() {
    let data = Data::new();
    let wanted = image(&data, "wanted", "wanted");
    let other = image(&data, "other", "other");
    // A repository may be called as the algorithm is, and its tag as the digits are.
    let name = wanted.to_string();
    data.storage.tag("other", &name.parse().unwrap()).unwrap();
    assert_eq!(data.storage.image(&name).unwrap().id, wanted);
    assert_eq!(data.storage.image(wanted.hex()).unwrap().id, wanted);
    // It is a name like others where there is no image of this id.
    data.storage.remove("wanted", false).unwrap();
    assert_eq!(data.storage.image(&name).unwrap().id, other);
}

#[test]
fn a_moved_name_leaves_an_image_without_one() {
    let data = Data::new();
    let old = image(&data, "old", "app");
    let new = image(&data, "new", "app");
    assert_eq!(data.storage.image("app").unwrap().id, new);
    let dangling = data.storage.image(old.short()).unwrap();
    assert!(dangling.references.is_empty());
    assert_eq!(data.storage.images().unwrap().len(), 2);
    assert_eq!(
        removed(&data.storage.remove(old.hex(), false).unwrap()),
        [format!("Deleted: {old}")]
    );
    data.assert_clean();
}

#[test]
fn content_two_images_share_goes_with_the_second() {
    let data = Data::new();
    let a = image(&data, "same", "a");
    let b = data
        .import(&Tar::new().file("same", b"same").build(), "b")
        .unwrap();
    assert_ne!(a, b.id);
    assert_eq!(names(&data.root().join("layers")).len(), 2);
    data.storage.remove("a", false).unwrap();
    data.assert_clean();
    assert_eq!(names(&data.top("b")), ["same"]);
    data.storage.remove("b", false).unwrap();
    data.assert_clean();
}

#[test]
fn what_a_container_needs_stays() {
    let data = Data::new();
    let id = image(&data, "a", "a:1");
    let container = ContainerId::from_random([0xab; 32]);
    let record = Record {
        id: container.clone(),
        name: "web".to_owned(),
        image: id.clone(),
        body: "{}".to_owned(),
    };
    data.storage.create_container(&record, false).unwrap();
    for name in ["a:1", id.short()] {
        let error = data.storage.remove(name, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            format!(
                "conflict: unable to delete {name} (must be forced) - \
                 container abababababab is using its referenced image {}",
                id.short()
            )
        );
    }
    // One name of two may go.
    data.storage.tag("a:1", &"a:2".parse().unwrap()).unwrap();
    data.storage.remove("a:2", false).unwrap();
    assert_eq!(
        removed(&data.storage.remove("a:1", true).unwrap()),
        ["Untagged: a:1"]
    );
    assert!(
        data.storage
            .image(id.short())
            .unwrap()
            .references
            .is_empty()
    );
    assert_eq!(
        names(&data.storage.snapshot(&container).unwrap().mounts[0].lower[0]),
        ["a"]
    );
    data.storage
        .remove_container(&container, Durability::Power)
        .unwrap();
    data.storage.remove(id.short(), false).unwrap();
    data.assert_clean();
}

#[test]
fn a_tag_is_not_a_digest_and_a_digest_finds_its_repository() {
    let data = Data::new();
    let id = image(&data, "a", "repo/a:1");
    let target = format!("x@{id}").parse().unwrap();
    assert_eq!(
        data.storage
            .tag("repo/a:1", &target)
            .unwrap_err()
            .to_string(),
        format!("refusing to create a tag with a digest reference: docker.io/library/x@{id}")
    );
    assert_eq!(data.storage.image(&format!("repo/a@{id}")).unwrap().id, id);
    assert!(data.storage.image(&format!("repo/b@{id}")).is_err());
    assert!(data.storage.image(&format!("repo@{id}")).is_err());
    assert_eq!(
        data.storage
            .remove(&format!("repo/a@{id}"), false)
            .unwrap()
            .len(),
        2
    );
    data.assert_clean();
}

#[test]
fn the_last_tag_of_a_repository_takes_its_digests_along() {
    let data = Data::new();
    let id = image(&data, "a", "repo/a:1");
    let digest = format!("repo/a@{id}").parse().unwrap();
    let called = |names: &[&str]| {
        let mut image = data.storage.image(id.short()).unwrap();
        image.references = names.iter().map(|name| name.parse().unwrap()).collect();
        image.references.push(ImageRef::clone(&digest));
        image
    };
    let goes = |names: &[&str], name: &str| {
        let image = called(names);
        let gone = image.names_with(&name.parse().unwrap());
        gone.len()
    };
    assert_eq!(goes(&["repo/a:1"], "repo/a:1"), 2);
    assert_eq!(goes(&["repo/a:1", "repo/b:1"], "repo/a:1"), 2);
    assert_eq!(goes(&["repo/a:1", "repo/a:2"], "repo/a:1"), 1);
    assert_eq!(goes(&["repo/a:1", "repo/a:2"], &digest.to_string()), 1);
    assert_eq!(goes(&["repo/a:1", "repo/b:1"], "repo/b:1"), 1);
    assert_eq!(goes(&["repo/a:1"], "repo/a:2"), 0);
    let mut unknown = called(&["repo/a:1", "repo/a:2"]);
    unknown.references.retain(|name| name.digest().is_none());
    assert_eq!(unknown.names_with(&digest).len(), 2);
    assert!(called(&[]).has_one_name() && called(&["repo/a:1"]).has_one_name());
    assert!(!called(&["repo/a:1", "repo/a:2"]).has_one_name());
    assert!(!called(&["repo/b:1"]).has_one_name());
}
