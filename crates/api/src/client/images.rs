//! Images.

use bytes::BytesMut;
use hyper::Method;
use serde_json::Value;

use super::request::{Call, image_segment};
use super::{Body, Chunks, Client, Download, Error, Filters};
use crate::wire;

/// Which images a listing shows.
#[derive(Debug, Clone, Default)]
pub struct ImageListQuery {
    /// Intermediate ones too.
    pub all: bool,
    /// With the bytes that each shares with others.
    pub shared_size: bool,
    /// With the manifests of each.
    pub manifests: bool,
    /// Filters.
    pub filters: Filters,
}

/// What is made of an imported tar.
#[derive(Debug, Clone, Default)]
pub struct ImportQuery {
    /// Where the daemon fetches it; none when it comes with the request.
    pub url: Option<String>,
    /// The name it gets: `repository[:tag]`.
    pub reference: Option<String>,
    /// The message of its history.
    pub message: Option<String>,
    /// Dockerfile instructions applied to its configuration.
    pub changes: Vec<String>,
    /// The platform it is for.
    pub platform: Option<String>,
}

/// What is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullQuery {
    /// The repository.
    pub repository: String,
    /// A tag or a digest; none is every tag.
    pub tag: Option<String>,
    /// The platform; none is the daemon's.
    pub platform: Option<String>,
    /// Every platform; Brig's own.
    pub all_platforms: bool,
}

/// What is pushed.
#[derive(Debug, Clone, Default)]
pub struct PushQuery {
    /// The repository.
    pub repository: String,
    /// A tag; none is every tag.
    pub tag: Option<String>,
    /// Only the manifest for this platform, as JSON.
    pub platform: Option<String>,
}

/// Whose manifest is meant.
#[derive(Debug, Clone, Default)]
pub struct ManifestQuery {
    /// The reference.
    pub name: String,
    /// The registry's certificate is not verified, and plain http will do.
    pub insecure: bool,
}

impl ManifestQuery {
    fn call(&self, method: Method) -> Call {
        let path = format!("/brig/manifests/{}", image_segment(&self.name));
        Call::new(method, path).query_flag("insecure", self.insecure)
    }
}

/// Progress messages as they arrive.
#[derive(Debug)]
pub struct Messages {
    chunks: Chunks,
    buffer: BytesMut,
    operation: &'static str,
}

impl Messages {
    /// The next message; none at the end. A failure on the daemon's side is a message too, with
    /// `error_detail`.
    ///
    /// # Errors
    /// When the connection breaks or what arrives is no JSON.
    pub async fn next(&mut self) -> Result<Option<wire::Progress>, Error> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            match self.chunks.next().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// A message that has arrived whole. They need no separator between them.
    fn buffered(&mut self) -> Result<Option<wire::Progress>, Error> {
        let mut messages = serde_json::Deserializer::from_slice(&self.buffer).into_iter();
        let next = messages.next();
        let end = messages.byte_offset();
        match next {
            None => Ok(None),
            Some(Err(error)) if error.is_eof() => Ok(None),
            Some(Err(source)) => Err(Error::Answer {
                operation: self.operation.to_owned(),
                source,
            }),
            Some(Ok(message)) => {
                let _ = self.buffer.split_to(end);
                Ok(Some(message))
            }
        }
    }
}

