//! A process in the foreground: its end waited for, signals passed on, its terminal shown.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::event::{Event, Interest, Poller, Signals};
use sys::pidfd::Exit;
use sys::term::Settings;
use types::Signal;

use crate::failure::{Doing, Failure};
use crate::notify::Bound;

const PROCESS: u64 = 0;
const SIGNALS: u64 = 1;
const INPUT: u64 = 2;
const MASTER: u64 = 3;
const NOTIFY: u64 = 4;

/// What is read from the user and not yet taken by the terminal may grow to this.
const CHUNK: usize = 16 * 1024;

/// Signals that are for the process and not for this command. Taken before the process is made, so
/// that none is lost in between.
///
/// A subreaper gets the container's orphans, of one without a pid namespace of its own, and is told
/// of their ends.
pub(crate) fn take_signals(subreaper: bool) -> Result<Signals, Failure> {
    if subreaper {
        sys::process::set_child_subreaper(true).doing("become the parent of orphans")?;
    }
    let wanted = |signal: &Signal| {
        !NOT_PASSED_ON.contains(&signal.number()) || (subreaper && *signal == Signal::CHLD)
    };
    let all: Vec<Signal> = (1..=64)
        .filter_map(|number| Signal::try_from(number).ok())
        .filter(wanted)
        .collect();
    Signals::take(Some(&all), true).doing("collect signals")
}

/// Those that cannot be collected (KILL, STOP), mean a fault of this command (ILL, TRAP, BUS, FPE,
/// SEGV, SYS, ABRT), or are about its own descriptors and children (PIPE, CHLD, URG).
const NOT_PASSED_ON: [i32; 13] = [4, 5, 6, 7, 8, 9, 11, 13, 17, 19, 23, 31, 32];

/// A process to wait for.
pub(crate) struct Foreground<'a> {
    pub(crate) pidfd: &'a OwnedFd,
    pub(crate) signals: Signals,
    pub(crate) terminal: Option<OwnedFd>,
    /// What the container says of its readiness, to be passed on.
    pub(crate) notify: Option<Bound>,
    /// Whether this program is a subreaper: then the pid of the process, which is reaped with the
    /// orphans.
    pub(crate) among_orphans: Option<i32>,
}

impl Foreground<'_> {
    /// Waits for the end, reaps, and returns the exit code as a shell has it.
    pub(crate) fn wait(self) -> Result<u8, Failure> {
        let exit = match &self.terminal {
            None => self.watch(None)?,
            Some(master) => {
                let raw = Raw::enter();
                let exit = Relay::new(master).and_then(|relay| self.watch(Some(relay)));
                drop(raw);
                exit?
            }
        };
        Ok(u8::try_from(exit.code()).unwrap_or(u8::MAX))
    }

    fn watch(&self, mut relay: Option<Relay<'_>>) -> Result<Exit, Failure> {
        let poller = Poller::new().doing("wait")?;
        poller
            .add(self.pidfd, PROCESS, Interest::READ)
            .doing("wait")?;
        poller
            .add(&self.signals, SIGNALS, Interest::READ)
            .doing("wait")?;
        if let Some(notify) = &self.notify {
            poller.add(notify, NOTIFY, Interest::READ).doing("wait")?;
        }
        if let Some(relay) = &mut relay {
            relay.register(&poller)?;
        }
        let mut events = Vec::new();
        let mut exit = None;
        loop {
            poller.wait(None, &mut events).doing("wait")?;
            for event in &events {
                match event.token {
                    SIGNALS => self.pass_on(&mut exit)?,
                    PROCESS => {}
                    NOTIFY => self.forward_readiness(&poller)?,
                    _ => relay
                        .as_mut()
                        .map_or(Ok(()), |relay| relay.serve(event, &poller))?,
                }
            }
            if events.iter().any(|event| event.token == PROCESS) {
                if let Some(relay) = &mut relay {
                    relay.drain()?;
                }
                return exit
                    .map_or_else(|| sys::pidfd::wait(self.pidfd), Ok)
                    .doing("reap the process");
            }
        }
    }

    fn pass_on(&self, exit: &mut Option<Exit>) -> Result<(), Failure> {
        while let Some(signal) = self.signals.next().doing("read a signal")? {
            match (&self.terminal, signal) {
                (_, Signal::CHLD) => {
                    if let Some(process) = self.among_orphans {
                        *exit = reap_orphans(process)?.or(*exit);
                    }
                }
                (Some(master), Signal::WINCH) => {
                    if let Ok((rows, columns)) = sys::term::window_size(std::io::stdin()) {
                        sys::pty::set_size(master, rows, columns).doing("resize the terminal")?;
                    }
                }
                // It may have ended already.
                _ => drop(sys::pidfd::send_signal(self.pidfd, signal)),
            }
        }
        Ok(())
    }
}

