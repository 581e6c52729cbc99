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
