//! `certs.d`, where Docker and containerd keep how single registries are reached: a directory a host,
//! with certificates by the endings of their names, and perhaps a `hosts.toml`. Pure: who reads the
//! files hands them over as text.

use serde::Deserialize;
use toml::Value;

use crate::config::{ClientCertificate, Config, Host, InvalidConfig, Mirror, MirrorUse, Registry};
use crate::route::EVERYTHING;

/// The directory that is for every registry without one.
const DEFAULT: &str = "_default";

/// One file of a host's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Its name in the directory: `ca.crt`, `client.cert`, `hosts.toml`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// `hosts.toml`, as containerd documents it. What changes nothing here is left out; other keys are not
/// errors, because the file belongs to several programs.
#[derive(Debug, Deserialize)]
struct Wire {
    server: Option<String>,
    #[serde(flatten)]
    own: Entry,
    /// In the order of the file, which is the order of asking.
    host: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    capabilities: Option<Vec<String>>,
    ca: Option<Value>,
    client: Option<Value>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<toml::Table>,
}

impl Config {
    /// Adds what the directory `certs.d/HOST` says; what is there already wins. `file` reads a file that `hosts.toml` names, by a
    /// path that is absolute or relative to the directory.
    ///
    /// # Errors
    /// When `hosts.toml` cannot be read, or a certificate has no key; the place is in the sentence.
    pub fn add_host_directory(
        &mut self,
        host: &str,
        files: &[HostFile],
        file: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<(), InvalidConfig> {
        self.add_certificates(host, files)?;
        let Some(hosts) = files.iter().find(|file| file.name == "hosts.toml") else {
            return Ok(());
        };
        let place = format!("certs.d/{host}/hosts.toml");
        let wire: Wire = toml::from_str(&hosts.text)
            .map_err(|e| InvalidConfig::new(&place, e.message().to_owned()))?;
        Reading {
            config: self,
            place: &place,
            file: &file,
        }
        .add(host, wire)
    }

    /// `*.crt` are authorities; `*.cert` and `*.key` of one name are who this machine is.
    fn add_certificates(&mut self, host: &str, files: &[HostFile]) -> Result<(), InvalidConfig> {
        let with = |ending: &str| {
            let found = files.iter().filter(move |f| f.name.ends_with(ending));
            found.collect::<Vec<_>>()
        };
        let (authorities, certificates) = (with(".crt"), with(".cert"));
        // Certificates for everybody are the machine's own.
        if host == DEFAULT || (authorities.is_empty() && certificates.is_empty()) {
            return Ok(());
        }
        let mut client = None;
        if let Some(certificate) = certificates.first() {
            let key = certificate.name.replace(".cert", ".key");
            let found = files.iter().find(|file| file.name == key).ok_or_else(|| {
                let place = format!("certs.d/{host}/{}", certificate.name);
                InvalidConfig::new(
                    place,
                    format!("its key is missing: {key} is expected beside it"),
                )
            })?;
            client = Some(ClientCertificate {
                certificate: certificate.text.clone(),
                key: found.text.clone(),
            });
        }
        let known = self.hosts.entry(host.to_owned()).or_default();
        known
            .authorities
            .extend(authorities.into_iter().map(|f| f.text.clone()));
        known.client = known.client.take().or(client);
        Ok(())
    }
}

/// A `hosts.toml` on its way into a configuration.
struct Reading<'a> {
    config: &'a mut Config,
    place: &'a str,
    file: &'a dyn Fn(&str) -> std::io::Result<String>,
}

