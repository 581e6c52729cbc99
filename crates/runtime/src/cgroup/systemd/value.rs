//! Values of D-Bus, as far as units need them: their signatures, their bytes, and how annotations
//! spell them.

use super::message::Writer;

/// A property and its value.
pub(super) type Property = (String, Value);

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
    U32s(Vec<u32>),
    Texts(Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    pub(super) fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::F64(_) => "d",
            Self::Text(_) => "s",
            Self::Bytes(_) => "ay",
            Self::U32s(_) => "au",
            Self::Texts(_) => "as",
            Self::Pairs(_) => "a(ss)",
        }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        match self {
            Self::Bool(value) => to.u32(u32::from(*value)),
            Self::I32(value) => to.fixed(&value.to_le_bytes()),
            Self::U32(value) => to.u32(*value),
            Self::I64(value) => to.fixed(&value.to_le_bytes()),
            Self::U64(value) => to.fixed(&value.to_le_bytes()),
            Self::F64(value) => to.fixed(&value.to_le_bytes()),
            Self::Text(text) => to.text(text),
            Self::Bytes(bytes) => to.array(1, |to| to.raw(bytes)),
            Self::U32s(list) => to.array(4, |to| list.iter().for_each(|n| to.u32(*n))),
            Self::Texts(list) => to.array(4, |to| list.iter().for_each(|t| to.text(t))),
            Self::Pairs(list) => to.array(8, |to| {
                for (a, b) in list {
                    to.align(8);
                    to.text(a);
                    to.text(b);
                }
            }),
        }
    }

    /// From GVariant's text format, as annotations have it: `true`, `5`, `uint64 5`, `1.5`,
    /// `'text'`, `['a', 'b']`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(quoted) = quoted(text) {
            return Some(Self::Text(quoted));
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return inner
                .split(',')
                .map(|part| quoted(part.trim()))
                .collect::<Option<_>>()
                .map(Self::Texts);
        }
        let (kind, number) = text.split_once(' ').unwrap_or(("", text));
        match (kind, number.trim()) {
            ("", "true") => Some(Self::Bool(true)),
            ("", "false") => Some(Self::Bool(false)),
            ("", n) if n.contains('.') => n.parse().ok().map(Self::F64),
            ("" | "int32", n) => n.parse().ok().map(Self::I32),
            ("uint32", n) => n.parse().ok().map(Self::U32),
            ("int64", n) => n.parse().ok().map(Self::I64),
            ("uint64", n) => n.parse().ok().map(Self::U64),
            ("double", n) => n.parse().ok().map(Self::F64),
            _ => None,
        }
    }
}

/// Without escapes and inner quotes: no property of a unit has any.
fn quoted(text: &str) -> Option<String> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let inner = inside('\'').or_else(|| inside('"'))?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

/// Unit files say seconds where D-Bus says microseconds: `TimeoutStopSec` is `TimeoutStopUSec`.
pub(super) fn in_microseconds(name: &str, value: Value) -> Option<Property> {
    let Some(base) = name.strip_suffix("Sec").filter(|b| !b.ends_with('U')) else {
        return Some((name.to_owned(), value));
    };
    const MILLION: u64 = 1_000_000;
    let whole = |n: Option<u64>| n?.checked_mul(MILLION);
    let microseconds = match value {
        Value::I32(n) => whole(n.try_into().ok()),
        Value::U32(n) => whole(Some(n.into())),
        Value::I64(n) => whole(n.try_into().ok()),
        Value::U64(n) => whole(Some(n)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, which is what too long a time should do"
        )]
        Value::F64(n) if n >= 0.0 => Some((n * 1e6) as u64),
        _ => None,
    };
    Some((format!("{base}USec"), Value::U64(microseconds?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_spell_values() {
        let table = [
            ("true", Value::Bool(true)),
            ("5", Value::I32(5)),
            ("uint64 123", Value::U64(123)),
            ("int64 -1", Value::I64(-1)),
            ("1.5", Value::F64(1.5)),
            ("'a b'", Value::Text("a b".to_owned())),
            ("\"x\"", Value::Text("x".to_owned())),
            (
                "['a', 'b']",
                Value::Texts(vec!["a".to_owned(), "b".to_owned()]),
            ),
        ];
        for (text, value) in table {
            assert_eq!(Value::parse(text), Some(value), "{text}");
        }
        for wrong in ["", "word", "'open", "uint64 -1", "[a]", "byte 1"] {
            assert_eq!(Value::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        let show = |name, value| in_microseconds(name, value);
        assert_eq!(
            show("TimeoutStopSec", Value::I32(2)),
            Some(("TimeoutStopUSec".to_owned(), Value::U64(2_000_000)))
        );
        assert_eq!(
            show("TimeoutStopUSec", Value::U64(5)),
            Some(("TimeoutStopUSec".to_owned(), Value::U64(5)))
        );
        assert_eq!(show("XSec", Value::I32(-1)), None);
        assert_eq!(
            show("XSec", Value::F64(0.5)).unwrap().1,
            Value::U64(500_000)
        );
    }
}
