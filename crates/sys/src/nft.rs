//! nf_tables (nft(8)) by netlink: tables, chains, rules, sets and maps as data, and the batches that
//! put them in place all at once or not at all.
//!
//! Registers are the 32-bit ones, counted from 0: there are 16. What is concatenated takes whole
//! registers one after the other, each part padded with zeros at its end.

use std::collections::BTreeMap;

use crate::netlink::{Attributes, Message, Result, Socket, flag};

mod expression;
mod read;

pub use expression::{Compare, CtKey, Expression, Lookup, MetaKey};
pub use read::{BaseChain, Listed, base_chains, expected, list, news_of};

const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const DELETE_CHAIN: u16 = SUBSYSTEM | 5;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const DELETE_RULE: u16 = SUBSYSTEM | 8;
const NEW_SET: u16 = SUBSYSTEM | 9;
const DELETE_SET: u16 = SUBSYSTEM | 11;
const NEW_ELEMENTS: u16 = SUBSYSTEM | 12;
const DELETE_ELEMENTS: u16 = SUBSYSTEM | 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// NFPROTO_INET: versions 4 and 6.
const INET: u8 = 1;

const LIST_ELEMENT: u16 = 1;

/// Bytes of elements in one message: an attribute's length has 16 bits.
const ELEMENTS_AT_ONCE: usize = 48 << 10;

/// Where a packet passes (netfilter hooks), with the kind of chain that is hung there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// Whether it translates addresses; otherwise it filters.
    pub nat: bool,
    /// Which.
    pub place: Place,
    /// Lower ones see a packet earlier.
    pub priority: i32,
}

/// Places on a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Came in; not routed yet.
    Prerouting = 0,
    /// Is for this host.
    Input = 1,
    /// Passes through this host.
    Forward = 2,
    /// Is made by this host.
    Output = 3,
    /// Leaves.
    Postrouting = 4,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It goes on to the next hook.
    Accept,
    /// It ends here.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// On in another chain, and back at its end.
    Jump(String),
    /// On in another chain, not back.
    Goto(String),
}

/// Types of keys and values, with the numbers by which nft(8) shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// An address of version 4.
    Ipv4,
    /// An address of version 6.
    Ipv6,
    /// A protocol's number, one byte.
    Protocol,
    /// A port.
    Port,
    /// An interface's name, 16 bytes.
    Interface,
}

impl Type {
    fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Interface => 41,
        }
    }

    fn size(self) -> u32 {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 | Self::Interface => 16,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// The number of a concatenation.
fn type_number(types: &[Type]) -> u32 {
    types
        .iter()
        .fold(0, |number, part| number << 6 | part.number())
}

/// A single one has its own size; parts of a concatenation fill registers.
fn type_size(types: &[Type]) -> u32 {
    match types {
        [one] => one.size(),
        parts => parts
            .iter()
            .map(|part| part.size().next_multiple_of(4))
            .sum(),
    }
}

/// What the keys of a map lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Nothing: it is a set.
    None,
    /// Bytes of these types.
    Of(Vec<Type>),
    /// Verdicts.
    Verdicts,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// Of a map of bytes.
    Bytes(Vec<u8>),
    /// Of a map of verdicts.
    Verdict(Verdict),
}

/// Keys, and what they lead to.
pub type Elements = BTreeMap<Vec<u8>, Option<Data>>;

/// A set or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Types of the key's parts.
    pub key: Vec<Type>,
    /// Whether it is a map, and of what.
    pub values: Values,
    /// What it holds.
    pub elements: Elements,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is for; nft(8) shows it. At most 127 bytes are kept.
    pub comment: String,
    /// What it does.
    pub expressions: Vec<Expression>,
}

/// A list of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where it is hung; `None`: others jump to it.
    pub hook: Option<Hook>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// A table of family inet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its sets and maps.
    pub sets: Vec<Set>,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// The bytes of an interface's name as a key.
