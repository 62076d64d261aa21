//! A serde deserializer over a JSON value that fails as Go's JSON decoder does.
//!
//! serde tells the deserializer the name and fields of each struct it enters; that is all that is needed for unknown
//! fields and for Go's error texts. The element type of a list or map that is none is found by asking its visitor for
//! one element and looking at what it wants.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::DecodeError;
use super::go_types::{is_pointer, text_type};
use super::question::{QUANTITY, Question};
use crate::objects::quantity::Quantity;

/// Decodes `value`; also gives the unknown fields.
pub(super) fn decode<T: DeserializeOwned>(value: &Value) -> Result<(T, Vec<String>), DecodeError> {
    let mut context = Context::default();
    let object = T::deserialize(Walker { value, context: &mut context }).map_err(Problem::into_error)?;
    let problems = std::mem::take(&mut context.problems);
    if context.zeros.is_empty() {
        return Ok((object, problems));
    }
    // The types are right, so a second walk without the zero values cannot fail.
    context.dropping = true;
    let object = T::deserialize(Walker { value, context: &mut context }).map_err(Problem::into_error)?;
    Ok((object, problems))
}

/// Where the walk is and what it has found.
#[derive(Default)]
struct Context<'v> {
    path: Vec<Step<'v>>,
    /// The struct the walk is in: Go names it in its errors.
    within: &'static str,
    /// The field of that struct whose value is being read.
    field: &'v str,
    problems: Vec<String>,
    /// Zero values of fields that are no pointers, to be dropped.
    zeros: Vec<&'v Value>,
    dropping: bool,
}

enum Step<'v> {
    Field(&'v str),
    Key(&'v str),
    Index(usize),
}

impl<'v> Context<'v> {
    /// `spec.containers[0].name`, as strict decoding names a field.
    fn strict_path(&self, last: &str) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) | Step::Key(name) => {
                    text.push_str(if text.is_empty() { "" } else { "." });
                    text.push_str(name);
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        if text.is_empty() { last.to_owned() } else { format!("{text}.{last}") }
    }

    /// `json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32`.
    fn mismatch(&self, value: &Value, wanted: &str) -> Problem {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let fields: Vec<&str> =
            self.path.iter().filter_map(|step| if let Step::Field(name) = step { Some(*name) } else { None }).collect();
        Problem::Refused(if fields.is_empty() {
            format!("json: cannot unmarshal {found} into Go value of type {wanted}")
        } else {
            let path = fields.join(".");
            format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}", self.within)
        })
    }

    /// Notes a value that Go would not tell from an absent one, if the field it belongs to is no pointer.
    fn note_zero(&mut self, value: &'v Value) {
        if matches!(self.path.last(), Some(Step::Field(_))) && !self.dropping && !is_pointer(self.within, self.field) {
            self.zeros.push(value);
        }
    }

    fn dropped(&self, value: &Value) -> bool {
        self.dropping && self.zeros.iter().any(|zero| std::ptr::eq(*zero, value))
    }
}

/// Why the walk stopped.
#[derive(Debug)]
pub(super) enum Problem {
    /// The value is refused, with this text.
    Refused(String),
    /// It was only a question; this is the Go type that was asked about.
    Answer(String),
}

impl Problem {
    fn into_error(self) -> DecodeError {
        match self {
            Problem::Refused(text) | Problem::Answer(text) => DecodeError(text),
        }
    }

