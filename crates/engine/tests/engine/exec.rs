//! Exec sessions in a running container.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use crate::common::{House, PATIENCE, can_run, rest, spec, within};
use engine::container;
use engine::exec::{self, Client, Request, State};
use types::ErrorKind;

fn request(command: &[&str]) -> Request {
    Request {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        attach: [true, true, true],
        tty: false,
        ..Request::default()
    }
}

/// Runs to the end and returns exit code and output, the frames taken off.
async fn run(house: &House, request: Request, input: &[u8]) -> (i32, String) {
    let id = exec::create(&house.engine, "home", request).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let engine = house.engine.clone();
    let name = id.to_string();
    let client = Client {
        stream: theirs,
        early: Vec::new(),
        framed: true,
    };
    let start = move || exec::start(&engine, &name, [0, 0], Some(client));
    tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    ours.write_all(input).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let framed = rest(ours);
    let engine = house.engine.clone();
    let view = move || exec::inspect(&engine, id.as_str()).unwrap();
    let view = tokio::task::spawn_blocking(view).await.unwrap();
    let State::Exited(code) = view.state else {
        panic!("{:?}", view.state);
    };
    (code, unframed(framed.as_bytes()))
}

fn unframed(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while let [_, _, _, _, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        text.push_str(std::str::from_utf8(&rest[..length]).unwrap());
        bytes = &rest[length..];
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_their_code() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.run("home", spec(&["sleep", "1000"])).await;
    let plain = run(
        &house,
        request(&["sh", "-c", "id -u; cat; exit 4"]),
        b"in\n",
    )
    .await;
    assert_eq!(plain, (4, "0\nin\n".to_owned()));
    let as_www = Request {
        user: Some("www".into()),
        working_dir: Some("/home".into()),
        env: vec!["X=y".into()],
        ..request(&["sh", "-c", "id -un; pwd; echo $X"])
    };
    assert_eq!(
        run(&house, as_www, b"").await,
        (0, "www\n/home\ny\n".to_owned())
    );
    for (command, code, kind) in [
        ("nosuch", 127, ErrorKind::CommandNotFound),
        ("/bin/plain", 126, ErrorKind::NotExecutable),
    ] {
        let session = exec::create(&house.engine, "home", request(&[command])).unwrap();
        let engine = house.engine.clone();
        let name = session.to_string();
        let answer =
            tokio::task::spawn_blocking(move || exec::start(&engine, &name, [0, 0], None)).await;
        let error = answer.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.chain());
        let view = exec::inspect(&house.engine, session.as_str()).unwrap();
        assert_eq!(view.state, State::Exited(code));
    }
    let session = exec::create(&house.engine, "home", request(&["sleep", "1000"])).unwrap();
    let engine = house.engine.clone();
    let name = session.to_string();
    let twice = move || {
        exec::start(&engine, &name, [0, 0], None).unwrap();
        exec::start(&engine, &name, [0, 0], None).unwrap_err()
    };
    let error = tokio::task::spawn_blocking(twice).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(house.inspect("home").execs.contains(&session));
    within(container::kill(&house.engine, "home", None))
        .await
        .unwrap();
    let view = exec::inspect(&house.engine, session.as_str()).unwrap();
    assert_eq!(view.state, State::Exited(137));
    let error = exec::create(&house.engine, "home", request(&["true"])).unwrap_err();
    assert_eq!(
        (error.kind(), error.chain()),
        (
            ErrorKind::Conflict,
            format!("container {id} is not running")
        )
    );
    house.finish().await;
}
