//! Tables of nftables in this network namespace (linux/netfilter/nfnetlink.h, nf_tables.h), by Perl, which every
//! Debian has: not all machines have `nft`.

use std::path::Path;
use std::process::Command;

/// Without an argument it prints the name of each table, with one it deletes that of family inet: a batch of one
/// request. Exits with 1 where there is none.
const SCRIPT: &str = "socket(S, 16, 3, 12) or die; \
    sub told { my ($type, $flags, $family, $id, $rest) = @_; \
        pack('LSSLLCCn', 20 + length $rest, $type, $flags, 7, 0, $family, 0, $id) . $rest } \
    if (@ARGV) { $n = \"$ARGV[0]\\0\"; \
        $a = pack('SS', 4 + length $n, 1) . $n; $a .= \"\\0\" x (-length($a) % 4); \
        send(S, told(16, 1, 0, 10, '') . told(2562, 5, 1, 0, $a) . told(17, 1, 0, 10, ''), 0) or die; \
        recv(S, $_, 9999, 0); exit(unpack('x16l', $_) != 0) } \
    send(S, told(2561, 769, 0, 0, ''), 0) or die; \
    HEARD: while (defined recv(S, $d, 65536, 0)) { while (length $d) { \
        ($length, $type) = unpack('LS', $d); last HEARD if $type == 2 || $type == 3; \
        for ($a = substr($d, 20, $length - 20); length $a; $a = substr($a, ($size + 3) & ~3)) { \
            ($size, $kind) = unpack('SS', $a); \
            print substr($a, 4, $size - 5), \"\\n\" if ($kind & 0x3fff) == 1 } \
        $d = substr($d, ($length + 3) & ~3) } }";

/// A command that deletes a table; it ends with 1 where there is none.
pub fn delete_table(name: &str) -> [&str; 4] {
    ["perl", "-e", SCRIPT, name]
}

/// The names of all tables; none for who may not see them.
pub fn tables() -> Vec<String> {
    let told = Command::new("perl").args(["-e", SCRIPT]).output();
    let told = told.map(|told| told.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&told);
    text.lines().map(str::to_owned).collect()
}

/// Deletes a table, if there is one.
pub(crate) fn remove(name: &str) {
    let [perl, arguments @ ..] = delete_table(name);
    let _ = Command::new(perl).args(arguments).output();
}

/// Deletes those of tests whose process was killed: nobody has cleaned up after it.
pub(crate) fn sweep() {
    for table in tables() {
        let process = table.strip_prefix("brig-test-");
        let process = process.and_then(|rest| rest.split('-').next());
        if process.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&table);
        }
    }
}
