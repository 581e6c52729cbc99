//! An image as `docker save` has it, as lines that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The time of all files of the context.
pub(crate) const STAMP: u64 = 1_000_000_000;

/// What can be compared of an image.
pub(crate) struct Image {
    config: Value,
    /// Of each layer what is in it, by path.
    layers: Vec<BTreeMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    kind: char,
    about: String,
    mode: u64,
    /// Only where it is the context's: else it is the time of the build.
    stamped: bool,
}

impl Entry {
    fn line(&self, path: &str) -> String {
        let time = if self.stamped { "stamped" } else { "now" };
        format!(
            "{} {:04o} {} {path} {time}",
            self.kind, self.mode, self.about
        )
    }
}

impl Image {
    /// Everything: the configuration with its history, and each layer's files.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut config = self.config.clone();
        let object = config.as_object_mut().unwrap();
        for name in ["created", "rootfs", "moby.buildkit.buildinfo.v1"] {
            object.remove(name);
        }
        for (number, line) in object.remove("history").iter_mut().enumerate() {
            for one in line.as_array_mut().unwrap() {
                one.as_object_mut().unwrap().remove("created");
                let text = one.to_string();
                let text = comparable(&text);
                lines.extend(text.map(|text| format!("history {number} {text}")));
            }
        }
        if let Some(inner) = object.remove("config") {
            for (name, value) in inner.as_object().into_iter().flatten() {
                if !empty(value) {
                    lines.push(format!("config {name} {value}"));
                }
            }
        }
        for (name, value) in object {
            lines.push(format!("{name} {value}"));
        }
        for (number, layer) in self.layers.iter().enumerate() {
            for (path, entry) in layer {
                if !circumstance(path, entry) {
                    lines.push(format!("layer {number}: {}", entry.line(path)));
                }
            }
        }
        lines
    }

    /// The files that a container would have, and what it would be run with: other builders divide a build
    /// into other layers.
    pub(crate) fn result(&self) -> Vec<String> {
        let mut all: BTreeMap<String, Entry> = BTreeMap::new();
        for layer in &self.layers {
            for path in layer.keys() {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                if name == ".wh..wh..opq" {
                    all.retain(|known, _| !known.starts_with(&format!("{parent}/")));
                } else if let Some(name) = name.strip_prefix(".wh.") {
                    let gone = if parent.is_empty() {
                        name.to_owned()
                    } else {
                        format!("{parent}/{name}")
                    };
                    let below = format!("{gone}/");
                    all.retain(|known, _| *known != gone && !known.starts_with(&below));
                }
            }
            for (path, entry) in layer {
                if path
                    .rsplit('/')
                    .next()
                    .is_some_and(|name| name.starts_with(".wh."))
                {
                    continue;
                }
                if entry.kind != 'd' {
                    let below = format!("{path}/");
                    all.retain(|known, _| !known.starts_with(&below));
                }
                all.insert(path.clone(), entry.clone());
            }
        }
        let all = all.iter().filter(|(path, entry)| {
            // Buildah leaves where it mounts.
            let stub =
                ["etc/hosts", "etc/hostname", "etc/resolv.conf", "v"].contains(&path.as_str());
            !stub && !circumstance(path, entry)
        });
        // It lets directories that are copied into be of the time of the build; Docker does not.
        let timeless = |entry: &Entry| Entry {
            stamped: entry.stamped && entry.kind != 'd',
            ..entry.clone()
        };
        let mut lines: Vec<String> = all
            .map(|(path, entry)| timeless(entry).line(path))
            .collect();
        let config = &self.config["config"];
        for name in [
            "Cmd",
            "Entrypoint",
            "ExposedPorts",
            "Volumes",
            "User",
            "WorkingDir",
            "StopSignal",
            "OnBuild",
        ] {
            if !empty(&config[name]) {
                lines.push(format!("config {name} {}", config[name]));
            }
        }
        for variable in config["Env"].as_array().into_iter().flatten() {
            lines.push(format!("config Env {variable}"));
        }
        for (name, value) in config["Labels"].as_object().into_iter().flatten() {
            if !name.starts_with("io.buildah.") {
                lines.push(format!("config label {name}={value}"));
            }
        }
        lines
    }
}

/// A line of the history, unless it is another version's: how a check of health is written there, and from where
/// the base was imported.
fn comparable(line: &str) -> Option<&str> {
    let other = line.contains("Imported from") || line.contains("\"HEALTHCHECK ");
    (!other).then_some(line)
}

