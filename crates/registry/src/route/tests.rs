//! Configurations and references in, places in their order out.

use super::*;

fn config(text: &str) -> Config {
    let config: Config = toml::from_str(text).unwrap();
    check(&config).unwrap();
    config
}

/// `http host root repository`, one a line.
fn places(config: &Config, reference: &str, need: Need) -> Vec<String> {
    let reference: ImageRef = reference.parse().unwrap();
    match plan(config, &reference, need) {
        Ok(endpoints) => endpoints
            .iter()
            .map(|e| {
                let how = match e.security {
                    Security::Verified => "https",
                    Security::Insecure => "insecure",
                    Security::Plain => "http",
                };
                format!("{how} {} {} {}", e.address, e.root, e.repository)
            })
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn without_a_configuration_each_registry_is_itself() {
    let none = Config::default();
    let table = [
        ("debian", "https registry-1.docker.io /v2 library/debian"),
        ("ghcr.io/a/b", "https ghcr.io /v2 a/b"),
        ("localhost:5000/a", "insecure localhost:5000 /v2 a"),
        ("127.9.0.1:5000/a", "insecure 127.9.0.1:5000 /v2 a"),
        ("[::1]:5000/a", "insecure [::1]:5000 /v2 a"),
        (
            "localhost.example.com/a",
            "https localhost.example.com /v2 a",
        ),
    ];
    for (reference, place) in table {
        assert_eq!(places(&none, reference, Need::Tag), [place]);
    }
}

#[test]
fn the_longest_prefix_decides() {
    let config = config(
        r#"
        [[registry]]
        prefix = "example.com"
        location = "other.example.com/all"
        [[registry]]
        prefix = "example.com/team/app"
        location = "http://team.example.com:8080"
        [[registry]]
        prefix = "example.com/secret"
        blocked = true
        [[registry]]
        prefix = "*.example.org"
        location = "cache.example.net"
        [[registry]]
        prefix = "free.example.org"
        "#,
    );
    let table = [
        ("example.com/a", "https other.example.com /v2 all/a"),
        (
            "example.com/team/application",
            "https other.example.com /v2 all/team/application",
        ),
        ("example.com/team/app/x", "http team.example.com:8080 /v2 x"),
        (
            "example.com/secret/x",
            "example.com/secret/x:latest: access to registry example.com is blocked by the configuration",
        ),
        ("a.b.example.org/c/d", "https cache.example.net /v2 c/d"),
        ("free.example.org/c", "https free.example.org /v2 c"),
        ("example.org/c", "https example.org /v2 c"),
    ];
    for (reference, place) in table {
        assert_eq!(
            places(&config, reference, Need::Tag),
            [place],
            "{reference}"
        );
    }
}

#[test]
fn mirrors_come_first_and_are_not_pushed_to() {
    let config = config(
        r#"
        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "https://one.example.com/hub"
        [[registry.mirror]]
        location = "two.example.com"
        used-for = "digests"
        [[registry.mirror]]
        location = "https://three.example.com/v2/hub"
        override-path = true
        used-for = "tags"
        "#,
    );
    let registry = "https registry-1.docker.io /v2 library/debian";
    let one = "https one.example.com /v2 hub/library/debian";
    assert_eq!(
        places(&config, "debian", Need::Tag),
        [
            one,
            "https three.example.com /v2/hub library/debian",
            registry
        ]
    );
    assert_eq!(
        places(&config, "debian", Need::Digest),
        [one, "https two.example.com /v2 library/debian", registry]
    );
    assert_eq!(places(&config, "debian", Need::Change), [registry]);
}

#[test]
fn only_mirrors_may_be_asked() {
    let config = config(
        r#"
        [[registry]]
        prefix = "docker.io"
        mirrors-only = true
        [[registry.mirror]]
        location = "m:1"
        used-for = "digests"
        "#,
    );
    assert_eq!(
        places(&config, "a", Need::Digest),
        ["https m:1 /v2 library/a"]
    );
    assert_eq!(
        places(&config, "a", Need::Tag),
        ["a:latest: access to registry docker.io is blocked by the configuration"]
    );
}

#[test]
fn insecure_hosts_are_named_or_lie_in_networks() {
    let config = config(
        r#"
        insecure = ["one.example.com", "two.example.com:5000", "10.1.0.0/16", "fd00::/8"]
        [host."plain:80"]
        plain-http = true
        [host."localhost:5001"]
        authorities = ["x"]
        [host."localhost:5002"]
        authorities = ["x"]
        insecure = true
        "#,
    );
    let table = [
        ("one.example.com", Security::Insecure),
        ("one.example.com:77", Security::Insecure),
        ("two.example.com:5000", Security::Insecure),
        ("two.example.com", Security::Verified),
        ("10.1.2.3:5000", Security::Insecure),
        ("10.2.2.3:5000", Security::Verified),
        ("[fd12::1]:5000", Security::Insecure),
        ("plain:80", Security::Plain),
        ("localhost:5000", Security::Insecure),
        ("localhost:5001", Security::Verified),
        ("localhost:5002", Security::Insecure),
    ];
    for (host, expected) in table {
        assert_eq!(security(&config, host), expected, "{host}");
    }
}

#[test]
fn bad_settings_are_refused_by_name() {
    let table = [
        ("[[registry]]\nprefix = \"\"", "registry[0].prefix"),
        ("[[registry]]\nprefix = \"*.a.b/c\"", "registry[0].prefix"),
        ("[[registry]]\nprefix = \"a b\"", "registry[0].prefix"),
        (
            "[[registry]]\nprefix = \"a\"\nlocation = \"ftp://a\"",
            "registry[0].location",
        ),
        (
            "[[registry]]\nprefix = \"a\"\n[[registry.mirror]]\nlocation = \"https://u:p@b\"",
            "registry[0].mirror[0].location",
        ),
        (
            "[[registry]]\nprefix = \"a\"\nmirrors-only = true",
            "registry[0].mirrors-only",
        ),
        (
            "[[registry]]\nprefix = \"a\"\n[[registry]]\nprefix = \"a\"",
            "registry[1].prefix",
        ),
        ("insecure = [\"10.0.0.0/33\"]", "insecure"),
        ("insecure = [\"https://a\"]", "insecure"),
        ("[host.\"a/b\"]", "host.\"a/b\""),
        ("[host.a.headers]\n\"a b\" = \"c\"", "host.\"a\".headers"),
    ];
    for (text, place) in table {
        let config: Config = toml::from_str(text).unwrap();
        let error = check(&config).unwrap_err();
        assert_eq!(error.place, place, "{error}");
    }
    assert!(toml::from_str::<Config>("mirror = []").is_err());
}

#[test]
fn networks_hold_their_addresses() {
    let within = |a: &str, n: &str| is_within(a.parse().unwrap(), network(n).unwrap());
    assert!(within("1.2.3.4", "0.0.0.0/0"));
    assert!(within("::1", "::/0"));
    assert!(within("::1", "::1/128"));
    assert!(!within("1.2.3.4", "1.2.3.5/32"));
    assert!(!within("::1", "0.0.0.0/0"));
}
