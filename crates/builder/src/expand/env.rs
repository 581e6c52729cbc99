//! Variables in the order in which they came about.

use std::collections::HashMap;

/// Names and values; a name stands once and keeps its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    list: Vec<(String, String)>,
    places: HashMap<String, usize>,
}

impl Env {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// A variable's value, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = *self.places.get(name)?;
        self.list.get(place).map(|(_, value)| value.as_str())
    }

    /// Sets a variable, in its old place if it has one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        match self.places.get(&name) {
            Some(place) => self.list[*place].1 = value.into(),
            None => {
                self.places.insert(name.clone(), self.list.len());
                self.list.push((name, value.into()));
            }
        }
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_str())
    }

    /// Every name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `NAME=value`, one each.
    pub fn to_list(&self) -> Vec<String> {
        self.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// From `NAME=value`; without `=` the value is empty.
    pub fn from_list<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut env = Self::new();
        for item in list {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            env.set(name, value);
        }
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once() {
        let mut env = Env::from_list(["A=1", "B", "A=2=3"]);
        env.set("C", "x");
        assert_eq!(env.to_list(), ["A=2=3", "B=", "C=x"]);
        assert_eq!((env.get("B"), env.get("D")), (Some(""), None));
    }
}
