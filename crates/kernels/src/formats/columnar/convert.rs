//! Conversions of one column. None changes a value: what the wanted type cannot hold is a fault of its row.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, Float64Array, GenericByteArray, Int64Array, OffsetSizeTrait, StringArray,
    types::ByteArrayType,
};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::{Faults, WantedColumn, WantedType, nulls, type_name};
use crate::error::{KernelError, Result};

/// A user column as the wanted type.
pub(super) fn column(wanted: &WantedColumn, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef> {
    let array = &decoded(array)?;
    let target = match wanted.kind {
        WantedType::Other => return Ok(Arc::clone(array)),
        WantedType::String | WantedType::Json => DataType::Utf8,
        WantedType::Int64 => DataType::Int64,
        WantedType::Float64 => DataType::Float64,
        WantedType::Boolean => DataType::Boolean,
    };
    if array.data_type() == &target {
        return Ok(Arc::clone(array));
    }
    if array.data_type() == &DataType::Null {
        return Ok(nulls(&target, array.len()));
    }
    let converted: Option<ArrayRef> = match target {
        DataType::Utf8 => text(&wanted.source, array, faults).transpose()?.map(|texts| Arc::new(texts) as _),
        DataType::Int64 => integers(&wanted.source, array, faults).map(|values| Arc::new(values) as _),
        DataType::Float64 => floats(array).map(|values| Arc::new(values) as _),
        _ => None,
    };
    converted.ok_or_else(|| KernelError::ColumnType {
        name: wanted.source.clone(),
        expected: target.to_string(),
        got: array.data_type().to_string(),
    })
}

/// The ids: texts, or integers as their digits.
pub(super) fn ids(name: &str, array: &ArrayRef, faults: &mut Faults) -> Result<StringArray> {
    let array = &decoded(array)?;
    if array.data_type() == &DataType::Null {
        return Ok(StringArray::new_null(array.len()));
    }
    if let Some(texts) = text(name, array, faults) {
        return texts;
    }
    digits(array).ok_or_else(|| KernelError::ColumnType {
        name: name.to_owned(),
        expected: "a string or an integer, as ids are".to_owned(),
        got: array.data_type().to_string(),
    })
}

/// The column without its dictionary.
fn decoded(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Ok(Arc::clone(array)) };
    if dictionary.values().is_empty() {
        return Ok(nulls(dictionary.values().data_type(), array.len()));
    }
    Ok(take(dictionary.values(), dictionary.keys(), None)?)
}

/// A text or binary column as utf8; `None` when it is neither. Values that are not UTF-8 are faults.
pub(super) fn text(name: &str, array: &ArrayRef, faults: &mut Faults) -> Option<Result<StringArray>> {
    Some(match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        DataType::LargeUtf8 => utf8(name, array.as_string::<i64>(), faults),
        DataType::Binary => utf8(name, array.as_binary::<i32>(), faults),
        DataType::LargeBinary => utf8(name, array.as_binary::<i64>(), faults),
        DataType::Utf8View => Ok(array.as_string_view().iter().collect()),
        DataType::BinaryView => checked(name, array.as_binary_view().iter(), faults),
        DataType::Null => Ok(StringArray::new_null(array.len())),
        DataType::Dictionary(_, values) if matches!(type_name(values), "string" | "binary") => {
            match decoded(array) {
                Ok(array) => return text(name, &array, faults),
                Err(error) => Err(error),
            }
        }
        _ => return None,
    })
}

/// Checks all bytes at once and shares the buffer; goes value by value only when that fails.
fn utf8<T: ByteArrayType>(name: &str, array: &GenericByteArray<T>, faults: &mut Faults) -> Result<StringArray>
where
    T::Native: AsRef<[u8]>,
{
    if let Some(offsets) = narrow(array.offsets()) {
        let first = array.offsets().first().as_usize();
        let values: Buffer = array.values().slice_with_length(first, offsets.last().as_usize());
        if let Ok(texts) = StringArray::try_new(offsets, values, array.nulls().cloned()) {
            return Ok(texts);
        }
    }
    checked(name, array.iter().map(|value| value.map(AsRef::as_ref)), faults)
}

