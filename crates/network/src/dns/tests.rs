//! Questions and answers with a clock of the test's own. Answers are read by a codec that is not ours.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

use super::resolver::{Act, Asker, Resolver, Via};
use crate::keeper::{Endpoint, Network, Upstream, View};

const UPSTREAMS: [&str; 2] = ["192.0.2.1:53", "192.0.2.2:53"];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn endpoint(names: &[&str], addresses: &[&str]) -> Endpoint {
    Endpoint {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(|text| address(text)).collect(),
    }
}

/// Two networks, an internal one too, and who is on them: views 1 (front), 2 (front and back),
/// 3 (inner).
fn resolver() -> Resolver {
    let mut resolver = Resolver::default();
    let upstreams = UPSTREAMS.map(|text| text.parse().unwrap());
    resolver.set_upstreams(&upstreams);
    for (id, internal) in [("front", false), ("back", false), ("inner", true)] {
        let network = Network {
            name: id.to_owned(),
            internal,
            ..Network::default()
        };
        resolver.names.set_network(id, &network);
    }
    let names = &mut resolver.names;
    names.set_endpoint(
        "front",
        "w",
        &endpoint(&["web", "Alias_1"], &["10.0.0.2", "fd00::2"]),
    );
    names.set_endpoint("back", "d", &endpoint(&["db"], &["10.0.1.2"]));
    names.set_endpoint("inner", "s", &endpoint(&["safe"], &["10.0.2.2"]));
    for (number, networks) in [
        (1, vec!["front"]),
        (2, vec!["front", "back"]),
        (3, vec!["inner"]),
    ] {
        let view = View {
            networks: networks.into_iter().map(str::to_owned).collect(),
            ..View::default()
        };
        resolver.set_view(number, &view);
    }
    resolver
}

fn question(id: u16, name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
    packet.questions.push(question);
    packet.build_bytes_vec().unwrap()
}

fn asker(view: u32) -> Asker {
    Asker {
        view,
        via: Via::Datagram("127.0.0.1:4000".parse().unwrap()),
    }
}

fn stream(view: u32) -> Asker {
    Asker {
        view,
        via: Via::Stream(9),
    }
}

/// An answer as text: id, code, and what is in it.
fn read(message: &[u8]) -> String {
    let packet = Packet::parse(message).unwrap();
    let data = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => std::net::Ipv4Addr::from_bits(a.address).to_string(),
        RData::AAAA(a) => std::net::Ipv6Addr::from_bits(a.address).to_string(),
        RData::PTR(name) => name.0.to_string(),
        other => format!("{other:?}"),
    };
    let answers: Vec<_> = packet.answers.iter().map(data).collect();
    let cut = packet.has_flags(PacketFlag::TRUNCATION);
    let cut = if cut { " truncated" } else { "" };
    format!(
        "{} {:?}{cut} {}",
        packet.id(),
        packet.rcode(),
        answers.join(" ")
    )
}

fn ask(resolver: &mut Resolver, now: Instant, view: u32, message: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    resolver.ask(now, asker(view), message, &mut acts);
    acts
}

fn only_answer(acts: &[Act]) -> String {
    match acts {
        [Act::Answer { message, .. }] => read(message),
        other => panic!("{other:?}"),
    }
}

/// What is asked of whom: question, attempt, upstream, message.
fn asked(acts: &[Act]) -> (u32, usize, String, Vec<u8>) {
    let asks = acts.iter().filter_map(|act| match act {
        Act::Ask {
            question,
            attempt,
            upstream,
            stream,
            message,
            ..
        } => Some((
            *question,
            *attempt,
            format!(
                "{}{}",
                upstream.address,
                if *stream { " by stream" } else { "" }
            ),
            message.clone(),
        )),
        _ => None,
    });
    let all: Vec<_> = asks.collect();
    assert_eq!(all.len(), 1, "{acts:?}");
    all.into_iter().next().unwrap()
}

