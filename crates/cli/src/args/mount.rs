//! `--mount`: one line of comma-separated values (RFC 4180 quoting), as Docker's.

use std::collections::BTreeMap;

use types::{IdMap, MountKind, MountRequest, Propagation, VolumeName, VolumeRequest};

use super::values::{BadValue, go_bool};

/// A mount as it was typed: a relative source is still relative.
pub type TypedMount = MountRequest;

/// Types of mounts, each with options of its own.
const FAMILIES: [&str; 4] = ["bind", "volume", "tmpfs", "image"];

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
    tmpfs_options: Vec<String>,
    id_map: Option<IdMap>,
    volume: VolumeRequest,
    image_subpath: Option<String>,
    /// Fields of one type that were given: the type, and one of them.
    fields: BTreeMap<&'static str, String>,
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
                "volume-nocopy" => {
                    self.note("volume", &key);
                    self.volume.no_copy = true;
                    Ok(())
                }
                "bind-nonrecursive" => self.pair("bind-recursive", "disabled"),
                "bind-idmap" => self.pair("bind-idmap", "auto"),
                "bind-create-src" => self.pair("bind-create-src", "true"),
                _ => Err(BadValue(format!(
                    "invalid field '{field}' must be a key=value pair"
                ))),
            };
        };
        self.pair(&key, value)
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), BadValue> {
        let bad = || BadValue(format!("invalid value for {key}: {value}"));
        for family in FAMILIES {
            if key
                .strip_prefix(family)
                .is_some_and(|rest| rest.starts_with('-'))
            {
                self.note(family, key);
            }
        }
        match key {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(value.to_owned()),
            "readonly" | "ro" => self.read_only = go_bool(value).map_err(|_| bad())?,
            "consistency" => {}
            "bind-propagation" => {
                self.propagation =
                    Some(Propagation::parse(&value.to_ascii_lowercase()).ok_or_else(bad)?);
            }
            "bind-nonrecursive" => {
                if go_bool(value).map_err(|_| bad())? {
                    self.recursive = Some("disabled".to_owned());
                }
            }
            "bind-idmap" => self.id_map = Some(IdMap::parse(Some(value)).ok_or_else(bad)?),
            "bind-recursive" => {
                if !["enabled", "disabled", "writable", "readonly"].contains(&value) {
                    return Err(BadValue(format!(
                        "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                    )));
                }
                self.recursive = Some(value.to_owned());
            }
            "bind-create-src" => self.create_source = go_bool(value).map_err(|_| bad())?,
            "tmpfs-size" => self.size = Some(types::parse_bytes(value).map_err(|_| bad())?),
            "tmpfs-mode" => self.mode = Some(u32::from_str_radix(value, 8).map_err(|_| bad())?),
            "tmpfs-uid" | "tmpfs-gid" => {
                let id: u32 = value.parse().map_err(|_| bad())?;
                let name = key.strip_prefix("tmpfs-").unwrap_or(key);
                self.tmpfs_options.push(format!("{name}={id}"));
            }
            "volume-nocopy" => self.volume.no_copy = go_bool(value).map_err(|_| bad())?,
            "volume-driver" => self.volume.driver = Some(value.to_owned()),
            "volume-subpath" => self.volume.subpath = Some(value.to_owned()),
            "volume-label" => put(&mut self.volume.labels, value),
            "volume-opt" => put(&mut self.volume.options, value),
            "image-subpath" => self.image_subpath = Some(value.to_owned()),
            key => {
                return Err(BadValue(format!(
                    "unexpected key '{key}' in '{key}={value}'"
                )));
            }
        }
        Ok(())
    }

    fn note(&mut self, family: &'static str, key: &str) {
        self.fields.insert(family, key.to_owned());
    }

    fn finish(self) -> Result<TypedMount, BadValue> {
        let kind = self.kind.clone().unwrap_or_else(|| "volume".to_owned());
        if !FAMILIES.contains(&kind.as_str()) {
            return Err(BadValue(format!(
                "mounts of type {kind} are not known: {} are",
                FAMILIES.join(", ")
            )));
        }
        if let Some((family, key)) = self.fields.iter().find(|(family, _)| **family != kind) {
            return Err(mixed(family, key, &kind));
        }
        let target = self
            .target
            .clone()
            .ok_or_else(|| BadValue("target is required".to_owned()))?;
        let read_only = self.read_only;
        let kind = match kind.as_str() {
            "bind" => self.bind()?,
            "volume" => self.volume()?,
            "image" => self.image()?,
            _ => self.tmpfs()?,
        };
        Ok(MountRequest {
            kind,
            target,
            read_only,
        })
    }

    fn bind(self) -> Result<MountKind, BadValue> {
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
                .filter(|source| !source.is_empty())
                .ok_or_else(|| BadValue("type=bind needs a source".to_owned()))?,
            propagation: self.propagation,
            create_source: self.create_source,
            recursive: recursive != "disabled",
            read_only_non_recursive: recursive == "writable",
            read_only_force_recursive: recursive == "readonly",
            bind_mode: None,
            id_map: self.id_map,
        })
    }

    fn volume(self) -> Result<MountKind, BadValue> {
        let named = |name: String| {
            name.parse::<VolumeName>()
                .map_err(|problem| BadValue(format!("create {name}: {problem}")))
        };
        let name = self.source.filter(|name| !name.is_empty());
        Ok(MountKind::Volume(VolumeRequest {
            name: name.map(named).transpose()?,
            ..self.volume
        }))
    }

    fn image(self) -> Result<MountKind, BadValue> {
        let source = self.source.filter(|name| !name.is_empty());
        Ok(MountKind::Image {
            source: source.ok_or_else(|| BadValue("type=image needs a source".to_owned()))?,
            subpath: self.image_subpath,
        })
    }

    fn tmpfs(self) -> Result<MountKind, BadValue> {
        if self.source.is_some() {
            return Err(BadValue("type=tmpfs takes no source".to_owned()));
        }
        Ok(MountKind::Tmpfs {
            size: self.size,
            mode: self.mode,
            options: self.tmpfs_options,
            flag_options: None,
        })
    }
}

