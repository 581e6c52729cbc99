//! Certificates for keys that live for minutes (Fulcio), or that an authority of one's own has signed.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::der::{BOOLEAN, OCTET_STRING, OID, Reader, SEQUENCE, UTF8_STRING};
use super::key::PublicKey;
use crate::manifest::shorten;

/// Key purpose "code signing", 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// Subject alternative name, 2.5.29.17.
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Fulcio's issuer as text, 1.3.6.1.4.1.57264.1.1.
const ISSUER: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];
/// The same as a UTF8String, 1.3.6.1.4.1.57264.1.8.
const ISSUER_2: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];
/// `rfc822Name` among general names.
const EMAIL: u8 = 0x81;
/// More above a certificate are not looked at.
const MAX_CHAIN: usize = 8;

/// Authorities, and what their certificates have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    /// Who has vouched for the subject, for Fulcio.
    pub(super) issuer: Option<String>,
    pub(super) email: Option<String>,
    pub(super) hostname: Option<String>,
}

/// All certificates of a PEM file.
pub(super) fn from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("it is no PEM: {error}"))?;
    if all.is_empty() {
        return Err("it holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(all)
}

/// Whether these can be roots.
pub(super) fn check_roots(roots: &[CertificateDer<'static>]) -> Result<(), String> {
    let usable = |root| anchor_from_trusted_cert(root).map(drop);
    let checked = roots.iter().try_for_each(usable);
    checked.map_err(|error| format!("a certificate in it cannot be a root: {error}"))
}

impl Authority {
    /// The key of a certificate that one of the roots stands behind, at a time in seconds since 1970.
    pub(super) fn key(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &str,
        at: i64,
    ) -> Result<PublicKey, String> {
        let above = CertificateDer::pem_slice_iter(chain.as_bytes()).take(MAX_CHAIN);
        let above: Result<Vec<_>, _> = above.collect();
        let mut above = above.map_err(|_| "the chain of its certificate is no PEM")?;
        above.extend(self.intermediates.iter().cloned());
        let leaf = EndEntityCert::try_from(certificate)
            .map_err(|error| format!("its certificate cannot be read: {error}"))?;
        let anchors: Result<Vec<TrustAnchor<'_>>, _> =
            self.roots.iter().map(anchor_from_trusted_cert).collect();
        let anchors = anchors.map_err(|error| error.to_string())?;
        let at = u64::try_from(at).map_err(|_| "its time is before 1970")?;
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &above,
            UnixTime::since_unix_epoch(Duration::from_secs(at)),
            KeyUsage::required_if_present(CODE_SIGNING),
            None,
            None,
        )
        .map_err(|error| format!("its certificate is not good: {error}"))?;
        self.check_subject(certificate, &leaf)?;
        PublicKey::from_info(&leaf.subject_public_key_info())
    }

    fn check_subject(
        &self,
        certificate: &CertificateDer<'_>,
        leaf: &EndEntityCert<'_>,
    ) -> Result<(), String> {
        let said = said(certificate).ok_or("its certificate cannot be read")?;
        if let Some(wanted) = &self.issuer {
            let found = said
                .issuer
                .ok_or("its certificate names no issuer of an identity")?;
            if found != *wanted {
                return Err(format!(
                    "its certificate says that {:?} knows the signer, {wanted:?} is expected",
                    shorten(&found)
                ));
            }
        }
        if let Some(wanted) = &self.email
            && !said.emails.contains(wanted)
        {
            let found = shorten(&said.emails.join(", "));
            return Err(format!(
                "its certificate is for {found:?}, {wanted:?} is expected"
            ));
        }
        if let Some(wanted) = &self.hostname {
            let name = DnsName::try_from(wanted.as_str()).map_err(|error| error.to_string())?;
            let name = ServerName::DnsName(name);
            let valid = leaf.verify_is_valid_for_subject_name(&name);
            valid.map_err(|_| format!("its certificate is not for the host {wanted:?}"))?;
        }
        Ok(())
    }
}

/// What a certificate says of its subject, beside its name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    emails: Vec<String>,
    issuer: Option<String>,
}

/// RFC 5280, 4.1: the extensions are the last of the fields, with the tag 3.
fn said(certificate: &[u8]) -> Option<Said> {
    const EXTENSIONS: u8 = 0xa3;
    let mut fields = Reader(certificate).inside(SEQUENCE)?.inside(SEQUENCE)?;
    let mut said = Said::default();
    let mut second = None;
    while !fields.0.is_empty() {
        if !fields.is_next(EXTENSIONS) {
            fields.next()?;
            continue;
        }
        let mut extensions = fields.inside(EXTENSIONS)?.inside(SEQUENCE)?;
        while !extensions.0.is_empty() {
            let mut extension = extensions.inside(SEQUENCE)?;
            let name = extension.take(OID)?;
            if extension.is_next(BOOLEAN) {
                extension.next()?;
            }
            let value = extension.take(OCTET_STRING)?;
            match name {
                ALTERNATIVE_NAME => said.emails = emails(value)?,
                ISSUER => said.issuer = Some(String::from_utf8(value.to_vec()).ok()?),
                ISSUER_2 => second = Some(text(Reader(value).take(UTF8_STRING)?)?),
                _ => {}
            }
        }
    }
    // Two that do not agree are no word at all.
    if let Some(second) = second {
        match &said.issuer {
            Some(first) if *first != second => return None,
            _ => said.issuer = Some(second),
        }
    }
    Some(said)
}

fn emails(names: &[u8]) -> Option<Vec<String>> {
    let mut names = Reader(names).inside(SEQUENCE)?;
    let mut emails = Vec::new();
    while !names.0.is_empty() {
        let (tag, value) = names.next()?;
        if tag == EMAIL {
            emails.push(text(value)?);
        }
    }
    Some(emails)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
