//! Pull and push: work of the engine that is told as a stream of messages. When the client goes, so
//! does its look at the work, and with the last look the work.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::Version;
use api::wire;
use bytes::Bytes;
use engine::Engine;
use engine::image::{self, Failed, Finished, Transfer, pull, push, registries};
use tokio::sync::mpsc;
use tokio::time::Instant;
use types::{ImageRef, Platform};

use super::progress::{self, Told, Way};
use super::registry_auth::credentials;
use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::places;

/// How often a client is told of progress.
const PACE: Duration = Duration::from_millis(100);

/// Messages that a slow client may be behind.
const BEHIND: usize = 16;

/// `POST /images/create?fromImage=`
pub(super) async fn pull(app: &Arc<App>, call: &Call) -> Answer {
    let credentials = credentials(call);
    let name = call.query.get("fromImage").unwrap_or_default();
    let wanted = named(name, call.query.get("tag"))?;
    let platform = call.query.get("platform").map(str::parse::<Platform>);
    let platform = platform.transpose()?;
    let request = |reference: ImageRef| pull::Request {
        reference,
        platform: platform.clone(),
        all_platforms: call.query.flag("allPlatforms"),
        credentials: credentials.clone(),
    };
    let requests: Vec<_> = match wanted {
        Wanted::One(reference) => vec![request(reference)],
        Wanted::EveryTag(repository) => registries::tags(&app.engine, &repository, &credentials)
            .await?
            .into_iter()
            .map(request)
            .collect(),
    };
    let place = app.places.enter(&call.peer, places::Way::Pull).await;
    let mut requests = requests.into_iter();
    let Some(first) = requests.next() else {
        return Err(Failure::new(
            types::ErrorKind::NotFound,
            format!("repository {name} has no tags"),
        ));
    };
    let (first, begun) = begin_pull(&app.engine, first).await?;
    let client = Client::new(Way::Pull, call.version);
    let engine = app.engine.clone();
    Ok(client.answer(app, |client| async move {
        let _place = place;
        client.tell_pull(&first, begun).await?;
        for request in requests {
            match begin_pull(&engine, request).await {
                Ok((first, begun)) => client.tell_pull(&first, begun).await?,
                Err(failed) => return client.fail(failed.message().to_owned()).await,
            }
        }
        Some(())
    }))
}

/// Up to the registry's first word: until then a failure has a status.
async fn begin_pull(
    engine: &Engine,
    request: pull::Request,
) -> Result<(ImageRef, Transfer), Failure> {
    let reference = request.reference.clone();
    let mut transfer = pull::pull(engine, request)?;
    match transfer.begun().await {
        image::Progress {
            begun: false,
            end: Some(Err(failed)),
            ..
        } => Err(Failure::new(failed.kind(), failed.message)),
        _ => Ok((reference, transfer)),
    }
}

/// `POST /images/{name}/push`
pub(super) async fn push(app: &Arc<App>, call: &Call) -> Answer {
    let credentials = credentials(call);
    let platform = platform_json(call)?;
    let wanted = named(&call.name, call.query.get("tag"))?;
    let repository = match &wanted {
        Wanted::One(reference) | Wanted::EveryTag(reference) => reference.clone(),
    };
    if repository.digest().is_some() {
        return Err(Failure::bad_request("cannot push a digest reference"));
    }
    let client = Client::new(Way::Push, call.version);
    let engine = app.engine.clone();
    Ok(client.answer(app, |client| async move {
        let refers = format!(
            "The push refers to repository [{}]",
            repository.repository()
        );
        client.send(progress::line(refers)).await?;
        let references = match wanted {
            Wanted::One(reference) => vec![reference],
            Wanted::EveryTag(repository) => match here(&engine, repository).await {
                Ok(references) => references,
                Err(failure) => return client.fail(failure.message().to_owned()).await,
            },
        };
        for reference in references {
            let request = push::Request {
                reference: reference.clone(),
                platform: platform.clone(),
                credentials: credentials.clone(),
            };
            match push::push(&engine, request) {
                Ok(transfer) => client.tell_push(&reference, transfer).await?,
                Err(error) => return client.fail(error.chain()).await,
            }
        }
        Some(())
    }))
}

async fn here(engine: &Engine, repository: ImageRef) -> Result<Vec<ImageRef>, Failure> {
    let engine = engine.clone();
    let found = tokio::task::spawn_blocking(move || push::tags_here(&engine, &repository));
    Ok(found.await??)
}

/// What a name and a tag mean together.
#[derive(Debug, PartialEq)]
enum Wanted {
    One(ImageRef),
    /// A name alone.
    EveryTag(ImageRef),
}

fn named(name: &str, tag: Option<&str>) -> Result<Wanted, Failure> {
    // "pull -a" of old clients sends the colon without a tag.
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.is_empty() {
        return Err(Failure::bad_request("invalid reference format"));
    }
    if let Some(tag) = tag {
        let joint = if tag.contains(':') { '@' } else { ':' };
        let bare: ImageRef = name.parse()?;
        let text = format!("{}{joint}{tag}", bare.repository());
        return Ok(Wanted::One(text.parse()?));
    }
    let reference: ImageRef = name.parse()?;
    let last = name.rfind('/').map_or(name, |slash| &name[slash..]);
    match last.contains([':', '@']) {
        true => Ok(Wanted::One(reference)),
        false => Ok(Wanted::EveryTag(reference)),
    }
}

/// `platform`, as JSON: how the API has it in places that are newer.
pub(super) fn platform_json(call: &Call) -> Result<Option<Platform>, Failure> {
    call.query.get("platform").map(read_platform).transpose()
}