/// An upstream's answer to a question it got.
fn reply(question: &[u8], records: &[(&str, u32)], code: u8) -> Vec<u8> {
    let mut packet = Packet::parse(question).unwrap().into_reply();
    packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
    for (text, ttl) in records {
        let data = match text.parse().unwrap() {
            IpAddr::V4(four) => RData::A(four.into()),
            IpAddr::V6(six) => RData::AAAA(six.into()),
        };
        let name = packet.questions[0].qname.clone();
        let record = ResourceRecord::new(name, CLASS::IN, *ttl, data);
        packet.answers.push(record);
    }
    let mut message = packet.build_bytes_vec_compressed().unwrap();
    message[3] |= code;
    message
}

fn hear(resolver: &mut Resolver, now: Instant, to: (u32, usize), message: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    resolver.hear(now, to.0, to.1, message, &mut acts);
    acts
}

fn answers(acts: &[Act]) -> Vec<String> {
    let answers = acts.iter().filter_map(|act| match act {
        Act::Answer { message, .. } => Some(read(message)),
        _ => None,
    });
    answers.collect()
}

#[test]
fn names_are_those_of_the_askers_networks() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let table = [
        (1, "web", TYPE::A, "7 NoError 10.0.0.2"),
        (1, "WEB", TYPE::AAAA, "7 NoError fd00::2"),
        (1, "web.front", TYPE::A, "7 NoError 10.0.0.2"),
        (1, "alias_1", TYPE::A, "7 NoError 10.0.0.2"),
        (1, "web", TYPE::MX, "7 NoError "),
        (2, "db", TYPE::A, "7 NoError 10.0.1.2"),
        (2, "db", TYPE::AAAA, "7 NoError "),
        (2, "2.0.0.10.in-addr.arpa", TYPE::PTR, "7 NoError web.front"),
        (
            2,
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            TYPE::PTR,
            "7 NoError web.front",
        ),
        (3, "safe", TYPE::A, "7 NoError 10.0.2.2"),
        // Nobody is asked outside for who is inside.
        (3, "web", TYPE::A, "7 ServerFailure "),
    ];
    for (view, name, kind, expected) in table {
        let acts = ask(&mut resolver, now, view, &question(7, name, kind));
        assert_eq!(only_answer(&acts), expected, "{name} of {view}");
    }
    for (view, name) in [
        (1, "db"),
        (1, "safe.inner"),
        (2, "web.back"),
        (1, "2.1.0.10.in-addr.arpa"),
    ] {
        let acts = ask(&mut resolver, now, view, &question(7, name, TYPE::PTR));
        assert_eq!(asked(&acts).2, UPSTREAMS[0], "{name} of {view}");
    }
}

#[test]
fn the_letters_asked_for_come_back() {
    let (mut resolver, now) = (resolver(), Instant::now());
    for name in ["wEb", "eXaMple.Org"] {
        let mut acts = ask(&mut resolver, now, 1, &question(7, name, TYPE::A));
        if !matches!(acts[..], [Act::Answer { .. }]) {
            let (id, attempt, _, message) = asked(&acts);
            let mut small = reply(&message, &[("192.0.2.9", 60)], 0);
            small[12..].make_ascii_lowercase();
            acts = hear(&mut resolver, now, (id, attempt), &small);
        }
        let Act::Answer { message, .. } = acts.last().unwrap() else {
            panic!("{acts:?}")
        };
        let packet = Packet::parse(message).unwrap();
        assert_eq!(packet.questions[0].qname.to_string(), name);
    }
}

