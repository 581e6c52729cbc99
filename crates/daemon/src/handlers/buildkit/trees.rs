//! Files as a build's output: in an archive, or in a directory of the client's. Of several platforms each has a
//! directory of its own, unless they are to be split no further (`platform-split=false`).

use std::collections::HashMap;
use std::ffi::OsStr;

use builder::buildkit::files;
use builder::solve::{self, Built, Failure, Files, Said};
use buildkit::session::FILE_SEND;
use sys::dir::Dir;

use super::attributes::{flag, said_epoch};
use super::output::{EXPORTER, Response, Writer};
use super::wire::{self, Blocking};

/// Files by the directory that they are below; of no name, by none.
type Trees<'a> = Vec<(String, Option<&'a Files>)>;

/// The directory of a platform: `linux_amd64`.
fn directory(built: &Built) -> String {
    built.platform.to_string().replace('/', "_")
}

/// Whether each platform has a directory of its own.
fn is_split(built: &[Built], attributes: &HashMap<String, String>) -> Result<bool, Failure> {
    let asked = flag(attributes, "platform-split")?;
    Ok(asked.unwrap_or(built.len() > 1))
}

fn trees<'a>(
    built: &'a [Built],
    attributes: &HashMap<String, String>,
) -> Result<Trees<'a>, Failure> {
    let split = is_split(built, attributes)?;
    if !split {
        once(built)?;
    }
    let tree = |one: &'a Built| match split {
        true => (directory(one), one.files.as_ref()),
        false => (String::new(), one.files.as_ref()),
    };
    Ok(built.iter().map(tree).collect())
}

/// No path may be of two platforms.
fn once(built: &[Built]) -> Result<(), Failure> {
    if built.len() < 2 {
        return Ok(());
    }
    let mut known: HashMap<String, String> = HashMap::new();
    for one in built {
        let paths = one.files.as_ref().map(Files::paths).transpose()?;
        for path in paths.into_iter().flatten() {
            if let Some(other) = known.get(&path) {
                let sentence = format!(
                    "cannot overwrite {path} from {other} with {} when split option is disabled",
                    one.platform
                );
                return Err(Failure::invalid(sentence));
            }
            known.insert(path, one.platform.to_string());
        }
    }
    Ok(())
}

impl Writer {
    /// Results with what is said about each as files among its own.
    pub(super) fn with_said(
        &self,
        built: &[Built],
        said: &[Vec<builder::attest::Statement>],
        attributes: &HashMap<String, String>,
    ) -> Result<Vec<Built>, Failure> {
        let prefix = attributes.get("attestation-prefix");
        let apart = built.len() > 1 && !is_split(built, attributes)?;
        let solver = &self.app.builds.solver;
        let mut all = built.to_vec();
        for (one, said) in all.iter_mut().zip(said) {
            let platform = apart.then(|| directory(one));
            let how = Said {
                prefix: prefix.map_or("", String::as_str),
                platform: platform.as_deref(),
                epoch: said_epoch(attributes)?.or(one.epoch),
            };
            one.files = Some(solver.with_statements(one.files.as_ref(), said, &how)?);
        }
        Ok(all)
    }

    /// Files as an archive.
    pub(super) fn tar(
        &self,
        built: &[Built],
        attributes: &HashMap<String, String>,
        index: usize,
    ) -> Result<Response, Failure> {
        let trees = trees(built, attributes)?;
        self.send(index, &Response::new(), |out| solve::tar(&trees, out))?;
        Ok(Response::new())
    }

    /// Files in a directory of the client's.
    pub(super) fn local(
        &self,
        built: &[Built],
        attributes: &HashMap<String, String>,
        index: usize,
    ) -> Result<Response, Failure> {
        let trees = trees(built, attributes)?;
        match trees.iter().all(|(name, _)| name.is_empty()) {
            // One walk has a directory once only.
            true => trees
                .chunks(1)
                .try_for_each(|tree| self.transfer(tree, index))?,
            false => self.transfer(&trees, index)?,
        }
        Ok(Response::new())
    }

    fn transfer(&self, trees: &[(String, Option<&Files>)], index: usize) -> Result<(), Failure> {
        let session = self.session()?;
        let headers = wire::headers(&[(EXPORTER, vec![index.to_string()])]);
        let mut wire = Blocking::sending(&self.job, &self.handle, session, FILE_SEND, headers);
        self.send_trees(trees, &mut Vec::new(), &mut wire)?;
        wire.close().map_err(|error| self.unsent(&error))
    }

    /// Opens one root after the other, and sends them when all are open.
    fn send_trees(
        &self,
        trees: &[(String, Option<&Files>)],
        roots: &mut Vec<(String, Dir)>,
        wire: &mut Blocking<'_>,
    ) -> Result<(), Failure> {
        match trees.split_first() {
            None => files::send(roots, wire).map_err(|error| self.unsent(&error)),
            Some(((_, None), rest)) => self.send_trees(rest, roots, wire),
            Some(((name, Some(one)), rest)) => one.with_root(|root| {
                let root = root.open_dir(OsStr::new("."));
                let root = root.map_err(|error| Failure::internal(error.to_string()))?;
                roots.push((name.clone(), root));
                self.send_trees(rest, roots, wire)
            }),
        }
    }

    fn unsent(&self, error: &files::Error) -> Failure {
        match self.job.cancel.is_cancelled() {
            true => Failure::cancelled(),
            false => Failure::new(error.kind(), error.chain()),
        }
    }
}
