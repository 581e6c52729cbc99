//! Instructions and what they come to.

use super::*;

fn config(changes: &[&str]) -> String {
    let mut config = RunConfig::default();
    for change in changes {
        apply(&mut config, change).unwrap();
    }
    serde_json::to_string(&config).unwrap()
}

fn refused(change: &str) -> String {
    apply(&mut RunConfig::default(), change)
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
        let _ = apply(&mut RunConfig::default(), &format!("{name} {text}"));
    }
}
