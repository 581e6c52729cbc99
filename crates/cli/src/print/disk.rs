//! `system df`.

use api::wire::{ContainerSummary, DiskUsage, ImageSummary, KindUsage, Volume};
use serde::de::DeserializeOwned;

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// One line a kind.
pub fn sums(usage: &DiskUsage, format: &Format) -> Result<String, CliError> {
    let kinds = [
        ("Images", &usage.image_usage),
        ("Containers", &usage.container_usage),
        ("Local Volumes", &usage.volume_usage),
        ("Build Cache", &usage.build_cache_usage),
    ];
    let rows: Vec<Row> = kinds.map(|(name, sums)| row(name, sums)).to_vec();
    if *format == Format::Table {
        const COLUMNS: [&str; 5] = ["Type", "TotalCount", "Active", "Size", "Reclaimable"];
        let cells = |row: &Row| -> Vec<String> { COLUMNS.iter().map(|c| row[c].clone()).collect() };
        let lines: Vec<Vec<String>> = rows.iter().map(cells).collect();
        return Ok(table::table(
            &["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"],
            &lines,
        ));
    }
    let headings = Row::from([
        ("Active", "ACTIVE".to_owned()),
        ("Reclaimable", "RECLAIMABLE".to_owned()),
        ("Size", "SIZE".to_owned()),
        ("TotalCount", "TOTAL".to_owned()),
        ("Type", "TYPE".to_owned()),
    ]);
    template::rows(format, &rows, &headings)
}

fn row(name: &str, sums: &Option<KindUsage>) -> Row {
    let sums = sums.clone().unwrap_or_default();
    let share = match sums.total_size {
        0 => String::new(),
        total => format!(" ({}%)", sums.reclaimable.saturating_mul(100) / total),
    };
    Row::from([
        ("Active", sums.active_count.to_string()),
        (
            "Reclaimable",
            format!("{}{share}", units::exact_size(sums.reclaimable)),
        ),
        ("Size", units::exact_size(sums.total_size)),
        ("TotalCount", sums.total_count.to_string()),
        ("Type", name.to_owned()),
    ])
}

/// Each image, container and volume.
pub fn details(usage: &DiskUsage, now: i64) -> String {
    let images: Vec<ImageSummary> = items(&usage.image_usage);
    let containers: Vec<ContainerSummary> = items(&usage.container_usage);
    let images: Vec<Vec<String>> = images.iter().map(|image| image_cells(image, now)).collect();
    let containers: Vec<Vec<String>> = containers
        .iter()
        .map(|container| container_cells(container, now))
        .collect();
    let mut text = String::from("Images space usage:\n\n");
    text += &table::table(
        &[
            "REPOSITORY",
            "TAG",
            "IMAGE ID",
            "CREATED",
            "SIZE",
            "SHARED SIZE",
            "UNIQUE SIZE",
            "CONTAINERS",
        ],
        &images,
    );
    text += "\nContainers space usage:\n\n";
    text += &table::table(
        &[
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "LOCAL VOLUMES",
            "SIZE",
            "CREATED",
            "STATUS",
            "NAMES",
        ],
        &containers,
    );
    text += "\nLocal Volumes space usage:\n\n";
    let volumes: Vec<Volume> = items(&usage.volume_usage);
    let volumes: Vec<Vec<String>> = volumes.iter().map(volume_cells).collect();
    text += &table::table(&["VOLUME NAME", "LINKS", "SIZE"], &volumes);
    text
}

fn volume_cells(volume: &Volume) -> Vec<String> {
    let usage = volume.usage_data.clone().unwrap_or_default();
    vec![
        volume.name.clone(),
        usage.ref_count.to_string(),
        match usage.size {
            // Its files are not the store's.
            ..0 => "N/A".to_owned(),
            size => units::exact_size(size),
        },
    ]
}

fn items<T: DeserializeOwned>(sums: &Option<KindUsage>) -> Vec<T> {
    let items = sums.iter().flat_map(|sums| sums.items.iter().flatten());
    items
        .filter_map(|item| serde_json::from_value(item.clone()).ok())
        .collect()
}

fn image_cells(image: &ImageSummary, now: i64) -> Vec<String> {
    let named = image.repo_tags.first().and_then(|tag| tag.rsplit_once(':'));
    let (repository, tag) = named.unwrap_or(("<none>", "<none>"));
    let shared = image.shared_size.max(0);
    vec![
        repository.to_owned(),
        tag.to_owned(),
        units::short_id(&image.id).to_owned(),
        units::ago(image.created, now),
        units::size(image.size),
        units::exact_size(shared),
        units::exact_size(image.size - shared),
        image.containers.to_string(),
    ]
}

fn container_cells(container: &ContainerSummary, now: i64) -> Vec<String> {
    const COMMAND: usize = 20;
    let name = container.names.first().map_or("", String::as_str);
    let local = container
        .mounts
        .iter()
        .filter(|mount| mount.r#type == "volume");
    let local = local.count();
    vec![
        units::short_id(&container.id).to_owned(),
        container.image.clone(),
        format!("\"{}\"", units::ellipsis(&container.command, COMMAND)),
        local.to_string(),
        units::exact_size(container.size_rw.unwrap_or_default()),
        units::ago(container.created, now),
        container.status.clone(),
        name.trim_start_matches('/').to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums() {
        let usage = DiskUsage {
            image_usage: Some(KindUsage {
                active_count: 1,
                total_count: 3,
                reclaimable: 25_000_000,
                total_size: 100_000_000,
                items: None,
            }),
            ..DiskUsage::default()
        };
        insta::assert_snapshot!(sums(&usage, &Format::Table).unwrap(), @r"
        TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
        Images          3         1         100MB     25MB (25%)
        Containers      0         0         0B        0B
        Local Volumes   0         0         0B        0B
        Build Cache     0         0         0B        0B
        ");
    }
}
