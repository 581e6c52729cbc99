//! Secrets: Brig's own.

use serde_json::Value;

use super::request::{Call, segment};
use super::{Client, Error};
use crate::wire;

impl Client {
    /// All of them, by name.
    ///
    /// # Errors
    /// When the daemon cannot read them.
    pub async fn secret_list(&self) -> Result<Vec<wire::Secret>, Error> {
        self.send_json(Call::get("/brig/secrets")).await
    }

    /// Keeps one.
    ///
    /// # Errors
    /// When the name is taken or refused.
    pub async fn secret_create(
        &self,
        request: &wire::SecretRequest,
    ) -> Result<wire::Secret, Error> {
        self.send_json(Call::post("/brig/secrets").json(request))
            .await
    }

    /// Has one say something else.
    ///
    /// # Errors
    /// When there is none.
    pub async fn secret_update(
        &self,
        name: &str,
        request: &wire::SecretRequest,
    ) -> Result<(), Error> {
        let path = format!("/brig/secrets/{}/update", segment(name));
        self.send_unit(Call::post(path).json(request)).await
    }

    /// All about one, exactly as the daemon wrote it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn secret_inspect_raw(&self, name: &str) -> Result<Value, Error> {
        self.send_json(Call::get(format!("/brig/secrets/{}", segment(name))))
            .await
    }

    /// Forgets one.
    ///
    /// # Errors
    /// When there is none, or a container has it.
    pub async fn secret_remove(&self, name: &str) -> Result<(), Error> {
        self.send_unit(Call::delete(format!("/brig/secrets/{}", segment(name))))
            .await
    }
}
