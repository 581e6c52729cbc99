//! Where a server of a test listens when it cannot be told to choose a port itself.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to those who ask for any.
const FIRST_PORT: u16 = 20_000;

/// An address of the loopback that nobody else has, and stays free until somebody listens there.
///
/// A port that was free a moment ago at 127.0.0.1 may be another test's by now: the kernel gives it to
/// whoever asks next. So each process has an address of its own in 127.64.0.0/10, by its id.
pub fn address() -> SocketAddrV4 {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST_PORT);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 64 | (high & 63), middle, low);
    SocketAddrV4::new(own, NEXT.fetch_add(1, Ordering::Relaxed))
}
