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
        let Some(row) = known else {
            return Err(Error::Mount {
                target: target.to_owned(),
                reason: format!("{option:?} is no option of a tmpfs"),
            });
        };
        let name = |o: &str| o.split('=').next().unwrap_or_default().to_owned();
        merged.retain(|o| !row.contains(&name(o).as_str()));
        merged.push(option);
    }
    merged.retain(|o| o != "defaults");
    Ok(merged)
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
        assert_eq!(
            show("lowerdir=/"),
            "invalid mount \"/t\": \"lowerdir=/\" is no option of a tmpfs"
        );
    }
}
