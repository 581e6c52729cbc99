//! `images` and `history`.

use api::wire::{HistoryItem, ImageSummary};

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// How `images` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Columns, template or JSON.
    pub format: Format,
    /// Only ids.
    pub quiet: bool,
    /// Nothing is shortened.
    pub no_trunc: bool,
    /// Digests are shown.
    pub digests: bool,
    /// Seconds since the epoch.
    pub now: i64,
}

impl Style {
    fn wants_digests(&self) -> bool {
        let asks = |template: &String| template.contains(".Digest");
        self.digests
            || match &self.format {
                Format::Template(template) | Format::TableOf(template) => asks(template),
                Format::Table | Format::Json => false,
            }
    }
}

/// One name of one image.
struct Named<'a> {
    image: &'a ImageSummary,
    repository: &'a str,
    tag: &'a str,
    digest: &'a str,
}

const NONE: &str = "<none>";

/// `images`: a line for each name.
pub fn list(images: &[ImageSummary], style: &Style) -> Result<String, CliError> {
    let lines: Vec<Named<'_>> = images
        .iter()
        .flat_map(|image| names(image, style))
        .collect();
    if style.quiet && style.format == Format::Table {
        return Ok(lines.iter().fold(String::new(), |mut text, line| {
            text.push_str(id(line.image, style.no_trunc));
            text.push('\n');
            text
        }));
    }
    if style.format != Format::Table {
        let rows: Vec<Row> = lines.iter().map(|line| row(line, style)).collect();
        return template::rows(&raw(style), &rows, &headings());
    }
    let mut columns = vec!["REPOSITORY", "TAG"];
    if style.digests {
        columns.push("DIGEST");
    }
    columns.extend(["IMAGE ID", "CREATED", "SIZE"]);
    let cells: Vec<Vec<String>> = lines.iter().map(|line| cells(line, style)).collect();
    Ok(table::table(&columns, &cells))
}

/// `raw` is Docker's name for a template.
fn raw(style: &Style) -> Format {
    if style.format != Format::Template("raw".to_owned()) {
        return style.format.clone();
    }
    if style.quiet {
        return Format::Template("image_id: {{.ID}}".to_owned());
    }
    let digest = match style.digests {
        true => "digest: {{.Digest}}\n",
        false => "",
    };
    Format::Template(format!(
        "repository: {{{{.Repository}}}}\ntag: {{{{.Tag}}}}\n{digest}image_id: {{{{.ID}}}}\n\
         created_at: {{{{.CreatedAt}}}}\nvirtual_size: {{{{.Size}}}}\n"
    ))
}

fn names<'a>(image: &'a ImageSummary, style: &Style) -> Vec<Named<'a>> {
    let mut lines = Vec::new();
    for text in &image.repo_tags {
        let Some((repository, tag)) = text.rsplit_once(':').filter(|(r, _)| *r != NONE) else {
            continue;
        };
        let digest = if style.wants_digests() {
            digest_of(image, repository)
        } else {
            NONE
        };
        lines.push(Named {
            image,
            repository,
            tag,
            digest,
        });
    }
    for text in &image.repo_digests {
        let Some((repository, digest)) = text.split_once('@').filter(|(r, _)| *r != NONE) else {
            continue;
        };
        if !lines.iter().any(|line| line.repository == repository) {
            lines.push(Named {
                image,
                repository,
                tag: NONE,
                digest: if style.digests { digest } else { "" },
            });
        }
    }
    if lines.is_empty() {
        lines.push(Named {
            image,
            repository: NONE,
            tag: NONE,
            digest: NONE,
        });
    }
    lines
}

fn digest_of<'a>(image: &'a ImageSummary, repository: &str) -> &'a str {
    image
        .repo_digests
        .iter()
        .filter_map(|text| text.split_once('@'))
        .find(|(name, _)| *name == repository)
        .map_or(NONE, |(_, digest)| digest)
}

fn id(image: &ImageSummary, whole: bool) -> &str {
    if whole {
        &image.id
    } else {
        units::short_id(&image.id)
    }
}

