//! The parts of a serde value that has parts: a list or map, a type with fields, a variant of an enum. The reader enters,
//! the parts leave one after the other.

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::read::{MOST_EMPTY, Reader};
use crate::codec::error::CodecError;

/// A list whose length the bytes said.
pub(super) struct Elements<'r, 'i> {
    reader: &'r mut Reader<'i>,
    left: usize,
}

impl<'r, 'i> Elements<'r, 'i> {
    pub(super) fn new(reader: &'r mut Reader<'i>, left: usize) -> Self {
        Elements { reader, left }
    }

    /// Never more than the bytes can hold, except for elements that take none.
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.from.len()))
    }
}

impl<'i> SeqAccess<'i> for Elements<'_, 'i> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'i>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let before = self.reader.from.len();
        let value = seed.deserialize(&mut *self.reader)?;
        if self.reader.from.len() == before {
            let most = || CodecError::new(format!("more than {MOST_EMPTY} elements that take no bytes"));
            self.reader.empty = self.reader.empty.checked_sub(1).ok_or_else(most)?;
        }
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'i> MapAccess<'i> for Elements<'_, 'i> {
    type Error = CodecError;

    fn next_key_seed<S: DeserializeSeed<'i>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<S: DeserializeSeed<'i>>(&mut self, seed: S) -> Result<S::Value, CodecError> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// The parts of a type that says itself how many it has.
pub(super) struct Fields<'r, 'i> {
    reader: &'r mut Reader<'i>,
    left: usize,
}

impl<'r, 'i> Fields<'r, 'i> {
    pub(super) fn new(reader: &'r mut Reader<'i>, left: usize) -> Self {
        Fields { reader, left }
    }
}

impl<'i> SeqAccess<'i> for Fields<'_, 'i> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'i>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The variant of an enum, of which only the number was read.
pub(super) struct Variant<'r, 'i> {
    reader: &'r mut Reader<'i>,
}

impl<'r, 'i> Variant<'r, 'i> {
    pub(super) fn new(reader: &'r mut Reader<'i>) -> Self {
        Variant { reader }
    }
}

impl<'i> EnumAccess<'i> for Variant<'_, 'i> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'i>>(self, seed: S) -> Result<(S::Value, Self), CodecError> {
        let index: U32Deserializer<CodecError> = self.reader.unsigned::<u32>()?.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'i> VariantAccess<'i> for Variant<'_, 'i> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'i>>(self, seed: S) -> Result<S::Value, CodecError> {
        self.reader.nested(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'i>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.reader.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'i>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, CodecError> {
        self.reader.deserialize_tuple(fields.len(), visitor)
    }
}
