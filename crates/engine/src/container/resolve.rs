//! What a container's process comes to: the request over the image's configuration. Pure.

use oci_spec::image::Config;
use types::{ContainerId, ContainerSpec, NetworkMode, Signal};

use super::Resolved;
use super::check::Invalid;

/// Seconds between the stop signal and SIGKILL when nobody says otherwise.
const STOP_TIMEOUT: i64 = 10;

/// Merges `spec` over the image's `config`.
pub(super) fn resolve(
    spec: &ContainerSpec,
    config: Option<&Config>,
    id: &ContainerId,
    host_name: &str,
) -> Result<Resolved, Invalid> {
    let image = config.cloned().unwrap_or_default();
    let (entrypoint, command) = process(spec, &image)?;
    let mut labels: std::collections::BTreeMap<_, _> = image
        .labels()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    labels.extend(spec.labels.clone());
    Ok(Resolved {
        entrypoint,
        command,
        env: environment(&spec.env, image.env().as_deref().unwrap_or_default()),
        working_dir: given(spec.working_dir.as_ref(), image.working_dir().as_ref()),
        user: given(spec.user.as_ref(), image.user().as_ref()),
        hostname: hostname(spec, id, host_name),
        labels,
        exposed_ports: image.exposed_ports().iter().flatten().cloned().collect(),
        stop_signal: stop_signal(spec, image.stop_signal().as_deref())?,
        stop_timeout: spec.stop_timeout.unwrap_or(STOP_TIMEOUT),
        mounts: spec.mounts.clone(),
        health: spec.health.clone(),
        shell: Vec::new(),
    })
}

/// Entry point and command. A request's entry point drops the image's command, which was written
/// for the image's own; an empty one, or the single empty word clients send for `--entrypoint ""`,
/// removes it.
fn process(spec: &ContainerSpec, image: &Config) -> Result<(Vec<String>, Vec<String>), Invalid> {
    let asked = spec.command.clone().filter(|command| !command.is_empty());
    let of_image = || image.cmd().clone().unwrap_or_default();
    let (entrypoint, command) = match &spec.entrypoint {
        None => (
            image.entrypoint().clone().unwrap_or_default(),
            asked.unwrap_or_else(of_image),
        ),
        Some(entrypoint) if entrypoint.is_empty() => (Vec::new(), asked.unwrap_or_else(of_image)),
        Some(entrypoint) if entrypoint.iter().all(String::is_empty) => {
            (Vec::new(), asked.unwrap_or_default())
        }
        Some(entrypoint) => (entrypoint.clone(), asked.unwrap_or_default()),
    };
    if entrypoint.is_empty() && command.is_empty() {
        return Err(Invalid::NoCommand);
    }
    Ok((entrypoint, command))
}

/// The request's variables, then those of the image that the request does not name.
fn environment(asked: &[String], image: &[String]) -> Vec<String> {
    let key = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let named: std::collections::HashSet<String> = asked.iter().map(|v| key(v)).collect();
    let rest = image.iter().filter(|v| !named.contains(&key(v)));
    asked.iter().chain(rest).cloned().collect()
}

fn given(asked: Option<&String>, image: Option<&String>) -> String {
    asked
        .filter(|text| !text.is_empty())
        .or(image)
        .cloned()
        .unwrap_or_default()
}

fn hostname(spec: &ContainerSpec, id: &ContainerId, host_name: &str) -> String {
    match (&spec.hostname, &spec.network) {
        (Some(name), _) if !name.is_empty() => name.clone(),
        (_, NetworkMode::Host) => host_name.to_owned(),
        _ if spec.namespaces.uts.is_host() => host_name.to_owned(),
        (_, _) => id.short().to_owned(),
    }
}

