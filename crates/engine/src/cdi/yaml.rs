//! YAML to JSON's values: what specifications of devices need of it.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Values that may come of one document: aliases multiply what is written.
const MOST: usize = 100_000;

/// How deep they may be.
const DEEPEST: usize = 64;

/// The first document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        left: MOST,
    };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd => return Ok(Value::Null),
            event => return reader.value(event, DEEPEST),
        }
    }
}

struct Reader<'a, T: saphyr_parser::Input> {
    events: Parser<'a, T>,
    anchors: HashMap<usize, Value>,
    left: usize,
}

impl<'a, T: saphyr_parser::Input> Reader<'a, T> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'a>, deeper: usize) -> Result<Value, String> {
        self.count(1)?;
        let deeper = deeper
            .checked_sub(1)
            .ok_or_else(|| "it is nested too deeply".to_owned())?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                (
                    if plain {
                        scalar(&text)
                    } else {
                        Value::String(text.into())
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, _) => (self.list(deeper)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(deeper)?, anchor),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| "an alias stands for nothing".to_owned())?;
                self.count(size(&value))?;
                (value, 0)
            }
            _ => return Err("it ends too early".to_owned()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        let left = self.left.checked_sub(values);
        self.left = left.ok_or_else(|| format!("it has more than {MOST} values"))?;
        Ok(())
    }

    fn list(&mut self, deeper: usize) -> Result<Value, String> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(list)),
                event => list.push(self.value(event, deeper)?),
            }
        }
    }

    fn map(&mut self, deeper: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err("a key is no word".to_owned()),
            };
            let event = self.next()?;
            let value = self.value(event, deeper)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(format!("the key {key:?} is there twice"));
            }
        }
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// What a word without quotation marks means: YAML 1.2's core schema, and octal numbers as they were
/// written before it, which modes of files are.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i64::from_str_radix(octal, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let sound = digits.bytes().next().is_some_and(|b| b.is_ascii_digit());
    match number {
        Ok(number) if sound => (sign * number).into(),
        _ => match text.parse::<f64>() {
            Ok(number) if sound && number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_values() {
        let text = "a: 1\nb: [x, 'y', \"1\", 0644, 0x10, -3, 1.5, true, ~]\nc: &c\n  d: |\n    two\n    lines\ne: *c\n";
        assert_eq!(
            parse(text).unwrap().to_string(),
            r#"{"a":1,"b":["x","y","1",420,16,-3,1.5,true,null],"c":{"d":"two\nlines\n"},"e":{"d":"two\nlines\n"}}"#
        );
        assert_eq!(parse("").unwrap(), Value::Null);
    }

    #[test]
    fn what_is_none_is_refused() {
        let bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                    e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        let deep = "[".repeat(200);
        for text in ["a: 1\na: 2", "a: [", "*x", "[a]: 1", bomb, &deep] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
