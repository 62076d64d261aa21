//! What type the elements of a list or map have, asked of a visitor: whatever it wants is the answer, given as an
//! error.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::walk::Problem;

/// Go's name of a quantity.
pub(super) const QUANTITY: &str = "resource.Quantity";

/// Asks what type an element has: whatever is wanted is the answer, given as an error.
#[derive(Clone, Copy)]
pub(super) struct Question {
    /// The Go type of texts here.
    pub text: &'static str,
}

impl<'v> SeqAccess<'v> for Question {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        seed.deserialize(*self).map(Some)
    }
}

impl<'v> MapAccess<'v> for Question {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        seed.deserialize(BorrowedStrDeserializer::new("")).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        seed.deserialize(*self)
    }
}

impl<'v> Deserializer<'v> for Question {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer("intstr.IntOrString".to_owned()))
    }

    fn deserialize_bool<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer("bool".to_owned()))
    }

    fn deserialize_i32<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer("int32".to_owned()))
    }

    fn deserialize_i64<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer("int64".to_owned()))
    }

    fn deserialize_str<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer(self.text.to_owned()))
    }

    fn deserialize_string<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer(self.text.to_owned()))
    }

    /// Only lists of bytes are optional inside a list or map.
    fn deserialize_option<V: Visitor<'v>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer("[]uint8".to_owned()))
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, name: &'static str, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Answer(if name == "Quantity" { QUANTITY.to_owned() } else { format!("v1.{name}") }))
    }

    fn deserialize_seq<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        let element = visitor.visit_seq(self).err().map_or_else(String::new, Problem::into_type);
        Err(Problem::Answer(format!("[]{element}")))
    }

    fn deserialize_map<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        let element = visitor.visit_map(self).err().map_or_else(String::new, Problem::into_type);
        Err(Problem::Answer(format!("map[string]{element}")))
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Problem> {
        Err(Problem::Answer(format!("v1.{name}")))
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'v>>
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
        ignored_any
    }
}
