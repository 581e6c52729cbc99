//! Who a process is: `user[:group]` looked up in the image's own passwd(5) and group(5).

mod layers;
mod lookup;

use sys::Errno;

pub(crate) use layers::read_in_layers;
pub use lookup::UnknownUser;
pub(crate) use lookup::identify;

/// Where users are.
pub(crate) const PASSWD: &str = "etc/passwd";
/// Where groups are.
pub(crate) const GROUP: &str = "etc/group";

/// Whether a file that could not be read is simply not there, or is none.
pub(crate) fn means_absent(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::LOOP
    )
}
