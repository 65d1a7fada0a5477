//! `tf.train.Example` messages: the features of one, borrowed from its bytes.
//!
//! An example is field 1 (`features`), which maps names (field 1) to features (field 2) in its field 1; a
//! feature is `bytes_list` (1), `float_list` (2) or `int64_list` (3), each with its values in field 1. The
//! reference is TensorFlow's `tensorflow/core/example/example.proto`; protobuf lets numbers come packed or
//! one by one, maps name a key twice (the last counts), and messages in several parts.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use crate::formats::items::Fault;

/// The values of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'a> {
    /// Nothing says of which kind.
    None,
    /// Byte strings.
    Bytes(Vec<&'a [u8]>),
    /// 32-bit floats, little-endian.
    Floats(Cow<'a, [u8]>),
    /// 64-bit integers, little-endian.
    Integers(Vec<u8>),
}

/// A named list of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values.
    pub values: Values<'a>,
}

/// A field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32(&'a [u8]),
}

fn damaged() -> Fault {
    Fault::new("tfrecord-example", "the record is no tf.train.Example")
}

struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(damaged())
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.0.len());
        let (bytes, rest) = self.0.split_at(length.ok_or_else(damaged)?);
        self.0 = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, Fault> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                self.bytes(8)?;
                Field::Fixed64
            }
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => Field::Fixed32(self.bytes(4)?),
            _ => return Err(damaged()),
        };
        Ok(Some((tag >> 3, field)))
    }

    /// Calls `each` with the messages that field `number` holds.
    fn each(mut self, number: u64, mut each: impl FnMut(&'a [u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        while let Some((found, field)) = self.field()? {
            match field {
                Field::Bytes(bytes) if found == number => each(bytes)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The features of an example, in their order; of a name given twice, the last.
///
/// # Errors
/// A fault when the bytes are no example, or are a `SequenceExample`.
pub fn features(example: &[u8]) -> Result<Vec<Feature<'_>>, Fault> {
    let mut found: Vec<Feature<'_>> = Vec::new();
    let mut index: FxHashMap<&str, usize> = FxHashMap::default();
    let mut message = Message(example);
    while let Some((number, field)) = message.field()? {
        match (number, field) {
            (1, Field::Bytes(features)) => Message(features).each(1, |entry| {
                let feature = map_entry(entry)?;
                let at = *index.entry(feature.name).or_insert(found.len());
                match found.get_mut(at) {
                    Some(other) => *other = feature,
                    None => found.push(feature),
                }
                Ok(())
            })?,
            (2, Field::Bytes(_)) => {
                let reason =
                    "the record is a tf.train.SequenceExample, of which only tf.train.Example is read";
                return Err(Fault::new("tfrecord-example", reason));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn map_entry(entry: &[u8]) -> Result<Feature<'_>, Fault> {
    let mut feature = Feature { name: "", values: Values::None };
    let mut message = Message(entry);
    while let Some((number, field)) = message.field()? {
        match (number, field) {
            (1, Field::Bytes(name)) => feature.name = std::str::from_utf8(name).map_err(|_| damaged())?,
            (2, Field::Bytes(bytes)) => feature.values = values(bytes, feature.values)?,
            _ => {}
        }
    }
    Ok(feature)
}

/// The values of a feature, which go on where an earlier part of the same kind stopped.
fn values<'a>(feature: &'a [u8], mut before: Values<'a>) -> Result<Values<'a>, Fault> {
    let mut message = Message(feature);
    while let Some((number, field)) = message.field()? {
        let Field::Bytes(list) = field else { continue };
        before = match (number, before) {
            (1, Values::Bytes(values)) => bytes_list(list, values)?,
            (1, _) => bytes_list(list, Vec::new())?,
            (2, Values::Floats(values)) => float_list(list, values)?,
            (2, _) => float_list(list, Cow::Borrowed(&[]))?,
            (3, Values::Integers(values)) => int64_list(list, values)?,
            (3, _) => int64_list(list, Vec::new())?,
            (_, before) => before,
        };
    }
    Ok(before)
}

fn bytes_list<'a>(list: &'a [u8], mut values: Vec<&'a [u8]>) -> Result<Values<'a>, Fault> {
    Message(list).each(1, |value| {
        values.push(value);
        Ok(())
    })?;
    Ok(Values::Bytes(values))
}

fn float_list<'a>(list: &'a [u8], mut values: Cow<'a, [u8]>) -> Result<Values<'a>, Fault> {
    let mut message = Message(list);
    while let Some((number, field)) = message.field()? {
        match field {
            Field::Bytes(packed) if number == 1 => {
                if packed.len() % 4 != 0 {
                    return Err(damaged());
                }
                if values.is_empty() {
                    values = Cow::Borrowed(packed);
                } else {
                    values.to_mut().extend_from_slice(packed);
                }
            }
            Field::Fixed32(value) if number == 1 => values.to_mut().extend_from_slice(value),
            _ => {}
        }
    }
    Ok(Values::Floats(values))
}

fn int64_list(list: &[u8], mut values: Vec<u8>) -> Result<Values<'_>, Fault> {
    let mut message = Message(list);
    while let Some((number, field)) = message.field()? {
        match field {
            Field::Bytes(packed) if number == 1 => {
                let mut packed = Message(packed);
                while !packed.0.is_empty() {
                    values.extend_from_slice(&packed.varint()?.to_le_bytes());
                }
            }
            Field::Varint(value) if number == 1 => values.extend_from_slice(&value.to_le_bytes()),
            _ => {}
        }
    }
    Ok(Values::Integers(values))
}