fn cells(line: &Named<'_>, style: &Style) -> Vec<String> {
    let mut cells = vec![line.repository.to_owned(), line.tag.to_owned()];
    if style.digests {
        cells.push(line.digest.to_owned());
    }
    cells.extend([
        id(line.image, style.no_trunc).to_owned(),
        units::ago(line.image.created, style.now),
        units::size(line.image.size),
    ]);
    cells
}

fn row(line: &Named<'_>, style: &Style) -> Row {
    let count = |n: i64| {
        if n == -1 {
            "N/A".to_owned()
        } else {
            n.to_string()
        }
    };
    let bytes = |n: i64| {
        if n == -1 {
            "N/A".to_owned()
        } else {
            units::size(n)
        }
    };
    let image = line.image;
    let unique = if image.shared_size == -1 {
        -1
    } else {
        image.size - image.shared_size
    };
    Row::from([
        ("Containers", count(image.containers)),
        ("CreatedAt", units::timestamp(image.created)),
        ("CreatedSince", units::ago(image.created, style.now)),
        ("Digest", line.digest.to_owned()),
        ("ID", id(image, style.no_trunc).to_owned()),
        ("Repository", line.repository.to_owned()),
        ("SharedSize", bytes(image.shared_size)),
        ("Size", units::size(image.size)),
        ("Tag", line.tag.to_owned()),
        ("UniqueSize", bytes(unique)),
        ("VirtualSize", units::exact_size(image.size)),
    ])
}

