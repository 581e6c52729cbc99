//! What Docker's plugin tells of builders: there is one, the daemon.

use buildkit::control;
use buildkit::control::{
    DiskUsageRequest, DiskUsageResponse, ListWorkersRequest, ListWorkersResponse, UsageRecord,
    WorkerRecord,
};

use super::Context;
use crate::args::builds::{BuildxArgs, BuildxDuArgs};
use crate::args::containers::NamesArgs;
use crate::build::solve::refused;
use crate::error::CliError;
use crate::print::{self, table, units};

/// The one builder.
const DEFAULT: &str = "default";

fn known(names: &[String]) -> Result<(), CliError> {
    match names.iter().find(|name| *name != DEFAULT) {
        None => Ok(()),
        Some(name) => Err(CliError::Invalid(format!(
            "ERROR: no builder {name:?} found: there is one, \"{DEFAULT}\""
        ))),
    }
}

async fn worker(context: &Context) -> Result<WorkerRecord, CliError> {
    context.daemon.connect().await?;
    let channel = context.daemon.client.build_control().await?;
    let answer: ListWorkersResponse = channel
        .unary(control::LIST_WORKERS, ListWorkersRequest::default())
        .await
        .map_err(|status| refused(&status))?;
    Ok(answer.record.into_iter().next().unwrap_or_default())
}

fn platforms(worker: &WorkerRecord) -> String {
    let platforms = worker.platforms.iter().map(|platform| {
        let variant = match platform.variant.as_str() {
            "" => String::new(),
            variant => format!("/{variant}"),
        };
        format!("{}/{}{variant}", platform.os, platform.architecture)
    });
    platforms.collect::<Vec<_>>().join(", ")
}

fn version(worker: &WorkerRecord) -> &str {
    let version = worker.buildkit_version.as_ref();
    version.map_or("", |version| version.version.as_str())
}

pub(super) async fn ls(args: BuildxArgs, context: Context) -> Result<u8, CliError> {
    known(&args.names)?;
    let worker = worker(&context).await?;
    let rows = [
        vec![
            format!("{DEFAULT}*"),
            "docker".to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ],
        vec![
            format!(" \\_ {DEFAULT}"),
            format!(" \\_ {DEFAULT}"),
            "running".to_owned(),
            version(&worker).to_owned(),
            platforms(&worker),
        ],
    ];
    let headings = [
        "NAME/NODE",
        "DRIVER/ENDPOINT",
        "STATUS",
        "BUILDKIT",
        "PLATFORMS",
    ];
    print::out(&table::table(&headings, &rows))?;
    Ok(0)
}

pub(super) async fn inspect(args: BuildxArgs, context: Context) -> Result<u8, CliError> {
    known(&args.names)?;
    let worker = worker(&context).await?;
    let mut labels: Vec<(&String, &String)> = worker.labels.iter().collect();
    labels.sort();
    let mut text = format!(
        "Name:          {DEFAULT}\nDriver:        docker\n\nNodes:\nName:             {DEFAULT}\n\
         Endpoint:         {DEFAULT}\nStatus:           running\nBuildKit version: {}\nPlatforms:        {}\nLabels:\n",
        version(&worker),
        platforms(&worker)
    );
    for (name, value) in labels {
        text.push_str(&format!(" {name}: {value}\n"));
    }
    print::out(&text)?;
    Ok(0)
}

pub(super) async fn choose(args: BuildxArgs, _: Context) -> Result<u8, CliError> {
    known(&args.names)?;
    Ok(0)
}

pub(super) async fn tell_version(_: NamesArgs, _: Context) -> Result<u8, CliError> {
    print::out(&format!("brig {}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}

pub(super) async fn du(args: BuildxDuArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let channel = context.daemon.client.build_control().await?;
    let filter = args.filter.iter();
    let request = DiskUsageRequest {
        filter: filter
            .map(|(name, value)| format!("{name}=={value}"))
            .collect(),
        ..DiskUsageRequest::default()
    };
    let answer: DiskUsageResponse = channel
        .unary(control::DISK_USAGE, request)
        .await
        .map_err(|status| refused(&status))?;
    let text = match args.format.as_deref() {
        Some("json") => answer.record.iter().map(|one| json(one) + "\n").collect(),
        None | Some("" | "table") if args.verbose => answer.record.iter().map(details).collect(),
        None | Some("" | "table") => listed(&answer.record),
        Some(other) => {
            return Err(CliError::Invalid(format!(
                "ERROR: the format {other:?} is not one of table and json"
            )));
        }
    };
    print::out(&text)?;
    print::out(&sums(&answer.record))?;
    Ok(0)
}

fn ago(time: Option<buildkit::Timestamp>) -> String {
    time.map_or(String::new(), |time| {
        units::ago(time.seconds, Context::now())
    })
}

fn listed(records: &[UsageRecord]) -> String {
    let rows = records.iter().map(|one| {
        vec![
            format!("{}{}", one.id, if one.mutable { "*" } else { "" }),
            (!one.in_use).to_string(),
            format!(
                "{}{}",
                units::exact_size(one.size),
                if one.shared { "*" } else { "" }
            ),
            ago(one.last_used_at),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    table::table(&["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"], &rows)
}

fn details(one: &UsageRecord) -> String {
    let mut text = format!("ID:\t\t{}\n", one.id);
    if !one.parents.is_empty() {
        text.push_str(&format!("Parents:\n - {}\n", one.parents.join("\n - ")));
    }
    text.push_str(&format!(
        "Created at:\t{}\nMutable:\t{}\nReclaimable:\t{}\nShared:\t\t{}\nSize:\t\t{}\nDescription:\t{}\nUsage count:\t{}\nLast used:\t{}\nType:\t\t{}\n\n",
        ago(one.created_at), one.mutable, !one.in_use, one.shared, units::exact_size(one.size),
        one.description, one.usage_count, ago(one.last_used_at), one.record_type
    ));
    text
}

fn json(one: &UsageRecord) -> String {
    serde_json::json!({
        "ID": one.id,
        "Description": one.description,
        "Mutable": one.mutable.to_string(),
        "Parents": one.parents,
        "Reclaimable": !one.in_use,
        "Shared": one.shared,
        "Size": units::exact_size(one.size),
        "Type": one.record_type,
        "UsageCount": one.usage_count,
        "CreatedAt": ago(one.created_at),
        "LastUsedAt": ago(one.last_used_at),
    })
    .to_string()
}

fn sums(records: &[UsageRecord]) -> String {
    let sum = |which: &dyn Fn(&UsageRecord) -> bool| -> i64 {
        records
            .iter()
            .filter(|one| which(one))
            .map(|one| one.size)
            .sum()
    };
    let (total, shared) = (sum(&|_| true), sum(&|one| one.shared));
    let mut text = String::new();
    if shared > 0 {
        text.push_str(&format!(
            "Shared:\t\t{}\nPrivate:\t{}\n",
            units::exact_size(shared),
            units::exact_size(total - shared)
        ));
    }
    text.push_str(&format!(
        "Reclaimable:\t{}\nTotal:\t\t{}\n",
        units::exact_size(sum(&|one| !one.in_use)),
        units::exact_size(total)
    ));
    text
}
