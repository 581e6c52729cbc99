//! The shapes of answers, as the specification has them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Numbers that Docker leaves away in its own way, and the specification has not noticed.
const NULL: [&str; 2] = [".HostConfig.MemorySwappiness", ".ExitCode"];

/// All of them.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// By method, path and status.
    answers: BTreeMap<String, Value>,
    definitions: BTreeMap<String, Value>,
}

impl Shapes {
    pub(crate) fn read() -> Self {
        let all: Value = serde_json::from_str(include_str!("schemas.json")).unwrap();
        let table = |name: &str| {
            let table = all[name].as_object().unwrap().clone();
            table.into_iter().collect()
        };
        Self {
            answers: table("answers"),
            definitions: table("definitions"),
        }
    }

    /// What is otherwise in the body of an answer.
    pub(crate) fn differences(&self, answer: &str, body: &str) -> Vec<String> {
        let Some(shape) = self.answers.get(answer) else {
            return Vec::new();
        };
        let mut wrong = Vec::new();
        // A stream is many of them; each has the shape.
        for value in serde_json::Deserializer::from_str(body).into_iter::<Value>() {
            match value {
                Ok(value) => self.compare(shape, &value, "", &mut wrong),
                Err(error) => wrong.push(format!("no JSON: {error}")),
            }
        }
        wrong
    }

    fn compare(&self, shape: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(name) = shape["$ref"].as_str() {
            return self.compare(&self.definitions[name], value, at, wrong);
        }
        for part in shape["all"].as_array().into_iter().flatten() {
            self.compare(part, value, at, wrong);
        }
        let kind = shape["type"].as_str();
        if value.is_null() {
            // A list or an object of Go's that is not there.
            let may = matches!(kind, None | Some("array" | "object")) || shape["null"] == true;
            if !may && !NULL.iter().any(|name| at.ends_with(name)) {
                wrong.push(format!("{at} is null"));
            }
            return;
        }
        let fits = match kind {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !fits {
            wrong.push(format!("{at} is no {}: {value}", kind.unwrap_or_default()));
            return;
        }
        if let Some(words) = shape["enum"].as_array()
            && !words.contains(value)
            && value != ""
        {
            wrong.push(format!("{at} is none of {}: {value}", shape["enum"]));
        }
        self.inside(shape, value, at, wrong);
    }

    fn inside(&self, shape: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        for (number, item) in value.as_array().into_iter().flatten().enumerate() {
            self.compare(&shape["items"], item, &format!("{at}[{number}]"), wrong);
        }
        let Some(fields) = value.as_object() else {
            return;
        };
        for name in shape["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                wrong.push(format!("{at}.{name} is missing"));
            }
        }
        for (name, field) in fields {
            let known = shape["properties"].get(name);
            let shape = known.unwrap_or(&shape["values"]);
            self.compare(shape, field, &format!("{at}.{name}"), wrong);
        }
    }
}

#[test]
fn shapes_are_compared() {
    let shapes = Shapes::read();
    let differs = |answer: &str, body: &str| shapes.differences(answer, body).join("; ");
    let error = "GET /containers/json 400";
    assert_eq!(differs(error, r#"{"message": "x"}"#), "");
    assert_eq!(differs(error, "{}"), ".message is missing");
    assert_eq!(
        differs(error, r#"{"message": 3}"#),
        ".message is no string: 3"
    );
    assert_eq!(differs("GET /containers/json 200", "[]"), "");
    assert_eq!(
        differs("GET /containers/json 200", r#"[{"Id": 7, "Ports": null}]"#),
        "[0].Id is no string: 7"
    );
    assert!(differs("GET /containers/json 200", "{").starts_with("no JSON"));
}
