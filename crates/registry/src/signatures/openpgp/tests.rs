//! Packets made by hand.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::Digest as _;

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
    // Rings need no agent, and one that is started here would outlive its directory.
    let time = ["--no-autostart", "--homedir", &home];
    let time = [&time[..], &["--faked-system-time", now]].concat();
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

/// A key of the test's own, which signs whatever it is told to.
struct Ann {
    pair: Ed25519KeyPair,
}

/// Subpackets.
const CREATED: u8 = 2;
const EXPIRES: u8 = 3;
const ISSUER: u8 = 16;
const FLAGS: u8 = 27;
const EMBEDDED: u8 = 32;

const SHA256: u8 = 8;
const SHA224: u8 = 11;
/// When all keys are made.
const MADE: u32 = 1_700_000_000;

impl Ann {
    fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self { pair }
    }

    /// The body of its key packet.
    fn key(&self) -> Vec<u8> {
        let oid = [9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];
        let point = self.pair.public_key().as_ref();
        // 263 bits: the first byte marks the format.
        [
            &[4][..],
            &MADE.to_be_bytes(),
            &[22],
            &oid,
            &[1, 7, 0x40],
            point,
        ]
        .concat()
    }

    fn hashed(&self) -> Vec<u8> {
        let key = self.key();
        let length = u16::try_from(key.len()).unwrap();
        [&[0x99][..], &length.to_be_bytes(), &key].concat()
    }

    fn id(&self) -> Vec<u8> {
        material::sha1(&self.hashed())[12..].to_vec()
    }

    fn signed(&self, hash: u8, message: &[u8]) -> Vec<u8> {
        let digest = match hash {
            SHA224 => sha2::Sha224::digest(message).to_vec(),
            _ => sha2::Sha256::digest(message).to_vec(),
        };
        let both = self.pair.sign(&digest);
        let (first, second) = both.as_ref().split_at(32);
        let first_bits = digest[..2].to_vec();
        [first_bits, integer(first), integer(second)].concat()
    }

    /// The body of a signature of a kind, made so many seconds after the keys.
    fn says(&self, (kind, after): (u8, u32), over: &[&[u8]], more: &[(u8, Vec<u8>)]) -> Vec<u8> {
        self.says_by(SHA256, (kind, after), over, more)
    }

    fn says_by(
        &self,
        hash: u8,
        (kind, after): (u8, u32),
        over: &[&[u8]],
        more: &[(u8, Vec<u8>)],
    ) -> Vec<u8> {
        let created = (CREATED, (MADE + after).to_be_bytes().to_vec());
        let hashed: Vec<u8> = [created].iter().chain(more).flat_map(subpacket).collect();
        let length = u16::try_from(hashed.len()).unwrap().to_be_bytes();
        let covered = [&[4, kind, 22, hash][..], &length, &hashed].concat();
        let end = u32::try_from(covered.len()).unwrap().to_be_bytes();
        let message = [&over.concat()[..], &covered, &[4, 0xff], &end].concat();
        let unhashed = subpacket(&(ISSUER, self.id()));
        let length = u16::try_from(unhashed.len()).unwrap().to_be_bytes();
        let signed = self.signed(hash, &message);
        [&covered[..], &length, &unhashed, &signed].concat()
    }

    /// The same of version 3.
    fn said_before(&self, kind: u8, over: &[&[u8]]) -> Vec<u8> {
        let head = [&[kind][..], &MADE.to_be_bytes()].concat();
        let signed = self.signed(SHA256, &[&over.concat()[..], &head].concat());
        [&[3, 5][..], &head, &self.id(), &[22, SHA256], &signed].concat()
    }

    /// A name, and what it says of it.
    fn name(&self, name: &str, (kind, after): (u8, u32), more: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let length = u32::try_from(name.len()).unwrap().to_be_bytes();
        let over = [&[0xb4][..], &length, name.as_bytes()].concat();
        let word = self.says((kind, after), &[&self.hashed(), &over], more);
        [
            packet(packet::USER_ID, name.as_bytes()),
            packet(packet::SIGNATURE, &word),
        ]
        .concat()
    }

    /// A subkey that may sign, with what is said of it beside that.
    fn has(&self, subkey: &Self, more: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let (above, below) = (self.hashed(), subkey.hashed());
        let back = subkey.says((0x19, 0), &[&above, &below], &[]);
        let own = [(FLAGS, vec![2]), (EMBEDDED, back)];
        let binding = self.says((0x18, 0), &[&above, &below], &[&own, more].concat());
        [
            packet(packet::SUBKEY, &subkey.key()),
            packet(packet::SIGNATURE, &binding),
        ]
        .concat()
    }

    fn message(&self) -> Vec<u8> {
        let signature = self.says((0, 10), &[b"word"], &[]);
        let literal = [&b"b\0\0\0\0\0"[..], b"word"].concat();
        [
            packet(packet::SIGNATURE, &signature),
            packet(packet::LITERAL, &literal),
        ]
        .concat()
    }
}

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xc0 | tag, 0xff][..], &length, body].concat()
}

