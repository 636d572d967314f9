//! Reads serde values. Bytes enter that may be anything; a value leaves, or an error.
//!
//! The memory that a value takes is bounded by the bytes at hand: a length that is announced reserves nothing beyond
//! them, and elements that take no bytes are counted.

use std::fmt::Display;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::access::{Elements, Fields, Variant};
use super::run::{DEEPEST, take_array, take_byte, take_run, take_varint, take_varint_128, too_deep, too_large, utf8};
use crate::codec::error::CodecError;

/// Takes a value off.
pub(crate) fn take_value<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, CodecError> {
    let mut reader = Reader { from, depth: 0, empty: MOST_EMPTY };
    let value = T::deserialize(&mut reader)?;
    *from = reader.from;
    Ok(value)
}

/// How many elements of one value may take no bytes at all, as those of a `Vec<()>` do.
pub(super) const MOST_EMPTY: u32 = 1 << 20;

impl serde::de::Error for CodecError {
    fn custom<T: Display>(message: T) -> Self {
        CodecError::new(message.to_string())
    }
}

/// What is left to read, and what may still happen on the way.
pub(super) struct Reader<'i> {
    pub(super) from: &'i [u8],
    depth: u32,
    /// How many more elements may take no bytes.
    pub(super) empty: u32,
}

impl Reader<'_> {
    /// Reads what is one level further in.
    pub(super) fn nested<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, CodecError>) -> Result<R, CodecError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn length(&mut self) -> Result<usize, CodecError> {
        usize::try_from(take_varint(&mut self.from)?).map_err(|_| too_large())
    }

    pub(super) fn unsigned<N: TryFrom<u64>>(&mut self) -> Result<N, CodecError> {
        N::try_from(take_varint(&mut self.from)?).map_err(|_| too_large())
    }

    fn signed<N: TryFrom<i64>>(&mut self) -> Result<N, CodecError> {
        let number = take_varint(&mut self.from)?;
        N::try_from((number >> 1) as i64 ^ -((number & 1) as i64)).map_err(|_| too_large())
    }

    fn mark(&mut self, what: &str) -> Result<bool, CodecError> {
        match take_byte(&mut self.from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::new(format!("the byte {other} is no {what}"))),
        }
    }
}

/// Methods that read one plain thing.
macro_rules! plain {
    ($($method:ident => $visit:ident: $read:expr;)*) => {$(
        fn $method<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
            let read: fn(&mut Reader<'i>) -> Result<_, CodecError> = $read;
            visitor.$visit(read(self)?)
        }
    )*};
}

impl<'i> Deserializer<'i> for &mut Reader<'i> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        false
    }

    plain! {
        deserialize_bool => visit_bool: |reader| reader.mark("`bool`");
        deserialize_i8 => visit_i8: |reader| take_array(&mut reader.from).map(i8::from_le_bytes);
        deserialize_i16 => visit_i16: Reader::signed;
        deserialize_i32 => visit_i32: Reader::signed;
        deserialize_i64 => visit_i64: Reader::signed;
        deserialize_i128 => visit_i128: |reader| {
            let number = take_varint_128(&mut reader.from)?;
            Ok((number >> 1) as i128 ^ -((number & 1) as i128))
        };
        deserialize_u8 => visit_u8: |reader| take_byte(&mut reader.from);
        deserialize_u16 => visit_u16: Reader::unsigned;
        deserialize_u32 => visit_u32: Reader::unsigned;
        deserialize_u64 => visit_u64: Reader::unsigned;
        deserialize_u128 => visit_u128: |reader| take_varint_128(&mut reader.from);
        deserialize_f32 => visit_f32: |reader| take_array(&mut reader.from).map(f32::from_le_bytes);
        deserialize_f64 => visit_f64: |reader| take_array(&mut reader.from).map(f64::from_le_bytes);
        deserialize_str => visit_borrowed_str: |reader| utf8(take_run(&mut reader.from)?);
        deserialize_string => visit_borrowed_str: |reader| utf8(take_run(&mut reader.from)?);
        deserialize_bytes => visit_borrowed_bytes: |reader| take_run(&mut reader.from);
        deserialize_byte_buf => visit_borrowed_bytes: |reader| take_run(&mut reader.from);
    }

    fn deserialize_char<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let text = utf8(take_run(&mut self.from)?)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => visitor.visit_char(char),
            _ => Err(CodecError::new(format!("{} bytes of text are no single `char`", text.len()))),
        }
    }

    fn deserialize_option<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.mark("mark of an `Option`")? {
            false => visitor.visit_none(),
            true => self.nested(|reader| visitor.visit_some(reader)),
        }
    }

    fn deserialize_unit<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'i>>(self, _name: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'i>>(self, _name: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        self.nested(|reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_seq<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let left = self.length()?;
        self.nested(|reader| visitor.visit_seq(Elements::new(reader, left)))
    }

    fn deserialize_tuple<V: Visitor<'i>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.nested(|reader| visitor.visit_seq(Fields::new(reader, length)))
    }

    fn deserialize_tuple_struct<V: Visitor<'i>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'i>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let left = self.length()?;
        self.nested(|reader| visitor.visit_map(Elements::new(reader, left)))
    }

    fn deserialize_struct<V: Visitor<'i>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'i>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_enum(Variant::new(self))
    }

    fn deserialize_identifier<V: Visitor<'i>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(no_description())
    }

    fn deserialize_ignored_any<V: Visitor<'i>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(no_description())
    }

    fn deserialize_any<V: Visitor<'i>>(self, _visitor: V) -> Result<V::Value, CodecError> {
        Err(no_description())
    }
}

fn no_description() -> CodecError {
    CodecError::new(
        "the type wants to find out from the bytes what it is, and they do not tell: \
         `flatten`, `untagged` and `tag` of serde cannot travel",
    )
}
