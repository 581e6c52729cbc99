//! `volume ls`.

use api::wire::Volume;
use serde_json::json;

use super::table;
use super::template::{self, Format, Row};
use crate::error::CliError;

/// A line for each volume.
pub fn list(volumes: &[Volume], format: &Format, quiet: bool) -> Result<String, CliError> {
    if quiet {
        return Ok(volumes.iter().map(|v| format!("{}\n", v.name)).collect());
    }
    if *format == Format::Table {
        let lines: Vec<Vec<String>> = volumes
            .iter()
            .map(|volume| vec![volume.driver.clone(), volume.name.clone()])
            .collect();
        return Ok(table::table(&["DRIVER", "VOLUME NAME"], &lines));
    }
    let rows: Vec<Row> = volumes.iter().map(row).collect();
    let headings = Row::from([
        ("Availability", "AVAILABILITY".to_owned()),
        ("Driver", "DRIVER".to_owned()),
        ("Group", "GROUP".to_owned()),
        ("Labels", "LABELS".to_owned()),
        ("Links", "LINKS".to_owned()),
        ("Mountpoint", "MOUNTPOINT".to_owned()),
        ("Name", "VOLUME NAME".to_owned()),
        ("Scope", "SCOPE".to_owned()),
        ("Size", "SIZE".to_owned()),
        ("Status", "STATUS".to_owned()),
    ]);
    template::rows(format, &rows, &headings)
}

fn row(volume: &Volume) -> Row {
    // What only clusters have, and what a listing does not count.
    let unknown = || "N/A".to_owned();
    let labels = volume.labels.iter().flatten();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Row::from([
        ("Availability", unknown()),
        ("Driver", volume.driver.clone()),
        ("Group", unknown()),
        ("Label", json!(volume.labels).to_string()),
        ("Labels", labels.join(",")),
        ("Links", unknown()),
        ("Mountpoint", volume.mountpoint.clone()),
        ("Name", volume.name.clone()),
        ("Scope", volume.scope.clone()),
        ("Size", unknown()),
        ("Status", unknown()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let volume = |name: &str| Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            scope: "local".to_owned(),
            mountpoint: format!("/v/{name}"),
            ..Volume::default()
        };
        let volumes = [volume("db"), volume("cache")];
        let shown = |format: Option<&str>| list(&volumes, &Format::parse(format), false).unwrap();
        insta::assert_snapshot!(shown(None), @r"
        DRIVER    VOLUME NAME
        local     db
        local     cache
        ");
        insta::assert_snapshot!(shown(Some("{{.Name}} {{.Mountpoint}}")), @r"
        db /v/db
        cache /v/cache
        ");
        insta::assert_snapshot!(shown(Some("json")).lines().next().unwrap(), @r#"{"Availability":"N/A","Driver":"local","Group":"N/A","Labels":"","Links":"N/A","Mountpoint":"/v/db","Name":"db","Scope":"local","Size":"N/A","Status":"N/A"}"#);
        assert_eq!(list(&volumes, &Format::Table, true).unwrap(), "db\ncache\n");
    }
}
