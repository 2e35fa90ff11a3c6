//! What a policy is told, as the library's own value: made from the facts themselves, without their text between.

use std::collections::BTreeMap;
use std::sync::Arc;

use regorus::Value;
use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct};
use serde_json::Error;

use super::part::Part;
use crate::gate::json::PRIVATE;

/// By what name `serde_json` hands over a text that it has checked, and the one member that it has.
const RAW: &str = "$serde_json::private::RawValue";

/// What is `read` of the value that `serde_json` would read where it has written `facts`.
///
/// # Errors
/// When the facts hold what a policy is never told: numbers with a fraction, bytes, keys that are no strings.
pub(super) fn value_of<T: Serialize + ?Sized>(facts: &T, read: &Part) -> Result<Value, Error> {
    facts.serialize(Values { is_raw: false, read })
}

/// As it is: `Value::from` would move all members once more, into a form that takes less memory.
pub(super) fn object(members: BTreeMap<Value, Value>) -> Value {
    Value::Object(Arc::new(members.into()))
}

/// Makes values.
struct Values<'a> {
    /// Whether a string is a text that was checked, to be read.
    is_raw: bool,
    read: &'a Part,
}

fn unheard_of(what: &str) -> Error {
    Error::custom(format!("a policy is never told {what}"))
}

impl<'a> serde::Serializer for Values<'a> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = Impossible<Value, Error>;
    type SerializeTupleStruct = Impossible<Value, Error>;
    type SerializeTupleVariant = Impossible<Value, Error>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Impossible<Value, Error>;

    fn serialize_bool(self, said: bool) -> Result<Value, Error> {
        Ok(Value::Bool(said))
    }

    fn serialize_i8(self, number: i8) -> Result<Value, Error> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<Value, Error> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<Value, Error> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<Value, Error> {
        Ok(Value::from(number))
    }

    fn serialize_u8(self, number: u8) -> Result<Value, Error> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<Value, Error> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<Value, Error> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<Value, Error> {
        Ok(Value::from(number))
    }

    fn serialize_f32(self, _number: f32) -> Result<Value, Error> {
        Err(unheard_of("a number with a fraction"))
    }

    fn serialize_f64(self, _number: f64) -> Result<Value, Error> {
        Err(unheard_of("a number with a fraction"))
    }

    fn serialize_char(self, letter: char) -> Result<Value, Error> {
        self.serialize_str(letter.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<Value, Error> {
        match self.is_raw {
            true => self.read.of_text(text),
            false => Ok(Value::String(text.into())),
        }
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Result<Value, Error> {
        Err(unheard_of("bytes"))
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, some: &T) -> Result<Value, Error> {
        some.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _number: u32,
        variant: &'static str,
    ) -> Result<Value, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        inner: &T,
    ) -> Result<Value, Error> {
        inner.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _number: u32,
        _variant: &'static str,
        _inner: &T,
    ) -> Result<Value, Error> {
        Err(unheard_of("a variant with a value"))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List<'a>, Error> {
        let elements = Vec::with_capacity(len.unwrap_or_default().min(64));
        Ok(List { elements, read: self.read.element() })
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unheard_of("a tuple"))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unheard_of("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _number: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unheard_of("a variant with a value"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(Members::of(self.read))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Members<'a>, Error> {
        match name != RAW && name.starts_with(PRIVATE) {
            true => Err(unheard_of(name)),
            false => Ok(Members::of(self.read)),
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _number: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unheard_of("a variant with a value"))
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, shown: &T) -> Result<Value, Error> {
        self.serialize_str(&shown.to_string())
    }
}

/// An array.
struct List<'a> {
    elements: Vec<Value>,
    read: &'a Part,
}

impl SerializeSeq for List<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Error> {
        self.elements.push(value_of(element, self.read)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::from(self.elements))
    }
}

/// An object; or a text that was checked, as what it says.
struct Members<'a> {
    members: BTreeMap<Value, Value>,
    key: Option<Value>,
    raw: Option<Value>,
    read: &'a Part,
}

impl<'a> Members<'a> {
    fn of(read: &'a Part) -> Self {
        Self { members: BTreeMap::new(), key: None, raw: None, read }
    }

    fn insert<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        if let Some((name, read)) = self.read.member(name) {
            self.members.insert(name, value_of(value, read)?);
        }
        Ok(())
    }
}

impl SerializeMap for Members<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match value_of(key, &Part::Whole)? {
            key @ Value::String(_) => self.key = Some(key),
            _ => return Err(unheard_of("a key that is no string")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self.key.take() {
            Some(Value::String(name)) => self.insert(&name, value),
            _ => Err(unheard_of("a value without a key")),
        }
    }

    fn end(self) -> Result<Value, Error> {
        Ok(object(self.members))
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name != RAW {
            return self.insert(name, value);
        }
        self.raw = Some(value.serialize(Values { is_raw: true, read: self.read })?);
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(self.raw.unwrap_or_else(|| object(self.members)))
    }
}
