//! Builds by Docker's client with its plugins.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::brig::Brig;
use crate::output::Output;
use crate::programs::{Client, docker_plugin};
use crate::root;

/// A daemon, Docker's client with its plugins, and a directory to build from.
#[derive(Debug)]
pub struct Build {
    /// The daemon.
    pub brig: Brig,
    /// The directory.
    pub context: TempDir,
}

impl Build {
    /// With the busybox image in the daemon, called `bb`. None, and a word that says so, where something is
    /// missing.
    #[track_caller]
    pub fn start() -> Option<Self> {
        if !root() {
            return None;
        }
        let plugins = [docker_plugin("buildx")?, docker_plugin("compose")?];
        let brig = Brig::with_image();
        let into = brig.root().join("home/cli-plugins");
        fs::create_dir(&into).unwrap();
        for plugin in plugins {
            symlink(&plugin, into.join(plugin.file_name().unwrap())).unwrap();
        }
        let context = tempfile::tempdir().unwrap();
        Some(Self { brig, context })
    }

    /// Writes a file of the context.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.context.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The context's path.
    pub fn dir(&self) -> &str {
        self.context.path().to_str().unwrap()
    }

    /// A place beside the context.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.brig.root().join(name)
    }

    /// Runs Docker's client.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Output {
        self.brig.with(Client::Docker28, args)
    }

    /// Builds the context, with words between the verb and the directory.
    #[track_caller]
    pub fn build(&self, args: &[&str]) -> Output {
        self.build_of(args, self.dir())
    }

    /// Builds another context.
    #[track_caller]
    pub fn build_of(&self, args: &[&str], context: &str) -> Output {
        let mut all = vec!["build"];
        if !args.contains(&"-q") {
            all.push("--progress=plain");
        }
        all.extend(args);
        all.push(context);
        self.docker(&all)
    }

    /// What a command in a container of an image says.
    #[track_caller]
    pub fn says(&self, image: &str, command: &[&str]) -> String {
        let mut all = vec!["run", "--rm", "--network=none", image];
        all.extend(command);
        self.docker(&all).ok().to_owned()
    }

    /// What `image inspect` says of one thing.
    #[track_caller]
    pub fn inspect(&self, image: &str, format: &str) -> String {
        self.docker(&["image", "inspect", "-f", format, image])
            .ok()
            .to_owned()
    }

    /// Forgets an image and all that builds have kept.
    #[track_caller]
    pub fn forget(&self, image: &str) {
        self.docker(&["rmi", "-f", image]).ok();
        self.docker(&["builder", "prune", "-af"]).ok();
    }

    /// Saves an image to a file beside the context.
    #[track_caller]
    pub fn save(&self, image: &str) -> PathBuf {
        let path = self.beside("saved.tar");
        self.docker(&["save", "-o", path.to_str().unwrap(), image])
            .ok();
        path
    }

    /// Has the daemon take an archive's images.
    #[track_caller]
    pub fn load(&self, archive: &Path) {
        self.docker(&["load", "-i", archive.to_str().unwrap()]).ok();
    }
}
