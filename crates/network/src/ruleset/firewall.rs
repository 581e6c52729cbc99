//! Puts the model's table into the kernel.

use std::os::fd::{AsFd, BorrowedFd};

use sys::Errno;
use sys::netlink::{Family, Socket};
use sys::nft::{self, Batch, Table};

use super::{Change, Ruleset};
use crate::error::{Doing, Error};

/// A connection to nf_tables of one network namespace.
#[derive(Debug)]
pub struct Firewall {
    socket: Socket,
}

impl Firewall {
    /// Of the calling thread's namespace.
    pub fn open() -> Result<Self, Error> {
        let socket = said(Socket::open(Family::Netfilter), || {
            "open a netlink socket".to_owned()
        })?;
        Ok(Self { socket })
    }

    /// Of another one, which the calling thread enters for a moment.
    pub fn open_in(namespace: impl AsFd) -> Result<Self, Error> {
        let socket = Socket::open_in(namespace, Family::Netfilter);
        let socket = socket.doing(|| "open a netlink socket in a namespace".to_owned())?;
        Ok(Self { socket })
    }

    /// Puts the whole table in place; what was in it is gone in the same moment.
    pub fn replace(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        self.put_table(&ruleset.render())
    }

    fn replace_table(&mut self, table: &Table) -> Result<(), Error> {
        Batch::replace(table)
            .run(&mut self.socket)
            .doing(|| format!("put the nftables table inet {} in place", table.name))
    }

    /// Where there is no such table yet, which is quick, or in the place of what is there.
    pub(super) fn put_table(&mut self, table: &Table) -> Result<(), Error> {
        match Batch::create(table).run(&mut self.socket) {
            Err(error) if error.errno == Errno::EXIST => self.replace_table(table),
            made => said(made, || {
                format!("make the nftables table inet {}", table.name)
            }),
        }
    }

    /// Makes one change to the table, which has to be as `before` says; the model is the caller's to change.
    /// Takes as long whatever else is in the table, unless a network comes or goes.
    pub fn change(&mut self, before: &Ruleset, change: &Change) -> Result<(), Error> {
        before
            .batch(change)
            .run(&mut self.socket)
            .doing(|| format!("change the nftables table inet {}", before.table))
    }

    /// Removes the table. One that is not there is no error.
    pub fn remove(&mut self, table: &str) -> Result<(), Error> {
        let mut batch = Batch::new(table);
        batch.add_table();
        batch.delete_table();
        batch
            .run(&mut self.socket)
            .doing(|| format!("remove the nftables table inet {table}"))
    }

    /// Whether the kernel's table is as the model says: the same chains with the same rules by their comments,
    /// the same elements in the same sets and maps.
    pub fn matches(&mut self, ruleset: &Ruleset) -> Result<bool, Error> {
        let listed = nft::list(&mut self.socket, &ruleset.table)
            .doing(|| format!("list the nftables table inet {}", ruleset.table))?;
        Ok(listed == nft::expected(&ruleset.render()))
    }

    /// Hears of what others do to tables of the same namespace, of which the calling thread must be.
    pub fn watch(&self) -> Result<Watch, Error> {
        let doing = || "listen to changes of nftables".to_owned();
        /// NFNLGRP_NFTABLES.
        const GROUP: u32 = 7;
        Ok(Watch {
            own: self.socket.port().doing(doing)?,
            socket: Socket::listen(Family::Netfilter, &[GROUP]).doing(doing)?,
        })
    }
}

/// Hears of what others do to a table. Readable when there is news.
#[derive(Debug)]
pub struct Watch {
    own: u32,
    socket: Socket,
}

impl Watch {
    /// Takes all news. Whether somebody other than the [`Firewall`] that this came from has, or may have,
    /// touched this table.
    pub fn drain(&mut self, table: &str) -> Result<bool, Error> {
        let mut touched = false;
        let lost = self.socket.news(|message| {
            touched |= message.port != self.own && nft::news_of(message).as_deref() == Some(table);
        });
        let lost = lost.doing(|| "read changes of nftables".to_owned())?;
        Ok(touched || lost)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where nothing of nftables is there, that is said, and what can be done.
fn said<T>(answer: sys::netlink::Result<T>, doing: impl FnOnce() -> String) -> Result<T, Error> {
    match answer {
        // netlink(7): no such family of sockets, or nobody of that family for tables.
        Err(source) if [Errno::PROTONOSUPPORT, Errno::OPNOTSUPP].contains(&source.errno) => {
            Err(Error::NoNftables { source })
        }
        answer => answer.doing(doing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_tables_is_named() {
        let error = |errno| {
            let source = sys::Error {
                call: "sendmsg",
                errno,
            };
            let answer: sys::netlink::Result<()> = Err(source.into());
            said(answer, || "make a table".to_owned())
                .unwrap_err()
                .to_string()
        };
        assert!(error(Errno::OPNOTSUPP).contains("no nftables"));
        assert_eq!(error(Errno::PERM), "cannot make a table");
    }
}
