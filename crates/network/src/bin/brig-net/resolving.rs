//! The sockets of the resolver: those that containers ask, and those that upstreams are asked by.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use network::dns::{Act, Asker, Resolver, Via};
use network::keeper::{Upstream, View};
use sys::event::{Event, Interest, Poller};
use sys::inet::{self, Transport};
use types::ProcessRef;

use crate::failure::Failure;
use crate::streams::Messages;
use crate::token::{Token, watch};

/// Questions taken from one container before it is another's turn.
const TURN: usize = 32;

/// Streams of one container at one time, and for how long one may be silent.
const MOST_STREAMS: usize = 32;
const SILENCE: Duration = Duration::from_secs(10);

/// The longest question, and the longest answer by datagram that we say we take.
const ROOM: usize = 4096;

/// The resolver with its sockets.
#[derive(Debug, Default)]
pub(crate) struct Resolving {
    pub(crate) resolver: Resolver,
    desks: HashMap<u32, Desk>,
    by_id: HashMap<String, u32>,
    streams: HashMap<u32, Stream>,
    asked: HashMap<(u32, u16), Asked>,
    acts: Vec<Act>,
    next: u32,
}

/// Where one container asks.
#[derive(Debug)]
struct Desk {
    id: String,
    datagrams: OwnedFd,
    streams: OwnedFd,
    streams_watched: Option<Interest>,
    process: Option<(ProcessRef, OwnedFd)>,
    open: usize,
}

/// A container's stream.
#[derive(Debug)]
struct Stream {
    desk: u32,
    messages: Messages,
    last: Instant,
    /// Questions not answered yet.
    waiting: usize,
    /// It will ask no more.
    ended: bool,
}

/// A socket by which an upstream is asked.
#[derive(Debug)]
enum Asked {
    Datagram(OwnedFd),
    Stream(Messages),
}

impl Resolving {
    /// How many containers can ask.
    pub(crate) fn len(&self) -> usize {
        self.desks.len()
    }

    /// A container sees this, and asks by these sockets; without new ones, by those it has.
    pub(crate) fn set_view(
        &mut self,
        poller: &Poller,
        id: &str,
        view: &View,
        sockets: Option<[OwnedFd; 2]>,
    ) -> Result<(), Failure> {
        let Some([datagrams, streams]) = sockets else {
            let number = self.by_id.get(id).copied();
            let number = number.ok_or_else(|| {
                Failure::invalid(format!("container {id} has no sockets to ask by"))
            })?;
            self.watch_process(poller, number, view)?;
            self.resolver.set_view(number, view);
            return Ok(());
        };
        self.remove_view(poller, id);
        let number = self.number();
        let watched = [
            (datagrams.as_fd(), Token::Datagrams(number)),
            (streams.as_fd(), Token::Streams(number)),
        ];
        for (fd, token) in watched {
            poller
                .add(fd, token.into(), Interest::READ)
                .map_err(Failure::of(format!("wait for questions of container {id}")))?;
        }
        let desk = Desk {
            id: id.to_owned(),
            datagrams,
            streams,
            streams_watched: Some(Interest::READ),
            process: None,
            open: 0,
        };
        self.desks.insert(number, desk);
        self.by_id.insert(id.to_owned(), number);
        self.watch_process(poller, number, view)?;
        self.resolver.set_view(number, view);
        Ok(())
    }

    /// Whose process it is; a container may be known before it has one.
    fn watch_process(&mut self, poller: &Poller, number: u32, view: &View) -> Result<(), Failure> {
        let Some(desk) = self.desks.get_mut(&number) else {
            return Ok(());
        };
        let known = desk.process.as_ref().map(|(process, _)| *process);
        let Some(process) = view.process.filter(|process| known != Some(*process)) else {
            return Ok(());
        };
        // One that has ended by now is for the daemon to tell of.
        let Some(pidfd) = sys::proc::open(process).ok().flatten() else {
            return Ok(());
        };
        let watched = poller.add(&pidfd, Token::Process(number).into(), Interest::READ);
        watched.map_err(Failure::of(format!(
            "watch the process of container {}",
            desk.id
        )))?;
        // Closed, the one before is no longer watched.
        desk.process = Some((process, pidfd));
        Ok(())
    }

    /// A container asks no more.
    pub(crate) fn remove_view(&mut self, poller: &Poller, id: &str) {
        let Some(number) = self.by_id.remove(id) else {
            return;
        };
        self.desks.remove(&number);
        self.streams.retain(|_, stream| stream.desk != number);
        self.resolver.remove_view(number, &mut self.acts);
        self.perform(poller, Instant::now());
    }

