//! `search` and `manifest inspect`.

use api::wire::{RegistryManifest, SearchResult};
use serde::Serialize;
use serde_json::{Value, json};

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

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

/// `manifest inspect`: the document with tabs, as Docker's client shows it.
pub fn manifest(
    name: &str,
    manifest: &RegistryManifest,
    verbose: bool,
) -> Result<String, CliError> {
    let broken = |error: serde_json::Error| CliError::Invalid(format!("{name}: {error}"));
    let document: Value = serde_json::from_str(&manifest.document).map_err(broken)?;
    let shown = match verbose {
        false => document,
        true => json!({
            "Ref": name,
            "Descriptor": manifest.descriptor,
            "Raw": document,
        }),
    };
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut to = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    shown.serialize(&mut to).map_err(broken)?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