#[test]
fn a_service_is_all_who_bear_its_name_in_turn() {
    let (mut resolver, now) = (resolver(), Instant::now());
    for n in 1..=3 {
        let service = endpoint(&[&format!("c{n}"), "service"], &[&format!("10.0.0.1{n}")]);
        resolver
            .names
            .set_endpoint("front", &format!("c{n}"), &service);
    }
    let mut first = Vec::new();
    for _ in 0..3 {
        let acts = ask(&mut resolver, now, 1, &question(7, "service", TYPE::A));
        let text = only_answer(&acts);
        assert_eq!(text.split(' ').count(), 5, "{text}");
        first.push(text.split(' ').nth(2).unwrap().to_owned());
    }
    first.sort();
    assert_eq!(first, ["10.0.0.11", "10.0.0.12", "10.0.0.13"]);
    resolver.names.remove_endpoint("front", "c2");
    let text = only_answer(&ask(
        &mut resolver,
        now,
        1,
        &question(7, "service", TYPE::A),
    ));
    assert!(
        !text.contains("10.0.0.12") && text.contains("10.0.0.13"),
        "{text}"
    );
}

#[test]
fn links_mean_something_to_their_own_container_only() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let view = View {
        networks: vec!["front".into()],
        links: vec![endpoint(&["cache"], &["10.0.0.9"])],
        single_labels_stay: true,
        ..View::default()
    };
    resolver.set_view(4, &view);
    let acts = ask(&mut resolver, now, 4, &question(7, "cache", TYPE::A));
    assert_eq!(only_answer(&acts), "7 NoError 10.0.0.9");
    // And what it has not got it asks again with a domain at its end.
    let acts = ask(&mut resolver, now, 4, &question(7, "nobody", TYPE::A));
    assert_eq!(only_answer(&acts), "7 NameError ");
    let acts = ask(
        &mut resolver,
        now,
        4,
        &question(7, "nobody.example", TYPE::A),
    );
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
    let acts = ask(&mut resolver, now, 1, &question(7, "cache", TYPE::A));
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
}

#[test]
fn an_answer_is_remembered_as_long_as_it_holds() {
    let (mut resolver, start) = (resolver(), Instant::now());
    let acts = ask(
        &mut resolver,
        start,
        1,
        &question(7, "example.org", TYPE::A),
    );
    let (id, attempt, _, message) = asked(&acts);
    let acts = hear(
        &mut resolver,
        start,
        (id, attempt),
        &reply(&message, &[("192.0.2.9", 60)], 0),
    );
    assert_eq!(answers(&acts), ["7 NoError 192.0.2.9"]);
    assert!(acts.contains(&Act::Close { question: id }));
    let later = start + Duration::from_secs(59);
    let acts = ask(
        &mut resolver,
        later,
        2,
        &question(8, "EXAMPLE.org", TYPE::A),
    );
    assert_eq!(only_answer(&acts), "8 NoError 192.0.2.9");
    let Act::Answer { message, .. } = &acts[0] else {
        panic!()
    };
    assert_eq!(Packet::parse(message).unwrap().answers[0].ttl, 1);
    let much_later = start + Duration::from_secs(60);
    let acts = ask(
        &mut resolver,
        much_later,
        2,
        &question(9, "example.org", TYPE::A),
    );
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
    assert_eq!(resolver.answered, [0, 1, 1]);
}

#[test]
fn a_denial_is_remembered_as_long_as_its_zone_says() {
    let (mut resolver, start) = (resolver(), Instant::now());
    let acts = ask(&mut resolver, start, 1, &question(7, "no.example", TYPE::A));
    let (id, attempt, _, message) = asked(&acts);
    let mut packet = Packet::parse(&message).unwrap().into_reply();
    let soa = simple_dns::rdata::SOA {
        mname: Name::new("ns.example").unwrap(),
        rname: Name::new("root.example").unwrap(),
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 30,
    };
    let name = Name::new("example").unwrap();
    let record = ResourceRecord::new(name, CLASS::IN, 3600, RData::SOA(soa));
    packet.name_servers.push(record);
    let mut denial = packet.build_bytes_vec_compressed().unwrap();
    denial[3] |= 3;
    let acts = hear(&mut resolver, start, (id, attempt), &denial);
    assert_eq!(answers(&acts), ["7 NameError "]);
    let at = |seconds| start + Duration::from_secs(seconds);
    let acts = ask(
        &mut resolver,
        at(29),
        1,
        &question(8, "no.example", TYPE::A),
    );
    assert_eq!(only_answer(&acts), "8 NameError ");
    let acts = ask(
        &mut resolver,
        at(30),
        1,
        &question(9, "no.example", TYPE::A),
    );
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
}