fn mixed(family: &str, key: &str, kind: &str) -> BadValue {
    BadValue(format!(
        "cannot mix '{family}-*' options with mount type '{kind}' ({key})"
    ))
}

/// `name=value`, or a name alone.
fn put(map: &mut BTreeMap<String, String>, pair: &str) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    map.insert(name.to_owned(), value.to_owned());
}

/// The fields of one line, quotes taken off.
pub(super) fn csv(text: &str) -> Result<Vec<String>, BadValue> {
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
            "src=vol,dst=/v,volume-nocopy,volume-opt=type=tmpfs,volume-label=a=b,volume-subpath=x/y",
            "type=volume,dst=/v,ro",
            "type=image,src=alpine,dst=/i,image-subpath=etc",
            "type=image,dst=/i",
            "type=bind,src=/a,dst=/b,bind-idmap",
            "type=bind,src=/a,dst=/b,bind-idmap=1000:100",
            "type=bind,src=/a,dst=/b,bind-idmap=me",
            "type=tmpfs,dst=/t,tmpfs-uid=5,tmpfs-gid=6",
            "type=cluster,dst=/t",
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
        type=bind,source=/a,target=/b -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None, id_map: None }, target: "/b", read_only: false }
        type=bind,src=a,dst=/b,readonly,bind-propagation=rshared -> MountRequest { kind: Bind { source: "a", propagation: Some(Rshared), create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None, id_map: None }, target: "/b", read_only: true }
        type=bind,src=/a,dst=/b,ro=true,bind-recursive=writable -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: true, read_only_force_recursive: false, bind_mode: None, id_map: None }, target: "/b", read_only: true }
        type=bind,"src=/a,b",dst=/b -> MountRequest { kind: Bind { source: "/a,b", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None, id_map: None }, target: "/b", read_only: false }
        type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=1770 -> MountRequest { kind: Tmpfs { size: Some(67108864), mode: Some(1016), options: [], flag_options: None }, target: "/t", read_only: false }
        type=tmpfs,dst=/t,ro=false -> MountRequest { kind: Tmpfs { size: None, mode: None, options: [], flag_options: None }, target: "/t", read_only: false }
        x -> invalid field 'x' must be a key=value pair
        type=bind,src=/a -> target is required
        type=bind,dst=/a -> type=bind needs a source
        src=v,dst=/v -> create v: volume name is too short, names should be at least two alphanumeric characters
        src=vol,dst=/v,volume-nocopy,volume-opt=type=tmpfs,volume-label=a=b,volume-subpath=x/y -> MountRequest { kind: Volume(VolumeRequest { name: Some(VolumeName("vol")), own: false, driver: None, options: {"type": "tmpfs"}, labels: {"a": "b"}, no_copy: true, subpath: Some("x/y"), bind_mode: None }), target: "/v", read_only: false }
        type=volume,dst=/v,ro -> MountRequest { kind: Volume(VolumeRequest { name: None, own: false, driver: None, options: {}, labels: {}, no_copy: false, subpath: None, bind_mode: None }), target: "/v", read_only: true }
        type=image,src=alpine,dst=/i,image-subpath=etc -> MountRequest { kind: Image { source: "alpine", subpath: Some("etc") }, target: "/i", read_only: false }
        type=image,dst=/i -> type=image needs a source
        type=bind,src=/a,dst=/b,bind-idmap -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None, id_map: Some(Owner) }, target: "/b", read_only: false }
        type=bind,src=/a,dst=/b,bind-idmap=1000:100 -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: false, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: None, id_map: Some(Ids(1000, 100)) }, target: "/b", read_only: false }
        type=bind,src=/a,dst=/b,bind-idmap=me -> invalid value for bind-idmap: me
        type=tmpfs,dst=/t,tmpfs-uid=5,tmpfs-gid=6 -> MountRequest { kind: Tmpfs { size: None, mode: None, options: ["uid=5", "gid=6"], flag_options: None }, target: "/t", read_only: false }
        type=cluster,dst=/t -> mounts of type cluster are not known: bind, volume, tmpfs, image are
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