fn stop_signal(spec: &ContainerSpec, image: Option<&str>) -> Result<Signal, Invalid> {
    match (spec.stop_signal.as_deref(), image) {
        (Some(text), _) => text
            .parse()
            .map_err(|_| Invalid::StopSignal(text.to_owned())),
        (None, Some(text)) if !text.is_empty() => text
            .parse()
            .map_err(|_| Invalid::ImageStopSignal(text.to_owned())),
        (None, _) => Ok(Signal::TERM),
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ConfigBuilder;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn merged(spec: &ContainerSpec, image: &Config) -> Result<Resolved, Invalid> {
        let id = ContainerId::from_random([0xab; 32]);
        resolve(spec, Some(image), &id, "the-host")
    }

    #[test]
    fn entry_point_and_command() {
        // Image entry point, image command, asked entry point, asked command; what comes of it.
        let table = [
            ("", "sh", None, None, "[] + [sh]"),
            ("", "sh", None, Some("ls -l"), "[] + [ls -l]"),
            ("", "sh", None, Some(""), "[] + [sh]"),
            ("init", "sh", None, None, "[init] + [sh]"),
            ("init", "sh", None, Some("ls"), "[init] + [ls]"),
            ("init", "sh", Some("mine"), None, "[mine] + []"),
            ("init", "sh", Some("mine"), Some("x y"), "[mine] + [x y]"),
            ("init", "sh", Some(""), None, "[] + [sh]"),
            ("init", "sh", Some("''"), None, "no command specified"),
            ("init", "sh", Some("''"), Some("ls"), "[] + [ls]"),
            ("", "", None, None, "no command specified"),
            ("init", "", None, None, "[init] + []"),
        ];
        for (entry, cmd, asked_entry, asked_cmd, expected) in table {
            let image = ConfigBuilder::default()
                .entrypoint(words(entry))
                .cmd(words(cmd))
                .build()
                .unwrap();
            let quoted = |text: &str| match text {
                "''" => vec![String::new()],
                text => words(text),
            };
            let spec = ContainerSpec {
                entrypoint: asked_entry.map(quoted),
                command: asked_cmd.map(words),
                ..ContainerSpec::default()
            };
            let shown = merged(&spec, &image).map_or_else(
                |error| error.to_string(),
                |r| format!("[{}] + [{}]", r.entrypoint.join(" "), r.command.join(" ")),
            );
            assert_eq!(
                shown, expected,
                "{entry:?} {cmd:?} {asked_entry:?} {asked_cmd:?}"
            );
        }
    }

    #[test]
    fn the_request_goes_before_the_image() {
        let image = ConfigBuilder::default()
            .cmd(words("sh"))
            .env(words("PATH=/bin A=1 B=2"))
            .working_dir("/srv")
            .user("www")
            .stop_signal("SIGQUIT")
            .labels([
                ("a".to_owned(), "image".to_owned()),
                ("b".into(), "image".into()),
            ])
            .build()
            .unwrap();
        let spec = ContainerSpec {
            env: words("B=3 C=4 A"),
            labels: [("b".to_owned(), "asked".to_owned())].into(),
            ..ContainerSpec::default()
        };
        let resolved = merged(&spec, &image).unwrap();
        assert_eq!(resolved.env, words("B=3 C=4 A PATH=/bin"));
        assert_eq!(resolved.working_dir, "/srv");
        assert_eq!(resolved.user, "www");
        assert_eq!(resolved.hostname, "abababababab");
        assert_eq!(resolved.stop_signal.to_string(), "SIGQUIT");
        assert_eq!(resolved.stop_timeout, 10);
        assert_eq!(
            format!("{:?}", resolved.labels),
            r#"{"a": "image", "b": "asked"}"#
        );
        let spec = ContainerSpec {
            working_dir: Some("/x".into()),
            user: Some("7:8".into()),
            stop_signal: Some("SIGINT".into()),
            stop_timeout: Some(-1),
            network: NetworkMode::Host,
            ..ContainerSpec::default()
        };
        let resolved = merged(&spec, &image).unwrap();
        assert_eq!(
            (resolved.working_dir, resolved.user, resolved.hostname),
            ("/x".into(), "7:8".into(), "the-host".into())
        );
        assert_eq!(
            (resolved.stop_signal, resolved.stop_timeout),
            (Signal::INT, -1)
        );
    }
}
