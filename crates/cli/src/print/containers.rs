//! `ps` and `top`.

use std::collections::BTreeMap;

use api::wire::{ContainerSummary, ContainerTop};

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// How `ps` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Columns, template or JSON.
    pub format: Format,
    /// Only ids.
    pub quiet: bool,
    /// Nothing is shortened.
    pub no_trunc: bool,
    /// Sizes are shown.
    pub size: bool,
    /// Seconds since the epoch.
    pub now: i64,
}

/// `ps`.
pub fn list(containers: &[ContainerSummary], style: &Style) -> Result<String, CliError> {
    if style.quiet && style.format == Format::Table {
        return Ok(containers.iter().fold(String::new(), |mut text, c| {
            text.push_str(id(c, style.no_trunc));
            text.push('\n');
            text
        }));
    }
    if style.format != Format::Table {
        let rows: Vec<Row> = containers.iter().map(|c| row(c, style)).collect();
        return template::rows(&style.format, &rows, &headings());
    }
    let mut columns = vec![
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ];
    if style.size {
        columns.push("SIZE");
    }
    let lines: Vec<Vec<String>> = containers.iter().map(|c| line(c, style)).collect();
    Ok(table::table(&columns, &lines))
}

fn line(c: &ContainerSummary, style: &Style) -> Vec<String> {
    let mut cells = vec![
        id(c, style.no_trunc).to_owned(),
        image(c, style.no_trunc),
        command(c, style.no_trunc),
        units::ago(c.created, style.now),
        c.status.clone(),
        ports(c),
        names(c, style.no_trunc),
    ];
    if style.size {
        cells.push(size(c));
    }
    cells
}

fn id(c: &ContainerSummary, whole: bool) -> &str {
    if whole { &c.id } else { units::short_id(&c.id) }
}

fn image(c: &ContainerSummary, whole: bool) -> String {
    let named_by_id = !whole
        && c.image
            .strip_prefix("sha256:")
            .is_some_and(|d| d.len() == 64);
    match c.image.as_str() {
        "" => "<no image>".to_owned(),
        image if named_by_id => units::short_id(image).to_owned(),
        image => image.to_owned(),
    }
}

fn command(c: &ContainerSummary, whole: bool) -> String {
    let command = if whole {
        c.command.clone()
    } else {
        units::ellipsis(&c.command, 20)
    };
    quoted(&command)
}

/// As Go quotes: what can be printed stays.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn names(c: &ContainerSummary, whole: bool) -> String {
    let bare: Vec<&str> = c
        .names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        // A name with a slash is that of a link.
        .filter(|name| whole || !name.contains('/'))
        .collect();
    bare.join(",")
}

fn ports(c: &ContainerSummary) -> String {
    super::ports::shown(&c.ports)
}

fn size(c: &ContainerSummary) -> String {
    let own = units::size(c.size_rw.unwrap_or_default());
    match c.size_root_fs {
        Some(all) if all > 0 => format!("{own} (virtual {})", units::size(all)),
        _ => own,
    }
}

fn row(c: &ContainerSummary, style: &Style) -> Row {
    let labels: Vec<String> = c.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let networks: Vec<&str> = c
        .network_settings
        .networks
        .keys()
        .map(String::as_str)
        .collect();
    let mounts: Vec<String> = c
        .mounts
        .iter()
        .map(|m| {
            if style.no_trunc {
                m.source.clone()
            } else {
                units::ellipsis(&m.source, 15)
            }
        })
        .collect();
    let mut row = Row::from([
        ("Command", command(c, style.no_trunc)),
        ("CreatedAt", units::timestamp(c.created)),
        ("ID", id(c, style.no_trunc).to_owned()),
        ("Image", image(c, style.no_trunc)),
        ("Label", labels_as_json(&c.labels)),
        ("Labels", labels.join(",")),
        ("LocalVolumes", "0".to_owned()),
        ("Mounts", mounts.join(",")),
        ("Names", names(c, style.no_trunc)),
        ("Networks", networks.join(",")),
        ("Platform", String::new()),
        ("Ports", ports(c)),
        ("RunningFor", units::ago(c.created, style.now)),
        ("Size", size(c)),
        ("State", c.state.clone()),
        ("Status", c.status.clone()),
    ]);
    // Docker's client has no such field: JSON of whole rows is as it prints it.
    if style.format.names("ExitReason") {
        row.insert("ExitReason", c.exit_reason.clone());
    }
    row
}

