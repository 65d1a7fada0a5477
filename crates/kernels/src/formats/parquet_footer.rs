//! Counts that a Parquet footer states, for checking a file without decoding it.

use parquet::file::metadata::ParquetMetaDataReader;

use crate::error::{KernelError, Result};

/// Rows of a Parquet file, from the encoded metadata of its footer (what lies before the last 8 bytes).
///
/// # Errors
/// `Format` when the bytes are no such metadata or the rows of the groups do not add up.
pub fn rows(metadata: &[u8]) -> Result<u64> {
    let metadata = ParquetMetaDataReader::decode_metadata(metadata)
        .map_err(|error| KernelError::format("parquet", error))?;
    let stated = metadata.file_metadata().num_rows();
    let counted: i64 =
        metadata.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum();
    match u64::try_from(stated) {
        Ok(rows) if stated == counted => Ok(rows),
        _ => Err(KernelError::format(
            "parquet",
            format!("the footer states {stated} rows, its row groups {counted}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::rows;
    use crate::formats::parquet_write::ParquetWriter;

    #[test]
    fn counts_the_rows_of_every_row_group() {
        let path = std::env::temp_dir().join(format!("gristmill-footer-{}.parquet", std::process::id()));
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::UInt32, false)]));
        let column: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..100_000));
        let mut writer = ParquetWriter::create(&path, Arc::clone(&schema)).unwrap();
        writer.write(&RecordBatch::try_new(schema, vec![column]).unwrap()).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let tail = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap()) as usize;
        assert_eq!(rows(&bytes[tail - length..tail]).unwrap(), 100_000);
    }

    #[test]
    fn bytes_that_are_no_footer_are_an_error() {
        assert_eq!(rows(b"not a footer").unwrap_err().code(), "GM_FORMAT");
        assert_eq!(rows(b"").unwrap_err().code(), "GM_FORMAT");
    }
}