    pub(super) fn into_type(self) -> String {
        match self {
            Problem::Refused(_) => "interface {}".to_owned(),
            Problem::Answer(text) => text,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Refused(text) | Problem::Answer(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Problem::Refused(text.to_string())
    }
}

/// One value on the walk.
struct Walker<'c, 'v> {
    value: &'v Value,
    context: &'c mut Context<'v>,
}

impl<'v> Walker<'_, 'v> {
    fn integer(&mut self, wanted: &'static str) -> Result<i64, Problem> {
        match self.value {
            Value::Null => Ok(0),
            Value::Number(number) => {
                let integer = number.as_i64().filter(|value| wanted == "int64" || i32::try_from(*value).is_ok());
                let integer = integer.ok_or_else(|| self.context.mismatch(self.value, wanted))?;
                if integer == 0 {
                    self.context.note_zero(self.value);
                }
                Ok(integer)
            }
            other => Err(self.context.mismatch(other, wanted)),
        }
    }

    /// The text of a quantity, canonical.
    fn quantity(&self) -> Result<String, Problem> {
        let text = match self.value {
            Value::Null => "0".to_owned(),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        Quantity::parse(&text).map(Quantity::canonical).map_err(|error| Problem::Refused(error.to_string()))
    }
}

impl<'v> Deserializer<'v> for Walker<'_, 'v> {
    type Error = Problem;

    /// Only IntOrString asks for anything.
    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(number) => match number.as_i64().and_then(|value| i32::try_from(value).ok()) {
                Some(value) => visitor.visit_i32(value),
                None => {
                    Err(Problem::Refused(format!("json: cannot unmarshal number {number} into Go value of type int32")))
                }
            },
            Value::Null => visitor.visit_i32(0),
            other => Err(Context::default().mismatch(other, "int32")),
        }
    }

    fn deserialize_bool<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Bool(value) => {
                if !value {
                    self.context.note_zero(self.value);
                }
                visitor.visit_bool(*value)
            }
            Value::Null => visitor.visit_bool(false),
            other => Err(self.context.mismatch(other, "bool")),
        }
    }

    fn deserialize_i32<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_i64(self.integer("int32")?)
    }

    fn deserialize_i64<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_i64(self.integer("int64")?)
    }

    fn deserialize_f64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            Value::Null => visitor.visit_f64(0.0),
            other => Err(self.context.mismatch(other, "float64")),
        }
    }

    fn deserialize_str<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::String(text) => {
                if text.is_empty() {
                    self.context.note_zero(self.value);
                }
                // A text itself takes any text; what refuses one is a list of bytes.
                visitor.visit_borrowed_str(text).map_err(|_: Problem| {
                    Problem::Refused(format!("illegal base64 data at input byte {}", corrupt(text)))
                })
            }
            Value::Null => visitor.visit_borrowed_str(""),
            other => Err(self.context.mismatch(other, text_type(self.context.within, self.context.field))),
        }
    }

    fn deserialize_string<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        match (name, self.value) {
            ("Quantity", _) => visitor.visit_newtype_struct(StringDeserializer::new(self.quantity()?)),
            ("Time" | "MicroTime", Value::String(text)) => visitor
                .visit_newtype_struct(BorrowedStrDeserializer::new(text))
                .map_err(|_: Problem| Problem::Refused(bad_time(name, text))),
            ("Time" | "MicroTime", other) => Err(Context::default().mismatch(other, "string")),
            (_, value) => visitor.visit_newtype_struct(value).map_err(|error| Problem::Refused(error.to_string())),
        }
    }

    fn deserialize_seq<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Array(items) => {
                if items.is_empty() {
                    self.context.note_zero(self.value);
                }
                visitor.visit_seq(Items { items, next: 0, context: self.context })
            }
            Value::Null => visitor.visit_seq(Items { items: &[], next: 0, context: self.context }),
            other => {
                let text = text_type(self.context.within, self.context.field);
                let element = visitor.visit_seq(Question { text }).err().map_or_else(String::new, Problem::into_type);
                Err(self.context.mismatch(other, &format!("[]{element}")))
            }
        }
    }

    fn deserialize_map<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Object(map) => {
                if map.is_empty() {
                    self.context.note_zero(self.value);
                }
                visitor.visit_map(Entries { entries: map.iter(), value: None, context: self.context })
            }
            Value::Null => visitor.visit_map(Nothing),
            other => {
                let asked = visitor.visit_map(Question { text: "string" });
                let element = asked.err().map_or_else(String::new, Problem::into_type);
                let wanted =
                    if element == QUANTITY { "v1.ResourceList".to_owned() } else { format!("map[string]{element}") };
                Err(self.context.mismatch(other, &wanted))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let Value::Object(map) = self.value else {
            if self.value.is_null() {
                return visitor.visit_map(Nothing);
            }
            return Err(self.context.mismatch(self.value, &format!("v1.{name}")));
        };
        let Context { within, field, .. } = *self.context;
        let entries = map.iter();
        let result = visitor.visit_map(Fields { name, fields, entries, value: None, context: &mut *self.context });
        self.context.within = within;
        self.context.field = field;
        result
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'v>>
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

/// The fields of a struct.
struct Fields<'c, 'v> {
    name: &'static str,
    fields: &'static [&'static str],
    entries: serde_json::map::Iter<'v>,
    value: Option<(&'v str, &'v Value)>,
    context: &'c mut Context<'v>,
}

