//! The containers in memory: found by id, name or unique prefix, each with locks of its own.
//!
//! Locks, always taken in this order and all short but the first:
//! - `Container::writing` orders the changes of one container's record; held over the write.
//! - `Container::status`, `Container::live`: values, never held over I/O.
//! - the table's own: held to look up and to insert, never over I/O.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde_json::value::RawValue;
use shim::{AttachOptions, Shim};
use storage::{Durability, Record, Records};
use tokio::sync::watch;
use types::{
    Change, ContainerId, ContainerName, ContainerSpec, ExecId, ExitStatus, Health, IdMaps,
    Lifecycle, RestartPolicy,
};

use crate::Error;
use crate::container::Resolved;
use crate::record::{self, Fixed, Status};
use crate::user_ids::NoIds;

/// Locks although another thread has panicked holding it: every value behind our locks is swapped
/// whole, so none is ever half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client that attached before the start.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) client: UnixStream,
    pub(crate) options: AttachOptions,
}

/// What exists only while somebody looks after the container.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The shim of the current run, and of the last one until it has ended.
    pub(crate) shim: Option<Arc<Shim>>,
    /// Whether that shim takes clients: they need not wait for the start.
    pub(crate) serves_clients: bool,
    /// Clients that wait for the start.
    pub(crate) pending: Vec<Pending>,
    /// Exec sessions, the oldest first.
    pub(crate) execs: Vec<ExecId>,
    /// Whether it stays although it would go when it ends: it is being restarted.
    pub(crate) held: bool,
    /// What was seen of its health.
    pub(crate) health: Option<Health>,
    /// How often it was restarted in a row because it was unhealthy.
    pub(crate) health_restarts: u32,
    /// How long it waited before it was last started again by itself.
    pub(crate) waited: Duration,
    /// Who has asked for the end of this run, and by which signals.
    pub(crate) asked: Option<types::Asked>,
    /// Whether somebody sends its log to a server.
    pub(crate) forwards: bool,
}

impl Live {
    /// The run is over, or never began.
    pub(crate) fn no_shim(&mut self) {
        self.shim = None;
        self.serves_clients = false;
    }
}

/// What those who wait look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// Whether it is being started or runs, or will by itself.
    pub(crate) busy: bool,
    /// How often a run, or the attempt at one, has ended.
    pub(crate) ends: u64,
    /// The last end.
    pub(crate) last: Option<ExitStatus>,
    /// Whether what a run leaves behind has been cleaned away.
    pub(crate) clean: bool,
    /// Whether it is gone.
    pub(crate) removed: bool,
    /// Why the last attempt to remove it failed, and how often that happened.
    pub(crate) not_removed: (u64, String),
}

/// One container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) fixed: Fixed,
    encoded: Box<RawValue>,
    writing: Mutex<()>,
    /// Held while a network of it comes or goes.
    pub(crate) networking: Mutex<()>,
    /// Held while somebody writes to the files of one that does not run, and by its start.
    pub(crate) writing_files: Mutex<()>,
    status: RwLock<Status>,
    live: Mutex<Live>,
    progress: watch::Sender<Progress>,
}

impl Container {
    pub(crate) fn new(fixed: Fixed, status: Status) -> Result<Self, Error> {
        let progress = Progress {
            busy: busy(&status.lifecycle),
            last: status.lifecycle.exit_status().cloned(),
            clean: true,
            ..Progress::default()
        };
        Ok(Self {
            encoded: record::encode_fixed(&fixed)?,
            fixed,
            writing: Mutex::default(),
            networking: Mutex::default(),
            writing_files: Mutex::default(),
            status: RwLock::new(status),
            live: Mutex::default(),
            progress: watch::Sender::new(progress),
        })
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.fixed.id
    }

    pub(crate) fn name(&self) -> ContainerName {
        let status = self.status.read().unwrap_or_else(PoisonError::into_inner);
        status.name.as_ref().unwrap_or(&self.fixed.name).clone()
    }

