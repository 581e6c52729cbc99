//! A process between the maker and a container's first one, for namespaces that have to be joined
//! before that one is cloned: it joins, clones, tells who was born, and ends.
//!
//! Two cases. New namespaces belong to the user namespace in which they are made, so one that is
//! joined comes before them. And in a new user namespace the caller's rights over others are gone,
//! so those that are joined come before it. The maker itself could not go back from either.
//!
//! ```text
//!   maker ── clone3 ──► usher ── setns ── clone3, as the maker's child ──► init
//!     ◄───── Born + pidfd ──┘ ends
//! ```

use std::os::fd::{AsFd, OwnedFd};

use sys::clone::{Child, Clone3};
use sys::ns::Namespaces;

use crate::create::ended;
use crate::error::{Doing, Error};
use crate::init::Init;
use crate::init::namespaces::enter;
use crate::prepare::NamespacePlan;
use crate::protocol::{During, Failure, FromInit, InitEnd, MakerEnd, channel};

/// Has an usher clone the first process. Of the two ends of the channel the copies keep `init`'s.
pub(crate) fn spawn(
    clone: Clone3<'_>,
    init: Init<'_>,
    maker: MakerEnd,
) -> Result<(Child, MakerEnd), Error> {
    // Not by the channel of the first process, which does not wait for the usher to speak.
    let (ear, line) = channel()?;
    let mut ends = Some((init, line, maker));
    let usher = Clone3::default().spawn(|| match ends.take() {
        Some((init, line, maker)) => {
            drop(maker);
            usher(clone, init, line)
        }
        None => 1,
    });
    let usher = usher.doing(|| "clone a process that joins namespaces".to_owned())?;
    // The copies' ends must close here, or their death would never be heard.
    let Some((init, line, maker)) = ends else {
        return Err(Error::Injected("clone"));
    };
    drop((init, line));
    let born = hear(&ear, &usher.pidfd);
    // Whatever it said, it ends now.
    let reaped = sys::pidfd::wait(&usher.pidfd);
    let child = born?;
    reaped.doing(|| "reap the process that joined namespaces".to_owned())?;
    Ok((child, maker))
}

fn hear(ear: &MakerEnd, usher: &OwnedFd) -> Result<Child, Error> {
    match ear.receive()? {
        Some((FromInit::Born { pid }, mut fds)) => match fds.pop() {
            Some(pidfd) => Ok(Child { pid, pidfd }),
            None => Err(Error::Protocol {
                answer: "a birth without a descriptor".to_owned(),
            }),
        },
        Some((FromInit::Failed(failure), _)) => Err(failure.into()),
        Some((answer, _)) => Err(Error::Protocol {
            answer: format!("{answer:?}"),
        }),
        None => Err(ended(usher)),
    }
}

/// The exit code.
fn usher(clone: Clone3<'_>, init: Init<'_>, line: InitEnd) -> i32 {
    let mut line = Some(line);
    let led = lead(clone, init, &mut line);
    let Some(line) = line else { return 1 };
    let told = match led {
        Ok(child) => line.send(&FromInit::Born { pid: child.pid }, &[child.pidfd.as_fd()]),
        Err(failure) => {
            let phase = "cannot enter the container".to_owned();
            let step = "join-namespaces".to_owned();
            let failure = Failure {
                phase,
                step,
                ..failure
            };
            line.send(&FromInit::Failed(failure), &[])
        }
    };
    i32::from(told.is_err())
}

fn lead(clone: Clone3<'_>, init: Init<'_>, line: &mut Option<InitEnd>) -> Result<Child, Failure> {
    let mut clone = Clone3 {
        sibling: true,
        ..clone
    };
    // Whoever is in a cgroup namespace is nowhere near a cgroup outside of it, where the hierarchy is
    // delegated by namespaces (nsdelegate): nobody can be born there from inside.
    if clone.cgroup.is_some() && init.plan.namespaces.joined(Namespaces::CGROUP).is_some() {
        let entered = init.join.enter_v2();
        entered.during(|| "enter the cgroup".to_owned())?;
        clone.cgroup = None;
    }
    join(&init.plan.namespaces)?;
    let child = clone.spawn(|| {
        drop(line.take());
        init.run()
    });
    child.during(|| "clone the container's process".to_owned())
}

/// First what the caller's own rights open; then the user namespace; then what only its rights
/// open. So it does not matter which user namespace owns the others.
fn join(namespaces: &NamespacePlan) -> Result<(), Failure> {
    let mut later = Vec::new();
    for (kind, namespace) in &namespaces.join {
        if *kind == Namespaces::USER {
            continue;
        }
        match sys::ns::enter(namespace, *kind) {
            Err(error) if error.errno == sys::Errno::PERM => later.push((namespace, *kind)),
            answer => answer.during(|| format!("join the {kind:?} namespace"))?,
        }
    }
    if let Some(namespace) = namespaces.joined(Namespaces::USER) {
        enter(namespace, Namespaces::USER)?;
    }
    later
        .into_iter()
        .try_for_each(|(namespace, kind)| enter(namespace, kind))
}
