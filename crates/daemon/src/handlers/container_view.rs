//! Containers as the API shows them.

use std::collections::BTreeMap;
use std::path::Path;

use api::Version;
use api::convert::{
    container_state, create_request, exit_words, health_check_shown, host_config_shown,
    mount_points, network_mode_shown, rfc3339, state_name, status_text,
};
use api::wire;
use engine::container::View;
use engine::render::{MASKED, READONLY};
use types::Signal;

use super::network_view;
use crate::handlers::system::STORAGE_DRIVER;

/// The answer to `inspect`.
pub(super) fn inspect(view: &View, version: Version) -> wire::ContainerInspect {
    let mut words = words(view);
    let path = if words.is_empty() {
        String::new()
    } else {
        words.remove(0)
    };
    wire::ContainerInspect {
        id: view.id.to_string(),
        created: rfc3339(Some(view.created)),
        path,
        args: words,
        state: container_state(&view.lifecycle, view.health.as_ref()),
        image: view.image.to_string(),
        resolv_conf_path: shown(&view.files.resolv_conf),
        hostname_path: shown(&view.files.hostname),
        hosts_path: shown(&view.files.hosts),
        log_path: view.log_path.as_deref().map(shown).unwrap_or_default(),
        name: format!("/{}", view.name),
        restart_count: view.restarts,
        process_label: view.labels[0].clone(),
        mount_label: view.labels[1].clone(),
        driver: STORAGE_DRIVER.to_owned(),
        platform: "linux".to_owned(),
        exec_ids: (!view.execs.is_empty())
            .then(|| view.execs.iter().map(ToString::to_string).collect()),
        host_config: host_config(view),
        graph_driver: (!version.has(52)).then(|| wire::GraphDriver {
            data: None,
            name: STORAGE_DRIVER.to_owned(),
        }),
        mounts: mounts(view),
        config: config(view, version),
        network_settings: network_view::settings(view, version),
        ..wire::ContainerInspect::default()
    }
}

/// A line of a listing, `now` in nanoseconds since the epoch.
pub(super) fn summary(view: &View, version: Version, now: i64) -> wire::ContainerSummary {
    wire::ContainerSummary {
        id: view.id.to_string(),
        names: [vec![format!("/{}", view.name)], view.linked_as.clone()].concat(),
        image: view.spec.image.clone(),
        image_id: view.image.to_string(),
        command: command_line(&words(view)),
        created: view.created.div_euclid(1_000_000_000),
        labels: view.resolved.labels.clone(),
        state: state_name(&view.lifecycle).to_owned(),
        status: status_text(&view.lifecycle, view.health.as_ref(), now),
        exit_reason: exit_words(&view.lifecycle),
        health: version.has(52).then(|| wire::HealthSummary {
            status: health(view).to_owned(),
            failing_streak: view.health.as_ref().map_or(0, |health| health.failing),
        }),
        host_config: wire::SummaryHostConfig {
            network_mode: network_mode_shown(&view.spec.network),
            annotations: if version.has(46) {
                view.spec.annotations.clone()
            } else {
                Default::default()
            },
        },
        ports: network_view::summary(view),
        network_settings: wire::SummaryNetworkSettings {
            networks: network_view::networks(view, version),
        },
        mounts: mounts(view),
        ..wire::ContainerSummary::default()
    }
}

/// Docker's word for how well it is.
pub(super) fn health(view: &View) -> &'static str {
    let health = view.health.as_ref();
    health.map_or("none", |health| health.status.name())
}

/// All that is mounted.
pub(super) fn mounts(view: &View) -> Vec<wire::MountPoint> {
    mount_points(&view.resolved.mounts, |name| {
        view.places
            .get(name)
            .map(|place| shown(place))
            .unwrap_or_default()
    })
}

/// Where it has volumes of its own: asked for, or by its image.
fn own_volumes(view: &View) -> Option<BTreeMap<String, wire::Empty>> {
    let paths = view.own_volumes();
    let paths: BTreeMap<_, _> = paths.map(|path| (shown(path), wire::Empty {})).collect();
    (!paths.is_empty()).then_some(paths)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn words(view: &View) -> Vec<String> {
    [
        view.resolved.entrypoint.as_slice(),
        view.resolved.command.as_slice(),
    ]
    .concat()
}

/// As dockerd joins them: arguments with blanks in quotes.
fn command_line(words: &[String]) -> String {
    let quoted = |(index, word): (usize, &String)| {
        if index > 0 && word.contains(' ') {
            format!("'{word}'")
        } else {
            word.clone()
        }
    };
    let quoted: Vec<String> = words.iter().enumerate().map(quoted).collect();
    quoted.join(" ")
}

/// The host's half, with the paths that are hidden by default.
fn host_config(view: &View) -> wire::HostConfig {
    let mut shown = host_config_shown(&view.spec);
    if !view.spec.security.privileged {
        let owned = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect();
        shown.masked_paths.get_or_insert_with(|| owned(&MASKED));
        shown.readonly_paths.get_or_insert_with(|| owned(&READONLY));
    }
    shown
}

/// What was asked for in the mode's network: older clients look for it in the container's own settings.
fn asked_mac(view: &View) -> String {
    let main = view.spec.network.network();
    let main = main.and_then(|name| view.spec.networking.endpoints.get(name));
    let mac = main.and_then(|request| request.mac_address);
    mac.map(|mac| mac.to_string()).unwrap_or_default()
}

/// The portable half: what was asked for, with the image's configuration merged in.
fn config(view: &View, version: Version) -> wire::ContainerConfig {
    let resolved = &view.resolved;
    let some = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
    let asked = create_request(&view.spec).config;
    wire::ContainerConfig {
        hostname: resolved.hostname.clone(),
        user: resolved.user.clone(),
        exposed_ports: view
            .exposed
            .iter()
            .map(|port| (port.to_string(), wire::Empty {}))
            .collect(),
        // A bare name, which removes a variable of the image's, is shown as it was given.
        env: Some(resolved.env.clone()),
        cmd: some(&resolved.command).map(wire::Words),
        entrypoint: some(&resolved.entrypoint).map(wire::Words),
        working_dir: resolved.working_dir.clone(),
        labels: Some(resolved.labels.clone()),
        volumes: own_volumes(view),
        healthcheck: resolved.health.as_ref().map(health_check_shown),
        mac_address: match version.has(52) {
            true => String::new(),
            false => asked_mac(view),
        },
        stop_signal: match &view.spec.stop_signal {
            Some(text) => text.clone(),
            None if resolved.stop_signal != Signal::TERM => resolved.stop_signal.to_string(),
            None => String::new(),
        },
        ..asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_quotes_what_has_blanks() {
        let words = ["sh", "-c", "echo hi"].map(str::to_owned);
        assert_eq!(command_line(&words), "sh -c 'echo hi'");
        assert_eq!(command_line(&[]), "");
    }
}
