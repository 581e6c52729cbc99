//! Where files come from: images, directories of the client, the web, repositories.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use engine::image::{self, Stage, Transfer, pull};
use sha2::{Digest as _, Sha256};
use storage::Image;
use sys::dir::Dir;
use types::{Digest, ErrorKind, ImageRef, Platform};

use super::files::{Files, Kind};
use super::progress::{Event, Status};
use super::run::{Run, now};
use super::{Ask, Failure, Solver, elsewhere, git, tree};
use crate::attest::{self, Material};
use crate::graph::{Http, Origin, Pull, Vertex};
use crate::llb;

/// Where the client's own standard input is, as an address: a name that is sent over the session.
const UPLOADS: &str = "http://buildkit-session/";

pub(super) fn load(run: &Run<'_>, vertex: &Vertex, origin: &Origin) -> Result<Files, Failure> {
    let memory = run.ask.memory;
    match origin {
        // Once a build: what it reads is one and the same.
        Origin::Http(_) | Origin::Git(_) => match memory.fetched(vertex.digest()) {
            Some(files) => Ok(files),
            None => {
                let files = bring(run, vertex, origin)?;
                memory.fetch(vertex.digest(), &files);
                Ok(files)
            }
        },
        _ => bring(run, vertex, origin),
    }
}

fn bring(run: &Run<'_>, vertex: &Vertex, origin: &Origin) -> Result<Files, Failure> {
    match origin {
        Origin::Image(image) => {
            let reference = parse(&image.reference)?;
            let platform = vertex.platform.clone().unwrap_or_else(Platform::host);
            let found = resolve(run, vertex.digest(), &reference, &platform, image.pull)?;
            run.ask.memory.made_of(Material::Image {
                name: reference,
                platform,
                digest: found.id.clone(),
            });
            let mut layers = run.store().image_layers(&found)?;
            if image.layers > 0 {
                layers = layers.first(image.layers);
            }
            Ok(run.files(Kind::Layers(layers)))
        }
        Origin::Local(local) => {
            let tree = run.ask.client.files(local)?;
            run.ask.memory.made_of(Material::Local(local.name.clone()));
            Ok(run.files(Kind::Tree(Arc::new(tree))))
        }
        Origin::Http(http) => web(run, http),
        Origin::Git(wanted) => git::repository(run, wanted),
        Origin::Layout(layout) => {
            let platform = vertex.platform.clone().unwrap_or_else(Platform::host);
            let layers = elsewhere::layout_layers(run, layout, &platform)?;
            Ok(run.files(Kind::Layers(layers)))
        }
        Origin::Other { identifier, .. } => {
            let name = identifier.strip_prefix(llb::RESULT);
            let files = name.map(|name| run.ask.client.result(name)).transpose()?;
            let unknown = || unsupported(&format!("the source {identifier}"));
            files.flatten().ok_or_else(unknown)
        }
    }
}

fn unsupported(what: &str) -> Failure {
    let sentence = format!(
        "{what} cannot be built from: images, directories, web addresses and repositories can"
    );
    Failure::new(ErrorKind::Unsupported, sentence)
}

pub(super) fn parse(reference: &str) -> Result<ImageRef, Failure> {
    reference
        .parse()
        .map_err(|error| Failure::invalid(format!("{error}")))
}

/// An image, here or brought here.
pub(super) fn resolve(
    run: &Run<'_>,
    vertex: &Digest,
    reference: &ImageRef,
    platform: &Platform,
    wish: Pull,
) -> Result<Image, Failure> {
    let name = reference.to_string();
    let here = || {
        let image = run.store().image_on(&name, platform)?;
        run.ask.memory.pin(&name, platform, &image);
        Ok::<_, Failure>(image)
    };
    if let Some(image) = run.ask.memory.image(&name, platform) {
        return Ok(image);
    }
    if wish != Pull::Always
        && let Ok(image) = here()
    {
        return Ok(image);
    }
    let request = pull::Request {
        reference: reference.clone(),
        platform: Some(platform.clone()),
        all_platforms: false,
        credentials: run.ask.client.credentials(reference)?,
    };
    let pulled = pull::pull(&run.solver.engine, request)
        .map_err(Failure::from)
        .and_then(|transfer| follow(run, vertex, transfer));
    pulled.map_err(|failure| failure.within(&reference.familiar()))?;
    here()
}