    pub(crate) fn has_view(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The sockets of a container: for datagrams, and listening for streams.
    pub(crate) fn sockets(&self, id: &str) -> Option<[BorrowedFd<'_>; 2]> {
        let desk = self.desks.get(self.by_id.get(id)?)?;
        Some([desk.datagrams.as_fd(), desk.streams.as_fd()])
    }

    /// Whose process has ended, by the number of its event.
    pub(crate) fn ended(&self, number: u32) -> Option<String> {
        self.desks.get(&number).map(|desk| desk.id.clone())
    }

    /// Forgets who asks, and everything asked.
    pub(crate) fn abandon(&mut self) {
        *self = Self::default();
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Questions have come as datagrams.
    pub(crate) fn on_datagrams(&mut self, poller: &Poller, number: u32, now: Instant) {
        let Some(desk) = self.desks.get(&number) else {
            return;
        };
        let mut room = [0; ROOM];
        for _ in 0..TURN {
            let Ok(Some((length, Some(from)))) = inet::receive_datagram(&desk.datagrams, &mut room)
            else {
                break;
            };
            let asker = Asker {
                view: number,
                via: Via::Datagram(from),
            };
            let message = room.get(..length).unwrap_or(&room);
            self.resolver.ask(now, asker, message, &mut self.acts);
        }
        self.perform(poller, now);
    }

    /// Somebody wants to ask by a stream.
    pub(crate) fn on_streams(&mut self, poller: &Poller, number: u32, now: Instant) {
        let Some(desk) = self.desks.get_mut(&number) else {
            return;
        };
        if desk.open >= MOST_STREAMS {
            let token = Token::Streams(number);
            watch(
                poller,
                &desk.streams,
                token,
                &mut desk.streams_watched,
                None,
            );
            return;
        }
        // What cannot be accepted waits, and is told of again.
        let Ok(Some(fd)) = inet::accept(&desk.streams) else {
            return;
        };
        desk.open += 1;
        let stream = Stream {
            desk: number,
            messages: Messages::new(fd),
            last: now,
            waiting: 0,
            ended: false,
        };
        let number = self.number();
        self.streams.insert(number, stream);
        self.settle(poller, number);
    }

    /// A stream has questions, or room for answers.
    pub(crate) fn on_stream(&mut self, poller: &Poller, number: u32, event: Event, now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        stream.last = now;
        let said = match event.writable {
            true => stream.messages.send(),
            false => Ok(()),
        };
        let heard = match event.readable || event.hung_up {
            true => stream.messages.receive(),
            false => Ok(true),
        };
        match (said, heard) {
            (Ok(()), Ok(more)) => stream.ended |= !more,
            _ => {
                self.close_stream(poller, number);
                return;
            }
        }
        let asker = Asker {
            view: stream.desk,
            via: Via::Stream(number),
        };
        while let Some(message) = stream.messages.next() {
            stream.waiting += 1;
            let before = self.acts.len();
            self.resolver.ask(now, asker, &message, &mut self.acts);
            if self.acts.len() == before && self.resolver.waiting() == 0 {
                // No question, and so never answered.
                stream.waiting = stream.waiting.saturating_sub(1);
            }
        }
        self.perform(poller, now);
        self.settle(poller, number);
    }

    fn settle(&mut self, poller: &Poller, number: u32) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let quiet = stream.messages.is_quiet();
        if stream.ended && quiet && stream.waiting == 0 {
            self.close_stream(poller, number);
            return;
        }
        // At its end there is nothing more to read, which would be told of for ever.
        let wanted = (!(stream.ended && quiet)).then(|| stream.messages.wants());
        let mut watched = stream.messages.watched;
        watch(
            poller,
            &stream.messages,
            Token::Stream(number),
            &mut watched,
            wanted,
        );
        stream.messages.watched = watched;
    }

    fn close_stream(&mut self, poller: &Poller, number: u32) {
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        if let Some(desk) = self.desks.get_mut(&stream.desk) {
            desk.open = desk.open.saturating_sub(1);
            let token = Token::Streams(stream.desk);
            let wanted = Some(Interest::READ);
            watch(
                poller,
                &desk.streams,
                token,
                &mut desk.streams_watched,
                wanted,
            );
        }
    }

    /// An upstream says something, or nothing for good.
    pub(crate) fn on_upstream(
        &mut self,
        poller: &Poller,
        (question, attempt): (u32, u16),
        event: Event,
        now: Instant,
    ) {
        let Some(asked) = self.asked.get_mut(&(question, attempt)) else {
            return;
        };
        let heard = match asked {
            Asked::Datagram(fd) => hear_datagram(fd),
            Asked::Stream(messages) => hear_stream(messages, event),
        };
        let place = usize::from(attempt);
        match heard {
            Ok(Some(message)) => {
                self.resolver
                    .hear(now, question, place, &message, &mut self.acts);
            }
            Ok(None) => {}
            Err(_) => {
                self.asked.remove(&(question, attempt));
                self.resolver.failed(now, question, place, &mut self.acts);
            }
        }
        if let Some(Asked::Stream(messages)) = self.asked.get_mut(&(question, attempt)) {
            let token = Token::Upstream { question, attempt };
            let (mut watched, wanted) = (messages.watched, Some(messages.wants()));
            watch(poller, &*messages, token, &mut watched, wanted);
            messages.watched = watched;
        }
        self.perform(poller, now);
    }

    /// Does what the resolver wants done, and what comes of that.
    fn perform(&mut self, poller: &Poller, now: Instant) {
        while !self.acts.is_empty() {
            for act in std::mem::take(&mut self.acts) {
                match act {
                    Act::Answer { asker, message } => self.tell(poller, asker, &message),
                    Act::Close { question } => {
                        self.asked.retain(|(of, _), _| *of != question);
                    }
                    Act::Ask {
                        question,
                        attempt,
                        view,
                        upstream,
                        stream,
                        message,
                    } => {
                        let place = u16::try_from(attempt).unwrap_or(u16::MAX);
                        let asked = self.open(view, upstream, stream, &message);
                        let kept =
                            asked.and_then(|asked| self.keep(poller, (question, place), asked));
                        if kept.is_err() {
                            self.resolver.failed(now, question, attempt, &mut self.acts);
                        }
                    }
                }
            }
        }
    }

    fn tell(&mut self, poller: &Poller, asker: Asker, message: &[u8]) {
        match asker.via {
            Via::Datagram(to) => {
                if let Some(desk) = self.desks.get(&asker.view) {
                    // A datagram for which there is no room is lost, and asked for again.
                    let _ = inet::send_datagram(&desk.datagrams, message, Some(to));
                }
            }
            Via::Stream(number) => {
                let Some(stream) = self.streams.get_mut(&number) else {
                    return;
                };
                stream.waiting = stream.waiting.saturating_sub(1);
                let said = stream.messages.say(message);
                if said.and_then(|()| stream.messages.send()).is_err() {
                    self.close_stream(poller, number);
                } else {
                    self.settle(poller, number);
                }
            }
        }
    }

    /// A socket of its own for every question asked, on a port of the kernel's choice.
    fn open(
        &self,
        view: u32,
        upstream: Upstream,
        stream: bool,
        message: &[u8],
    ) -> sys::Result<Asked> {
        let transport = match stream {
            true => Transport::Tcp,
            false => Transport::Udp,
        };
        let desk = self.desks.get(&view).filter(|_| upstream.inside);
        let process = desk.and_then(|desk| desk.process.as_ref());
        let fd = match process {
            Some((process, _)) => inside(*process, transport, upstream.address)?,
            None if upstream.inside => return Err(gone()),
            None => inet::connecting(transport, upstream.address)?,
        };
        if !stream {
            inet::send_datagram(&fd, message, None)?;
            return Ok(Asked::Datagram(fd));
        }
        let mut messages = Messages::new(fd);
        messages.say(message)?;
        Ok(Asked::Stream(messages))
    }

    fn keep(&mut self, poller: &Poller, place: (u32, u16), asked: Asked) -> sys::Result<()> {
        let (question, attempt) = place;
        let token = Token::Upstream { question, attempt };
        let asked = match asked {
            Asked::Datagram(fd) => {
                poller.add(&fd, token.into(), Interest::READ)?;
                Asked::Datagram(fd)
            }
            Asked::Stream(mut messages) => {
                poller.add(&messages, token.into(), Interest::WRITE)?;
                messages.watched = Some(Interest::WRITE);
                Asked::Stream(messages)
            }
        };
        self.asked.insert(place, asked);
        Ok(())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let silent = self.streams.values().map(|stream| stream.last + SILENCE);
        silent
            .min()
            .into_iter()
            .chain(self.resolver.deadline())
            .min()
    }

    /// Does what time has brought.
    pub(crate) fn look(&mut self, poller: &Poller, now: Instant) {
        let silent = self.streams.iter().filter(|(_, s)| s.last + SILENCE <= now);
        for number in silent.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.close_stream(poller, number);
        }
        if self.resolver.deadline().is_some_and(|at| at <= now) {
            self.resolver.look(now, &mut self.acts);
            self.perform(poller, now);
        }
    }
}

