//! Addresses of repositories: what is one, and what it says behind `#` and `?`.

use crate::go;
use crate::graph::Git;

/// A repository and the options in its address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitAddress {
    /// Without options.
    pub remote: String,
    /// A branch, tag or commit.
    pub reference: String,
    /// Below which directory.
    pub subdirectory: String,
    /// The commit it must be.
    pub checksum: String,
    /// Whether `.git` is kept, if it says.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched, if it says.
    pub submodules: Option<bool>,
}

impl GitAddress {
    /// Reads an address; none if it is that of no repository. Over http that is what ends in `.git`.
    ///
    /// # Errors
    /// A sentence, when the options contradict or are unknown.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some(end) = address_end(text) else {
            return Ok(None);
        };
        let (address, options) = text.split_at(end);
        let mut found = Self {
            remote: address.to_owned(),
            ..Self::default()
        };
        let (query, fragment) = match options.split_once('#') {
            Some((query, fragment)) => (query, fragment),
            None => (options, ""),
        };
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
        reference.clone_into(&mut found.reference);
        subdirectory.clone_into(&mut found.subdirectory);
        found.query(query.strip_prefix('?').unwrap_or_default())?;
        Ok(Some(found))
    }

    fn query(&mut self, query: &str) -> Result<(), String> {
        let (mut tag, mut branch) = (String::new(), String::new());
        let mut seen = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let quoted = go::quote(key);
            if seen.contains(&key) {
                return Err(format!("query {quoted} has multiple values"));
            }
            seen.push(key);
            if value.is_empty() && !["submodules", "keep-git-dir"].contains(&key) {
                return Err(format!("query {quoted} has no value"));
            }
            let truth = || match value {
                "" => Ok(true),
                value => go::parse_bool(value)
                    .ok_or_else(|| format!("invalid {key} value: {}", go::quote(value))),
            };
            match key {
                "ref" => agree("ref", &mut self.reference, value)?,
                "tag" => tag = prefixed("refs/tags/", value),
                "branch" => branch = prefixed("refs/heads/", value),
                "subdir" => agree("subdir", &mut self.subdirectory, value)?,
                "checksum" | "commit" => value.clone_into(&mut self.checksum),
                "keep-git-dir" => self.keep_git_dir = Some(truth()?),
                "submodules" => self.submodules = Some(truth()?),
                _ => return Err(format!("unexpected query {quoted}")),
            }
        }
        if !tag.is_empty() && !branch.is_empty() {
            return Err("branch conflicts with tag".to_owned());
        }
        for name in [tag, branch].iter().filter(|name| !name.is_empty()) {
            agree("ref", &mut self.reference, name)?;
        }
        if self.reference.is_empty() {
            self.checksum.clone_into(&mut self.reference);
        }
        Ok(())
    }

    /// The source it is.
    pub fn origin(self, keep_git_dir: bool) -> Git {
        Git {
            remote: self.remote,
            reference: self.reference,
            subdirectory: self.subdirectory,
            keep_git_dir: self.keep_git_dir.unwrap_or(keep_git_dir),
            checksum: Some(self.checksum).filter(|sum| !sum.is_empty()),
            skip_submodules: self.submodules == Some(false),
            token_secret: Some("GIT_AUTH_TOKEN".to_owned()),
            header_secret: Some("GIT_AUTH_HEADER".to_owned()),
            known_hosts: None,
            ssh: None,
        }
    }
}

/// Where the address ends and options begin; none if it is no repository's.
fn address_end(text: &str) -> Option<usize> {
    let end = text.find(['#', '?']).unwrap_or(text.len());
    let address = &text[..end];
    let web = address.starts_with("https://") || address.starts_with("http://");
    let is = if web {
        address.ends_with(".git")
    } else {
        address.starts_with("git://") || address.starts_with("ssh://") || is_scp(address)
    };
    is.then_some(end)
}

/// `user@host:path`
fn is_scp(address: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let Some((user, rest)) = address.split_once('@') else {
        return false;
    };
    let Some((host, path)) = rest.split_once(':') else {
        return false;
    };
    word(user) && word(host) && !path.is_empty()
}

fn agree(what: &str, old: &mut String, new: &str) -> Result<(), String> {
    if !old.is_empty() && old != new {
        let (old, new) = (go::quote(old), go::quote(new));
        return Err(format!("{what} conflicts: {old} vs {new}"));
    }
    new.clone_into(old);
    Ok(())
}

fn prefixed(prefix: &str, value: &str) -> String {
    if value.starts_with(prefix) {
        value.to_owned()
    } else {
        format!("{prefix}{value}")
    }
}

/// Whether a source of `ADD` is a file on the web.
pub(super) fn is_web(source: &str) -> bool {
    let web = source.starts_with("http://") || source.starts_with("https://");
    web && address_end(source).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match GitAddress::parse(text) {
            Ok(None) => "none".into(),
            Ok(Some(a)) => format!(
                "{} {} {} {} {:?} {:?}",
                a.remote, a.reference, a.subdirectory, a.checksum, a.keep_git_dir, a.submodules
            ),
            Err(error) => error,
        }
    }

    #[test]
    fn addresses() {
        for (text, wanted) in [
            ("https://h/a/b.git", "https://h/a/b.git    None None"),
            (
                "https://h/a.git#v1:sub/dir",
                "https://h/a.git v1 sub/dir  None None",
            ),
            ("git@h:a/b.git#:x", "git@h:a/b.git  x  None None"),
            (
                "ssh://git@h:22/a?branch=b",
                "ssh://git@h:22/a refs/heads/b   None None",
            ),
            ("git://h/a?checksum=1f", "git://h/a 1f  1f None None"),
            (
                "https://h/a.git?tag=v1&keep-git-dir&submodules=false",
                "https://h/a.git refs/tags/v1   Some(true) Some(false)",
            ),
            ("https://h/a.tar.gz", "none"),
            ("https://h/a.git/x", "none"),
            ("./a.git", "none"),
            ("a@b/c:d", "none"),
            ("https://h/a.git?x=1", "unexpected query \"x\""),
            (
                "https://h/a.git?ref=a&ref=b",
                "query \"ref\" has multiple values",
            ),
            ("https://h/a.git?ref=a#b", "ref conflicts: \"b\" vs \"a\""),
            (
                "https://h/a.git?tag=a&branch=b",
                "branch conflicts with tag",
            ),
            ("https://h/a.git?subdir=", "query \"subdir\" has no value"),
        ] {
            assert_eq!(show(text), wanted, "{text}");
        }
        assert!(is_web("http://h/a.git/x") && !is_web("http://h/a.git#x") && !is_web("a"));
    }
}
