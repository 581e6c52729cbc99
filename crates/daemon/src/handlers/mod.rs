//! One file a resource. A handler decodes, makes one call of the engine, and encodes.

mod absent;
mod archive;
mod archives;
mod attach;
mod build;
mod buildkit;
mod commit;
mod container_filter;
mod container_view;
mod containers;
mod disk;
mod event_filter;
mod events;
mod exec;
mod image_filter;
mod image_view;
mod images;
mod info;
mod log_details;
mod logs;
mod network_filter;
mod network_view;
mod networks;
mod progress;
mod registry;
mod registry_auth;
mod run;
mod secrets;
mod stats;
mod store;
mod system;
mod transfers;
mod volume_filter;
mod volumes;

use std::sync::Arc;

use crate::app::App;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::http::router::Operation as Op;

pub(crate) use buildkit::Builds;
pub(crate) use run::Runs;

/// Serves a request whose operation is known.
pub(crate) async fn handle(operation: Op, app: Arc<App>, call: Call) -> Answer {
    match operation {
        Op::Ping => Ok(system::ping()),
        Op::Version => system::version(),
        Op::Info => info::info(&app, &call).await,
        Op::ContainerList => containers::list(&app, &call).await,
        Op::ContainerCreate if run::is_wanted(&call) => run::run(&app, call).await,
        Op::ContainerCreate => containers::create(&app, call).await,
        Op::ContainerInspect => containers::inspect(&app, &call).await,
        Op::ContainerTop => containers::top(&app, &call).await,
        Op::ContainerLogs => logs::logs(&app, &call),
        Op::ContainerResize => containers::resize(&app, &call).await,
        Op::ContainerStart => containers::start(&app, call).await,
        Op::ContainerStop => containers::stop(&app, &call).await,
        Op::ContainerRestart => containers::restart(&app, &call).await,
        Op::ContainerKill => containers::kill(&app, &call).await,
        Op::ContainerAttach => attach::attach(&app, call),
        Op::ContainerAttachWs => attach::attach_ws(&app, call),
        Op::ContainerWait => containers::wait(&app, &call).await,
        Op::ContainerRemove => containers::remove(&app, &call).await,
        Op::ContainerStats => stats::stats(&app, &call).await,
        Op::ContainerUpdate => containers::update(&app, call).await,
        Op::ContainerRename => containers::rename(&app, &call).await,
        Op::ContainerPause => containers::pause(&app, &call).await,
        Op::ContainerUnpause => containers::unpause(&app, &call).await,
        Op::ContainerPrune => containers::prune(&app, &call).await,
        Op::Build => build::build(&app, call).await,
        Op::BuildCancel => build::cancel(&app, &call),
        Op::BuildPrune => build::prune(&app, &call).await,
        Op::ContainerArchiveStat => archive::stat(&app, &call).await,
        Op::ContainerArchiveGet => archive::get(&app, &call).await,
        Op::ContainerArchivePut => archive::put(&app, call).await,
        Op::ContainerExport => archive::export(&app, &call).await,
        Op::ContainerChanges => archive::changes(&app, &call).await,
        Op::ContainerCommit => commit::commit(&app, call).await,
        Op::ExecCreate => exec::create(&app, call).await,
        Op::ExecStart => exec::start(&app, call).await,
        Op::ExecResize => exec::resize(&app, &call).await,
        Op::ExecInspect => exec::inspect(&app, &call).await,
        other => rest(other, app, call).await,
    }
}

/// What is not about one container.
async fn rest(operation: Op, app: Arc<App>, call: Call) -> Answer {
    match operation {
        Op::CacheList | Op::CacheExport | Op::CacheImport | Op::CacheLimit | Op::CacheRemove => {
            build::named::answer(operation, app, call).await
        }
        Op::ImageList => images::list(&app, &call).await,
        Op::ImageCreate => images::create(&app, call).await,
        Op::ImageLoad => images::load(&app, call).await,
        Op::ImageSave => images::save(&app, &call).await,
        Op::ImageSaveOne => images::save_one(&app, &call).await,
        Op::ImageInspect => images::inspect(&app, &call).await,
        Op::ImageTag => images::tag(&app, &call).await,
        Op::ImageRemove => images::remove(&app, &call).await,
        Op::SystemUpgrade => Ok(system::upgrade(&app)),
        Op::SystemUpgradeState => respond::ok(&app.upgrades.state()),
        Op::SystemCheck => store::check(&app, &call),
        Op::MountList => store::mounts(&app).await,
        Op::ImageMount => store::mount(&app, &call).await,
        Op::ImageUnmount => store::unmount(&app, &call).await,
        Op::Events => events::events(&app, &call),
        Op::DiskUsage => disk::usage(&app, &call).await,
        Op::ImageHistory => images::history(&app, &call).await,
        Op::ImageAttestations => images::attestations(&app, &call).await,
        Op::ImagePush => transfers::push(&app, &call).await,
        Op::ImagePrune => images::prune(&app, &call).await,
        Op::ImageSearch => registry::search(&app, &call).await,
        Op::Auth => registry::auth(&app, call).await,
        Op::Distribution => registry::distribution(&app, &call).await,
        Op::Manifest => registry::manifest(&app, &call).await,
        Op::ManifestCopy => registry::copy_manifest(&app, &call).await,
        Op::ManifestPut => registry::put_manifest(&app, call).await,
        Op::VolumeList => volumes::list(&app, &call).await,
        Op::VolumeCreate => volumes::create(&app, call).await,
        Op::VolumeInspect => volumes::inspect(&app, &call).await,
        Op::VolumeRemove => volumes::remove(&app, &call).await,
        Op::VolumePrune => volumes::prune(&app, &call).await,
        Op::VolumeExport => volumes::export(&app, &call).await,
        Op::VolumeImport => volumes::import(&app, call).await,
        Op::VolumeClone => volumes::clone(&app, &call).await,
        Op::VolumeRename => volumes::rename(&app, &call).await,
        Op::VolumeSnapshot => volumes::snapshot(&app, &call).await,
        Op::VolumeSnapshotRemove => volumes::forget_snapshot(&app, &call).await,
        Op::VolumeRestore => volumes::restore(&app, &call).await,
        Op::NetworkList => networks::list(&app, &call).await,
        Op::NetworkInspect => networks::inspect(&app, &call).await,
        Op::NetworkCreate => networks::create(&app, call).await,
        Op::NetworkRemove => networks::remove(&app, &call).await,
        Op::NetworkConnect => networks::connect(&app, call).await,
        Op::NetworkDisconnect => networks::disconnect(&app, call).await,
        Op::NetworkExplain => networks::explain(&app, &call).await,
        Op::NetworkPrune => networks::prune(&app, &call).await,
        Op::SecretList => secrets::list(&app).await,
        Op::SecretCreate => secrets::create(&app, call).await,
        Op::SecretUpdate => secrets::update(&app, call).await,
        Op::SecretInspect => secrets::inspect(&app, &call).await,
        Op::SecretRemove => secrets::remove(&app, &call).await,
        Op::Swarm => absent::manager(),
        Op::SwarmJoin => absent::join(),
        Op::SwarmLeave => absent::leave(),
        Op::VolumeUpdate => absent::volume(),
        Op::PluginList => absent::plugins(&call),
        Op::Plugin => absent::plugin(&call),
        Op::PluginInstall => absent::install(),
        Op::Grpc | Op::Session => buildkit::taken(operation, &app, call),
        // Those above, and what is answered before a handler is looked for.
        _ => Ok(respond::status(hyper::StatusCode::NOT_FOUND)),
    }
}
