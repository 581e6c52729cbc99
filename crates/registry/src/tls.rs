//! TLS as the settings of one host want it. Made when the first request needs it: the system's
//! authorities are some hundred certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::{ClientCertificate, InvalidConfig};

/// All that decides what TLS is like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Setup {
    /// Further authorities, PEM.
    pub authorities: Vec<String>,
    /// Who this machine is.
    pub client: Option<ClientCertificate>,
    /// Whether the certificate must be right.
    pub verify: bool,
}

/// Makes the configuration; takes some milliseconds for the system's authorities.
pub(crate) fn client_config(host: &str, setup: &Setup) -> Result<ClientConfig, InvalidConfig> {
    let refused = |(what, why)| InvalidConfig::new(format!("host.{host:?}.{what}"), why);
    made(setup).map_err(refused)
}

/// TLS with a server of another kind, by the same rules: with these authorities (PEM) beside the system's,
/// and with whatever certificate the server has unless it is verified.
///
/// # Errors
/// `authorities` or `client`, and why that cannot be used.
pub fn tls_config(
    authorities: Vec<String>,
    client: Option<ClientCertificate>,
    verify: bool,
) -> Result<ClientConfig, (&'static str, String)> {
    made(&Setup {
        authorities,
        client,
        verify,
    })
}

fn made(setup: &Setup) -> Result<ClientConfig, (&'static str, String)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let refused = |what: &'static str, why: String| (what, why);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| refused("tls", e.to_string()))?;
    let builder = if setup.verify {
        let roots = roots(&setup.authorities).map_err(|why| refused("authorities", why))?;
        builder.with_root_certificates(roots)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    match &setup.client {
        None => Ok(builder.with_no_client_auth()),
        Some(pair) => {
            let (chain, key) = identity(pair).map_err(|why| refused("client", why))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| refused("client", e.to_string()))
        }
    }
}

/// Checks the PEM texts without the system's authorities.
pub(crate) fn check(setup: &Setup) -> Result<(), (&'static str, String)> {
    for pem in &setup.authorities {
        certificates(pem).map_err(|why| ("authorities", why))?;
    }
    if let Some(pair) = &setup.client {
        identity(pair).map_err(|why| ("client", why))?;
    }
    Ok(())
}

fn roots(authorities: &[String]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Single bad files of the system do not count; without any, each verification fails by itself.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for pem in authorities {
        for certificate in certificates(pem)? {
            roots
                .add(certificate)
                .map_err(|e| format!("a certificate in it cannot be used: {e}"))?;
        }
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err("there is no certificate (PEM) in it".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("it is no certificate (PEM): {error}")),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(pair: &ClientCertificate) -> Result<Identity, String> {
    let chain = certificates(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|_| "its key is no private key (PEM, not encrypted)".to_owned())?;
    Ok((chain, key))
}

/// Takes any certificate, for hosts that the configuration calls insecure.
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
