//! `secret ls`.

use api::wire::Secret;

use super::table;
use super::template::{self, Format, Row};
use crate::error::CliError;

/// A line for each secret.
pub fn list(secrets: &[Secret], format: &Format, quiet: bool) -> Result<String, CliError> {
    if quiet {
        return Ok(secrets.iter().map(|s| format!("{}\n", s.id)).collect());
    }
    if *format == Format::Table {
        let line = |secret: &Secret| {
            vec![
                secret.id.clone(),
                secret.name.clone(),
                secret.created_at.clone(),
                secret.updated_at.clone(),
            ]
        };
        let lines: Vec<Vec<String>> = secrets.iter().map(line).collect();
        return Ok(table::table(&["ID", "NAME", "CREATED", "UPDATED"], &lines));
    }
    let rows: Vec<Row> = secrets.iter().map(row).collect();
    let headings = Row::from([
        ("ID", "ID".to_owned()),
        ("Name", "NAME".to_owned()),
        ("CreatedAt", "CREATED".to_owned()),
        ("UpdatedAt", "UPDATED".to_owned()),
        ("Labels", "LABELS".to_owned()),
    ]);
    template::rows(format, &rows, &headings)
}

fn row(secret: &Secret) -> Row {
    let labels = secret.labels.iter().flatten();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Row::from([
        ("ID", secret.id.clone()),
        ("Name", secret.name.clone()),
        ("CreatedAt", secret.created_at.clone()),
        ("UpdatedAt", secret.updated_at.clone()),
        ("Labels", labels.join(",")),
    ])
}
