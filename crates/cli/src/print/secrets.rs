//! `secret ls`.

use api::wire::Secret;

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// A line for each secret. `now` is in seconds since 1970.
pub fn list(
    secrets: &[Secret],
    format: &Format,
    quiet: bool,
    now: i64,
) -> Result<String, CliError> {
    if quiet {
        return Ok(secrets.iter().map(|s| format!("{}\n", s.id)).collect());
    }
    if *format == Format::Table {
        let line = |secret: &Secret| {
            vec![
                secret.id.clone(),
                secret.name.clone(),
                ago(&secret.created_at, now),
                ago(&secret.updated_at, now),
            ]
        };
        let lines: Vec<Vec<String>> = secrets.iter().map(line).collect();
        return Ok(table::table(&["ID", "NAME", "CREATED", "UPDATED"], &lines));
    }
    let rows: Vec<Row> = secrets.iter().map(|secret| row(secret, now)).collect();
    let headings = Row::from([
        ("ID", "ID".to_owned()),
        ("Name", "NAME".to_owned()),
        ("CreatedAt", "CREATED".to_owned()),
        ("UpdatedAt", "UPDATED".to_owned()),
        ("Labels", "LABELS".to_owned()),
    ]);
    template::rows(format, &rows, &headings)
}

/// How long it is ago, as Docker lists it.
fn ago(time: &str, now: i64) -> String {
    let nanos = types::parse_rfc3339(time);
    nanos.map_or_else(
        || time.to_owned(),
        |nanos| units::ago(nanos / 1_000_000_000, now),
    )
}

fn row(secret: &Secret, now: i64) -> Row {
    let labels = secret.labels.iter().flatten();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Row::from([
        ("ID", secret.id.clone()),
        ("Name", secret.name.clone()),
        ("CreatedAt", ago(&secret.created_at, now)),
        ("UpdatedAt", ago(&secret.updated_at, now)),
        ("Labels", labels.join(",")),
    ])
}