impl Client {
    /// Lists images, the newest first.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn image_list(
        &self,
        query: &ImageListQuery,
    ) -> Result<Vec<wire::ImageSummary>, Error> {
        let call = Call::get("/images/json")
            .query_flag("all", query.all)
            .query_flag("shared-size", query.shared_size)
            .query_flag("manifests", query.manifests)
            .filters(&query.filters);
        self.send_json(call).await
    }

    /// All about one.
    ///
    /// # Errors
    /// When there is none.
    pub async fn image_inspect(&self, name: &str) -> Result<wire::ImageInspect, Error> {
        self.send_json(image(name, "/json")).await
    }

    /// All about one, exactly as the daemon wrote it: what `inspect` prints.
    ///
    /// # Errors
    /// When there is none.
    pub async fn image_inspect_raw(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> Result<Value, Error> {
        self.send_json(image(name, "/json").query_some("platform", platform))
            .await
    }

    /// Makes an image of a root file system's tar.
    ///
    /// # Errors
    /// When the daemon refuses at once; later refusals are messages.
    pub async fn image_import(&self, query: &ImportQuery, tar: Body) -> Result<Messages, Error> {
        let mut call = Call::post("/images/create")
            .query("fromSrc", query.url.as_deref().unwrap_or("-"))
            .query_some("repo", query.reference.as_ref())
            .query_some("message", query.message.as_ref())
            .query_some("platform", query.platform.as_ref());
        for change in &query.changes {
            call = call.query("changes", change);
        }
        self.messages(call.stream(tar), "image import").await
    }

    /// Pulls an image.
    ///
    /// # Errors
    /// When the registry refuses at once; later refusals are messages.
    pub async fn image_pull(
        &self,
        query: &PullQuery,
        auth: &wire::AuthConfig,
    ) -> Result<Messages, Error> {
        let call = Call::post("/images/create")
            .query("fromImage", &query.repository)
            .query_some("tag", query.tag.as_ref())
            .query_some("platform", query.platform.as_ref())
            .query_flag("allPlatforms", query.all_platforms)
            .registry_auth(auth);
        self.messages(call, "image pull").await
    }

    /// Pushes an image.
    ///
    /// # Errors
    /// When the daemon refuses at once; later refusals are messages.
    pub async fn image_push(
        &self,
        query: &PushQuery,
        auth: &wire::AuthConfig,
    ) -> Result<Messages, Error> {
        let path = format!("/images/{}/push", image_segment(&query.repository));
        let call = Call::post(path)
            .query_some("tag", query.tag.as_ref())
            .query_some("platform", query.platform.as_ref())
            .registry_auth(auth);
        self.messages(call, "image push").await
    }

    /// How an image was made, the newest step first.
    ///
    /// # Errors
    /// When there is none.
    pub async fn image_history(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> Result<Vec<wire::HistoryItem>, Error> {
        self.send_json(image(name, "/history").query_some("platform", platform))
            .await
    }

    /// What everything takes on disk.
    ///
    /// # Errors
    /// When the daemon cannot count it.
    pub async fn disk_usage(&self, verbose: bool) -> Result<wire::DiskUsage, Error> {
        self.send_json(Call::get("/system/df").query_flag("verbose", verbose))
            .await
    }

    /// Removes images that nothing needs.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn images_prune(&self, filters: &Filters) -> Result<wire::ImagesPruned, Error> {
        self.send_json(Call::post("/images/prune").filters(filters))
            .await
    }

    /// Searches a registry.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn image_search(
        &self,
        term: &str,
        limit: Option<u32>,
        filters: &Filters,
        auth: &wire::AuthConfig,
    ) -> Result<Vec<wire::SearchResult>, Error> {
        let call = Call::get("/images/search")
            .query("term", term)
            .query_some("limit", limit)
            .filters(filters)
            .registry_auth(auth);
        self.send_json(call).await
    }

    /// Whether credentials are right.
    ///
    /// # Errors
    /// When the registry refuses them.
    pub async fn auth(&self, auth: &wire::AuthConfig) -> Result<wire::AuthResponse, Error> {
        self.send_json(Call::post("/auth").json(auth)).await
    }

    /// What a registry has under a reference.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn distribution(
        &self,
        name: &str,
        auth: &wire::AuthConfig,
    ) -> Result<wire::DistributionInspect, Error> {
        let call = Call::get(format!("/distribution/{}/json", image_segment(name)));
        self.send_json(call.registry_auth(auth)).await
    }

    /// The manifest that a registry has under a reference. Brig's own, as all about manifests.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn manifest(
        &self,
        query: &ManifestQuery,
        auth: &wire::AuthConfig,
    ) -> Result<wire::RegistryManifest, Error> {
        let call = query.call(Method::GET).query_flag("platform", true);
        self.send_json(call.registry_auth(auth)).await
    }

    /// Puts a manifest under a reference; what it names has to be there.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn manifest_put(
        &self,
        query: &ManifestQuery,
        media_type: &str,
        document: &str,
        auth: &wire::AuthConfig,
    ) -> Result<wire::PushResult, Error> {
        let call = query.call(Method::PUT);
        let call = call.content(media_type, document.as_bytes());
        self.send_json(call.registry_auth(auth)).await
    }

    /// Lets the reference's repository have an image that another one of its registry has.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn manifest_copy(
        &self,
        query: &ManifestQuery,
        from: &str,
        auth: &wire::AuthConfig,
    ) -> Result<wire::PushResult, Error> {
        let call = query.call(Method::POST).query("from", from);
        self.send_json(call.registry_auth(auth)).await
    }

    /// Checks the store; the report is the last message's `aux`. Brig's own.
    ///
    /// # Errors
    /// When the daemon refuses at once; later refusals are messages.
    pub async fn system_check(&self, repair: bool) -> Result<Messages, Error> {
        let call = Call::post("/brig/system/check").query_flag("repair", repair);
        self.messages(call, "system check").await
    }

    /// Mounts an image read-only. Brig's own.
    ///
    /// # Errors
    /// When there is none, or it cannot be mounted.
    pub async fn image_mount(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> Result<wire::ImageMount, Error> {
        let call = Call::post(format!("/brig/mounts/{}", image_segment(name)));
        self.send_json(call.query_some("platform", platform)).await
    }

    /// Takes an image's mount away. Brig's own.
    ///
    /// # Errors
    /// When it is not mounted, or in use.
    pub async fn image_unmount(&self, name: &str) -> Result<(), Error> {
        self.send_unit(Call::delete(format!(
            "/brig/mounts/{}",
            image_segment(name)
        )))
        .await
    }

    /// Every image that is mounted. Brig's own.
    ///
    /// # Errors
    /// When the daemon cannot look.
    pub async fn image_mounts(&self) -> Result<Vec<wire::ImageMount>, Error> {
        self.send_json(Call::get("/brig/mounts")).await
    }

    /// Loads an archive of images.
    ///
    /// # Errors
    /// When the daemon refuses at once; later refusals are messages.
    pub async fn image_load(
        &self,
        archive: Body,
        quiet: bool,
        platforms: &[String],
    ) -> Result<Messages, Error> {
        let call = Call::post("/images/load").query_flag("quiet", quiet);
        let call = all(call, "platform", platforms);
        self.messages(call.stream(archive), "image load").await
    }

    /// Images as an archive.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_save(
        &self,
        names: &[String],
        platforms: &[String],
    ) -> Result<Download, Error> {
        let call = all(Call::get("/images/get"), "names", names);
        let call = all(call, "platform", platforms);
        let answer = self.send(call).await?;
        Ok(Download {
            content_type: answer.header("content-type").to_owned(),
            chunks: answer.chunks(),
        })
    }

    /// Names an image `repository:tag`.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_tag(&self, source: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let call = Call::post(format!("/images/{}/tag", image_segment(source)))
            .query("repo", repository)
            .query("tag", tag);
        self.send_unit(call).await
    }

    /// Removes a name, and the image with its last; or what it is for some platforms (as JSON).
    ///
    /// # Errors
    /// When there is none or a container needs it.
    pub async fn image_remove(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
        platforms: &[String],
    ) -> Result<Vec<wire::ImageDeleteItem>, Error> {
        let mut call = Call::delete(format!("/images/{}", image_segment(name)))
            .query_flag("force", force)
            .query_flag("noprune", no_prune);
        for platform in platforms {
            call = call.query("platforms", platform);
        }
        self.send_json(call).await
    }

    async fn messages(&self, call: Call, operation: &'static str) -> Result<Messages, Error> {
        Ok(Messages {
            chunks: self.send(call).await?.chunks(),
            buffer: BytesMut::new(),
            operation,
        })
    }
}

fn image(name: &str, verb: &str) -> Call {
    Call::get(format!("/images/{}{verb}", image_segment(name)))
}

/// `name=value` for each value.
fn all(call: Call, name: &str, values: &[String]) -> Call {
    values
        .iter()
        .fold(call, |call, value| call.query(name, value))
}
