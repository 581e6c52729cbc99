//! What is in a table, as far as it is needed to tell whether somebody else has changed it.

use std::collections::BTreeMap;

use crate::error::Errno;
use crate::netlink::{Attributes, Message, Received, Result, Socket};

use super::{
    Chain, Data, Elements, INET, Place, SUBSYSTEM, Set, Table, general, kept, read_verdict,
};

const GET_CHAIN: u16 = SUBSYSTEM | 4;
const GET_RULE: u16 = SUBSYSTEM | 7;
const GET_SET: u16 = SUBSYSTEM | 10;
const GET_ELEMENTS: u16 = SUBSYSTEM | 13;
const NEW_GENERATION: u16 = SUBSYSTEM | 15;
/// Bytes of `struct nfgenmsg`.
const GENERAL: usize = 4;

/// A table's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The comments of each chain's rules, in order.
    pub chains: BTreeMap<String, Vec<String>>,
    /// Elements of each set and map.
    pub sets: BTreeMap<String, Elements>,
}

/// A chain that packets pass by themselves, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseChain {
    /// `ip`, `ip6`, `inet`, `arp`, `bridge` or `netdev`, as nft(8) calls them.
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// Where it hangs, if that is on the way of a packet of IPv4 or IPv6.
    pub hook: Option<Place>,
    /// Lower ones see a packet earlier.
    pub priority: i32,
    /// Whether what passes all its rules is dropped.
    pub drops: bool,
}

impl std::fmt::Display for BaseChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            family,
            table,
            name,
            ..
        } = self;
        write!(f, "chain {name} of table {family} {table}")
    }
}

/// All of them, in the order in which each hook's are passed.
pub fn base_chains(socket: &mut Socket) -> Result<Vec<BaseChain>> {
    const EVERY_FAMILY: u8 = 0;
    let request = Message::new(GET_CHAIN, 0, &general(EVERY_FAMILY, 0));
    let mut chains = socket.dump(&request, |message| {
        let family = *message.body.first()?;
        read_base_chain(family, Attributes::after(message.body, GENERAL))
    })?;
    chains.sort_by_key(|chain| chain.priority);
    Ok(chains)
}

/// Nothing if other chains have to jump there (nf_tables(5): it has no hook).
fn read_base_chain(family: u8, attributes: Attributes<'_>) -> Option<BaseChain> {
    let hook = Attributes::after(attributes.get(4)?, 0);
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    let places = [
        Place::Prerouting,
        Place::Input,
        Place::Forward,
        Place::Output,
        Place::Postrouting,
    ];
    let place = number(hook.get(1)?)?;
    let (family, is_ip) = match family {
        1 => ("inet", true),
        2 => ("ip", true),
        3 => ("arp", false),
        5 => ("netdev", false),
        7 => ("bridge", false),
        10 => ("ip6", true),
        _ => ("", false),
    };
    Some(BaseChain {
        family,
        table: attributes.text(1)?,
        name: attributes.text(3)?,
        kind: attributes.text(7).unwrap_or_default(),
        hook: usize::try_from(place)
            .ok()
            .and_then(|place| places.get(place))
            .copied()
            .filter(|_| is_ip),
        priority: number(hook.get(2)?)?.cast_signed(),
        drops: attributes.get(5).and_then(number) == Some(0),
    })
}

/// What is in the table of this name; empty when there is no such table.
pub fn list(socket: &mut Socket, table: &str) -> Result<Listed> {
    match list_all(socket, table) {
        // It, or a set of it, went meanwhile.
        Err(error) if error.errno == Errno::NOENT => Ok(Listed::default()),
        listed => listed,
    }
}

fn list_all(socket: &mut Socket, table: &str) -> Result<Listed> {
    let request = |kind, set: Option<&str>| {
        let mut message = Message::new(kind, 0, &general(INET, 0));
        message.put_text(1, table);
        if let Some(set) = set {
            message.put_text(2, set);
        }
        message
    };
    let mut listed = Listed::default();
    let ours = |attributes: Attributes<'_>| attributes.text(1).as_deref() == Some(table);
    let chains = socket.dump(&request(GET_CHAIN, None), |message| {
        let attributes = Attributes::after(message.body, GENERAL);
        ours(attributes).then(|| attributes.text(3)).flatten()
    })?;
    listed.chains = chains.into_iter().map(|name| (name, Vec::new())).collect();
    let rules = socket.dump(&request(GET_RULE, None), |message| {
        let attributes = Attributes::after(message.body, GENERAL);
        let chain = ours(attributes).then(|| attributes.text(2)).flatten()?;
        Some((
            chain,
            attributes.get(7).map_or_else(String::new, read_comment),
        ))
    })?;
    for (chain, comment) in rules {
        listed.chains.entry(chain).or_default().push(comment);
    }
    let sets = socket.dump(&request(GET_SET, None), |message| {
        let attributes = Attributes::after(message.body, GENERAL);
        ours(attributes).then(|| attributes.text(2)).flatten()
    })?;
    for set in sets {
        let elements = socket.dump(&request(GET_ELEMENTS, Some(&set)), |message| {
            Some(read_elements(
                Attributes::after(message.body, GENERAL).inner(3),
            ))
        })?;
        let elements = elements.into_iter().flatten().collect();
        listed.sets.insert(set, elements);
    }
    Ok(listed)
}

fn read_elements(list: Attributes<'_>) -> Vec<(Vec<u8>, Option<Data>)> {
    list.filter_map(|(_, bytes)| {
        let element = Attributes::after(bytes, 0);
        let key = element.inner(1).get(1)?.to_vec();
        Some((key, element.get(2).and_then(read_data)))
    })
    .collect()
}

fn read_data(bytes: &[u8]) -> Option<Data> {
    let data = Attributes::after(bytes, 0);
    match data.get(1) {
        Some(bytes) => Some(Data::Bytes(bytes.to_vec())),
        None => read_verdict(data.inner(2)).map(Data::Verdict),
    }
}

fn read_comment(bytes: &[u8]) -> String {
    let [0, length, text @ ..] = bytes else {
        return String::new();
    };
    let end = usize::from(*length).saturating_sub(1);
    String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned()
}

/// The table that a piece of news of group NFNLGRP_NFTABLES is about.
pub fn news_of(message: &Received<'_>) -> Option<String> {
    if message.kind & 0xff00 != SUBSYSTEM || message.kind == NEW_GENERATION {
        return None;
    }
    // The first attribute is the table's name, whatever the news is about.
    Attributes::after(message.body, GENERAL).text(1)
}

/// What [`list`] finds when this table is in place.
pub fn expected(table: &Table) -> Listed {
    let comments = |chain: &Chain| {
        let comments = chain
            .rules
            .iter()
            .map(|rule| kept(&rule.comment).to_owned());
        (chain.name.clone(), comments.collect())
    };
    let elements = |set: &Set| (set.name.clone(), set.elements.clone());
    Listed {
        chains: table.chains.iter().map(comments).collect(),
        sets: table.sets.iter().map(elements).collect(),
    }
}
