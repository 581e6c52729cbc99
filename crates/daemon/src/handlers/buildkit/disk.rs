//! `Control.DiskUsage` and `Control.Prune`

use std::sync::Arc;
use std::time::Duration;

use builder::solve::{Failure, Prune, Record};
use buildkit::control::{DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord};
use tokio_stream::Stream;
use tonic::Status;

use super::Builds;
use super::gateway::broken;
use super::status::status;
use crate::app::App;

/// The files of clients, as one thing of the cache.
pub(crate) const CLIENT_FILES: &str = "build-files";
/// What kind of a thing that is.
const CLIENT_FILES_KIND: &str = "source.local";

impl Builds {
    /// Removes the files of clients that wait for the next build, if they are among what is to go; how many bytes
    /// they had. They have no age: who keeps what is young or small keeps them.
    pub(crate) fn prune_files(&self, wish: &Prune) -> u64 {
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let meant = named(&wish.ids, CLIENT_FILES) && named(&wish.kinds, CLIENT_FILES_KIND);
        match meant && wish.keep == 0 && wish.until.is_none() {
            true => self.kept.clear(),
            false => 0,
        }
    }
}

pub(super) async fn usage(
    app: Arc<App>,
    request: DiskUsageRequest,
) -> Result<DiskUsageResponse, Status> {
    let done = tokio::task::spawn_blocking(move || {
        let cached = app.builds.solver.usage();
        let cached = cached.map_err(|failure| status(&failure))?;
        let mut record: Vec<UsageRecord> = cached.iter().map(shown).collect();
        let (bytes, count) = app.builds.kept.usage();
        if count > 0 {
            record.push(files(bytes));
        }
        Ok::<_, Status>(record)
    });
    let mut record = done.await.map_err(|error| broken(&error))??;
    record.retain(|record| matches(record, &request.filter));
    Ok(DiskUsageResponse { record })
}

pub(super) async fn prune(
    app: Arc<App>,
    request: PruneRequest,
) -> Result<impl Stream<Item = Result<UsageRecord, Status>> + Send + 'static, Status> {
    let done = tokio::task::spawn_blocking(move || {
        let mut gone = pruned(&app, &request).map_err(|failure| status(&failure))?;
        let all = request.reserved_space.max(request.max_used_space) == 0;
        if all && request.keep_duration == 0 && matches(&files(0), &request.filter) {
            let bytes = app.builds.kept.clear();
            if bytes > 0 {
                gone.push(files(bytes));
            }
        }
        Ok::<_, Status>(gone)
    });
    let gone = done.await.map_err(|error| broken(&error))??;
    Ok(tokio_stream::iter(gone.into_iter().map(Ok)))
}

fn pruned(app: &App, request: &PruneRequest) -> Result<Vec<UsageRecord>, Failure> {
    let solver = &app.builds.solver;
    let there = solver.usage()?;
    let wanted: Vec<&Record> = there
        .iter()
        .filter(|record| matches(&shown(record), &request.filter))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let until = (request.keep_duration > 0).then(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX);
        now.saturating_sub(request.keep_duration)
    });
    let ids = match request.filter.iter().all(String::is_empty) {
        true => Vec::new(),
        false => wanted.iter().map(|record| record.id.clone()).collect(),
    };
    let pruned = solver.prune(&Prune {
        all: request.all,
        until,
        keep: u64::try_from(request.reserved_space.max(request.max_used_space)).unwrap_or_default(),
        ids,
        kinds: Vec::new(),
    })?;
    let gone = there
        .iter()
        .filter(|record| pruned.ids.contains(&record.id));
    Ok(gone.map(shown).collect())
}

/// A thing of the cache in a client's words.
fn shown(record: &Record) -> UsageRecord {
    let time =
        |nanos: i64| Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()).into());
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    UsageRecord {
        id: record.id.clone(),
        mutable: record.kind == "exec.cachemount",
        in_use: record.in_use,
        size: number(record.size),
        created_at: time(record.created),
        last_used_at: time(record.used),
        usage_count: number(record.uses),
        description: record.description.clone(),
        record_type: record.kind.to_owned(),
        shared: record.shared,
        parents: Vec::new(),
    }
}

fn files(bytes: u64) -> UsageRecord {
    UsageRecord {
        id: CLIENT_FILES.to_owned(),
        mutable: true,
        size: i64::try_from(bytes).unwrap_or(i64::MAX),
        description: "files of clients for the next build".to_owned(),
        record_type: CLIENT_FILES_KIND.to_owned(),
        ..UsageRecord::default()
    }
}

/// containerd's filters, as far as clients use them: all of one text hold, one of the texts does.
fn matches(record: &UsageRecord, filters: &[String]) -> bool {
    let one = |text: &str| {
        // Clients say nothing by an empty text.
        let mut conditions = text.split(',').filter(|condition| !condition.is_empty());
        conditions.all(|condition| {
            let (name, wanted) = match condition.split_once("==") {
                Some((name, wanted)) => (name, Some(wanted)),
                None => match condition.split_once("~=") {
                    Some((name, wanted)) => (name, Some(wanted)),
                    None => (condition, None),
                },
            };
            let wanted = wanted.map(|wanted| wanted.trim_matches('"'));
            holds(record, name.trim(), wanted, condition.contains("~="))
        })
    };
    filters.is_empty() || filters.iter().any(|text| one(text))
}

fn holds(record: &UsageRecord, name: &str, wanted: Option<&str>, part: bool) -> bool {
    let truth = |is: bool| match wanted {
        None | Some("true") => is,
        Some(_) => !is,
    };
    let text = |is: &str| match wanted {
        None => !is.is_empty(),
        Some(wanted) if part => is.contains(wanted),
        Some(wanted) => is == wanted,
    };
    match name {
        "id" => wanted.is_some_and(|wanted| record.id.starts_with(wanted)),
        "type" => text(&record.record_type),
        "description" => text(&record.description),
        "inuse" => truth(record.in_use),
        "mutable" => truth(record.mutable),
        "immutable" => truth(!record.mutable),
        "shared" => truth(record.shared),
        "private" => truth(!record.shared),
        "parent" | "parents" => {
            wanted.is_some_and(|wanted| record.parents.iter().any(|p| p == wanted))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_containerds() {
        let record = files(1);
        let takes = |text: &str| matches(&record, &[text.to_owned()]);
        assert!(takes("type==source.local") && takes("mutable") && takes("mutable==true"));
        assert!(takes("type==source.local,mutable") && takes("type~=local"));
        assert!(!takes("type==regular") && !takes("inuse") && !takes("nonsense"));
        assert!(!takes("type==source.local,inuse"));
        assert!(matches(&record, &[]) && takes(""));
        assert!(matches(
            &record,
            &["inuse".to_owned(), "id==build".to_owned()]
        ));
    }
}
