//! Contexts as archives: `meta.json`, and what proves them below `tls/`.

use std::io::Read;

use serde_json::{Map, Value};

use super::{Stored, Tls};
use crate::error::CliError;

/// Longer files are in no context.
const LONGEST: u64 = 10 << 20;

fn failed(error: &dyn std::fmt::Display) -> CliError {
    CliError::Invalid(format!("the context's archive: {error}"))
}

/// A context's archive.
pub(crate) fn pack(stored: &Stored, tls: &Tls) -> Result<Vec<u8>, CliError> {
    let mut archive = tar::Builder::new(Vec::new());
    let meta = serde_json::to_vec(&stored.meta).map_err(|error| failed(&error))?;
    file(&mut archive, "meta.json", &meta, 0o644)?;
    directory(&mut archive, "tls")?;
    if !tls.is_empty() {
        directory(&mut archive, "tls/docker")?;
    }
    for (name, bytes) in tls {
        file(&mut archive, &format!("tls/docker/{name}"), bytes, 0o600)?;
    }
    archive.into_inner().map_err(|error| failed(&error))
}

fn file(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    bytes: &[u8],
    mode: u32,
) -> Result<(), CliError> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    let added = archive.append_data(&mut header, path, bytes);
    added.map_err(|error| failed(&error))
}

fn directory(archive: &mut tar::Builder<Vec<u8>>, path: &str) -> Result<(), CliError> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o700);
    header.set_size(0);
    let added = archive.append_data(&mut header, path, std::io::empty());
    added.map_err(|error| failed(&error))
}

/// What is in an archive, for a context of this name.
pub(crate) fn unpack(name: &str, bytes: &[u8]) -> Result<(Stored, Tls), CliError> {
    if bytes.starts_with(b"PK") {
        return Err(CliError::Invalid(
            "the context's archive is a zip: a tar archive, as `context export` makes it, is expected"
                .to_owned(),
        ));
    }
    let mut archive = tar::Archive::new(bytes);
    let mut meta: Option<Map<String, Value>> = None;
    let mut tls = Tls::new();
    for entry in archive.entries().map_err(|error| failed(&error))? {
        let mut entry = entry.map_err(|error| failed(&error))?;
        let path = entry.path().map_err(|error| failed(&error))?;
        let path = path.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(LONGEST).read_to_end(&mut bytes);
        read.map_err(|error| failed(&error))?;
        if path == "meta.json" {
            meta = Some(serde_json::from_slice(&bytes).map_err(|error| failed(&error))?);
        } else if let Some(file) = path.strip_prefix("tls/docker/")
            && matches!(file, "ca.pem" | "cert.pem" | "key.pem")
        {
            tls.insert(file.to_owned(), bytes);
        }
    }
    let mut meta = meta.ok_or_else(|| failed(&"invalid context: no meta.json found"))?;
    meta.insert("Name".to_owned(), name.into());
    let name = name.to_owned();
    Ok((Stored { name, meta }, tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_comes_back_under_another_name() {
        let stored = Stored::new("aa", "d", "tcp://h:1", true);
        let tls = Tls::from([("key.pem".to_owned(), b"k".to_vec())]);
        let packed = pack(&stored, &tls).unwrap();
        let (again, files) = unpack("bb", &packed).unwrap();
        assert_eq!((again.host(), again.description()), ("tcp://h:1", "d"));
        assert!(again.skip_verify() && again.name == "bb" && files == tls);
        assert!(unpack("bb", b"PK\x03\x04").is_err());
        assert!(
            unpack("bb", &[0; 1024])
                .unwrap_err()
                .to_string()
                .contains("meta.json")
        );
    }
}
