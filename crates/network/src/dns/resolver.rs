//! The state machine: who has asked what, of whom it is asked in turn, and until when.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::answer::{self, kind};
use super::cache::{Cache, LONGEST_DENIAL};
use super::names::{self, Names};
use super::wire::{self, Query, Refusal, rcode};
use crate::keeper::{Upstream, View};

/// How long one of several upstreams may be silent before the next is asked too, and how long the
/// only one before it is asked again. What an earlier one says late is taken all the same.
const PATIENCE: Duration = Duration::from_millis(1000);
const PATIENCE_WITH_ONE: Duration = Duration::from_millis(1500);

/// When all have failed at once, they are asked once more after this: one may be starting anew.
const BREATH: Duration = Duration::from_millis(300);

/// When nobody has answered until then nobody will in time: resolvers in C libraries wait for five
/// seconds.
const LIMIT: Duration = Duration::from_millis(4500);

/// Who has been silent or has refused is asked last for this long.
const GRUDGE: Duration = Duration::from_secs(10);

/// How often one question is asked of upstreams in all.
const ATTEMPTS: usize = 6;

/// Questions that wait for upstreams: of one container, and of all. One that floods is told so and
/// takes no room from the others.
const MOST_OF_ONE: usize = 100;
const MOST: usize = 1000;

/// What a question costs when it is asked by many at once: one question.
const MOST_ASKERS: usize = 100;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The number of its view.
    pub view: u32,
    /// On which way the answer goes back.
    pub via: Via,
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// As a datagram from here.
    Datagram(SocketAddr),
    /// On a stream of this number.
    Stream(u32),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Send an answer.
    Answer {
        /// To whom.
        asker: Asker,
        /// All of it.
        message: Vec<u8>,
    },
    /// Ask an upstream, from a socket that is used for nothing else.
    Ask {
        /// The question's number.
        question: u32,
        /// Which attempt at it this is.
        attempt: usize,
        /// Whose question it is, for upstreams inside its namespace.
        view: u32,
        /// Whom to ask.
        upstream: Upstream,
        /// Whether by a stream.
        stream: bool,
        /// What to say.
        message: Vec<u8>,
    },
    /// Close the sockets of a question.
    Close {
        /// Its number.
        question: u32,
    },
}

/// The resolver of all containers.
#[derive(Debug, Default)]
pub struct Resolver {
    /// What is ours.
    pub names: Names,
    views: HashMap<u32, Watcher>,
    upstreams: Rc<[Upstream]>,
    cache: Cache,
    questions: BTreeMap<u32, Question>,
    waiting: HashMap<Rc<[u8]>, u32>,
    grudges: HashMap<SocketAddr, Instant>,
    hasher: RandomState,
    next_question: u32,
    turn: usize,
    /// Questions answered from names, from the cache, and by asking.
    pub answered: [u64; 3],
}

/// A view, and how many questions wait for it.
#[derive(Debug)]
struct Watcher {
    view: View,
    upstreams: Rc<[Upstream]>,
    waiting: usize,
}

/// A question that upstreams are asked.
#[derive(Debug)]
struct Question {
    key: Rc<[u8]>,
    view: u32,
    upstreams: Vec<Upstream>,
    attempts: Vec<Attempt>,
    /// When the next attempt is due.
    next: Instant,
    until: Instant,
    askers: Vec<Waiting>,
    /// What to say when nobody says anything better.
    fallback: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Attempt {
    upstream: Upstream,
    stream: bool,
    message: Vec<u8>,
    over: bool,
}

#[derive(Debug)]
struct Waiting {
    asker: Asker,
    message: Vec<u8>,
}

impl Resolver {
    /// The upstreams of containers that have none of their own. What others said before is forgotten.
    pub fn set_upstreams(&mut self, upstreams: &[SocketAddr]) {
        let outside = upstreams.iter().map(|address| Upstream {
            address: *address,
            inside: false,
        });
        self.upstreams = outside.collect();
        self.cache.clear();
        self.grudges.clear();
    }

    /// The upstreams of containers that have none of their own.
    pub fn upstreams(&self) -> impl Iterator<Item = SocketAddr> {
        self.upstreams.iter().map(|upstream| upstream.address)
    }

    /// What the container of this number sees.
    pub fn set_view(&mut self, number: u32, view: &View) {
        let waiting = self.views.get(&number).map_or(0, |old| old.waiting);
        let watcher = Watcher {
            upstreams: view.upstreams.as_slice().into(),
            view: view.clone(),
            waiting,
        };
        self.views.insert(number, watcher);
    }

