//! Brig's own: `/brig/system/check` and `/brig/mounts`.

use api::wire;
use bytes::Bytes;
use engine::image::mount;
use engine::{Checked, Checking, Image, Remedy, image};
use tokio::sync::mpsc;

use super::progress;
use super::transfers::platform_json;
use crate::app::App;
use crate::http::body::Body;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Messages that a slow client may be behind.
const BEHIND: usize = 16;

#[expect(clippy::unnecessary_wraps, reason = "as all handlers")]
pub(super) fn check(app: &App, call: &Call) -> Answer {
    let repair = call.query.flag("repair");
    let (send, receive) = mpsc::channel(BEHIND);
    let engine = app.engine.clone();
    // It is finished even when the client goes: what is being mended must not be left half done.
    let busy = app.busy.enter();
    tokio::task::spawn_blocking(move || {
        let tell = |message: &wire::Progress| {
            // A client that is gone does not want to know.
            let _ = send.blocking_send(Ok(Bytes::from(respond::json_bytes(message))));
        };
        let mut progress = |checking: &Checking| tell(&under_way(checking));
        let last = match image::check(&engine, repair, &mut progress) {
            Ok(checked) => wire::Progress {
                // A map with string keys always serializes.
                aux: serde_json::to_value(report(&checked)).ok(),
                ..wire::Progress::default()
            },
            Err(error) => progress::failure(error.chain()),
        };
        tell(&last);
        drop(busy);
    });
    Ok(respond::json_stream(Body::channel(receive)))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn under_way(checking: &Checking) -> wire::Progress {
    wire::Progress {
        status: format!("Checking {}", checking.what),
        progress_detail: Some(wire::ProgressDetail {
            current: count(checking.done),
            total: count(checking.total),
        }),
        ..wire::Progress::default()
    }
}

fn report(checked: &Checked) -> wire::CheckReport {
    let problem = |problem: &engine::Problem| wire::CheckProblem {
        text: problem.text.clone(),
        remedy: match problem.remedy {
            Remedy::Repair => "repair",
            Remedy::Mended => "mended",
            Remedy::PullAgain => "pull-again",
            Remedy::InUse => "in-use",
            Remedy::None => "none",
        }
        .to_owned(),
        images: problem.images.iter().map(ToString::to_string).collect(),
    };
    wire::CheckReport {
        blobs: count(checked.blobs),
        layers: count(checked.layers),
        images: count(checked.images),
        problems: checked.problems.iter().map(problem).collect(),
    }
}

pub(super) async fn mount(app: &App, call: &Call) -> Answer {
    let (name, platform) = (call.name.clone(), platform_json(call)?);
    let mounted = app
        .blocking(move |engine| {
            let place = mount::mount(engine, &name, platform.as_ref())?;
            let image = image::inspect(engine, &name)?;
            Ok(line(&image, &place))
        })
        .await?;
    respond::ok(&mounted)
}

pub(super) async fn unmount(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    app.blocking(move |engine| mount::unmount(engine, &name))
        .await?;
    respond::no_content()
}

pub(super) async fn mounts(app: &App) -> Answer {
    let mounted = app.blocking(mount::mounted).await?;
    let lines = mounted.iter().map(|(image, place)| line(image, place));
    respond::ok(&lines.collect::<Vec<_>>())
}

fn line(image: &Image, place: &std::path::Path) -> wire::ImageMount {
    wire::ImageMount {
        id: image.id.to_string(),
        repo_tags: image.references.iter().map(|r| r.familiar()).collect(),
        mountpoint: place.display().to_string(),
    }
}
