//! The form of a record: canonical JSON (JCS, RFC 8785), and fit for a log that other programs read, with integers
//! that a double holds and texts of a bounded length. It is written at once, without a tree of its values.

use std::fmt;
use std::ops::Range;

use serde::ser::{self, Impossible, Serialize};

use crate::call::Digest;

/// The largest integer that every JSON reader holds exactly (RFC 8785 section 3.2.2.3, RFC 7493
/// section 2.2). Larger ones are written as decimal strings: nanoseconds of the boot clock pass it
/// after 104 days.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Longest text in bytes. Longer ones, which only an agent or a server supplies, are cut and their
/// digest is kept, so that nobody can make a record that shippers refuse.
const TEXT_BYTES_MAX: usize = 2_048;

/// Why a value has no plain form. Values of ours have one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPlain {
    /// Of a kind that no record has.
    #[error("no record has {0}")]
    Kind(&'static str),
    /// A key that is not of printed ASCII, or has to be escaped, or is there twice.
    #[error("the key {0:?} is not of plain ASCII, or there twice")]
    Key(String),
    /// In the words of the value.
    #[error("{0}")]
    Value(String),
}

impl ser::Error for NotPlain {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::Value(what.to_string())
    }
}

/// The plain form of `value`, put behind what `out` has.
///
/// # Errors
/// When it has none; `out` has a part of it then.
pub(super) fn write(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) -> Result<(), NotPlain> {
    value.serialize(Writer { out })
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn digits(self, number: &impl Serialize, is_large: bool) -> Result<(), NotPlain> {
        let quote: &[u8] = if is_large { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        serde_json::to_writer(&mut *self.out, number)
            .map_err(|error| NotPlain::Value(error.to_string()))?;
        self.out.extend_from_slice(quote);
        Ok(())
    }

    fn text(self, text: &str) -> Result<(), NotPlain> {
        let cut = (text.len() > TEXT_BYTES_MAX).then(|| cut(text));
        // The escapes of serde_json are those of JCS: two characters where there are such, else lower-case
        // hexadecimal digits, and of control characters, the quote and the backslash alone.
        serde_json::to_writer(self.out, cut.as_deref().unwrap_or(text))
            .map_err(|error| NotPlain::Value(error.to_string()))
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    format!("{}… [cut: {} bytes, sha256 {}]", &text[..end], text.len(), Digest::of(text.as_bytes()))
}

/// An array that is being written.
struct Items<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Items<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, is_first: true }
    }

    fn item(&mut self, item: &(impl Serialize + ?Sized)) -> Result<(), NotPlain> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        write(item, self.out)
    }

    fn close(self) {
        self.out.push(b']');
    }
}

/// An object that is being written: each member where it came, and in its order at the end.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    /// The members, with their commas: the key without its quotes, and the whole.
    written: Vec<(Range<usize>, Range<usize>)>,
    /// Where the key of the next one is.
    key: Option<Range<usize>>,
}

impl<'a> Members<'a> {
    fn begin(out: &'a mut Vec<u8>, expected: usize) -> Self {
        out.push(b'{');
        Self { out, written: Vec::with_capacity(expected), key: None }
    }

    fn key(&mut self, key: &str) -> Result<(), NotPlain> {
        // Then it stands as it is, and its bytes are in the order of its characters.
        let is_plain = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
        if !key.bytes().all(is_plain) {
            return Err(NotPlain::Key(key.to_owned()));
        }
        self.out.push(b'"');
        let begin = self.out.len();
        self.out.extend_from_slice(key.as_bytes());
        self.key = Some(begin..self.out.len());
        self.out.extend_from_slice(b"\":");
        Ok(())
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), NotPlain> {
        let key = self.key.take().ok_or(NotPlain::Kind("a value without a key"))?;
        write(value, self.out)?;
        self.out.push(b',');
        let whole = key.start - 1..self.out.len();
        self.written.push((key, whole));
        Ok(())
    }

