//! Where in a file the lines of a time begin, found in as many steps as its length has bits: times go
//! up.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::decode;
use super::reader::{BLOCK, LONGEST};

/// The time of the first line that can be read.
pub(super) fn first_time(file: impl Read) -> io::Result<Option<i64>> {
    let mut block = Vec::new();
    file.take(2 * LONGEST as u64).read_to_end(&mut block)?;
    let mut lines = block.split_inclusive(|b| *b == b'\n');
    Ok(lines.find_map(decode).map(|line| line.time))
}

/// The beginning of a line before which all are earlier than `time`; the first that is not is at most
/// a few blocks behind it.
pub(super) fn before(file: &File, time: i64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high - low > BLOCK as u64 {
        let middle = low.midpoint(high);
        match line_from(file, middle)? {
            Some((begin, at)) if at < time && begin < high => low = begin,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The first line that begins at or after `from`: where, and its time. None if there is none near.
fn line_from(file: &File, from: u64) -> io::Result<Option<(u64, i64)>> {
    // With the byte before it: a line may begin right there.
    let from = from.saturating_sub(1);
    let mut block = vec![0; 2 * LONGEST];
    let length = file.read_at(&mut block, from)?;
    let mut begin = from;
    let mut lines = block[..length].split_inclusive(|b| *b == b'\n');
    begin += lines.next().map_or(0, <[u8]>::len) as u64;
    for line in lines {
        if let Some(line) = decode(line) {
            return Ok(Some((begin, line.time)));
        }
        begin += line.len() as u64;
    }
    Ok(None)
}
