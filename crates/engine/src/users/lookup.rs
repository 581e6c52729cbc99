//! The lookup itself. Pure; the rules are Docker's.

use crate::render::Identity;

/// A user or group that cannot be turned into numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownUser {
    /// No such user.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    User(String),
    /// No such group.
    #[error("unable to find group {0}: no matching entries in group file")]
    Group(String),
    /// A number that no user or group can have.
    #[error("uids and gids must be in range 0-2147483647: {0}")]
    Range(String),
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Who `user` (empty is root) with the supplementary `groups` is, given the texts of the two files.
///
/// A named group replaces the user's own groups. A number is that number, known to the files or not,
/// and never a name: an image could call root `1000` otherwise (CVE-2016-3697).
pub(crate) fn identify(
    user: &str,
    groups: &[String],
    passwd: &str,
    group: &str,
) -> Result<Identity, UnknownUser> {
    let (user, group_wanted) = user.split_once(':').unwrap_or((user, ""));
    let mut identity = Identity {
        home: "/".to_owned(),
        ..Identity::default()
    };
    let wanted = if user.is_empty() { "0" } else { user };
    let id = number(wanted)?;
    let known = users(passwd).find(|u| match id {
        Some(id) => u.uid == id,
        None => u.name == wanted,
    });
    match &known {
        Some(known) => {
            identity.uid = in_range(known.uid)?;
            identity.gid = in_range(known.gid)?;
            if !known.home.is_empty() {
                identity.home = known.home.to_owned();
            }
        }
        None => identity.uid = id.ok_or_else(|| UnknownUser::User(wanted.to_owned()))?,
    }
    if group_wanted.is_empty() {
        let name = known.map_or("", |known| known.name);
        identity.groups = groups_of(group, name)?;
    } else {
        identity.gid = group_id(group, group_wanted)?;
    }
    for extra in groups {
        let gid = group_id(group, extra)?;
        if !identity.groups.contains(&gid) {
            identity.groups.push(gid);
        }
    }
    Ok(identity)
}

fn groups_of(group: &str, name: &str) -> Result<Vec<u32>, UnknownUser> {
    let mut found = Vec::new();
    let of_user =
        |group: &Group<'_>| !name.is_empty() && group.members.split(',').any(|m| m.trim() == name);
    for group in groups(group).filter(of_user) {
        if !found.contains(&group.gid) {
            found.push(in_range(group.gid)?);
        }
    }
    Ok(found)
}

fn group_id(text: &str, wanted: &str) -> Result<u32, UnknownUser> {
    if let Some(id) = number(wanted)? {
        return Ok(id);
    }
    let known = groups(text).find(|g| g.name == wanted);
    let known = known.ok_or_else(|| UnknownUser::Group(wanted.to_owned()))?;
    in_range(known.gid)
}

/// What an image's files say may be no id: the last number means "leave it as it is" to the kernel.
fn in_range(id: u32) -> Result<u32, UnknownUser> {
    match i32::try_from(id) {
        Ok(_) => Ok(id),
        Err(_) => Err(UnknownUser::Range(id.to_string())),
    }
}

/// The number `text` is, if it is one.
fn number(text: &str) -> Result<Option<u32>, UnknownUser> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<i32>().map(u32::try_from) {
        Ok(Ok(number)) => Ok(Some(number)),
        _ => Err(UnknownUser::Range(text.to_owned())),
    }
}

fn users(text: &str) -> impl Iterator<Item = User<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some(User {
            name: fields.next().filter(|name| !name.is_empty())?,
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some(Group {
            name: fields.next().filter(|name| !name.is_empty())?,
            gid: fields.nth(1)?.parse().ok()?,
            members: fields.next().unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "# comment\nroot:x:0:0:root:/root:/bin/sh\n\
        www:x:33:33::/var/www:\nbroken\nshort:x:7:8\n1000:x:0:0::/numeric:\n\
        none:x:4294967295:0::/:\nnobody:x:9:4294967295::/:\nmember:x:10:10::/:\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:root, www\nwww:x:33:\nvideo:x:44:www\ndup:x:4:www\n99:x:0:\n\
        last:x:4294967295:member\n";

    #[test]
    fn who_is_who() {
        let table: &[(&str, &[&str], &str)] = &[
            ("", &[], "0:0 [4] /root"),
            ("root", &[], "0:0 [4] /root"),
            ("0", &[], "0:0 [4] /root"),
            ("www", &[], "33:33 [4, 44] /var/www"),
            ("33", &[], "33:33 [4, 44] /var/www"),
            ("www:video", &[], "33:44 [] /var/www"),
            ("www:44", &[], "33:44 [] /var/www"),
            ("www:4711", &[], "33:4711 [] /var/www"),
            ("4711", &[], "4711:0 [] /"),
            ("4711:4712", &[], "4711:4712 [] /"),
            ("short", &[], "7:8 [] /"),
            // Digits are never a name.
            ("1000", &[], "1000:0 [] /"),
            ("1000:99", &[], "1000:99 [] /"),
            ("", &["video", "4", "99"], "0:0 [4, 44, 99] /root"),
            (
                "x",
                &[],
                "unable to find user x: no matching entries in passwd file",
            ),
            (
                "www:x",
                &[],
                "unable to find group x: no matching entries in group file",
            ),
            (
                "",
                &["x"],
                "unable to find group x: no matching entries in group file",
            ),
            // What an image's files say is no better.
            (
                "none",
                &[],
                "uids and gids must be in range 0-2147483647: 4294967295",
            ),
            (
                "nobody",
                &[],
                "uids and gids must be in range 0-2147483647: 4294967295",
            ),
            (
                "member",
                &[],
                "uids and gids must be in range 0-2147483647: 4294967295",
            ),
            (
                "root:last",
                &[],
                "uids and gids must be in range 0-2147483647: 4294967295",
            ),
            ("-1", &[], "uids and gids must be in range 0-2147483647: -1"),
            (
                "2147483648",
                &[],
                "uids and gids must be in range 0-2147483647: 2147483648",
            ),
        ];
        for (user, extra, expected) in table {
            let extra: Vec<String> = extra.iter().map(|&g| g.to_owned()).collect();
            let shown = identify(user, &extra, PASSWD, GROUP).map_or_else(
                |error| error.to_string(),
                |id| format!("{}:{} {:?} {}", id.uid, id.gid, id.groups, id.home),
            );
            assert_eq!(shown, *expected, "{user:?} {extra:?}");
        }
    }

    #[test]
    fn an_image_without_files_knows_numbers_only() {
        let root = identify("", &[], "", "").unwrap();
        assert_eq!((root.uid, root.gid, root.home.as_str()), (0, 0, "/"));
        assert!(identify("root", &[], "", "").is_err());
    }
}
