//! Frames as they are on a link (packet(7)).
#![allow(unsafe_code, reason = "sockaddr_ll has no safe wrapper")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::error::{Errno, Error, Named, Result, check};

/// A socket that sends frames in the network namespace that the thread was in, and receives none. Needs
/// `CAP_NET_RAW` there.
#[derive(Debug)]
pub struct Frames(OwnedFd);

impl Frames {
    /// In the namespace that the thread is in.
    pub fn open() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol nothing is received (packet(7)).
        let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None);
        Ok(Self(socket.named("socket")?))
    }

    /// Sends a whole frame, its addresses included, out of an interface. What does not fit into the device's
    /// queue is lost, as on any link.
    ///
    /// # Errors
    /// `ENODEV` without an interface of that name.
    pub fn send(&self, interface: &CStr, frame: &[u8]) -> Result<()> {
        const CALL: &str = "sendto";
        // SAFETY: the name ends with a zero.
        let number = unsafe { libc::if_nametoindex(interface.as_ptr()) };
        let number = i32::try_from(number).unwrap_or(0);
        if number == 0 {
            return Err(Error {
                call: CALL,
                errno: Errno::NODEV,
            });
        }
        // SAFETY: a structure of numbers, for which zeroes are values.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
        to.sll_ifindex = number;
        let length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
        // SAFETY: frame and address are readable for the lengths that are given.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                (&raw const to).cast(),
                length,
            )
        };
        check(CALL, sent.try_into().unwrap_or(-1))?;
        Ok(())
    }
}
