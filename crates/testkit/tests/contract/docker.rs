//! A Docker of Debian's that has the image.

use std::fs;
use std::path::Path;

use testkit::{Dockerd, busybox_tar, until};

use super::http::send;

/// A running daemon.
pub(crate) struct Docker(Dockerd);

impl Docker {
    /// None where there is none, which is said.
    pub(crate) fn start() -> Option<Self> {
        let docker = Self(Dockerd::start("sid")?);
        docker.import();
        Some(docker)
    }

    pub(crate) fn socket(&self) -> &Path {
        self.0.socket()
    }

    fn import(&self) {
        let tar = fs::read(busybox_tar()).unwrap();
        let target = "/images/create?fromSrc=-&repo=bb&tag=latest";
        let imported = send(self.socket(), "POST", target, "", Some(&tar));
        assert_eq!(imported.status, 200);
        until("the image", || {
            (send(self.socket(), "GET", "/images/bb/json", "", None).status == 200).then_some(())
        });
    }
}
