//! Containers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Value;

use super::request::{Answer, Call, segment};
use super::{Attach, Body, Client, Download, Error, Filters, Hijacked};
use crate::wire;

/// Which containers a listing shows.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Those that do not run too.
    pub all: bool,
    /// This many of the newest, whatever they do.
    pub limit: Option<u32>,
    /// With the sizes of their writable layers.
    pub size: bool,
    /// Filters.
    pub filters: Filters,
}

/// Which lines of a log.
#[derive(Debug, Clone, Default)]
pub struct LogsQuery {
    /// Those still to come, too.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Each with its time.
    pub timestamps: bool,
    /// Each with the attributes its log options name.
    pub details: bool,
    /// A time as the API takes it: `seconds[.nanoseconds]`, or RFC 3339.
    pub since: Option<String>,
    /// The same.
    pub until: Option<String>,
    /// `all`, or a number from the end.
    pub tail: Option<String>,
}

/// How a container is asked to stop.
#[derive(Debug, Clone, Default)]
pub struct StopQuery {
    /// Instead of its own stop signal.
    pub signal: Option<String>,
    /// Seconds until it is killed; -1 waits for ever.
    pub timeout: Option<i64>,
}

/// What is made of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitQuery {
    /// The container.
    pub container: String,
    /// The name the image gets: `repository[:tag]`.
    pub reference: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The message of its history.
    pub comment: Option<String>,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
    /// Dockerfile instructions applied to the image's configuration.
    pub changes: Vec<String>,
}

/// How a container is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveQuery {
    /// Killed first if it runs.
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
    /// The legacy link of this name only.
    pub link: bool,
}

/// A wait that the daemon has taken up: nothing that happens from now on is missed.
#[derive(Debug)]
pub struct Waiting<'a> {
    client: &'a Client,
    answer: Answer,
}

impl Waiting<'_> {
    /// Waits for the end.
    ///
    /// # Errors
    /// When the daemon goes away before.
    pub async fn done(self) -> Result<wire::ContainerWaitResponse, Error> {
        self.answer.json(self.client).await
    }
}

fn container(who: &str, verb: &str) -> String {
    format!("/containers/{}/{verb}", segment(who))
}

impl Client {
    /// Makes a container.
    ///
    /// # Errors
    /// When the daemon refuses the request, the name is taken, or there is no such image.
    pub async fn container_create(
        &self,
        name: Option<&str>,
        platform: Option<&str>,
        request: &wire::ContainerCreateRequest,
    ) -> Result<wire::ContainerCreateResponse, Error> {
        let call = Call::post("/containers/create")
            .query_some("name", name)
            .query_some("platform", platform)
            .json(request);
        self.send_json(call).await
    }

    /// Makes a container; a daemon that is Brig's attaches to it and starts it, too, by the same request. Then the
    /// connection to its streams is there, and [`Client::container_wait_begun`] tells how the start went. Any other
    /// has made it only.
    ///
    /// # Errors
    /// As [`Client::container_create`].
    pub async fn container_run(
        &self,
        name: Option<&str>,
        platform: Option<&str>,
        request: &wire::ContainerCreateRequest,
        attach: &Attach,
    ) -> Result<(wire::ContainerCreateResponse, Option<Hijacked>), Error> {
        let call = Call::post("/containers/create")
            .query_some("name", name)
            .query_some("platform", platform)
            .query_flag("run", true)
            .json(request);
        let answer = self.send(attach.ask(call).upgrade()).await?;
        if !answer.is_taken_over() {
            return Ok((answer.json(self).await?, None));
        }
        let made = answer.made("POST /containers/create")?;
        Ok((made, Some(Self::taken(answer).await?)))
    }

    /// Starts one.
    ///
    /// # Errors
    /// When it cannot be started; `NotModified` is no error here.
    pub async fn container_start(&self, who: &str, detach_keys: Option<&str>) -> Result<(), Error> {
        let call = Call::post(container(who, "start")).query_some("detachKeys", detach_keys);
        unless_not_modified(self.send_unit(call).await)
    }

