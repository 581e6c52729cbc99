//! `list`: every container of the state directory.

use serde_json::Value;

use super::state::{document, print};
use crate::Outcome;
use crate::args::{Args, Format, List};
use crate::state_file;

pub(crate) fn list(args: &Args, list: &List) -> Outcome {
    // One that is being made or removed at this moment has no record.
    let records = state_file::all(&args.root)?
        .into_iter()
        .filter_map(|place| place.read().ok());
    let documents: Vec<Value> = records.map(|record| document(&record)).collect();
    if list.quiet {
        documents
            .iter()
            .for_each(|one| println!("{}", text(one, "id")));
    } else if list.format == Format::Json {
        print(&Value::Array(documents))?;
    } else {
        table(&documents);
    }
    Ok(0)
}

fn table(documents: &[Value]) {
    const COLUMNS: [&str; 5] = ["id", "pid", "status", "bundle", "created"];
    let mut rows = vec![COLUMNS.map(str::to_uppercase)];
    rows.extend(
        documents
            .iter()
            .map(|one| COLUMNS.map(|column| text(one, column))),
    );
    let width = |n: usize| rows.iter().map(|row| row[n].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn text(document: &Value, field: &str) -> String {
    match &document[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
