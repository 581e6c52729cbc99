//! A server that answers what a test says: for protocols out of joint, and in front of a real registry.

use std::fmt;
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::http::{Reply, Request};

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server of a test's own on a loopback port; it ends when this is dropped.
pub struct Server {
    address: String,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    ended: AtomicBool,
    requests: Mutex<Vec<Request>>,
    open: Mutex<Vec<TcpStream>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts one that answers with what `handler` returns, each connection in a thread of its own.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            ended: AtomicBool::new(false),
            requests: Mutex::default(),
            open: Mutex::default(),
        });
        let own = shared.clone();
        let acceptor = thread::spawn(move || accept(&listener, &own));
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every request so far, in the order in which they were whole.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }

    /// The same as lines, `GET /v2/`.
    pub fn lines(&self) -> Vec<String> {
        let line = |r: &Request| format!("{} {}", r.method, r.target);
        self.requests().iter().map(line).collect()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut workers = Vec::new();
    for stream in listener.incoming().filter_map(Result::ok) {
        if shared.ended.load(Ordering::SeqCst) {
            break;
        }
        locked(&shared.open).extend(stream.try_clone());
        let own = shared.clone();
        workers.push(thread::spawn(move || serve(stream, &own)));
    }
    for worker in workers {
        let _ = worker.join();
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let Ok(clone) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(clone);
    let mut stream = stream;
    if let Some(request) = Request::read(&mut reader) {
        locked(&shared.requests).push(request.clone());
        let reply = (shared.handler)(&request);
        let _ = reply.write(&mut stream, request.method == "HEAD");
    }
    let _ = stream.flush();
    let _ = stream.shutdown(Shutdown::Both);
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor.
        let _ = TcpStream::connect(&self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// What the server at `upstream` (`127.0.0.1:port`, plain http) answers to the same request.
pub fn forward(upstream: &str, request: &Request) -> Reply {
    let gone = || Reply::new(502, "the server behind did not answer");
    let Ok(mut stream) = TcpStream::connect(upstream) else {
        return gone();
    };
    let mut head = format!(
        "{} {} HTTP/1.1\r\nConnection: close\r\n",
        request.method, request.target
    );
    for (name, value) in &request.headers {
        if !matches!(
            name.as_str(),
            "connection" | "transfer-encoding" | "content-length"
        ) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    head += &format!("content-length: {}\r\n\r\n", request.body.len());
    let sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&request.body));
    let reply = sent
        .ok()
        .and_then(|()| Reply::read(stream, request.method == "HEAD"));
    reply.unwrap_or_else(gone)
}
