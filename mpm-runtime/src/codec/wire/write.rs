//! Writes serde values. A value enters; its bytes are appended to a buffer, or none are.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::run::{DEEPEST, put_run, put_varint, put_varint_128, too_deep};
use crate::codec::error::CodecError;

/// Appends `value`.
pub(crate) fn put_value<T: Serialize + ?Sized>(value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = to.len();
    let outcome = value.serialize(&mut Writer { to, depth: 0 });
    if outcome.is_err() {
        to.truncate(before);
    }
    outcome
}

impl serde::ser::Error for CodecError {
    fn custom<T: Display>(message: T) -> Self {
        CodecError::new(message.to_string())
    }
}

struct Writer<'b> {
    to: &'b mut Vec<u8>,
    depth: u32,
}

impl Writer<'_> {
    fn enter(&mut self) -> Result<&mut Self, CodecError> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(too_deep()) } else { Ok(self) }
    }

    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        value.serialize(&mut *self.enter()?)?;
        self.depth -= 1;
        Ok(())
    }

    fn counted(&mut self, length: Option<usize>) -> Result<&mut Self, CodecError> {
        let unknown = || CodecError::new("a sequence or map does not know its length before it is written");
        put_varint(length.ok_or_else(unknown)? as u64, self.to);
        self.enter()
    }

    fn signed(&mut self, number: i64) -> Result<(), CodecError> {
        // Small negative numbers stay short: the sign goes to the lowest bit.
        put_varint(((number << 1) ^ (number >> 63)) as u64, self.to);
        Ok(())
    }

    #[inline]
    fn unsigned(&mut self, number: u64) -> Result<(), CodecError> {
        put_varint(number, self.to);
        Ok(())
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.to.extend_from_slice(bytes);
        Ok(())
    }
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.raw(&[u8::from(value)])
    }

    fn serialize_i8(self, value: i8) -> Result<(), CodecError> {
        self.raw(&value.to_le_bytes())
    }

    fn serialize_i16(self, value: i16) -> Result<(), CodecError> {
        self.signed(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), CodecError> {
        self.signed(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), CodecError> {
        self.signed(value)
    }

    fn serialize_i128(self, value: i128) -> Result<(), CodecError> {
        put_varint_128(((value << 1) ^ (value >> 127)) as u128, self.to);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), CodecError> {
        self.raw(&[value])
    }

    fn serialize_u16(self, value: u16) -> Result<(), CodecError> {
        self.unsigned(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), CodecError> {
        self.unsigned(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), CodecError> {
        self.unsigned(value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), CodecError> {
        put_varint_128(value, self.to);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), CodecError> {
        self.raw(&value.to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), CodecError> {
        self.raw(&value.to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), CodecError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CodecError> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CodecError> {
        put_run(value, self.to);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.raw(&[0])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        self.raw(&[1])?;
        self.nested(value)
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), CodecError> {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Result<(), CodecError> {
        self.unsigned(index.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), CodecError> {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.unsigned(index.into())?;
        self.nested(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, CodecError> {
        self.counted(length)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self, CodecError> {
        self.enter()
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, CodecError> {
        self.enter()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, CodecError> {
        self.unsigned(index.into())?;
        self.enter()
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, CodecError> {
        self.counted(length)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, CodecError> {
        self.enter()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, CodecError> {
        self.unsigned(index.into())?;
        self.enter()
    }
}

/// What has parts is written part by part, with nothing between them and nothing behind.
macro_rules! parts {
    ($($kind:ident :: $part:ident ( $($key:ident)? )),* $(,)?) => {$(
        impl $kind for &mut Writer<'_> {
            type Ok = ();
            type Error = CodecError;

            fn $part<T: Serialize + ?Sized>(&mut self, $($key: &'static str,)? part: &T) -> Result<(), CodecError> {
                $(let _ = $key;)?
                part.serialize(&mut **self)
            }

            fn end(self) -> Result<(), CodecError> {
                self.depth -= 1;
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(name),
    SerializeStructVariant::serialize_field(name),
}

impl SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), CodecError> {
        self.depth -= 1;
        Ok(())
    }
}
