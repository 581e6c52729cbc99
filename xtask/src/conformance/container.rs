//! One container, from create to delete. Whatever a test leaves goes when it is dropped.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::bundle::Bundle;
use super::runtime::{self, Said};

/// A container that was created, or that a call may have created.
#[derive(Debug)]
pub(crate) struct Container<'b, 's> {
    bundle: &'b Bundle<'s>,
    /// Its first process, as the file of `--pid-file` says.
    pub(crate) pid: u32,
    /// Where its program's output goes.
    output: PathBuf,
    /// Whether delete was obeyed.
    gone: Cell<bool>,
}

impl<'b, 's> Container<'b, 's> {
    /// What may come to be by the next call.
    pub(crate) fn new(bundle: &'b Bundle<'s>) -> Self {
        Self {
            bundle,
            pid: 0,
            output: PathBuf::new(),
            gone: Cell::new(false),
        }
    }

    /// What did.
    pub(crate) fn created(mut self, said: &Said) -> Result<Self> {
        self.output.clone_from(&said.out_path);
        let pid = runtime::read(&self.bundle.path().join("pid"));
        self.pid = pid
            .trim()
            .parse()
            .with_context(|| format!("the pid file holds {pid:?}"))?;
        Ok(self)
    }

    /// Calls the runtime's start.
    pub(crate) fn start(&self) -> Result<()> {
        self.must("start", &[])
    }

    /// Calls the runtime's kill with this signal.
    pub(crate) fn kill(&self, signal: &str) -> Result<()> {
        self.must("kill", &[signal])
    }

    /// Calls the runtime's delete.
    pub(crate) fn delete(&self) -> Result<()> {
        self.must("delete", &[])?;
        self.gone.set(true);
        Ok(())
    }

    fn must(&self, verb: &str, more: &[&str]) -> Result<()> {
        let said = self.call(verb, more)?;
        if !said.ok() {
            bail!("{verb} failed: {}", said.err);
        }
        Ok(())
    }

    /// Calls a verb on this container, which must fail; returns what was said.
    pub(crate) fn refuses(&self, verb: &str, more: &[&str]) -> Result<String> {
        let said = self.call(verb, more)?;
        if said.ok() {
            bail!("{verb} gave no error");
        }
        Ok(said.err)
    }

    /// Calls a verb on this container.
    pub(crate) fn call(&self, verb: &str, more: &[&str]) -> Result<Said> {
        let mut words = vec![verb, self.bundle.id.as_str()];
        words.extend(more);
        self.bundle.call(&words)
    }

    /// What the runtime's state says.
    pub(crate) fn state(&self) -> Result<Value> {
        let said = self.call("state", &[])?;
        if !said.ok() {
            bail!("state failed: {}", said.err);
        }
        serde_json::from_str(&said.out).with_context(|| format!("state printed {:?}", said.out))
    }

    /// The state's status.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(self.state()?["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// The status must be this.
    pub(crate) fn is(&self, wanted: &str) -> Result<()> {
        let status = self.status()?;
        if status != wanted {
            bail!("the status is {status:?}, not {wanted:?}");
        }
        Ok(())
    }

    /// Waits until its first process has ended.
    pub(crate) fn wait(&self) -> Result<()> {
        let path = format!("/proc/{}/stat", self.pid);
        until("the container's process to end", || {
            let stat = std::fs::read_to_string(&path).unwrap_or_default();
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            Ok(matches!(state, None | Some('Z' | 'X')).then_some(()))
        })
    }

    /// Ends it and waits for that.
    pub(crate) fn stop(&self) -> Result<()> {
        self.kill("KILL")?;
        self.wait()
    }

    /// What its program has written so far.
    pub(crate) fn output(&self) -> String {
        runtime::read(&self.output)
    }

    /// Waits for the first line that is JSON.
    pub(crate) fn first_report(&self) -> Result<Value> {
        until("the program inside to report", || {
            Ok(super::bundle::last_line(&self.output()))
        })
    }

    /// Where a controller has its cgroup.
    pub(crate) fn cgroup_file(&self, controller: &str, name: &str) -> Result<PathBuf> {
        let cgroups = &self.bundle.suite.machine.cgroups;
        Ok(cgroups
            .directory(controller, self.bundle.cgroup())?
            .join(name))
    }
}

/// A test that fails half way leaves nothing either.
impl Drop for Container<'_, '_> {
    fn drop(&mut self) {
        if !self.gone.get() {
            let _ = self.bundle.call(&["delete", "--force", &self.bundle.id]);
        }
        self.bundle
            .suite
            .machine
            .cgroups
            .remove(self.bundle.cgroup());
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + runtime::limit();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {:?} for {what}", runtime::limit());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
