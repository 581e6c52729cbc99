//! Single things done inside the container, each with its result or its errno.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use serde_json::{Value, json};

/// What more than this a file holds is not told.
const MOST: u64 = 4096;

/// Does what the text, a JSON array of words, says.
pub(crate) fn run(text: &str) -> Value {
    let words: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(value) => json!({ "op": words, "ok": value }),
        Err(error) => {
            json!({ "op": words, "errno": error.raw_os_error(), "why": error.to_string() })
        }
    }
}

fn act(words: &[&str]) -> Result<Value> {
    match *words {
        ["report"] => Ok(crate::report::report()),
        ["read", path] => read(path),
        ["write", path, text] => write(OpenOptions::new().write(true), path, text),
        ["append", path, text] => write(OpenOptions::new().append(true).create(true), path, text),
        ["create", path] => File::create_new(path).map(|_| Value::Null),
        ["open", path, mode] => open(path, mode),
        ["stat", path] => fs::metadata(path).map(|found| describe(&found)),
        ["lstat", path] => fs::symlink_metadata(path).map(|found| describe(&found)),
        ["readlink", path] => fs::read_link(path).map(|to| json!(to.to_string_lossy())),
        ["list", path] => list(path),
        ["mkdir", path] => fs::create_dir(path).map(Value::from),
        ["symlink", target, path] => symlink(target, path).map(Value::from),
        ["chmod", path, mode] => chmod(path, mode),
        ["seek", offset] => seek(offset, SeekFrom::Start),
        ["seek-from-end", offset] => seek(offset, |_| SeekFrom::End(0)),
        ["thread", ref words @ ..] => in_thread(words),
        ["run", program, ref words @ ..] => child(Command::new(program).args(words)),
        ["child", ref words @ ..] => child(
            Command::new("/proc/self/exe")
                .arg("ops")
                .arg(json!(words).to_string()),
        ),
        ["sleep"] => crate::forever(),
        _ => Err(Error::from(ErrorKind::Unsupported)),
    }
}

fn read(path: &str) -> Result<Value> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(json!(String::from_utf8_lossy(&bytes)))
}

fn write(options: &OpenOptions, path: &str, text: &str) -> Result<Value> {
    options.open(path)?.write_all(text.as_bytes())?;
    Ok(Value::Null)
}

fn open(path: &str, mode: &str) -> Result<Value> {
    let mut options = OpenOptions::new();
    options.read(mode.contains('r')).write(mode.contains('w'));
    options.open(path).map(|_| Value::Null)
}

fn describe(found: &fs::Metadata) -> Value {
    let kind = found.file_type();
    let kinds = [
        ("directory", kind.is_dir()),
        ("link", kind.is_symlink()),
        ("character", kind.is_char_device()),
        ("block", kind.is_block_device()),
        ("fifo", kind.is_fifo()),
        ("file", kind.is_file()),
    ];
    let kind = kinds.iter().find(|(_, is)| *is).map(|(name, _)| *name);
    let device = found.rdev();
    // The kernel's packing of 12 bits of major into 20 bits of minor: makedev(3).
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    json!({
        "kind": kind, "mode": found.mode() & 0o7777, "uid": found.uid(), "gid": found.gid(),
        "size": found.size(), "major": major, "minor": minor,
        "device": found.dev(), "inode": found.ino(), "atime": found.atime(),
    })
}

fn list(path: &str) -> Result<Value> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(json!(names))
}

fn chmod(path: &str, mode: &str) -> Result<Value> {
    let mode = u32::from_str_radix(mode, 8).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map(Value::from)
}

/// lseek(2), of which a filter can see all 64 bits of an argument.
fn seek(offset: &str, from: fn(u64) -> SeekFrom) -> Result<Value> {
    let offset = offset
        .parse()
        .map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    File::open("/proc/self/exe")?
        .seek(from(offset))
        .map(Value::from)
}

/// In a thread of its own, which may be all that the kernel kills.
fn in_thread(words: &[&str]) -> Result<Value> {
    let owned: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let done = std::sync::Arc::new(std::sync::Mutex::new(None));
    let slot = done.clone();
    std::thread::spawn(move || {
        let words: Vec<&str> = owned.iter().map(String::as_str).collect();
        let result = act(&words).is_ok();
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(result);
        }
    });
    // A killed thread cannot be joined: it is gone when only this one is listed.
    while fs::read_dir("/proc/self/task")?.count() > 1 {
        std::thread::yield_now();
    }
    let result = done.lock().ok().and_then(|slot| *slot);
    Ok(result.map_or_else(
        || json!("killed"),
        |ok| json!(if ok { "done" } else { "refused" }),
    ))
}

fn child(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    Ok(json!({
        "code": output.status.code(), "signal": output.status.signal(),
        "out": String::from_utf8_lossy(&output.stdout),
        "err": String::from_utf8_lossy(&output.stderr),
    }))
}
