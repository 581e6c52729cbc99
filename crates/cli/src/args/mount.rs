//! `--mount`: one line of comma-separated values (RFC 4180 quoting), as Docker's.

use types::{MountKind, MountRequest, Propagation};

use super::values::{BadValue, go_bool};

/// A mount as it was typed: a relative source is still relative.
pub type TypedMount = MountRequest;

/// What has been read so far.
#[derive(Default)]
struct Draft {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<Propagation>,
    recursive: Option<String>,
    create_source: bool,
    size: Option<i64>,
    mode: Option<u32>,
    bind_field: Option<String>,
    tmpfs_field: Option<String>,
}

/// Parses `type=bind,source=/a,target=/b,readonly`.
pub fn mount(text: &str) -> Result<TypedMount, BadValue> {
    let mut draft = Draft::default();
    for field in csv(text)? {
        draft.field(&field)?;
    }
    draft.finish()
}

impl Draft {
    fn field(&mut self, field: &str) -> Result<(), BadValue> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let Some(value) = value else {
            return match key.as_str() {
                "readonly" | "ro" => {
                    self.read_only = true;
                    Ok(())
                }
                "volume-nocopy" | "bind-nonrecursive" => Err(not_here(&key)),
                _ => Err(BadValue(format!(
                    "invalid field '{field}' must be a key=value pair"
                ))),
            };
        };
        self.pair(&key, value)
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), BadValue> {
        let bad = || BadValue(format!("invalid value for {key}: {value}"));
        match key {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(value.to_owned()),
            "readonly" | "ro" => self.read_only = go_bool(value).map_err(|_| bad())?,
            "consistency" => {}
            "bind-propagation" => {
                self.propagation =
                    Some(Propagation::parse(&value.to_ascii_lowercase()).ok_or_else(bad)?);
                self.bind_field = Some(key.to_owned());
            }
            "bind-recursive" => {
                if !["enabled", "disabled", "writable", "readonly"].contains(&value) {
                    return Err(BadValue(format!(
                        "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                    )));
                }
                self.recursive = Some(value.to_owned());
                self.bind_field = Some(key.to_owned());
            }
            "bind-create-src" => {
                self.create_source = go_bool(value).map_err(|_| bad())?;
                self.bind_field = Some(key.to_owned());
            }
            "tmpfs-size" => {
                self.size = Some(types::parse_bytes(value).map_err(|_| bad())?);
                self.tmpfs_field = Some(key.to_owned());
            }
            "tmpfs-mode" => {
                self.mode = Some(u32::from_str_radix(value, 8).map_err(|_| bad())?);
                self.tmpfs_field = Some(key.to_owned());
            }
            key if key.starts_with("volume-") || key.starts_with("image-") => {
                return Err(not_here(key));
            }
            key => {
                return Err(BadValue(format!(
                    "unexpected key '{key}' in '{key}={value}'"
                )));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<TypedMount, BadValue> {
        let kind = self.kind.as_deref().unwrap_or("volume");
        if !matches!(kind, "bind" | "tmpfs") {
            return Err(BadValue(format!(
                "mounts of type {kind} are not in this version: bind and tmpfs are"
            )));
        }
        let target = self
            .target
            .clone()
            .ok_or_else(|| BadValue("target is required".to_owned()))?;
        let read_only = self.read_only;
        let kind = if kind == "bind" {
            self.bind()?
        } else {
            self.tmpfs()?
        };
        Ok(MountRequest {
            kind,
            target,
            read_only,
        })
    }

    fn bind(self) -> Result<MountKind, BadValue> {
        if let Some(key) = self.tmpfs_field {
            return Err(mixed("tmpfs", &key, "bind"));
        }
        let recursive = self.recursive.as_deref().unwrap_or("enabled");
        if matches!(recursive, "writable" | "readonly") && !self.read_only {
            return Err(BadValue(format!(
                "option 'bind-recursive={recursive}' requires 'readonly' to be specified in conjunction"
            )));
        }
        let rprivate = matches!(self.propagation, None | Some(Propagation::Rprivate));
        if recursive == "readonly" && !(rprivate && self.propagation.is_some()) {
            return Err(BadValue(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                    .to_owned(),
            ));
        }
        Ok(MountKind::Bind {
            source: self
                .source
                .ok_or_else(|| BadValue("type=bind needs a source".to_owned()))?,
            propagation: self.propagation,
            create_source: self.create_source,
            recursive: recursive != "disabled",
            read_only_non_recursive: recursive == "writable",
            read_only_force_recursive: recursive == "readonly",
            bind_mode: None,
        })
    }

    fn tmpfs(self) -> Result<MountKind, BadValue> {
        if let Some(key) = self.bind_field {
            return Err(mixed("bind", &key, "tmpfs"));
        }
        if self.source.is_some() {
            return Err(BadValue("type=tmpfs takes no source".to_owned()));
        }
        Ok(MountKind::Tmpfs {
            size: self.size,
            mode: self.mode,
            options: Vec::new(),
            flag_options: None,
        })
    }
}

fn mixed(family: &str, key: &str, kind: &str) -> BadValue {
    BadValue(format!(
        "cannot mix '{family}-*' options with mount type '{kind}' ({key})"
    ))
}

fn not_here(key: &str) -> BadValue {
    BadValue(format!(
        "'{key}' belongs to a type of mount that is not in this version"
    ))
}

/// The fields of one line, quotes taken off.
fn csv(text: &str) -> Result<Vec<String>, BadValue> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)
                .ok_or_else(|| BadValue(format!("a quote is not closed in '{text}'")))?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => {
                return Err(BadValue(format!(
                    "a comma is missing after a quoted field in '{text}'"
                )));
            }
        }
    }
}

/// The text up to the closing quote, a doubled one standing for itself, and what follows.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match mount(text) {
            Ok(mount) => format!("{text} -> {mount:?}"),
            Err(error) => format!("{text} -> {error}"),
        }
    }

    #[test]
    fn mounts() {
        let lines = [
            "type=bind,source=/a,target=/b",
            "type=bind,src=a,dst=/b,readonly,bind-propagation=rshared",
            "type=bind,src=/a,dst=/b,ro=true,bind-recursive=writable",
            "type=bind,\"src=/a,b\",dst=/b",
            "type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=1770",
            "type=tmpfs,dst=/t,ro=false",
            "x",
            "type=bind,src=/a",
            "type=bind,dst=/a",
            "src=v,dst=/v",
            "type=bind,src=/a,dst=/b,tmpfs-size=1",
            "type=tmpfs,src=/a,dst=/b",
            "type=tmpfs,dst=/b,tmpfs-mode=9",
            "type=bind,src=/a,dst=/b,ro=maybe",
            "type=bind,src=/a,dst=/b,colour=red",
            "type=bind,src=/a,dst=/b,bind-recursive=readonly",
            "type=bind,\"src=/a",
        ]
        .map(show);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        type=bind,source=/a,target=/b -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None }, target: "/b", read_only: false }
        type=bind,src=a,dst=/b,readonly,bind-propagation=rshared -> MountRequest { kind: Bind { source: "a", propagation: Some(Rshared), create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None }, target: "/b", read_only: true }
        type=bind,src=/a,dst=/b,ro=true,bind-recursive=writable -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: true, read_only_force_recursive: false, bind_mode: None }, target: "/b", read_only: true }
        type=bind,"src=/a,b",dst=/b -> MountRequest { kind: Bind { source: "/a,b", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None }, target: "/b", read_only: false }
        type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=1770 -> MountRequest { kind: Tmpfs { size: Some(67108864), mode: Some(1016), options: [], flag_options: None }, target: "/t", read_only: false }
        type=tmpfs,dst=/t,ro=false -> MountRequest { kind: Tmpfs { size: None, mode: None, options: [], flag_options: None }, target: "/t", read_only: false }
        x -> invalid field 'x' must be a key=value pair
        type=bind,src=/a -> target is required
        type=bind,dst=/a -> type=bind needs a source
        src=v,dst=/v -> mounts of type volume are not in this version: bind and tmpfs are
        type=bind,src=/a,dst=/b,tmpfs-size=1 -> cannot mix 'tmpfs-*' options with mount type 'bind' (tmpfs-size)
        type=tmpfs,src=/a,dst=/b -> type=tmpfs takes no source
        type=tmpfs,dst=/b,tmpfs-mode=9 -> invalid value for tmpfs-mode: 9
        type=bind,src=/a,dst=/b,ro=maybe -> invalid value for ro: maybe
        type=bind,src=/a,dst=/b,colour=red -> unexpected key 'colour' in 'colour=red'
        type=bind,src=/a,dst=/b,bind-recursive=readonly -> option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction
        type=bind,"src=/a -> a quote is not closed in 'type=bind,"src=/a'
        "#);
    }
}