    /// It asks no more: its answers would go nowhere.
    pub fn remove_view(&mut self, number: u32, acts: &mut Vec<Act>) {
        self.views.remove(&number);
        let mut deserted = Vec::new();
        for (id, question) in &mut self.questions {
            question.askers.retain(|w| w.asker.view != number);
            if question.askers.is_empty() {
                deserted.push(*id);
            }
        }
        for id in deserted {
            self.close(id, acts);
        }
    }

    /// Questions that wait for an upstream.
    pub fn waiting(&self) -> usize {
        self.questions.len()
    }

    /// Somebody asks. What comes of it is in `acts`.
    pub fn ask(&mut self, now: Instant, asker: Asker, message: &[u8], acts: &mut Vec<Act>) {
        let answer = match wire::query(message) {
            Ok(query) => self.answer(now, asker, &query, message, acts),
            Err(Refusal::Ignore) => None,
            Err(Refusal::Code(code)) => answer::unreadable(message, code),
        };
        if let Some(message) = answer {
            acts.push(Act::Answer { asker, message });
        }
    }

    /// An answer, unless it comes later or never.
    fn answer(
        &mut self,
        now: Instant,
        asker: Asker,
        query: &Query<'_>,
        message: &[u8],
        acts: &mut Vec<Act>,
    ) -> Option<Vec<u8>> {
        let limit = answer::limit(query, matches!(asker.via, Via::Stream(_)));
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return Some(answer::code(query, rcode::BAD_VERSION));
        }
        if matches!(query.kind, kind::TRANSFER | kind::INCREMENTAL_TRANSFER) {
            return Some(answer::code(query, rcode::NOT_IMPLEMENTED));
        }
        let view = &self.views.get(&asker.view)?.view;
        let name = wire::text(query.name).filter(|_| query.class == answer::INTERNET);
        if let Some(answer) = name
            .as_deref()
            .and_then(|name| own(&self.names, view, self.turn, query, name, limit))
        {
            self.turn = self.turn.wrapping_add(1);
            self.answered[0] += 1;
            return Some(answer);
        }
        if !self.names.may_ask_outside(view) {
            return Some(answer::code(query, rcode::SERVER_FAILURE));
        }
        let is_label = name.is_some_and(|name| !name.contains('.') && !name.is_empty());
        if view.single_labels_stay && is_label {
            return Some(answer::code(query, rcode::NO_SUCH_NAME));
        }
        self.ask_outside(now, asker, query, message, acts)
    }

    fn ask_outside(
        &mut self,
        now: Instant,
        asker: Asker,
        query: &Query<'_>,
        message: &[u8],
        acts: &mut Vec<Act>,
    ) -> Option<Vec<u8>> {
        let limit = answer::limit(query, matches!(asker.via, Via::Stream(_)));
        let watcher = self.views.get_mut(&asker.view)?;
        let own = !watcher.upstreams.is_empty();
        let upstreams = Rc::clone(if own {
            &watcher.upstreams
        } else {
            &self.upstreams
        });
        let key = key(&self.hasher, asker.view, &upstreams, query);
        if let Some(mut cached) = self.cache.get(now, &key) {
            wire::address_to(&mut cached, query.id, query.name);
            self.answered[1] += 1;
            return Some(answer::fit(query, cached, limit));
        }
        let refused = Some(answer::code(query, rcode::SERVER_FAILURE));
        if upstreams.is_empty() || watcher.waiting >= MOST_OF_ONE {
            return refused;
        }
        let waiting = Waiting {
            asker,
            message: message.to_vec(),
        };
        let same = self.waiting.get(&*key).copied();
        if let Some(question) = same.and_then(|id| self.questions.get_mut(&id)) {
            if question.askers.len() >= MOST_ASKERS {
                return refused;
            }
            // A resolver that grows impatient asks again in the same words.
            if !question.askers.iter().any(|w| w.is_same(&waiting)) {
                watcher.waiting += 1;
                question.askers.push(waiting);
            }
            return None;
        }
        if self.questions.len() >= MOST {
            return refused;
        }
        watcher.waiting += 1;
        let question = Question {
            view: asker.view,
            upstreams: by_grudge(&upstreams, &self.grudges, now),
            key: Rc::clone(&key),
            attempts: Vec::new(),
            next: now,
            until: now + LIMIT,
            askers: vec![waiting],
            fallback: None,
        };
        let id = self.next_question;
        self.next_question = self.next_question.wrapping_add(1);
        self.waiting.insert(key, id);
        self.questions.insert(id, question);
        self.go_on(id, now, acts);
        None
    }

