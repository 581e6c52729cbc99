//! `RUN --mount` and `RUN --device`: comma separated options.

use super::words::csv;
use crate::{go, suggest};

/// What is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of a stage, an image or a context.
    #[default]
    Bind,
    /// A directory that stays from build to build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file or variable that the client sends.
    Secret,
    /// The client's ssh agent.
    Ssh,
}

impl MountKind {
    const ALL: [Self; 5] = [
        Self::Bind,
        Self::Cache,
        Self::Tmpfs,
        Self::Secret,
        Self::Ssh,
    ];

    /// The word after `type=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// Who may use a cache at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// One; another gets a cache of its own.
    Private,
    /// One; another waits.
    Locked,
}

impl Sharing {
    const ALL: [(&'static str, Self); 3] = [
        ("shared", Self::Shared),
        ("private", Self::Private),
        ("locked", Self::Locked),
    ];
}

/// A mount whose variables are expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// `type`
    pub kind: MountKind,
    /// `from`: a stage, a context or an image.
    pub from: String,
    /// `source`
    pub source: String,
    /// `target`
    pub target: String,
    /// What is written is lost, or refused.
    pub read_only: bool,
    /// `id`
    pub id: String,
    /// `sharing`
    pub sharing: Option<Sharing>,
    /// A build without the secret or agent fails.
    pub required: bool,
    /// `size`, of memory.
    pub size: i64,
    /// `mode`
    pub mode: Option<u32>,
    /// `uid`
    pub uid: Option<u32>,
    /// `gid`
    pub gid: Option<u32>,
    /// `env`: the variable a secret is given in.
    pub env: Option<String>,
}

/// A mount as it was written: its values may hold variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    fields: Vec<(String, Option<String>, String)>,
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "size",
    "env",
];

impl MountSpec {
    /// Splits the options. One without variables is judged at once.
    ///
    /// # Errors
    /// A sentence, when the options are no list, `from` has a variable, or an option is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = csv(text).map_err(|error| format!("failed to parse csv mounts: {error}"))?;
        let fields = fields.into_iter().map(|field| {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (field.to_lowercase(), None),
            };
            (key, value, field)
        });
        let spec = Self {
            fields: fields.collect(),
        };
        let mut varies = false;
        for (key, value, _) in &spec.fields {
            let has = value.as_deref().is_some_and(|value| value.contains('$'));
            if has && key == "from" {
                return Err(
                    "'from' doesn't support variable expansion, define alias stage instead"
                        .to_owned(),
                );
            }
            varies |= has;
        }
        if !varies {
            spec.resolve(|value| Ok(value.to_owned()))?;
        }
        Ok(spec)
    }

    /// `from`, which has no variables.
    pub fn from(&self) -> Option<&str> {
        let named = self.fields.iter().rev().find(|(key, ..)| key == "from");
        named
            .and_then(|(_, value, _)| value.as_deref())
            .filter(|v| !v.is_empty())
    }

    /// `type`, unless it has variables.
    pub fn kind(&self) -> Option<MountKind> {
        let named = self.fields.iter().rev().find(|(key, ..)| key == "type");
        let Some((_, value, _)) = named else {
            return Some(MountKind::Bind);
        };
        let value = value.as_deref().unwrap_or_default().to_lowercase();
        MountKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == value)
    }

    /// Expands the values and judges them together.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn resolve(
        &self,
        mut expand: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Mount, String> {
        let mut fields = Vec::new();
        for (key, value, field) in &self.fields {
            let value = value.as_deref().map(&mut expand).transpose()?;
            fields.push((key.as_str(), value, field.as_str()));
        }
        let mut mount = Mount {
            kind: kind_of(&fields)?,
            ..Mount::default()
        };
        let mut read_only = None;
        for (key, value, field) in &fields {
            match value {
                Some(value) => mount.set(key, value, field, &mut read_only)?,
                None => mount.flag(key, field, &mut read_only)?,
            }
        }
        let writable = matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs);
        mount.read_only = read_only.unwrap_or(!writable);
        mount.judge()?;
        Ok(mount)
    }
}

fn kind_of(fields: &[(&str, Option<String>, &str)]) -> Result<MountKind, String> {
    let named = fields.iter().rev().find(|(key, ..)| *key == "type");
    let Some((_, Some(value), _)) = named else {
        return Ok(MountKind::Bind);
    };
    let lower = value.to_lowercase();
    let found = MountKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == lower);
    found.ok_or_else(|| {
        let sentence = format!("unsupported mount type {}", go::quote(value));
        let kinds = MountKind::ALL.map(MountKind::as_str);
        suggest::hint(sentence, value, kinds, true)
    })
}

