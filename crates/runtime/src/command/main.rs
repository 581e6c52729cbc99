//! `brig-runtime`: an OCI runtime with runc's command line, for containerd, podman, CRI-O, and for
//! people. Everything it does with containers is the library's; here are the words, the state
//! directory, and the streams of a container in the foreground.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the edge: this is a command"
)]

mod console;
mod failure;
mod foreground;
mod global;
mod help;
mod listen;
mod log;
mod notify;
mod state_file;
mod time;
mod verbs;
mod words;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use sys::ahead::NetworkAhead;
use sys::aside::Aside;
use sys::process::Strings;

use failure::{Doing, Failure};
use global::Global;
use log::Log;
use words::{Read, Verb, Words};

/// Programs this short-lived are mostly their allocator: musl's gives every other page back to the
/// kernel at once and asks for it again, which is a third of their system calls.
#[global_allocator]
static ALLOCATOR: sys::allocator::Allocator = sys::allocator::Allocator::new();

// `run` and `create` have to begin with a network namespace before that, and do it themselves.
sys::seal_before_main!(c"exec");

/// What a verb answers: its exit code.
type Outcome = Result<u8, Failure>;

/// What verbs that enter a container use of it, mostly to read configurations.
const STACK: usize = 60 << 10;

fn main() -> ! {
    sys::memory::populate_stack(STACK);
    // Of every verb: what is done before `main` goes by words, which names of containers may be, too.
    let seal = sys::exe::passed_on().and_then(|seal| Aside::put(seal).ok());
    *SEAL.lock().unwrap_or_else(PoisonError::into_inner) = seal;
    let code = exit_code();
    let _ = std::io::Write::flush(&mut std::io::stdout());
    // What else there is to tidy up goes with the process, at less cost.
    sys::process::exit_now(code.into())
}

fn exit_code() -> u8 {
    let mut log = Log::default();
    match run(&mut log) {
        Ok(code) => code,
        Err(failure) => {
            match &failure {
                // On standard error it is the command's own word, not this program's.
                Failure::Command(error) if log.file.is_none() => eprintln!("{error}"),
                _ => log.error(&failure.chain()),
            }
            failure.exit_code()
        }
    }
}

fn run(log: &mut Log) -> Outcome {
    let typed = std::env::args_os().skip(1);
    let Read::Words(words) = words::read(global::FLAGS, false, typed)? else {
        return say(&help::program());
    };
    if words.has("version") {
        return say(&version());
    }
    *log = Global::log(&words)?;
    let mut rest = words.arguments.iter().cloned();
    match rest.next() {
        None => say(&help::program()),
        Some(name) => verb(&name, rest.collect(), &words, log),
    }
}

/// Reads the words of a verb, and does what they say.
fn verb(name: &OsString, typed: Vec<OsString>, globals: &Words, log: &mut Log) -> Outcome {
    if matches!(name.to_str(), Some("help" | "h")) {
        return match typed.first() {
            None => say(&help::program()),
            Some(name) => say(&help::verb(find(name)?)),
        };
    }
    let verb = find(name)?;
    let Read::Words(words) = words::read(verb.flags, verb.interleaved, typed)? else {
        return say(&help::verb(verb));
    };
    check_arguments(verb, words.arguments.len())?;
    if verb.enters {
        let nested = verbs::nest(verb, &words)?;
        execute_sealed(log, nested, || Handed::over(verb, &words))?;
    }
    log.take_warnings();
    let global = Global::new(globals, std::mem::take(log))?;
    let outcome = (verb.run)(&global, &words);
    *log = global.log;
    outcome
}

fn find(name: &OsString) -> Result<&'static Verb, Failure> {
    let found = verbs::ALL.iter().find(|verb| *name == verb.name);
    found
        .copied()
        .ok_or_else(|| Failure::NoVerb(name.to_string_lossy().into_owned()))
}

fn check_arguments(verb: &Verb, given: usize) -> Result<(), Failure> {
    let (least, most) = verb.arguments;
    let wanted = match (least, most) {
        (least, most) if (least..=most).contains(&given) => return Ok(()),
        (least, most) if least == most => format!("exactly {least}"),
        (least, _) if given < least => format!("a minimum of {least}"),
        (_, most) => format!("a maximum of {most}"),
    };
    let name = verb.name;
    Err(Failure::Usage(format!(
        "\"{name}\" requires {wanted} argument(s): {}; see brig-runtime {name} --help",
        if verb.usage.is_empty() {
            "none"
        } else {
            verb.usage
        }
    )))
}

