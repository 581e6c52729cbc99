//! The loopback interface of a new network namespace, which the kernel makes but leaves down.
#![allow(unsafe_code, reason = "SIOCSIFFLAGS has no safe wrapper")]

use rustix::ioctl::{Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::error::{Named, Result};

/// Brings `lo` of the calling thread's network namespace up; the kernel gives it 127.0.0.1 and ::1.
pub fn bring_up() -> Result<()> {
    up().named("ioctl SIOCSIFFLAGS")
}

/// The same without the C library and its errno.
pub(crate) fn up() -> rustix::io::Result<()> {
    /// SIOCSIFFLAGS of linux/sockios.h.
    const SET_FLAGS: rustix::ioctl::Opcode = 0x8914;
    // Any socket will do to address the namespace's devices (netdevice(7)); this family is the one
    // that is always there.
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(c"lo".to_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    // SAFETY: SIOCSIFFLAGS reads one `struct ifreq` with a NUL-terminated name, which lives here,
    // and its flags member, which is the one initialised.
    unsafe { ioctl(&socket, Setter::<SET_FLAGS, _>::new(request)) }
}

#[cfg(test)]
mod tests {
    use crate::ns::{Namespaces, unshare};

    #[test]
    fn the_loopback_interface_carries_packets() {
        if !crate::term::is_root() {
            crate::error::skip("SKIP: a network namespace needs root");
            return;
        }
        let thread = std::thread::spawn(|| {
            unshare(Namespaces::NETWORK).unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0");
            let address = listener.as_ref().unwrap().local_addr().unwrap();
            assert!(std::net::TcpStream::connect(address).is_err());
            super::bring_up().unwrap();
            std::net::TcpStream::connect(address).unwrap();
        });
        thread.join().unwrap();
    }
}
