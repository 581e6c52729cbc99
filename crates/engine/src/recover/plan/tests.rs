//! The plan as a table of text: what was found, what is done about it.

use super::*;

const PROCESS: ProcessRef = ProcessRef { pid: 7, started: 1 };

fn exit(finished: i64) -> ExitRecord {
    ExitRecord {
        code: 3,
        signal: None,
        oom_killed: false,
        finished,
    }
}

fn exited() -> Lifecycle {
    Lifecycle::Exited {
        started: Some(1),
        status: status(&exit(5)),
    }
}

fn running() -> Lifecycle {
    Lifecycle::Running {
        process: PROCESS,
        started: 1,
        paused: false,
    }
}

fn facts(lifecycle: Option<Lifecycle>) -> Facts {
    Facts {
        id: ContainerId::from_random([1; 32]),
        lifecycle,
        auto_remove: false,
        same_boot: true,
        run_dir: true,
        shim: ShimFact::Gone,
        shim_pid: Some(99),
        exit: None,
        now: 1000,
    }
}

fn text(facts: &Facts) -> String {
    let plan = plan(facts);
    let actions: Vec<String> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Adopt(process) => format!("adopt {}", process.pid),
            Action::AwaitShim => "await shim".to_owned(),
            Action::EndShim => "end shim".to_owned(),
            Action::KillLeftovers => "kill".to_owned(),
            Action::RecordExit(status) => {
                format!("exit {}@{} {}", status.code, status.finished, status.error)
            }
            Action::RecordLost(status) => format!("lost {} {}", status.code, status.error),
            Action::RemoveRunDir => "clear".to_owned(),
            Action::Remove => "remove".to_owned(),
        })
        .map(|text| text.trim_end().to_owned())
        .collect();
    format!("{} | {}", plan.cause, actions.join(", "))
}

fn check(table: &[(Facts, &str)]) {
    for (facts, expected) in table {
        assert_eq!(text(facts), *expected, "{facts:?}");
    }
}

#[test]
fn what_ran() {
    let run = || facts(Some(running()));
    let table = [
        (
            Facts {
                shim: ShimFact::Silent,
                ..run()
            },
            "nobody can tell of its shim | ",
        ),
        (
            Facts {
                shim: ShimFact::Started(PROCESS),
                ..run()
            },
            "its shim answers | adopt 7",
        ),
        (
            Facts {
                exit: Some(exit(9)),
                ..run()
            },
            "it ended while nobody looked | kill, clear, exit 3@9",
        ),
        (
            Facts {
                exit: Some(exit(9)),
                auto_remove: true,
                ..run()
            },
            "it ended while nobody looked | kill, clear, exit 3@9, remove",
        ),
        (
            run(),
            "its shim is gone without a word | kill, clear, lost 137 its shim (pid 99) died",
        ),
        (
            Facts {
                shim_pid: None,
                auto_remove: true,
                run_dir: false,
                ..run()
            },
            "its shim is gone without a word | kill, lost 137 its shim died, remove",
        ),
        (
            Facts {
                same_boot: false,
                run_dir: false,
                ..run()
            },
            "the machine was restarted while it ran | \
             exit 255@1000 the machine was restarted while it ran",
        ),
        (
            Facts {
                same_boot: false,
                run_dir: false,
                exit: Some(exit(9)),
                ..run()
            },
            "it ended while nobody looked | exit 3@9",
        ),
        (
            Facts {
                shim: ShimFact::Waiting,
                ..run()
            },
            "its shim is gone without a word | end shim, kill, clear, \
             lost 137 its shim (pid 99) died",
        ),
    ];
    check(&table);
}

#[test]
fn what_rested() {
    let created = || facts(Some(Lifecycle::Created));
    let table = [
        (
            Facts {
                run_dir: false,
                ..created()
            },
            "nothing happened to it | ",
        ),
        (
            Facts {
                run_dir: false,
                auto_remove: true,
                ..created()
            },
            "nothing happened to it | ",
        ),
        (created(), "its start was interrupted | kill, clear"),
        (
            Facts {
                auto_remove: true,
                ..created()
            },
            "its start was interrupted | kill, clear, remove",
        ),
        (
            Facts {
                shim: ShimFact::Waiting,
                ..created()
            },
            "its start was interrupted | end shim, kill, clear",
        ),
        (
            Facts {
                shim: ShimFact::Started(PROCESS),
                ..created()
            },
            "its start was carried out but not recorded | adopt 7",
        ),
        (
            Facts {
                exit: Some(exit(9)),
                ..created()
            },
            "it ran and ended unrecorded | kill, clear, exit 3@9",
        ),
        (
            Facts {
                shim: ShimFact::Ended(PROCESS, exit(5)),
                ..facts(Some(exited()))
            },
            "its shim still serves clients | await shim",
        ),
        (
            Facts {
                shim: ShimFact::Ended(PROCESS, exit(9)),
                ..facts(Some(exited()))
            },
            "its start was carried out but not recorded | adopt 7",
        ),
    ];
    check(&table);
}

#[test]
fn what_had_ended_before() {
    let table = [
        // Its own exit record, known: nothing to do but to clear away an interrupted cleaning.
        (
            Facts {
                exit: Some(exit(5)),
                ..facts(Some(exited()))
            },
            "its start was interrupted | kill, clear",
        ),
        (
            Facts {
                exit: Some(exit(5)),
                run_dir: false,
                ..facts(Some(exited()))
            },
            "nothing happened to it | ",
        ),
        // After a power cut that took the records of the last run with it.
        (
            Facts {
                exit: Some(exit(9)),
                run_dir: false,
                ..facts(Some(exited()))
            },
            "it ran and ended unrecorded | exit 3@9",
        ),
        (
            facts(Some(Lifecycle::Starting {
                previous: None,
                again: false,
            })),
            "its start was interrupted | kill, clear, exit 128@1000 its start was interrupted",
        ),
    ];
    check(&table);
}

#[test]
fn what_was_being_removed_or_is_nobodys() {
    let removing = || facts(Some(Lifecycle::Removing { status: None }));
    let table = [
        (
            removing(),
            "its removal was interrupted | kill, clear, remove",
        ),
        (
            Facts {
                run_dir: false,
                ..removing()
            },
            "its removal was interrupted | remove",
        ),
        (
            facts(None),
            "no record knows this run directory | kill, clear",
        ),
        (
            Facts {
                shim: ShimFact::Started(PROCESS),
                ..facts(None)
            },
            "no record knows this run directory | end shim, kill, clear",
        ),
    ];
    check(&table);
}
