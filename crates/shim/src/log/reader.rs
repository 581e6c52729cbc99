//! The daemon's end of the log: lines forward from the beginning or from the last few, however far
//! the writer has come meanwhile.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::packed::{self, numbered, packed};
use super::{Line, Stream, decode, search};

/// Read at once.
pub(super) const BLOCK: usize = 64 * 1024;

/// No line of ours is longer: encoding makes at most six bytes of one.
pub(super) const LONGEST: usize = 8 * super::PART;

/// Older files looked for, at most.
const FILES: u32 = 1000;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest line that is kept.
    Beginning,
    /// With the last so many lines; zero waits for new ones.
    Last(usize),
    /// With lines of about this time, in nanoseconds since the Unix epoch: none of it or later is
    /// left out, as long as the clock went forward only.
    Since(i64),
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not standard output.
    pub no_stdout: bool,
    /// Not standard error.
    pub no_stderr: bool,
    /// Not before this time, in nanoseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Not after this time.
    pub until: Option<i64>,
}

/// What a filter says about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted.
    Wanted,
    /// It is not.
    Unwanted,
    /// Nor is any that comes after it.
    Past,
}

impl Filter {
    /// Judges a line.
    pub fn judge(&self, line: &Line) -> Verdict {
        if self.until.is_some_and(|until| line.time > until) {
            return Verdict::Past;
        }
        let unwanted_stream = match line.stream {
            Stream::Stdout => self.no_stdout,
            Stream::Stderr => self.no_stderr,
        };
        if unwanted_stream || self.since.is_some_and(|since| line.time < since) {
            return Verdict::Unwanted;
        }
        Verdict::Wanted
    }
}

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log {path:?}")]
pub struct ReadError {
    /// Which file.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

impl ReadError {
    /// What it is about: a log that does not exist is `NotFound`.
    pub fn kind(&self) -> types::ErrorKind {
        match self.source.kind() {
            ErrorKind::NotFound => types::ErrorKind::NotFound,
            _ => types::ErrorKind::Internal,
        }
    }
}

/// Reads a log line by line, from old files to the current one. At the end it can be asked again
/// later: it goes on where it was, over the putting aside of files too.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    /// Where in the file the unread part of `buffer` begins.
    position: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` has been read.
    used: usize,
    /// How much of `buffer` is known to hold no newline.
    searched: usize,
    /// Files to read after this one, the oldest first.
    later: VecDeque<Entry>,
    /// How long the last of the files was when the log was opened.
    length: u64,
    /// Whether what comes after that is left out.
    bounded: bool,
}

impl Reader {
    /// Opens the log that the shim writes to `path`.
    pub fn open(path: &Path, start: Start) -> Result<Self, ReadError> {
        Self::open_files(path, start).map_err(|source| ReadError {
            path: path.to_owned(),
            source,
        })
    }

    fn open_files(path: &Path, start: Start) -> io::Result<Self> {
        let mut later = open_chain(path)?;
        let current = later.back().ok_or(ErrorKind::NotFound)?;
        let length = current.file.metadata()?.len();
        let position = match start {
            Start::Beginning => 0,
            Start::Last(lines) => last_lines(&mut later, lines, length, path)?,
            Start::Since(time) => first_line(&mut later, time, path)?,
        };
        let file = later.pop_front().ok_or(ErrorKind::NotFound)?.plain(path)?;
        let (buffer, path) = (Vec::new(), path.to_owned());
        Ok(Self {
            path,
            file,
            position,
            buffer,
            used: 0,
            searched: 0,
            later,
            length,
            bounded: false,
        })
    }

    /// Ends with what was there when it was opened, however fast the writer is.
    #[must_use]
    pub fn as_it_was(self) -> Self {
        Self {
            bounded: true,
            ..self
        }
    }

    /// The next line; `None` when there is none yet. What is torn or foreign is passed over.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        self.advance().map_err(|source| ReadError {
            path: self.path.clone(),
            source,
        })
    }

    fn advance(&mut self) -> io::Result<Option<Line>> {
        loop {
            while let Some(length) = self.buffered() {
                let line = decode(&self.buffer[self.used..self.used + length]);
                self.consume(length);
                if line.is_some() {
                    return Ok(line);
                }
            }
            if self.fill()? == 0 && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// The length of the next whole line in the buffer, with its newline.
    fn buffered(&mut self) -> Option<usize> {
        let from = self.used + self.searched;
        match self.buffer[from..].iter().position(|b| *b == b'\n') {
            Some(at) => Some(self.searched + at + 1),
            None => {
                self.searched = self.buffer.len() - self.used;
                None
            }
        }
    }

    fn consume(&mut self, length: usize) {
        self.used += length;
        self.position += length as u64;
        self.searched = 0;
    }

    /// Reads on behind what is in the buffer.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.used);
        self.used = 0;
        if self.buffer.len() > LONGEST {
            // Whatever this is, it is no line. Its end is passed over as torn.
            self.consume(self.buffer.len());
            self.buffer.clear();
            self.used = 0;
        }
        let before = self.buffer.len();
        let from = self.position + before as u64;
        let wanted = match self.bounded && self.later.is_empty() {
            true => usize::try_from(self.length.saturating_sub(from)).unwrap_or(BLOCK),
            false => BLOCK,
        };
        self.buffer.resize(before + wanted.min(BLOCK), 0);
        let read = self.file.read_at(&mut self.buffer[before..], from);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Goes on with the next file if this one is at its end for good. Whether there is more to read.
    fn next_file(&mut self) -> io::Result<bool> {
        if self.later.is_empty() && self.bounded {
            return Ok(false);
        }
        if self.later.is_empty() {
            let mine = self.file.metadata()?;
            if mine.len() < self.position + self.buffer.len() as u64 {
                // The writer took back a line that it could not write whole.
                self.buffer.clear();
                self.searched = 0;
                self.position = self.position.min(mine.len());
                return Ok(false);
            }
            let current = match std::fs::metadata(&self.path) {
                Ok(current) => current,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            };
            if id_of(&mine) == id_of(&current) {
                return Ok(false);
            }
            self.later = after(open_chain(&self.path)?, id_of(&mine))?;
            // Lines may have come between the last read and the putting aside.
            if self.fill()? > 0 {
                return Ok(true);
            }
        }
        let Some(next) = self.later.pop_front() else {
            return Ok(false);
        };
        self.file = next.plain(&self.path)?;
        self.buffer = Vec::new();
        (self.position, self.used, self.searched) = (0, 0, 0);
        Ok(true)
    }
}

/// One file of the log.
#[derive(Debug)]
struct Entry {
    file: File,
    packed: bool,
}

impl Entry {
    /// To be read anywhere.
    fn plain(self, log: &Path) -> io::Result<File> {
        match self.packed {
            true => packed::unpack(&self.file, log),
            false => Ok(self.file),
        }
    }

    /// Which file it is, or was when its lines were written.
    fn id(&self) -> io::Result<(u64, u64)> {
        match self.packed {
            true => Ok(packed::origin(&self.file)?.unwrap_or_default()),
            false => Ok(id_of(&self.file.metadata()?)),
        }
    }
}

/// All files of the log, the oldest first.
fn open_chain(path: &Path) -> io::Result<VecDeque<Entry>> {
    let mut files = VecDeque::from([Entry {
        file: File::open(path)?,
        packed: false,
    }]);
    for number in 1..FILES {
        // One that is just being packed is there in both forms.
        let plain = absent_is_none(File::open(numbered(path, number)))?;
        let (file, packed) = match plain {
            Some(file) => (Some(file), false),
            None => (absent_is_none(File::open(packed(path, number)))?, true),
        };
        match file {
            Some(file) => add(&mut files, Entry { file, packed })?,
            None => break,
        }
    }
    Ok(files)
}

/// Adds an older file; the one before it may have been put aside, and be met again, in the meantime.
fn add(files: &mut VecDeque<Entry>, older: Entry) -> io::Result<()> {
    let id = older.id()?;
    if files.front().map(Entry::id).transpose()? != Some(id) {
        files.push_front(older);
    }
    Ok(())
}

fn absent_is_none<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files that came after this one; all of them if it is no longer kept. The newest that it may be:
/// a file that is gone gives its number to a later one.
fn after(mut files: VecDeque<Entry>, mine: (u64, u64)) -> io::Result<VecDeque<Entry>> {
    for index in (0..files.len()).rev() {
        if files[index].id()? == mine {
            files.drain(..=index);
            break;
        }
    }
    Ok(files)
}

fn id_of(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Drops the files before the last `lines` lines; where these begin in the first file that is left. Of the
/// last file only `length` bytes count.
fn last_lines(
    files: &mut VecDeque<Entry>,
    mut lines: usize,
    length: u64,
    log: &Path,
) -> io::Result<u64> {
    let last = files.len().saturating_sub(1);
    for index in (0..files.len()).rev() {
        unpack(files, index, log)?;
        let file = &mut files[index].file;
        let end = match index == last {
            true => length,
            false => file.seek(SeekFrom::End(0))?,
        };
        match seek_back(file, end, lines)? {
            Found::At(position) => {
                files.drain(..index);
                return Ok(position);
            }
            Found::Fewer(found) => lines -= found,
        }
    }
    Ok(0)
}

/// Drops the files before the first line of this time or later; a line's beginning at or before it in
/// the first file that is left.
fn first_line(files: &mut VecDeque<Entry>, time: i64, log: &Path) -> io::Result<u64> {
    for index in (0..files.len()).rev() {
        let entry = &files[index];
        let begins = match entry.packed {
            true => search::first_time(packed::reading(&entry.file)?)?,
            false => search::first_time(&entry.file)?,
        };
        if begins.is_some_and(|begins| begins < time) {
            unpack(files, index, log)?;
            files.drain(..index);
            return search::before(&files[0].file, time);
        }
    }
    Ok(0)
}

fn unpack(files: &mut VecDeque<Entry>, index: usize, log: &Path) -> io::Result<()> {
    if files[index].packed {
        let file = packed::unpack(&files[index].file, log)?;
        files[index] = Entry {
            file,
            packed: false,
        };
    }
    Ok(())
}

enum Found {
    At(u64),
    Fewer(usize),
}

/// Where the last `lines` whole lines of a file before `end` begin, read from there block by block. A line
/// without a newline is still being written, or torn: it is not counted.
fn seek_back(file: &mut File, mut end: u64, lines: usize) -> io::Result<Found> {
    let mut newlines = 0;
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        block.clear();
        file.seek(SeekFrom::Start(begin))?;
        file.by_ref().take(end - begin).read_to_end(&mut block)?;
        for at in (0..block.len()).rev().filter(|at| block[*at] == b'\n') {
            if newlines == lines {
                return Ok(Found::At(begin + at as u64 + 1));
            }
            newlines += 1;
        }
        end = begin;
    }
    Ok(if newlines >= lines {
        Found::At(0)
    } else {
        Found::Fewer(newlines)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::log::{Limits, Writer};

    fn texts(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_line().unwrap())
            .map(|line| String::from_utf8(line.bytes).unwrap())
            .collect()
    }

    fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|n| format!("{n}\n")).collect()
    }

    #[test]
    fn lines_since_a_time_are_found_without_reading_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let limits = Limits {
            max_size: 200_000,
            max_files: 4,
            packer: Some(pack_now),
        };
        let mut log = Writer::open(&path, limits).unwrap();
        for number in 0..8000_i64 {
            log.write(
                Stream::Stdout,
                format!("{number}\n").as_bytes(),
                number * 10,
            );
        }
        assert!(dir.path().join("log.1.gz").exists());
        assert!(!dir.path().join("log.1").exists());
        let first = texts(&mut Reader::open(&path, Start::Beginning).unwrap());
        let oldest: i64 = first[0].trim().parse().unwrap();
        assert_eq!(first, numbers(usize::try_from(oldest).unwrap()..8000));
        for time in [0, oldest * 10, 40_005, 60_000, 70_010, 79_990, 80_000] {
            let mut reader = Reader::open(&path, Start::Since(time)).unwrap();
            let read: Vec<i64> = std::iter::from_fn(|| reader.next_line().unwrap())
                .map(|line| line.time)
                .collect();
            let from = (time.max(oldest * 10) + 9) / 10;
            let wanted: Vec<i64> = (from..8000).map(|number| number * 10).collect();
            assert!(read.ends_with(&wanted), "{time}");
            // No more than a block before it.
            assert!(read.len() - wanted.len() < 1500, "{time} {}", read.len());
        }
    }

    /// Without a process of its own.
    fn pack_now(path: &Path) -> Option<std::os::fd::OwnedFd> {
        packed::pack(path).unwrap();
        None
    }

    #[test]
    fn packed_files_are_read_as_others_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let limits = Limits {
            max_size: 1000,
            max_files: 4,
            packer: Some(pack_now),
        };
        let mut log = Writer::open(&path, limits).unwrap();
        write(&mut log, 0..10);
        let mut reader = Reader::open(&path, Start::Beginning).unwrap();
        assert_eq!(texts(&mut reader), numbers(0..10));
        // What was being read is packed meanwhile, and nothing of it is read twice.
        write(&mut log, 10..25);
        assert_eq!(texts(&mut reader), numbers(10..25));
        write(&mut log, 25..45);
        assert_eq!(texts(&mut reader), numbers(25..45));
        let mut reader = Reader::open(&path, Start::Last(17)).unwrap();
        assert_eq!(texts(&mut reader), numbers(28..45));
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1.gz", "log.2.gz", "log.3.gz"]);
    }

    fn write(log: &mut Writer, range: std::ops::Range<usize>) {
        for line in numbers(range) {
            log.write(Stream::Stdout, line.as_bytes(), 1);
        }
    }

    #[test]
    fn a_log_is_read_while_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let missing = Reader::open(&path, Start::Beginning).unwrap_err();
        assert_eq!(missing.kind(), types::ErrorKind::NotFound);
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        write(&mut log, 0..3);
        let mut reader = Reader::open(&path, Start::Beginning).unwrap();
        assert_eq!(texts(&mut reader), numbers(0..3));
        assert_eq!(texts(&mut reader), numbers(0..0));
        write(&mut log, 3..5000);
        assert_eq!(texts(&mut reader), numbers(3..5000));
    }

    #[test]
    fn a_log_as_it_was_ends_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let limits = Limits {
            max_size: 1000,
            max_files: 4,
            packer: None,
        };
        let mut log = Writer::open(&path, limits).unwrap();
        write(&mut log, 0..20);
        let opened = |start| Reader::open(&path, start).unwrap().as_it_was();
        let mut all = opened(Start::Beginning);
        let mut last = opened(Start::Last(3));
        let mut none = opened(Start::Last(0));
        let mut since = opened(Start::Since(0));
        let first = all.next_line().unwrap().unwrap();
        assert_eq!(first.bytes, b"0\n");
        // More than one file of it.
        write(&mut log, 20..45);
        assert_eq!(texts(&mut all), numbers(1..20));
        assert_eq!(texts(&mut last), numbers(17..20));
        assert_eq!(texts(&mut none), numbers(0..0));
        assert_eq!(texts(&mut since), numbers(0..20));
        assert_eq!(texts(&mut all), numbers(0..0));
    }

    #[test]
    fn a_file_that_is_put_aside_meanwhile_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        drop(Writer::open(&path, Limits::default()).unwrap());
        let opened = || Entry {
            file: File::open(&path).unwrap(),
            packed: false,
        };
        let mut files = VecDeque::from([opened()]);
        add(&mut files, opened()).unwrap();
        assert_eq!(files.len(), 1);
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        write(&mut log, 0..5000);
        for lines in [0, 1, 2, 999, 4999, 5000, 6000] {
            let mut reader = Reader::open(&path, Start::Last(lines)).unwrap();
            assert_eq!(
                texts(&mut reader),
                numbers(5000_usize.saturating_sub(lines)..5000),
                "{lines}"
            );
        }
    }

    #[test]
    fn a_torn_end_is_waited_for_and_garbage_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        write(&mut log, 0..2);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"{\"log\":\"half").unwrap();
        let mut reader = Reader::open(&path, Start::Last(1)).unwrap();
        assert_eq!(texts(&mut reader), numbers(1..2));
        // The writer that comes after a crash begins a new line.
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        write(&mut log, 2..4);
        assert_eq!(texts(&mut reader), numbers(2..4));
        file.write_all(&vec![b'x'; 3 * LONGEST]).unwrap();
        file.write_all(b"\n").unwrap();
        write(&mut log, 4..6);
        assert_eq!(texts(&mut reader), numbers(4..6));
    }

    #[test]
    fn a_line_that_was_taken_back_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(&path, Limits::default()).unwrap();
        write(&mut log, 0..2);
        let file = File::options().append(true).open(&path).unwrap();
        let whole = file.metadata().unwrap().len();
        (&file).write_all(b"{\"log\":\"half of a line").unwrap();
        let mut reader = Reader::open(&path, Start::Beginning).unwrap();
        assert_eq!(texts(&mut reader), numbers(0..2));
        file.set_len(whole).unwrap();
        assert_eq!(texts(&mut reader), numbers(0..0));
        write(&mut log, 2..4);
        assert_eq!(texts(&mut reader), numbers(2..4));
    }

    #[test]
    fn reading_goes_on_over_files_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Writer::open(
            &path,
            Limits {
                max_size: 1000,
                max_files: 4,
                packer: None,
            },
        )
        .unwrap();
        write(&mut log, 0..10);
        let mut reader = Reader::open(&path, Start::Beginning).unwrap();
        assert_eq!(texts(&mut reader), numbers(0..10));
        write(&mut log, 10..25);
        assert_eq!(texts(&mut reader), numbers(10..25));
        write(&mut log, 25..45);
        assert_eq!(texts(&mut reader), numbers(25..45));
        let mut reader = Reader::open(&path, Start::Last(17)).unwrap();
        assert_eq!(texts(&mut reader), numbers(28..45));
    }

    #[test]
    fn a_filter_judges_by_stream_and_time() {
        let line = |stream, time| Line {
            stream,
            time,
            bytes: Vec::new(),
        };
        let filter = Filter {
            no_stderr: true,
            since: Some(5),
            until: Some(9),
            ..Filter::default()
        };
        let table = [
            (Stream::Stdout, 4, Verdict::Unwanted),
            (Stream::Stdout, 5, Verdict::Wanted),
            (Stream::Stderr, 6, Verdict::Unwanted),
            (Stream::Stdout, 9, Verdict::Wanted),
            (Stream::Stderr, 10, Verdict::Past),
        ];
        for (stream, time, expected) in table {
            assert_eq!(
                filter.judge(&line(stream, time)),
                expected,
                "{stream:?} {time}"
            );
        }
    }
}
