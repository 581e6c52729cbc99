//! Volumes in the database.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use types::{ContainerId, VolumeName};

use super::{NewVolume, Volume, VolumeSnapshot, options};
use crate::error::Error;
use crate::paths::{DATA, Paths};

const COLUMNS: &str = "SELECT name, number, created, options, labels FROM volumes";

type Columns = (String, i64, i64, String, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

fn unreadable(what: &'static str, text: &str) -> Error {
    Error::Record {
        what,
        text: text.to_owned(),
    }
}

fn map(what: &'static str, text: &str) -> Result<BTreeMap<String, String>, Error> {
    serde_json::from_str(text).map_err(|_| unreadable(what, text))
}

fn read(db: &Connection, paths: &Paths, columns: Columns) -> Result<Volume, Error> {
    let (name, number, created, options, labels) = columns;
    let number = number.cast_unsigned();
    let options = map("volume's options", &options)?;
    let plan = options::plan(&options)?;
    Ok(Volume {
        users: users(db, &name)?,
        snapshots: snapshots(db, &name)?,
        name: name
            .parse()
            .map_err(|_| unreadable("volume's name", &name))?,
        created,
        labels: map("volume's labels", &labels)?,
        path: paths.volume(number).join(DATA),
        backing: plan.backing,
        options,
        number,
        size: plan.size,
    })
}

/// The volume of this name, if there is one.
pub(super) fn get(db: &Connection, paths: &Paths, name: &str) -> Result<Option<Volume>, Error> {
    let sql = format!("{COLUMNS} WHERE name = ?1");
    let row = db
        .prepare_cached(&sql)?
        .query_row([name], columns)
        .optional()?;
    row.map(|row| read(db, paths, row)).transpose()
}

/// The volume of this name.
pub(super) fn find(db: &Connection, paths: &Paths, name: &str) -> Result<Volume, Error> {
    get(db, paths, name)?.ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
}

/// All of them, by name.
pub(crate) fn all(db: &Connection, paths: &Paths) -> Result<Vec<Volume>, Error> {
    let sql = format!("{COLUMNS} ORDER BY name");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map([], columns)?;
    rows.map(|row| read(db, paths, row?)).collect()
}

fn users(db: &Connection, name: &str) -> Result<Vec<ContainerId>, Error> {
    let sql = "SELECT container FROM container_volumes WHERE volume = ?1 ORDER BY container";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([name], |row| row.get::<_, String>(0))?;
    rows.map(|row| {
        let id = row?;
        id.parse().map_err(|_| unreadable("container id", &id))
    })
    .collect()
}

fn snapshots(db: &Connection, name: &str) -> Result<Vec<VolumeSnapshot>, Error> {
    let sql = "SELECT name, created, number FROM volume_snapshots WHERE volume = ?1
        ORDER BY created, name";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([name], |row| {
        Ok(VolumeSnapshot {
            name: row.get(0)?,
            created: row.get(1)?,
            number: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Numbers of all directories that belong to somebody.
pub(crate) fn numbers(db: &Connection) -> Result<Vec<u64>, Error> {
    let sql = "SELECT number FROM volumes UNION SELECT number FROM volume_snapshots";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([], |row| row.get::<_, i64>(0))?;
    rows.map(|row| Ok(row?.cast_unsigned())).collect()
}

/// Adds one, unless there is one of that name; whether it did.
pub(super) fn insert(tx: &Transaction<'_>, new: &NewVolume, number: u64) -> Result<bool, Error> {
    let text = |map: &BTreeMap<String, String>| {
        // A map of texts always serializes.
        serde_json::to_string(map).unwrap_or_default()
    };
    let sql = "INSERT INTO volumes VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING";
    let inserted = tx.prepare_cached(sql)?.execute(params![
        new.name.as_str(),
        number.cast_signed(),
        crate::clock::now(),
        text(&new.options),
        text(&new.labels),
    ])?;
    Ok(inserted > 0)
}

/// Refuses a volume that is gone by now, or has other content than it had.
pub(super) fn unchanged(db: &Connection, volume: &Volume) -> Result<(), Error> {
    let same = db
        .prepare_cached("SELECT 1 FROM volumes WHERE name = ?1 AND number = ?2")?
        .exists(params![volume.name.as_str(), volume.number.cast_signed()])?;
    match same {
        true => Ok(()),
        false => Err(Error::VolumeChanged(volume.name.clone())),
    }
}

/// Refuses when the snapshot of this number is gone by now.
pub(super) fn has_snapshot(db: &Connection, volume: &Volume, number: u64) -> Result<(), Error> {
    let there = db
        .prepare_cached("SELECT 1 FROM volume_snapshots WHERE volume = ?1 AND number = ?2")?
        .exists(params![volume.name.as_str(), number.cast_signed()])?;
    match there {
        true => Ok(()),
        false => Err(Error::VolumeChanged(volume.name.clone())),
    }
}

/// Gives a volume another directory, as long as it has the one it is thought to have.
pub(super) fn replace(
    tx: &Transaction<'_>,
    name: &VolumeName,
    old: u64,
    new: u64,
) -> Result<bool, Error> {
    let sql = "UPDATE volumes SET number = ?3 WHERE name = ?1 AND number = ?2";
    let numbers = (old.cast_signed(), new.cast_signed());
    let changed = tx
        .prepare_cached(sql)?
        .execute(params![name.as_str(), numbers.0, numbers.1])?;
    Ok(changed > 0)
}

/// Deletes a volume and its snapshots; their directories.
pub(super) fn delete(tx: &Transaction<'_>, volume: &Volume) -> Result<Vec<u64>, Error> {
    tx.prepare_cached("DELETE FROM volumes WHERE name = ?1")?
        .execute([volume.name.as_str()])?;
    let snapshots = volume.snapshots.iter().map(|snapshot| snapshot.number);
    Ok(snapshots.chain([volume.number]).collect())
}

pub(super) fn rename(tx: &Transaction<'_>, volume: &Volume, new: &VolumeName) -> Result<(), Error> {
    tx.prepare_cached("UPDATE volumes SET name = ?2 WHERE name = ?1")?
        .execute([volume.name.as_str(), new.as_str()])?;
    Ok(())
}

/// Refuses a name that is taken.
pub(super) fn free(tx: &Transaction<'_>, name: &VolumeName) -> Result<(), Error> {
    let taken = tx
        .prepare_cached("SELECT 1 FROM volumes WHERE name = ?1")?
        .exists([name.as_str()])?;
    if taken {
        return Err(Error::VolumeExists(name.clone()));
    }
    Ok(())
}

/// Refuses what a container has.
pub(super) fn unused(volume: &Volume, what: &'static str) -> Result<(), Error> {
    if volume.users.is_empty() {
        return Ok(());
    }
    Err(Error::VolumeInUse {
        what,
        name: volume.name.clone(),
        users: volume.users.clone(),
    })
}

pub(super) fn insert_snapshot(
    tx: &Transaction<'_>,
    volume: &VolumeName,
    name: &str,
    number: u64,
) -> Result<(), Error> {
    let sql = "INSERT INTO volume_snapshots VALUES (?1, ?2, ?3, ?4)";
    tx.prepare_cached(sql)?.execute(params![
        volume.as_str(),
        name,
        number.cast_signed(),
        crate::clock::now(),
    ])?;
    Ok(())
}

pub(super) fn delete_snapshot(
    tx: &Transaction<'_>,
    volume: &VolumeName,
    name: &str,
) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM volume_snapshots WHERE volume = ?1 AND name = ?2")?
        .execute([volume.as_str(), name])?;
    Ok(())
}
