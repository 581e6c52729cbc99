//! One stage while it is planned, or an image or context that stands for one.

use types::Platform;

use super::image::ImageConfig;
use super::options::Context;
use crate::dockerfile::{Instruction, Stage};
use crate::expand::Env;
use crate::graph::Output;
use crate::source::Span;

/// An instruction and the stages it takes files from.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) instruction: Instruction,
    /// For `COPY` one; for `RUN` one a mount.
    pub(super) from: Vec<Option<usize>>,
    /// It came from a base's `ONBUILD`.
    pub(super) triggered: bool,
}

/// A stage.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// As written; none for an image that `--from` names.
    pub(super) stage: Option<Stage>,
    /// Its name.
    pub(super) name: Option<String>,
    /// What it is built on, variables expanded.
    pub(super) base_name: String,
    /// The stage that is.
    pub(super) base: Option<usize>,
    /// The context that stands for it.
    pub(super) replaced: Option<Context>,
    /// Where it is named.
    pub(super) span: Span,
    /// Name for people.
    pub(super) shown: String,
    pub(super) platform: Option<Platform>,
    pub(super) steps: Vec<Step>,
    /// Stages it takes files from.
    pub(super) depends: Vec<usize>,
    /// Its base is known.
    pub(super) resolved: bool,
    /// Triggers of its base stage were taken over.
    pub(super) triggered: bool,
    /// It is planned.
    pub(super) done: bool,
    /// The cache is not used.
    pub(super) no_cache: bool,

    /// Its files so far.
    pub(super) root: Option<Output>,
    pub(super) image: ImageConfig,
    pub(super) base_image: Option<ImageConfig>,
    /// What commands see: `ENV` and `ARG`, the later wins.
    pub(super) env: Env,
    /// What of it nobody here can know: its base cannot be had.
    pub(super) open: bool,
    /// `ARG`, in order.
    pub(super) args: Vec<(String, Option<String>)>,
    /// A `WORKDIR` of this file came before.
    pub(super) workdir_set: bool,
    /// The last of each kind.
    pub(super) last_cmd: Option<(Span, Vec<String>)>,
    pub(super) last_entrypoint: Option<(Span, Vec<String>)>,
    pub(super) last_healthcheck: Option<(Span, Vec<String>)>,
    /// How many steps are shown, and how many were.
    pub(super) total: usize,
    pub(super) shown_steps: usize,
}

impl Unit {
    /// Takes over what a base stage has come to.
    pub(super) fn continue_from(&mut self, base: &Self) {
        self.root = base.root;
        self.platform.clone_from(&base.platform);
        self.image = base.image.clone();
        self.image.config.on_build.clear();
        self.base_image.clone_from(&base.base_image);
        self.env = base.env.clone();
        self.open = base.open;
        self.args.splice(0..0, base.args.iter().cloned());
        self.workdir_set = base.workdir_set;
    }

    /// The absolute directory that relative paths are below.
    pub(super) fn directory(&self) -> &str {
        match self.image.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }

    /// `[stage 2/7] ` in front of what is done.
    pub(super) fn prefix(&mut self, several: bool, triggered: bool) -> String {
        if self.total == 0 {
            return String::new();
        }
        let mut out = "[".to_owned();
        if let Some(platform) = self.platform.as_ref().filter(|_| several) {
            out.push_str(&format!("{platform} "));
        }
        if !self.shown.is_empty() {
            out.push_str(&format!("{} ", self.shown));
        }
        self.shown_steps += 1;
        let width = self.total.to_string().len();
        out.push_str(&format!("{:width$}/{}] ", self.shown_steps, self.total));
        if triggered {
            out.push_str("ONBUILD ");
        }
        out
    }
}