impl Mount {
    /// An option without a value.
    fn flag(&mut self, key: &str, field: &str, read_only: &mut Option<bool>) -> Result<(), String> {
        match key {
            "readonly" | "ro" => *read_only = Some(true),
            "readwrite" | "rw" => *read_only = Some(false),
            "required" => {
                self.only(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.required = true;
            }
            _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
        }
        Ok(())
    }

    fn set(
        &mut self,
        key: &str,
        value: &str,
        field: &str,
        read_only: &mut Option<bool>,
    ) -> Result<(), String> {
        let truth =
            || go::parse_bool(value).ok_or_else(|| format!("invalid value for {key}: {value}"));
        let number = |radix| {
            let digits = !value.starts_with('+');
            let parsed = u32::from_str_radix(value, radix).ok().filter(|_| digits);
            parsed.ok_or_else(|| format!("invalid value {value} for {key}"))
        };
        match key {
            "type" => {}
            "from" => value.clone_into(&mut self.from),
            "source" | "src" => value.clone_into(&mut self.source),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => *read_only = Some(truth()?),
            "readwrite" | "rw" => *read_only = Some(!truth()?),
            "required" => {
                self.only(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.required = truth()?;
            }
            "size" => {
                self.only(key, &[MountKind::Tmpfs])?;
                self.size = types::parse_bytes(value)
                    .map_err(|_| format!("invalid value for {key}: {value}"))?;
            }
            "id" => value.clone_into(&mut self.id),
            "sharing" => self.sharing = Some(sharing(value)?),
            "mode" => self.mode = Some(number(8)?),
            "uid" => self.uid = Some(number(10)?),
            "gid" => self.gid = Some(number(10)?),
            "env" => self.env = Some(value.to_owned()),
            _ => {
                let sentence = format!("unexpected key '{key}' in '{field}'");
                return Err(suggest::hint(sentence, key, KEYS, true));
            }
        }
        Ok(())
    }

    fn only(&self, key: &str, kinds: &[MountKind]) -> Result<(), String> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        let kind = self.kind.as_str();
        Err(format!("unexpected key '{key}' for mount type '{kind}'"))
    }

    /// What options may not stand together.
    fn judge(&self) -> Result<(), String> {
        let kind = self.kind.as_str();
        let owned = matches!(
            self.kind,
            MountKind::Secret | MountKind::Ssh | MountKind::Cache
        );
        let given = [
            ("mode", self.mode.is_some()),
            ("uid", self.uid.is_some()),
            ("gid", self.gid.is_some()),
        ];
        if let (false, Some((key, _))) = (owned, given.iter().find(|(_, given)| *given)) {
            return Err(format!("{key} not allowed for \"{kind}\" type mounts"));
        }
        if self.kind == MountKind::Secret {
            self.judge_secret()?;
        }
        if self.sharing.is_some() && self.kind != MountKind::Cache {
            return Err(format!("invalid cache sharing set for {kind} mount"));
        }
        if self.env.is_some() && self.kind != MountKind::Secret {
            return Err(format!("unexpected key 'env' for mount type '{kind}'"));
        }
        Ok(())
    }

    fn judge_secret(&self) -> Result<(), String> {
        let sentence = if !self.from.is_empty() {
            "secret mount should not have a from"
        } else if self.sharing.is_some() {
            "secret mount should not define sharing"
        } else if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
            "invalid secret mount. one of source, target required"
        } else if !self.source.is_empty() && !self.id.is_empty() {
            "both source and id can't be set"
        } else {
            return Ok(());
        };
        Err(sentence.to_owned())
    }
}

fn sharing(value: &str) -> Result<Sharing, String> {
    let lower = value.to_lowercase();
    let found = Sharing::ALL.iter().find(|(name, _)| *name == lower);
    found.map(|(_, sharing)| *sharing).ok_or_else(|| {
        let sentence = format!("unsupported sharing value {}", go::quote(value));
        suggest::hint(sentence, value, Sharing::ALL.map(|(name, _)| name), true)
    })
}

/// `--device`: a device by its CDI name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// `vendor.com/class=name`
    pub name: String,
    /// A build without it fails.
    pub required: bool,
}

