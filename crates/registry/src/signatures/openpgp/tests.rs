//! Packets made by hand.

use super::*;

/// What a keyring or a message is refused for; real ones are made by gpg in the tests beside skopeo.
#[test]
fn what_is_no_openpgp_is_refused_with_a_reason() {
    let secret = [0xc5, 1, 4];
    let five = [0xc6, 1, 5];
    let cut = [0xc6, 5, 4, 0, 0, 0, 0];
    let armored =
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n%%%\n-----END PGP PUBLIC KEY BLOCK-----\n";
    let table: [(&[u8], &str); 7] = [
        (b"", "it holds no OpenPGP public key"),
        (b"text", "it is no OpenPGP data, or cut short"),
        (&secret, "it holds a secret key"),
        (&five, "a key of version 5, 4 is expected"),
        (&cut, "a key in it is cut short"),
        (&[0xc6, 9, 1], "cut short"),
        (armored.as_bytes(), "its armor is no base64"),
    ];
    for (file, why) in table {
        let found = Keyring::parse(file).unwrap_err();
        assert!(found.contains(why), "{file:?}: {found}");
    }
    let nobody = Keyring(Vec::new());
    let table: [(&[u8], &str); 5] = [
        (b"", "no OpenPGP message with one signature"),
        (&[0xc8, 2, 7, 0], "packed by the method 7"),
        (&[0xc8, 1, 0], "no OpenPGP message with one signature"),
        (
            &[0xc2, 1, 3, 0xcb, 6, b'b', 0, 0, 0, 0, 0],
            "a signature of version 3",
        ),
        (&[0xc2, 1, 3, 0xcb, 1, b'b'], "cut short"),
    ];
    for (message, why) in table {
        let found = nobody.open(message, 0).unwrap_err();
        assert!(found.contains(why), "{message:?}: {found}");
    }
}

#[test]
fn a_body_in_parts_is_put_together() {
    // Four bytes, two bytes, and the rest.
    let bytes = [0xcb, 0xe2, 1, 2, 3, 4, 0xe1, 5, 6, 1, 7];
    let packets = packet::all(&bytes, 10).unwrap();
    assert_eq!((packets.len(), packets[0].tag), (1, packet::LITERAL));
    assert_eq!(*packets[0].body, [1, 2, 3, 4, 5, 6, 7]);
    // The old format with a length of two bytes, and one that lasts to the end.
    let bytes = [0x89, 0, 2, 1, 2, 0x9b, 5, 6];
    let packets = packet::all(&bytes, 10).unwrap();
    let shown: Vec<_> = packets
        .iter()
        .map(|one| (one.tag, one.body.to_vec()))
        .collect();
    assert_eq!(shown, [(packet::SIGNATURE, vec![1, 2]), (6, vec![5, 6])]);
    assert!(packet::all(&[0xc0, 0].repeat(11), 10).is_err());
}

/// Packets of one file, each as a file may have it.
fn pieces(file: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let file = dearmor(file).unwrap();
    let packets = packet::all(&file, MAX_PACKETS).unwrap();
    let encoded = packets.iter().map(|packet| {
        let length = u32::try_from(packet.body.len()).unwrap();
        let head = [&[0xc0 | packet.tag, 0xff][..], &length.to_be_bytes()].concat();
        (packet.tag, [head, packet.body.to_vec()].concat())
    });
    encoded.collect()
}

/// What gpg says of the key of a ring: `r` revoked, `e` expired, `u` or `-` neither; and when it expires.
fn gpg_says(signing: &testkit::Signing, ring: &[u8], now: &str) -> (String, String) {
    let home = signing.path("other");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir(&home).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&home, mode).unwrap();
    signing.write("ring", ring);
    let (home, ring) = (home.display().to_string(), signing.path("ring"));
    let time = ["--homedir", &home, "--faked-system-time", now];
    signing.gpg(&[&time[..], &["--import", ring.to_str().unwrap()]].concat());
    let listed = signing.gpg(&[&time[..], &["--with-colons", "--list-keys"]].concat());
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("pub:"));
    let fields: Vec<_> = line.unwrap().split(':').collect();
    (fields[1].to_owned(), fields[6].to_owned())
}

#[test]
fn a_key_ends_when_gpg_says_that_it_ends() {
    const LATER: i64 = 4_000_000_000;
    let Some(signing) = testkit::Signing::start() else {
        return;
    };
    signing.gpg(&["--quick-generate-key", "ann", "ed25519", "sign", "1y"]);
    let key = signing.fingerprint("ann");
    signing.write("document", b"word");
    let document = signing.path("document").display().to_string();
    let message = signing.gpg(&["--output", "-", "--sign", &document]);
    let first = pieces(&signing.gpg(&["--export", &key]));
    signing.gpg(&["--quick-add-uid", &key, "bob"]);
    signing.gpg(&["--quick-set-expire", &key, "0"]);
    let second = pieces(&signing.gpg(&["--export", &key]));
    let tags = |pieces: &[(u8, Vec<u8>)]| pieces.iter().map(|p| p.0).collect::<Vec<_>>();
    assert_eq!(tags(&first), [6, 13, 2]);
    assert_eq!(tags(&second), [6, 13, 2, 13, 2]);
    let bob = second.iter().position(|(_, bytes)| bytes.ends_with(b"bob"));
    let bob = second[bob.unwrap()..][..2].to_vec();
    let revocation = signing.path(&format!("gnupg/openpgp-revocs.d/{key}.rev"));
    // It is made with the key, and a colon before the armor, so that nobody imports it by mistake.
    let text = std::fs::read_to_string(revocation).unwrap();
    let start = text.find(":-----BEGIN").unwrap() + 1;
    let revocation = pieces(&text.as_bytes()[start..]);
    let [this, name, word] = first.as_slice() else {
        unreachable!("three packets");
    };
    let (this, name, word) = (vec![this.clone()], vec![name.clone()], vec![word.clone()]);
    let rings = [
        (vec![&this, &name, &word], "e"),
        (vec![&second], "-"),
        // The newest name says nothing of an end; an older one does.
        (vec![&this, &name, &word, &bob], "e"),
        (vec![&this, &bob], "-"),
        (vec![&this, &revocation, &bob], "r"),
        (vec![&this, &bob, &revocation], "r"),
    ];
    for (number, (ring, state)) in rings.iter().enumerate() {
        let ring: Vec<u8> = ring
            .iter()
            .flat_map(|part| part.iter().flat_map(|(_, bytes)| bytes.clone()))
            .collect();
        let said = gpg_says(&signing, &ring, &LATER.to_string());
        let opened = Keyring::parse(&ring).unwrap().open(&message, LATER);
        let found = match &opened {
            Ok(_) => "-",
            Err(why) if why.ends_with("is revoked") => "r",
            Err(why) if why.ends_with("has expired") => "e",
            Err(why) => why,
        };
        assert_eq!(found, *state, "ring {number}");
        // gpg drops a revocation that stands elsewhere, which is no reason to believe the key.
        let strict = number == rings.len() - 1;
        assert!(
            strict || said.0 == *state,
            "ring {number}: gpg says {said:?}"
        );
    }
}
