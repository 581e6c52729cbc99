//! What builds keep: listed by `/system/df`, removed by `POST /build/prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::convert::rfc3339;
use api::wire;
use builder::solve::{Prune, Record};
use serde_json::{Value, json};

use crate::app::App;
use crate::handlers::buildkit::CLIENT_FILES;
use crate::handlers::image_filter;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Everything in the cache, as the API has it.
pub(in crate::handlers) async fn records(app: &App) -> Result<Vec<Record>, Failure> {
    let solver = app.solver.clone();
    let records = tokio::task::spawn_blocking(move || solver.usage()).await?;
    records.map_err(super::refused)
}

pub(in crate::handlers) fn line(record: &Record) -> Value {
    json!({
        "ID": record.id,
        "Type": record.kind,
        "Description": record.description,
        "InUse": record.in_use,
        "Shared": record.shared,
        "Size": record.size,
        "CreatedAt": rfc3339(Some(record.created)),
        "LastUsedAt": rfc3339(Some(record.used)),
        "UsageCount": record.uses,
    })
}

/// The sums.
pub(in crate::handlers) fn kind_usage(records: &[Record], verbose: bool) -> wire::KindUsage {
    let bytes = |records: &mut dyn Iterator<Item = &Record>| {
        let sum: u64 = records.map(|record| record.size).sum();
        i64::try_from(sum).unwrap_or(i64::MAX)
    };
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    wire::KindUsage {
        active_count: count(records.iter().filter(|record| record.in_use).count()),
        total_count: count(records.len()),
        reclaimable: bytes(&mut records.iter().filter(|r| !r.in_use && !r.shared)),
        total_size: bytes(&mut records.iter().filter(|r| !r.shared)),
        items: verbose.then(|| records.iter().map(line).collect()),
    }
}

/// `POST /build/prune`
pub(in crate::handlers) async fn prune(app: &Arc<App>, call: &Call) -> Answer {
    let wish = wish(call)?;
    let app = app.clone();
    let pruned = tokio::task::spawn_blocking(move || {
        let mut pruned = app.solver.prune(&wish)?;
        let files = app.builds.prune_files(&wish);
        if files > 0 {
            pruned.reclaimed += files;
            pruned.ids.push(CLIENT_FILES.to_owned());
        }
        Ok(pruned)
    });
    let pruned = pruned.await?.map_err(super::refused)?;
    respond::ok(&wire::BuildPruned {
        caches_deleted: (!pruned.ids.is_empty()).then_some(pruned.ids),
        space_reclaimed: pruned.reclaimed,
    })
}

/// The last two are passed over: `system prune --filter label=...` sends the same to all that it prunes, and
/// no record has a label.
const FILTERS: [&str; 6] = ["until", "unused-for", "id", "type", "label", "label!"];

fn wish(call: &Call) -> Result<Prune, Failure> {
    let query = &call.query;
    let mut filters: BTreeMap<String, Vec<String>> = query.filters()?;
    let known = |name: &&String| !FILTERS.contains(&name.as_str());
    if let Some(other) = filters.keys().find(known) {
        return Err(Failure::bad_request(format!(
            "invalid filter '{other}': one of {} is expected",
            FILTERS.join(", ")
        )));
    }
    for name in ["max-used-space", "min-free-space"] {
        if query.number::<u64>(name)?.is_some_and(|bytes| bytes != 0) {
            return Err(Failure::new(
                types::ErrorKind::Unsupported,
                format!("{name} is not supported by this version of Brig: say reserved-space"),
            ));
        }
    }
    let keep = ["keep-storage", "reserved-space"];
    let keep = keep.iter().find_map(|name| query.number(name).transpose());
    let mut until = None;
    for name in ["until", "unused-for"] {
        for text in filters.remove(name).unwrap_or_default() {
            until = Some(image_filter::until(&text)?);
        }
    }
    Ok(Prune {
        all: query.flag("all"),
        until,
        keep: keep.transpose()?.unwrap_or(0),
        ids: filters.remove("id").unwrap_or_default(),
        kinds: filters.remove("type").unwrap_or_default(),
    })
}
