//! JSON as Go reads it: the names of an object's fields in whatever case.
//!
//! `encoding/json` takes the field whose name is the key, and if there is none the one whose name differs in case only.
//! Keys of maps (labels, options, names of networks) are what they are.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

/// Reads a document.
///
/// # Errors
/// When it is no JSON, or not of this type.
pub fn from_slice<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Loose(&mut reader))?;
    reader.end()?;
    Ok(value)
}

/// Reads a document that has been read as any.
///
/// # Errors
/// When it is not of this type.
pub(crate) fn from_value<'de, T: Deserialize<'de>>(
    value: &'de serde_json::Value,
) -> serde_json::Result<T> {
    T::deserialize(Loose(value))
}

/// What reads, and has fields found by names in whatever case.
struct Loose<R>(R);

macro_rules! forward {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.0.$name(Inner { visitor, fields: &[] })
        }
    )*};
}

impl<'de, R: Deserializer<'de>> Deserializer<'de> for Loose<R> {
    type Error = R::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let fields = &[];
        self.0
            .deserialize_newtype_struct(name, Inner { visitor, fields })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let fields = &[];
        self.0.deserialize_tuple(length, Inner { visitor, fields })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let fields = &[];
        self.0
            .deserialize_tuple_struct(name, length, Inner { visitor, fields })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0
            .deserialize_struct(name, fields, Inner { visitor, fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let fields = &[];
        self.0
            .deserialize_enum(name, variants, Inner { visitor, fields })
    }
}

/// What is read, with the names of its fields if it has some.
struct Inner<V> {
    visitor: V,
    fields: &'static [&'static str],
}

macro_rules! visit {
    ($($name:ident: $ty:ty,)*) => {$(
        fn $name<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.visitor.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Inner<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_i128: i128, visit_u128: u128,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
        visit_bytes: &[u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Loose(from))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Loose(from))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, from: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Items(from))
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<V::Value, A::Error> {
        let fields = self.fields;
        self.visitor.visit_map(Fields { from, fields })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(from)
    }
}

/// One value, by whoever reads it.
struct Seed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Loose(from))
    }
}

struct Items<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

struct Fields<A> {
    from: A,
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        if self.fields.is_empty() {
            return self.from.next_key_seed(Seed(seed));
        }
        let Some(key) = self.from.next_key::<String>()? else {
            return Ok(None);
        };
        let exact = self.fields.contains(&key.as_str());
        let close = || self.fields.iter().find(|f| f.eq_ignore_ascii_case(&key));
        match (!exact).then(close).flatten() {
            Some(name) => seed.deserialize((*name).into_deserializer()).map(Some),
            None => seed.deserialize(key.into_deserializer()).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.from.next_value_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.from.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ContainerCreateRequest, ContainerUpdateRequest, NetworkCreateRequest};

    #[test]
    fn fields_have_names_in_whatever_case() {
        let text = br#"{"image": "bb", "CMD": ["true"], "labels": {"Image": "x", "image": "y"},
            "healthcheck": {"TEST": ["NONE"]},
            "hostconfig": {"binds": ["/a:/b"], "restartPolicy": {"name": "always"},
                "portBindings": {"80/tcp": [{"hostPort": "8080"}]}},
            "networkingConfig": {"endpointsConfig": {"Net": {"aliases": ["a"]}}}}"#;
        let read: ContainerCreateRequest = from_slice(text).unwrap();
        assert_eq!(read.config.image, "bb");
        let labels = read.config.labels.unwrap();
        assert_eq!((&labels["Image"][..], &labels["image"][..]), ("x", "y"));
        assert_eq!(read.config.healthcheck.unwrap().test, ["NONE"]);
        assert_eq!(read.host_config.binds.unwrap(), ["/a:/b"]);
        assert_eq!(read.host_config.restart_policy.name, "always");
        let networks = read.networking_config.endpoints_config.unwrap();
        let network = networks["Net"].clone().unwrap();
        assert_eq!(network.aliases.as_deref(), Some(&["a".to_owned()][..]));
        let text = br#"{"memory": 5, "restartpolicy": {"NAME": "no"}, "labels": {"A": "b"}}"#;
        let update: ContainerUpdateRequest = from_slice(text).unwrap();
        assert_eq!(update.host_config.memory, 5);
        assert_eq!(update.host_config.restart_policy.name, "no");
        let network: NetworkCreateRequest = from_slice(br#"{"NAME": "n"}"#).unwrap();
        assert_eq!(network.name, "n");
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let wrong = |text: &str| from_slice::<NetworkCreateRequest>(text.as_bytes()).unwrap_err();
        assert!(wrong("{\"name\": 5}").to_string().contains("invalid type"));
        assert!(wrong("{} x").to_string().contains("trailing"));
        assert!(wrong("{").to_string().contains("EOF"));
    }
}
