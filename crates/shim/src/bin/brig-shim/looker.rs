//! Looks from time to time whether the container is well, and tells those who watch. It goes on while
//! the daemon is away: who watches later is told what was seen.

use std::time::{Duration, Instant};

use oci_spec::runtime::Process;
use shim::protocol::{HealthPlan, Notice, Reply, Streams};
use sys::pidfd;
use types::{ExecId, Health, HealthStatus, Probed, ProcessRef, Signal};

use crate::backend::Begun;
use crate::failure::Failure;
use crate::joiner::{Joiner, NOBODY};
use crate::outside;
use crate::server::{Phase, Server, now};
use crate::session::Ends;
use crate::streams;

/// The code of a look that could not be taken, or took too long.
const FAILED: i32 = -1;

/// How the container is, and when to look again.
#[derive(Debug)]
pub(crate) struct Looker {
    plan: HealthPlan,
    health: Health,
    /// When to look; while it is looked, when that takes too long.
    at: Instant,
    /// The look that is under way.
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    id: ExecId,
    /// Nanoseconds since the Unix epoch.
    start: i64,
}

impl Looker {
    fn new(plan: HealthPlan) -> Self {
        let health = Health {
            status: plan.status,
            ..Health::default()
        };
        let mut looker = Self {
            plan,
            health,
            at: Instant::now(),
            look: None,
        };
        looker.rest();
        looker
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    fn is(&self, id: &ExecId) -> bool {
        self.look.as_ref().is_some_and(|look| look.id == *id)
    }

    /// Until the next look: more often at first, as long as it is not known how it is.
    fn rest(&mut self) {
        let check = &self.plan.check;
        let starting = self.health.status == HealthStatus::Starting && self.starts(now());
        self.at = Instant::now()
            + match starting {
                true => check.start_interval(),
                false => check.interval(),
            };
    }

    /// Whether failures do not count yet.
    fn starts(&self, now: i64) -> bool {
        let age = u64::try_from(now.saturating_sub(self.plan.began)).unwrap_or(0);
        Duration::from_nanos(age) < self.plan.check.start_period()
    }

    /// What was seen, and what that comes to.
    fn take(&mut self, start: i64, code: i32, output: String) -> Notice {
        let probed = Probed {
            start,
            end: now(),
            code,
            output,
        };
        let counts = !self.starts(start);
        let health = std::mem::take(&mut self.health);
        self.health = health.after(probed.clone(), self.plan.check.retries(), counts);
        self.rest();
        self.notice(probed)
    }

    fn notice(&self, probed: Probed) -> Notice {
        Notice::Looked {
            probed,
            status: self.health.status,
            failing: self.health.failing,
        }
    }

    /// What who watches now has not heard of.
    pub(crate) fn past(&self) -> impl Iterator<Item = Notice> {
        let log = self.health.log.iter();
        log.map(|probed| self.notice(probed.clone()))
    }
}

impl Server {
    /// From now on, if nobody does already.
    pub(crate) fn look_after(&mut self, plan: HealthPlan) -> Reply {
        self.looker.get_or_insert_with(|| Looker::new(plan));
        Reply::Done
    }

    /// When the looker wants to be asked.
    pub(crate) fn next_health(&self) -> Option<Instant> {
        let runs = matches!(self.phase, Phase::Started(_));
        self.looker.as_ref().filter(|_| runs).map(Looker::at)
    }

    /// Looks, or gives a look up, if it is time to.
    pub(crate) fn see_to_health(&mut self) {
        let Phase::Started(process) = self.phase else {
            return;
        };
        let Some(looker) = self.looker.as_mut().filter(|l| l.at <= Instant::now()) else {
            return;
        };
        if let Some(look) = looker.look.take() {
            self.give_up(look);
        } else if self.backend.is_frozen() {
            looker.rest();
        } else {
            self.begin_look(process);
        }
    }

    fn begin_look(&mut self, process: ProcessRef) {
        let Some(looker) = &mut self.looker else {
            return;
        };
        let bytes = sys::random::bytes().unwrap_or_default();
        let (id, start) = (ExecId::from_random(bytes), now());
        let plan = looker.plan.clone();
        looker.at = Instant::now() + plan.check.timeout();
        looker.look = Some(Look {
            id: id.clone(),
            start,
        });
        let begun = match &plan.command {
            Some(command) => self.look_inside(id.clone(), command),
            None => self.look_from_outside(id.clone(), &plan, process),
        };
        if let Err(failure) = begun {
            self.look_failed(&id, failure);
        }
    }

    /// By a command in the container: an exec session that nobody has asked for.
    fn look_inside(&mut self, id: ExecId, command: &str) -> Result<(), Failure> {
        let process: Process =
            serde_json::from_str(command).map_err(Failure::of("read the process"))?;
        let wanted = Streams {
            stdin: false,
            stdout: true,
            stderr: true,
        };
        let (stdio, half) = streams::make(false, [0; 2], wanted)?;
        match self.backend.begin_exec(&process, stdio)? {
            Begun::Made(made) => {
                let ends = half.complete(made.terminal);
                self.add_exec(id, None, ends, made.process, None);
            }
            Begun::Joining(joining) => self.add_joiner(Joiner {
                number: 0,
                caller: NOBODY,
                id,
                client: None,
                half,
                joining,
                exit: None,
                ask: None,
            }),
        }
        Ok(())
    }

    fn look_from_outside(
        &mut self,
        id: ExecId,
        plan: &HealthPlan,
        process: ProcessRef,
    ) -> Result<(), Failure> {
        let (process, output) = outside::begin(&plan.check, process)?;
        let ends = Ends::Pipes {
            stdin: None,
            stdout: Some(output),
            stderr: None,
        };
        self.add_exec(id, None, ends, process, None);
        Ok(())
    }

    /// Whether this session is a look.
    pub(crate) fn is_look(&self, id: &ExecId) -> bool {
        self.looker.as_ref().is_some_and(|looker| looker.is(id))
    }

    /// A look has come to its end, if it is not too late for that.
    pub(crate) fn looked(&mut self, id: &ExecId, code: i32, output: String) {
        let runs = matches!(self.phase, Phase::Started(_));
        let Some(looker) = self.looker.as_mut().filter(|looker| looker.is(id)) else {
            return;
        };
        let Some(look) = looker.look.take().filter(|_| runs) else {
            return;
        };
        let notice = looker.take(look.start, code, output);
        self.notify(&notice);
    }

    /// It could not be taken.
    pub(crate) fn look_failed(&mut self, id: &ExecId, failure: Failure) {
        self.looked(id, FAILED, failure.message);
    }

    /// It takes too long.
    fn give_up(&mut self, look: Look) {
        let mut output = String::new();
        if let Some(exec) = self.execs.iter_mut().find(|exec| exec.id == look.id) {
            output = exec.session.captured();
            // One that has ended meanwhile needs no signal.
            if let Ok(Some(process)) = sys::proc::open(exec.process) {
                let _ = pidfd::send_signal(&process, Signal::KILL);
            }
        }
        self.turn_away(&look.id);
        let Some(looker) = &mut self.looker else {
            return;
        };
        let limit = looker.plan.check.timeout();
        let notice = looker.take(look.start, FAILED, too_long(limit, &output));
        self.notify(&notice);
    }
}

/// In Docker's words.
fn too_long(limit: Duration, output: &str) -> String {
    let told = format!("Health check exceeded timeout ({limit:?})");
    match output {
        "" => told,
        output => format!("{told}: {output}"),
    }
}
