//! The options of a tmpfs.

use super::Error;

/// Flags that exclude each other: of a row the last one said counts.
const FLAGS: [&[&str]; 12] = [
    &["exec", "noexec"],
    &["suid", "nosuid"],
    &["dev", "nodev"],
    &["rw", "ro"],
    &["sync", "async"],
    &[
        "atime",
        "noatime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
    ],
    &["diratime", "nodiratime"],
    &["mand", "nomand"],
    &["dirsync"],
    &["symfollow", "nosymfollow"],
    &[
        "private", "rprivate", "shared", "rshared", "slave", "rslave",
    ],
    &["defaults"],
];

/// Options of the file system itself, with a value.
const VALUES: [&str; 8] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
    "huge",
];

/// What every tmpfs has unless told otherwise.
const DEFAULT: [&str; 4] = ["noexec", "nosuid", "nodev", "rprivate"];

/// Merges options over the defaults; refuses what is no option of a tmpfs.
pub(super) fn merge(target: &str, options: &[String]) -> Result<Vec<String>, Error> {
    let mut merged: Vec<String> = Vec::new();
    let defaults = DEFAULT.iter().map(|o| (*o).to_owned());
    for option in defaults.chain(options.iter().cloned()) {
        if option.is_empty() {
            continue;
        }
        let known = match option.split_once('=') {
            Some((name, value)) => VALUES
                .iter()
                .find(|v| **v == name && !value.is_empty())
                .map(std::slice::from_ref),
            None => FLAGS
                .iter()
                .copied()
                .find(|row| row.contains(&option.as_str())),
        };
        let refused = |reason| Error::Mount {
            target: target.to_owned(),
            reason,
        };
        let Some(row) = known else {
            return Err(refused(format!("{option:?} is no option of a tmpfs")));
        };
        if let Some(expected) = wrong(&option) {
            return Err(refused(format!("{option:?}: {expected} is expected")));
        }
        let name = |o: &str| o.split('=').next().unwrap_or_default().to_owned();
        merged.retain(|o| !row.contains(&name(o).as_str()));
        merged.push(option);
    }
    merged.retain(|o| o != "defaults");
    Ok(merged)
}

/// What an option's value should be and is not, as the kernel reads it.
fn wrong(option: &str) -> Option<&'static str> {
    let (name, value) = option.split_once('=')?;
    let (right, expected) = match name {
        "size" => (
            is_amount(value.strip_suffix('%').unwrap_or(value)),
            "a number of bytes, as in 64m, or a share of the memory, as in 50%,",
        ),
        "nr_inodes" | "nr_blocks" => (is_amount(value), "a number, as in 10k,"),
        "mode" => (
            u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
            "an octal number, as in 1777,",
        ),
        "uid" | "gid" => (value.parse::<u32>().is_ok(), "a number"),
        "huge" => (
            ["never", "always", "within_size", "advise"].contains(&value),
            "never, always, within_size or advise",
        ),
        _ => (true, ""),
    };
    (!right).then_some(expected)
}

/// Digits, decimal or as in C, with a letter behind them.
fn is_amount(value: &str) -> bool {
    let letters = ['k', 'K', 'm', 'M', 'g', 'G', 't', 'T', 'p', 'P'];
    let value = value.strip_suffix(letters).unwrap_or(value);
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => value.parse::<u64>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(options: &str) -> String {
        let options: Vec<_> = options.split(',').map(str::to_owned).collect();
        merge("/t", &options).map_or_else(|e| e.to_string(), |o| o.join(","))
    }

    #[test]
    fn later_options_win() {
        assert_eq!(show(""), "noexec,nosuid,nodev,rprivate");
        assert_eq!(
            show("exec,size=1m,size=2m,defaults"),
            "nosuid,nodev,rprivate,exec,size=2m"
        );
        assert_eq!(
            show("bogus"),
            "invalid mount \"/t\": \"bogus\" is no option of a tmpfs"
        );
        assert_eq!(
            show("size="),
            "invalid mount \"/t\": \"size=\" is no option of a tmpfs"
        );
        for (option, expected) in [
            ("size=zz", "a number of bytes"),
            ("size=5%%", "a share of the memory"),
            ("mode=888", "an octal number"),
            ("uid=root", "a number"),
            ("nr_inodes=many", "as in 10k"),
            ("huge=yes", "advise"),
        ] {
            let refused = show(option);
            let says = refused.contains(&format!("{option:?}: ")) && refused.contains(expected);
            assert!(says, "{refused}");
        }
        for option in [
            "size=50%",
            "size=64m",
            "size=0x10k",
            "mode=01777",
            "gid=5",
            "nr_inodes=0",
        ] {
            assert!(show(option).ends_with(option), "{option}");
        }
        assert_eq!(
            show("lowerdir=/"),
            "invalid mount \"/t\": \"lowerdir=/\" is no option of a tmpfs"
        );
    }
}
