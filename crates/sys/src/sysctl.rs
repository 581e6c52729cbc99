//! Settings of the kernel under /proc/sys (sysctl(8)); those of `net` are those of the calling thread's
//! network namespace.

use std::path::PathBuf;

use crate::error::{Errno, Error, Result};
use crate::fd;

/// The value, without the newline.
pub fn get(name: &str) -> Result<String> {
    let bytes = fd::read_to_end(fd::open_read(&path(name)?)?, 4096)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Sets it; ENOENT if there is no such setting.
pub fn set(name: &str, value: &str) -> Result<()> {
    fd::write_once(fd::open_write(&path(name)?)?, value.as_bytes())
}

/// Parts are separated by dots; a slash in a part stands for a dot, as in names of interfaces (sysctl.d(5)).
/// What would lead elsewhere is refused.
fn path(name: &str) -> Result<PathBuf> {
    let mut path = PathBuf::from("/proc/sys");
    for part in name.split('.') {
        if part.is_empty() || part == "/" || part == "//" || part.contains('\0') {
            return Err(Error {
                call: "open",
                errno: Errno::INVAL,
            });
        }
        path.push(part.replace('/', "."));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_below_proc_sys() {
        let text = |name| path(name).map(|path| path.display().to_string());
        assert_eq!(
            text("net.ipv4.conf.eth0/1.forwarding").unwrap(),
            "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
        );
        for bad in ["", "net..x", "net.//.x", "/.x"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_setting_is_read() {
        assert_eq!(get("kernel.ostype").unwrap(), "Linux");
        assert_eq!(get("kernel.no_such").unwrap_err().errno, Errno::NOENT);
    }
}
