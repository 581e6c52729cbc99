//! Docker's framing of output: which stream, and how many bytes.

use shim::log::Stream;

/// The header before `length` bytes of `stream`.
pub(crate) fn header(stream: Stream, length: usize) -> [u8; 8] {
    let number = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    // A frame is one read, far below 4 GiB.
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [number, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_stream_and_length() {
        assert_eq!(header(Stream::Stdout, 5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(
            header(Stream::Stderr, 0x0001_0203),
            [2, 0, 0, 0, 0, 1, 2, 3]
        );
    }
}
