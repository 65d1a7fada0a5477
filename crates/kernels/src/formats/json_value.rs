//! One value of a column as JSON text.
//!
//! Numbers are exact: integers and decimals digit for digit, floats in the shortest form that reads back as
//! the same value. What JSON has no number for (NaN, infinities) becomes `null`; times become ISO 8601 text,
//! binary values base64, a map with text keys an object. Always one line.

use std::io::Write as _;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTemporalType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DecimalType, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, MapArray, OffsetSizeTrait, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;

/// Whether values of a type can be written; the rest are intervals, unions and encodings that are not
/// plain values.
#[must_use]
pub fn is_writable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_writable(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| is_writable(field.data_type())),
        DataType::Map(entries, _) => is_writable(entries.data_type()),
        DataType::Interval(_)
        | DataType::Union(..)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => false,
        _ => true,
    }
}

/// Appends the value of `row`; a type that is not [`is_writable`] gives `null`.
pub fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match array.data_type() {
        DataType::Utf8 => write_text(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => write_text(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => write_text(out, array.as_string_view().value(row)),
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            write_list(out, list.values(), range(list.offsets(), row));
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            write_list(out, list.values(), range(list.offsets(), row));
        }
        DataType::FixedSizeList(..) => {
            let value = array.as_fixed_size_list().value(row);
            write_list(out, &value, 0..value.len());
        }
        DataType::Struct(_) => write_struct(out, array.as_struct(), row),
        DataType::Map(..) => write_map(out, array.as_map(), row),
        DataType::Binary => write_base64(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => write_base64(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => write_base64(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => write_base64(out, array.as_fixed_size_binary().value(row)),
        DataType::Float16 => write_float(out, f32::from(array.as_primitive::<Float16Type>().value(row))),
        DataType::Float32 => write_float(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => write_float(out, array.as_primitive::<Float64Type>().value(row)),
        _ => write_number_or_time(out, array, row),
    }
}

fn write_number_or_time(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    match array.data_type() {
        DataType::Int8 => write_integer::<Int8Type>(out, array, row),
        DataType::Int16 => write_integer::<Int16Type>(out, array, row),
        DataType::Int32 => write_integer::<Int32Type>(out, array, row),
        DataType::Int64 => write_integer::<Int64Type>(out, array, row),
        DataType::UInt8 => write_integer::<UInt8Type>(out, array, row),
        DataType::UInt16 => write_integer::<UInt16Type>(out, array, row),
        DataType::UInt32 => write_integer::<UInt32Type>(out, array, row),
        DataType::UInt64 => write_integer::<UInt64Type>(out, array, row),
        DataType::Decimal32(..) => write_decimal::<Decimal32Type>(out, array, row),
        DataType::Decimal64(..) => write_decimal::<Decimal64Type>(out, array, row),
        DataType::Decimal128(..) => write_decimal::<Decimal128Type>(out, array, row),
        DataType::Decimal256(..) => write_decimal::<Decimal256Type>(out, array, row),
        DataType::Duration(TimeUnit::Second) => write_integer::<DurationSecondType>(out, array, row),
        DataType::Duration(TimeUnit::Millisecond) => {
            write_integer::<DurationMillisecondType>(out, array, row);
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            write_integer::<DurationMicrosecondType>(out, array, row);
        }
        DataType::Duration(TimeUnit::Nanosecond) => write_integer::<DurationNanosecondType>(out, array, row),
        DataType::Date32 => write_time::<Date32Type>(out, array, row, TimeForm::Date),
        DataType::Date64 => write_time::<Date64Type>(out, array, row, TimeForm::Date),
        DataType::Time32(TimeUnit::Second) => write_time::<Time32SecondType>(out, array, row, TimeForm::Time),
        DataType::Time32(_) => write_time::<Time32MillisecondType>(out, array, row, TimeForm::Time),
        DataType::Time64(TimeUnit::Microsecond) => {
            write_time::<Time64MicrosecondType>(out, array, row, TimeForm::Time);
        }
        DataType::Time64(_) => write_time::<Time64NanosecondType>(out, array, row, TimeForm::Time),
        DataType::Timestamp(unit, zone) => {
            let form = if zone.is_some() { TimeForm::Utc } else { TimeForm::Local };
            match unit {
                TimeUnit::Second => write_time::<TimestampSecondType>(out, array, row, form),
                TimeUnit::Millisecond => write_time::<TimestampMillisecondType>(out, array, row, form),
                TimeUnit::Microsecond => write_time::<TimestampMicrosecondType>(out, array, row, form),
                TimeUnit::Nanosecond => write_time::<TimestampNanosecondType>(out, array, row, form),
            }
        }
        _ => out.extend_from_slice(b"null"),
    }
}

/// Appends a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail, and a string has nothing the serializer refuses.
    let _ = sonic_rs::to_writer(out, text);
}

fn write_float<F: Into<f64> + serde::Serialize + Copy>(out: &mut Vec<u8>, value: F) {
    if value.into().is_finite() {
        let _ = sonic_rs::to_writer(out, &value);
    } else {
        out.extend_from_slice(b"null");
    }
}

fn write_integer<T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
) {
    let _ = write!(out, "{}", array.as_primitive::<T>().value(row));
}

fn write_decimal<T: DecimalType + ArrowPrimitiveType>(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    out.extend_from_slice(array.as_primitive::<T>().value_as_string(row).as_bytes());
}

#[derive(Clone, Copy)]
enum TimeForm {
    Date,
    Time,
    /// A timestamp without a zone.
    Local,
    /// A timestamp with a zone, which counts from 1970 in UTC whatever the zone is.
    Utc,
}

/// ISO 8601, which is chrono's `Debug`; a value outside chrono's years becomes its bare number.
fn write_time<T: ArrowTemporalType>(out: &mut Vec<u8>, array: &dyn Array, row: usize, form: TimeForm)
where
    T::Native: std::fmt::Display,
    i64: From<T::Native>,
{
    let times = array.as_primitive::<T>();
    let text = match form {
        TimeForm::Date => times.value_as_date(row).map(|date| format!("{date:?}")),
        TimeForm::Time => times.value_as_time(row).map(|time| format!("{time:?}")),
        TimeForm::Local => times.value_as_datetime(row).map(|time| format!("{time:?}")),
        TimeForm::Utc => times.value_as_datetime(row).map(|time| format!("{time:?}Z")),
    };
    match text {
        Some(text) => write_text(out, &text),
        None => write_integer::<T>(out, array, row),
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    write_text(out, &base64::engine::general_purpose::STANDARD.encode(bytes));
}

/// Where the items of a row lie.
fn range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, row: usize) -> Range<usize> {
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

fn write_list(out: &mut Vec<u8>, values: &dyn Array, range: Range<usize>) {
    out.push(b'[');
    for index in range.clone() {
        if index > range.start {
            out.push(b',');
        }
        write_value(out, values, index);
    }
    out.push(b']');
}

fn write_struct(out: &mut Vec<u8>, array: &StructArray, row: usize) {
    out.push(b'{');
    for (index, (name, column)) in array.column_names().into_iter().zip(array.columns()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_value(out, column, row);
    }
    out.push(b'}');
}

/// An object when the keys are text, else a list of `[key, value]`.
fn write_map(out: &mut Vec<u8>, array: &MapArray, row: usize) {
    let range = range(array.offsets(), row);
    let (keys, values) = (array.keys(), array.values());
    let text_keys = matches!(keys.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let (open, pair, close): (&[u8], &[u8], &[u8]) =
        if text_keys { (b"{", b":", b"}") } else { (b"[", b",", b"]") };
    out.extend_from_slice(open);
    for index in range.clone() {
        if index > range.start {
            out.push(b',');
        }
        if !text_keys {
            out.push(b'[');
        }
        write_value(out, keys, index);
        out.extend_from_slice(pair);
        write_value(out, values, index);
        if !text_keys {
            out.push(b']');
        }
    }
    out.extend_from_slice(close);
}