#[test]
fn failures_are_not_remembered_and_the_next_upstream_is_asked_at_once() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let acts = ask(&mut resolver, now, 1, &question(7, "example.org", TYPE::A));
    let (id, attempt, whom, message) = asked(&acts);
    assert_eq!(whom, UPSTREAMS[0]);
    let acts = hear(&mut resolver, now, (id, attempt), &reply(&message, &[], 2));
    let (id, attempt, whom, message) = asked(&acts);
    assert_eq!(whom, UPSTREAMS[1]);
    let acts = hear(&mut resolver, now, (id, attempt), &reply(&message, &[], 2));
    assert_eq!(answers(&acts), ["7 ServerFailure "]);
    assert_eq!((resolver.cached(), resolver.waiting()), (0, 0));
}

#[test]
fn a_silent_upstream_is_not_waited_for() {
    let (mut resolver, start) = (resolver(), Instant::now());
    let acts = ask(
        &mut resolver,
        start,
        1,
        &question(7, "example.org", TYPE::A),
    );
    let (id, first, _, message) = asked(&acts);
    let due = resolver.deadline().unwrap();
    assert!(due <= start + Duration::from_secs(1));
    let mut acts = Vec::new();
    resolver.look(due, &mut acts);
    let (same, second, whom, again) = asked(&acts);
    assert_eq!((same, whom.as_str()), (id, UPSTREAMS[1]));
    // The first is late; its answer counts all the same, and closes the second's socket.
    let acts = hear(
        &mut resolver,
        due,
        (id, first),
        &reply(&message, &[("192.0.2.9", 60)], 0),
    );
    assert_eq!(answers(&acts), ["7 NoError 192.0.2.9"]);
    let acts = hear(
        &mut resolver,
        due,
        (id, second),
        &reply(&again, &[("192.0.2.8", 60)], 0),
    );
    assert_eq!(acts, []);
    // It has been silent: but it has answered since, so that it is asked first again.
    let acts = ask(&mut resolver, due, 1, &question(7, "other.org", TYPE::A));
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
}

#[test]
fn nobody_answers_and_that_is_told_in_time() {
    let (mut resolver, start) = (resolver(), Instant::now());
    ask(
        &mut resolver,
        start,
        1,
        &question(7, "example.org", TYPE::A),
    );
    let mut now = start;
    let mut told = Vec::new();
    let mut attempts = 1;
    while told.is_empty() {
        now = resolver.deadline().unwrap();
        let mut acts = Vec::new();
        resolver.look(now, &mut acts);
        attempts += acts
            .iter()
            .filter(|act| matches!(act, Act::Ask { .. }))
            .count();
        told = answers(&acts);
    }
    assert_eq!(told, ["7 ServerFailure "]);
    assert!(now - start < Duration::from_secs(5), "{:?}", now - start);
    assert_eq!(attempts, 5);
    let acts = ask(&mut resolver, now, 1, &question(7, "other.org", TYPE::A));
    assert!(UPSTREAMS.contains(&asked(&acts).2.as_str()));
}

#[test]
fn who_refuses_connections_is_asked_once_more() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let view = View {
        upstreams: vec![Upstream {
            address: "127.0.0.1:53".parse().unwrap(),
            inside: true,
        }],
        ..View::default()
    };
    resolver.set_view(5, &view);
    let acts = ask(&mut resolver, now, 5, &question(7, "example.org", TYPE::A));
    let (id, first, whom, _) = asked(&acts);
    assert_eq!(whom, "127.0.0.1:53");
    let mut acts = Vec::new();
    resolver.failed(now, id, first, &mut acts);
    assert_eq!(acts, []);
    let due = resolver.deadline().unwrap();
    assert!(due < now + Duration::from_secs(1));
    resolver.look(due, &mut acts);
    let (_, second, _, _) = asked(&acts);
    acts.clear();
    resolver.failed(due, id, second, &mut acts);
    assert_eq!(answers(&acts), ["7 ServerFailure "]);
}

