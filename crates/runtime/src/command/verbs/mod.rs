//! One file a verb.

mod create;
mod delete;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod state;

use crate::Outcome;
use crate::args::{Args, Verb};
use crate::failure::Failure;

/// Does what was typed.
pub(crate) fn run(args: &Args) -> Outcome {
    if args.systemd_cgroup {
        let reason = "--systemd-cgroup: this runtime makes cgroups directly, not through systemd";
        return Err(Failure::Usage(reason.to_owned()));
    }
    match &args.verb {
        Verb::Create(create) => create::create(args, create),
        Verb::Start(id) => start::start(args, &id.id),
        Verb::Run(run) => run::run(args, run),
        Verb::Exec(exec) => exec::exec(args, exec),
        Verb::State(id) => state::state(args, &id.id),
        Verb::List(list) => list::list(args, list),
        Verb::Kill(kill) => kill::kill(args, kill),
        Verb::Delete(delete) => delete::delete(args, delete),
        Verb::Ps(ps) => ps::ps(args, ps),
        Verb::Pause(id) => pause::pause(args, &id.id),
        Verb::Resume(id) => pause::resume(args, &id.id),
        Verb::Spec(spec) => spec::spec(spec),
        Verb::Features => features::features(),
    }
}