fn gone() -> sys::Error {
    sys::Error {
        call: "setns",
        errno: sys::Errno::SRCH,
    }
}

/// Opens the network namespace of a process, if that still lives.
pub(crate) fn namespace(process: ProcessRef) -> sys::Result<OwnedFd> {
    let path = format!("/proc/{}/ns/net", process.pid);
    let namespace = sys::ns::open(path.as_ref())?;
    // Still the same process after its namespace was opened: it was its own.
    match sys::proc::is_alive(process) {
        true => Ok(namespace),
        false => Err(gone()),
    }
}

fn inside(process: ProcessRef, transport: Transport, to: SocketAddr) -> sys::Result<OwnedFd> {
    sys::ns::within(namespace(process)?, || inet::connecting(transport, to))?
}

/// What an upstream has sent as a datagram. Errors are told by the host it is on, or on the way.
fn hear_datagram(fd: &OwnedFd) -> sys::Result<Option<Vec<u8>>> {
    let mut room = [0; ROOM];
    let received = inet::receive_datagram(fd, &mut room)?;
    Ok(received.map(|(length, _)| room[..length].to_vec()))
}

fn hear_stream(messages: &mut Messages, event: Event) -> sys::Result<Option<Vec<u8>>> {
    inet::take_error(&*messages)?;
    messages.send()?;
    if event.readable || event.hung_up {
        let more = messages.receive()?;
        let message = messages.next();
        return match message.is_none() && !more {
            true => Err(gone()),
            false => Ok(message),
        };
    }
    Ok(None)
}
