//! Reading messages (RFC 1035, RFC 6891) that anybody may have sent. Only their outline is read:
//! what they carry passes through untouched, of types too that nobody has heard of.

use std::ops::Range;

/// Bytes before the question.
pub(super) const HEADER: usize = 12;

/// The longest name (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 255;

/// More records after the question are no question.
const MOST_ADDITIONAL: u16 = 8;

/// The type of the record that is no record (RFC 6891).
const OPT: u16 = 41;
const SOA: u16 = 6;

/// Bits of the header's second word.
pub(super) mod flags {
    pub(in super::super) const RESPONSE: u16 = 0x8000;
    pub(in super::super) const OPCODE: u16 = 0x7800;
    pub(in super::super) const AUTHORITATIVE: u16 = 0x0400;
    pub(in super::super) const TRUNCATED: u16 = 0x0200;
    pub(in super::super) const RECURSION_DESIRED: u16 = 0x0100;
    pub(in super::super) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(in super::super) const AUTHENTIC_DATA: u16 = 0x0020;
    pub(in super::super) const CHECKING_DISABLED: u16 = 0x0010;
}

/// Codes of answers.
pub(super) mod rcode {
    pub(in super::super) const NO_ERROR: u8 = 0;
    pub(in super::super) const FORMAT_ERROR: u8 = 1;
    pub(in super::super) const SERVER_FAILURE: u8 = 2;
    pub(in super::super) const NO_SUCH_NAME: u8 = 3;
    pub(in super::super) const NOT_IMPLEMENTED: u8 = 4;
    pub(in super::super) const REFUSED: u8 = 5;
    pub(in super::super) const BAD_VERSION: u8 = 16;
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// The name as it stands in the message, its last byte a zero.
    pub(super) name: &'a [u8],
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) edns: Option<Edns>,
}

/// What a record OPT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    /// The longest datagram its sender takes.
    pub(super) size: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
}

/// What is wrong with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no question: an answer might go round for ever.
    Ignore,
    /// It is answered by a header with this code.
    Code(u8),
}

/// Reads a question.
pub(super) fn query(message: &[u8]) -> Result<Query<'_>, Refusal> {
    let header = header(message).ok_or(Refusal::Ignore)?;
    if header.flags & flags::RESPONSE != 0 {
        return Err(Refusal::Ignore);
    }
    if header.flags & flags::OPCODE != 0 {
        return Err(Refusal::Code(rcode::NOT_IMPLEMENTED));
    }
    let malformed = Refusal::Code(rcode::FORMAT_ERROR);
    let [questions, answers, authorities, additional] = header.counts;
    if [questions, answers, authorities] != [1, 0, 0] || additional > MOST_ADDITIONAL {
        return Err(malformed);
    }
    let end = plain_name_end(message, HEADER).ok_or(malformed)?;
    let fixed = |at| word(message, at).ok_or(malformed);
    let mut query = Query {
        id: header.id,
        flags: header.flags,
        name: &message[HEADER..end],
        kind: fixed(end)?,
        class: fixed(end + 2)?,
        edns: None,
    };
    for record in records(message, end + 4, [0, 0, additional]) {
        let record = record.ok_or(malformed)?;
        if record.kind == OPT && query.edns.replace(record.edns()).is_some() {
            return Err(malformed);
        }
    }
    Ok(query)
}

struct Header {
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

fn header(message: &[u8]) -> Option<Header> {
    let at = |index| word(message, index);
    Some(Header {
        id: at(0)?,
        flags: at(2)?,
        counts: [at(4)?, at(6)?, at(8)?, at(10)?],
    })
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn long_word(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Where a name ends that may not refer to another.
fn plain_name_end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1 + length;
        if length > 63 || at - start > LONGEST_NAME {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// Where a name ends that may refer to another, which is not followed.
fn name_end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            // A reference is the end.
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
        if at - start > LONGEST_NAME {
            return None;
        }
    }
}

/// The parts of a message after its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A record's outline.
#[derive(Debug, Clone)]
pub(super) struct Record {
    section: Section,
    kind: u16,
    class: u16,
    ttl: u32,
    /// Where its time to live stands.
    ttl_at: usize,
    /// Where its data stands.
    data: Range<usize>,
}

impl Record {
    fn edns(&self) -> Edns {
        let [_, version, bits, _] = self.ttl.to_be_bytes();
        Edns {
            size: self.class,
            version,
            dnssec_ok: bits & 0x80 != 0,
        }
    }
}

/// The records from `start` on, by section; a last one of `None` if they are not what is counted.
fn records(
    message: &[u8],
    start: usize,
    counts: [u16; 3],
) -> impl Iterator<Item = Option<Record>> + use<'_> {
    let sections = [Section::Answer, Section::Authority, Section::Additional];
    let all = sections.into_iter().zip(counts);
    let all = all.flat_map(|(section, count)| std::iter::repeat_n(section, count.into()));
    let mut at = Some(start);
    all.map_while(move |section| {
        let record = record(message, at?, section);
        at = record.as_ref().map(|record| record.data.end);
        Some(record)
    })
}

fn record(message: &[u8], start: usize, section: Section) -> Option<Record> {
    let fixed = name_end(message, start)?;
    let length = word(message, fixed + 8)?;
    let data = fixed + 10..fixed + 10 + usize::from(length);
    message.get(data.clone())?;
    Some(Record {
        section,
        kind: word(message, fixed)?,
        class: word(message, fixed + 2)?,
        ttl: long_word(message, fixed + 4)?,
        ttl_at: fixed + 4,
        data,
    })
}

/// What counts of an upstream's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) code: u8,
    pub(super) truncated: bool,
    /// For how many seconds it holds: of an answer the shortest time in it, of a denial what the
    /// zone says (RFC 2308). Zero if nothing says so.
    pub(super) holds: u32,
}

