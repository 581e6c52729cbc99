//! Archives made by hand, byte by byte.

use std::io::Read as _;

use super::*;

fn header(name: &str, flag: u8, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_cksum();
    header
}

fn push(archive: &mut Vec<u8>, header: &Header, data: &[u8]) {
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn listing(archive: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = Reader::new(archive);
    let mut lines = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(entry)) => {
                let mut data = Vec::new();
                Data(&mut reader)
                    .read_to_end(&mut data)
                    .map_err(|e| e.to_string())?;
                lines.push(format!(
                    "{:?} {} {} {}",
                    entry.kind,
                    entry.name(),
                    entry.size,
                    data.len()
                ));
            }
            Ok(None) => return Ok(lines),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                return Err(format!("{error}: {}", source.unwrap_or_default()));
            }
        }
    }
}

struct Data<'a, 'b>(&'a mut Reader<&'b [u8]>);

impl io::Read for Data<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let data = self.0.data().map_err(|e| {
            let source = std::error::Error::source(&e).map(ToString::to_string);
            io::Error::other(format!("{e}: {}", source.unwrap_or_default()))
        })?;
        let count = data.len().min(into.len());
        into[..count].copy_from_slice(&data[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

#[test]
fn entries_in_order_and_an_end_without_zeros() {
    let mut archive = Vec::new();
    push(&mut archive, &header("a", b'0', 3), b"abc");
    push(&mut archive, &header("d/", b'0', 0), b"");
    push(&mut archive, &header("label", b'V', 0), b"");
    push(&mut archive, &header("l", b'2', 99), b"");
    let lines = ["File a 3 3", "Directory d/ 0 0", "Symlink l 0 0"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(listing(&archive), Ok(lines.clone()));
    archive.extend_from_slice(&[0; 512]);
    archive.extend_from_slice(b"anything after the end");
    assert_eq!(listing(&archive), Ok(lines));
}

#[test]
fn an_archive_may_end_with_the_bytes_of_its_last_file() {
    let mut archive = Vec::new();
    push(&mut archive, &header("a", b'0', 3), b"abc");
    let whole = listing(&archive);
    assert!(whole.is_ok());
    for end in [515, 600, 1024] {
        assert_eq!(listing(&archive[..end]), whole, "{end}");
    }
    listing(&archive[..514]).unwrap_err();
    // A name that is announced is that of an entry.
    let mut announced = Vec::new();
    push(&mut announced, &header("l", b'L', 3), b"abc");
    listing(&announced[..515]).unwrap_err();
}

#[test]
fn errors_name_offset_and_entry() {
    let mut archive = Vec::new();
    push(&mut archive, &header("a", b'0', 3), b"abc");
    push(
        &mut archive,
        &header("usr/bin/long", b'0', 2000),
        &[1; 2000],
    );
    assert_eq!(
        listing(&archive[..2000]).unwrap_err(),
        "the tar archive is broken at byte 2000, at \"usr/bin/long\": it ends too early"
    );
    assert_eq!(
        listing(&archive[..1100]).unwrap_err(),
        "the tar archive is broken at byte 1100: it ends too early"
    );
    archive[1024] ^= 1;
    assert_eq!(
        listing(&archive).unwrap_err(),
        "the tar archive is broken at byte 1024: the header's checksum is wrong"
    );
    assert_eq!(
        listing(&[b'x'; 512]).unwrap_err(),
        "the tar archive is broken at byte 0: the header's checksum is wrong"
    );
    let mut archive = Vec::new();
    push(&mut archive, &header("q", b'Q', 0), b"");
    assert_eq!(
        listing(&archive).unwrap_err(),
        "the tar archive is broken at byte 512, at \"q\": its type 'Q' is unknown"
    );
}

#[test]
fn headers_for_the_next_entry_are_bounded() {
    for (flag, what) in [
        (b'x', "extended header"),
        (b'L', "name"),
        (b'K', "name"),
        (b'g', "global header"),
    ] {
        let mut archive = Vec::new();
        push(&mut archive, &header("bomb", flag, 1 << 40), b"");
        assert_eq!(
            listing(&archive).unwrap_err(),
            format!(
                "the tar archive is broken at byte 512, at \"bomb\": \
                 its {what} is longer than any this program accepts"
            )
        );
    }
}

#[test]
fn many_headers_for_one_entry_are_bounded_together() {
    let mut pax = b"500000 SCHILY.xattr.user.key=".to_vec();
    pax.resize(499_999, b'v');
    pax.push(b'\n');
    let mut archive = Vec::new();
    for _ in 0..3 {
        push(&mut archive, &header("x", b'x', 500_000), &pax);
    }
    push(&mut archive, &header("a", b'0', 0), b"");
    let error = listing(&archive).unwrap_err();
    assert!(
        error.ends_with("its extended header is longer than any this program accepts"),
        "{error}"
    );
}

#[test]
fn names_no_file_can_have_are_refused() {
    for flag in [b'L', b'K'] {
        let mut archive = Vec::new();
        push(&mut archive, &header("long", flag, 5000), &[b'n'; 5000]);
        push(&mut archive, &header("a", b'2', 0), b"");
        let error = listing(&archive).unwrap_err();
        assert!(
            error.ends_with("its name is longer than any this program accepts"),
            "{error}"
        );
    }
}

#[test]
fn extended_headers_apply_to_the_next_entry_only() {
    let mut archive = Vec::new();
    let pax = b"14 path=bigger\n15 uid=4000000\n20 mtime=-1.250000\n30 SCHILY.xattr.user.k=1\n2\n3\n4\n\n";
    push(&mut archive, &header("x", b'x', pax.len() as u64), pax);
    push(&mut archive, &header("small", b'0', 0), b"");
    push(&mut archive, &header("plain", b'0', 0), b"");
    let mut reader = Reader::new(archive.as_slice());
    let error = reader.next();
    // The lengths above are wrong on purpose once: the grammar is checked.
    assert!(error.is_err());

    let record = |key: &str, value: &str| {
        let body = format!(" {key}={value}\n");
        let mut length = body.len() + 1;
        while length != body.len() + length.to_string().len() {
            length = body.len() + length.to_string().len();
        }
        format!("{length}{body}")
    };
    let pax = [
        record("path", "bigger"),
        record("uid", "4000000"),
        record("mtime", "-1.25"),
        record("SCHILY.xattr.user.k", "1\n2\n"),
    ]
    .concat();
    let mut archive = Vec::new();
    push(
        &mut archive,
        &header("x", b'x', pax.len() as u64),
        pax.as_bytes(),
    );
    push(&mut archive, &header("small", b'0', 0), b"");
    push(&mut archive, &header("plain", b'0', 0), b"");
    let mut reader = Reader::new(archive.as_slice());
    let first = reader.next().unwrap().unwrap();
    assert_eq!(
        (first.name().as_str(), first.uid, first.modified),
        ("bigger", 4_000_000, (-2, 750_000_000))
    );
    assert_eq!(first.xattrs, [(b"user.k".to_vec(), b"1\n2\n".to_vec())]);
    let second = reader.next().unwrap().unwrap();
    assert_eq!(
        (second.name().as_str(), second.uid, second.modified),
        ("plain", 0, (7, 0))
    );
    assert!(second.xattrs.is_empty());
    assert!(reader.next().unwrap().is_none());
}

proptest::proptest! {
    #[test]
    fn any_bytes_end_in_a_listing_or_an_error(mut bytes in proptest::collection::vec(0_u8.., 0..4096), fix in 0..8_usize) {
        // Valid checksums let the fuzz reach what is behind them.
        for header in bytes.chunks_exact_mut(512).take(fix) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = listing(&bytes);
    }
}