impl Reading<'_> {
    fn add(mut self, host: &str, wire: Wire) -> Result<(), InvalidConfig> {
        let everything = host == DEFAULT;
        let mut rule = Registry {
            prefix: if everything { EVERYTHING } else { host }.to_owned(),
            ..Registry::default()
        };
        for (url, value) in wire.host.unwrap_or_default() {
            let entry: Entry = value.try_into().map_err(|e: toml::de::Error| {
                InvalidConfig::new(self.place, format!("host {url:?}: {}", e.message()))
            })?;
            rule.mirrors.extend(self.mirror(&url, &entry)?);
            self.host(&url, &entry)?;
        }
        let own = wire.server.unwrap_or_else(|| format!("https://{host}"));
        if !everything {
            self.host(&own, &wire.own)?;
        }
        if !everything
            && name_of(&own) != host
            && !(host == "docker.io" && name_of(&own).ends_with(".docker.io"))
        {
            rule.location = Some(own);
        }
        if rule.location.is_some() || !rule.mirrors.is_empty() {
            self.config
                .registries
                .retain(|known| known.prefix != rule.prefix);
            self.config.registries.push(rule);
        }
        Ok(())
    }

    /// A host that resolves or pulls is a mirror; one that only takes pushes is none.
    fn mirror(&self, url: &str, entry: &Entry) -> Result<Option<Mirror>, InvalidConfig> {
        let can = |what: &str| {
            let listed = entry.capabilities.as_ref();
            listed.is_none_or(|all| all.iter().any(|c| c == what))
        };
        if !matches!(url.split_once("://"), Some(("http" | "https", _))) {
            let why = format!("host {url:?}: http:// or https:// is expected before it");
            return Err(InvalidConfig::new(self.place, why));
        }
        let used_for = match (can("pull"), can("resolve")) {
            (false, _) => return Ok(None),
            (true, true) => MirrorUse::All,
            (true, false) => MirrorUse::Digests,
        };
        let override_path = entry.override_path == Some(true);
        // Without it a path ends in the API's version already, or is a part of names.
        let location = url.trim_end_matches('/');
        let location = if override_path {
            location
        } else {
            location.trim_end_matches("/v2")
        };
        Ok(Some(Mirror {
            location: location.to_owned(),
            used_for,
            override_path,
        }))
    }

    /// How a host is reached.
    fn host(&mut self, url: &str, entry: &Entry) -> Result<(), InvalidConfig> {
        let mut host = self
            .config
            .hosts
            .get(name_of(url))
            .cloned()
            .unwrap_or_default();
        host.insecure |= entry.skip_verify == Some(true);
        for path in strings(entry.ca.as_ref()) {
            host.authorities.push(self.read(path)?);
        }
        let client = self.client(entry.client.as_ref())?;
        host.client = host.client.take().or(client);
        for (name, value) in entry.header.iter().flatten() {
            let value = strings(Some(value)).join(", ");
            host.headers.insert(name.clone(), value);
        }
        if host != Host::default() {
            self.config.hosts.insert(name_of(url).to_owned(), host);
        }
        Ok(())
    }

    /// A file with both, or a list of pairs, of which the first is taken.
    fn client(&self, value: Option<&Value>) -> Result<Option<ClientCertificate>, InvalidConfig> {
        let first = match value {
            Some(Value::Array(list)) => list.first(),
            other => other,
        };
        match first {
            None => Ok(None),
            Some(Value::Array(pair)) => {
                let paths: Vec<&str> = pair.iter().filter_map(Value::as_str).collect();
                let certificate = paths.first().map(|path| self.read(path)).transpose()?;
                let key = paths.get(1).map(|path| self.read(path)).transpose()?;
                Ok(certificate.map(|certificate| ClientCertificate {
                    key: key.unwrap_or_else(|| certificate.clone()),
                    certificate,
                }))
            }
            Some(one) => {
                let both = strings(Some(one)).first().map(|path| self.read(path));
                Ok(both.transpose()?.map(|both| ClientCertificate {
                    certificate: both.clone(),
                    key: both,
                }))
            }
        }
    }

    fn read(&self, path: &str) -> Result<String, InvalidConfig> {
        (self.file)(path)
            .map_err(|e| InvalidConfig::new(self.place, format!("cannot read {path:?}: {e}")))
    }
}

