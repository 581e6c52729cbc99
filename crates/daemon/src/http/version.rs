//! Which version of the API a request speaks.

use api::Version;

use super::error::Failure;

/// The version of the path's prefix; without one, the newest.
pub(crate) fn negotiate(prefix: Option<&str>) -> Result<Version, Failure> {
    let Some(text) = prefix else {
        return Ok(Version::MAX);
    };
    let version: Version = match text.parse() {
        Ok(version) => version,
        // `/v1/` is what Docker reads as 1.0.
        Err(error) => match text.parse() {
            Ok(major) => Version::new(major, 0),
            Err::<u16, _>(_) => return Err(Failure::bad_request(error.to_string())),
        },
    };
    if version < Version::MIN {
        return Err(Failure::bad_request(format!(
            "client version {text} is too old. Minimum supported API version is {}, please \
             upgrade your client to a newer version",
            Version::MIN
        )));
    }
    if version > Version::MAX {
        return Err(Failure::bad_request(format!(
            "client version {text} is too new. Maximum supported API version is {}",
            Version::MAX
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_out_of_range_are_refused_in_dockers_words() {
        let show = |text| match negotiate(text) {
            Ok(version) => version.to_string(),
            Err(failure) => format!("{} {}", failure.status().as_u16(), failure.message()),
        };
        assert_eq!(show(None), "1.55");
        assert_eq!(show(Some("1.24")), "1.24");
        assert_eq!(
            show(Some("1.23")),
            "400 client version 1.23 is too old. Minimum supported API version is 1.24, please \
             upgrade your client to a newer version"
        );
        assert_eq!(
            show(Some("1.56")),
            "400 client version 1.56 is too new. Maximum supported API version is 1.55"
        );
        assert!(show(Some("1")).starts_with("400 client version 1 is too old."));
        assert!(show(Some("1.2.3")).starts_with("400 invalid API version"));
    }
}
