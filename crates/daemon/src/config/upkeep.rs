//! What is done for the disk in the background.

use engine::Watermarks;
use engine::image::Upkeep;

use super::{Error, Origin, Source};

/// How far below the high watermark the low one is when nobody says, in per cent of the disk.
const DISTANCE: u8 = 10;

const HIGH: &str = "disk-high";
const LOW: &str = "disk-low";

pub(super) fn upkeep(source: &Source) -> Result<Upkeep, Error> {
    let percent = |key, picked: Option<(Origin, String)>| {
        picked.map(|picked| percent(key, picked)).transpose()
    };
    let high = percent(HIGH, source.pick(|s| &s.disk_high))?;
    let low = percent(LOW, source.pick(|s| &s.disk_low))?;
    Ok(Upkeep {
        watermarks: watermarks(high, low)?,
        drop_blobs: drop_blobs(source.or(|s| &s.blobs, "keep"))?,
    })
}

fn watermarks(
    high: Option<(Origin, u8)>,
    low: Option<(Origin, u8)>,
) -> Result<Option<Watermarks>, Error> {
    let high = high.map(|(_, high)| high);
    let refused = |(origin, low): (Origin, u8), expected| Error::Value {
        key: LOW,
        value: low.to_string(),
        origin,
        expected,
    };
    match (high, low) {
        (None, None) => Ok(None),
        (None, Some(low)) => Err(refused(low, "disk-high beside it")),
        (Some(high), None) => {
            let low = high.saturating_sub(DISTANCE);
            Ok(Some(Watermarks { high, low }))
        }
        (Some(high), Some((_, low))) if low <= high => Ok(Some(Watermarks { high, low })),
        (Some(_), Some(low)) => Err(refused(low, "no more than disk-high")),
    }
}

fn percent(key: &'static str, (origin, value): (Origin, String)) -> Result<(Origin, u8), Error> {
    match value.parse() {
        Ok(number @ 1..=100) => Ok((origin, number)),
        _ => Err(Error::Value {
            key,
            value,
            origin,
            expected: "a share of the disk from 1 to 100, in per cent",
        }),
    }
}

fn drop_blobs((origin, value): (Origin, String)) -> Result<bool, Error> {
    match value.as_str() {
        "keep" => Ok(false),
        "drop" => Ok(true),
        _ => Err(Error::Value {
            key: "blobs",
            value,
            origin,
            expected: "keep or drop",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(high: Option<&str>, low: Option<&str>, blobs: Option<&str>) -> Result<Upkeep, String> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let settings = Settings {
            disk_high: owned(high),
            disk_low: owned(low),
            blobs: owned(blobs),
            ..Settings::default()
        };
        upkeep(&Source(vec![(Origin::Flag, settings)])).map_err(|error| error.to_string())
    }

    #[test]
    fn watermarks_are_off_unless_said() {
        assert_eq!(read(None, None, None), Ok(Upkeep::default()));
        let marks = |high, low| Some(Watermarks { high, low });
        let read_marks = |high, low| read(Some(high), low, None).unwrap().watermarks;
        assert_eq!(read_marks("90", None), marks(90, 80));
        assert_eq!(read_marks("5", None), marks(5, 0));
        assert_eq!(read_marks("90", Some("90")), marks(90, 90));
        assert!(read(None, None, Some("drop")).unwrap().drop_blobs);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (high, low, blobs, why) in [
            (
                Some("101"),
                None,
                None,
                "disk-high = \"101\" (from the command line): a share of the disk from 1 to 100, in \
                 per cent is expected",
            ),
            (
                None,
                Some("80"),
                None,
                "disk-low = \"80\" (from the command line): disk-high beside it is expected",
            ),
            (
                Some("80"),
                Some("81"),
                None,
                "disk-low = \"81\" (from the command line): no more than disk-high is expected",
            ),
            (
                None,
                None,
                Some("no"),
                "blobs = \"no\" (from the command line): keep or drop is expected",
            ),
        ] {
            assert_eq!(read(high, low, blobs).unwrap_err(), why);
        }
    }
}