impl Foreground<'_> {
    fn forward_readiness(&self, poller: &Poller) -> Result<(), Failure> {
        let Some(notify) = &self.notify else {
            return Ok(());
        };
        // The manager watches this program, which ends with the container.
        if notify.forward(None)? {
            poller.remove(notify).doing("wait")?;
        }
        Ok(())
    }
}

/// Reaps everything that has ended; how the process of this pid ended, if it is among it.
fn reap_orphans(process: i32) -> Result<Option<Exit>, Failure> {
    let mut exit = None;
    while let Some(reaped) = sys::spawn::reap_any().doing("reap orphans")? {
        if reaped.pid == process {
            exit = Some(reaped.exit);
        }
    }
    Ok(exit)
}

/// The user's terminal in raw mode, until dropped. Lines that the container's terminal leaves bare
/// are ended by it.
struct Raw(Option<Settings>);

impl Raw {
    fn enter() -> Self {
        let stdin = std::io::stdin();
        Self(
            stdin
                .is_terminal()
                .then(|| sys::term::make_input_raw(&stdin).ok())
                .flatten(),
        )
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = sys::term::restore(std::io::stdin(), settings);
        }
    }
}

/// Bytes between the user and the container's terminal.
struct Relay<'a> {
    master: BorrowedFd<'a>,
    /// Read from the user, not yet taken by the terminal.
    pending: Vec<u8>,
    input_open: bool,
}

impl<'a> Relay<'a> {
    fn new(master: &'a OwnedFd) -> Result<Self, Failure> {
        // A full terminal must not keep us from reading what the program says.
        sys::fd::set_nonblocking(master, true).doing("prepare the terminal")?;
        Ok(Self {
            master: master.as_fd(),
            pending: Vec::new(),
            input_open: true,
        })
    }

    fn register(&mut self, poller: &Poller) -> Result<(), Failure> {
        poller
            .add(self.master, MASTER, Interest::READ)
            .doing("watch the terminal")?;
        // A regular file cannot be watched, and need not be: it is all there. Without input then.
        self.input_open = poller.add(std::io::stdin(), INPUT, Interest::READ).is_ok();
        Ok(())
    }

    fn serve(&mut self, event: &Event, poller: &Poller) -> Result<(), Failure> {
        if event.token == INPUT && self.pending.is_empty() {
            self.read_input(poller)?;
        }
        if event.token == MASTER && (event.readable || event.hung_up) && !self.show()? {
            poller.remove(self.master).doing("watch the terminal")?;
            return Ok(());
        }
        if !self.pending.is_empty() {
            let taken = sys::event::try_write(self.master, &self.pending).unwrap_or(0);
            self.pending.drain(..taken);
        }
        self.set_interest(poller)
    }

    fn read_input(&mut self, poller: &Poller) -> Result<(), Failure> {
        self.pending.reserve(CHUNK);
        match sys::event::try_read(std::io::stdin(), &mut self.pending) {
            Ok(Some(0)) | Err(_) => {
                self.input_open = false;
                poller
                    .remove(std::io::stdin())
                    .doing("watch standard input")
            }
            Ok(_) => Ok(()),
        }
    }

    /// More is read from the user only when the terminal has taken the last.
    fn set_interest(&self, poller: &Poller) -> Result<(), Failure> {
        let waiting = !self.pending.is_empty();
        let master = Interest {
            read: true,
            write: waiting,
        };
        poller
            .modify(self.master, MASTER, master)
            .doing("watch the terminal")?;
        if self.input_open {
            let input = Interest {
                read: !waiting,
                write: false,
            };
            poller
                .modify(std::io::stdin(), INPUT, input)
                .doing("watch standard input")?;
        }
        Ok(())
    }

    /// Shows what the program has said; false when it will say no more.
    fn show(&self) -> Result<bool, Failure> {
        let mut buffer = Vec::with_capacity(CHUNK);
        match sys::event::try_read(self.master, &mut buffer).doing("read the terminal")? {
            Some(0) => Ok(false),
            None => Ok(true),
            Some(_) => {
                sys::fd::write_all(std::io::stdout(), &buffer).doing("write to standard output")?;
                Ok(true)
            }
        }
    }

    /// Shows the rest.
    fn drain(&mut self) -> Result<(), Failure> {
        let mut buffer = Vec::with_capacity(CHUNK);
        while let Ok(Some(1..)) = sys::event::try_read(self.master, &mut buffer) {
            sys::fd::write_all(std::io::stdout(), &buffer).doing("write to standard output")?;
            buffer.clear();
        }
        Ok(())
    }
}