#[test]
fn equal_questions_are_asked_once() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let acts = ask(&mut resolver, now, 1, &question(7, "example.org", TYPE::A));
    let (id, attempt, _, message) = asked(&acts);
    for other in [
        question(8, "Example.org", TYPE::A),
        question(7, "example.org", TYPE::A),
    ] {
        assert_eq!(ask(&mut resolver, now, 2, &other), []);
    }
    // An impatient one.
    assert_eq!(
        ask(&mut resolver, now, 1, &question(7, "example.org", TYPE::A)),
        []
    );
    let other = ask(
        &mut resolver,
        now,
        2,
        &question(9, "example.org", TYPE::AAAA),
    );
    assert_ne!(asked(&other).0, id);
    let acts = hear(
        &mut resolver,
        now,
        (id, attempt),
        &reply(&message, &[("192.0.2.9", 60)], 0),
    );
    let mut all = answers(&acts);
    all.sort();
    assert_eq!(
        all,
        [
            "7 NoError 192.0.2.9",
            "7 NoError 192.0.2.9",
            "8 NoError 192.0.2.9"
        ]
    );
}

#[test]
fn lies_are_not_heard() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let acts = ask(&mut resolver, now, 1, &question(7, "example.org", TYPE::A));
    let (id, attempt, _, message) = asked(&acts);
    let truth = reply(&message, &[("192.0.2.9", 60)], 0);
    let mut other_id = truth.clone();
    other_id[1] ^= 1;
    let mut other_name = truth.clone();
    other_name[13] ^= 1;
    let mut no_answer = truth.clone();
    no_answer[2] &= 0x7f;
    let lies = [
        other_id,
        other_name,
        no_answer,
        truth[..truth.len() - 1].to_vec(),
        vec![],
        vec![0; 12],
    ];
    for lie in lies {
        assert_eq!(hear(&mut resolver, now, (id, attempt), &lie), []);
    }
    let acts = hear(&mut resolver, now, (id, attempt), &truth);
    assert_eq!(answers(&acts), ["7 NoError 192.0.2.9"]);
}

#[test]
fn what_was_cut_off_is_fetched_by_a_stream() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let mut acts = Vec::new();
    resolver.ask(now, asker(1), &question(7, "big.org", TYPE::A), &mut acts);
    resolver.ask(now, stream(1), &question(8, "big.org", TYPE::A), &mut acts);
    let (id, attempt, _, message) = asked(&acts);
    let mut cut = reply(&message, &[], 0);
    cut[2] |= 2;
    let acts = hear(&mut resolver, now, (id, attempt), &cut);
    let (_, attempt, whom, message) = asked(&acts);
    assert_eq!(whom, "192.0.2.1:53 by stream");
    let many: Vec<_> = (0..100).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<_> = many.iter().map(|text| (text.as_str(), 60)).collect();
    let acts = hear(
        &mut resolver,
        now,
        (id, attempt),
        &reply(&message, &many, 0),
    );
    let all = answers(&acts);
    // Who asked by datagram comes again by stream, and is answered at once.
    assert_eq!(all[0], "7 NoError truncated ");
    assert_eq!(all[1].split(' ').count(), 102);
    let mut acts = Vec::new();
    resolver.ask(now, stream(1), &question(9, "big.org", TYPE::A), &mut acts);
    assert_eq!(only_answer(&acts).split(' ').count(), 102);
}

