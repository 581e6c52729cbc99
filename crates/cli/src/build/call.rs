//! Questions that are asked instead of a build: `--call` and `--check`.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::failure::excerpt;
use super::lend;
use crate::args::build::BuildArgs;
use crate::error::CliError;
use crate::print::{self, table};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    kind: Kind,
    json: bool,
    ignore_status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Check,
    Outline,
    Targets,
    Describe,
}

impl Call {
    /// Reads the flags; none if it is a build that is wanted.
    pub(super) fn read(args: &BuildArgs) -> Result<Option<Self>, CliError> {
        let text = match args.check {
            true => "check",
            false => args.call.as_str(),
        };
        let mut fields = lend::fields(text).into_iter();
        let name = fields.next().unwrap_or_default();
        let name = name.strip_prefix("frontend.").unwrap_or(&name);
        let kind = match name {
            "" | "build" => return Ok(None),
            "check" | "lint" => Kind::Check,
            "outline" => Kind::Outline,
            "targets" => Kind::Targets,
            "subrequests.describe" => Kind::Describe,
            other => {
                return Err(CliError::Invalid(format!(
                    "unknown call {other:?}: build, check, outline or targets is expected"
                )));
            }
        };
        let mut call = Self {
            kind,
            json: false,
            ignore_status: false,
        };
        for field in fields {
            match field.split_once('=') {
                Some(("format", "json")) => call.json = true,
                Some(("format", "text")) => call.json = false,
                Some(("ignorestatus", value)) => {
                    call.ignore_status = crate::args::values::go_bool(value)
                        .map_err(|error| CliError::Invalid(error.to_string()))?;
                }
                _ => {
                    return Err(CliError::Invalid(format!(
                        "invalid print value: {field}: format=json or ignorestatus=true is expected"
                    )));
                }
            }
        }
        Ok(Some(call))
    }

    /// How the frontend calls it.
    pub(super) fn request(&self) -> &'static str {
        match self.kind {
            Kind::Check => "frontend.lint",
            Kind::Outline => "frontend.outline",
            Kind::Targets => "frontend.targets",
            Kind::Describe => "frontend.subrequests.describe",
        }
    }

    /// Prints the answer; the exit code.
    pub(super) fn show(
        &self,
        answer: &HashMap<String, String>,
        file: &str,
    ) -> Result<u8, CliError> {
        let text = answer.get("result.json").map_or("{}", String::as_str);
        let shown: Value = serde_json::from_str(text).unwrap_or_default();
        let status = answer.get("result.statuscode");
        let status = status.and_then(|code| code.parse().ok()).unwrap_or(0);
        let status = if self.ignore_status { 0 } else { status };
        if self.json {
            print::out(&format!("{text}\n"))?;
            return Ok(status);
        }
        match self.kind {
            Kind::Outline => print::out(&outline(&shown))?,
            Kind::Targets => print::out(&targets(&shown))?,
            Kind::Describe => print::out(&described(&shown))?,
            Kind::Check => return check(answer, &shown, status, file),
        }
        Ok(status)
    }
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn targets(shown: &Value) -> String {
    let rows = list(shown, "targets").iter().map(|target| {
        let name = match word(target, "name") {
            "" => "(default)".to_owned(),
            name if target["default"] == true => format!("{name} (default)"),
            name => name.to_owned(),
        };
        vec![name, word(target, "description").to_owned()]
    });
    let headings = ["TARGET", "DESCRIPTION"].map(str::to_owned).to_vec();
    table::tight(&[headings].into_iter().chain(rows).collect::<Vec<_>>())
}

fn described(shown: &Value) -> String {
    let requests = shown.as_array().map_or(&[][..], Vec::as_slice);
    let rows = requests.iter().map(|request| {
        ["name", "version", "description"]
            .map(|key| word(request, key).to_owned())
            .to_vec()
    });
    let headings = ["NAME", "VERSION", "DESCRIPTION"]
        .map(str::to_owned)
        .to_vec();
    table::tight(&[headings].into_iter().chain(rows).collect::<Vec<_>>())
}

fn outline(shown: &Value) -> String {
    let mut text = String::new();
    let mut head = Vec::new();
    if !word(shown, "name").is_empty() {
        head.push(vec!["TARGET:".to_owned(), word(shown, "name").to_owned()]);
    }
    if !word(shown, "description").is_empty() {
        head.push(vec![
            "DESCRIPTION:".to_owned(),
            word(shown, "description").to_owned(),
        ]);
    }
    if !head.is_empty() {
        text.push_str(&table::tight(&head));
        text.push('\n');
    }
    let args = list(shown, "args").iter().map(|arg| {
        ["name", "value", "description"]
            .map(|key| word(arg, key).to_owned())
            .to_vec()
    });
    let args: Vec<Vec<String>> = args.collect();
    if !args.is_empty() {
        text.push_str(&table::spaced(
            &["BUILD ARG", "VALUE", "DESCRIPTION"],
            &args,
        ));
        text.push('\n');
    }
    for (key, heading) in [("secrets", "SECRET"), ("ssh", "SSH")] {
        let rows = list(shown, key).iter().map(|one| {
            let required = if one["required"] == true { "true" } else { "" };
            vec![word(one, "name").to_owned(), required.to_owned()]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        if !rows.is_empty() {
            text.push_str(&table::spaced(&[heading, "REQUIRED"], &rows));
            text.push('\n');
        }
    }
    text
}

/// The findings of the checks.
fn check(
    answer: &HashMap<String, String>,
    shown: &Value,
    status: u8,
    file: &str,
) -> Result<u8, CliError> {
    let found = list(shown, "warnings").len();
    let mut text = String::new();
    let count = match found {
        1 => "1 warning has been found!".to_owned(),
        n => format!("{n} warnings have been found!"),
    };
    if found > 0 {
        let _ = writeln!(text, "Check complete, {count}");
        let found = answer.get("result.txt").map_or("", String::as_str);
        // The daemon knows the file's name, the user its path.
        let name = file.rsplit('/').next().unwrap_or(file);
        text.push_str(&found.replace(&format!("\n{name}:"), &format!("\n{file}:")));
    }
    if let Some(error) = shown.get("buildError").filter(|error| error.is_object()) {
        print::out(&text)?;
        let place = &error["location"];
        let index = usize::try_from(place["sourceIndex"].as_u64().unwrap_or(0)).unwrap_or(0);
        let source = &shown["sources"][index];
        let mut why = String::new();
        let bytes = BASE64_STANDARD.decode(word(source, "data"));
        let lines: Vec<(i64, i64)> = list(place, "ranges")
            .iter()
            .map(|range| {
                let line = |end: &str| range[end]["line"].as_i64().unwrap_or(0);
                (line("start"), line("end"))
            })
            .collect();
        if let Ok(bytes) = bytes {
            why.push_str(&excerpt(word(source, "filename"), &bytes, &lines));
        }
        print::complain(&why);
        return Err(CliError::Invalid(word(error, "message").to_owned()));
    }
    if found == 0 {
        text.push_str("Check complete, no warnings found.\n");
    }
    print::out(&text)?;
    Ok(status)
}