fn headings() -> Row {
    [
        ("Containers", "CONTAINERS"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("SharedSize", "SHARED SIZE"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("VirtualSize", "SIZE"),
    ]
    .into_iter()
    .map(|(name, heading)| (name, heading.to_owned()))
    .collect()
}

/// How `history` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStyle {
    /// Columns, template or JSON.
    pub format: Format,
    /// Only ids.
    pub quiet: bool,
    /// Nothing is shortened.
    pub no_trunc: bool,
    /// For people.
    pub human: bool,
    /// Seconds since the epoch.
    pub now: i64,
}

/// `history`: a line for each step.
pub fn history(steps: &[HistoryItem], style: &HistoryStyle) -> Result<String, CliError> {
    if style.quiet && style.format == Format::Table {
        return Ok(steps.iter().fold(String::new(), |mut text, step| {
            text.push_str(step_id(step, style.no_trunc));
            text.push('\n');
            text
        }));
    }
    let rows: Vec<Row> = steps.iter().map(|step| step_row(step, style)).collect();
    let headings = Row::from([
        ("Comment", "COMMENT".to_owned()),
        ("CreatedAt", "CREATED AT".to_owned()),
        ("CreatedBy", "CREATED BY".to_owned()),
        ("CreatedSince", "CREATED".to_owned()),
        ("ID", "IMAGE".to_owned()),
        ("Size", "SIZE".to_owned()),
    ]);
    if style.format != Format::Table {
        return template::rows(&style.format, &rows, &headings);
    }
    const COLUMNS: [&str; 5] = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
    let cells = |row: &Row| -> Vec<String> { COLUMNS.iter().map(|c| row[c].clone()).collect() };
    let lines: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let headings = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"];
    let headings = match style.human {
        true => headings,
        false => headings.map(|h| if h == "CREATED" { "CREATED AT" } else { h }),
    };
    Ok(table::table(&headings, &lines))
}

fn step_id(step: &HistoryItem, whole: bool) -> &str {
    match whole || step.id.starts_with('<') {
        true => &step.id,
        false => units::short_id(&step.id),
    }
}

fn step_row(step: &HistoryItem, style: &HistoryStyle) -> Row {
    const LONGEST: usize = 45;
    let by = step.created_by.replace('\t', " ");
    let created = jiff::Timestamp::from_second(step.created)
        .map_or_else(|_| step.created.to_string(), |time| time.to_string());
    let since = match style.human {
        true => units::ago(step.created, style.now),
        false => created.clone(),
    };
    Row::from([
        ("Comment", step.comment.clone()),
        ("CreatedAt", created),
        (
            "CreatedBy",
            match style.no_trunc {
                true => by,
                false => units::ellipsis(&by, LONGEST),
            },
        ),
        ("CreatedSince", since),
        ("ID", step_id(step, style.no_trunc).to_owned()),
        (
            "Size",
            match style.human {
                true => units::size(step.size),
                false => step.size.to_string(),
            },
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Vec<ImageSummary> {
        vec![
            ImageSummary {
                id: format!("sha256:{}", "0a".repeat(32)),
                created: 100,
                repo_tags: vec!["debian:12".into(), "localhost:5000/a/b:latest".into()],
                repo_digests: vec![format!("debian@sha256:{}", "0a".repeat(32))],
                shared_size: -1,
                containers: -1,
                size: 117_000_000,
                ..ImageSummary::default()
            },
            ImageSummary {
                id: format!("sha256:{}", "b1".repeat(32)),
                created: 50,
                size: 8_310_000,
                ..ImageSummary::default()
            },
        ]
    }

    fn show(format: Option<&str>, change: impl FnOnce(&mut Style)) -> String {
        let mut style = Style {
            format: Format::parse(format),
            quiet: false,
            no_trunc: false,
            digests: false,
            now: 7300,
        };
        change(&mut style);
        list(&images(), &style).unwrap()
    }

    #[test]
    fn the_table() {
        insta::assert_snapshot!(show(None, |_| {}), @r#"
        REPOSITORY           TAG       IMAGE ID       CREATED       SIZE
        debian               12        0a0a0a0a0a0a   2 hours ago   117MB
        localhost:5000/a/b   latest    0a0a0a0a0a0a   2 hours ago   117MB
        <none>               <none>    b1b1b1b1b1b1   2 hours ago   8.31MB
        "#);
        insta::assert_snapshot!(show(None, |s| s.digests = true), @r#"
        REPOSITORY           TAG       DIGEST                                                                    IMAGE ID       CREATED       SIZE
        debian               12        sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a   0a0a0a0a0a0a   2 hours ago   117MB
        localhost:5000/a/b   latest    <none>                                                                    0a0a0a0a0a0a   2 hours ago   117MB
        <none>               <none>    <none>                                                                    b1b1b1b1b1b1   2 hours ago   8.31MB
        "#);
        insta::assert_snapshot!(show(None, |s| { s.quiet = true; s.no_trunc = true }), @r#"
        sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
        sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
        sha256:b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1
        "#);
        insta::assert_snapshot!(show(Some("{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}"), |_| {}), @r#"
        debian:12 0a0a0a0a0a0a 117MB
        localhost:5000/a/b:latest 0a0a0a0a0a0a 117MB
        <none>:<none> b1b1b1b1b1b1 8.31MB
        "#);
    }

    #[test]
    fn the_history() {
        let step = |id: &str, by: &str, size| HistoryItem {
            id: id.into(),
            created: 100,
            created_by: by.into(),
            size,
            ..HistoryItem::default()
        };
        let steps = [
            step(&format!("sha256:{}", "0a".repeat(32)), "CMD [\"sh\"]", 0),
            step("<missing>", &"ADD x ".repeat(20), 8_310_000),
        ];
        let mut style = HistoryStyle {
            format: Format::Table,
            quiet: false,
            no_trunc: false,
            human: true,
            now: 7300,
        };
        let text = history(&steps, &style).unwrap().replace(" \n", "|\n");
        insta::assert_snapshot!(text, @r#"
        IMAGE          CREATED       CREATED BY                                      SIZE      COMMENT
        0a0a0a0a0a0a   2 hours ago   CMD ["sh"]                                      0B       |
        <missing>      2 hours ago   ADD x ADD x ADD x ADD x ADD x ADD x ADD x AD…   8.31MB   |
        "#);
        style.human = false;
        style.format = Format::parse(Some("{{.ID}} {{.Size}} {{.CreatedSince}}"));
        insta::assert_snapshot!(history(&steps, &style).unwrap(), @r"
        0a0a0a0a0a0a 0 1970-01-01T00:01:40Z
        <missing> 8310000 1970-01-01T00:01:40Z
        ");
    }
}