#[test]
fn a_service_with_too_many_addresses_is_cut_off() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let many: Vec<_> = (0..200).map(|n| format!("10.0.3.{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    resolver
        .names
        .set_endpoint("front", "many", &endpoint(&["many"], &many));
    let acts = ask(&mut resolver, now, 1, &question(7, "many", TYPE::A));
    let Act::Answer { message, .. } = &acts[0] else {
        panic!()
    };
    assert!(message.len() <= 512 && read(message).starts_with("7 NoError truncated 10."));
    let mut acts = Vec::new();
    resolver.ask(now, stream(1), &question(7, "many", TYPE::A), &mut acts);
    assert_eq!(only_answer(&acts).split(' ').count(), 202);
}

#[test]
fn edns_goes_from_hop_to_hop() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let mut message = question(7, "example.org", TYPE::A);
    // Root, OPT, 4096 bytes, DNSSEC wanted, and a cookie that is meant for us.
    message[11] = 1;
    message.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 6, 0, 10, 0, 2, 1, 2]);
    let acts = ask(&mut resolver, now, 1, &message);
    let (_, _, _, sent) = asked(&acts);
    assert_eq!(
        sent[sent.len() - 11..],
        [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]
    );
    // Ours carry one too; of a version that is not there yet it says so.
    let mut ours = question(7, "web", TYPE::A);
    ours[11] = 1;
    ours.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    let acts = ask(&mut resolver, now, 1, &ours);
    let Act::Answer { message, .. } = &acts[0] else {
        panic!()
    };
    assert!(Packet::parse(message).unwrap().opt().is_some());
    let at = ours.len() - 5;
    ours[at] = 1;
    let acts = ask(&mut resolver, now, 1, &ours);
    let Act::Answer { message, .. } = &acts[0] else {
        panic!()
    };
    assert_eq!(
        (message[3] & 15, message[message.len() - 6]),
        (0, 1),
        "BADVERS is 16"
    );
}

#[test]
fn a_flood_of_one_container_takes_nothing_from_another() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let mut refused = 0;
    for n in 0..300 {
        let acts = ask(
            &mut resolver,
            now,
            1,
            &question(7, &format!("n{n}.org"), TYPE::A),
        );
        refused += answers(&acts).len();
    }
    assert_eq!((refused, resolver.waiting()), (200, 100));
    let acts = ask(&mut resolver, now, 2, &question(7, "example.org", TYPE::A));
    assert_eq!(asked(&acts).2, UPSTREAMS[0]);
    // Names cost nothing. What it waits for ends with it.
    let acts = ask(&mut resolver, now, 1, &question(7, "web", TYPE::A));
    assert_eq!(only_answer(&acts), "7 NoError 10.0.0.2");
    let mut acts = Vec::new();
    resolver.remove_view(1, &mut acts);
    assert_eq!((acts.len(), resolver.waiting()), (100, 1));
}

#[test]
fn the_memory_is_bounded() {
    let (mut resolver, now) = (resolver(), Instant::now());
    for n in 0..4000 {
        let acts = ask(
            &mut resolver,
            now,
            1,
            &question(7, &format!("n{n}.org"), TYPE::A),
        );
        let (id, attempt, _, message) = asked(&acts);
        hear(
            &mut resolver,
            now,
            (id, attempt),
            &reply(&message, &[("192.0.2.9", 60)], 0),
        );
    }
    assert!(
        (200..1000).contains(&resolver.cached()),
        "{}",
        resolver.cached()
    );
    let acts = ask(&mut resolver, now, 1, &question(7, "n3999.org", TYPE::A));
    assert_eq!(only_answer(&acts), "7 NoError 192.0.2.9");
}