/// A text or a list of texts.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The host of an address: `https://a:5000/v2` is `a:5000`.
fn name_of(url: &str) -> &str {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    place.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> HostFile {
        HostFile {
            name: name.into(),
            text: text.into(),
        }
    }

    fn read(path: &str) -> std::io::Result<String> {
        match path {
            "missing" => Err(std::io::ErrorKind::NotFound.into()),
            _ => Ok(format!("<{path}>")),
        }
    }

    #[test]
    fn certificates_are_known_by_their_endings() {
        let mut config = Config::default();
        let files = [
            file("ca.crt", "authority"),
            file("client.cert", "certificate"),
            file("client.key", "key"),
            file("README", "x"),
        ];
        config.add_host_directory("reg:5000", &files, read).unwrap();
        let host = &config.hosts["reg:5000"];
        assert_eq!(host.authorities, ["authority"]);
        let client = host.client.as_ref().unwrap();
        assert_eq!(
            (client.certificate.as_str(), client.key.as_str()),
            ("certificate", "key")
        );
        let error = Config::default()
            .add_host_directory("reg", &files[1..2], read)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid registry configuration: certs.d/reg/client.cert: its key is missing: \
             client.key is expected beside it"
        );
        let mut none = Config::default();
        none.add_host_directory("reg", &[], read).unwrap();
        assert_eq!(none, Config::default());
    }

    #[test]
    fn hosts_become_mirrors_in_their_order() {
        let text = r#"
            server = "https://registry-1.docker.io"
            [host."https://z.example.com"]
              capabilities = ["pull", "resolve"]
              ca = "/z.pem"
              client = [["/c.pem", "/k.pem"]]
              dial_timeout = "1s"
              [host."https://z.example.com".header]
                x-one = "1"
                x-two = ["2", "3"]
            [host."http://a.example.com:5000/v2/hub"]
              capabilities = ["pull"]
              override_path = true
              skip_verify = true
            [host."https://pushes.example.com"]
              capabilities = ["push"]
        "#;
        let mut config = Config::default();
        config
            .add_host_directory("docker.io", &[file("hosts.toml", text)], read)
            .unwrap();
        let [rule] = &config.registries[..] else {
            panic!("{config:?}")
        };
        assert_eq!((rule.prefix.as_str(), &rule.location), ("docker.io", &None));
        let mirror = |location: &str, used_for, override_path| Mirror {
            location: location.into(),
            used_for,
            override_path,
        };
        assert_eq!(
            rule.mirrors,
            [
                mirror("https://z.example.com", MirrorUse::All, false),
                mirror("http://a.example.com:5000/v2/hub", MirrorUse::Digests, true),
            ]
        );
        let z = &config.hosts["z.example.com"];
        assert_eq!(z.authorities, ["</z.pem>"]);
        assert_eq!(z.client.as_ref().unwrap().key, "</k.pem>");
        assert_eq!(z.headers["x-two"], "2, 3");
        assert!(config.hosts["a.example.com:5000"].insecure);
    }

    #[test]
    fn another_server_is_where_the_registry_is() {
        let mut config = Config::default();
        let text = "server = \"https://real.example.com:8443\"\nskip_verify = true\n";
        config
            .add_host_directory("name.example.com", &[file("hosts.toml", text)], read)
            .unwrap();
        let location = config.registries[0].location.as_deref();
        assert_eq!(location, Some("https://real.example.com:8443"));
        assert!(config.hosts["real.example.com:8443"].insecure);
    }

    #[test]
    fn a_directory_may_be_for_every_registry() {
        let mut config = Config::default();
        let text = "[host.\"https://cache.example.com\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
        config
            .add_host_directory("_default", &[file("hosts.toml", text)], read)
            .unwrap();
        let rule = &config.registries[0];
        assert_eq!((rule.prefix.as_str(), &rule.location), ("*", &None));
        assert!(config.hosts.is_empty());
    }

    #[test]
    fn bad_files_are_named() {
        let table = [
            ("server = 3", "certs.d/reg/hosts.toml: invalid type"),
            (
                "[host.\"ftp://a\"]",
                "http:// or https:// is expected before it",
            ),
            (
                "[host.\"https://a\"]\nca = \"missing\"",
                "cannot read \"missing\"",
            ),
            ("[host]\na = 3", "certs.d/reg/hosts.toml: host \"a\""),
        ];
        for (text, why) in table {
            let files = [file("hosts.toml", text)];
            let error = Config::default()
                .add_host_directory("reg", &files, read)
                .unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
