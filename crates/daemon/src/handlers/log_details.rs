//! `logs --details`: what `--log-opt` `labels`, `env` and `tag` keep of a container.

use std::collections::BTreeMap;

use engine::container::View;
use types::LogConfig;

use crate::filter::pattern;

/// `NAME=value,NAME=value`, escaped as in an address, in the order of the names.
pub(super) fn text(view: &View) -> String {
    let kept = attributes(&view.spec.log, &view.resolved.labels, &view.resolved.env);
    let mut all: Vec<String> = kept
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    if let Some(tag) = view.spec.log.option("tag") {
        all.push(format!("tag={}", escaped(&fill(tag, view))));
    }
    all.sort();
    all.join(",")
}

/// Labels and variables that the options name, exactly or by a pattern.
fn attributes<'a>(
    log: &LogConfig,
    labels: &'a BTreeMap<String, String>,
    env: &'a [String],
) -> BTreeMap<&'a str, &'a str> {
    let labels = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let env = env.iter().filter_map(|entry| entry.split_once('='));
    let wanted = |exact: &str, by_pattern: &str, name: &str| {
        let exact = log.option(exact).unwrap_or_default();
        let matches = log.option(by_pattern).is_some_and(|p| pattern(p, name));
        exact.split(',').any(|wanted| wanted.trim() == name) || matches
    };
    let labels = labels.filter(|(name, _)| wanted("labels", "labels-regex", name));
    let env = env.filter(|(name, _)| wanted("env", "env-regex", name));
    labels.chain(env).collect()
}

/// The parts of a tag's template that Docker knows.
fn fill(tag: &str, view: &View) -> String {
    let id = view.id.as_str();
    let image = view.image.to_string();
    let bare = image.split_once(':').map_or(image.as_str(), |(_, hex)| hex);
    let words = [&view.resolved.entrypoint[..], &view.resolved.command].concat();
    let parts = [
        ("ID", view.id.short().to_owned()),
        ("FullID", id.to_owned()),
        ("Name", view.name.as_str().to_owned()),
        ("ImageID", bare.get(..12).unwrap_or(bare).to_owned()),
        ("ImageFullID", image.clone()),
        ("ImageName", view.spec.image.clone()),
        ("Command", words.join(" ")),
        ("DaemonName", "brigd".to_owned()),
    ];
    parts.iter().fold(tag.to_owned(), |text, (name, value)| {
        let text = text.replace(&format!("{{{{.{name}}}}}"), value);
        text.replace(&format!("{{{{ .{name} }}}}"), value)
    })
}

/// As Go's `url.QueryEscape`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_kept() {
        let options = [
            ("labels", "tier, no"),
            ("labels-regex", "^com"),
            ("env", "A"),
        ];
        let log = LogConfig {
            options: options.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ..LogConfig::default()
        };
        let labels = [("tier", "front"), ("com.x", "y"), ("other", "z")];
        let labels = labels.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let env = ["A=1=2".to_owned(), "B=3".to_owned()];
        let kept: Vec<_> = attributes(&log, &labels, &env).into_iter().collect();
        assert_eq!(kept, [("A", "1=2"), ("com.x", "y"), ("tier", "front")]);
        assert_eq!(escaped("a b/c=\u{e9}~"), "a+b%2Fc%3D%C3%A9~");
    }
}
