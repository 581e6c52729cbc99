//! Columns. The algorithm is that of Go's tabwriter, so the bytes are Docker's.

use std::io::Write;

use tabwriter::TabWriter;

/// Aligns lines whose cells are separated by tabs.
pub fn align(lines: &str) -> String {
    aligned(lines, 10)
}

/// Columns are at least `width` wide with the space between them, as Go counts.
fn aligned(lines: &str, width: usize) -> String {
    const SPACE: usize = 3;
    apart(lines, width - SPACE, SPACE)
}

/// Columns of a least width, and so much space between them.
fn apart(lines: &str, width: usize, space: usize) -> String {
    let mut writer = TabWriter::new(Vec::new()).minwidth(width).padding(space);
    let done = writer
        .write_all(lines.as_bytes())
        .and_then(|()| writer.flush());
    match (done, writer.into_inner()) {
        (Ok(()), Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        // Memory takes every write.
        _ => lines.to_owned(),
    }
}

/// A table with headings.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    align(&lines(headings, rows))
}

/// A table with headings, columns at least twenty wide: `top` prints it.
pub fn wide(headings: &[&str], rows: &[Vec<String>]) -> String {
    aligned(&lines(headings, rows), 20)
}

/// A table with headings, columns as wide as they have to be.
pub fn spaced(headings: &[&str], rows: &[Vec<String>]) -> String {
    aligned(&lines(headings, rows), 3)
}

/// Rows without headings, with one space between their columns.
pub fn tight(rows: &[Vec<String>]) -> String {
    let lines = rows.iter().map(|row| row.join("\t") + "\n");
    apart(&lines.collect::<String>(), 0, 1)
}

fn lines(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = headings.join("\t");
    lines.push('\n');
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| cell.replace(['\t', '\n'], " "))
            .collect();
        lines.push_str(&cells.join("\t"));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_ten_wide_and_three_apart() {
        let rows = vec![vec!["0123456789ab".into(), "a".into(), "x".into()]];
        insta::assert_snapshot!(table(&["CONTAINER ID", "IMAGE", "NAMES"], &rows), @r#"
        CONTAINER ID   IMAGE     NAMES
        0123456789ab   a         x
        "#);
    }
}
