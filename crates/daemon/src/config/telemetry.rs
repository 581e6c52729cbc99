//! Traces of requests: the table `telemetry` of the file, and the variables that OpenTelemetry's
//! specification names.
//!
//! The variables are not ours alone: whoever has set one may have meant others, so that one that makes no
//! sense here keeps the daemon from tracing and not from starting.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::registries::Table;
use crate::telemetry::{Encoding, Sampler, Settings};

/// Where OTLP by HTTP keeps traces.
const PATH: &str = "v1/traces";

/// The specification's own defaults.
const TIMEOUT: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_secs(5);
const QUEUE: usize = 2048;
const BATCH: usize = 512;

/// More than that is a mistake: it is memory.
const LONGEST_QUEUE: usize = 1 << 20;

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub(crate) struct Error {
    place: String,
    why: String,
}

/// Why the variables cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name}={value:?}: {expected} is expected")]
pub(crate) struct Ignored {
    name: &'static str,
    value: String,
    expected: &'static str,
}

/// The table as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Written {
    endpoint: Option<String>,
    protocol: Option<String>,
    headers: BTreeMap<String, String>,
    certificate: Option<PathBuf>,
    service_name: Option<String>,
    resource: BTreeMap<String, String>,
    ratio: Option<f64>,
}

/// The environment over the table; nothing if neither says where traces are to go.
pub(super) fn complete(
    table: Option<&Table>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Result<Option<Settings>, Ignored>, Error> {
    let written = match table {
        None => Written::default(),
        Some(table) => of_table(table)?,
    };
    let get = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    if !is_on(&get) {
        return Ok(Ok(None));
    }
    Ok(settings(&written, &get))
}

/// Whether nothing says that there are no traces.
fn is_on(get: &impl Fn(&str) -> Option<String>) -> bool {
    let disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let exporter = get("OTEL_TRACES_EXPORTER");
    !disabled && exporter.is_none_or(|exporter| exporter == "otlp")
}

fn of_table(table: &Table) -> Result<Written, Error> {
    let wrong = |why: String| Error {
        place: format!("{}: the table telemetry", table.file.display()),
        why,
    };
    let value = table.value.as_ref().unwrap_or(&Value::Null);
    let written = Written::deserialize(value).map_err(|error| wrong(error.to_string()))?;
    if let Some(endpoint) = &written.endpoint
        && !is_address(endpoint)
    {
        return Err(wrong(format!(
            "endpoint = {endpoint:?}: {ADDRESS} is expected"
        )));
    }
    if let Some(protocol) = &written.protocol
        && encoding(protocol).is_none()
    {
        return Err(wrong(format!(
            "protocol = {protocol:?}: {PROTOCOL} is expected"
        )));
    }
    match written.ratio {
        Some(ratio) if !(0.0..=1.0).contains(&ratio) => Err(wrong(format!(
            "ratio = {ratio}: a share from 0 to 1 is expected"
        ))),
        _ => Ok(written),
    }
}

const ADDRESS: &str = "an address, as http://127.0.0.1:4318,";
const PROTOCOL: &str = "http/protobuf or http/json";

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn encoding(text: &str) -> Option<Encoding> {
    match text {
        "http/protobuf" => Some(Encoding::Protobuf),
        "http/json" => Some(Encoding::Json),
        _ => None,
    }
}

fn settings(
    written: &Written,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Settings>, Ignored> {
    let Some(endpoint) = endpoint(written, get)? else {
        return Ok(None);
    };
    let traces = |name: &str| {
        get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
            .or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    let wrong = |name, value: &str, expected| Ignored {
        name,
        value: value.to_owned(),
        expected,
    };
    let protocol = traces("PROTOCOL").or_else(|| written.protocol.clone());
    let encoding = match protocol {
        None => Encoding::Protobuf,
        Some(text) => encoding(text.trim())
            .ok_or_else(|| wrong("OTEL_EXPORTER_OTLP_PROTOCOL", &text, PROTOCOL))?,
    };
    if let Some(text) = traces("COMPRESSION").filter(|text| text != "none") {
        return Err(wrong("OTEL_EXPORTER_OTLP_COMPRESSION", &text, "none"));
    }
    let mut headers: Vec<_> = written.headers.clone().into_iter().collect();
    if let Some(text) = traces("HEADERS") {
        headers
            .extend(pairs(&text).ok_or_else(|| wrong("OTEL_EXPORTER_OTLP_HEADERS", &text, PAIRS))?);
    }
    let time = |text: Option<String>, name, default| match text {
        None => Ok(default),
        Some(text) => match text.trim().parse() {
            Ok(milliseconds @ 1..=600_000) => Ok(Duration::from_millis(milliseconds)),
            _ => Err(wrong(name, &text, "milliseconds, up to ten minutes,")),
        },
    };
    let count = |name: &'static str, default| match get(name) {
        None => Ok(default),
        Some(text) => match text.trim().parse() {
            Ok(count @ 1..=LONGEST_QUEUE) => Ok(count),
            _ => Err(wrong(name, &text, "a number from 1 to 1048576")),
        },
    };
    let queue = count("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE)?;
    Ok(Some(Settings {
        endpoint,
        encoding,
        headers,
        certificate: traces("CERTIFICATE")
            .map(PathBuf::from)
            .or_else(|| written.certificate.clone()),
        timeout: time(traces("TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT)?,
        resource: resource(written, get)?,
        sampler: sampler(written, get)?,
        queue,
        batch: count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH)?.min(queue),
        delay: time(
            get("OTEL_BSP_SCHEDULE_DELAY"),
            "OTEL_BSP_SCHEDULE_DELAY",
            DELAY,
        )?,
    }))
}

/// That of traces is taken as it is; to one for everything the place of traces is added.
fn endpoint(
    written: &Written,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Ignored> {
    let variables = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    for (name, whole) in variables.into_iter().zip([true, false]) {
        let Some(text) = get(name) else { continue };
        let text = text.trim();
        if !is_address(text) {
            return Err(Ignored {
                name,
                value: text.to_owned(),
                expected: ADDRESS,
            });
        }
        return Ok(Some(if whole {
            text.to_owned()
        } else {
            with_path(text)
        }));
    }
    Ok(written.endpoint.as_deref().map(with_path))
}

fn with_path(base: &str) -> String {
    match base.trim_end_matches('/') {
        whole if whole.ends_with(PATH) => whole.to_owned(),
        base => format!("{base}/{PATH}"),
    }
}

const PAIRS: &str = "NAME=value, more of them with commas between,";

/// `NAME=value,...` with percent signs, as in W3C's Baggage.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some((name.trim().to_owned(), value.into_owned()))
        })
        .collect()
}

/// What is said of the daemon: later ones take the place of earlier ones.
fn resource(
    written: &Written,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Ignored> {
    let mut all = BTreeMap::from([
        ("service.name".to_owned(), "brigd".to_owned()),
        (
            "service.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("process.pid".to_owned(), std::process::id().to_string()),
    ]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    all.extend(host.map(|name| ("host.name".to_owned(), name.trim_end().to_owned())));
    all.extend(written.resource.clone());
    if let Some(text) = get("OTEL_RESOURCE_ATTRIBUTES") {
        all.extend(pairs(&text).ok_or_else(|| Ignored {
            name: "OTEL_RESOURCE_ATTRIBUTES",
            value: text.clone(),
            expected: PAIRS,
        })?);
    }
    let name = get("OTEL_SERVICE_NAME").or_else(|| written.service_name.clone());
    all.extend(name.map(|name| ("service.name".to_owned(), name)));
    Ok(all.into_iter().collect())
}

fn sampler(written: &Written, get: &impl Fn(&str) -> Option<String>) -> Result<Sampler, Ignored> {
    let Some(text) = get("OTEL_TRACES_SAMPLER") else {
        return Ok(Sampler {
            parent: true,
            ratio: written.ratio.unwrap_or(1.0),
        });
    };
    let parent = text.starts_with("parentbased_");
    let ratio = match text.trim_start_matches("parentbased_") {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => match get("OTEL_TRACES_SAMPLER_ARG") {
            None => 1.0,
            Some(share) => match share.trim().parse() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
                _ => {
                    return Err(Ignored {
                        name: "OTEL_TRACES_SAMPLER_ARG",
                        value: share,
                        expected: "a share from 0 to 1",
                    });
                }
            },
        },
        _ => {
            return Err(Ignored {
                name: "OTEL_TRACES_SAMPLER",
                value: text,
                expected: "always_on, always_off or traceidratio, or parentbased_ before one,",
            });
        }
    };
    Ok(Sampler { parent, ratio })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(table: Option<Value>, variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let table = table.map(|value| Table {
            file: "/f".into(),
            value: Some(value),
        });
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let read = complete(table.as_ref(), get).map_err(|error| error.to_string())?;
        read.map_err(|ignored| ignored.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    #[test]
    fn it_is_off_unless_somebody_says_where() {
        assert_eq!(read(None, &[]), Ok(None));
        let others = [
            ("OTEL_SERVICE_NAME", "x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", " "),
        ];
        assert_eq!(read(None, &others), Ok(None));
        assert_eq!(
            read(None, &[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]),
            Ok(None)
        );
        assert_eq!(
            read(None, &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]),
            Ok(None)
        );
    }

    #[test]
    fn addresses_are_where_traces_are_kept() {
        let endpoint = |table: Option<&str>, variables: &[(&str, &str)]| {
            let table = table.map(|endpoint| json!({"endpoint": endpoint}));
            read(table, variables).unwrap().unwrap().endpoint
        };
        assert_eq!(endpoint(None, &[ENDPOINT]), "http://c:4318/v1/traces");
        assert_eq!(
            endpoint(Some("http://d/otlp/"), &[]),
            "http://d/otlp/v1/traces"
        );
        assert_eq!(
            endpoint(Some("http://d/v1/traces"), &[]),
            "http://d/v1/traces"
        );
        assert_eq!(
            endpoint(Some("http://d"), &[ENDPOINT]),
            "http://c:4318/v1/traces"
        );
        let exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://e/in");
        assert_eq!(endpoint(None, &[ENDPOINT, exact]), "https://e/in");
    }

    #[test]
    fn variables_say_the_rest() {
        let settings = read(
            Some(json!({
                "endpoint": "http://d", "service-name": "engine", "resource": {"zone": "a"},
                "headers": {"x": "1"}, "ratio": 0.5,
            })),
            &[
                (
                    "OTEL_EXPORTER_OTLP_HEADERS",
                    "authorization=Bearer%20x, y=2",
                ),
                ("OTEL_RESOURCE_ATTRIBUTES", "zone=b,rack=7"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ],
        );
        let settings = settings.unwrap().unwrap();
        let said = |name: &str| {
            let found = settings.resource.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            (said("service.name"), said("zone")),
            (Some("engine"), Some("b"))
        );
        assert_eq!(said("rack"), Some("7"));
        let headers = [("x", "1"), ("authorization", "Bearer x"), ("y", "2")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings.headers, headers);
        assert_eq!(settings.encoding, Encoding::Json);
        assert_eq!(settings.timeout, Duration::from_millis(250));
        assert_eq!((settings.queue, settings.batch), (10, 10));
        let ratio = Sampler {
            parent: true,
            ratio: 0.5,
        };
        assert_eq!(settings.sampler, ratio);
        let sampled = [
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
        ];
        let ratio = Sampler {
            parent: false,
            ratio: 0.1,
        };
        assert_eq!(read(None, &sampled).unwrap().unwrap().sampler, ratio);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (table, why) in [
            (
                json!({"endpoint": "c:4318"}),
                "/f: the table telemetry: endpoint = \"c:4318\": an address, as \
                 http://127.0.0.1:4318, is expected",
            ),
            (
                json!({"endpoint": "http://c", "protocol": "grpc"}),
                "/f: the table telemetry: protocol = \"grpc\": http/protobuf or http/json is expected",
            ),
            (
                json!({"ratio": 2}),
                "/f: the table telemetry: ratio = 2: a share from 0 to 1 is expected",
            ),
        ] {
            assert_eq!(read(Some(table), &[]).unwrap_err(), why);
        }
        let grpc = [ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!(
            read(None, &grpc).unwrap_err(),
            "OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\": http/protobuf or http/json is expected"
        );
        let gzip = [ENDPOINT, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
        assert!(read(None, &gzip).is_err());
        let share = [
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "7"),
        ];
        assert!(read(None, &share).is_err());
    }
}
