//! `inspect`, `version` and `info`: whole documents.

use std::fmt::Write as _;

use api::wire::{Info, Version};
use serde::Serialize;
use serde_json::{Value, json};

use super::shapes::Shape;
use super::{complain, out, template, units};
use crate::error::CliError;

/// Prints what `inspect` found, then tells what it did not find; the exit code says whether all
/// was there.
pub fn objects(found: &[Value], failures: &[String], format: Option<&str>) -> Result<u8, CliError> {
    told(found, &[], (failures, format), str::to_owned)
}

/// The same of objects of these kinds.
pub fn shaped(
    found: &[(Value, Shape)],
    failures: &[String],
    format: Option<&str>,
) -> Result<u8, CliError> {
    let (found, shapes): (Vec<Value>, Vec<Shape>) = found.iter().cloned().unzip();
    told(&found, &shapes, (failures, format), str::to_owned)
}

/// The same of what the client itself knows. Go's library writes that as HTML may have it; what the daemon tells it
/// leaves as it is.
pub fn own_objects(
    found: &[Value],
    failures: &[String],
    format: Option<&str>,
) -> Result<u8, CliError> {
    told(found, &[], (failures, format), |json| {
        // Outside of strings there are none.
        let escaped = json.replace('<', "\\u003c").replace('>', "\\u003e");
        escaped.replace('&', "\\u0026")
    })
}

fn told(
    found: &[Value],
    shapes: &[Shape],
    (failures, format): (&[String], Option<&str>),
    written: fn(&str) -> String,
) -> Result<u8, CliError> {
    match format.unwrap_or_default() {
        "" => out(&written(&indented(found)?))?,
        "json" => {
            let objects: Vec<String> = found.iter().map(Value::to_string).collect();
            out(&written(&format!("[{}]\n", objects.join(","))))?;
        }
        text => {
            if found.is_empty() {
                // An empty line, as by Docker's client.
                out("\n")?;
            }
            let shapes = shapes
                .iter()
                .copied()
                .chain(std::iter::repeat(Shape::Plain));
            for (object, shape) in found.iter().zip(shapes) {
                out(&format!("{}\n", template::shaped(text, object, shape)?))?;
            }
        }
    }
    for failure in failures {
        complain(failure);
    }
    Ok(u8::from(!failures.is_empty()))
}

/// Four spaces a level, as Go's `json.Indent`.
fn indented(objects: &[Value]) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    objects
        .serialize(&mut serializer)
        .map_err(|error| CliError::Invalid(error.to_string()))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|error| CliError::Invalid(error.to_string()))
}

/// The client's half of `version`.
pub fn client_version(api: &str) -> Value {
    json!({
        "Platform": {"Name": "Brig"},
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": api,
        "DefaultAPIVersion": api::Version::MAX.to_string(),
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": types::Platform::host().architecture,
        "BuildTime": "",
        "Context": "default",
    })
}

/// `version`.
pub fn version(
    client: &Value,
    server: Option<&Version>,
    format: Option<&str>,
) -> Result<String, CliError> {
    match format.unwrap_or_default() {
        "" => Ok(version_text(client, server)),
        "json" => Ok(format!("{}\n", document(client, server))),
        text => {
            let mut document = document(client, server);
            // Templates use the names of Go's fields, which differ here from those of the JSON.
            for half in ["Client", "Server"] {
                if let Some(Value::Object(fields)) = document.get_mut(half)
                    && let Some(api) = fields.get("ApiVersion").cloned()
                {
                    fields.insert("APIVersion".to_owned(), api);
                }
            }
            Ok(format!("{}\n", template::document(text, &document)?))
        }
    }
}

fn document(client: &Value, server: Option<&Version>) -> Value {
    json!({"Client": client, "Server": server})
}

fn version_text(client: &Value, server: Option<&Version>) -> String {
    let field = |name: &str| client.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!(
        "Client: Brig\n Version:           {}\n API version:       {}\n OS/Arch:           {}/{}\n",
        field("Version"),
        field("ApiVersion"),
        field("Os"),
        field("Arch")
    );
    let Some(server) = server else {
        return text;
    };
    let _ = write!(text, "\nServer: {}\n", server.platform.name);
    let line = |text: &mut String, name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {:17} {value}", format!("{name}:"));
        }
    };
    text.push_str(" Engine:\n");
    line(&mut text, "Version", &server.version);
    line(
        &mut text,
        "API version",
        &format!(
            "{} (minimum version {})",
            server.api_version, server.min_api_version
        ),
    );
    line(&mut text, "Git commit", &server.git_commit);
    line(&mut text, "Built", &server.build_time);
    line(
        &mut text,
        "OS/Arch",
        &format!("{}/{}", server.os, server.arch),
    );
    line(&mut text, "Experimental", &server.experimental.to_string());
    for part in &server.components {
        if part.name != "Engine" {
            let _ = writeln!(text, " {}:", part.name);
            line(&mut text, "Version", &part.version);
        }
    }
    text
}

