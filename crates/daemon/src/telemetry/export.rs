//! Spans on their way to a collector, by OTLP over HTTP.
//!
//! The task [`run`] has the one receiver of the queue. It holds a batch at most while it delivers; what comes
//! meanwhile waits in the queue, and is lost where that is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::message;
use super::span::Ended;
use super::{Encoding, Settings};
use crate::access::tls;

/// How often a batch is delivered before it is given up, and the first wait between.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How long the last batch may take when the daemon ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// As much of an answer is read, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 << 10;

/// Why there is no collector.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address.
    #[error("{0:?} is no address of a collector: http://HOST:PORT/PATH or https://... is expected")]
    Endpoint(String),
    /// A header.
    #[error("{0:?} is no header")]
    Header(String),
    /// TLS.
    #[error("cannot encrypt the connection to the collector")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a batch was not delivered.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot connect to {0}")]
    Connect(String, #[source] io::Error),
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
    #[error("no answer came in time")]
    Late,
    #[error("the collector answered {0}")]
    Refused(StatusCode),
}

impl Failed {
    /// OTLP names the answers after which it makes sense to come again.
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Connect(..) | Self::Http(_) | Self::Late => true,
        }
    }
}

/// Where they go, checked.
#[derive(Clone)]
pub(crate) struct Collector {
    uri: Uri,
    /// Host and port.
    place: (String, u16),
    tls: Option<(TlsConnector, ServerName<'static>)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl std::fmt::Debug for Collector {
    /// Without the headers, which may say who one is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Collector").field(&self.uri).finish()
    }
}

impl Collector {
    /// Checks the address and reads the authorities.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let wrong = || Error::Endpoint(settings.endpoint.clone());
        let uri: Uri = settings.endpoint.parse().map_err(|_| wrong())?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let tls = match encrypted {
            false => None,
            true => {
                let name = ServerName::try_from(bare.clone()).map_err(|_| wrong())?;
                Some((connector(settings)?, name))
            }
        };
        let headers = settings.headers.iter().map(|(name, value)| {
            let pair = name.parse().ok().zip(value.parse().ok());
            pair.ok_or_else(|| Error::Header(name.clone()))
        });
        Ok(Self {
            place: (bare, port),
            tls,
            headers: headers.collect::<Result<_, _>>()?,
            uri,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        let (host, port) = &self.place;
        let failed = |error| Failed::Connect(format!("{host}:{port}"), error);
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(failed)?;
        match &self.tls {
            None => begin(stream).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await;
                begin(stream.map_err(failed)?).await
            }
        }
    }

    async fn deliver(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<(), Failed> {
        let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        let answer = sender.send_request(self.request(encoding, body)).await?;
        let status = answer.status();
        // What it says is of no use but to be out of the way.
        let _ = Limited::new(answer.into_body(), LONGEST_ANSWER)
            .collect()
            .await;
        *connection = Some(sender);
        match status.is_success() {
            true => Ok(()),
            false => Err(Failed::Refused(status)),
        }
    }

    fn request(&self, encoding: Encoding, body: Bytes) -> Request<Full<Bytes>> {
        let media_type = match encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        // Both were part of an address that is one.
        *request.uri_mut() = path.parse().unwrap_or_default();
        let host = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(host) {
            headers.insert(HOST, host);
        }
        let agent = concat!("brigd/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.extend(self.headers.iter().cloned());
        request
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender; what is wrong with it is told to that.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn connector(settings: &Settings) -> Result<TlsConnector, Error> {
    let roots = match &settings.certificate {
        Some(path) => tls::authorities(path).map_err(|error| Error::Tls(error.into()))?,
        None => {
            let mut roots = RootCertStore::empty();
            // Single bad files do not count; without any, each handshake fails by itself.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// Delivers what comes until told to stop, and then what is left, if that goes quickly.
pub(super) async fn run(
    settings: Settings,
    collector: Collector,
    (mut ended, lost): (mpsc::Receiver<Ended>, Arc<AtomicU64>),
    mut stop: watch::Receiver<bool>,
) {
    let mut delivery = Delivery {
        settings,
        collector,
        connection: None,
        lost,
        failing: false,
    };
    // Outside of the work, so that it is there when that is given up.
    let mut batch = Vec::new();
    let work = async {
        while gather(&mut ended, &mut batch, &delivery.settings).await {
            delivery.batch(&batch, ATTEMPTS).await;
            batch.clear();
        }
    };
    tokio::select! {
        () = work => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    while let Ok(span) = ended.try_recv() {
        batch.push(span);
    }
    let size = delivery.settings.batch;
    let rest = async {
        for part in batch.chunks(size) {
            delivery.batch(part, 1).await;
        }
    };
    // A collector that does not answer does not keep the daemon.
    let _ = timeout(LAST_WORDS, rest).await;
}

/// The first that comes and those that come soon after; false when no more can.
async fn gather(
    ended: &mut mpsc::Receiver<Ended>,
    batch: &mut Vec<Ended>,
    settings: &Settings,
) -> bool {
    match ended.recv().await {
        Some(first) => batch.push(first),
        None => return false,
    }
    let fill = async {
        while batch.len() < settings.batch {
            match ended.recv().await {
                Some(span) => batch.push(span),
                None => return,
            }
        }
    };
    let _ = timeout(settings.delay, fill).await;
    true
}

struct Delivery {
    settings: Settings,
    collector: Collector,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// How many have not been delivered.
    lost: Arc<AtomicU64>,
    /// Whether it was told of that it fails.
    failing: bool,
}

impl Delivery {
    async fn batch(&mut self, batch: &[Ended], attempts: u32) {
        let Settings {
            encoding, resource, ..
        } = &self.settings;
        let encoding = *encoding;
        let body = Bytes::from(message::encode(encoding, resource, batch));
        let mut wait = FIRST_WAIT;
        for attempt in 1..=attempts {
            let delivered = self
                .collector
                .deliver(&mut self.connection, encoding, body.clone());
            let delivered = timeout(self.settings.timeout, delivered).await;
            let failed = match delivered.unwrap_or(Err(Failed::Late)) {
                Ok(()) => return self.delivered(),
                Err(failed) => failed,
            };
            if attempt == attempts || !failed.may_pass() {
                let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                self.lost.fetch_add(count, Ordering::Relaxed);
                return self.failed(&failed);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// Told of once, and again when it has passed: a collector that is gone does not fill the log.
    fn failed(&mut self, failed: &Failed) {
        if !std::mem::replace(&mut self.failing, true) {
            let why = std::error::Error::source(failed);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            tracing::warn!(
                "traces do not reach {}: {failed}{why}",
                self.settings.endpoint
            );
        }
    }

    fn delivered(&mut self) {
        if std::mem::take(&mut self.failing) {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            tracing::info!(
                "traces reach {} again; {lost} spans were lost",
                self.settings.endpoint
            );
        }
    }
}