/// Offsets from 0 as 32 bits; `None` when they do not fit.
fn narrow<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Option<OffsetBuffer<i32>> {
    let first = offsets.first().as_usize();
    let narrowed: Option<Vec<i32>> =
        offsets.iter().map(|offset| i32::try_from(offset.as_usize() - first).ok()).collect();
    Some(OffsetBuffer::new(narrowed?.into()))
}

fn checked<'a>(
    name: &str,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    faults: &mut Faults,
) -> Result<StringArray> {
    let mut out = StringBuilder::new();
    for (row, value) in values.enumerate() {
        match value.map(std::str::from_utf8) {
            None => out.append_null(),
            Some(Ok(text)) => out.append_value(text),
            Some(Err(error)) => {
                let reason = format!("column '{name}': at byte {}: not valid UTF-8", error.valid_up_to());
                faults.add(row, "utf8", reason, value.unwrap_or_default());
                out.append_null();
            }
        }
        if i32::try_from(out.values_slice().len()).is_err() {
            return Err(KernelError::internal(format!("column '{name}' has over 2 GiB in one batch")));
        }
    }
    Ok(out.finish())
}

fn integers(name: &str, array: &ArrayRef, faults: &mut Faults) -> Option<Int64Array> {
    Some(match array.data_type() {
        DataType::Int8 => widened::<Int8Type>(array),
        DataType::Int16 => widened::<Int16Type>(array),
        DataType::Int32 => widened::<Int32Type>(array),
        DataType::Int64 => widened::<Int64Type>(array),
        DataType::UInt8 => widened::<UInt8Type>(array),
        DataType::UInt16 => widened::<UInt16Type>(array),
        DataType::UInt32 => widened::<UInt32Type>(array),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>();
            let signed = values.iter().enumerate().map(|(row, value)| {
                let value = value?;
                let signed = i64::try_from(value).ok();
                if signed.is_none() {
                    let reason = format!("column '{name}': {value} is more than int64 holds");
                    faults.add(row, "integer-range", reason, value.to_string().as_bytes());
                }
                signed
            });
            signed.collect()
        }
        _ => return None,
    })
}

fn widened<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Int64Array {
    array.as_primitive::<T>().unary(Into::into)
}

/// Floats, and integers that every `f64` holds exactly.
fn floats(array: &ArrayRef) -> Option<Float64Array> {
    Some(match array.data_type() {
        DataType::Float16 => array.as_primitive::<Float16Type>().unary(f64::from),
        DataType::Float32 => array.as_primitive::<Float32Type>().unary(f64::from),
        DataType::Int8 => array.as_primitive::<Int8Type>().unary(f64::from),
        DataType::Int16 => array.as_primitive::<Int16Type>().unary(f64::from),
        DataType::Int32 => array.as_primitive::<Int32Type>().unary(f64::from),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().unary(f64::from),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().unary(f64::from),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().unary(f64::from),
        _ => return None,
    })
}

fn digits(array: &ArrayRef) -> Option<StringArray> {
    Some(match array.data_type() {
        DataType::Int8 => written::<Int8Type>(array),
        DataType::Int16 => written::<Int16Type>(array),
        DataType::Int32 => written::<Int32Type>(array),
        DataType::Int64 => written::<Int64Type>(array),
        DataType::UInt8 => written::<UInt8Type>(array),
        DataType::UInt16 => written::<UInt16Type>(array),
        DataType::UInt32 => written::<UInt32Type>(array),
        DataType::UInt64 => written::<UInt64Type>(array),
        _ => return None,
    })
}

fn written<T: ArrowPrimitiveType<Native: ToString>>(array: &ArrayRef) -> StringArray {
    array.as_primitive::<T>().iter().map(|value| value.map(|value| value.to_string())).collect()
}