    /// When it is started again by itself.
    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        let status = self.status.read().unwrap_or_else(PoisonError::into_inner);
        status.restart.unwrap_or(self.fixed.spec.restart)
    }

    pub(crate) fn status(&self) -> Status {
        self.status
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was asked for, with what has been changed since.
    pub(crate) fn spec(&self) -> Cow<'_, ContainerSpec> {
        let status = self.status.read().unwrap_or_else(PoisonError::into_inner);
        if status.limits.is_none() && status.changed.is_none() {
            return Cow::Borrowed(&self.fixed.spec);
        }
        let mut spec = self.fixed.spec.clone();
        if let Some(changed) = &status.changed {
            spec = changed.as_ref().clone().spec(spec);
        }
        if let Some(resources) = &status.limits {
            spec.resources = resources.clone();
        }
        Cow::Owned(spec)
    }

    /// What that comes to with the image's configuration.
    pub(crate) fn resolved(&self) -> Cow<'_, Resolved> {
        let status = self.status.read().unwrap_or_else(PoisonError::into_inner);
        match &status.changed {
            None => Cow::Borrowed(&self.fixed.resolved),
            Some(changed) => Cow::Owned(
                changed
                    .as_ref()
                    .clone()
                    .resolved(self.fixed.resolved.clone()),
            ),
        }
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.status().lifecycle
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        lock(&self.live)
    }

    pub(crate) fn shim(&self) -> Option<Arc<Shim>> {
        self.live().shim.clone()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Whether what the last run left behind has been cleaned away.
    pub(crate) fn set_clean(&self, clean: bool) {
        self.progress.send_modify(|progress| progress.clean = clean);
    }

    /// Tells those who wait that it is gone, or why it is not.
    pub(crate) fn set_removed(&self, outcome: Result<(), String>) {
        self.progress.send_modify(|progress| match outcome {
            Ok(()) => progress.removed = true,
            Err(reason) => progress.not_removed = (progress.not_removed.0 + 1, reason),
        });
    }

    /// The record of this container with `status`.
    pub(crate) fn record(&self, status: &Status) -> Result<Record, Error> {
        Ok(Record {
            id: self.fixed.id.clone(),
            name: status
                .name
                .as_ref()
                .unwrap_or(&self.fixed.name)
                .as_str()
                .to_owned(),
            image: self.fixed.image.clone(),
            body: record::encode(&self.encoded, status)?,
        })
    }

    /// Changes the status by closure: encode, write, then swap what memory holds, then wake those
    /// who wait. Without a `keep` only memory changes: for states that a restart derives anew.
    pub(crate) fn change(
        &self,
        keep: Option<(&Records, Durability)>,
        change: impl FnOnce(Status) -> Result<Status, Error>,
    ) -> Result<Status, Error> {
        self.change_and_tell(keep, change, || {})
    }

    /// The same, with something to tell everybody of: who hears of it finds the new status, and who
    /// waits for that status finds that it has been told.
    fn change_and_tell(
        &self,
        keep: Option<(&Records, Durability)>,
        change: impl FnOnce(Status) -> Result<Status, Error>,
        tell: impl FnOnce(),
    ) -> Result<Status, Error> {
        let _order = lock(&self.writing);
        let before = self.status();
        let ran = runs(&before.lifecycle);
        let after = change(before)?;
        if let Some((records, durability)) = keep {
            records.update(&self.record(&after)?, durability)?;
        }
        self.swap(after.clone());
        tell();
        self.progress.send_if_modified(|progress| {
            progress.busy = busy(&after.lifecycle);
            progress.last = after.lifecycle.exit_status().cloned();
            if ran && !runs(&after.lifecycle) {
                progress.ends += 1;
            }
            true
        });
        Ok(after)
    }

    /// [`Container::change`] by one step of the life cycle.
    pub(crate) fn step(
        &self,
        keep: Option<(&Records, Durability)>,
        change: Change,
    ) -> Result<Status, Error> {
        self.step_and_tell(keep, change, || {})
    }

    /// The same, with something to tell everybody of once it is so.
    pub(crate) fn step_and_tell(
        &self,
        keep: Option<(&Records, Durability)>,
        change: Change,
        tell: impl FnOnce(),
    ) -> Result<Status, Error> {
        let step = |status: Status| {
            let lifecycle = status
                .lifecycle
                .on(change)
                .map_err(|refused| crate::container::WrongState::refused(&self.fixed, &refused))?;
            Ok(Status {
                lifecycle,
                ..status
            })
        };
        self.change_and_tell(keep, step, tell)
    }

    /// Writes the record as memory has it: to make an earlier, cheaper write survive a power cut.
    pub(crate) fn flush(&self, records: &Records) -> Result<(), Error> {
        let _order = lock(&self.writing);
        records.update(&self.record(&self.status())?, Durability::Power)?;
        Ok(())
    }

    fn swap(&self, status: Status) {
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// Whether it is on its way to run, or does.
fn runs(lifecycle: &Lifecycle) -> bool {
    matches!(
        lifecycle,
        Lifecycle::Starting { .. } | Lifecycle::Running { .. }
    )
}

/// The same, or will by itself.
fn busy(lifecycle: &Lifecycle) -> bool {
    runs(lifecycle) || lifecycle.is_restarting()
}

/// All containers.
#[derive(Debug, Default)]
pub(crate) struct Table {
    by_id: BTreeMap<ContainerId, Arc<Container>>,
    by_name: HashMap<ContainerName, ContainerId>,
    /// Ids of containers that are being made.
    ids: HashMap<ContainerId, IdMaps>,
}

impl Table {
    /// Takes a name before the container exists.
    pub(crate) fn reserve(&mut self, name: &ContainerName, id: &ContainerId) -> Result<(), Error> {
        if let Some(owner) = self.by_name.get(name) {
            return Err(Error::NameTaken {
                name: name.as_str().to_owned(),
                owner: owner.clone(),
            });
        }
        self.by_name.insert(name.clone(), id.clone());
        Ok(())
    }

    /// Gives a reserved name back.
    pub(crate) fn release(&mut self, name: &ContainerName, id: &ContainerId) {
        if self.by_name.get(name) == Some(id) {
            self.by_name.remove(name);
        }
    }

    /// Takes ids of the host before the container exists: `plan` is given those that others have.
    pub(crate) fn take_ids(
        &mut self,
        id: &ContainerId,
        plan: impl FnOnce(&[&IdMaps]) -> Result<Option<IdMaps>, NoIds>,
    ) -> Result<Option<IdMaps>, NoIds> {
        let others = self.by_id.values().filter_map(|c| c.fixed.ids.as_ref());
        let used: Vec<&IdMaps> = others.chain(self.ids.values()).collect();
        let taken = plan(&used)?;
        if let Some(taken) = &taken {
            self.ids.insert(id.clone(), taken.clone());
        }
        Ok(taken)
    }

    /// Gives them back; nothing if none were taken.
    pub(crate) fn release_ids(&mut self, id: &ContainerId) {
        self.ids.remove(id);
    }

    /// Adds a container under its name. Its ids are known by its record from now on.
    pub(crate) fn insert(&mut self, container: Arc<Container>) {
        self.ids.remove(container.id());
        self.by_name
            .insert(container.name(), container.id().clone());
        self.by_id.insert(container.id().clone(), container);
    }

    /// Forgets a container and frees its name.
    pub(crate) fn forget(&mut self, container: &Container) {
        self.by_id.remove(container.id());
        self.release(&container.name(), container.id());
    }

    /// All of them, in no order that means anything.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.by_id.values().cloned().collect()
    }

    /// Who is meant: a full id, a name with or without its slash, or the beginning of one id only.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>, Error> {
        let missing = || Error::NoContainer(who.to_owned());
        if let Ok(id) = who.parse::<ContainerId>()
            && let Some(container) = self.by_id.get(&id)
        {
            return Ok(container.clone());
        }
        if let Ok(name) = who.parse::<ContainerName>()
            && let Some(container) = self.by_name.get(&name).and_then(|id| self.by_id.get(id))
        {
            return Ok(container.clone());
        }
        let mut found = self.with_prefix(who);
        let first = found.next().ok_or_else(missing)?;
        match found.next() {
            Some(_) => Err(Error::Ambiguous(who.to_owned())),
            None => Ok(first.clone()),
        }
    }

    fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Container>> {
        let digits = !prefix.is_empty()
            && prefix.len() <= 64
            && prefix
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // The lowest id with this prefix; ids sort as their digits do.
        let low = digits.then(|| format!("{prefix:0<64}").parse::<ContainerId>().ok());
        low.flatten().into_iter().flat_map(move |low| {
            self.by_id
                .range((Bound::Included(low), Bound::Unbounded))
                .take_while(move |(id, _)| id.as_str().starts_with(prefix))
                .map(|(_, container)| container)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::fixed;

    fn table() -> Table {
        let mut table = Table::default();
        for (digit, name) in [('a', "web"), ('b', "db"), ('c', "abab")] {
            let container = Container::new(fixed(digit, name), Status::created()).unwrap();
            table.insert(Arc::new(container));
        }
        let mut near = fixed('a', "other");
        near.id = format!("{}b", "a".repeat(63)).parse().unwrap();
        table.insert(Arc::new(Container::new(near, Status::created()).unwrap()));
        table
    }

    #[test]
    fn lookup_by_id_name_and_unique_prefix() {
        let table = table();
        let found = |who: &str| match table.find(who) {
            Ok(container) => container.name().as_str().to_owned(),
            Err(error) => error.to_string(),
        };
        let cases = [
            ("a".repeat(64), "web"),
            ("web".into(), "web"),
            ("/web".into(), "web"),
            ("b".into(), "db"),
            ("bbb".into(), "db"),
            // A name wins over a prefix.
            ("abab".into(), "abab"),
            ("aaa".into(), "Multiple IDs found with provided prefix: aaa"),
            ("nope".into(), "No such container: nope"),
            ("d".into(), "No such container: d"),
            (String::new(), "No such container: "),
            ("B".into(), "No such container: B"),
        ];
        for (who, expected) in cases {
            assert_eq!(found(&who), expected, "{who:?}");
        }
    }

    #[test]
    fn a_name_belongs_to_one() {
        let mut table = table();
        let id = ContainerId::from_random([9; 32]);
        let name: ContainerName = "web".parse().unwrap();
        let error = table.reserve(&name, &id).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Conflict. The container name \"/web\" is already in use by container \"{}\". \
                 You have to remove (or rename) that container to be able to reuse that name.",
                "a".repeat(64)
            )
        );
        let web = table.find("web").unwrap();
        table.forget(&web);
        table.reserve(&name, &id).unwrap();
        // Somebody else cannot release it.
        table.release(&name, web.id());
        assert!(table.reserve(&name, web.id()).is_err());
        table.release(&name, &id);
        table.reserve(&name, web.id()).unwrap();
    }
}
