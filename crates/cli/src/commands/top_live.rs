//! `top` without a container: a screen of all of them, with a log and actions a key away.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::client::{ListQuery, LogsQuery, StopQuery};
use api::stream::Decoder;
use api::wire::{ContainerStats, ContainerSummary};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Context;
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print::live::{Line, Pane, Screen};
use crate::print::{self, stats};
use crate::terminal::{self, Raw};

/// From one look to the next.
const ROUND: Duration = Duration::from_secs(1);
/// Lines of a log that are asked for.
const TAIL: &str = "60";

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Something has come.
enum News {
    Key(u8),
    Look(Vec<ContainerSummary>, HashMap<String, ContainerStats>),
    Log(String, Vec<String>),
    Done(String),
}

/// The terminal while it is ours.
struct Borrowed(Option<Raw>);

impl Borrowed {
    fn take() -> Result<Self, CliError> {
        let raw = Raw::enter().map_err(|source| CliError::Io {
            what: "make the terminal raw",
            source,
        })?;
        print::out(ENTER)?;
        Ok(Self(Some(raw)))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Whoever has closed the terminal sees nothing of it.
        let _ = print::out(LEAVE);
        self.0.take();
    }
}

pub(super) async fn run(context: Context) -> Result<u8, CliError> {
    if !terminal::stdin_is_terminal() || !std::io::stdout().is_terminal() {
        return Err(CliError::Invalid(
            "top without a container needs a terminal: name one, or use stats".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let daemon = Arc::new(context.daemon);
    let (send, mut news) = mpsc::unbounded_channel();
    // A look at once tells who is there before any of them has been measured.
    list(&daemon, &send).await?;
    let _borrowed = Borrowed::take()?;
    keys(send.clone());
    let looking = tokio::spawn(look_on(daemon.clone(), send.clone()));
    let mut view = View {
        daemon,
        send,
        screen: Screen::default(),
        before: HashMap::new(),
        escape: 0,
    };
    while let Some(news) = news.recv().await {
        if !view.take(news) {
            break;
        }
        draw(&view.screen)?;
    }
    looking.abort();
    Ok(0)
}

/// Keys, from a thread that ends with the program.
fn keys(send: mpsc::UnboundedSender<News>) {
    std::thread::spawn(move || {
        let mut key = [0];
        while let Ok(1) = std::io::stdin().read(&mut key) {
            if send.send(News::Key(key[0])).is_err() {
                return;
            }
        }
    });
}

async fn list(
    daemon: &Daemon,
    send: &mpsc::UnboundedSender<News>,
) -> Result<Vec<ContainerSummary>, CliError> {
    let query = ListQuery {
        all: true,
        ..ListQuery::default()
    };
    let found = daemon.client.container_list(&query).await?;
    let _ = send.send(News::Look(found.clone(), HashMap::new()));
    Ok(found)
}

/// Looks at all that run, again and again.
async fn look_on(daemon: Arc<Daemon>, send: mpsc::UnboundedSender<News>) {
    let query = ListQuery {
        all: true,
        ..ListQuery::default()
    };
    loop {
        let next = tokio::time::Instant::now() + ROUND;
        let found = match daemon.client.container_list(&query).await {
            Ok(found) => found,
            Err(error) => {
                let _ = send.send(News::Done(CliError::from(error).to_string()));
                tokio::time::sleep_until(next).await;
                continue;
            }
        };
        let mut tasks = JoinSet::new();
        for container in found.iter().filter(|one| one.state == "running") {
            let (daemon, id) = (daemon.clone(), container.id.clone());
            tasks.spawn(async move { (daemon.client.container_stats(&id).await, id) });
        }
        let mut looks = HashMap::new();
        while let Some(done) = tasks.join_next().await {
            // One that was listed may be gone.
            if let Ok((Ok(stats), id)) = done {
                looks.insert(id, stats);
            }
        }
        if send.send(News::Look(found, looks)).is_err() {
            return;
        }
        tokio::time::sleep_until(next).await;
    }
}

fn draw(screen: &Screen) -> Result<(), CliError> {
    let (rows, columns) = terminal::window().unwrap_or((24, 80));
    let lines = screen.draw(rows.into(), columns.into());
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
    let mut stdout = std::io::stdout().lock();
    let text = format!("\x1b[H{}", lines.join("\r\n"));
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|source| CliError::Io {
        what: "write to standard output",
        source,
    })
}

struct View {
    daemon: Arc<Daemon>,
    send: mpsc::UnboundedSender<News>,
    screen: Screen,
    /// Bytes of networks at the last look, and when that was.
    before: HashMap<String, (u64, Instant)>,
    /// How much of an arrow key has come.
    escape: u8,
}

impl View {
    /// Whether it goes on.
    fn take(&mut self, news: News) -> bool {
        match news {
            News::Key(key) => return self.key(key),
            News::Look(found, looks) => self.look(&found, &looks),
            News::Log(name, lines) => self.screen.pane = Pane::Log(name, lines),
            News::Done(text) => self.screen.notice = text,
        }
        true
    }

    fn look(&mut self, found: &[ContainerSummary], looks: &HashMap<String, ContainerStats>) {
        let mut old: HashMap<String, Line> = std::mem::take(&mut self.screen.lines)
            .into_iter()
            .map(|line| (line.id.clone(), line))
            .collect();
        for container in found {
            let mut line = old.remove(&container.id).unwrap_or_default();
            line.id.clone_from(&container.id);
            let name = container.names.first().map_or("", String::as_str);
            name.trim_start_matches('/').clone_into(&mut line.name);
            line.state.clone_from(&container.state);
            line.status.clone_from(&container.status);
            match looks.get(&container.id) {
                Some(stats) => self.measure(&mut line, stats),
                None if container.state != "running" => {
                    line.used = 0;
                    line.processes = 0;
                    line.cpu.clear();
                    line.memory.clear();
                    line.network.clear();
                }
                None => {}
            }
            self.screen.lines.push(line);
        }
        let last = self.screen.lines.len().saturating_sub(1);
        self.screen.chosen = self.screen.chosen.min(last);
        if let Pane::Log(name, _) = &self.screen.pane {
            self.log(name.clone());
        }
    }

    fn measure(&mut self, line: &mut Line, stats: &ContainerStats) {
        let now = Instant::now();
        let look = stats::measured(stats);
        Line::add(&mut line.cpu, look.cpu);
        Line::add(&mut line.memory, look.share);
        line.used = look.used;
        line.processes = look.processes;
        line.traffic = (look.received, look.sent);
        let all = look.received + look.sent;
        if let Some((bytes, at)) = self.before.insert(line.id.clone(), (all, now)) {
            let seconds = now.duration_since(at).as_secs_f64().max(0.1);
            #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
            let rate = all.saturating_sub(bytes) as f64 / seconds;
            Line::add(&mut line.network, rate);
        }
    }

    fn key(&mut self, key: u8) -> bool {
        let last = self.screen.lines.len().saturating_sub(1);
        match (self.escape, key) {
            (0, 0x1b) => self.escape = 1,
            (1, b'[' | b'O') => self.escape = 2,
            (2, key) => {
                self.escape = 0;
                match key {
                    b'A' => self.screen.chosen = self.screen.chosen.saturating_sub(1),
                    b'B' => self.screen.chosen = (self.screen.chosen + 1).min(last),
                    _ => {}
                }
            }
            (_, b'q' | 0x03 | 0x04) => return false,
            (_, b'l') => match &self.screen.pane {
                Pane::Log(..) => self.screen.pane = Pane::None,
                Pane::None => {
                    if let Some(line) = self.screen.lines.get(self.screen.chosen) {
                        self.log(line.name.clone());
                    }
                }
            },
            (_, key @ (b's' | b'r' | b'p' | b'k')) => {
                self.escape = 0;
                self.act(key);
            }
            _ => self.escape = 0,
        }
        true
    }

    /// Asks for the end of a log.
    fn log(&self, name: String) {
        let (daemon, send) = (self.daemon.clone(), self.send.clone());
        tokio::spawn(async move {
            let news = match tail(&daemon, &name).await {
                Ok(lines) => News::Log(name, lines),
                Err(error) => News::Done(error.to_string()),
            };
            let _ = send.send(news);
        });
    }

    /// Does something to the chosen container.
    fn act(&mut self, key: u8) {
        let Some(line) = self.screen.lines.get(self.screen.chosen).cloned() else {
            return;
        };
        let (daemon, send) = (self.daemon.clone(), self.send.clone());
        self.screen.notice = format!("{} ...", line.name);
        tokio::spawn(async move {
            let client = &daemon.client;
            let stop = StopQuery::default();
            let (what, done) = match (key, line.state.as_str()) {
                (b's', "running" | "paused") => {
                    ("stopped", client.container_stop(&line.id, &stop).await)
                }
                (b's', _) => ("started", client.container_start(&line.id, None).await),
                (b'r', _) => ("restarted", client.container_restart(&line.id, &stop).await),
                (b'p', "paused") => ("goes on", client.container_unpause(&line.id).await),
                (b'p', _) => ("paused", client.container_pause(&line.id).await),
                _ => ("killed", client.container_kill(&line.id, None).await),
            };
            let text = match done {
                Ok(()) => format!("{} {what}", line.name),
                Err(error) => CliError::from(error).to_string(),
            };
            let _ = send.send(News::Done(text));
        });
    }
}

/// The last lines of a log.
async fn tail(daemon: &Daemon, name: &str) -> Result<Vec<String>, CliError> {
    let query = LogsQuery {
        stdout: true,
        stderr: true,
        tail: Some(TAIL.to_owned()),
        ..LogsQuery::default()
    };
    let mut log = daemon.client.container_logs(name, &query).await?;
    let framed = log.content_type != api::stream::RAW;
    let mut bytes = Vec::new();
    while let Some(piece) = log.chunks.next().await? {
        bytes.extend_from_slice(&piece);
    }
    if framed {
        bytes = unframed(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

fn unframed(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let mut plain = Vec::new();
    while let Ok(Some(frame)) = decoder.next() {
        plain.extend_from_slice(&frame.bytes);
    }
    plain
}
