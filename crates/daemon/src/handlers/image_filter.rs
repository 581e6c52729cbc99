//! Filters of `GET /images/json`.

use std::collections::BTreeMap;

use api::convert::parse_time;
use engine::{Engine, Image, image};
use types::ImageRef;

use super::image_view;
use crate::filter::{glob, label};
use crate::http::error::Failure;
use crate::http::query::Filters;

/// Filters, checked.
#[derive(Debug, Default)]
pub(super) struct Filter {
    references: Vec<String>,
    dangling: Option<bool>,
    labels: Vec<String>,
    /// Made before this, in nanoseconds since the epoch.
    before: Option<i64>,
    since: Option<i64>,
}

impl Filter {
    /// Blocking.
    pub(super) fn read(engine: &Engine, mut filters: Filters) -> Result<Self, Failure> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let (references, labels) = (take("reference"), take("label"));
        let dangling = match take("dangling").first().map(String::as_str) {
            None => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(other) => {
                return Err(Failure::bad_request(format!(
                    "invalid filter 'dangling={other}': true or false is expected"
                )));
            }
        };
        let created = |names: Vec<String>| match names.first() {
            Some(name) => image::inspect(engine, name).map(|i| Some(image_view::created(&i))),
            None => Ok(None),
        };
        let mut before = created(take("before"))?;
        let since = created(take("since"))?;
        if let Some(text) = take("until").first() {
            let time = until(text)?;
            before = Some(before.map_or(time, |earlier| earlier.min(time)));
        }
        if let Some(key) = filters.keys().next() {
            return Err(Failure::bad_request(format!("invalid filter '{key}'")));
        }
        Ok(Self {
            references,
            dangling,
            labels,
            before,
            since,
        })
    }

    /// The references to show of an image, if it is shown.
    pub(super) fn takes(&self, image: &Image) -> Option<Vec<ImageRef>> {
        let created = image_view::created(image);
        let labels = image_view::labels(image);
        let taken = self.before.is_none_or(|time| created < time)
            && self.since.is_none_or(|time| created > time)
            && self.labels.iter().all(|l| label(l, &labels))
            && self
                .dangling
                .is_none_or(|dangling| image.references.is_empty() == dangling);
        if !taken {
            return None;
        }
        if self.references.is_empty() {
            return Some(image.references.clone());
        }
        let named = |reference: &&ImageRef| self.references.iter().any(|p| names(p, reference));
        let shown: Vec<_> = image.references.iter().filter(named).cloned().collect();
        (!shown.is_empty()).then_some(shown)
    }
}

/// Which images a prune removes.
#[derive(Debug, Default)]
pub(super) struct PruneFilter {
    /// Those with a name too.
    pub(super) all: bool,
    labels: Vec<String>,
    not_labels: Vec<String>,
    until: Option<i64>,
}

impl PruneFilter {
    pub(super) fn read(mut filters: Filters) -> Result<Self, Failure> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let dangling = take("dangling");
        let all = match dangling.first().map(String::as_str) {
            None | Some("true" | "1") => false,
            Some("false" | "0") => true,
            Some(other) => {
                return Err(Failure::bad_request(format!(
                    "invalid filter 'dangling={other}': true or false is expected"
                )));
            }
        };
        let (labels, not_labels) = (take("label"), take("label!"));
        let until = match take("until").as_slice() {
            [] => None,
            [text] => Some(until(text)?),
            _ => return Err(Failure::bad_request("more than one until filter specified")),
        };
        if let Some(key) = filters.keys().next() {
            return Err(Failure::bad_request(format!("invalid filter '{key}'")));
        }
        Ok(Self {
            all,
            labels,
            not_labels,
            until,
        })
    }

    /// Whether one with these labels, made then, is taken.
    pub(super) fn takes(&self, labels: &BTreeMap<String, String>, created: i64) -> bool {
        self.labels.iter().all(|l| label(l, labels))
            && !self.not_labels.iter().any(|l| label(l, labels))
            && self.until.is_none_or(|time| created < time)
    }
}

/// A time, or how long ago: `24h`.
pub(super) fn until(text: &str) -> Result<i64, Failure> {
    let ago = || {
        let span: jiff::SignedDuration = text.parse().ok()?;
        let nanos = i64::try_from(span.as_nanos()).ok()?;
        Some(crate::clock::now() - nanos)
    };
    // A date, or a date and a time, without a zone: this machine's.
    let here = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::system()).ok()?;
        i64::try_from(zoned.timestamp().as_nanosecond()).ok()
    };
    let time = parse_time(text).flatten().or_else(ago).or_else(here);
    time.ok_or_else(|| {
        Failure::bad_request(format!(
            "invalid filter 'until={text}': seconds, a date, RFC 3339 or a duration such as 24h is expected"
        ))
    })
}

/// A pattern fits a reference with or without its tag, in its short form.
fn names(pattern: &str, reference: &ImageRef) -> bool {
    glob(pattern, &reference.familiar()) || glob(pattern, &reference.familiar_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_short_names() {
        let reference: ImageRef = "docker.io/library/debian:12".parse().unwrap();
        for (pattern, fits) in [
            ("debian", true),
            ("debian:12", true),
            ("deb*", true),
            ("*:12", true),
            ("debian:13", false),
            ("library/debian", false),
        ] {
            assert_eq!(names(pattern, &reference), fits, "{pattern}");
        }
    }

    #[test]
    fn ends_of_a_time_are_said_in_every_form() {
        const DAY: i64 = 86_400_000_000_000;
        let day = until("946684800").unwrap();
        assert_eq!(until("2000-01-01T00:00:00Z").unwrap(), day);
        // By the clock of this machine, wherever it is.
        for (text, hours) in [
            ("2000-01-01", 0),
            ("2000-01-01T06:00:00", 6),
            ("2000-01-01T06:00", 6),
        ] {
            let apart = (until(text).unwrap() - day - hours * 3_600_000_000_000).abs();
            assert!(apart < DAY, "{text} {apart}");
        }
        assert!(until("1h").unwrap() > day);
        for text in ["", "yesterday", "2000-13-01"] {
            until(text).unwrap_err();
        }
    }
}