    fn close(mut self) -> Result<(), NotPlain> {
        let out = self.out;
        let key = |at: &Range<usize>| &out[at.clone()];
        if !self.written.is_sorted_by(|(a, _), (b, _)| key(a) < key(b)) {
            self.written.sort_by(|(a, _), (b, _)| key(a).cmp(key(b)));
            if let Some([(twice, _), _]) =
                self.written.array_windows().find(|[(a, _), (b, _)]| key(a) == key(b))
            {
                return Err(NotPlain::Key(String::from_utf8_lossy(key(twice)).into_owned()));
            }
            let begin = self.written.iter().map(|(_, whole)| whole.start).min();
            let mut ordered = Vec::with_capacity(out.len() - begin.unwrap_or(out.len()));
            for (_, whole) in &self.written {
                ordered.extend_from_slice(&out[whole.clone()]);
            }
            out.truncate(begin.unwrap_or(out.len()));
            out.append(&mut ordered);
        }
        if !self.written.is_empty() {
            out.pop();
        }
        out.push(b'}');
        Ok(())
    }
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = NotPlain;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Impossible<(), NotPlain>;
    type SerializeTupleVariant = Impossible<(), NotPlain>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Impossible<(), NotPlain>;

    fn serialize_bool(self, value: bool) -> Result<(), NotPlain> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), NotPlain> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), NotPlain> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), NotPlain> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), NotPlain> {
        self.digits(&value, value.unsigned_abs() > INTEGER_MAX)
    }

    fn serialize_u8(self, value: u8) -> Result<(), NotPlain> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), NotPlain> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), NotPlain> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), NotPlain> {
        self.digits(&value, value > INTEGER_MAX)
    }

    fn serialize_f32(self, _: f32) -> Result<(), NotPlain> {
        Err(NotPlain::Kind("a number with a fraction"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), NotPlain> {
        Err(NotPlain::Kind("a number with a fraction"))
    }

    fn serialize_char(self, value: char) -> Result<(), NotPlain> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), NotPlain> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), NotPlain> {
        Err(NotPlain::Kind("bytes"))
    }

    fn serialize_none(self) -> Result<(), NotPlain> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotPlain> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotPlain> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotPlain> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), NotPlain> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotPlain> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotPlain> {
        let mut members = Members::begin(self.out, 1);
        members.key(variant)?;
        members.value(value)?;
        members.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, NotPlain> {
        Ok(Items::begin(self.out))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, NotPlain> {
        Ok(Items::begin(self.out))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, NotPlain> {
        Err(NotPlain::Kind("a structure without names"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotPlain> {
        Err(NotPlain::Kind("a variant with several values"))
    }

    fn serialize_map(self, expected: Option<usize>) -> Result<Members<'a>, NotPlain> {
        Ok(Members::begin(self.out, expected.unwrap_or_default()))
    }

    fn serialize_struct(self, _: &'static str, expected: usize) -> Result<Members<'a>, NotPlain> {
        Ok(Members::begin(self.out, expected))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotPlain> {
        Err(NotPlain::Kind("a variant with members"))
    }
}

macro_rules! of_items {
    ($($sequence:ident),*) => {$(
        impl ser::$sequence for Items<'_> {
            type Ok = ();
            type Error = NotPlain;

            fn serialize_element<T: Serialize + ?Sized>(
                &mut self,
                item: &T,
            ) -> Result<(), NotPlain> {
                self.item(item)
            }

            fn end(self) -> Result<(), NotPlain> {
                self.close();
                Ok(())
            }
        }
    )*};
}

of_items!(SerializeSeq, SerializeTuple);

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotPlain> {
        let mut text = Vec::new();
        write(key, &mut text)?;
        let text: String =
            serde_json::from_slice(&text).map_err(|_| NotPlain::Kind("a key that is no text"))?;
        self.key(&text)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotPlain> {
        self.value(value)
    }

    fn end(self) -> Result<(), NotPlain> {
        self.close()
    }
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), NotPlain> {
        self.key(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), NotPlain> {
        self.close()
    }
}
