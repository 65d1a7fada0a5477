//! Conversions of one column. None changes a value: what the wanted type cannot hold is a fault of its row.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, Float64Array, GenericByteArray, Int64Array, ListArray, OffsetSizeTrait, StringArray,
    UInt32Array, types::ByteArrayType,
};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::{Faults, WantedColumn, WantedType, nulls, type_name};
use crate::error::{KernelError, Result};
use crate::tokenize::tokens_field;

/// A user column as the wanted type.
pub(super) fn column(wanted: &WantedColumn, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef> {
    let array = &decoded(array)?;
    let target = match wanted.kind {
        WantedType::Other | WantedType::Tokens => return Ok(Arc::clone(array)),
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

/// Stands for a value that is no token id; ids are lower, since they are written as i32.
const NO_ID: u32 = u32::MAX;

/// Lists of numbers as lists of token ids; a null list is an empty one. Other values are faults.
pub(super) fn tokens(wanted: &WantedColumn, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef> {
    let wrong = || KernelError::ColumnType {
        name: wanted.source.clone(),
        expected: "a list of integers, as token ids are".to_owned(),
        got: array.data_type().to_string(),
    };
    let list = array.as_list_opt::<i32>().ok_or_else(wrong)?;
    let (first, end) = (list.offsets()[0].as_usize(), list.offsets()[list.len()].as_usize());
    let values = list.values().slice(first, end - first);
    let mut ids = token_ids(&values).ok_or_else(wrong)?;
    let mut offsets = Vec::with_capacity(list.len() + 1);
    offsets.push(0);
    // A null list may have values behind it.
    let gaps = list.nulls().is_some_and(|nulls| nulls.null_count() > 0);
    let mut kept = Vec::with_capacity(if gaps { ids.len() } else { 0 });
    for row in 0..list.len() {
        let range = list.offsets()[row].as_usize() - first..list.offsets()[row + 1].as_usize() - first;
        if gaps {
            let own: &[u32] = if list.is_valid(row) { &ids[range.clone()] } else { &[] };
            kept.extend_from_slice(own);
        }
        offsets.push(if gaps { kept.len() as i32 } else { range.end as i32 });
        if list.is_valid(row)
            && let Some(at) = ids[range.clone()].iter().position(|&id| id == NO_ID)
        {
            let reason =
                format!("column '{}': value {at} of the list is no token id, 0 to 2147483647", wanted.source);
            faults.add(row, "token-range", reason, &[]);
        }
    }
    if gaps {
        ids = kept;
    }
    let DataType::List(item) = tokens_field().data_type().clone() else {
        return Err(KernelError::internal("token ids are no list"));
    };
    let ids: ArrayRef = Arc::new(UInt32Array::from(ids));
    Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(offsets.into()), ids, None)?))
}

/// Numbers as token ids, [`NO_ID`] where they are none; `None` for other types.
fn token_ids(values: &ArrayRef) -> Option<Vec<u32>> {
    Some(match values.data_type() {
        DataType::Int8 => integer_ids::<Int8Type>(values),
        DataType::Int16 => integer_ids::<Int16Type>(values),
        DataType::Int32 => integer_ids::<Int32Type>(values),
        DataType::Int64 => integer_ids::<Int64Type>(values),
        DataType::UInt8 => integer_ids::<UInt8Type>(values),
        DataType::UInt16 => integer_ids::<UInt16Type>(values),
        DataType::UInt32 => integer_ids::<UInt32Type>(values),
        DataType::UInt64 => integer_ids::<UInt64Type>(values),
        DataType::Float32 => float_ids(values.as_primitive::<Float32Type>().iter().map(|v| v.map(f64::from))),
        DataType::Float64 => float_ids(values.as_primitive::<Float64Type>().iter()),
        _ => return None,
    })
}

fn integer_ids<T: ArrowPrimitiveType<Native: TryInto<i32> + Copy>>(values: &ArrayRef) -> Vec<u32> {
    let id = |value: T::Native| match value.try_into() {
        Ok(value) if value >= 0 => value.cast_unsigned(),
        _ => NO_ID,
    };
    let values = values.as_primitive::<T>();
    if values.null_count() == 0 {
        return values.values().iter().map(|&value| id(value)).collect();
    }
    values.iter().map(|value| value.map_or(NO_ID, id)).collect()
}

#[expect(clippy::cast_sign_loss, reason = "only values from 0 on are cast")]
fn float_ids(values: impl Iterator<Item = Option<f64>>) -> Vec<u32> {
    let id = |value: f64| {
        let whole = value >= 0.0 && value <= f64::from(i32::MAX) && value.fract() == 0.0;
        if whole { value as u32 } else { NO_ID }
    };
    values.map(|value| value.map_or(NO_ID, id)).collect()
}
