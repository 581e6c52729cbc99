//! `/volumes`, and Brig's own `/brig/volumes`.

use api::convert::rfc3339;
use api::wire;
use engine::volume::{self, CopiedTree, LOCAL, Request, Usage, Volume};
use hyper::StatusCode;

use super::archives;
use super::volume_filter::{Filter, PruneFilter};
use crate::access::policy::names_something;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn list(app: &App, call: &Call) -> Answer {
    let filter = Filter::read(call.query.filters()?)?;
    let volumes = app.blocking(volume::list).await?;
    let shown = volumes.iter().filter(|volume| filter.takes(volume));
    respond::ok(&wire::VolumeList {
        volumes: Some(shown.map(view).collect()),
        warnings: None,
    })
}

pub(super) async fn create(app: &App, call: Call) -> Answer {
    let peer = call.peer.clone();
    let body: Option<wire::VolumeCreateRequest> = Call::json(call.request).await?;
    let body = body.unwrap_or_default();
    if body.cluster_volume_spec.is_some() {
        return Err(Failure::new(
            types::ErrorKind::Unsupported,
            "ClusterVolumeSpec is not supported by Brig: there is no cluster",
        ));
    }
    let options = body.driver_opts.iter().flatten();
    let has_options = names_something(options.map(|(name, _)| name));
    let policy = &peer.door.policy;
    policy.may_create_volume(&body.driver, has_options)?;
    let request = Request {
        name: Some(body.name),
        driver: Some(body.driver),
        options: body.driver_opts.unwrap_or_default(),
        labels: body.labels.unwrap_or_default(),
    };
    let made = app
        .blocking(move |engine| volume::create(engine, request))
        .await?;
    Ok(respond::json(StatusCode::CREATED, &view(&made)))
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    let found = app
        .blocking(move |engine| volume::inspect(engine, &name))
        .await?;
    respond::ok(&view(&found))
}

pub(super) async fn remove(app: &App, call: &Call) -> Answer {
    let (name, force) = (call.name.clone(), call.query.flag("force"));
    app.blocking(move |engine| volume::remove(engine, &name, force))
        .await?;
    respond::no_content()
}

pub(super) async fn prune(app: &App, call: &Call) -> Answer {
    let mut filter = PruneFilter::read(call.query.filters()?)?;
    // Clients of old mean all of them.
    filter.all |= !call.version.has(42);
    let pruned = app
        .blocking(move |engine| volume::prune(engine, filter.all, |volume| filter.takes(volume)))
        .await?;
    respond::ok(&wire::VolumesPruned {
        volumes_deleted: Some(pruned.removed.iter().map(ToString::to_string).collect()),
        space_reclaimed: pruned.reclaimed,
    })
}

pub(super) async fn export(app: &App, call: &Call) -> Answer {
    let (name, wanted) = (call.name.clone(), call.name.clone());
    app.blocking(move |engine| volume::inspect(engine, &wanted))
        .await?;
    archives::send(app, call, format!("volume {name}"), move |engine, out| {
        volume::export(engine, &name, out).map_err(|error| error.chain())
    })
    .await
}

pub(super) async fn import(app: &App, call: Call) -> Answer {
    let replace = call.query.flag("replace");
    let request = named(call.name.clone());
    archives::receive(app, call, move |engine, archive| {
        volume::import(engine, request, replace, archive)
    })
    .await?;
    respond::no_content()
}

pub(super) async fn clone(app: &App, call: &Call) -> Answer {
    let (name, to) = (call.name.clone(), named(said(call, "to")?));
    let copied = app
        .blocking(move |engine| volume::clone(engine, &name, to))
        .await?;
    respond::ok(&how(copied))
}

pub(super) async fn rename(app: &App, call: &Call) -> Answer {
    let (name, to) = (call.name.clone(), said(call, "to")?);
    app.blocking(move |engine| volume::rename(engine, &name, &to))
        .await?;
    respond::no_content()
}

pub(super) async fn snapshot(app: &App, call: &Call) -> Answer {
    let (name, snapshot) = (call.name.clone(), said(call, "name")?);
    let copied = app
        .blocking(move |engine| volume::snapshot(engine, &name, &snapshot))
        .await?;
    respond::ok(&how(copied))
}

pub(super) async fn forget_snapshot(app: &App, call: &Call) -> Answer {
    let (name, snapshot) = (call.name.clone(), said(call, "name")?);
    app.blocking(move |engine| volume::forget_snapshot(engine, &name, &snapshot))
        .await?;
    respond::no_content()
}

pub(super) async fn restore(app: &App, call: &Call) -> Answer {
    let (name, snapshot) = (call.name.clone(), said(call, "snapshot")?);
    let copied = app
        .blocking(move |engine| volume::restore(engine, &name, &snapshot))
        .await?;
    respond::ok(&how(copied))
}

fn named(name: String) -> Request {
    Request {
        name: Some(name),
        ..Request::default()
    }
}

fn said(call: &Call, name: &str) -> Result<String, Failure> {
    let value = call.query.get(name).filter(|value| !value.is_empty());
    let missing = || Failure::bad_request(format!("{name} must be said"));
    value.map(str::to_owned).ok_or_else(missing)
}

fn how(copied: CopiedTree) -> wire::VolumeCopied {
    wire::VolumeCopied {
        by_reference: copied.by_reference,
        by_bytes: copied.by_bytes,
    }
}

fn view(volume: &Volume) -> wire::Volume {
    let some =
        |map: &std::collections::BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone());
    let snapshots = volume
        .snapshots
        .iter()
        .map(|snapshot| wire::VolumeSnapshot {
            name: snapshot.name.clone(),
            created_at: rfc3339(Some(snapshot.created)),
        });
    let snapshots: Vec<_> = snapshots.collect();
    wire::Volume {
        created_at: rfc3339(Some(volume.created)),
        driver: LOCAL.to_owned(),
        labels: some(&volume.labels),
        mountpoint: volume.path.display().to_string(),
        name: volume.name.to_string(),
        options: some(&volume.options),
        scope: "local".to_owned(),
        snapshots: (!snapshots.is_empty()).then_some(snapshots),
        usage_data: None,
    }
}

/// A line of `GET /system/df`.
pub(super) fn line(usage: &Usage) -> wire::Volume {
    wire::Volume {
        usage_data: Some(wire::VolumeUsage {
            ref_count: i64::try_from(usage.volume.users.len()).unwrap_or(i64::MAX),
            size: usage
                .bytes
                .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        }),
        ..view(&usage.volume)
    }
}

/// The sums of `GET /system/df`.
pub(super) fn sums(lines: &[wire::Volume]) -> wire::KindUsage {
    let size = |line: &wire::Volume| {
        line.usage_data
            .as_ref()
            .map_or(0, |usage| usage.size.max(0))
    };
    let used = |line: &&wire::Volume| line.usage_data.as_ref().is_some_and(|u| u.ref_count > 0);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    wire::KindUsage {
        active_count: count(lines.iter().filter(used).count()),
        total_count: count(lines.len()),
        reclaimable: lines.iter().filter(|line| !used(line)).map(size).sum(),
        total_size: lines.iter().map(size).sum(),
        items: None,
    }
}