fn labels_as_json(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}

fn headings() -> Row {
    [
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("ExitReason", "EXIT REASON"),
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Labels", "LABELS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Mounts", "MOUNTS"),
        ("Names", "NAMES"),
        ("Networks", "NETWORKS"),
        ("Platform", "PLATFORM"),
        ("Ports", "PORTS"),
        ("RunningFor", "CREATED"),
        ("Size", "SIZE"),
        ("State", "STATE"),
        ("Status", "STATUS"),
    ]
    .into_iter()
    .map(|(name, heading)| (name, heading.to_owned()))
    .collect()
}

/// `top`.
pub fn top(processes: &ContainerTop) -> String {
    let titles: Vec<&str> = processes.titles.iter().map(String::as_str).collect();
    table::wide(&titles, &processes.processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, name: &str, created: i64) -> ContainerSummary {
        ContainerSummary {
            id: id.repeat(64 / id.len()),
            names: vec![format!("/{name}")],
            image: "debian:12".into(),
            command: "sleep infinity and a day".into(),
            created,
            state: "running".into(),
            status: "Up 2 seconds".into(),
            labels: BTreeMap::from([("tier".into(), "web".into())]),
            size_rw: Some(1000),
            size_root_fs: Some(117_000_000),
            ..ContainerSummary::default()
        }
    }

    fn show(format: Option<&str>, change: impl FnOnce(&mut Style)) -> String {
        let all = [container("0a", "web", 1000), container("b1", "db", 400)];
        let mut style = Style {
            format: Format::parse(format),
            quiet: false,
            no_trunc: false,
            size: false,
            now: 1002,
        };
        change(&mut style);
        list(&all, &style).unwrap()
    }

    #[test]
    fn the_table() {
        insta::assert_snapshot!(show(None, |_| {}), @r#"
        CONTAINER ID   IMAGE       COMMAND                  CREATED          STATUS         PORTS     NAMES
        0a0a0a0a0a0a   debian:12   "sleep infinity and …"   2 seconds ago    Up 2 seconds             web
        b1b1b1b1b1b1   debian:12   "sleep infinity and …"   10 minutes ago   Up 2 seconds             db
        "#);
        insta::assert_snapshot!(show(None, |s| s.size = true), @r#"
        CONTAINER ID   IMAGE       COMMAND                  CREATED          STATUS         PORTS     NAMES     SIZE
        0a0a0a0a0a0a   debian:12   "sleep infinity and …"   2 seconds ago    Up 2 seconds             web       1kB (virtual 117MB)
        b1b1b1b1b1b1   debian:12   "sleep infinity and …"   10 minutes ago   Up 2 seconds             db        1kB (virtual 117MB)
        "#);
    }

    #[test]
    fn other_forms() {
        insta::assert_snapshot!(show(None, |s| s.quiet = true), @r#"
        0a0a0a0a0a0a
        b1b1b1b1b1b1
        "#);
        insta::assert_snapshot!(show(Some("{{.ID}} {{.Names}} {{.Label \"tier\"}} {{.RunningFor}}"), |_| {}), @r#"
        0a0a0a0a0a0a web web 2 seconds ago
        b1b1b1b1b1b1 db web 10 minutes ago
        "#);
        insta::assert_snapshot!(show(Some("table {{.Names}}\\t{{.Status}}"), |_| {}), @r#"
        NAMES     STATUS
        web       Up 2 seconds
        db        Up 2 seconds
        "#);
        let json = show(Some("json"), |_| {});
        let names: Vec<&str> = json.lines().next().unwrap().split("\",\"").collect();
        insta::assert_snapshot!(names[0], @r#"{"Command":"\"sleep infinity and …\""#);
    }

    #[test]
    fn commands_are_quoted_as_go_does() {
        assert_eq!(quoted("sh -c \"a\\\n\""), r#""sh -c \"a\\\n\"""#);
    }
}