/// In the form that callers of `runc --version` look for.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let spec = runtime::SPEC_VERSION;
    format!("brig-runtime in place of runc version {version}\ncommit: {version}\nspec: {spec}\n")
}

fn say(text: &str) -> Outcome {
    print!("{text}");
    Ok(0)
}

/// Argument 0 of this program where it was executed in the user namespace of a container.
const NESTED: &str = "brig-runtime (nested)";

/// Whether this program has entered the user namespace of the container that it is to make.
pub(crate) fn is_nested() -> bool {
    let marked = std::env::args_os()
        .next()
        .is_some_and(|name| name == NESTED);
    // Nobody's word alone has a container go without a user namespace of its own.
    marked && runtime::Rootless::Auto.holds()
}

/// Executes this program once more, through a read-only mount, unless it was already: a copy of it
/// will be seen inside the container, and must not be writable from there (`sys::exe`). And where it
/// has entered a user namespace, to which it belongs only then (`nested`). What takes long is begun
/// with before.
fn execute_sealed(log: &Log, nested: bool, handed: impl FnOnce() -> Handed) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let action = "execute a sealed copy of this program";
    if !nested && sys::exe::is_sealed().doing(action)? {
        // The words that tests made for runc look for.
        log.debug("runc exeseal: using /proc/self/exe clone, sealed");
        log.debug(
            "instead of \"runc exeseal: using overlayfs for sealed /proc/self/exe\": \
             a read-only mount that is attached nowhere",
        );
        return Ok(());
    }
    let mut args: Vec<_> = std::env::args_os().collect();
    if let (true, Some(name)) = (nested, args.first_mut()) {
        *name = NESTED.into();
    }
    let mut env = environment(nested);
    let execute = || -> sys::Result<()> {
        let arguments = Strings::new(args.iter().map(|arg| arg.as_bytes()))?;
        let program = sys::exe::open_sealed("/proc/self/exe".as_ref())?;
        if !nested {
            env.extend(handed().variables(&program)?);
        }
        sys::process::execute_fd(program.as_fd(), &arguments, &Strings::new(&env)?).map(drop)
    };
    execute().doing(action)
}

/// What the program gets of itself when it is executed once more.
struct Handed {
    /// Not where the caller passes on descriptors by number, among which these would be.
    fits: bool,
    network: Option<NetworkAhead>,
}

impl Handed {
    fn over(verb: &Verb, words: &Words) -> Self {
        let fits = !words.given("preserve-fds") && std::env::var_os("LISTEN_FDS").is_none();
        let network = fits.then(|| verbs::begin(verb, words)).flatten();
        Self { fits, network }
    }

    /// The variables that tell of it.
    fn variables(self, program: &OwnedFd) -> sys::Result<Vec<Vec<u8>>> {
        if !self.fits {
            return Ok(Vec::new());
        }
        let seal = sys::exe::pass_on(sys::fd::duplicate(program)?)?;
        let network = self.network.map(NetworkAhead::pass_on).transpose()?;
        let all = std::iter::once(seal).chain(network);
        Ok(all.map(String::into_bytes).collect())
    }
}

/// Keeps the mount that this program was executed from: aside, because whoever is the last to close it
/// waits for a grace period of the kernel.
static SEAL: Mutex<Option<Aside>> = Mutex::new(None);

/// Leaves it to the kernel, which with older ones takes time: while a copy works and there is nothing
/// else to do.
pub(crate) fn let_go_of_seal() {
    drop(SEAL.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// The variables that this program reads. Others are nobody's business in the container's namespace, to
/// which the copy belongs that waits in the container.
const READ: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "PATH",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// The environment, without what this program tells itself.
pub(crate) fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name != sys::exe::VARIABLE)
}

fn environment(nested: bool) -> Vec<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let passed = variables().filter(|(name, _)| !nested || READ.iter().any(|read| name == read));
    passed
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
        .collect()
}
