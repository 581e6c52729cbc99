//! The shim's end of the log: output in, lines on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::encode::{Batch, End, newline};
use super::packed::{numbered, packed};
use super::{PART, Stream};

/// Encoded bytes that go to the file at once. A batch ends there so that memory stays bounded,
/// whatever the output is made of.
const BATCH: usize = 64 * 1024;

/// Output that comes in pieces of this many bytes will not end soon: the batch keeps its memory.
const BUSY: usize = 32 * 1024;

/// How large the log may become.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// A file is put aside before it grows beyond this many bytes; zero lets it grow.
    pub max_size: u64,
    /// Files kept, the current one counted; zero and one mean one.
    pub max_files: u32,
    /// Who packs files that are put aside; none leaves them as they are.
    pub packer: Option<Packer>,
}

/// Begins to pack a file with [`pack`](super::pack); the pidfd of whoever does, if it is not done
/// already.
pub type Packer = fn(&Path) -> Option<OwnedFd>;

/// Writes one container's log. What cannot be written is counted and told of in the log itself as
/// soon as there is room: a full disk must not stop the container.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    limits: Limits,
    /// Encoded lines of the batch at hand.
    batch: Batch,
    /// The beginnings of lines whose ends have not come yet: standard output, standard error.
    unfinished: [Vec<u8>; 2],
    lost: u64,
    /// The file ends in the middle of a line.
    torn: bool,
    /// Who packs the file that was put aside last.
    packing: Option<OwnedFd>,
}

impl Writer {
    /// Opens the log, to go on after what it holds.
    ///
    /// # Errors
    /// Of open(2), read(2).
    pub fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        let mut file = append_to(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        let torn = length > 0 && last_byte(&mut file)? != b'\n';
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            limits,
            batch: Batch::default(),
            unfinished: [Vec::new(), Vec::new()],
            lost: 0,
            torn,
            packing: None,
        })
    }

    /// Takes output as it comes. Whole lines are in the file when this returns; the rest waits for
    /// its newline, or until it is long enough for a part.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8], now: i64) {
        let (stamp, busy) = (Stamp::new(stream, now), bytes.len() >= BUSY);
        let mut held = std::mem::take(self.unfinished(stream));
        while !bytes.is_empty() {
            let taken = match held.is_empty() {
                true => match cut(&bytes[..bytes.len().min(PART)]) {
                    Some(end) => self.add(&bytes[..end], &stamp),
                    None => hold(&mut held, bytes),
                },
                false => self.fill(&mut held, bytes, &stamp),
            };
            bytes = &bytes[taken..];
        }
        // A container that is silent between its lines holds no buffer.
        *self.unfinished(stream) = if held.is_empty() { Vec::new() } else { held };
        self.flush(now);
        if !busy {
            self.batch = Batch::default();
        }
    }

    /// Adds to the beginning of a line that is held, and writes it when that completes it. Answers
    /// how many bytes it took.
    fn fill(&mut self, held: &mut Vec<u8>, bytes: &[u8], stamp: &Stamp) -> usize {
        let before = held.len();
        let room = hold(held, &bytes[..bytes.len().min(PART - before)]);
        let Some(end) = cut(held) else {
            return room;
        };
        self.add(&held[..end], stamp);
        if end < before {
            held.drain(..end);
            return room;
        }
        held.clear();
        end - before
    }

    /// Writes what waits for a newline that will not come.
    pub fn finish(&mut self, now: i64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let held = std::mem::take(self.unfinished(stream));
            if !held.is_empty() {
                self.add(&held, &Stamp::new(stream, now));
            }
        }
        self.flush(now);
    }

    fn unfinished(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.unfinished[0],
            Stream::Stderr => &mut self.unfinished[1],
        }
    }

    fn add(&mut self, bytes: &[u8], stamp: &Stamp) -> usize {
        self.batch.add(bytes, &stamp.end);
        if self.batch.lines().len() >= BATCH {
            self.flush(stamp.time);
        }
        bytes.len()
    }

    /// Puts the batch into the file, or counts it as lost.
    fn flush(&mut self, now: i64) {
        let mut batch = std::mem::take(&mut self.batch);
        let lines = batch.lines();
        if !lines.is_empty() {
            let lost = lines.len() - self.try_append(lines, now);
            self.lost = self.lost.saturating_add(lost as u64);
        }
        batch.clear();
        self.batch = batch;
    }

    /// How many bytes of whole lines are in the file now.
    fn try_append(&mut self, batch: &[u8], now: i64) -> usize {
        let told = self.lost == 0 || self.tell_loss(now);
        if !told || self.make_room(batch.len()).is_err() {
            return 0;
        }
        self.append(batch)
    }

    /// One line about what is missing before it.
    fn tell_loss(&mut self, now: i64) -> bool {
        let text = format!(
            "brig: {} bytes of the log are lost: it could not be written\n",
            self.lost
        );
        let mut line = Batch::default();
        line.add(text.as_bytes(), &Stamp::new(Stream::Stderr, now).end);
        let told = self.append(line.lines()) == line.lines().len();
        if told {
            self.lost = 0;
        }
        told
    }

    /// Appends whole lines; answers how many bytes of them are there now. What was written of
    /// another line is taken back.
    fn append(&mut self, lines: &[u8]) -> usize {
        if self.torn {
            match write_some(&mut self.file, b"\n") {
                0 => return 0,
                n => self.length += n as u64,
            }
            self.torn = false;
        }
        let written = write_some(&mut self.file, lines);
        let whole = match written == lines.len() {
            true => written,
            false => lines[..written]
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |at| at + 1),
        };
        self.length += whole as u64;
        if whole < written && self.file.set_len(self.length).is_err() {
            self.length += (written - whole) as u64;
            self.torn = true;
        }
        whole
    }

    /// Puts the file aside if the batch would make it too large.
    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        let too_large = self.length + bytes as u64 > self.limits.max_size;
        if self.limits.max_size == 0 || self.length == 0 || !too_large || self.packs() {
            return Ok(());
        }
        let put_aside = self.limits.max_files > 1;
        match put_aside {
            false => absent_is_fine(std::fs::remove_file(&self.path))?,
            true => self.put_aside()?,
        }
        self.file = append_to(&self.path)?;
        (self.length, self.torn) = (0, false);
        if let Some(packer) = self.limits.packer.filter(|_| put_aside) {
            self.packing = packer(&numbered(&self.path, 1));
        }
        Ok(())
    }

    /// Whether a file is being packed: until it is, none is put aside, and the log grows on.
    fn packs(&mut self) -> bool {
        let done = |packer: &OwnedFd| sys::pidfd::ended_within(packer, Duration::ZERO);
        let packing = self.packing.as_ref();
        if packing.is_some_and(|packer| done(packer).is_ok_and(|done| !done)) {
            return true;
        }
        self.packing = None;
        false
    }

    /// Each file takes the next number, and the oldest goes.
    fn put_aside(&self) -> io::Result<()> {
        for number in (1..self.limits.max_files).rev() {
            for form in [numbered, packed] {
                let (from, to) = (form(&self.path, number - 1), form(&self.path, number));
                absent_is_fine(std::fs::remove_file(&to))?;
                absent_is_fine(std::fs::rename(from, to))?;
            }
        }
        Ok(())
    }
}

