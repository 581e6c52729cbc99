//! Outputs that come to the client: one file, or files in a directory.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::grpc::server::{self, Request, Response};
use api::grpc::{ReceiverStream, Status, Streaming};
use buildkit::BytesMessage;
use buildkit::control::Exporter;
use buildkit::sync::Packet;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::files::{self, Packets};
use super::lend::{self, Lent, Output};
use crate::args::build::BuildArgs;
use crate::error::CliError;

/// Which of the outputs comes, by its number.
const WHICH: &str = "buildkit-attachable-exporter-id";
/// Packets that may wait for the disk.
const WAITING: usize = 64;

/// `FileSend.DiffCopy`
pub(super) async fn take(lent: Arc<Lent>, request: Request) -> Response {
    let which = request.headers().get(WHICH);
    let which = which.and_then(|which| which.to_str().ok()?.parse().ok());
    match lent.outputs.get(which.unwrap_or(0)).cloned().flatten() {
        None => server::unknown("an output that was not asked for"),
        Some(Output::Directory(path)) => {
            let into = move |messages: api::grpc::Request<Streaming<Packet>>| {
                directory(path.clone(), messages.into_inner())
            };
            server::both(request, into).await
        }
        Some(Output::File(path)) => {
            let into = move |messages: api::grpc::Request<Streaming<BytesMessage>>| {
                file(Some(path.clone()), messages.into_inner())
            };
            server::both(request, into).await
        }
        Some(Output::Stdout) => {
            let into = |messages: api::grpc::Request<Streaming<BytesMessage>>| {
                file(None, messages.into_inner())
            };
            server::both(request, into).await
        }
    }
}

async fn file(
    path: Option<PathBuf>,
    mut messages: Streaming<BytesMessage>,
) -> Result<ReceiverStream<Result<BytesMessage, Status>>, Status> {
    let shown = path.as_deref().map(Path::display);
    let shown = shown.map_or_else(|| "standard output".to_owned(), |path| path.to_string());
    let failed = |error: std::io::Error| Status::unknown(format!("{shown}: {error}"));
    let mut out: Box<dyn tokio::io::AsyncWrite + Send + Unpin> = match &path {
        None => Box::new(tokio::fs::File::from_std(
            crate::commands::stdout().map_err(failed)?,
        )),
        Some(path) => {
            if let Some(above) = path.parent() {
                tokio::fs::create_dir_all(above).await.map_err(failed)?;
            }
            Box::new(tokio::fs::File::create(path).await.map_err(failed)?)
        }
    };
    while let Some(message) = messages.message().await? {
        out.write_all(&message.data).await.map_err(failed)?;
    }
    out.flush().await.map_err(failed)?;
    let (_, nothing) = mpsc::channel(1);
    Ok(ReceiverStream::new(nothing))
}

async fn directory(path: PathBuf, mut messages: Streaming<Packet>) -> Result<Packets, Status> {
    let (out, packets) = Packets::channel();
    let (send, mut receive) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        while let Ok(Some(packet)) = messages.message().await {
            if send.send(packet).await.is_err() {
                break;
            }
        }
    });
    tokio::task::spawn_blocking(move || {
        let owner = (sys::process::user(), sys::process::group());
        if let Err(sentence) = files::receive(&path, owner, &mut receive, &out) {
            let packet = Packet {
                data: sentence.into_bytes(),
                ..Packet::of(buildkit::sync::PacketKind::Error)
            };
            // Whoever is gone hears nothing.
            let _ = out.blocking_send(vec![packet]);
        }
    });
    Ok(packets)
}

/// What becomes of the result, and which of it comes to the client.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// For the request.
    pub(super) exporters: Vec<Exporter>,
    /// Where each goes, if it comes here.
    pub(super) outputs: Vec<Option<Output>>,
}

/// Reads `--output`, `--push` and `--load`.
pub(super) fn exports(args: &BuildArgs) -> Result<Exports, CliError> {
    let mut wanted: Vec<Exporter> = args
        .output
        .iter()
        .map(|text| exporter(text))
        .collect::<Result<_, _>>()?;
    if args.push {
        add(&mut wanted, "registry", "image")?;
    }
    if args.load {
        add(&mut wanted, "docker", "image")?;
    }
    if wanted.is_empty() {
        wanted.push(plain("image"));
    }
    let mut exports = Exports::default();
    for mut one in wanted {
        if one.kind == "cacheonly" {
            continue;
        }
        let output = destination(&mut one)?;
        describe(&mut one, args)?;
        exports.exporters.push(one);
        exports.outputs.push(output);
    }
    Ok(exports)
}

fn plain(kind: &str) -> Exporter {
    Exporter {
        kind: kind.to_owned(),
        attrs: HashMap::new(),
    }
}

/// `--push` and `--load`: an output of their own, unless there is one of that kind.
fn add(wanted: &mut Vec<Exporter>, kind: &str, instead: &str) -> Result<(), CliError> {
    let push = kind == "registry";
    let alone = wanted.is_empty();
    let same = |one: &&mut Exporter| one.kind == kind || one.kind == instead;
    match wanted.iter_mut().find(same) {
        Some(one) if push => {
            one.attrs.insert("push".to_owned(), "true".to_owned());
        }
        Some(_) => {}
        None if !push || alone => wanted.push(plain(kind)),
        None => {
            return Err(CliError::Invalid(
                "push and ".to_owned() + &wanted[0].kind + " output can't be used together",
            ));
        }
    }
    Ok(())
}

