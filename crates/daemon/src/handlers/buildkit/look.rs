//! What is asked of a build's files: by the frontend, while the build is under way.

use std::ffi::OsStr;
use std::io::Read as _;
use std::sync::Arc;

use builder::buildkit::files;
use builder::solve::Failure;
use buildkit::gateway::{
    FileRange, ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, StatFileRequest,
    StatFileResponse,
};
use sys::dir::Dir;
use tonic::Status;

use super::gateway::broken;
use super::jobs::Job;
use super::status;
use api::grpc::LONGEST;

/// Does something with the root of a result, on a thread that may block.
async fn with_root<T: Send + 'static>(
    job: Arc<Job>,
    name: String,
    act: impl FnOnce(&Dir) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Status> {
    let built = job.result(&name)?;
    let done = tokio::task::spawn_blocking(move || match &built.files {
        Some(files) => files.with_root(act),
        None => Err(Failure::invalid(format!("the result {name} has no files"))),
    });
    let done = done.await.map_err(|error| broken(&error))?;
    done.map_err(|failure| status::status(&failure))
}

/// The directory above a path, and the name in it; a path that is the root itself has none.
fn place<'a>(root: &Dir, path: &'a str) -> Result<(Dir, &'a OsStr), Failure> {
    let path = path.trim_matches('/');
    if path.split('/').any(|part| part == "..") {
        let sentence = format!("the path {path:?} leads upwards: a path from the root is expected");
        return Err(Failure::invalid(sentence));
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = root.open_in_root(above.as_bytes());
    let dir = dir.map_err(|error| missing(path, &error))?;
    Ok((dir, OsStr::new(if name.is_empty() { "." } else { name })))
}

fn missing(path: &str, error: &sys::Error) -> Failure {
    Failure::new(types::ErrorKind::NotFound, format!("/{path}: {error}"))
}

pub(super) async fn read_file(
    job: Arc<Job>,
    request: ReadFileRequest,
) -> Result<ReadFileResponse, Status> {
    let (path, range) = (request.file_path, request.range);
    with_root(job, request.reference, move |root| {
        let (dir, name) = place(root, &path)?;
        let file = dir.open_regular(name);
        let file = file.map_err(|error| missing(&path, &error))?;
        let data = read(file, range).map_err(|error| {
            Failure::internal(format!("cannot read {path} of the result: {error}"))
        })?;
        Ok(ReadFileResponse { data })
    })
    .await
}

fn read(mut file: std::fs::File, range: Option<FileRange>) -> std::io::Result<Vec<u8>> {
    use std::io::Seek as _;
    let longest = LONGEST as u64 - 1024;
    let (offset, length) = range.map_or((0, 0), |range| (range.offset, range.length));
    file.seek(std::io::SeekFrom::Start(
        u64::try_from(offset).unwrap_or_default(),
    ))?;
    let length = match u64::try_from(length) {
        Ok(0) | Err(_) => longest,
        Ok(length) => length.min(longest),
    };
    let mut data = Vec::new();
    file.take(length).read_to_end(&mut data)?;
    Ok(data)
}

pub(super) async fn read_dir(
    job: Arc<Job>,
    request: ReadDirRequest,
) -> Result<ReadDirResponse, Status> {
    let (path, pattern) = (request.dir_path, request.include_pattern);
    with_root(job, request.reference, move |root| {
        let failed = |error: sys::Error| missing(&path, &error);
        let dir = root.open_in_root(path.as_bytes()).map_err(failed)?;
        let dir = dir.open_dir(OsStr::new(".")).map_err(failed)?;
        let only = [pattern.as_str()];
        let only = builder::ignore::Matcher::new(only.into_iter().filter(|p| !p.is_empty()));
        let only = only.map_err(|error| Failure::invalid(error.to_string()))?;
        let mut names = Vec::new();
        for entry in dir.entries().map_err(failed)? {
            let (name, _) = entry.map_err(failed)?;
            names.push(sys::dir::name(&name).to_owned());
        }
        names.sort();
        let mut entries = Vec::new();
        for name in names {
            let shown = name.to_string_lossy().into_owned();
            if !pattern.is_empty() && !only.matches(&shown) {
                continue;
            }
            let stat = files::look(&dir, &name, shown);
            entries.push(stat.map_err(|error| Failure::internal(error.chain()))?);
        }
        Ok(ReadDirResponse { entries })
    })
    .await
}

pub(super) async fn stat_file(
    job: Arc<Job>,
    request: StatFileRequest,
) -> Result<StatFileResponse, Status> {
    let path = request.path;
    with_root(job, request.reference, move |root| {
        let (dir, name) = place(root, &path)?;
        let shown = name.to_string_lossy().into_owned();
        let stat = files::look(&dir, name, shown);
        let stat = stat.map_err(|error| Failure::new(types::ErrorKind::NotFound, error.chain()))?;
        Ok(StatFileResponse { stat: Some(stat) })
    })
    .await
}
