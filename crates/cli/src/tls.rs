//! Daemons on TCP that show a certificate, and are shown the client's.
//!
//! What is encrypted goes through a thread of its own. The client has one end of a pair of sockets, so that what
//! is at the other end is a connection like every other: it can be closed by halves and handed over.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use api::client::Dialer;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::contexts::Material;
use crate::error::{CliError, plain};

/// How long the daemon may take for its part of the handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long what the daemon has sent before it left may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a daemon is and how it is spoken with.
struct Line {
    address: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    /// Why the last connection that broke was none.
    broken: Mutex<Option<String>>,
}

/// What connects to the daemon at an address (`host:port`) with TLS.
///
/// # Errors
/// When a file of the material cannot be used.
pub(crate) fn dialer(host: &str, address: &str, material: &Material) -> Result<Dialer, CliError> {
    let line = Arc::new(Line {
        address: address.to_owned(),
        name: server_name(address)?,
        config: Arc::new(config(material)?),
        broken: Mutex::default(),
    });
    let asked = line.clone();
    let dialer = Dialer::new(host, Arc::new(move || line.connect()));
    Ok(dialer.explained(Arc::new(move || asked.why().map(io::Error::other))))
}

fn server_name(address: &str) -> Result<ServerName<'static>, CliError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.trim_matches(['[', ']']).to_owned();
    ServerName::try_from(bare)
        .map_err(|_| CliError::Invalid(format!("{host} is no name that a certificate could have")))
}

impl Line {
    fn why(&self) -> Option<String> {
        self.broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn tell(&self, why: String) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// A connection whose handshake is over, and a thread that serves it until both ends have left.
    fn connect(self: &Arc<Self>) -> io::Result<UnixStream> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stream = runtime.block_on(self.greet())?;
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let line = self.clone();
        let serve = move || line.serve(&runtime, stream, theirs);
        thread::Builder::new().name("tls".to_owned()).spawn(serve)?;
        Ok(ours)
    }

    async fn greet(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(self.config.clone());
        let greeting = connector.connect(self.name.clone(), stream);
        match tokio::time::timeout(PATIENCE, greeting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match reason(&error) {
                Some(why) => io::Error::new(io::ErrorKind::InvalidData, why),
                None => error,
            }),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("TLS handshake timeout: nothing came for {PATIENCE:?}"),
            )),
        }
    }

    fn serve(&self, runtime: &Runtime, mut stream: TlsStream<TcpStream>, client: UnixStream) {
        runtime.block_on(async {
            let Ok(mut client) = tokio::net::UnixStream::from_std(client) else {
                return;
            };
            if let Err(error) = copy_bidirectional(&mut stream, &mut client).await {
                // With TLS 1.3 the client is let in or not only after its first words: what broke may have been
                // those, while the reason lies unread.
                let why = match reason(&error) {
                    Some(why) => Some(why),
                    None => last_words(&mut stream).await,
                };
                // Before the client sees its connection end.
                why.into_iter().for_each(|why| self.tell(why));
            }
        });
    }
}

/// Why the daemon has left, if it said so.
async fn last_words(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut unread = [0; 1024];
    let read = async {
        loop {
            match stream.read(&mut unread).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return reason(&error),
            }
        }
    };
    tokio::time::timeout(LAST_WORDS, read).await.ok().flatten()
}

/// What TLS has against the connection; none if it was not TLS.
fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(why) => {
            format!("tls: the daemon's certificate is refused: {}", refused(why))
        }
        rustls::Error::AlertReceived(alert) => format!("tls: the daemon refuses: {}", said(*alert)),
        rustls::Error::InvalidMessage(_) => {
            "tls: what answers there speaks no TLS: without --tls and --tlsverify it may be understood".to_owned()
        }
        other => format!("tls: {other}"),
    })
}

fn refused(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted has signed it (--tlscacert names others)".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "it is for {}, not for {}",
            match presented.is_empty() {
                true => "no name".to_owned(),
                false => presented.join(", "),
            },
            expected.to_str(),
        ),
        other => other.to_string(),
    }
}

fn said(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of the client (--tlscert and --tlskey)".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "none of its authorities has signed the client's certificate".to_owned()
        }
        AlertDescription::CertificateExpired => "the client's certificate has expired".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked => {
            format!("the client's certificate is not one that it takes ({alert:?})")
        }
        other => format!("{other:?}"),
    }
}

/// TLS as the material wants it.
fn config(material: &Material) -> Result<ClientConfig, CliError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let invalid = |error: &dyn std::fmt::Display| CliError::Invalid(format!("tls: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(&error))?;
    let builder = if material.anyone {
        let anybody = Arc::new(Anybody(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
    } else {
        let roots = Arc::new(roots(material.ca.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        builder.with_webpki_verifier(verifier.map_err(|error| invalid(&error))?)
    };
    let (cert, key) = match (&material.cert, &material.key) {
        (None, None) => return Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => (cert, key),
        (Some(cert), None) => return Err(alone("certificate", cert, "key (--tlskey)")),
        (None, Some(key)) => return Err(alone("key", key, "certificate (--tlscert)")),
    };
    let chain = certificates(cert)?;
    builder
        .with_client_auth_cert(chain, private_key(key)?)
        .map_err(|error| {
            let (cert, key) = (cert.display(), key.display());
            CliError::Invalid(format!("{cert} and {key} cannot be used together: {error}"))
        })
}

fn alone(what: &str, path: &Path, missing: &str) -> CliError {
    CliError::Invalid(format!(
        "the client's {what} {} is of no use without its {missing}",
        path.display()
    ))
}

/// Whose word on the daemon is taken: the file's, or without one the system's.
fn roots(file: Option<&Path>) -> Result<RootCertStore, CliError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        // Single bad files of the system do not count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return match roots.is_empty() {
            true => Err(CliError::Invalid(
                "this machine trusts no authority: name one by --tlscacert".to_owned(),
            )),
            false => Ok(roots),
        };
    };
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| CliError::Invalid(format!("{}: {error}", path.display())))?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| {
        let (path, why) = (path.display(), plain(&error));
        CliError::Invalid(format!(
            "Failed to initialize: unable to resolve docker endpoint: open {path}: {why}"
        ))
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(unusable(path, "there is no certificate (PEM) in it")),
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CliError> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("ENCRYPTED") {
        return Err(unusable(
            path,
            "the key is encrypted: one that is not is expected",
        ));
    }
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| unusable(path, "there is no private key (PEM) in it"))
}

fn unusable(path: &Path, why: &str) -> CliError {
    CliError::Invalid(format!("{}: {why}", path.display()))
}

/// Takes any certificate, as `--tls` without `--tlsverify` wants it.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