/// Reads an answer to `question`, a message that was sent: by its id, whose name, type and class it
/// repeats. None if it is another's, or broken.
pub(super) fn response(message: &[u8], question: &[u8]) -> Option<Response> {
    let (header, asked) = (header(message)?, query(question).ok()?);
    let is_response = header.flags & flags::RESPONSE != 0 && header.flags & flags::OPCODE == 0;
    if !is_response || header.id != asked.id {
        return None;
    }
    let code = header.flags.to_be_bytes()[1] & 0x0f;
    let [questions, counts @ ..] = header.counts;
    if questions == 0 && code != rcode::NO_ERROR && code != rcode::NO_SUCH_NAME {
        // One that could not read the question does not repeat it.
        return Some(Response {
            code,
            truncated: false,
            holds: 0,
        });
    }
    let end = plain_name_end(message, HEADER)?;
    let same = message[HEADER..end].eq_ignore_ascii_case(asked.name)
        && word(message, end) == Some(asked.kind)
        && word(message, end + 2) == Some(asked.class);
    if questions != 1 || !same {
        return None;
    }
    let mut shortest = Shortest::default();
    let truncated = header.flags & flags::TRUNCATED != 0;
    for record in records(message, end + 4, counts) {
        match record {
            Some(record) => shortest.see(message, &record),
            // Cut off in the middle of a record.
            None if truncated => break,
            None => return None,
        }
    }
    Some(Response {
        code,
        truncated,
        holds: shortest.holds(code),
    })
}

#[derive(Default)]
struct Shortest {
    answer: Option<u32>,
    denial: Option<u32>,
    other: Option<u32>,
}

impl Shortest {
    fn see(&mut self, message: &[u8], record: &Record) {
        let least = |old: &mut Option<u32>, new: u32| *old = Some(old.map_or(new, |o| o.min(new)));
        match (record.section, record.kind) {
            (_, OPT) => {}
            (Section::Answer, _) => least(&mut self.answer, record.ttl),
            (Section::Authority, SOA) => {
                // The last of its five numbers (RFC 2308, 5).
                let at = record.data.end.checked_sub(4);
                let minimum = at.and_then(|at| long_word(message, at)).unwrap_or(0);
                least(&mut self.denial, record.ttl.min(minimum));
            }
            _ => least(&mut self.other, record.ttl),
        }
    }

    fn holds(&self, code: u8) -> u32 {
        let denial = code == rcode::NO_SUCH_NAME || self.answer.is_none();
        let holds = match (code, denial) {
            (rcode::NO_ERROR, false) => self.answer,
            (rcode::NO_ERROR | rcode::NO_SUCH_NAME, true) => self
                .denial
                .map(|denial| denial.min(self.answer.unwrap_or(u32::MAX))),
            _ => None,
        };
        let rest = self.other.unwrap_or(u32::MAX);
        holds.map_or(0, |holds| holds.min(rest))
    }
}

/// Takes `seconds` off every time to live in an answer that was read before.
pub(super) fn age(message: &mut [u8], seconds: u32) {
    let Some((start, counts)) = after_question(message) else {
        return;
    };
    let times = records(message, start, counts)
        .map_while(|record| record)
        .filter(|record| record.kind != OPT);
    let times: Vec<_> = times.map(|record| (record.ttl_at, record.ttl)).collect();
    for (at, ttl) in times {
        let left = ttl.saturating_sub(seconds).to_be_bytes();
        message[at..at + 4].copy_from_slice(&left);
    }
}

/// Where the records begin, and how many there are in each section.
fn after_question(message: &[u8]) -> Option<(usize, [u16; 3])> {
    let [questions, counts @ ..] = header(message)?.counts;
    match questions {
        0 => Some((HEADER, counts)),
        1 => Some((plain_name_end(message, HEADER)? + 4, counts)),
        _ => None,
    }
}

/// Makes an answer one to this question: its id, and the name in the very letters that were asked
/// for. Of another name it stays.
pub(super) fn address_to(message: &mut [u8], id: u16, name: &[u8]) {
    if let Some(room) = message.get_mut(..2) {
        room.copy_from_slice(&id.to_be_bytes());
    }
    if let Some(room) = message.get_mut(HEADER..HEADER + name.len())
        && room.eq_ignore_ascii_case(name)
    {
        room.copy_from_slice(name);
    }
}

/// A name's text in small letters, without the dot at its end; none if it is no text or a label of
/// it has a dot inside.
pub(super) fn text(name: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((&length, tail)) = rest.split_first()
        && length > 0
    {
        let (label, tail) = tail.split_at_checked(length.into())?;
        let label = std::str::from_utf8(label).ok()?;
        if label.contains('.') {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&label.to_ascii_lowercase());
        rest = tail;
    }
    Some(text)
}

/// The reverse of [`text`]; none if it does not fit.
pub(super) fn name(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').filter(|label| !label.is_empty()) {
        name.push(
            u8::try_from(label.len())
                .ok()
                .filter(|length| *length <= 63)?,
        );
        name.extend_from_slice(label.as_bytes());
    }
    name.push(0);
    (name.len() <= LONGEST_NAME).then_some(name)
}
