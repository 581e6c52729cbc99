//! Why a build failed, with the lines of the file that are at fault.

use std::fmt::Write as _;

use api::grpc::{Message as _, Status};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buildkit::{Any, Status as Detailed};
use serde_json::Value;

/// The lines of files that a failure names, as people see them.
pub(super) fn places(status: &Status) -> String {
    let details = Detailed::decode(status.details()).map(|status| status.details);
    let sources = details.unwrap_or_default();
    let sources = sources
        .iter()
        .filter(|any| any.type_url.ends_with("errdefs.Source+json"));
    sources.filter_map(place).collect()
}

fn place(any: &Any) -> Option<String> {
    let source: Value = serde_json::from_slice(&any.value).ok()?;
    let info = &source["info"];
    let text = BASE64_STANDARD.decode(info["data"].as_str()?).ok()?;
    let ranges = source["ranges"].as_array()?.iter();
    let lines: Vec<(i64, i64)> = ranges
        .map(|range| {
            let line = |end: &str| range[end]["line"].as_i64().unwrap_or(0);
            (line("start"), line("end"))
        })
        .collect();
    Some(excerpt(info["filename"].as_str()?, &text, &lines))
}

/// Lines of a file with those around them; those meant are marked.
pub(crate) fn excerpt(name: &str, text: &[u8], ranges: &[(i64, i64)]) -> String {
    let Some(first) = ranges.iter().map(|(start, _)| *start).min() else {
        return String::new();
    };
    let last = ranges.iter().map(|(_, end)| *end).max().unwrap_or(first);
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split('\n').collect();
    let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    if first < 1 || first > count {
        return String::new();
    }
    let last = last.clamp(first, count);
    // A line of its own is shown with more around it.
    let pad = if first == last { 4 } else { 2 };
    let (mut from, mut to, mut shown_around) = (first, last, 0);
    while shown_around < pad {
        if from > 1 {
            from -= 1;
            shown_around += 1;
        }
        if to < count {
            to += 1;
            shown_around += 1;
        }
        shown_around += 1;
    }
    let mut shown = format!("{name}:{first}\n--------------------\n");
    for number in from..=to {
        let meant = ranges
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&number));
        let mark = if meant { ">>>" } else { "   " };
        let index = usize::try_from(number - 1).unwrap_or(0);
        let line = lines.get(index).copied().unwrap_or_default();
        let _ = writeln!(
            shown,
            " {number:3} | {mark} {}",
            line.trim_end_matches('\r')
        );
    }
    shown.push_str("--------------------\n");
    shown
}
