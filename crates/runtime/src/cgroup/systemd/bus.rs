//! A connection to systemd's manager, over a bus or directly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::message::{Call, Message, Reader, Writer};
use super::value::Property;

/// How long systemd may take to answer, and to finish a job.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why systemd did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody there.
    #[error("cannot connect to {path}: is systemd running?")]
    Connect {
        /// The socket.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The environment does not say where.
    #[error("XDG_RUNTIME_DIR is not set, so there is no way to the user's systemd")]
    NoAddress,
    /// The connection broke, or took too long.
    #[error("cannot talk to systemd")]
    Io(#[from] io::Error),
    /// Not what the protocol says.
    #[error("systemd's answer makes no sense")]
    Malformed,
    /// It said no.
    #[error("{message} ({name})")]
    Refused {
        /// The error's name.
        name: String,
        /// In its words.
        message: String,
    },
    /// A job that did not end well.
    #[error("the job ended as {result:?}")]
    Job {
        /// In its words.
        result: String,
    },
}

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";

/// The connection.
pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Ends of jobs that came while something else was waited for: the job's object and result.
    ended: Vec<(String, String)>,
    until: Instant,
}

impl Bus {
    /// The system's for root, the user's for others, which systemd's own socket stands in for.
    pub(super) fn connect() -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let named = user_bus(environment);
        match whose(&Surroundings::look(named.is_some())) {
            Manager::User(user) => {
                let path = named.ok_or(Failure::NoAddress)?;
                // A bus that is begun for who connects may break instead.
                Self::on_bus(path, user).or_else(|failure| match failure {
                    Failure::Connect { .. } | Failure::Io(_) => {
                        Self::directly(user_manager(environment), user, failure)
                    }
                    other => Err(other),
                })
            }
            Manager::System(user) => {
                let path = environment("DBUS_SYSTEM_BUS_ADDRESS");
                let path = path.as_deref().and_then(socket_of);
                let path = path.unwrap_or_else(|| "/run/dbus/system_bus_socket".into());
                match Self::on_bus(path, user) {
                    Err(refused @ Failure::Connect { .. }) => {
                        Self::directly(Some("/run/systemd/private".into()), user, refused)
                    }
                    other => other,
                }
            }
        }
    }

    /// Without a bus, which has `refused`.
    fn directly(path: Option<PathBuf>, user: u32, refused: Failure) -> Result<Self, Failure> {
        match path {
            Some(path) => Self::open(path, user).map_err(|_| refused),
            None => Err(refused),
        }
    }

    fn on_bus(path: PathBuf, user: u32) -> Result<Self, Failure> {
        let mut bus = Self::open(path, user)?;
        let daemon = |member, signature, body| Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
            signature,
            body,
        };
        bus.call(&daemon("Hello", "", Writer::default()))?;
        let mut rule = Writer::default();
        rule.text(&format!(
            "type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'"
        ));
        bus.call(&daemon("AddMatch", "s", rule))?;
        Ok(bus)
    }

    /// Connects and says who it is (the D-Bus specification, "Authentication Protocol").
    fn open(path: PathBuf, user: u32) -> Result<Self, Failure> {
        let stream = UnixStream::connect(&path).map_err(|source| Failure::Connect {
            path: path.display().to_string(),
            source,
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Self {
            stream: BufReader::new(stream),
            serial: 0,
            ended: Vec::new(),
            until: Instant::now() + PATIENCE,
        };
        let id: String = user
            .to_string()
            .bytes()
            .map(|b| format!("{b:02x}"))
            .collect();
        // The beginning together with the rest: systemd, which is its own bus then, would let a first
        // message lie that comes in the same read(2) as a BEGIN of its own.
        bus.send(format!("\0AUTH EXTERNAL {id}\r\nBEGIN\r\n").as_bytes())?;
        let mut answer = String::new();
        // A line is short; who sends an endless one is not systemd.
        (&mut bus.stream).take(4096).read_line(&mut answer)?;
        if !answer.starts_with("OK ") {
            return Err(Failure::Malformed);
        }
        Ok(bus)
    }

    /// systemd's version, the first number of it.
    pub(super) fn version(&mut self) -> Result<u32, Failure> {
        let text = self.property(OBJECT, MANAGER, "Version")?;
        let digits: String = text
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().map_err(|_| Failure::Malformed)
    }

    /// Makes a unit and waits until it has started.
    pub(super) fn start_transient(
        &mut self,
        unit: &str,
        properties: &[Property],
    ) -> Result<(), Failure> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("replace");
        body.properties(properties);
        // No auxiliary units.
        body.array(8, |_| {});
        let job = self.manage("StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
        self.finish(&job)
    }

    /// Stops a unit and waits until it has stopped.
    pub(super) fn stop(&mut self, unit: &str) -> Result<(), Failure> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("replace");
        let job = self.manage("StopUnit", "ss", body)?;
        self.finish(&job)
    }

    /// Calls a method whose one argument is the unit.
    pub(super) fn on_unit(&mut self, member: &str, unit: &str) -> Result<Message, Failure> {
        let mut body = Writer::default();
        body.text(unit);
        self.manage(member, "s", body)
    }

    /// Changes properties of a unit until it ends.
    pub(super) fn set_properties(
        &mut self,
        unit: &str,
        properties: &[Property],
    ) -> Result<(), Failure> {
        let mut body = Writer::default();
        body.text(unit);
        body.u32(1);
        body.properties(properties);
        self.manage("SetUnitProperties", "sba(sv)", body).map(drop)
    }

    /// The path of a unit's cgroup.
    pub(super) fn control_group(&mut self, unit: &str) -> Result<String, Failure> {
        let found = self.on_unit("GetUnit", unit)?;
        let object = first_text(&found)?;
        let interface = match unit.ends_with(".slice") {
            true => "org.freedesktop.systemd1.Slice",
            false => "org.freedesktop.systemd1.Scope",
        };
        self.property(&object, interface, "ControlGroup")
    }

    fn property(&mut self, object: &str, interface: &str, name: &str) -> Result<String, Failure> {
        let mut body = Writer::default();
        body.text(interface);
        body.text(name);
        let answer = self.call(&Call {
            destination: SYSTEMD,
            path: object,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
            body,
        })?;
        let mut from = Reader {
            bytes: &answer.body,
            at: 0,
        };
        match from.signature() {
            Some("s") => from.text().map(str::to_owned).ok_or(Failure::Malformed),
            _ => Err(Failure::Malformed),
        }
    }

    fn manage(&mut self, member: &str, signature: &str, body: Writer) -> Result<Message, Failure> {
        self.call(&Call {
            destination: SYSTEMD,
            path: OBJECT,
            interface: MANAGER,
            member,
            signature,
            body,
        })
    }

    /// Sends a call and waits for its answer.
    fn call(&mut self, call: &Call<'_>) -> Result<Message, Failure> {
        self.serial += 1;
        let serial = self.serial;
        self.until = Instant::now() + PATIENCE;
        self.send(&call.bytes(serial))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                Message::REPLY if message.reply_to == serial => return Ok(message),
                Message::ERROR if message.reply_to == serial => {
                    return Err(Failure::Refused {
                        message: first_text(&message).unwrap_or_default(),
                        name: message.error,
                    });
                }
                _ => self.note(&message),
            }
        }
    }

    /// Waits for the end of the job that a call has begun.
    fn finish(&mut self, begun: &Message) -> Result<(), Failure> {
        let job = first_text(begun)?;
        self.until = Instant::now() + PATIENCE;
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(ended, _)| *ended == job) {
                return match result.as_str() {
                    "done" => Ok(()),
                    result => Err(Failure::Job {
                        result: result.to_owned(),
                    }),
                };
            }
            let message = self.receive()?;
            self.note(&message);
        }
    }

    /// Keeps what a signal tells of a job: its number, object, unit and result.
    fn note(&mut self, message: &Message) {
        if message.kind != Message::SIGNAL || message.member != "JobRemoved" {
            return;
        }
        let mut from = Reader {
            bytes: &message.body,
            at: 0,
        };
        let parts = (from.u32(), from.text(), from.text(), from.text());
        if let (Some(_), Some(job), Some(_), Some(result)) = parts {
            self.ended.push((job.to_owned(), result.to_owned()));
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// The next message. Not endlessly: a busy bus has something to say all the time.
    fn receive(&mut self) -> Result<Message, Failure> {
        if Instant::now() >= self.until {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        let mut fixed = [0; 16];
        self.stream.read_exact(&mut fixed)?;
        let (fields, body) = Message::lengths(&fixed).ok_or(Failure::Malformed)?;
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        self.stream.read_exact(&mut rest)?;
        Message::parse(&fixed, &rest).ok_or(Failure::Malformed)
    }
}

fn first_text(message: &Message) -> Result<String, Failure> {
    let mut from = Reader {
        bytes: &message.body,
        at: 0,
    };
    from.text().map(str::to_owned).ok_or(Failure::Malformed)
}

/// Which systemd is asked, and by which user.
#[derive(Debug, PartialEq, Eq)]
enum Manager {
    System(u32),
    User(u32),
}

/// What decides that.
struct Surroundings {
    user: u32,
    /// Who `user` is outside of the user namespace.
    outer: u32,
    /// Whose the system's systemd is, as seen in this user namespace; none that is not there.
    system: Option<u32>,
    /// Whether the environment names a user's bus.
    named: bool,
}

impl Surroundings {
    fn look(named: bool) -> Self {
        let user = sys::process::user();
        let map = sys::fd::open_read(Path::new("/proc/self/uid_map"))
            .and_then(|file| sys::fd::read_to_end(file, 4096));
        let outer = map
            .ok()
            .and_then(|map| outside(&String::from_utf8_lossy(&map), user));
        Self {
            user,
            outer: outer.unwrap_or(user),
            system: std::fs::metadata(BOOTED).ok().map(|found| found.uid()),
            named,
        }
    }
}

/// There where systemd runs the machine (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// Root of a user namespace is root of a machine where the systemd that runs it belongs to root as
/// well (LXC). It is a user in disguise where that belongs to somebody outside: so is a maker without
/// rights ([`crate::nest`]), and that user is known outside by another id.
fn whose(at: &Surroundings) -> Manager {
    match (at.user, at.outer, at.system) {
        (0, 0, _) | (0, _, Some(0)) => Manager::System(0),
        (0, outer, None) if !at.named => Manager::System(outer),
        (0, outer, _) => Manager::User(outer),
        (user, ..) => Manager::User(user),
    }
}

/// The id by a map as /proc/PID/uid_map has it (user_namespaces(7)).
fn outside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let fields: Vec<u32> = line
            .split_ascii_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        let [inner, outer, length] = fields[..] else {
            return None;
        };
        let place = id.checked_sub(inner).filter(|place| *place < length)?;
        outer.checked_add(place)
    })
}

