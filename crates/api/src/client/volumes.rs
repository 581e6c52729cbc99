//! Volumes.

use serde_json::Value;

use super::request::{Call, segment};
use super::{Body, Client, Download, Error, Filters};
use crate::wire;

impl Client {
    /// Lists volumes by name.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volume_list(&self, filters: &Filters) -> Result<wire::VolumeList, Error> {
        self.send_json(Call::get("/volumes").filters(filters)).await
    }

    /// Makes one, or finds the one of that name.
    ///
    /// # Errors
    /// When the name or an option is refused.
    pub async fn volume_create(
        &self,
        request: &wire::VolumeCreateRequest,
    ) -> Result<wire::Volume, Error> {
        self.send_json(Call::post("/volumes/create").json(request))
            .await
    }

    /// All about one, exactly as the daemon wrote it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn volume_inspect_raw(&self, name: &str) -> Result<Value, Error> {
        self.send_json(Call::get(format!("/volumes/{}", segment(name))))
            .await
    }

    /// Removes one.
    ///
    /// # Errors
    /// When there is none, unless forced; when a container has it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<(), Error> {
        let call = Call::delete(format!("/volumes/{}", segment(name)));
        self.send_unit(call.query_flag("force", force)).await
    }

    /// Removes those that no container has.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volumes_prune(&self, filters: &Filters) -> Result<wire::VolumesPruned, Error> {
        self.send_json(Call::post("/volumes/prune").filters(filters))
            .await
    }

    /// A volume's files as a tar archive. Brig's own, as all that follow.
    ///
    /// # Errors
    /// When there is none.
    pub async fn volume_export(&self, name: &str) -> Result<Download, Error> {
        let answer = self.send(Call::get(own(name, "archive"))).await?;
        Ok(Download {
            content_type: answer.header("content-type").to_owned(),
            chunks: answer.chunks(),
        })
    }

    /// Makes a volume's content what an archive holds.
    ///
    /// # Errors
    /// When it is not empty and not to be replaced, or a container runs that has it.
    pub async fn volume_import(
        &self,
        name: &str,
        replace: bool,
        archive: Body,
    ) -> Result<(), Error> {
        let call = Call::post(own(name, "archive")).query_flag("replace", replace);
        self.send_unit(call.stream(archive)).await
    }

    /// A new volume with the content of another.
    ///
    /// # Errors
    /// When there is none, or one of the new name.
    pub async fn volume_clone(&self, name: &str, to: &str) -> Result<wire::VolumeCopied, Error> {
        self.send_json(Call::post(own(name, "clone")).query("to", to))
            .await
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// When there is none, or a container has it.
    pub async fn volume_rename(&self, name: &str, to: &str) -> Result<(), Error> {
        self.send_unit(Call::post(own(name, "rename")).query("to", to))
            .await
    }

    /// Keeps a volume's content under a name.
    ///
    /// # Errors
    /// When there is none, or a snapshot of that name.
    pub async fn volume_snapshot(
        &self,
        name: &str,
        snapshot: &str,
    ) -> Result<wire::VolumeCopied, Error> {
        let call = Call::post(own(name, "snapshots")).query("name", snapshot);
        self.send_json(call).await
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// When there is none.
    pub async fn volume_snapshot_remove(&self, name: &str, snapshot: &str) -> Result<(), Error> {
        let call = Call::delete(own(name, "snapshots")).query("name", snapshot);
        self.send_unit(call).await
    }

    /// Brings back what a snapshot kept.
    ///
    /// # Errors
    /// When there is none, or a container runs that has the volume.
    pub async fn volume_restore(
        &self,
        name: &str,
        snapshot: &str,
    ) -> Result<wire::VolumeCopied, Error> {
        let call = Call::post(own(name, "restore")).query("snapshot", snapshot);
        self.send_json(call).await
    }
}

fn own(name: &str, verb: &str) -> String {
    format!("/brig/volumes/{}/{verb}", segment(name))
}
