//! As much of HTTP/2 (RFC 9113) and gRPC as one question for a server's health takes.

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The answer that every SETTINGS frame is owed.
pub(super) const SETTINGS_TAKEN: [u8; 9] = [0, 0, 0, SETTINGS, 1, 0, 0, 0, 0];

/// The longest message that is kept.
const MESSAGE: usize = 4096;

/// Longest frame that is taken: nobody may send a longer one unasked.
const LONGEST: usize = 16 << 10;

/// The whole of what is sent for one question.
pub(super) fn health_request(authority: &str, service: &str) -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut out, SETTINGS, 0, 0, &[]);
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut head = Vec::new();
    for (name, value) in fields {
        // A literal that is not to be indexed, with a new name (RFC 7541, 6.2.2).
        head.push(0);
        text(&mut head, name);
        text(&mut head, value);
    }
    frame(&mut out, HEADERS, END_HEADERS, 1, &head);
    // HealthCheckRequest { service = 1 }
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let body = [&[0][..], &length.to_be_bytes(), &message].concat();
    frame(&mut out, DATA, END_STREAM, 1, &body);
    out
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// An integer in seven bits, more of it behind them (RFC 7541, 5.1).
fn number(out: &mut Vec<u8>, value: usize) {
    const MOST: u8 = 0x7f;
    match u8::try_from(value) {
        Ok(small) if small < MOST => out.push(small),
        _ => {
            out.push(MOST);
            varint(out, value - usize::from(MOST));
        }
    }
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 128 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// What the server says, as it comes.
#[derive(Debug, Default)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    owes_settings: bool,
    message: Vec<u8>,
}

impl Answer {
    /// Takes what has come; the answer, once it is there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Result<(), String>> {
        self.bytes.extend_from_slice(bytes);
        loop {
            let [a, b, c, kind, flags, ..] = *self.bytes.as_slice() else {
                return None;
            };
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > LONGEST {
                return Some(Err("the server does not answer with HTTP/2".to_owned()));
            }
            if self.bytes.len() < 9 + length {
                return None;
            }
            let frame: Vec<u8> = self.bytes.drain(..9 + length).collect();
            if let Some(answer) = self.frame(kind, flags, &frame[9..]) {
                return Some(answer);
            }
        }
    }

    /// Whether a SETTINGS frame has come that was not answered.
    pub(super) fn wants_settings(&mut self) -> bool {
        std::mem::take(&mut self.owes_settings)
    }

    fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) -> Option<Result<(), String>> {
        match kind {
            SETTINGS => self.owes_settings |= flags & 1 == 0,
            // A verdict is a few bytes: who says more than a page of something else says none.
            DATA if self.message.len() + payload.len() > MESSAGE => {
                return Some(Err("the server does not say that it serves".to_owned()));
            }
            DATA => self.message.extend_from_slice(payload),
            RESET | GOAWAY => return Some(Err("the server refuses the question".to_owned())),
            _ => {}
        }
        let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        match (self.message.get(5..), ends) {
            // HealthCheckResponse { status = 1: SERVING }
            (Some([8, 1, ..]), _) => Some(Ok(())),
            (Some([8, status, ..]), _) => Some(Err(format!(
                "{} (status {status})",
                if *status == 2 {
                    "NOT_SERVING"
                } else {
                    "UNKNOWN"
                }
            ))),
            (_, true) => Some(Err("the server does not say that it serves".to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(frames: &[(u8, u8, &[u8])], piece: usize) -> Option<Result<(), String>> {
        let mut bytes = Vec::new();
        for (kind, flags, payload) in frames {
            frame(&mut bytes, *kind, *flags, 1, payload);
        }
        let mut answer = Answer::default();
        bytes.chunks(piece).find_map(|bytes| answer.take(bytes))
    }

    #[test]
    fn answers_are_read_in_any_pieces() {
        let serving: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
        let not: &[u8] = &[0, 0, 0, 0, 2, 8, 2];
        for piece in [1, 3, 100] {
            let frames = [
                (SETTINGS, 0, &[][..]),
                (HEADERS, 4, b"x"),
                (DATA, 0, serving),
            ];
            assert_eq!(answer(&frames, piece), Some(Ok(())));
            let frames = [(HEADERS, 4, &b"x"[..]), (DATA, 0, not)];
            assert_eq!(
                answer(&frames, piece),
                Some(Err("NOT_SERVING (status 2)".to_owned()))
            );
            // Trailers only: the service is not known.
            assert!(answer(&[(HEADERS, 5, b"x")], piece).unwrap().is_err());
            assert!(answer(&[(GOAWAY, 0, b"12345678")], piece).unwrap().is_err());
            assert_eq!(answer(&[(SETTINGS, 0, &[])], piece), None);
        }
        // What says nothing and does not end is not kept.
        let endless = vec![(DATA, 0, &[0; 1000][..]); 5];
        assert!(answer(&endless, 100).unwrap().is_err());
        assert_eq!(answer(&endless[..4], 100), None);
        assert!(
            Answer::default()
                .take(b"HTTP/1.1 400 Bad\r\n")
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn a_question_is_frames_of_the_right_length() {
        let request = health_request("127.0.0.1:1", &"s".repeat(200));
        let mut rest = &request[24..];
        let mut kinds = Vec::new();
        while let [a, b, c, kind, ..] = *rest {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            kinds.push(kind);
            rest = &rest[9 + length..];
        }
        assert_eq!(
            (kinds.as_slice(), rest.len()),
            (&[SETTINGS, HEADERS, DATA][..], 0)
        );
    }
}