    /// An upstream says something. What is no answer to what it was asked is not heard.
    pub fn hear(
        &mut self,
        now: Instant,
        question: u32,
        attempt: usize,
        message: &[u8],
        acts: &mut Vec<Act>,
    ) {
        let Some(asked) = self.questions.get_mut(&question) else {
            return;
        };
        let Some(try_of) = asked.attempts.get_mut(attempt).filter(|a| !a.over) else {
            return;
        };
        let Some(response) = wire::response(message, &try_of.message) else {
            return;
        };
        let upstream = try_of.upstream;
        if response.truncated && !try_of.stream {
            try_of.over = true;
            asked.fallback.get_or_insert_with(|| message.to_vec());
            asked.next = now + PATIENCE_WITH_ONE;
            asked.attempt(question, upstream, true, acts);
            return;
        }
        let is_failure = matches!(
            response.code,
            rcode::SERVER_FAILURE | rcode::REFUSED | rcode::NOT_IMPLEMENTED
        );
        if is_failure {
            asked.fallback.get_or_insert_with(|| message.to_vec());
            self.failed(now, question, attempt, acts);
            return;
        }
        self.grudges.remove(&upstream.address);
        let holds = match response.code {
            rcode::NO_ERROR => response.holds,
            _ => response.holds.min(LONGEST_DENIAL),
        };
        if !response.truncated {
            self.cache.put(now, Rc::clone(&asked.key), message, holds);
        }
        self.finish(question, message, acts);
    }

    /// An attempt has come to nothing: nobody is there, or the connection has ended.
    pub fn failed(&mut self, now: Instant, question: u32, attempt: usize, acts: &mut Vec<Act>) {
        let Some(asked) = self.questions.get_mut(&question) else {
            return;
        };
        let Some(attempt) = asked.attempts.get_mut(attempt).filter(|a| !a.over) else {
            return;
        };
        attempt.over = true;
        let address = attempt.upstream.address;
        let rounds = asked.attempts.len() / asked.upstreams.len().max(1);
        let quiet = asked.attempts.iter().all(|attempt| attempt.over);
        self.grudges.insert(address, now + GRUDGE);
        if rounds < 1 {
            self.go_on(question, now, acts);
        } else if quiet && asked.fallback.is_none() && rounds < 2 {
            asked.next = now + BREATH;
        } else if quiet {
            self.give_up(question, acts);
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.questions.values().map(|question| question.next).min()
    }

    /// Does what is due.
    pub fn look(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let due = self.questions.iter().filter(|(_, q)| q.next <= now);
        let due: Vec<u32> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.bear_grudge(id, now);
            self.go_on(id, now, acts);
        }
    }

    /// Who was asked last and says nothing will be asked last by others.
    fn bear_grudge(&mut self, id: u32, now: Instant) {
        let last = self.questions.get(&id).and_then(|q| q.attempts.last());
        if let Some(attempt) = last.filter(|attempt| !attempt.over) {
            self.grudges.insert(attempt.upstream.address, now + GRUDGE);
        }
        self.grudges.retain(|_, until| *until > now);
    }

    /// Asks the next upstream, or gives up.
    fn go_on(&mut self, id: u32, now: Instant, acts: &mut Vec<Act>) {
        let Some(question) = self.questions.get_mut(&id) else {
            return;
        };
        if now >= question.until {
            self.give_up(id, acts);
            return;
        }
        let count = question.upstreams.len().max(1);
        let patience = match count {
            1 => PATIENCE_WITH_ONE,
            _ => PATIENCE,
        };
        let last_of_all = question.attempts.len() + 1 >= ATTEMPTS;
        question.next = match last_of_all {
            true => question.until,
            false => question.until.min(now + patience),
        };
        if question.attempts.len() < ATTEMPTS {
            let upstream = question.upstreams[question.attempts.len() % count];
            question.attempt(id, upstream, false, acts);
        }
    }

    fn give_up(&mut self, id: u32, acts: &mut Vec<Act>) {
        let fallback = self
            .questions
            .get_mut(&id)
            .and_then(|question| question.fallback.take());
        self.finish(id, &fallback.unwrap_or_default(), acts);
    }