#[test]
fn malformed_questions_are_told_so_and_answers_are_not_answered() {
    let (mut resolver, now) = (resolver(), Instant::now());
    let good = question(7, "web", TYPE::A);
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    let code = |acts: &[Act]| match acts {
        [] => None,
        [Act::Answer { message, .. }] => Some(message[3] & 15),
        other => panic!("{other:?}"),
    };
    // No, or many, questions; a name that refers to itself; one that goes on beyond the end; an
    // answer among them; another operation; a response; less than a header.
    let table = [
        (with(5, 0), Some(1)),
        (with(5, 2), Some(1)),
        (with(4, 0xff), Some(1)),
        (with(12, 0xc0), Some(1)),
        (with(12, 63), Some(1)),
        (with(7, 1), Some(1)),
        (with(11, 200), Some(1)),
        (with(2, 0x28), Some(4)),
        (with(2, 0x80), None),
        (good[..11].to_vec(), None),
        (good[..14].to_vec(), Some(1)),
        (vec![], None),
    ];
    for (message, expected) in table {
        let acts = ask(&mut resolver, now, 1, &message);
        assert_eq!(code(&acts), expected, "{message:?}");
    }
    let acts = ask(
        &mut resolver,
        now,
        1,
        &question(7, "example.org", TYPE::Unknown(65_280)),
    );
    let [Act::Ask { message, .. }] = &acts[..] else {
        panic!("{acts:?}")
    };
    assert_eq!(
        message[message.len() - 4..],
        [0xff, 0, 0, 1],
        "passes as it is"
    );
    let acts = ask(
        &mut resolver,
        now,
        1,
        &question(7, "example.org", TYPE::Unknown(252)),
    );
    assert_eq!(code(&acts), Some(4));
}

/// Bytes of a message, some of them changed, cut off or grown.
fn mangled(message: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = message.len();
    let changes = proptest::collection::vec((0..length, any::<u8>()), 0..6);
    let tail = proptest::collection::vec(any::<u8>(), 0..40);
    (changes, 0..=length, any::<bool>(), tail).prop_map(move |(changes, cut, whole, tail)| {
        let mut message = message.clone();
        for (at, byte) in changes {
            message[at] = byte;
        }
        if !whole {
            message.truncate(cut);
        }
        message.extend(tail);
        message
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes, there is at most one answer, it can be read, and it is to what was asked.
    #[test]
    fn any_question_is_survived(message in mangled(question(7, "web.example", TYPE::A))) {
        let (mut resolver, now) = (resolver(), Instant::now());
        let acts = ask(&mut resolver, now, 1, &message);
        prop_assert!(acts.len() <= 1);
        if let [Act::Answer { message: answer, .. }] = &acts[..] {
            prop_assert_eq!(&answer[..2], &message[..2]);
            prop_assert!(answer[2] & 0x80 != 0 && answer.len() <= 1024);
        }
    }

    /// Whatever an upstream says, who has asked gets nothing that is not whole.
    #[test]
    fn any_answer_is_survived(
        message in mangled(reply(&question(0, "a.example", TYPE::A), &[("192.0.2.9", 60)], 0)),
        code in 0..=15_u8,
    ) {
        let (mut resolver, now) = (resolver(), Instant::now());
        let acts = ask(&mut resolver, now, 1, &question(7, "a.example", TYPE::A));
        let (id, attempt, _, asked) = asked(&acts);
        let mut message = message;
        if message.len() > 3 {
            message[..2].copy_from_slice(&asked[..2]);
            message[3] = message[3] & 0xf0 | code;
        }
        let acts = hear(&mut resolver, now, (id, attempt), &message);
        for act in &acts {
            if let Act::Answer { message, .. } = act {
                prop_assert_eq!(&message[..2], &[0, 7]);
            }
        }
        // And once more, from the memory.
        ask(&mut resolver, now + Duration::from_secs(5), 2, &question(8, "a.example", TYPE::A));
    }

    /// No bytes at all are worse than others.
    #[test]
    fn any_bytes_are_survived(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (mut resolver, now) = (resolver(), Instant::now());
        ask(&mut resolver, now, 1, &message);
        let acts = ask(&mut resolver, now, 1, &question(7, "a.example", TYPE::A));
        let (id, attempt, ..) = asked(&acts);
        hear(&mut resolver, now, (id, attempt), &message);
    }
}
