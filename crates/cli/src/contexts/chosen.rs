//! Which daemon is meant: by flags, by the environment, by the context in use.

use std::path::PathBuf;

use super::{DEFAULT, DESCRIPTION, Store, Stored, Tls};
use crate::args::Globals;
use crate::connect::{DEFAULT_HOST, DEFAULT_TLS_HOST};
use crate::credentials;
use crate::error::CliError;

/// The daemon that is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Its address as people write it.
    pub(crate) host: String,
    /// The context it is of.
    pub(crate) context: String,
    /// What proves who is who, if it speaks TLS.
    pub(crate) tls: Option<Material>,
}

/// Keys and certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Material {
    /// Who signs the daemon's certificate.
    pub(crate) ca: Option<PathBuf>,
    /// Ours.
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
    /// Whether the daemon's certificate is not looked at.
    pub(crate) anyone: bool,
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

fn set(variable: Variable<'_>, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

/// The address that flags and environment name, whatever the context.
fn address(globals: &Globals, variable: Variable<'_>) -> Option<String> {
    let host = globals.host.clone();
    let host = host.or_else(|| set(variable, "BRIG_HOST"));
    host.or_else(|| set(variable, "DOCKER_HOST"))
}

/// The daemon of the context that is not stored.
pub(crate) fn default(globals: &Globals, variable: Variable<'_>) -> Result<Chosen, CliError> {
    let tls = material(globals, variable)?;
    let host = address(globals, variable).unwrap_or_else(|| {
        let usual = if tls.is_some() {
            DEFAULT_TLS_HOST
        } else {
            DEFAULT_HOST
        };
        usual.to_owned()
    });
    let context = DEFAULT.to_owned();
    Ok(Chosen { host, context, tls })
}

/// The same as if it were stored, with its keys and certificates.
pub(crate) fn default_as_stored(
    globals: &Globals,
    variable: Variable<'_>,
) -> Result<(Stored, Tls), CliError> {
    let Chosen { host, tls, .. } = default(globals, variable)?;
    let material = tls.unwrap_or_default();
    let files = [
        ("ca.pem", material.ca),
        ("cert.pem", material.cert),
        ("key.pem", material.key),
    ];
    let mut tls = Tls::new();
    for (name, path) in files {
        let Some(path) = path else { continue };
        let bytes = std::fs::read(&path).map_err(|source| CliError::File {
            path: path.display().to_string(),
            source,
        })?;
        tls.insert(name.to_owned(), bytes);
    }
    let stored = Stored::new(DEFAULT, DESCRIPTION, &host, material.anyone);
    Ok((stored, tls))
}

/// The name of the context in use.
pub(crate) fn current(globals: &Globals, variable: Variable<'_>) -> Result<String, CliError> {
    if let Some(name) = &globals.context {
        if globals.host.is_some() {
            return Err(CliError::Invalid(
                "conflicting options: cannot specify both --host and --context".to_owned(),
            ));
        }
        return Ok(name.clone());
    }
    if address(globals, variable).is_some() {
        return Ok(DEFAULT.to_owned());
    }
    if let Some(name) = set(variable, "DOCKER_CONTEXT") {
        return Ok(name);
    }
    // Without a home there is no configuration, and no context either.
    let in_use = credentials::setting("currentContext", variable)
        .ok()
        .flatten();
    Ok(in_use.unwrap_or_else(|| DEFAULT.to_owned()))
}

/// The daemon that is meant.
pub(crate) fn chosen(globals: &Globals, variable: Variable<'_>) -> Result<Chosen, CliError> {
    let context = current(globals, variable)?;
    if context != DEFAULT {
        let store = Store::find(variable)?;
        let stored = store.get(&context).map_err(|error| {
            CliError::Invalid(format!(
                "Failed to initialize: unable to resolve docker endpoint: {error}"
            ))
        })?;
        let tls = store.tls(&context)?;
        let file = |tls: &Tls, name: &str| {
            let path = store.tls_path(&context).join("docker").join(name);
            tls.contains_key(name).then_some(path)
        };
        let material = Material {
            ca: file(&tls, "ca.pem"),
            cert: file(&tls, "cert.pem"),
            key: file(&tls, "key.pem"),
            anyone: stored.skip_verify(),
        };
        let speaks = !tls.is_empty() || stored.skip_verify();
        return Ok(Chosen {
            host: stored.host().to_owned(),
            context,
            tls: speaks.then_some(material),
        });
    }
    default(globals, variable)
}

/// What flags and environment say of TLS.
fn material(globals: &Globals, variable: Variable<'_>) -> Result<Option<Material>, CliError> {
    let flags = &globals.tls;
    // Docker's client takes `--tlsverify=false` for TLS with a daemon that need not prove who it is.
    let asked = flags.verify.is_some() || flags.on;
    let verify = set(variable, "DOCKER_TLS_VERIFY").is_some();
    if !asked && !verify && set(variable, "DOCKER_TLS").is_none() {
        return Ok(None);
    }
    let verify = flags.verify.unwrap_or(verify);
    let directory = match set(variable, "DOCKER_CERT_PATH") {
        Some(path) => PathBuf::from(path),
        None => credentials::directory(variable)?,
    };
    let file = |flag: &Option<String>, name: &str| {
        let usual = directory.join(name);
        match flag {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(PathBuf::from(path)),
            None => usual.exists().then_some(usual),
        }
    };
    let authority = directory.join("ca.pem");
    Ok(Some(Material {
        // One that is not where it is expected is not replaced by those that the machine trusts.
        ca: match &flags.ca {
            None if verify => Some(authority),
            flag => file(flag, "ca.pem"),
        },
        cert: file(&flags.cert, "cert.pem"),
        key: file(&flags.key, "key.pem"),
        anyone: !verify,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_counts() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().display().to_string();
        let plain = |name: &str| (name == "DOCKER_CONFIG").then(|| dir.clone());
        let store = Store::find(&plain).unwrap();
        for name in ["here", "there"] {
            let stored = Stored::new(name, "", &format!("tcp://{name}:1"), false);
            store.put(&stored, None).unwrap();
        }
        let host = |globals: &Globals, more: &[(&str, &str)]| {
            let variable = |name: &str| {
                let own = more.iter().find(|(key, _)| *key == name);
                own.map(|(_, value)| (*value).to_owned())
                    .or_else(|| plain(name))
            };
            match chosen(globals, &variable) {
                Ok(chosen) => format!("{} {}", chosen.context, chosen.host),
                Err(error) => error.to_string().split(": open").next().unwrap().to_owned(),
            }
        };
        let none = Globals::default();
        assert_eq!(host(&none, &[]), format!("default {DEFAULT_HOST}"));
        assert_eq!(
            host(&none, &[("DOCKER_HOST", "tcp://d:1")]),
            "default tcp://d:1"
        );
        assert_eq!(
            host(
                &none,
                &[("DOCKER_HOST", "tcp://d:1"), ("BRIG_HOST", "tcp://b:1")]
            ),
            "default tcp://b:1"
        );
        assert_eq!(
            host(&none, &[("DOCKER_CONTEXT", "here")]),
            "here tcp://here:1"
        );
        credentials::set("currentContext", Some("there"), &plain).unwrap();
        assert_eq!(host(&none, &[]), "there tcp://there:1");
        let named = Globals {
            context: Some("here".to_owned()),
            ..Globals::default()
        };
        assert_eq!(
            host(&named, &[("DOCKER_HOST", "tcp://d:1")]),
            "here tcp://here:1"
        );
        let missing = Globals {
            context: Some("none".to_owned()),
            ..Globals::default()
        };
        assert_eq!(
            host(&missing, &[]),
            "Failed to initialize: unable to resolve docker endpoint: context \"none\": context not found"
        );
        let both = Globals {
            host: Some("tcp://h:1".to_owned()),
            ..named
        };
        assert!(host(&both, &[]).starts_with("conflicting options"));
    }
}
