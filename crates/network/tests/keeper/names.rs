//! Questions asked inside containers.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;

use network::keeper::{Change, Endpoint, Settings, Upstream as Address, View};
use simple_dns::TYPE;
use sys::ns;

use crate::host::{Host, cannot_run, until};
use crate::upstream::Upstream;

const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

#[test]
fn names_of_containers_and_of_the_world_are_answered() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _upstream = Upstream::start("127.0.0.1", FIRST);
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let db = host.container("db", &["10.0.0.3", "fd00::3"], &["front"]);
    let table = [
        ("db", TYPE::A, "NoError 10.0.0.3"),
        ("id-db", TYPE::A, "NoError 10.0.0.3"),
        ("DB.front", TYPE::A, "NoError 10.0.0.3"),
        ("web", TYPE::AAAA, "NoError"),
        ("3.0.0.10.in-addr.arpa", TYPE::PTR, "NoError db.front"),
        ("www.test", TYPE::A, "NoError 192.0.2.1"),
        ("www.test", TYPE::A, "NoError 192.0.2.1"),
        ("www.example", TYPE::A, "NameError"),
    ];
    for (name, kind, expected) in table {
        assert_eq!(web.ask(name, kind), expected, "{name}");
        assert_eq!(db.ask_by_stream(name, kind), expected, "{name}");
    }
    let cut = web.ask("big.test", TYPE::A);
    assert!(cut.starts_with("NoError truncated"), "{cut}");
    let whole = web.ask_by_stream("big.test", TYPE::A);
    assert_eq!(whole.split(' ').count(), 101, "{whole}");
    // www.test but for the first time, and big.test the second time; of www.example nothing says how long it is
    // not there.
    let status = host.keeper.status().unwrap();
    assert!(status.answered[1] >= 4, "{status:?}");
    assert_eq!((status.views, status.waiting), (2, 0));
    assert_eq!(status.upstreams, ["127.0.0.1:53"]);
}

#[test]
fn resolvers_of_c_libraries_and_of_busybox_understand() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _upstream = Upstream::start("127.0.0.1", FIRST);
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let _db = host.container("db_1", &["10.0.0.3"], &["front"]);
    let text = web.run(
        &host,
        "getent ahostsv4 db_1; getent hosts www.test; getent hosts 10.0.0.3",
    );
    let found = ["10.0.0.3", "192.0.2.1", "db_1.front"].map(|part| text.contains(part));
    assert_eq!(found, [true; 3], "{text}");
    let text = web.run(&host, "getent ahosts big.test | wc -l");
    assert!(
        text.trim().parse::<u32>().is_ok_and(|lines| lines >= 1),
        "{text}"
    );
    let Some(busybox) = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIP: no busybox (Debian: busybox-static)"
        );
        return;
    };
    let text = web.run(
        &host,
        &format!("{busybox} nslookup db_1; {busybox} nslookup www.test"),
    );
    let found = ["10.0.0.3", "192.0.2.1"].map(|part| text.contains(part));
    assert_eq!(found, [true; 2], "{text}");
    let text = web.run(&host, &format!("{busybox} nslookup nobody.example"));
    assert!(text.contains("NXDOMAIN"), "{text}");
}

#[test]
fn the_hosts_resolvers_are_followed() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _first = Upstream::start("127.0.0.1", FIRST);
    let _second = Upstream::start("127.0.0.2", SECOND);
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    assert_eq!(web.ask("www.test", TYPE::A), "NoError 192.0.2.1");
    let is = |expected: &str| web.ask("www.test", TYPE::A) == expected;
    host.set_resolvers("nameserver 127.0.0.2\n");
    until("the second resolver", || is("NoError 192.0.2.2"));
    // By a link, whose target changes.
    let place = host.dir.path().join("elsewhere");
    std::fs::create_dir(&place).unwrap();
    let target = place.join("resolv.conf");
    let write = |text: &str| {
        sys::file::replace_unsynced(&target, text.as_bytes(), 0o644).unwrap();
    };
    write("nameserver 127.0.0.1\n");
    let path = host.dir.path().join("resolv.conf");
    std::fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    until("the first resolver", || is("NoError 192.0.2.1"));
    write("nameserver 127.0.0.2\n");
    until("the second resolver", || is("NoError 192.0.2.2"));
    // And one that is not there is passed over.
    write("nameserver 127.0.0.9\nnameserver 127.0.0.1\n");
    until("the first resolver", || is("NoError 192.0.2.1"));
    let settings = Settings {
        resolv_conf: host.dir.path().join("none"),
    };
    host.apply(&[Change::Settings { settings }]);
    assert_eq!(host.keeper.status().unwrap().upstreams, ["127.0.0.1:53"]);
}