/// The socket at which a user's systemd listens itself.
fn user_manager(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let dir = environment("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())?;
    Some(PathBuf::from(dir).join("systemd/private"))
}

/// Where a user's bus is (the D-Bus specification, "Well-known Message Bus Instances").
fn user_bus(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let address = environment("DBUS_SESSION_BUS_ADDRESS");
    address.as_deref().and_then(socket_of).or_else(|| {
        let dir = environment("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())?;
        Some(PathBuf::from(dir).join("bus"))
    })
}

/// The socket of the first address that has one: `unix:path=/run/user/1000/bus,guid=...;...`
fn socket_of(addresses: &str) -> Option<PathBuf> {
    let path = |address: &str| {
        let options = address.strip_prefix("unix:")?;
        let path = options.split(',').find_map(|o| o.strip_prefix("path="))?;
        Some(PathBuf::from(path))
    };
    addresses.split(';').find_map(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_outside() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(outside(map, 0), Some(1000));
        assert_eq!(outside(map, 65536), Some(165_535));
        assert_eq!(outside(map, 65537), None);
        assert_eq!(outside("0 0 4294967295\n", 5), Some(5));
    }

    #[test]
    fn root_of_a_machine_asks_the_systems() {
        let ask = |user, outer, system, named| {
            whose(&Surroundings {
                user,
                outer,
                system,
                named,
            })
        };
        assert_eq!(ask(0, 0, Some(0), true), Manager::System(0));
        assert_eq!(ask(0, 0, None, true), Manager::System(0));
        assert_eq!(ask(7, 7, Some(0), true), Manager::User(7));
        // In LXC. Whoever logs in there has a bus of the user's, root too.
        assert_eq!(ask(0, 100_000, Some(0), false), Manager::System(0));
        assert_eq!(ask(0, 100_000, Some(0), true), Manager::System(0));
        assert_eq!(ask(7, 100_007, Some(0), true), Manager::User(7));
        // A maker that is nested, and a user's daemon in a namespace of its own.
        assert_eq!(ask(0, 7, Some(65_534), true), Manager::User(7));
        assert_eq!(ask(0, 7, Some(65_534), false), Manager::User(7));
        // A container that was given somebody's bus.
        assert_eq!(ask(0, 7, None, true), Manager::User(7));
        assert_eq!(ask(0, 7, None, false), Manager::System(7));
    }

    #[test]
    fn the_users_bus_is_found() {
        let find = |session: &str, dir: &str| {
            user_bus(|name| match name {
                "XDG_RUNTIME_DIR" => Some(dir.to_owned()),
                _ => Some(session.to_owned()),
            })
        };
        let path = |text: &str| Some(PathBuf::from(text));
        let address = "tcp:host=x;unix:path=/a/bus,guid=1";
        assert_eq!(find(address, "/run/user/5"), path("/a/bus"));
        assert_eq!(find("", "/run/user/5"), path("/run/user/5/bus"));
        assert_eq!(find("unix:abstract=x", ""), None);
    }
}
