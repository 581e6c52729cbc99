//! `list`: every container of the state directory.

use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use super::flags;
use super::state::{document, print_line};
use crate::Outcome;
use crate::failure::{Failure, OnFile};
use crate::global::Global;
use crate::state_file::{self, Place};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "list",
    usage: "",
    about: "list the containers of the state directory",
    flags: &[flags::FORMAT, Flag::switch("quiet", "ids only").short("q")],
    arguments: (0, 0),
    interleaved: true,
    enters: false,
    run: list,
};

fn list(global: &Global, words: &Words) -> Outcome {
    let as_json = wants_json(words)?;
    if global.root_given {
        std::fs::read_dir(&global.root).on_file("open", &global.root)?;
    }
    let mut users = Users::default();
    let mut documents = Vec::new();
    for place in state_file::all(&global.root)? {
        // One that is being made or removed at this moment has no record.
        if let Ok(record) = place.read() {
            documents.push(document(&record, &users.owner(&place)));
        }
    }
    if words.has("quiet") {
        for one in &documents {
            println!("{}", text(one, "id"));
        }
    } else if as_json {
        print_line(&Value::Array(documents))?;
    } else {
        print!("{}", table(&documents));
    }
    Ok(0)
}

/// What `--format` says.
pub(super) fn wants_json(words: &Words) -> Result<bool, Failure> {
    match words.text("format")? {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => {
            let message = format!("invalid format option: {other}: table or json is expected");
            Err(Failure::Usage(message))
        }
    }
}

/// Names of users, read once.
#[derive(Default)]
struct Users {
    passwd: Option<String>,
}

impl Users {
    /// Who made the container: by name, or `#` and number for one without.
    fn owner(&mut self, place: &Place) -> String {
        let Ok(metadata) = std::fs::metadata(&place.dir) else {
            return String::new();
        };
        let passwd = self
            .passwd
            .get_or_insert_with(|| std::fs::read_to_string("/etc/passwd").unwrap_or_default());
        name_of(passwd, metadata.uid())
    }
}

fn name_of(passwd: &str, uid: u32) -> String {
    let number = uid.to_string();
    let mut lines = passwd.lines().map(|line| line.split(':'));
    let found = lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1) == Some(&*number)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("#{number}"))
}

/// Columns of at least twelve characters, three of them empty, as runc has them.
fn table(documents: &[Value]) -> String {
    const COLUMNS: [&str; 6] = ["id", "pid", "status", "bundle", "created", "owner"];
    let mut rows = vec![COLUMNS.map(str::to_uppercase)];
    rows.extend(
        documents
            .iter()
            .map(|one| COLUMNS.map(|column| text(one, column))),
    );
    let width = |n: usize| rows.iter().map(|row| row[n].len() + 3).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS.len()).map(|n| width(n).max(12)).collect();
    let mut text = String::new();
    for row in &rows {
        let (last, cells) = (&row[COLUMNS.len() - 1], &row[..COLUMNS.len() - 1]);
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(last);
        text.push('\n');
    }
    text
}

fn text(document: &Value, field: &str) -> String {
    match &document[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_have_wide_columns() {
        let one = json!({
            "id": "web", "pid": 7, "status": "running", "bundle": "/a/long/bundle",
            "created": "2026-01-02T03:04:05.6Z", "owner": "root",
        });
        assert_eq!(
            table(&[one]),
            "ID          PID         STATUS      BUNDLE           CREATED                  OWNER\n\
             web         7           running     /a/long/bundle   2026-01-02T03:04:05.6Z   root\n"
        );
    }

    #[test]
    fn owners_have_names() {
        let passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:100::/:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000), "me");
        assert_eq!(name_of(passwd, 100), "#100");
    }
}