impl<'v> MapAccess<'v> for Fields<'_, 'v> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        for (key, value) in self.entries.by_ref() {
            if !self.fields.contains(&key.as_str()) {
                if !self.context.dropping {
                    let path = self.context.strict_path(key);
                    self.context.problems.push(format!("unknown field {path:?}"));
                }
                continue;
            }
            if !self.context.dropped(value) {
                self.value = Some((key, value));
                return seed.deserialize(key.as_str().into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let Some((key, value)) = self.value.take() else {
            return Err(Problem::Refused("a value without a key".to_owned()));
        };
        self.context.within = self.name;
        self.context.field = key;
        self.context.path.push(Step::Field(key));
        let result = seed.deserialize(Walker { value, context: self.context });
        self.context.path.pop();
        result
    }
}

/// The entries of a map.
struct Entries<'c, 'v> {
    entries: serde_json::map::Iter<'v>,
    value: Option<(&'v str, &'v Value)>,
    context: &'c mut Context<'v>,
}

impl<'v> MapAccess<'v> for Entries<'_, 'v> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let Some((key, value)) = self.value.take() else {
            return Err(Problem::Refused("a value without a key".to_owned()));
        };
        self.context.path.push(Step::Key(key));
        let result = seed.deserialize(Walker { value, context: self.context });
        self.context.path.pop();
        result
    }
}

/// The items of a list.
struct Items<'c, 'v> {
    items: &'v [Value],
    next: usize,
    context: &'c mut Context<'v>,
}

impl<'v> SeqAccess<'v> for Items<'_, 'v> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        let Some(value) = self.items.get(self.next) else { return Ok(None) };
        self.context.path.push(Step::Index(self.next));
        self.next += 1;
        let result = seed.deserialize(Walker { value, context: self.context });
        self.context.path.pop();
        result.map(Some)
    }
}

/// Nothing inside: null in place of a struct or map.
struct Nothing;

impl<'v> MapAccess<'v> for Nothing {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, _: K) -> Result<Option<K::Value>, Problem> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'v>>(&mut self, _: S) -> Result<S::Value, Problem> {
        Err(Problem::Refused("a value without a key".to_owned()))
    }
}

/// Index of the first byte at which Go's base64 decoder stumbles.
fn corrupt(text: &str) -> usize {
    let bytes: Vec<(usize, u8)> = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r')).collect();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let Some(stop) = bytes.iter().position(|(_, byte)| !is_digit(*byte)) else { return text.len() };
    let at = |index: usize| bytes.get(index).map_or(text.len(), |(position, _)| *position);
    match (bytes.get(stop).map(|(_, byte)| *byte), stop % 4) {
        (Some(b'='), 2) if bytes.get(stop + 1).is_some_and(|(_, byte)| *byte == b'=') => at(stop + 2),
        (Some(b'='), 2) => at(stop + 1),
        (Some(b'='), 3) => at(stop + 1),
        _ => at(stop),
    }
}

/// `parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"`.
fn bad_time(name: &str, text: &str) -> String {
    let layout = if name == "Time" { "2006-01-02T15:04:05Z07:00" } else { "2006-01-02T15:04:05.000000Z07:00" };
    format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")
}
