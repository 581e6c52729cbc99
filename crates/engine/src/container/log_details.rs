//! What a log driver is told of a container: the labels and variables that its options name, and its
//! tag.

use std::collections::BTreeMap;

use types::LogConfig;
use types::pattern::matches;

use super::View;

/// Labels and variables that the options name, exactly or by a pattern.
pub fn log_attributes(view: &View) -> BTreeMap<&str, &str> {
    attributes(&view.spec.log, &view.resolved.labels, &view.resolved.env)
}

fn attributes<'a>(
    log: &LogConfig,
    labels: &'a BTreeMap<String, String>,
    env: &'a [String],
) -> BTreeMap<&'a str, &'a str> {
    let labels = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let env = env.iter().filter_map(|entry| entry.split_once('='));
    let wanted = |exact: &str, by_pattern: &str, name: &str| {
        let exact = log.option(exact).unwrap_or_default();
        let matches = log.option(by_pattern).is_some_and(|p| matches(p, name));
        exact.split(',').any(|wanted| wanted.trim() == name) || matches
    };
    let labels = labels.filter(|(name, _)| wanted("labels", "labels-regex", name));
    let env = env.filter(|(name, _)| wanted("env", "env-regex", name));
    labels.chain(env).collect()
}

/// A tag: the parts of a template that Docker knows, filled in.
pub fn log_tag(view: &View, tag: &str) -> String {
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
        let value = cut(value, LONGEST_PART);
        let text = text.replace(&format!("{{{{.{name}}}}}"), value);
        let text = text.replace(&format!("{{{{ .{name} }}}}"), value);
        cut(&text, LONGEST_TAG).to_owned()
    })
}

/// In bytes, of what is filled in: commands may be megabytes, and a tag is told with each line.
const LONGEST_PART: usize = 1024;

/// In bytes, of all of it.
const LONGEST_TAG: usize = 16 << 10;

/// Its beginning, of whole characters.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
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
    }
}