    /// Asks one to stop, and kills it after the timeout.
    ///
    /// # Errors
    /// When there is none or it does not end; that it does not run is no error here.
    pub async fn container_stop(&self, who: &str, stop: &StopQuery) -> Result<(), Error> {
        let call = Call::post(container(who, "stop"))
            .query_some("signal", stop.signal.as_ref())
            .query_some("t", stop.timeout);
        unless_not_modified(self.send_unit(call).await)
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// As `container_stop` and `container_start`.
    pub async fn container_restart(&self, who: &str, stop: &StopQuery) -> Result<(), Error> {
        let call = Call::post(container(who, "restart"))
            .query_some("signal", stop.signal.as_ref())
            .query_some("t", stop.timeout);
        self.send_unit(call).await
    }

    /// Sends a signal: `KILL`, `SIGHUP`, `9`.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn container_kill(&self, who: &str, signal: Option<&str>) -> Result<(), Error> {
        self.send_unit(Call::post(container(who, "kill")).query_some("signal", signal))
            .await
    }

    /// Everything its image and its own layer hold, as a tar archive.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_export(&self, who: &str) -> Result<Download, Error> {
        let answer = self.send(Call::get(container(who, "export"))).await?;
        Ok(Download {
            content_type: answer.header("content-type").to_owned(),
            chunks: answer.chunks(),
        })
    }

    /// What it has changed of its image's files.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_changes(&self, who: &str) -> Result<Vec<wire::PathChange>, Error> {
        let changes: Option<_> = self.send_json(Call::get(container(who, "changes"))).await?;
        Ok(changes.unwrap_or_default())
    }

    /// What is at a path of it.
    ///
    /// # Errors
    /// When there is no such container or nothing at the path, status 404.
    pub async fn container_stat(&self, who: &str, path: &str) -> Result<wire::PathStat, Error> {
        let call = Call::new(Method::HEAD, container(who, "archive")).query("path", path);
        let answer = self.send(call).await?;
        stat_of(&answer)
    }

    /// What is at a path of it, as a tar archive in which that has this name.
    ///
    /// # Errors
    /// As [`Client::container_stat`].
    pub async fn container_archive(
        &self,
        who: &str,
        path: &str,
        called: Option<&str>,
    ) -> Result<(wire::PathStat, Download), Error> {
        let call = Call::get(container(who, "archive"))
            .query("path", path)
            .query_some("called", called);
        let answer = self.send(call).await?;
        let stat = stat_of(&answer)?;
        let download = Download {
            content_type: answer.header("content-type").to_owned(),
            chunks: answer.chunks(),
        };
        Ok((stat, download))
    }

    /// Puts what an archive holds into a directory of it, which becomes the container's user's if
    /// `own`.
    ///
    /// # Errors
    /// When there is no such directory, or something cannot be written.
    pub async fn container_unpack(
        &self,
        who: &str,
        path: &str,
        own: bool,
        archive: Body,
    ) -> Result<(), Error> {
        let call = Call::new(Method::PUT, container(who, "archive"))
            .query("path", path)
            .query("noOverwriteDirNonDir", "true")
            .query_flag("copyUIDGID", own);
        self.send_unit(call.stream(archive)).await
    }

    /// Gives one another name.
    ///
    /// # Errors
    /// When there is none, or the name is taken.
    pub async fn container_rename(&self, who: &str, name: &str) -> Result<(), Error> {
        self.send_unit(Call::post(container(who, "rename")).query("name", name))
            .await
    }

    /// Makes an image of it; the image's id.
    ///
    /// # Errors
    /// When there is no such container, and when a change is not understood.
    pub async fn container_commit(&self, query: &CommitQuery) -> Result<String, Error> {
        let mut call = Call::post("/commit")
            .query("container", &query.container)
            .query_some("repo", query.reference.as_ref())
            .query_some("author", query.author.as_ref())
            .query_some("comment", query.comment.as_ref())
            .query("pause", if query.pause { "1" } else { "0" });
        for change in &query.changes {
            call = call.query("changes", change);
        }
        let answer: wire::CommitResponse = self.send_json(call).await?;
        Ok(answer.id)
    }

    /// Makes its processes stand still.
    ///
    /// # Errors
    /// When it does not run, or stands still.
    pub async fn container_pause(&self, who: &str) -> Result<(), Error> {
        self.send_unit(Call::post(container(who, "pause"))).await
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When it does not stand still.
    pub async fn container_unpause(&self, who: &str) -> Result<(), Error> {
        self.send_unit(Call::post(container(who, "unpause"))).await
    }

    /// Removes all that do not run and that the filters take.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn containers_prune(
        &self,
        filters: &Filters,
    ) -> Result<wire::ContainersPruned, Error> {
        self.send_json(Call::post("/containers/prune").filters(filters))
            .await
    }

    /// Removes one.
    ///
    /// # Errors
    /// When it runs and is not forced.
    pub async fn container_remove(&self, who: &str, remove: RemoveQuery) -> Result<(), Error> {
        let call = Call::delete(format!("/containers/{}", segment(who)))
            .query_flag("force", remove.force)
            .query_flag("v", remove.volumes)
            .query_flag("link", remove.link);
        self.send_unit(call).await
    }

    /// Lists them, the newest first.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn container_list(
        &self,
        query: &ListQuery,
    ) -> Result<Vec<wire::ContainerSummary>, Error> {
        let call = Call::get("/containers/json")
            .query_flag("all", query.all)
            .query_some("limit", query.limit)
            .query_flag("size", query.size)
            .filters(&query.filters);
        self.send_json(call).await
    }

    /// All about one.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_inspect(
        &self,
        who: &str,
        size: bool,
    ) -> Result<wire::ContainerInspect, Error> {
        self.send_json(Call::get(container(who, "json")).query_flag("size", size))
            .await
    }

    /// All about one, exactly as the daemon wrote it: what `inspect` prints.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_inspect_raw(&self, who: &str, size: bool) -> Result<Value, Error> {
        self.send_json(Call::get(container(who, "json")).query_flag("size", size))
            .await
    }

    /// Its log; framed unless it has a terminal.
    ///
    /// # Errors
    /// When there is none, or it keeps no log.
    pub async fn container_logs(&self, who: &str, query: &LogsQuery) -> Result<Download, Error> {
        let call = Call::get(container(who, "logs"))
            .query_flag("follow", query.follow)
            .query_flag("stdout", query.stdout)
            .query_flag("stderr", query.stderr)
            .query_flag("timestamps", query.timestamps)
            .query_flag("details", query.details)
            .query_some("since", query.since.as_ref())
            .query_some("until", query.until.as_ref())
            .query_some("tail", query.tail.as_ref());
        let answer = self.send(call).await?;
        Ok(Download {
            content_type: answer.header("content-type").to_owned(),
            chunks: answer.chunks(),
        })
    }

    /// Waits for `not-running`, `next-exit` or `removed`. Returns as soon as the daemon watches.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_wait(
        &self,
        who: &str,
        condition: Option<&str>,
    ) -> Result<Waiting<'_>, Error> {
        let call = Call::post(container(who, "wait")).query_some("condition", condition);
        Ok(Waiting {
            client: self,
            answer: self.send(call).await?,
        })
    }

    /// The same of one that [`Client::container_run`] has begun: returns when it has been started.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn container_wait_begun(
        &self,
        who: &str,
        condition: &str,
    ) -> Result<Waiting<'_>, Error> {
        let call = Call::post(container(who, "wait"))
            .query("condition", condition)
            .query_flag("run", true);
        Ok(Waiting {
            client: self,
            answer: self.send(call).await?,
        })
    }

    /// Its processes, by ps(1) with these arguments.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn container_top(
        &self,
        who: &str,
        ps_args: Option<&str>,
    ) -> Result<wire::ContainerTop, Error> {
        self.send_json(Call::get(container(who, "top")).query_some("ps_args", ps_args))
            .await
    }

    /// Changes its limits, labels, environment, ports and mounts; what the request does not say stays.
    /// Returns warnings.
    ///
    /// # Errors
    /// When a limit cannot be kept.
    pub async fn container_update(
        &self,
        who: &str,
        request: &wire::ContainerUpdateRequest,
    ) -> Result<wire::ContainerUpdateResponse, Error> {
        let call = Call::post(container(who, "update")).json(request);
        self.send_json(call).await
    }

    /// What it uses, from two looks within a second, or one if it does not run.
    ///
    /// # Errors
    /// When there is none.
    pub async fn container_stats(&self, who: &str) -> Result<wire::ContainerStats, Error> {
        let call = Call::get(container(who, "stats")).query("stream", "false");
        self.send_json(call).await
    }

    /// Changes its terminal's size, rows and columns.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn container_resize(
        &self,
        who: &str,
        [rows, columns]: [u16; 2],
    ) -> Result<(), Error> {
        let call = Call::post(container(who, "resize"))
            .query("h", rows)
            .query("w", columns);
        self.send_unit(call).await
    }
}

/// What the head of an answer says of a path.
fn stat_of(answer: &Answer) -> Result<wire::PathStat, Error> {
    let text = answer.header("x-docker-container-path-stat");
    let json = STANDARD.decode(text).unwrap_or_default();
    serde_json::from_slice(&json).map_err(|source| Error::Answer {
        operation: "a question for a path".to_owned(),
        source,
    })
}

fn unless_not_modified(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.status() == Some(304) => Ok(()),
        other => other,
    }
}
