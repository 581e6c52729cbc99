//! Exec sessions.

use super::request::{Call, segment};
use super::{Client, Error, Hijacked};
use crate::wire;

impl Client {
    /// Makes a session in a container; its id.
    ///
    /// # Errors
    /// When the container does not exist or does not run.
    pub async fn exec_create(
        &self,
        who: &str,
        request: &wire::ExecCreateRequest,
    ) -> Result<wire::ExecCreateResponse, Error> {
        let path = format!("/containers/{}/exec", segment(who));
        self.send_json(Call::post(path).json(request)).await
    }

    /// Makes a session; a daemon that is Brig's starts it, too, by the same request. Then the connection to its streams
    /// is there, and [`Client::exec_ended`] tells of its end. Any other has made it only.
    ///
    /// # Errors
    /// As [`Client::exec_create`].
    pub async fn exec_run(
        &self,
        who: &str,
        request: &wire::ExecCreateRequest,
    ) -> Result<(wire::ExecCreateResponse, Option<Hijacked>), Error> {
        let call = Call::post(format!("/containers/{}/exec", segment(who)));
        let call = call.query_flag("run", true).json(request);
        let answer = self.send(call.upgrade()).await?;
        if !answer.is_taken_over() {
            return Ok((answer.json(self).await?, None));
        }
        let made = answer.made("POST /containers/{id}/exec")?;
        Ok((made, Some(Self::taken(answer).await?)))
    }

    /// How a session of [`Client::exec_run`] stands once it has ended.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn exec_ended(&self, id: &str) -> Result<wire::ExecInspect, Error> {
        let call = Call::get(format!("/exec/{}/json", segment(id)));
        self.send_json(call.query_flag("wait", true)).await
    }

    /// Starts a session that nobody attaches to.
    ///
    /// # Errors
    /// When its command cannot be started.
    pub async fn exec_start_detached(&self, id: &str, tty: bool) -> Result<(), Error> {
        let request = wire::ExecStartRequest {
            detach: true,
            tty,
            console_size: None,
        };
        self.send_unit(exec_start(id).json(&request)).await
    }

    /// Starts a session and attaches to it.
    ///
    /// # Errors
    /// When its command cannot be started.
    pub async fn exec_start(
        &self,
        id: &str,
        tty: bool,
        console_size: Option<[u16; 2]>,
    ) -> Result<Hijacked, Error> {
        let request = wire::ExecStartRequest {
            detach: false,
            tty,
            console_size,
        };
        self.hijack(exec_start(id).json(&request)).await
    }

    /// Changes the size of a session's terminal, rows and columns.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn exec_resize(&self, id: &str, [rows, columns]: [u16; 2]) -> Result<(), Error> {
        let call = Call::post(format!("/exec/{}/resize", segment(id)))
            .query("h", rows)
            .query("w", columns);
        self.send_unit(call).await
    }

    /// How a session stands.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn exec_inspect(&self, id: &str) -> Result<wire::ExecInspect, Error> {
        self.send_json(Call::get(format!("/exec/{}/json", segment(id))))
            .await
    }
}

fn exec_start(id: &str) -> Call {
    Call::post(format!("/exec/{}/start", segment(id)))
}
