//! The beginning of what a look says.

/// Longest output that is kept, in bytes.
pub(crate) const LONGEST: usize = 4096;

/// What was said on both streams.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    kept: Vec<u8>,
    /// Whether there was more.
    more: bool,
}

impl Captured {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.kept.len();
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.more |= bytes.len() > room;
    }

    /// With dots where there was more, as Docker has it.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let dots = if self.more { "..." } else { "" };
        format!("{text}{dots}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_is_kept() {
        let mut captured = Captured::default();
        captured.take(b"one ");
        captured.take(b"two");
        assert_eq!(captured.text(), "one two");
        captured.take(&[b'x'; 5000]);
        assert_eq!(captured.text().len(), LONGEST + 3);
    }
}
