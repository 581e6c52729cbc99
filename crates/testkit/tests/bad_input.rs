//! What people get wrong: each refused with Docker's exit code and one clear sentence, and nothing
//! left behind.

use testkit::{Brig, Client, clients, root};

/// Words after the client's name, with spaces between, exit codes it may end with, a word that the sentence must have.
type Case = (&'static str, &'static [i32], &'static str);

const CASES: &[Case] = &[
    ("run --rm -u stranger bb true", &[125, 126], "stranger"),
    ("run --rm -u 0:strangers bb true", &[125, 126], "strangers"),
    (
        "run --rm --group-add strangers bb true",
        &[125, 126],
        "strangers",
    ),
    ("run --rm no_such_command", &[125], "no_such_command"),
    ("run --rm bb no_such_command", &[127], "no_such_command"),
    ("run --rm --entrypoint /no/entry bb", &[127], "/no/entry"),
    ("run --rm bb /etc/passwd", &[126], "permission denied"),
    ("run --rm -w relative bb true", &[125], "relative"),
    (
        "run --rm -w /etc/passwd bb true",
        &[125, 126, 127],
        "/etc/passwd",
    ),
    ("run --rm --network nowhere bb true", &[125], "nowhere"),
    ("run --rm -v relative/path:/x bb true", &[125], "relative"),
    ("run --rm -v /tmp:/x:odd bb true", &[125], "odd"),
    ("run --rm --mount type=odd,target=/x bb true", &[125], "odd"),
    (
        "run --rm --mount type=bind,target=/x bb true",
        &[125],
        "source",
    ),
    (
        "run --rm --cap-add NO_SUCH_CAP bb true",
        &[125],
        "NO_SUCH_CAP",
    ),
    ("run --rm --ulimit odd=1 bb true", &[125], "odd"),
    (
        "run --rm --device /dev/no-such bb true",
        &[125, 126, 127],
        "/dev/no-such",
    ),
    (
        "run --rm --sysctl kernel.panic=1 bb true",
        &[125, 126, 127],
        "kernel.panic",
    ),
    ("run --rm --security-opt odd=1 bb true", &[125], "odd"),
    (
        "run --rm --security-opt seccomp=/no/such/profile bb true",
        &[125],
        "/no/such/profile",
    ),
    ("run --rm -m lots bb true", &[125], "lots"),
    ("run --rm --name -bad bb true", &[125], "-bad"),
    ("run --rm Upper true", &[125], "lowercase"),
    ("run --rm bb:b@d true", &[125], "reference"),
    ("run --no-such-flag bb", &[125], "no-such-flag"),
    ("run --detach-keys odd-keys --rm -i bb true", &[1, 125], ""),
    ("run --rm --stop-signal NONSENSE bb true", &[125], "signal"),
    (
        "run --rm --env-file /no/such/file bb true",
        &[125],
        "/no/such/file",
    ),
    ("run --rm --cpus -1 bb true", &[125], "cpu"),
    ("run", &[1, 125], "requires at least 1 argument"),
    ("no-such-command", &[1, 125], "no-such-command"),
    ("stop nobody", &[1], "nobody"),
    ("rm nobody", &[1], "nobody"),
    ("inspect nobody", &[1], "nobody"),
    ("logs nobody", &[1], "nobody"),
    ("wait nobody", &[1], "nobody"),
    ("top nobody", &[1], "nobody"),
    ("attach nobody", &[1], "nobody"),
    ("tag nothing x", &[1], "nothing"),
    ("save nothing", &[1], "nothing"),
    ("logs --tail odd nobody", &[1], ""),
];

#[test]
fn mistakes_are_refused_in_one_sentence_and_leave_nothing() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let mut wrong = Vec::new();
        for (words, codes, expected) in CASES {
            let words: Vec<_> = words.split(' ').collect();
            let said = brig.with(client, &words);
            let shown = said.stderr.to_lowercase();
            if !codes.contains(&said.code) || !shown.contains(&expected.to_lowercase()) {
                wrong.push(format!("wanted {codes:?} and {expected:?}: {said}"));
            }
            if client == Client::Brig && (shown.contains("panicked") || shown.contains("os error"))
            {
                wrong.push(format!("no sentence for people: {said}"));
            }
        }
        assert!(wrong.is_empty(), "{client:?}:\n{}", wrong.join("\n"));
        let left = brig.with(client, &["ps", "-aq"]);
        if client == Client::Brig {
            assert_eq!(left.ok(), "");
        }
        // Docker's clients leave what they made before they looked at --detach-keys.
        for id in left.lines() {
            brig.with(client, &["rm", id]).ok();
        }
    }
    brig.expect_nothing_left();
    brig.finish();
}
