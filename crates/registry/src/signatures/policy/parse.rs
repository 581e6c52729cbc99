//! From the file's text to the policy. Strict: what is not known is refused by its name, because a
//! misspelt requirement is none.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::certificate::{self, Authority};
use super::super::identity::{Identity, Named};
use super::super::json::Object;
use super::super::key::PublicKey;
use super::super::openpgp::Keyring;
use super::{Policy, Requirement, Trust, place};

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{why}", place, if place.is_empty() { "" } else { ": " })]
pub struct InvalidPolicy {
    /// Where in the file: `transports.docker["docker.io"][0]`.
    place: String,
    /// What is wrong there and what is expected.
    why: String,
}

/// Reads the files that a policy names.
type Read<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Vec<Box<RawValue>>,
    #[serde(default)]
    transports: Object<Object<Vec<Box<RawValue>>>>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

/// All fields that any requirement has; which one has which is looked at before.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields {
    key_type: Option<String>,
    key_path: Option<PathBuf>,
    key_paths: Option<Vec<PathBuf>>,
    key_data: Option<String>,
    key_datas: Option<Vec<String>>,
    rekor_public_key_path: Option<PathBuf>,
    rekor_public_key_paths: Option<Vec<PathBuf>>,
    rekor_public_key_data: Option<String>,
    rekor_public_key_datas: Option<Vec<String>>,
    fulcio: Option<Box<RawValue>>,
    pki: Option<Box<RawValue>>,
    signed_identity: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fulcio {
    ca_path: Option<PathBuf>,
    ca_data: Option<String>,
    oidc_issuer: String,
    subject_email: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pki {
    ca_roots_path: Option<PathBuf>,
    ca_roots_data: Option<String>,
    ca_intermediates_path: Option<PathBuf>,
    ca_intermediates_data: Option<String>,
    subject_email: Option<String>,
    subject_hostname: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IdentityFields {
    docker_reference: Option<String>,
    docker_repository: Option<String>,
    prefix: Option<String>,
    signed_prefix: Option<String>,
}

const SIGNED_BY: &[&str] = &[
    "type",
    "keyType",
    "keyPath",
    "keyPaths",
    "keyData",
    "signedIdentity",
];
const SIGSTORE: &[&str] = &[
    "type",
    "keyPath",
    "keyPaths",
    "keyData",
    "keyDatas",
    "fulcio",
    "pki",
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
    "signedIdentity",
];
const FULCIO: &[&str] = &["caPath", "caData", "oidcIssuer", "subjectEmail"];
const PKI: &[&str] = &[
    "caRootsPath",
    "caRootsData",
    "caIntermediatesPath",
    "caIntermediatesData",
    "subjectEmail",
    "subjectHostname",
];

impl Policy {
    /// Reads a policy and, by `read`, the keys that it names.
    ///
    /// # Errors
    /// The first thing that is wrong, and its place.
    pub fn parse(
        text: &[u8],
        read: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, InvalidPolicy> {
        let document: Document = serde_json::from_slice(text).map_err(|error| InvalidPolicy {
            place: String::new(),
            why: format!("it is no policy: {error}"),
        })?;
        let all = |at: &str, list: &[Box<RawValue>]| requirements(at, list, &read);
        let mut transports = Vec::new();
        for (transport, scopes) in document.transports.0 {
            let scopes = scopes
                .0
                .iter()
                .map(|(scope, list)| Ok((scope.clone(), all(&place(&transport, scope), list)?)));
            let scopes = scopes.collect::<Result<_, _>>()?;
            transports.push((transport, scopes));
        }
        Ok(Self {
            default: all("default", &document.default)?,
            transports,
        })
    }
}

fn requirements(
    at: &str,
    list: &[Box<RawValue>],
    read: Read<'_>,
) -> Result<Vec<Requirement>, InvalidPolicy> {
    let wrong = |place: String| move |why| InvalidPolicy { place, why };
    if list.is_empty() {
        let why =
            "there is no requirement: say insecureAcceptAnything if none is wanted".to_owned();
        return Err(wrong(at.to_owned())(why));
    }
    let one = |(number, text): (usize, &RawValue)| {
        requirement(text, read).map_err(wrong(format!("{at}[{number}]")))
    };
    list.iter()
        .map(AsRef::as_ref)
        .enumerate()
        .map(one)
        .collect()
}

fn requirement(text: &RawValue, read: Read<'_>) -> Result<Requirement, String> {
    let Typed { kind } = value(text)?;
    let known: &[&str] = match kind.as_str() {
        "insecureAcceptAnything" | "reject" => &["type"],
        "signedBy" => SIGNED_BY,
        "sigstoreSigned" => SIGSTORE,
        _ => {
            return Err(format!(
                "the type {kind:?} is not known: insecureAcceptAnything, reject, signedBy or \
                 sigstoreSigned is expected"
            ));
        }
    };
    let fields: Fields = known_fields(text, known)?;
    match kind.as_str() {
        "insecureAcceptAnything" => Ok(Requirement::Anything),
        "reject" => Ok(Requirement::Reject),
        "signedBy" => signed_by(fields, read),
        _ => sigstore(fields, read),
    }
}

fn value<T: DeserializeOwned>(text: &RawValue) -> Result<T, String> {
    serde_json::from_str(text.get()).map_err(|error| error.to_string())
}

/// An object that has no other fields than these, and none twice.
fn known_fields<T: DeserializeOwned>(text: &RawValue, known: &[&str]) -> Result<T, String> {
    let fields: Object<serde::de::IgnoredAny> = value(text)?;
    let unknown = fields
        .0
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(format!(
            "the field {name:?} is not known: {} are",
            known.join(", ")
        ));
    }
    value(text)
}

fn signed_by(fields: Fields, read: Read<'_>) -> Result<Requirement, String> {
    match fields.key_type.as_deref() {
        Some("GPGKeys") => {}
        Some(other) => return Err(format!("keyType is {other:?}, \"GPGKeys\" is expected")),
        None => return Err("keyType is missing, \"GPGKeys\" is expected".to_owned()),
    }
    let sources = [
        from_path("keyPath", fields.key_path, read)?,
        from_paths("keyPaths", fields.key_paths, read)?,
        from_data("keyData", fields.key_data)?,
    ];
    let found = only(sources, "keyPath, keyPaths or keyData")?;
    let keys = found.ok_or("no key is named: one of keyPath, keyPaths and keyData is expected")?;
    let rings = each(keys, Keyring::parse)?;
    Ok(Requirement::SignedBy {
        keys: Keyring::join(rings),
        identity: identity(fields.signed_identity.as_deref())?,
    })
}

fn sigstore(fields: Fields, read: Read<'_>) -> Result<Requirement, String> {
    let sources = [
        from_path("keyPath", fields.key_path, read)?,
        from_paths("keyPaths", fields.key_paths, read)?,
        from_data("keyData", fields.key_data)?,
        from_datas("keyDatas", fields.key_datas)?,
    ];
    let keys = only(sources, "keyPath, keyPaths, keyData or keyDatas")?;
    let sources = [
        from_path("rekorPublicKeyPath", fields.rekor_public_key_path, read)?,
        from_paths("rekorPublicKeyPaths", fields.rekor_public_key_paths, read)?,
        from_data("rekorPublicKeyData", fields.rekor_public_key_data)?,
        from_datas("rekorPublicKeyDatas", fields.rekor_public_key_datas)?,
    ];
    let rekor = only(sources, "rekorPublicKeyPath, ...Paths, ...Data or ...Datas")?;
    let rekor = each(rekor.unwrap_or_default(), log_key)?;
    let trust = match (keys, fields.fulcio, fields.pki) {
        (Some(keys), None, None) => Trust::Keys(each(keys, PublicKey::from_pem)?),
        (None, Some(_), None) if rekor.is_empty() => {
            return Err(
                "fulcio is there without a key of a log, by which its certificates are dated: \
                 rekorPublicKeyPath or the like is expected"
                    .to_owned(),
            );
        }
        (None, Some(text), None) => Trust::Fulcio(in_field("fulcio", fulcio(&text, read))?),
        (None, None, Some(_)) if !rekor.is_empty() => {
            return Err("rekorPublicKey... is not known beside pki".to_owned());
        }
        (None, None, Some(text)) => Trust::Pki(in_field("pki", pki(&text, read))?),
        _ => {
            return Err(
                "one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki is expected, and one only"
                    .to_owned(),
            );
        }
    };
    Ok(Requirement::Sigstore {
        trust,
        rekor,
        identity: identity(fields.signed_identity.as_deref())?,
    })
}

fn log_key(pem: &[u8]) -> Result<PublicKey, String> {
    let key = PublicKey::from_pem(pem)?;
    key.is_ecdsa()
        .then_some(key)
        .ok_or_else(|| "a log's key is one of ECDSA".to_owned())
}

fn fulcio(text: &RawValue, read: Read<'_>) -> Result<Authority, String> {
    let fields: Fulcio = known_fields(text, FULCIO)?;
    let sources = [
        from_path("caPath", fields.ca_path, read)?,
        from_data("caData", fields.ca_data)?,
    ];
    let roots = only(sources, "caPath or caData")?;
    let roots = roots.ok_or("no authority is named: one of caPath and caData is expected")?;
    Ok(Authority {
        roots: certificates(roots, true)?,
        intermediates: Vec::new(),
        issuer: Some(fields.oidc_issuer),
        email: Some(fields.subject_email),
        hostname: None,
    })
}

fn pki(text: &RawValue, read: Read<'_>) -> Result<Authority, String> {
    let fields: Pki = known_fields(text, PKI)?;
    let sources = [
        from_path("caRootsPath", fields.ca_roots_path, read)?,
        from_data("caRootsData", fields.ca_roots_data)?,
    ];
    let roots = only(sources, "caRootsPath or caRootsData")?;
    let roots =
        roots.ok_or("no authority is named: one of caRootsPath and caRootsData is expected")?;
    let sources = [
        from_path("caIntermediatesPath", fields.ca_intermediates_path, read)?,
        from_data("caIntermediatesData", fields.ca_intermediates_data)?,
    ];
    let between = only(sources, "caIntermediatesPath or caIntermediatesData")?;
    if fields.subject_email.is_none() && fields.subject_hostname.is_none() {
        return Err("nobody is named: subjectEmail or subjectHostname is expected".to_owned());
    }
    Ok(Authority {
        roots: certificates(roots, true)?,
        intermediates: certificates(between.unwrap_or_default(), false)?,
        issuer: None,
        email: fields.subject_email,
        hostname: fields.subject_hostname,
    })
}

fn certificates(
    named: Vec<Content>,
    roots: bool,
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, String> {
    let read = |pem: &[u8]| {
        let all = certificate::from_pem(pem)?;
        if roots {
            certificate::check_roots(&all)?;
        }
        Ok(all)
    };
    Ok(each(named, read)?.concat())
}

/// Bytes, and what they are called in sentences.
type Content = (String, Vec<u8>);

fn from_path(
    field: &str,
    path: Option<PathBuf>,
    read: Read<'_>,
) -> Result<Option<Vec<Content>>, String> {
    from_paths(field, path.map(|path| vec![path]), read)
}

fn from_paths(
    field: &str,
    paths: Option<Vec<PathBuf>>,
    read: Read<'_>,
) -> Result<Option<Vec<Content>>, String> {
    let one = |path: PathBuf| {
        let name = format!("{field} {}", path.display());
        if !path.is_absolute() {
            return Err(format!("{name}: an absolute path is expected"));
        }
        let bytes = read(&path).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, bytes))
    };
    paths
        .map(|paths| some(field, paths)?.into_iter().map(one).collect())
        .transpose()
}

fn from_data(field: &str, data: Option<String>) -> Result<Option<Vec<Content>>, String> {
    from_datas(field, data.map(|data| vec![data]))
}

fn from_datas(field: &str, data: Option<Vec<String>>) -> Result<Option<Vec<Content>>, String> {
    let one = |text: String| {
        let bytes = BASE64_STANDARD.decode(text);
        let bytes = bytes.map_err(|_| format!("{field} is no base64"))?;
        Ok((field.to_owned(), bytes))
    };
    data.map(|data| some(field, data)?.into_iter().map(one).collect())
        .transpose()
}

fn some<T>(field: &str, list: Vec<T>) -> Result<Vec<T>, String> {
    if list.is_empty() {
        return Err(format!("{field} is empty"));
    }
    Ok(list)
}

/// The one source that is named, if one is.
fn only<const N: usize>(
    sources: [Option<Vec<Content>>; N],
    names: &str,
) -> Result<Option<Vec<Content>>, String> {
    let mut named = sources.into_iter().flatten();
    let first = named.next();
    match named.next() {
        None => Ok(first),
        Some(_) => Err(format!("only one of {names} is expected")),
    }
}

fn each<T>(
    named: Vec<Content>,
    parse: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let one = |(name, bytes): Content| parse(&bytes).map_err(|why| format!("{name}: {why}"));
    named.into_iter().map(one).collect()
}

fn in_field<T>(field: &str, parsed: Result<T, String>) -> Result<T, String> {
    parsed.map_err(|why| format!("{field}: {why}"))
}

fn identity(text: Option<&RawValue>) -> Result<Identity, String> {
    let Some(text) = text else {
        return Ok(Identity::RepoDigestOrExact);
    };
    in_field("signedIdentity", identity_of(text))
}

fn identity_of(text: &RawValue) -> Result<Identity, String> {
    let Typed { kind } = value(text)?;
    let known: &[&str] = match kind.as_str() {
        "matchExact" | "matchRepoDigestOrExact" | "matchRepository" | "matchDigest" => &["type"],
        "exactReference" => &["type", "dockerReference"],
        "exactRepository" => &["type", "dockerRepository"],
        "remapIdentity" => &["type", "prefix", "signedPrefix"],
        _ => {
            return Err(format!(
                "the type {kind:?} is not known: matchExact, matchRepoDigestOrExact, \
                 matchRepository, matchDigest, exactReference, exactRepository or remapIdentity is \
                 expected"
            ));
        }
    };
    let fields: IdentityFields = known_fields(text, known)?;
    let needed = |name: &str, field: Option<String>| field.ok_or(format!("{name} is missing"));
    Ok(match kind.as_str() {
        "matchExact" => Identity::Exact,
        "matchRepoDigestOrExact" => Identity::RepoDigestOrExact,
        "matchRepository" => Identity::Repository,
        "matchDigest" => Identity::Digest,
        "exactReference" => exact(&needed("dockerReference", fields.docker_reference)?)?,
        "exactRepository" => repository(&needed("dockerRepository", fields.docker_repository)?)?,
        _ => Identity::Remap {
            prefix: prefix("prefix", needed("prefix", fields.prefix)?)?,
            signed: prefix(
                "signedPrefix",
                needed("signedPrefix", fields.signed_prefix)?,
            )?,
        },
    })
}

fn exact(text: &str) -> Result<Identity, String> {
    let named = Named::parse(text).filter(|named| !named.is_bare());
    let named = named.ok_or_else(|| {
        format!("dockerReference is {text:?}, a reference with a tag or a digest is expected")
    })?;
    Ok(Identity::ExactReference(named))
}

fn repository(text: &str) -> Result<Identity, String> {
    let bare = Named::parse(text).filter(Named::is_bare);
    let parsed = text
        .parse::<types::ImageRef>()
        .ok()
        .filter(|_| bare.is_some());
    let parsed = parsed.ok_or_else(|| {
        format!("dockerRepository is {text:?}, a repository without a tag or a digest is expected")
    })?;
    Ok(Identity::ExactRepository(parsed.repository()))
}

/// A host, or a host with the beginning of a path.
fn prefix(field: &str, text: String) -> Result<String, String> {
    let below: Result<types::ImageRef, _> = format!("{text}/x").parse();
    let good = below.is_ok_and(|below| below.repository() == format!("{text}/x"));
    good.then(|| text.clone()).ok_or_else(|| {
        format!(
            "{field} is {text:?}, a host, or a host with the beginning of a repository, is expected"
        )
    })
}