/// `info`.
pub fn info(info: Option<&Info>, format: Option<&str>) -> Result<String, CliError> {
    let client = json!({
        "Debug": false,
        "Version": env!("CARGO_PKG_VERSION"),
        "Context": "default",
        "Plugins": [],
        "Warnings": null,
    });
    let document = || {
        let mut document = info.map_or_else(|| json!({}), |info| json!(info));
        if let Value::Object(fields) = &mut document {
            fields.insert("ClientInfo".to_owned(), client.clone());
        }
        document
    };
    match format.unwrap_or_default() {
        "" => Ok(info_text(info)),
        "json" => Ok(format!("{}\n", document())),
        text => Ok(format!("{}\n", template::document(text, &document())?)),
    }
}

fn info_text(info: Option<&Info>) -> String {
    let mut text = format!(
        "Client: Brig\n Version:    {}\n Context:    default\n Debug Mode: false\n\nServer:\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(info) = info {
        server_text(info, &mut text);
    }
    text
}

fn server_text(info: &Info, text: &mut String) {
    let mut line = |depth: usize, name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{:depth$}{name}: {value}", "");
    };
    line(1, "Containers", &info.containers);
    line(2, "Running", &info.containers_running);
    line(2, "Paused", &info.containers_paused);
    line(2, "Stopped", &info.containers_stopped);
    line(1, "Images", &info.images);
    line(1, "Server Version", &info.server_version);
    line(1, "Storage Driver", &info.driver);
    for [name, value] in &info.driver_status {
        line(2, name, value);
    }
    line(1, "Logging Driver", &info.logging_driver);
    line(1, "Cgroup Driver", &info.cgroup_driver);
    line(1, "Cgroup Version", &info.cgroup_version);
    let runtimes: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
    line(1, "Runtimes", &runtimes.join(" "));
    line(1, "Default Runtime", &info.default_runtime);
    line(1, "Init Binary", &info.init_binary);
    let options: Vec<String> = info
        .security_options
        .iter()
        .map(|option| security_option(option))
        .collect();
    if !options.is_empty() {
        let _ = write!(text, " Security Options:\n{}", options.concat());
    }
    machine_text(info, text);
}

fn machine_text(info: &Info, text: &mut String) {
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, " {name}: {value}");
    };
    line("Kernel Version", &info.kernel_version);
    line("Operating System", &info.operating_system);
    line("OSType", &info.os_type);
    line("Architecture", &info.architecture);
    line("CPUs", &info.ncpu);
    line("Total Memory", &units::binary_size(info.mem_total));
    line("Name", &info.name);
    line("ID", &info.id);
    line("Root Dir", &info.docker_root_dir);
    line("Debug Mode", &info.debug);
    line("Experimental", &info.experimental_build);
    line("Live Restore Enabled", &info.live_restore_enabled);
}

/// `name=seccomp,profile=builtin` as two lines.
fn security_option(option: &str) -> String {
    let mut lines = String::new();
    for pair in option.split(',') {
        let _ = match pair.split_once('=') {
            Some(("name", name)) => writeln!(lines, "  {name}"),
            Some((key, value)) => {
                let mut letters = key.chars();
                let capital: String = letters
                    .next()
                    .map(|c| c.to_ascii_uppercase())
                    .into_iter()
                    .chain(letters)
                    .collect();
                writeln!(lines, "   {capital}: {value}")
            }
            None => writeln!(lines, "  {pair}"),
        };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Version {
        Version {
            version: "0.1.0".into(),
            api_version: "1.55".into(),
            min_api_version: "1.24".into(),
            os: "linux".into(),
            arch: "amd64".into(),
            ..Version::default()
        }
    }

    #[test]
    fn versions() {
        let client = client_version("1.55");
        let show = |format| version(&client, Some(&server()), format).unwrap();
        assert_eq!(
            show(Some("{{.Server.APIVersion}} {{.Client.Version}}")),
            "1.55 0.1.0\n"
        );
        assert!(show(None).contains("\n Engine:\n  Version:          0.1.0\n"));
        assert!(
            version(&client, None, Some("json"))
                .unwrap()
                .contains("\"Server\":null")
        );
    }

    #[test]
    fn facts() {
        let facts = Info {
            containers: 3,
            mem_total: 8_199_999_488,
            security_options: vec!["name=seccomp,profile=builtin".into()],
            ..Info::default()
        };
        let text = info(Some(&facts), None).unwrap();
        for line in [
            "\n Containers: 3\n",
            "\n  seccomp\n   Profile: builtin\n",
            "\n Total Memory: 7.637GiB\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert_eq!(info(Some(&facts), Some("{{.Containers}}")).unwrap(), "3\n");
    }

    #[test]
    fn objects_are_indented_by_four() {
        insta::assert_snapshot!(indented(&[json!({"b": [], "a": {"x": 1}})]).unwrap(), @r#"
        [
            {
                "b": [],
                "a": {
                    "x": 1
                }
            }
        ]
        "#);
    }
}
