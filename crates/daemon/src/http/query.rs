//! The query part of a request's address.

use std::collections::BTreeMap;

use api::convert::parse_time;
use percent_encoding::percent_decode_str;

use super::error::Failure;

/// Names and values in order; names may repeat.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// `filters`: keys with their values.
pub(crate) type Filters = BTreeMap<String, Vec<String>>;

impl Query {
    /// Of `a=b&c=d%20e`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let decode = |part: &str| {
            let spaced = part.replace('+', " ");
            percent_decode_str(&spaced)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Failure::bad_request("the query is no text"))
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first value; an empty one counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean as Docker reads it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.get(name).unwrap_or_default().trim().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A number, if there is one.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Failure::bad_request(format!("invalid {name}: {text:?} is no number")))
    }

    /// A time in nanoseconds since the epoch, if there is one.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        let text = self.get(name).unwrap_or_default();
        parse_time(text).ok_or_else(|| {
            Failure::bad_request(format!(
                "invalid value for \"{name}\": {text:?}: seconds[.nanoseconds] or RFC 3339 is expected"
            ))
        })
    }

    /// Both forms: `{"key": {"value": true}}` and `{"key": ["value"]}`.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Values {
            Set(BTreeMap<String, bool>),
            List(Vec<String>),
        }
        let Some(text) = self.get("filters") else {
            return Ok(Filters::new());
        };
        let parsed: BTreeMap<String, Values> = serde_json::from_str(text)
            .map_err(|error| Failure::bad_request(format!("invalid filters: {error}")))?;
        let values = |values| match values {
            Values::Set(set) => set
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(v, _)| v)
                .collect(),
            Values::List(list) => list,
        };
        Ok(parsed.into_iter().map(|(k, v)| (k, values(v))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = Query::parse("a=1&b=x+y%20z&names=p&names=q&t=-1&empty=&off=false").unwrap();
        assert_eq!(query.get("b"), Some("x y z"));
        assert_eq!(query.get("empty"), None);
        assert!(query.flag("a") && !query.flag("off") && !query.flag("missing"));
        assert_eq!(query.all("names").collect::<Vec<_>>(), ["p", "q"]);
        assert_eq!(query.number::<i64>("t").unwrap(), Some(-1));
        assert_eq!(
            query.number::<u16>("b").unwrap_err().message(),
            "invalid b: \"x y z\" is no number"
        );
        assert!(Query::parse("a=%ff").is_err());
    }

    #[test]
    fn filters_in_both_forms() {
        let filters = |text: &str| Query(vec![("filters".into(), text.into())]).filters();
        let both = [
            r#"{"name":{"a":true,"b":true,"c":false}}"#,
            r#"{"name":["a","b"]}"#,
        ];
        for text in both {
            assert_eq!(filters(text).unwrap()["name"], ["a", "b"], "{text}");
        }
        assert!(filters("{").is_err() && filters(r#"{"name":"a"}"#).is_err());
        assert!(filters("").unwrap().is_empty());
    }
}
