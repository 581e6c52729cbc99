//! Events: a line each.

use api::wire::Event;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::template::{Documents, Format, escaped};
use crate::error::CliError;

/// How events are printed.
#[derive(Debug)]
pub struct Printer {
    form: Form,
    zone: TimeZone,
}

#[derive(Debug)]
enum Form {
    Words,
    Json,
    Template(Documents),
}

impl Printer {
    /// As `--format` says.
    pub fn new(format: Option<&str>) -> Result<Self, CliError> {
        let form = match (format.unwrap_or_default(), Format::parse(format)) {
            ("", _) => Form::Words,
            (_, Format::Json) => Form::Json,
            (text, _) => Form::Template(Documents::new(text)?),
        };
        let zone = TimeZone::system();
        Ok(Self { form, zone })
    }

    /// What is printed of lines of JSON.
    pub fn lines(&self, lines: &[u8]) -> Result<String, CliError> {
        let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| self.line(line)).collect()
    }

    fn line(&self, line: &[u8]) -> Result<String, CliError> {
        let event: Event = serde_json::from_slice(line)
            .map_err(|error| CliError::Connection(format!("an event cannot be read: {error}")))?;
        let text = match &self.form {
            Form::Words => self.words(&event),
            Form::Json => in_json(&event),
            Form::Template(template) => template.print(&fields(&event), in_json(&event))?,
        };
        Ok(text + "\n")
    }

    fn words(&self, event: &Event) -> String {
        let attributes = event.actor.attributes.iter();
        let attributes: Vec<String> = attributes.map(|(k, v)| format!("{k}={v}")).collect();
        let attributes = match attributes.as_slice() {
            [] => String::new(),
            some => format!(" ({})", some.join(", ")),
        };
        let (kind, action, id) = (&event.r#type, &event.action, &event.actor.id);
        format!("{} {kind} {action} {id}{attributes}", self.time(event))
    }

    /// RFC 3339 where the client is, with all nine decimals.
    fn time(&self, event: &Event) -> String {
        let nanos = match event.time_nano {
            0 => i128::from(event.time) * 1_000_000_000,
            nanos => i128::from(nanos),
        };
        let time = Timestamp::from_nanosecond(nanos).unwrap_or_default();
        let time = time.to_zoned(self.zone.clone());
        let zone = match time.offset().seconds() {
            0 => "Z".to_owned(),
            _ => time.strftime("%:z").to_string(),
        };
        format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S.%9f"))
    }
}

/// As Go writes it.
fn in_json(event: &Event) -> String {
    escaped(&serde_json::to_string(event).unwrap_or_default())
}

/// The names that templates use.
fn fields(event: &Event) -> Value {
    json!({
        "Status": event.status,
        "ID": event.id,
        "From": event.from,
        "Type": event.r#type,
        "Action": event.action,
        "Actor": { "ID": event.actor.id, "Attributes": event.actor.attributes },
        "Scope": event.scope,
        "Time": event.time,
        "TimeNano": event.time_nano,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"Type":"container","Action":"exec_create: sh -c <x> ","Actor":{"ID":"abc","Attributes":{"name":"web","image":"bb"}},"scope":"local","time":1700000000,"timeNano":1700000000000000009}"#,
        "\n",
        r#"{"Type":"volume","Action":"prune","Actor":{"ID":"","Attributes":null},"scope":"local","time":1700000001,"timeNano":1700000001500000000}"#,
        "\n",
    );

    fn show(format: Option<&str>, zone: TimeZone) -> String {
        let printer = Printer {
            zone,
            ..Printer::new(format).unwrap()
        };
        printer.lines(LINES.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_each_in_every_form() {
        let utc = || TimeZone::UTC;
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let template =
            "{{.Type}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{json .Actor.Attributes}}";
        let all = [
            show(None, utc()),
            show(None, east),
            show(Some("json"), utc()),
            show(Some(template), utc()),
        ];
        let long = "container exec_create: sh -c <x>  abc (image=bb, name=web)";
        let expected = [
            format!(
                "2023-11-14T22:13:20.000000009Z {long}\n2023-11-14T22:13:21.500000000Z volume prune \n"
            ),
            format!(
                "2023-11-15T00:13:20.000000009+02:00 {long}\n2023-11-15T00:13:21.500000000+02:00 volume prune \n"
            ),
            LINES
                .replace("<x>", "\\u003cx\\u003e")
                .replace(
                    r#""name":"web","image":"bb""#,
                    r#""image":"bb","name":"web""#,
                )
                .replace("null", "{}"),
            "container abc web {\"image\":\"bb\",\"name\":\"web\"}\nvolume  <no value> {}\n"
                .to_owned(),
        ];
        assert_eq!(all, expected);
        assert_eq!(show(Some("{{json .}}"), utc()), show(Some("json"), utc()));
        assert!(Printer::new(Some("{{.Type")).is_err());
    }
}