pub fn interface_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(16, 0);
    key
}

/// Changes to one table that are made all at once.
#[derive(Debug)]
pub struct Batch {
    table: String,
    messages: Vec<Message>,
    sets: u32,
}

/// `struct nfgenmsg`.
fn general(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

impl Batch {
    /// For the table of this name.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            messages: Vec::new(),
            sets: 0,
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Makes the table if it is not there.
    pub fn add_table(&mut self) {
        let message = self.message(NEW_TABLE, flag::CREATE, 1);
        self.messages.push(message);
    }

    /// Removes the table with all that is in it; ENOENT if it is not there.
    pub fn delete_table(&mut self) {
        let message = self.message(DELETE_TABLE, 0, 1);
        self.messages.push(message);
    }

    /// Puts this table in the place of what is there under its name.
    pub fn replace(table: &Table) -> Self {
        let mut batch = Self::new(&table.name);
        batch.add_table();
        batch.delete_table();
        batch.add_table();
        batch.fill(&table.chains, &table.sets);
        batch
    }

    /// Makes this table where there is none of its name yet; EEXIST otherwise. Removing nothing, it takes a
    /// fraction of the time of [`Batch::replace`].
    pub fn create(table: &Table) -> Self {
        let mut batch = Self::new(&table.name);
        let message = batch.message(NEW_TABLE, flag::CREATE | flag::EXCLUSIVE, 1);
        batch.messages.push(message);
        batch.fill(&table.chains, &table.sets);
        batch
    }

    /// Makes chains and sets, each whole. They may lead to each other.
    pub fn fill(&mut self, chains: &[Chain], sets: &[Set]) {
        for chain in chains {
            self.add_chain(chain);
        }
        for set in sets {
            self.add_set(set);
        }
        for chain in chains {
            for rule in &chain.rules {
                self.add_rule(&chain.name, rule);
            }
        }
    }

    /// Makes a chain, without its rules.
    pub fn add_chain(&mut self, chain: &Chain) {
        let mut message = self.message(NEW_CHAIN, flag::CREATE, 1);
        message.put_text(3, &chain.name);
        if let Some(hook) = chain.hook {
            message.nest(4, |inner| {
                inner.put_be32(1, hook.place as u32);
                inner.put(2, &hook.priority.to_be_bytes());
            });
            message.put_be32(5, 1);
            message.put_text(7, if hook.nat { "nat" } else { "filter" });
        }
        self.messages.push(message);
    }

    /// Removes the rules of a chain.
    pub fn flush_chain(&mut self, chain: &str) {
        let mut message = self.message(DELETE_RULE, 0, 1);
        message.put_text(2, chain);
        self.messages.push(message);
    }

    /// Removes a chain to which nothing leads any more.
    pub fn delete_chain(&mut self, chain: &str) {
        let mut message = self.message(DELETE_CHAIN, 0, 1);
        message.put_text(3, chain);
        self.messages.push(message);
    }

    /// Adds a rule at the end of a chain.
    pub fn add_rule(&mut self, chain: &str, rule: &Rule) {
        let mut message = self.message(NEW_RULE, flag::CREATE | flag::APPEND, 1);
        message.put_text(2, chain);
        message.nest(4, |list| {
            for expression in &rule.expressions {
                list.nest(LIST_ELEMENT, |element| expression.put(element));
            }
        });
        message.put(7, &comment(&rule.comment));
        self.messages.push(message);
    }

    /// Makes a set or map with its elements.
    pub fn add_set(&mut self, set: &Set) {
        self.sets += 1;
        let mut message = self.message(NEW_SET, flag::CREATE, 1);
        message.put_text(2, &set.name);
        message.put_be32(
            3,
            match set.values {
                Values::None => 0,
                _ => 8,
            },
        );
        message.put_be32(4, type_number(&set.key));
        message.put_be32(5, type_size(&set.key));
        match &set.values {
            Values::None => {}
            Values::Of(types) => {
                message.put_be32(6, type_number(types));
                message.put_be32(7, type_size(types));
            }
            // NFT_DATA_VERDICT.
            Values::Verdicts => message.put_be32(6, 0xffff_ff00),
        }
        message.put_be32(10, self.sets);
        self.messages.push(message);
        self.add_elements(&set.name, &set.elements);
    }

    /// Removes a set or map that no rule uses any more.
    pub fn delete_set(&mut self, set: &str) {
        let mut message = self.message(DELETE_SET, 0, 1);
        message.put_text(2, set);
        self.messages.push(message);
    }

    /// Adds elements; EEXIST where a key leads elsewhere already.
    pub fn add_elements(&mut self, set: &str, elements: &Elements) {
        self.put_elements(NEW_ELEMENTS, flag::CREATE, set, elements);
    }

    /// Removes elements; ENOENT where one is not there.
    pub fn delete_elements(&mut self, set: &str, elements: &Elements) {
        self.put_elements(DELETE_ELEMENTS, 0, set, elements);
    }

    fn put_elements(&mut self, kind: u16, flags: u16, set: &str, elements: &Elements) {
        let mut elements = elements.iter().peekable();
        while elements.peek().is_some() {
            let mut message = self.message(kind, flags, 1);
            message.put_text(2, set);
            message.nest(3, |list| {
                let start = list.size();
                while list.size() - start < ELEMENTS_AT_ONCE
                    && let Some((key, data)) = elements.next()
                {
                    list.nest(LIST_ELEMENT, |element| {
                        element.nest(1, |value| value.put(1, key));
                        if let Some(data) = data {
                            element.nest(2, |value| put_data(value, data));
                        }
                    });
                }
            });
            self.messages.push(message);
        }
    }

    /// Has the kernel do it, all or nothing. [`Error::index`](crate::netlink::Error::index) counts from the
    /// batch's first change.
    pub fn run(self, socket: &mut Socket) -> Result<()> {
        let Some(last) = self.messages.len().checked_sub(1) else {
            return Ok(());
        };
        let frame = |kind| Message::new(kind, 0, &general(0, SUBSYSTEM >> 8));
        let mut messages = vec![frame(BATCH_BEGIN)];
        messages.extend(self.messages);
        messages.push(frame(BATCH_END));
        let answer = socket.run_acknowledged(messages, last + 1);
        answer.map_err(|mut error| {
            error.index = error.index.saturating_sub(1);
            error
        })
    }

    /// With the table's name as the attribute of this number.
    fn message(&self, kind: u16, flags: u16, name: u16) -> Message {
        let mut message = Message::new(kind, flags, &general(INET, 0));
        message.put_text(name, &self.table);
        message
    }
}

/// As much of a comment as there is room for.
fn kept(text: &str) -> &str {
    let mut ends = (0..=text.len().min(127)).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// As nft(8) writes it: kind 0, length, text, NUL.
fn comment(text: &str) -> Vec<u8> {
    let text = kept(text);
    let length = u8::try_from(text.len() + 1).unwrap_or(0);
    [&[0, length][..], text.as_bytes(), b"\0"].concat()
}

fn put_data(message: &mut Message, data: &Data) {
    match data {
        Data::Bytes(bytes) => message.put(1, bytes),
        Data::Verdict(verdict) => put_verdict(message, verdict),
    }
}

fn put_verdict(message: &mut Message, verdict: &Verdict) {
    let (code, chain): (i32, _) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    message.nest(2, |inner| {
        inner.put(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            inner.put_text(2, chain);
        }
    });
}

fn read_verdict(attributes: Attributes<'_>) -> Option<Verdict> {
    let code = i32::from_be_bytes(*attributes.get(1)?.first_chunk()?);
    let chain = attributes.text(2);
    Some(match code {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        -3 => Verdict::Jump(chain?),
        -4 => Verdict::Goto(chain?),
        -5 => Verdict::Return,
        _ => return None,
    })
}