/// What all lines of one piece of output share.
struct Stamp {
    time: i64,
    end: End,
}

impl Stamp {
    fn new(stream: Stream, time: i64) -> Self {
        let end = End::new(stream, time);
        Self { time, end }
    }
}

/// Where the first line or part of `bytes` ends, if it does; they are at most a part.
fn cut(bytes: &[u8]) -> Option<usize> {
    match newline(bytes) {
        Some(at) => Some(at + 1),
        None => (bytes.len() == PART).then(|| PART - split_char(bytes)),
    }
}

fn hold(held: &mut Vec<u8>, bytes: &[u8]) -> usize {
    held.extend_from_slice(bytes);
    bytes.len()
}

/// How many bytes at the end are the beginning of a character whose rest is not there.
fn split_char(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let Some(back) = tail.iter().rev().position(|b| *b & 0xc0 != 0x80) else {
        return 0;
    };
    let lead = tail[tail.len() - 1 - back];
    let needed = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if back + 1 < needed { back + 1 } else { 0 }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Writes until all is written or something is wrong, and says how far it came.
fn write_some(file: &mut File, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

fn absent_is_fine(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{Line, decode};

    fn lines(path: &Path) -> Vec<Line> {
        let text = std::fs::read(path).unwrap();
        text.split_inclusive(|b| *b == b'\n')
            .filter_map(decode)
            .collect()
    }

    fn texts(path: &Path) -> Vec<String> {
        lines(path)
            .into_iter()
            .map(|line| String::from_utf8(line.bytes).unwrap())
            .collect()
    }

    #[test]
    fn lines_wait_for_their_newline_and_streams_do_not_mix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        log.write(Stream::Stdout, b"one\ntw", 1);
        assert_eq!(texts(&path), ["one\n"]);
        log.write(Stream::Stderr, b"error\n", 2);
        log.write(Stream::Stdout, b"o\nend", 3);
        log.finish(4);
        assert_eq!(texts(&path), ["one\n", "error\n", "two\n", "end"]);
        assert_eq!(
            lines(&path).iter().map(|l| l.time).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        sys::file::replace(&path, b"{\"log\":\"torn", 0o600).unwrap();
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        log.write(Stream::Stdout, b"whole\n", 1);
        assert_eq!(texts(&path), ["whole\n"]);
    }

    #[test]
    fn old_files_are_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(
            &path,
            Limits {
                max_size: 160,
                max_files: 3,
                packer: None,
            },
        )
        .unwrap();
        for number in 0..8 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes(), 1);
        }
        assert_eq!(texts(&numbered(&path, 2)), ["line 2\n", "line 3\n"]);
        assert_eq!(texts(&numbered(&path, 1)), ["line 4\n", "line 5\n"]);
        assert_eq!(texts(&path), ["line 6\n", "line 7\n"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn characters_are_not_cut_by_the_border_of_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = "é".repeat(PART) + "\n";
        for piece in [1, 7, 4096, text.len()] {
            let _ = std::fs::remove_file(&path);
            let mut log = Writer::open(&path, Limits::default()).unwrap();
            for bytes in format!("x{text}").as_bytes().chunks(piece) {
                log.write(Stream::Stdout, bytes, 1);
            }
            assert_eq!(
                texts(&path).concat(),
                format!("x{text}"),
                "in pieces of {piece}"
            );
            assert!(lines(&path).iter().all(|line| line.bytes.len() <= PART));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn text_in_any_pieces_comes_back(
            lines in prop::collection::vec((0_usize..40_000, "[a-zé日\u{1F600}]{1,3}"), 1..5),
            pieces in prop::collection::vec(1_usize..30_000, 1..20),
        ) {
            let text: String =
                lines.iter().map(|(n, s)| s.repeat(*n / s.len()) + "\n").collect();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let mut log = Writer::open(&path, Limits::default()).unwrap();
            let mut rest = text.as_bytes();
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                log.write(Stream::Stdout, now, 1);
                rest = later;
                if rest.is_empty() { break; }
            }
            log.finish(2);
            prop_assert_eq!(texts(&path).concat(), text);
        }
    }
}