    /// Answers all who have asked: with the message, or that there is none if it is empty.
    fn finish(&mut self, id: u32, message: &[u8], acts: &mut Vec<Act>) {
        for waiting in self.close(id, acts) {
            let Ok(query) = wire::query(&waiting.message) else {
                continue;
            };
            let asker = waiting.asker;
            let limit = answer::limit(&query, matches!(asker.via, Via::Stream(_)));
            let message = match message {
                [] => answer::code(&query, rcode::SERVER_FAILURE),
                message => {
                    let mut message = message.to_vec();
                    wire::address_to(&mut message, query.id, query.name);
                    answer::fit(&query, message, limit)
                }
            };
            self.answered[2] += 1;
            acts.push(Act::Answer { asker, message });
        }
    }

    /// Forgets a question, and says who has asked it.
    fn close(&mut self, id: u32, acts: &mut Vec<Act>) -> Vec<Waiting> {
        let Some(question) = self.questions.remove(&id) else {
            return Vec::new();
        };
        self.waiting.remove(&question.key);
        for waiting in &question.askers {
            if let Some(watcher) = self.views.get_mut(&waiting.asker.view) {
                watcher.waiting = watcher.waiting.saturating_sub(1);
            }
        }
        acts.push(Act::Close { question: id });
        question.askers
    }

    /// How many answers are remembered.
    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cache.len()
    }
}

impl Question {
    fn attempt(&mut self, id: u32, upstream: Upstream, stream: bool, acts: &mut Vec<Act>) {
        let first = self.askers.first();
        let Some(Ok(query)) = first.map(|waiting| wire::query(&waiting.message)) else {
            return;
        };
        // Not guessed by who cannot see the question: neither is the port.
        let random = u16::from_ne_bytes(sys::random::bytes().unwrap_or_default());
        let message = answer::question(&query, random);
        acts.push(Act::Ask {
            question: id,
            attempt: self.attempts.len(),
            view: self.view,
            upstream,
            stream,
            message: message.clone(),
        });
        self.attempts.push(Attempt {
            upstream,
            stream,
            message,
            over: false,
        });
    }
}

impl Waiting {
    fn is_same(&self, other: &Self) -> bool {
        self.asker == other.asker && self.message == other.message
    }
}

/// An answer from names, if it is for them to say.
fn own(
    names: &Names,
    view: &View,
    turn: usize,
    query: &Query<'_>,
    name: &str,
    limit: usize,
) -> Option<Vec<u8>> {
    if query.kind == kind::PTR
        && let Some(to) = names::reverse(name).and_then(|address| names.name(view, address))
    {
        return Some(answer::pointer(query, &to, limit));
    }
    let mut all = names.addresses(view, name)?;
    all.retain(|address| match query.kind {
        kind::A => address.is_ipv4(),
        kind::AAAA => address.is_ipv6(),
        // Of other types we have nothing, and nobody else is asked.
        _ => false,
    });
    let begin = turn.checked_rem(all.len()).unwrap_or(0);
    all.rotate_left(begin);
    Some(answer::addresses(query, &all, limit))
}

/// Those who have answered lately first, each lot in the order it was given.
fn by_grudge(
    upstreams: &[Upstream],
    grudges: &HashMap<SocketAddr, Instant>,
    now: Instant,
) -> Vec<Upstream> {
    let bears = |upstream: &Upstream| {
        let until = grudges.get(&upstream.address);
        until.is_some_and(|until| *until > now)
    };
    let mut all = upstreams.to_vec();
    all.sort_by_key(bears);
    all
}

/// What makes two questions one: who would be asked, and what.
fn key(hasher: &RandomState, view: u32, upstreams: &[Upstream], query: &Query<'_>) -> Rc<[u8]> {
    let inside = upstreams.iter().any(|upstream| upstream.inside);
    let whom = hasher.hash_one((inside.then_some(view), upstreams));
    let edns = query.edns.map_or(0, |edns| 1 + u8::from(edns.dnssec_ok));
    let mut key = Vec::with_capacity(query.name.len() + 16);
    key.extend(whom.to_ne_bytes());
    key.extend((query.flags & answer::passed()).to_ne_bytes());
    key.push(edns);
    key.extend(query.kind.to_ne_bytes());
    key.extend(query.class.to_ne_bytes());
    // Lengths of labels are no letters.
    key.extend(query.name.iter().map(u8::to_ascii_lowercase));
    key.into()
}
