//! `context ls`.

use super::table;
use super::template::{self, Format, Row};
use crate::error::CliError;

/// A line of the listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Whether it is in use.
    pub current: bool,
    /// What it is for.
    pub description: String,
    /// Where its daemon is.
    pub host: String,
    /// Why it cannot be used.
    pub error: String,
}

/// An error is cut to so many characters.
const LONGEST: usize = 45;

/// A line for each context.
pub fn list(lines: &[Line], format: &Format) -> Result<String, CliError> {
    match format {
        Format::Table => {
            let rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
            let headings = ["NAME", "DESCRIPTION", "DOCKER ENDPOINT", "ERROR"];
            Ok(table::table(&headings, &rows))
        }
        Format::Json => Ok(lines.iter().map(|line| json(line) + "\n").collect()),
        _ => {
            let rows: Vec<Row> = lines.iter().map(row).collect();
            let headings = Row::from([
                ("Current", "CURRENT".to_owned()),
                ("Description", "DESCRIPTION".to_owned()),
                ("DockerEndpoint", "DOCKER ENDPOINT".to_owned()),
                ("Error", "ERROR".to_owned()),
                ("Name", "NAME".to_owned()),
            ]);
            template::rows(format, &rows, &headings)
        }
    }
}

fn cells(line: &Line) -> Vec<String> {
    let mark = if line.current { " *" } else { "" };
    vec![
        format!("{}{mark}", line.name),
        line.description.clone(),
        line.host.clone(),
        cut(&line.error),
    ]
}

fn cut(text: &str) -> String {
    match text.chars().count() > LONGEST {
        true => text.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn json(line: &Line) -> String {
    let object = serde_json::json!({
        "Current": line.current,
        "Description": line.description,
        "DockerEndpoint": line.host,
        "Error": line.error,
        "Name": line.name,
    });
    template::escaped(&object.to_string())
}

fn row(line: &Line) -> Row {
    Row::from([
        ("Current", line.current.to_string()),
        ("Description", line.description.clone()),
        ("DockerEndpoint", line.host.clone()),
        ("Error", line.error.clone()),
        ("Name", line.name.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let lines = [
            Line {
                name: "default".to_owned(),
                current: true,
                description: "d".to_owned(),
                host: "unix:///s".to_owned(),
                error: String::new(),
            },
            Line {
                name: "zz".to_owned(),
                error: "x".repeat(50),
                ..Line::default()
            },
        ];
        let shown = |format: Option<&str>| list(&lines, &Format::parse(format)).unwrap();
        insta::assert_snapshot!(shown(None).replace(" \n", "|\n"));
        insta::assert_snapshot!(shown(Some("{{.Name}} {{.Current}}")), @r"
        default true
        zz false
        ");
        assert!(shown(Some("json")).starts_with(
            r#"{"Current":true,"Description":"d","DockerEndpoint":"unix:///s","Error":"","Name":"default"}"#
        ));
    }
}
