//! TLS on TCP: who listens shows a certificate, and asks clients for theirs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Who, subject};

/// How long a client may take for its handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// The files that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// What the daemon shows.
    pub(crate) certificate: PathBuf,
    /// The key of it.
    pub(crate) key: PathBuf,
    /// Whose clients may come in; none takes everybody.
    pub(crate) authorities: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {what} in {}", path.display())]
    Unread {
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    #[error("there is no certificate in {}", .0.display())]
    Empty(PathBuf),
    #[error("{} and {} cannot be used together", certificate.display(), key.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("the authorities in {} cannot be used", path.display())]
    Authorities {
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What makes connections encrypted ones.
pub(crate) fn acceptor(files: &Files) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pair = |source| Error::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|source| Error::Authorities {
                path: path.clone(),
                source: source.into(),
            })?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| Error::Unread {
        what: "a private key",
        path: files.key.clone(),
        source,
    })?;
    let chain = certificates(&files.certificate)?;
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unread = |source| Error::Unread {
        what: "certificates",
        path: path.to_owned(),
        source,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(unread)?
        .collect();
    let all = all.map_err(unread)?;
    match all.is_empty() {
        true => Err(Error::Empty(path.to_owned())),
        false => Ok(all),
    }
}

pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| Error::Authorities {
                path: path.to_owned(),
                source: source.into(),
            })?;
    }
    Ok(roots)
}

/// The handshake; who is there is what the client's certificate says.
pub(crate) async fn accept(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Who)> {
    let address = stream.peer_addr()?;
    let stream = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await??;
    let shown = stream.get_ref().1.peer_certificates();
    let who = match shown.and_then(|chain| chain.first()) {
        None => Who::Address(address),
        Some(certificate) => Who::Certificate {
            address,
            name: subject::common_name(certificate),
            digest: digest(certificate),
        },
    };
    Ok((stream, who))
}

fn digest(certificate: &[u8]) -> String {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(certificate);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