/// The same where several may stand.
pub(super) fn platforms(call: &Call, key: &str) -> Result<Vec<Platform>, Failure> {
    let texts = call.query.all(key).filter(|text| !text.is_empty());
    texts.map(read_platform).collect()
}

fn read_platform(text: &str) -> Result<Platform, Failure> {
    if !text.trim_start().starts_with('{') {
        return Ok(text.parse()?);
    }
    let wire: wire::OciPlatform = serde_json::from_str(text)
        .map_err(|error| Failure::bad_request(format!("invalid platform {text}: {error}")))?;
    let variant = match wire.variant.as_str() {
        "" => String::new(),
        variant => format!("/{variant}"),
    };
    Ok(format!("{}/{}{variant}", wire.os, wire.architecture).parse()?)
}

/// Who is told. Its verbs answer none once the client is gone.
struct Client {
    way: Way,
    version: Version,
    send: mpsc::Sender<Result<Bytes, io::Error>>,
    receive: Option<mpsc::Receiver<Result<Bytes, io::Error>>>,
}

impl Client {
    fn new(way: Way, version: Version) -> Self {
        let (send, receive) = mpsc::channel(BEHIND);
        Self {
            way,
            version,
            send,
            receive: Some(receive),
        }
    }

    /// The answer whose body is what `tell` tells.
    fn answer<F>(mut self, app: &App, tell: impl FnOnce(Self) -> F) -> hyper::Response<Body>
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let receive = self.receive.take();
        let body = receive.map_or_else(Body::empty, Body::channel);
        let telling = tell(self);
        app.spawn(async move {
            // Whether the client is still there is of no interest at the end.
            let _ = telling.await;
        });
        respond::json_stream(body)
    }

    async fn send(&self, message: wire::Progress) -> Option<()> {
        let bytes = respond::json_bytes(&message);
        self.send.send(Ok(bytes.into())).await.ok()
    }

    async fn fail(&self, message: String) -> Option<()> {
        self.send(progress::failure(message)).await?;
        None
    }

    async fn tell_pull(&self, reference: &ImageRef, transfer: Transfer) -> Option<()> {
        let id = reference.digest().map(ToString::to_string);
        let id = id.or_else(|| reference.tag().map(str::to_owned));
        self.send(wire::Progress {
            status: format!("Pulling from {}", reference.path()),
            id: id.unwrap_or_default(),
            ..wire::Progress::default()
        })
        .await?;
        let finished = self.follow(transfer).await?;
        self.send(progress::line(format!("Digest: {}", finished.digest)))
            .await?;
        let what = match finished.fresh {
            true => "Downloaded newer image",
            false => "Image is up to date",
        };
        self.send(progress::line(format!(
            "Status: {what} for {}",
            reference.familiar()
        )))
        .await?;
        self.tell_note(&finished).await
    }

    async fn tell_note(&self, finished: &Finished) -> Option<()> {
        match &finished.note {
            Some(note) => self.send(progress::line(note.clone())).await,
            None => Some(()),
        }
    }

    async fn tell_push(&self, reference: &ImageRef, transfer: Transfer) -> Option<()> {
        let finished = self.follow(transfer).await?;
        self.tell_note(&finished).await?;
        let tag = reference.tag().unwrap_or_default();
        let (digest, size) = (&finished.digest, finished.size);
        let status = format!("{tag}: digest: {digest} size: {size}");
        self.send(progress::line(status)).await?;
        let result = wire::PushResult {
            tag: tag.to_owned(),
            digest: digest.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
        };
        self.send(wire::Progress {
            progress_detail: Some(wire::ProgressDetail::default()),
            aux: Some(result.to_value()),
            ..wire::Progress::default()
        })
        .await
    }

    /// Tells of progress, at a pace that people can read, until the end.
    async fn follow(&self, mut transfer: Transfer) -> Option<Finished> {
        let mut told = Told::new(self.way, self.version);
        let end = loop {
            let now = transfer.now();
            let last = Instant::now();
            for message in told.news(&now) {
                self.send(message).await?;
            }
            if let Some(end) = now.end {
                break end;
            }
            let next = async {
                transfer.changed().await;
                let ended = transfer.ended();
                // The end is told at once.
                let _ = tokio::time::timeout_at(last + PACE, ended).await;
            };
            tokio::select! {
                () = next => {}
                () = self.send.closed() => return None,
            }
        };
        match end {
            Ok(finished) => Some(finished),
            Err(Failed { message, .. }) => {
                self.fail(message).await;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags() {
        let show = |name: &str, tag: Option<&str>| match named(name, tag) {
            Ok(Wanted::One(reference)) => reference.familiar(),
            Ok(Wanted::EveryTag(reference)) => format!("all of {}", reference.familiar_name()),
            Err(failure) => failure.message().to_owned(),
        };
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (name, tag, expected) in [
            ("debian", Some("12"), "debian:12".to_owned()),
            ("debian", None, "all of debian".to_owned()),
            ("debian:", None, "all of debian".to_owned()),
            ("debian:12", None, "debian:12".to_owned()),
            ("debian:11", Some("12"), "debian:12".to_owned()),
            (
                "localhost:5000/a",
                None,
                "all of localhost:5000/a".to_owned(),
            ),
            ("debian", Some(&*digest), format!("debian@{digest}")),
            (
                &*format!("debian@{digest}"),
                None,
                format!("debian@{digest}"),
            ),
            ("", None, "invalid reference format".to_owned()),
            (
                "Debian",
                None,
                "invalid reference format: repository name (library/Debian) must be lowercase"
                    .to_owned(),
            ),
        ] {
            assert_eq!(show(name, tag), expected, "{name} {tag:?}");
        }
    }
}
