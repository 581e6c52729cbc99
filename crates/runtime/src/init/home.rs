//! The home of a user of the container, where its environment names none.

use std::path::Path;

use sys::root::Root;

use super::{Launch, Outcome};

/// No users file is longer.
const LONGEST: usize = 1 << 20;

/// After the host's descriptors were closed, and before a filter may forbid to read.
pub(crate) fn find(launch: &mut Launch<'_>) -> Outcome {
    if !launch.process.env.lacks_home {
        return Ok(());
    }
    // A root without such a file is as good as one that does not name the user.
    let users = Root::open(Path::new("/")).and_then(|root| root.read("etc/passwd", LONGEST));
    let home = users
        .ok()
        .and_then(|users| home(&users, launch.process.uid));
    launch.home = Some(format!("HOME={}", home.as_deref().unwrap_or("/")));
    Ok(())
}

/// The sixth field of the first line (passwd(5)) whose third is this user.
fn home(users: &[u8], uid: u32) -> Option<String> {
    let users = String::from_utf8_lossy(users);
    let mut homes = users.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let id: u32 = fields.next()?.parse().ok()?;
        let home = fields.nth(2)?;
        (id == uid && !home.is_empty() && !home.contains('\0')).then(|| home.to_owned())
    });
    homes.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found_by_number() {
        let users =
            b"root:x:0:0:root:/root:/bin/sh\n#\nx:x:7\nnone:x:8:8:::\nu:x:8:8:U:/home/u:/bin/sh\n";
        assert_eq!(home(users, 0).as_deref(), Some("/root"));
        assert_eq!(home(users, 8).as_deref(), Some("/home/u"));
        assert_eq!(home(users, 7), None);
        assert_eq!(home(b"", 0), None);
    }
}
