//! Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It grows until the object it counts for is gone.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// All families, one after the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// Numbers of one name.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Text {
    /// Begins a family. Counters end in `_total`, which is added here.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let (name, kind) = match kind {
            Kind::Counter => (format!("{name}_total"), "counter"),
            Kind::Gauge => (name.to_owned(), "gauge"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family {
            text: &mut self.0,
            name,
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One number.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let text = &mut *self.text;
        text.push_str(&self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(text, "{name}=\"");
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written() {
        let mut text = Text::default();
        let mut family = text.family("brig_a", Kind::Counter, "What it is.");
        family.value(&[("name", "a\"b\\c\nd"), ("id", "1")], 3);
        family.value(&[], 0.5);
        text.family("brig_b", Kind::Gauge, "Another.").value(&[], 7);
        assert_eq!(
            text.finish(),
            "# HELP brig_a_total What it is.\n# TYPE brig_a_total counter\n\
             brig_a_total{name=\"a\\\"b\\\\c\\nd\",id=\"1\"} 3\nbrig_a_total 0.5\n\
             # HELP brig_b Another.\n# TYPE brig_b gauge\nbrig_b 7\n"
        );
    }
}
