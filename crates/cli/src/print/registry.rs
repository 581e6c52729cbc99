//! `search` and `manifest inspect`.

use api::wire::SearchResult;
use serde_json::Value;

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;
use crate::manifests::{Entry, pretty};

/// `search`: a line for each repository.
pub fn found(
    results: &[SearchResult],
    format: &Format,
    no_trunc: bool,
) -> Result<String, CliError> {
    const LONGEST: usize = 45;
    let rows: Vec<Row> = results
        .iter()
        .map(|result| {
            let description = result.description.replace(['\n', '\r'], " ");
            let mark = |is: bool| if is { "[OK]" } else { "" }.to_owned();
            Row::from([
                (
                    "Description",
                    match no_trunc {
                        true => description,
                        false => units::ellipsis(&description, LONGEST),
                    },
                ),
                ("IsAutomated", mark(result.is_automated)),
                ("IsOfficial", mark(result.is_official)),
                ("Name", result.name.clone()),
                ("StarCount", result.star_count.to_string()),
            ])
        })
        .collect();
    let headings = Row::from([
        ("Description", "DESCRIPTION".to_owned()),
        ("IsAutomated", "AUTOMATED".to_owned()),
        ("IsOfficial", "OFFICIAL".to_owned()),
        ("Name", "NAME".to_owned()),
        ("StarCount", "STARS".to_owned()),
    ]);
    if *format != Format::Table {
        return template::rows(format, &rows, &headings);
    }
    const COLUMNS: [&str; 4] = ["Name", "Description", "StarCount", "IsOfficial"];
    let cells = |row: &Row| -> Vec<String> { COLUMNS.iter().map(|c| row[c].clone()).collect() };
    let lines: Vec<Vec<String>> = rows.iter().map(cells).collect();
    Ok(table::table(
        &["NAME", "DESCRIPTION", "STARS", "OFFICIAL"],
        &lines,
    ))
}

/// What `manifest inspect` shows.
#[derive(Debug)]
pub enum Shown {
    /// An image.
    Image(Box<Entry>),
    /// A list of them.
    List {
        /// As it is.
        document: String,
        /// What is known of each.
        entries: Vec<Entry>,
    },
}

/// `manifest inspect`: an image's with tabs, a list's with three blanks, as Docker's client shows them.
pub fn manifest(shown: &Shown, verbose: bool) -> Result<String, CliError> {
    let parse = |text: &str| -> Result<Value, CliError> {
        serde_json::from_str(text).map_err(|error| CliError::Invalid(error.to_string()))
    };
    let text = match (shown, verbose) {
        (Shown::Image(entry), false) => pretty(&parse(&entry.document()?)?, b"\t"),
        (Shown::Image(entry), true) => pretty(entry, b"\t"),
        (Shown::List { document, .. }, false) => pretty(&parse(document)?, b"   "),
        (Shown::List { entries, .. }, true) => pretty(entries, b"\t"),
    };
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_shown_as_docker_shows_them() {
        let results = [SearchResult {
            name: "nginx".into(),
            description: "Official build of Nginx, and then some more words of it.".into(),
            star_count: 20_000,
            is_official: true,
            is_automated: false,
        }];
        insta::assert_snapshot!(found(&results, &Format::Table, false).unwrap(), @r"
        NAME      DESCRIPTION                                     STARS     OFFICIAL
        nginx     Official build of Nginx, and then some more …   20000     [OK]
        ");
    }
}