/// Waits for a pull, and tells of it.
fn follow(run: &Run<'_>, vertex: &Digest, mut transfer: Transfer) -> Result<(), Failure> {
    let started = now();
    loop {
        let progress = transfer.now();
        for part in &progress.parts {
            let (current, completed) = match &part.stage {
                Stage::Waiting => continue,
                Stage::Moving(bytes) => (*bytes, None),
                Stage::Moved => (part.size, None),
                _ => (part.size, Some(now())),
            };
            run.tell(Event::Status(Status {
                id: part.digest.to_string(),
                vertex: vertex.clone(),
                current,
                total: part.size,
                started: Some(started),
                completed,
            }));
        }
        if let Some(end) = progress.end {
            return end.map(drop).map_err(Failure::from);
        }
        run.check()?;
        const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
        let handle = run.solver.engine.runtime();
        // Either something has happened, or it is time to see whether the build was given up.
        let _ = handle.block_on(async { tokio::time::timeout(LOOK, transfer.changed()).await });
    }
}

/// One file.
fn web(run: &Run<'_>, http: &Http) -> Result<Files, Failure> {
    let name = http.filename.as_deref().unwrap_or("__unnamed__");
    is_name(name)?;
    let key = format!("web {http:?}");
    let key = format!("{}#0", super::digest::text(&key));
    if http.checksum.is_some()
        && let Some(kept) = run.store().result(&key)?
    {
        known(http)
            .into_iter()
            .for_each(|material| run.ask.memory.made_of(material));
        return Ok(run.files(Kind::Layers(kept.layers)));
    }
    let draft = run.store().scratch()?;
    let failed =
        |error: std::io::Error| Failure::internal(format!("cannot fetch {}: {error}", http.url));
    let own = http.url.strip_prefix(UPLOADS);
    let path = draft.upper().join(name);
    let file = std::fs::File::create_new(&path).map_err(failed)?;
    let modified = match own {
        Some(name) => uploaded(run, name, file).map(|()| None)?,
        None => {
            let headers = headers(run, http)?;
            let fetch = image::fetch(&run.solver.engine, &http.url, &headers, file);
            wait(run.solver, run.ask, async {
                fetch.await.map_err(Failure::from)
            })?
        }
    };
    let found = hash(&path).map_err(failed)?;
    run.ask.memory.made_of(Material::Web {
        url: attest::without_password(&http.url),
        digest: found.clone(),
    });
    if let Some(wanted) = &http.checksum
        && *wanted != found.to_string()
    {
        let sentence = format!("digest mismatch {found}: {wanted}");
        return Err(Failure::invalid(sentence));
    }
    let upper = Dir::open(&draft.upper()).map_err(tree::failed("open", name))?;
    let name = OsStr::new(name);
    let owner = (http.uid.unwrap_or(0), http.gid.unwrap_or(0));
    upper
        .set_owner(name, owner.0, owner.1)
        .and_then(|()| upper.set_mode(name, http.mode.unwrap_or(0o600)))
        .and_then(|()| upper.set_modified(name, (modified.unwrap_or(0), 0)))
        .map_err(tree::failed("describe", &http.url))?;
    let layers = draft.commit()?;
    if http.checksum.is_some() {
        let body = super::cache::body(&http.url, 1);
        run.store().keep_result(&key, &body, (&layers, 1, None))?;
    }
    Ok(run.files(Kind::Layers(layers)))
}

/// What a file was that is here already: its checksum says it.
fn known(http: &Http) -> Option<Material> {
    Some(Material::Web {
        url: attest::without_password(&http.url),
        digest: http.checksum.as_ref()?.parse().ok()?,
    })
}