fn subpacket((kind, value): &(u8, Vec<u8>)) -> Vec<u8> {
    let length = u32::try_from(value.len() + 1).unwrap().to_be_bytes();
    [&[0xff][..], &length, &[*kind], value].concat()
}

fn integer(digits: &[u8]) -> Vec<u8> {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[zeros..];
    let bits = digits.len() * 8
        - digits
            .first()
            .map_or(0, |first| first.leading_zeros() as usize);
    [&u16::try_from(bits).unwrap().to_be_bytes()[..], digits].concat()
}

/// Whether gpg takes a message at a time, with a ring of its own.
fn gpg_opens(signing: &testkit::Signing, ring: &[u8], message: &[u8], now: i64) -> bool {
    let home = tempfile::Builder::new().prefix("ring-").tempdir().unwrap();
    let (ring, message) = (
        signing.write("ring", ring),
        signing.write("message", message),
    );
    let gpg = |words: &[&str]| {
        let output = std::process::Command::new("/usr/bin/gpg")
            .args(["--batch", "--no-autostart", "--trust-model", "always"])
            .args(["--faked-system-time", &now.to_string(), "--status-fd", "1"])
            .args(words)
            .env("GNUPGHOME", home.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    };
    let bare = [
        "--import-options",
        "no-self-sigs-only,no-import-clean",
        "--import",
    ];
    gpg(&[&bare[..], &[ring.to_str().unwrap()]].concat());
    gpg(&["--verify", message.to_str().unwrap()]).contains("GOODSIG")
}

#[test]
fn what_a_key_says_of_itself_ends_as_gpg_ends_it() {
    let Some(signing) = testkit::Signing::start() else {
        return;
    };
    let (ann, bob) = (Ann::new(1), Ann::new(2));
    let key = packet(packet::PUBLIC_KEY, &ann.key());
    let end = |after: u32| (EXPIRES, after.to_be_bytes().to_vec());
    let strange = (0x80 | 99, vec![1]);
    let good = ann.name("ann", (0x13, 0), &[]);
    let name = |more| ann.name("ann", (0x13, 0), &[more]);
    let only_certifies = ann.name("bob", (0x13, 1), &[(FLAGS, vec![1]), end(1000)]);
    let revoked = |name: &str| {
        let length = u32::try_from(name.len()).unwrap().to_be_bytes();
        let over = [&[0xb4][..], &length, name.as_bytes()].concat();
        let word = ann.says((0x30, 2), &[&ann.hashed(), &over], &[end(1)]);
        packet(packet::SIGNATURE, &word)
    };
    let (before, after) = (i64::from(MADE) + 500, i64::from(MADE) + 5000);
    let ended = name(end(1000));
    let odd = name(strange.clone());
    let sub = ann.has(&bob, &[]);
    let ended_sub = ann.has(&bob, &[end(1000)]);
    let odd_sub = ann.has(&bob, &[strange]);
    let revoked = revoked("ann");
    let table = [
        (vec![&good], &ann, [true, true]),
        (vec![&ended], &ann, [true, false]),
        (vec![&odd], &ann, [false, false]),
        // The newest word says that it does not sign, and ends.
        (vec![&good, &only_certifies], &ann, [false, true]),
        (vec![&good, &sub], &bob, [true, true]),
        (vec![&good, &ended_sub], &bob, [true, false]),
        (vec![&good, &odd_sub], &bob, [false, false]),
        // A name that is taken back stays so.
        (vec![&good, &revoked, &only_certifies], &ann, [false, false]),
    ];
    for (number, (parts, signer, expected)) in table.into_iter().enumerate() {
        let parts: Vec<u8> = parts.into_iter().flatten().copied().collect();
        let (ring, message) = (&[&key[..], &parts].concat(), &signer.message());
        for (now, expected) in [before, after].into_iter().zip(expected) {
            let opened = Keyring::parse(ring).and_then(|ring| ring.open(message, now));
            assert_eq!(opened.is_ok(), expected, "{number} at {now}: {opened:?}");
            let theirs = gpg_opens(&signing, ring, message, now);
            // gpg takes a key of which no name holds any more.
            let lenient = matches!(number, 1 | 7) && now == after;
            assert_eq!(theirs, expected || lenient, "{number} at {now}: gpg");
        }
    }
}

#[test]
fn a_key_without_a_name_leaves_the_others_of_its_ring() {
    let (ann, bob) = (Ann::new(1), Ann::new(2));
    let nameless = [
        packet(packet::PUBLIC_KEY, &ann.key()),
        ann.name("ann", (0x30, 1), &[]),
    ]
    .concat();
    let named = [
        packet(packet::PUBLIC_KEY, &bob.key()),
        bob.name("bob", (0x13, 0), &[]),
    ]
    .concat();
    let now = i64::from(MADE) + 100;
    let why = Keyring::parse(&nameless).unwrap_err();
    assert!(why.ends_with("no name, no use"), "{why}");
    for ring in [[&nameless[..], &named], [&named, &nameless]] {
        let ring = Keyring::parse(&ring.concat()).unwrap();
        assert_eq!(ring.open(&bob.message(), now).unwrap(), b"word");
        let why = ring.open(&ann.message(), now).unwrap_err();
        assert!(why.ends_with("is not trusted"), "{why}");
    }
}

#[test]
fn a_revocation_that_cannot_be_checked_is_believed() {
    let Some(signing) = testkit::Signing::start() else {
        return;
    };
    let (ann, bob, eve) = (Ann::new(1), Ann::new(2), Ann::new(3));
    let (above, below) = (ann.hashed(), bob.hashed());
    let key = packet(packet::PUBLIC_KEY, &ann.key());
    let (name, subkey) = (ann.name("ann", (0x13, 0), &[]), ann.has(&bob, &[]));
    let after_key = |word: &[u8]| {
        [&key, &packet(packet::SIGNATURE, word), &name, &subkey]
            .map(Vec::as_slice)
            .concat()
    };
    let after_subkey = |word: &[u8]| {
        [&key, &name, &subkey, &packet(packet::SIGNATURE, word)]
            .map(Vec::as_slice)
            .concat()
    };
    let mut ripemd = ann.says((0x20, 1), &[&above], &[]);
    ripemd[3] = 3;
    let sha224 = ann.says_by(SHA224, (0x20, 1), &[&above], &[]);
    let subkey_sha224 = ann.says_by(SHA224, (0x28, 1), &[&above, &below], &[]);
    let of_eve = eve.says_by(SHA224, (0x20, 1), &[&above], &[]);
    let wrong = ann.says((0x20, 1), &[&below], &[]);
    // Whether the key and its subkey are good, and whether gpg can check it.
    let table = [
        (after_key(&sha224), [false, false], true),
        (
            after_key(&ann.said_before(0x20, &[&above])),
            [false, false],
            true,
        ),
        (after_key(&ripemd), [false, false], false),
        (after_key(&[4, 0x20]), [false, false], false),
        (after_subkey(&subkey_sha224), [true, false], true),
        (
            after_subkey(&ann.said_before(0x28, &[&above, &below])),
            [true, false],
            true,
        ),
        (after_key(&of_eve), [true, true], true),
        (after_key(&wrong), [true, true], true),
    ];
    let now = i64::from(MADE) + 100;
    for (number, (ring, expected, asked)) in table.iter().enumerate() {
        let parsed = Keyring::parse(ring).unwrap();
        for (message, expected) in [ann.message(), bob.message()].iter().zip(expected) {
            match parsed.open(message, now) {
                Ok(_) => assert!(expected, "ring {number}"),
                Err(why) => assert!(!expected && why.ends_with("is revoked"), "{number}: {why}"),
            }
            let agreed = !asked || gpg_opens(&signing, ring, message, now) == *expected;
            assert!(agreed, "ring {number}: gpg says otherwise");
        }
    }
}