#[test]
fn containers_have_resolvers_of_their_own_or_none() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _first = Upstream::start("127.0.0.1", FIRST);
    let upstreams = |address: &str, inside| View {
        upstreams: vec![Address {
            address: address.parse().unwrap(),
            inside,
        }],
        ..View::default()
    };
    let view = upstreams("127.0.0.1:53", true);
    let inside = host.container_with("inside", &["10.0.0.2"], &["front"], view);
    // Nobody listens inside yet.
    assert_eq!(inside.ask("www.test", TYPE::A), "ServerFailure");
    let _second = ns::within(&inside.namespace, || Upstream::start("127.0.0.1", SECOND));
    assert_eq!(inside.ask("www.test", TYPE::A), "NoError 192.0.2.2");
    let view = upstreams("127.0.0.1:53", false);
    let outside = host.container_with("outside", &["10.0.0.3"], &["front"], view);
    assert_eq!(outside.ask("www.test", TYPE::A), "NoError 192.0.2.1");
    let inner = host.container("inner", &["10.0.1.2"], &["inner"]);
    assert_eq!(inner.ask("www.test", TYPE::A), "ServerFailure");
    assert_eq!(inner.ask("inner", TYPE::A), "NoError 10.0.1.2");
}

#[test]
fn a_container_that_has_ended_is_called_nothing() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _upstream = Upstream::start("127.0.0.1", FIRST);
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let mut db = host.container("db", &["10.0.0.3"], &["front"]);
    assert_eq!(web.ask("db", TYPE::A), "NoError 10.0.0.3");
    db.end();
    until("the end of its names", || {
        web.ask("db", TYPE::A) == "NameError"
    });
    assert_eq!(host.keeper.status().unwrap().views, 1);
    let model = host.keeper.model().unwrap();
    assert_eq!(model.networks["front"].endpoints.len(), 1);
}

#[test]
fn many_questions_at_once_are_all_answered() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _upstream = Upstream::start("127.0.0.1", FIRST);
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let web = &web;
            scope.spawn(move || {
                for n in 0..100 {
                    let name = format!("n{n}-{thread}.test");
                    // An upstream that gets no time for seconds fails.
                    until("an answer of the upstream", || {
                        web.ask(&name, TYPE::A) == "NoError 192.0.2.1"
                    });
                    assert_eq!(web.ask("web", TYPE::A), "NoError 10.0.0.2");
                }
            });
        }
    });
}

#[test]
fn five_hundred_names_are_known_and_outlive_the_keeper() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let numbers = |n: usize| [10, 1, n / 250, n % 250 + 1].map(|part| part.to_string());
    let named = |n: usize| Change::Endpoint {
        network: "front".to_owned(),
        id: format!("id-{n}"),
        endpoint: Endpoint {
            names: vec![format!("name{n}"), "all".to_owned()],
            addresses: vec![numbers(n).join(".").parse().unwrap()],
        },
    };
    let all: Vec<Change> = (0..500).map(named).collect();
    for some in all.chunks(50) {
        host.apply(some);
    }
    let known = |n: usize| {
        let name = format!("name{n}");
        let address = format!("NoError {}", numbers(n).join("."));
        assert_eq!(web.ask(&name, TYPE::A), address);
        assert_eq!(web.ask(&name, TYPE::AAAA), "NoError");
        let mut reverse = numbers(n);
        reverse.reverse();
        let reverse = format!("{}.in-addr.arpa", reverse.join("."));
        let pointer = format!("NoError {name}.front");
        assert_eq!(web.ask(&reverse, TYPE::PTR), pointer);
    };
    (0..500).for_each(known);
    // All at once are too many for a datagram, and not for a stream.
    let cut = web.ask("all", TYPE::A);
    assert!(cut.starts_with("NoError truncated"), "{cut}");
    let whole = web.ask_by_stream("all", TYPE::A);
    assert_eq!(whole.split(' ').count(), 501);
    host.kill_keeper();
    host.keeper.ensure().unwrap();
    (0..500).step_by(7).for_each(known);
    assert_eq!(web.ask_by_stream("all", TYPE::A).split(' ').count(), 501);
}
