//! Arrays of numbers as values: the numbers in one column, their shape in another where it is not always one
//! dimension.

use arrow_schema::DataType;

use super::rows::{Fault, ItemRows, list_of};
use crate::formats::npy::NumberArray;

/// Name of the column with the shapes of a column of arrays.
#[must_use]
pub fn shape_name(column: &str) -> String {
    format!("{column}.shape")
}

/// Stages an array of numbers and its shape, as far as they are kept. An array whose shape has no column must
/// have one dimension, or its shape would be lost.
///
/// # Errors
/// A fault when its numbers are of another type than the column's.
pub fn set_array(name: &str, array: &NumberArray<'_>, rows: &mut ItemRows) -> Result<(), Fault> {
    if let Some(column) = rows.column(name) {
        let expected = rows.data_type(column);
        if *expected != list_of(array.item.clone()) {
            let reason = format!("column '{name}': the array holds {}, the column is {expected}", array.item);
            return Err(Fault::new("column-type", reason));
        }
        rows.set(column, &array.data)?;
    }
    let shape_column = rows.column(&shape_name(name));
    if let Some(column) = shape_column.filter(|&column| *rows.data_type(column) == list_of(DataType::UInt64))
    {
        let shape: Vec<u8> = array.shape.iter().flat_map(|length| length.to_le_bytes()).collect();
        rows.set(column, &shape)?;
    } else if rows.keeps_all() && array.shape.len() != 1 {
        let reason = format!(
            "column '{name}': the array has {} dimensions, those of the sample one",
            array.shape.len()
        );
        return Err(Fault::new("column-type", reason));
    }
    Ok(())
}