/// What goes with the question for a file: words about it, and who asks, as a secret of the client's for the
/// host says.
fn headers(run: &Run<'_>, http: &Http) -> Result<Vec<(String, String)>, Failure> {
    let mut headers: Vec<(String, String)> = http.headers.clone().into_iter().collect();
    let other = headers
        .iter()
        .find(|(name, _)| !["accept", "user-agent"].contains(&name.to_ascii_lowercase().as_str()));
    if let Some((name, _)) = other {
        let sentence =
            format!("the header {name} cannot be sent for a file: accept and user-agent can");
        return Err(Failure::new(ErrorKind::Unsupported, sentence));
    }
    for (id, prefix) in secrets(http) {
        let secret = match run.ask.client.secret(&id) {
            // Nobody has said that there is one.
            Err(_) if http.auth_secret.is_none() => None,
            answer => answer?,
        };
        let Some(secret) = secret else {
            continue;
        };
        let text = String::from_utf8(secret).ok();
        let text = text.ok_or_else(|| Failure::invalid(format!("the secret {id} is no text")))?;
        let value = format!("{prefix}{}", text.trim_end_matches(['\r', '\n']));
        headers.push(("authorization".to_owned(), value));
        break;
    }
    Ok(headers)
}

/// Secrets that may say who asks for a file, and what stands before them in the header. The host is that of the address
/// that is asked, by who takes it apart for that.
fn secrets(http: &Http) -> Vec<(String, &'static str)> {
    if let Some(id) = &http.auth_secret {
        return vec![(id.clone(), "")];
    }
    let hosts = image::place_of(&http.url).map(|(host, port)| {
        let with_port = port.map(|port| format!("{host}:{port}"));
        // BuildKit knows IPv6 addresses without brackets.
        let bare = host.trim_matches(['[', ']']).to_owned();
        let bare = (bare != host).then_some(bare);
        with_port.into_iter().chain([host]).chain(bare)
    });
    // Of both a token counts more, as with BuildKit.
    let both = hosts.into_iter().flatten().flat_map(|host| {
        [
            (format!("HTTP_AUTH_TOKEN_{host}"), "Bearer "),
            (format!("HTTP_AUTH_HEADER_{host}"), ""),
        ]
    });
    both.collect()
}

/// A file that was fetched lies in a directory of its own, under a name and no path: who defines a build may
/// be a stranger.
fn is_name(name: &str) -> Result<(), Failure> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        let sentence = format!("a file from the web cannot be called {name:?}: a name is expected");
        return Err(Failure::invalid(sentence));
    }
    Ok(())
}

/// What the client sends instead of having it fetched: an archive of its standard input.
fn uploaded(run: &Run<'_>, name: &str, mut file: std::fs::File) -> Result<(), Failure> {
    let missing = || Failure::invalid(format!("the client sends nothing as {name}"));
    let mut from = run.ask.client.upload(name)?.ok_or_else(missing)?;
    std::io::copy(&mut from, &mut file)
        .map(drop)
        .map_err(|error| match run.ask.cancel.is_cancelled() {
            true => Failure::cancelled(),
            false => Failure::internal(format!("cannot take what the client sends: {error}")),
        })
}

/// Waits for something as long as the build is not given up. For threads that may block.
pub(super) fn wait<T>(
    solver: &Solver,
    ask: &Ask<'_>,
    what: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
    let given_up = async {
        while !ask.cancel.is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    };
    solver.engine.runtime().block_on(async {
        tokio::select! {
            done = what => done,
            () = given_up => Err(Failure::cancelled()),
        }
    })
}

fn hash(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::sha256(sum.finalize().into())),
            count => sum.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_the_host_that_is_asked() {
        let ids = |url: &str| -> Vec<String> {
            let http = Http {
                url: url.to_owned(),
                ..Http::default()
            };
            let all = secrets(&http).into_iter().map(|(id, _)| id);
            all.filter_map(|id| Some(id.strip_prefix("HTTP_AUTH_TOKEN_")?.to_owned()))
                .collect()
        };
        assert_eq!(ids("https://Example.org/a@b/c"), ["example.org"]);
        assert_eq!(ids("http://u:p@h.org:81?x#y"), ["h.org:81", "h.org"]);
        assert_eq!(ids("http://evil.org\\@good.org/x"), ["evil.org"]);
        assert_eq!(ids("http://[::1]:8080/x"), ["[::1]:8080", "[::1]", "::1"]);
        assert!(ids("no address").is_empty());
    }
}