/// A directory of the base that is in a layer because something was mounted in it for a while; what marks a
/// directory as a new one, whose mode means nothing.
fn circumstance(path: &str, entry: &Entry) -> bool {
    let mounted = ["dev", "etc", "proc", "run", "sys", "tmp"].contains(&path);
    (mounted && entry.kind == 'd' && !entry.stamped) || path.ends_with("/.wh..wh..opq")
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(said) => !said,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

/// Reads a saved image.
pub(crate) fn read(archive: &Path, work: &Path) -> Image {
    let _ = fs::remove_dir_all(work);
    fs::create_dir(work).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .current_dir(work)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let json = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(work.join(name)).unwrap()).unwrap()
    };
    let manifest = &json("manifest.json")[0];
    let config = json(manifest["Config"].as_str().unwrap());
    let layers = manifest["Layers"].as_array().unwrap().iter();
    let layers = layers.map(|name| layer(&work.join(name.as_str().unwrap())));
    Image {
        config,
        layers: layers.collect(),
    }
}

fn layer(path: &Path) -> BTreeMap<String, Entry> {
    let mut bytes = fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let output = Command::new("gzip")
            .arg("-dc")
            .stdin(fs::File::open(path).unwrap())
            .output();
        bytes = output.unwrap().stdout;
    }
    entries(&bytes)
}

fn text(field: &[u8]) -> String {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn octal(field: &[u8]) -> u64 {
    let field = text(field);
    u64::from_str_radix(field.trim(), 8).unwrap_or_default()
}

/// The entries of an archive, with the extensions of pax and GNU.
fn entries(mut bytes: &[u8]) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut more: BTreeMap<String, String> = BTreeMap::new();
    while bytes.len() >= 512 && bytes[0] != 0 {
        let (head, rest) = bytes.split_at(512);
        let said = more.get("size").and_then(|size| size.parse().ok());
        let size = usize::try_from(said.unwrap_or_else(|| octal(&head[124..136]))).unwrap();
        let content = &rest[..size];
        bytes = &rest[size.div_ceil(512) * 512..];
        match head[156] {
            b'x' => more.extend(pax(content)),
            b'g' => {}
            b'L' => drop(more.insert("path".to_owned(), text(content))),
            b'K' => drop(more.insert("linkpath".to_owned(), text(content))),
            _ => {
                let (path, entry) = entry(head, content, &std::mem::take(&mut more));
                // The root of a layer is whatever directory it was made in.
                if !path.is_empty() {
                    found.insert(path, entry);
                }
            }
        }
    }
    found
}

fn pax(mut content: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some(space) = content.iter().position(|byte| *byte == b' ') {
        let length: usize = text(&content[..space]).parse().unwrap();
        let line = String::from_utf8_lossy(&content[space + 1..length - 1]).into_owned();
        if let Some((name, value)) = line.split_once('=') {
            found.push((name.to_owned(), value.to_owned()));
        }
        content = &content[length..];
    }
    found
}

fn entry(head: &[u8], content: &[u8], more: &BTreeMap<String, String>) -> (String, Entry) {
    let said = |name: &str, otherwise: String| more.get(name).cloned().unwrap_or(otherwise);
    let number = |name: &str, field: &[u8]| said(name, octal(field).to_string());
    let prefix = if head[257..263] == *b"ustar\0" {
        text(&head[345..500])
    } else {
        String::new()
    };
    let name = text(&head[..100]);
    let name = if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    };
    let path = said("path", name);
    let path = path.trim_start_matches("./").trim_matches('/').to_owned();
    let kind = match head[156] {
        b'5' => 'd',
        b'2' => 'l',
        b'1' => 'h',
        b'3' => 'c',
        b'4' => 'b',
        b'6' => 'p',
        _ => 'f',
    };
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let what = match kind {
        'f' => format!("{} bytes, {:x}", content.len(), hasher.finish()),
        'l' | 'h' => {
            let target = said("linkpath", text(&head[157..257]));
            match kind {
                'h' => target
                    .trim_start_matches("./")
                    .trim_start_matches('/')
                    .to_owned(),
                _ => target,
            }
        }
        'c' | 'b' => format!("{}:{}", octal(&head[329..337]), octal(&head[337..345])),
        _ => String::new(),
    };
    let attributes: Vec<String> = more
        .iter()
        .filter(|(name, _)| name.starts_with("SCHILY.xattr."))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let (uid, gid) = (
        number("uid", &head[108..116]),
        number("gid", &head[116..124]),
    );
    let time = number("mtime", &head[136..148]);
    let entry = Entry {
        kind,
        about: format!("{uid}:{gid} [{what}] {}", attributes.join(" ")),
        mode: octal(&head[100..108]) & 0o7777,
        stamped: time.split('.').next() == Some(STAMP.to_string().as_str()),
    };
    (path, entry)
}