/// One `--output`.
fn exporter(text: &str) -> Result<Exporter, CliError> {
    if !text.contains('=') {
        let kind = if text == "-" { "tar" } else { "local" };
        let mut one = plain(kind);
        one.attrs.insert("dest".to_owned(), text.to_owned());
        return Ok(one);
    }
    let mut attrs: HashMap<String, String> = lend::pairs(text)?.into_iter().collect();
    let kind = attrs
        .remove("type")
        .filter(|kind| !kind.is_empty())
        .ok_or_else(|| CliError::Invalid("type is required for output".to_owned()))?;
    Ok(Exporter { kind, attrs })
}

/// Takes out where it goes.
fn destination(one: &mut Exporter) -> Result<Option<Output>, CliError> {
    let dest = one.attrs.remove("dest").filter(|dest| !dest.is_empty());
    let kind = one.kind.clone();
    match (kind.as_str(), dest.as_deref()) {
        ("registry", _) => {
            one.kind = "image".to_owned();
            one.attrs.insert("push".to_owned(), "true".to_owned());
            Ok(None)
        }
        ("docker", None) => {
            one.kind = "image".to_owned();
            Ok(None)
        }
        ("local", Some("-")) | ("local", None) => Err(CliError::Invalid(
            "dest is required for local output: the directory that the files go to".to_owned(),
        )),
        ("local", Some(path)) => Ok(Some(Output::Directory(path.into()))),
        ("tar" | "oci" | "docker", None | Some("-")) => {
            if std::io::stdout().is_terminal() {
                return Err(CliError::Invalid(format!(
                    "dest file is required for {kind} exporter. refusing to write to console"
                )));
            }
            Ok(Some(Output::Stdout))
        }
        ("tar" | "oci" | "docker", Some(path)) => {
            if Path::new(path).is_dir() {
                return Err(CliError::Invalid(format!(
                    "destination file {path} is a directory"
                )));
            }
            Ok(Some(Output::File(path.into())))
        }
        // The daemon says which kinds there are.
        _ => Ok(None),
    }
}

/// Names and annotations.
fn describe(one: &mut Exporter, args: &BuildArgs) -> Result<(), CliError> {
    if !matches!(one.kind.as_str(), "image" | "oci" | "docker") {
        return Ok(());
    }
    if !args.tag.is_empty() && !one.attrs.contains_key("name") {
        one.attrs.insert("name".to_owned(), args.tag.join(","));
    }
    let pushed = one.attrs.get("push").is_some_and(|push| push == "true");
    if pushed && one.attrs.get("name").is_none_or(String::is_empty) {
        return Err(CliError::Invalid(
            "tag is needed when pushing to registry".to_owned(),
        ));
    }
    for text in &args.annotation {
        let Some((name, value)) = text.split_once('=') else {
            return Err(CliError::Invalid(format!(
                "invalid annotation {text:?}, expected key=value"
            )));
        };
        let Some((kinds, name)) = name.split_once(':') else {
            let key = format!("annotation.{name}");
            one.attrs.insert(key, value.to_owned());
            continue;
        };
        for kind in kinds.split(',') {
            annotated(kind)?;
            let key = format!("annotation-{kind}.{name}");
            one.attrs.insert(key, value.to_owned());
        }
    }
    Ok(())
}

/// Whether this is a kind of what can be annotated.
fn annotated(kind: &str) -> Result<(), CliError> {
    let of_manifest = |kind: &str| matches!(kind, "manifest" | "manifest-descriptor");
    let known = match kind.strip_suffix(']').and_then(|kind| kind.split_once('[')) {
        Some((kind, platform)) => of_manifest(kind) && platform.parse::<types::Platform>().is_ok(),
        None => of_manifest(kind) || matches!(kind, "index" | "index-descriptor"),
    };
    match known {
        true => Ok(()),
        false => Err(CliError::Invalid(format!(
            "unknown annotation type {kind:?}: manifest, manifest-descriptor, either with [PLATFORM], index or \
             index-descriptor is expected"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::request::tests::typed;

    fn shown(line: &str) -> String {
        match exports(&typed(line)) {
            Err(error) => format!("{line}: {error}"),
            Ok(all) => {
                let all = all.exporters.iter().zip(&all.outputs);
                let all = all.map(|(one, output)| {
                    let attrs: std::collections::BTreeMap<_, _> = one.attrs.iter().collect();
                    format!("{} {attrs:?} {output:?}", one.kind)
                });
                format!("{line}: [{}]", all.collect::<Vec<_>>().join("; "))
            }
        }
    }

    #[test]
    fn outputs() {
        let lines = [
            "",
            "-t a -t b:1",
            "--push -t r:5/a",
            "--push",
            "-o out",
            "-o type=local,dest=out --push -t a",
            "-o type=oci,dest=x.tar -o type=image -t a",
            "-o type=docker",
            "-o type=registry,name=r:5/b -t a",
            "-o type=cacheonly",
            "-o dest=x",
            "-o type=local",
            "-t a --annotation k=v --annotation index:k=w",
            "--annotation k",
            "--annotation manifest,index:k=v",
            "--annotation urn:k=v",
            "--annotation manifest[linux/amd64],index-descriptor:k=v",
            "--annotation index[linux/amd64]:k=v",
        ];
        insta::assert_snapshot!(lines.map(shown).join("\n"));
    }
}
