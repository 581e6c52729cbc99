//! Instructions and what they come to.

use super::*;

fn owned(changes: &[&str]) -> Vec<String> {
    changes.iter().map(|change| (*change).to_owned()).collect()
}

fn config(changes: &[&str]) -> String {
    let mut config = RunConfig::default();
    apply(&mut config, &owned(changes)).unwrap();
    serde_json::to_string(&config).unwrap()
}

fn refused(change: &str) -> String {
    apply(&mut RunConfig::default(), &owned(&[change]))
        .unwrap_err()
        .to_string()
}

#[test]
fn every_instruction_as_docker_writes_it() {
    let text = config(&[
        "CMD [\"nginx\", \"-g\", \"daemon off;\"]",
        "entrypoint exec /bin/start $0",
        "ENV PATH=/usr/bin:/bin LANG=\"C.UTF-8\" GREETING='a  $b'",
        "ENV PATH $PATH:/opt/bin",
        "EXPOSE 80 443/tcp 5000-5002/udp",
        "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f http://localhost/",
        "LABEL org.example.title=\"A \\\"title\\\"\" version=${LANG}",
        "ONBUILD RUN make",
        "STOPSIGNAL SIGQUIT",
        "USER ${NOBODY:-nobody}:nogroup",
        "VOLUME /data /var/log",
        "VOLUME [\"/with space\"]",
        "WORKDIR /srv",
        "WORKDIR ../opt/./app",
    ]);
    let expected = concat!(
        r#"{"User":"nobody:nogroup","#,
        r#""ExposedPorts":{"443/tcp":{},"5000/udp":{},"5001/udp":{},"5002/udp":{},"80/tcp":{}},"#,
        r#""Env":["PATH=/usr/bin:/bin:/opt/bin","LANG=C.UTF-8","GREETING=a  $b"],"#,
        r#""Entrypoint":["/bin/sh","-c","exec /bin/start $0"],"#,
        r#""Cmd":["nginx","-g","daemon off;"],"#,
        r#""Healthcheck":{"Test":["CMD-SHELL","curl -f http://localhost/"],"#,
        r#""Interval":90000000000,"Timeout":500000000,"Retries":3},"#,
        r#""Volumes":{"/data":{},"/var/log":{},"/with space":{}},"#,
        r#""WorkingDir":"/opt/app","OnBuild":["RUN make"],"#,
        r#""Labels":{"org.example.title":"A \"title\"","version":"C.UTF-8"},"#,
        r#""StopSignal":"SIGQUIT"}"#,
    );
    assert_eq!(text, expected);
}

#[test]
fn lines_are_those_of_a_dockerfile() {
    let text = "# what it runs\nENV A=1 \\\n  # and\n  B=2\n\n  USER www\n";
    assert_eq!(
        config(&[text, "LABEL x=\\", "y"]),
        r#"{"User":"www","Env":["A=1","B=2"],"Labels":{"x":"y"}}"#
    );
}

#[test]
fn an_entry_point_drops_the_command_of_the_old_one() {
    let run = |changes: &[&str]| {
        let mut config = RunConfig {
            cmd: Some(owned(&["old"])),
            ..RunConfig::default()
        };
        apply(&mut config, &owned(changes)).unwrap();
        serde_json::to_string(&config).unwrap()
    };
    let new = r#"["new"]"#;
    assert_eq!(
        run(&[&format!("ENTRYPOINT {new}")]),
        format!("{{\"Entrypoint\":{new}}}")
    );
    assert_eq!(
        run(&["CMD [\"a\"]", &format!("ENTRYPOINT {new}")]),
        format!("{{\"Entrypoint\":{new},\"Cmd\":[\"a\"]}}")
    );
}

#[test]
fn what_is_left_open_is_the_containers() {
    let container = RunConfig {
        user: "www".to_owned(),
        env: owned(&["A=1", "B=2"]),
        cmd: Some(owned(&["serve"])),
        entrypoint: Some(owned(&["init"])),
        labels: [("a".to_owned(), "1".to_owned())].into(),
        ..RunConfig::default()
    };
    let complete = |text: &str| {
        let mut config: RunConfig = serde_json::from_str(text).unwrap();
        config.complete(&container);
        serde_json::to_string(&config).unwrap()
    };
    assert_eq!(complete("{}"), serde_json::to_string(&container).unwrap());
    assert_eq!(
        complete(
            r#"{"User":"me","Env":["B=3"],"Cmd":["x"],"Labels":{"a":"2","b":"3"},"Volumes":null}"#
        ),
        concat!(
            r#"{"User":"me","Env":["B=3","A=1"],"Entrypoint":["init"],"Cmd":["x"],"#,
            r#""Labels":{"a":"2","b":"3"}}"#
        )
    );
    // An entry point has no command but its own; and an empty one removes it.
    assert!(!complete(r#"{"Entrypoint":["x"]}"#).contains("Cmd"));
    assert!(!complete(r#"{"Entrypoint":[]}"#).contains("Entrypoint"));
}

#[test]
fn refusals_name_the_instruction() {
    assert_eq!(
        refused("RUN make"),
        "invalid change \"RUN make\": \"RUN\" is not one of CMD, ENTRYPOINT, ENV, EXPOSE, \
         HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"
    );
    let table = [
        "ENV",
        "ENV x",
        "ENV a=b c",
        "ENV a='b",
        "EXPOSE 80/xyz",
        "EXPOSE 99999",
        "EXPOSE 90-80",
        "EXPOSE 127.0.0.1:80:80",
        "STOPSIGNAL SIGWHAT",
        "HEALTHCHECK --interval=soon CMD x",
        "HEALTHCHECK --often CMD x",
        "HEALTHCHECK RUN x",
        "ONBUILD FROM x",
        "USER ${X:?no}",
        "USER ${X",
        "",
    ];
    for change in table {
        let text = refused(change);
        assert!(
            text.starts_with(&format!("invalid change {change:?}: ")),
            "{text}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken_or_refused(
        name in "(CMD|ENV|EXPOSE|HEALTHCHECK|LABEL|ONBUILD|USER|VOLUME|WORKDIR|STOPSIGNAL)",
        text in r#"[ -~é\\"'${}:=\[\]-]{0,40}"#,
    ) {
        let _ = apply(&mut RunConfig::default(), &[format!("{name} {text}")]);
    }
}