impl Device {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = csv(text).map_err(|error| format!("failed to parse csv devices: {error}"))?;
        let mut device = Self::default();
        for field in &fields {
            let (key, value) = field
                .split_once('=')
                .map_or((field.as_str(), None), |(k, v)| (k, Some(v)));
            match (key.to_lowercase().as_str(), value) {
                ("required", None) => device.required = true,
                ("required", Some(value)) => {
                    device.required = go::parse_bool(value)
                        .ok_or_else(|| format!("invalid value for required: {value}"))?;
                }
                ("name", Some(_)) if !device.name.is_empty() => {
                    return Err(format!("device name already set to {}", device.name));
                }
                ("name", Some(value)) => value.clone_into(&mut device.name),
                _ if device.name.is_empty() => field.clone_into(&mut device.name),
                (_, None) => {
                    return Err(format!("invalid field '{field}' must be a key=value pair"));
                }
                (key, Some(_)) => {
                    let sentence = format!("unexpected key '{key}' in '{field}'");
                    return Err(suggest::hint(sentence, key, ["name", "required"], true));
                }
            }
        }
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Result<Mount, String> {
        MountSpec::parse(text)?.resolve(|value| Ok(value.replace("$X", "cache")))
    }

    #[test]
    fn every_kind() {
        let bind = mount("target=/a,from=b,source=c,rw").unwrap();
        assert_eq!((bind.kind, bind.read_only), (MountKind::Bind, false));
        let cache =
            mount("type=$X,id=i,dst=/a,sharing=LOCKED,mode=0755,uid=1,gid=2,\"src=a,b\"").unwrap();
        assert_eq!(
            cache,
            Mount {
                kind: MountKind::Cache,
                id: "i".into(),
                target: "/a".into(),
                source: "a,b".into(),
                sharing: Some(Sharing::Locked),
                mode: Some(0o755),
                uid: Some(1),
                gid: Some(2),
                ..Mount::default()
            }
        );
        let tmpfs = mount("target=/t,size=64m,type=tmpfs").unwrap();
        assert_eq!((tmpfs.size, tmpfs.read_only), (64 << 20, false));
        let secret = mount("type=secret,id=s,env=TOKEN,required").unwrap();
        assert_eq!(
            (secret.env.as_deref(), secret.required),
            (Some("TOKEN"), true)
        );
        assert!(mount("type=ssh,required=false,mode=600").unwrap().read_only);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, error) in [
            (
                "type=cash",
                "unsupported mount type \"cash\" (did you mean cache?)",
            ),
            (
                "tpye=bind",
                "unexpected key 'tpye' in 'tpye=bind' (did you mean type?)",
            ),
            ("target", "invalid field 'target' must be a key=value pair"),
            (
                "from=$X",
                "'from' doesn't support variable expansion, define alias stage instead",
            ),
            (
                "type=cache,required",
                "unexpected key 'required' for mount type 'cache'",
            ),
            ("size=1g", "unexpected key 'size' for mount type 'bind'"),
            ("type=tmpfs,size=x", "invalid value for size: x"),
            (
                "type=bind,mode=1",
                "mode not allowed for \"bind\" type mounts",
            ),
            ("type=cache,mode=9", "invalid value 9 for mode"),
            ("type=cache,uid=+9", "invalid value +9 for uid"),
            (
                "type=cache,sharing=lock",
                "unsupported sharing value \"lock\"",
            ),
            ("sharing=locked", "invalid cache sharing set for bind mount"),
            ("env=A", "unexpected key 'env' for mount type 'bind'"),
            (
                "type=secret",
                "invalid secret mount. one of source, target required",
            ),
            ("type=secret,id=a,src=b", "both source and id can't be set"),
            ("ro=maybe", "invalid value for ro: maybe"),
            (
                "a\"b",
                "failed to parse csv mounts: parse error on line 1, column 2: bare \" in non-quoted-field",
            ),
        ] {
            let found = mount(text).unwrap_err();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }

    #[test]
    fn devices() {
        let device = |text| Device::parse(text).map(|d| (d.name, d.required));
        assert_eq!(device("v.com/c=n,required"), Ok(("v.com/c=n".into(), true)));
        assert_eq!(
            device("name=v.com/c,required=false"),
            Ok(("v.com/c".into(), false))
        );
        assert!(device("a,b").is_err() && device("a,nam=b").unwrap_err().contains("name?"));
    }
}
