//! Rows that a step takes out of the output whole, into a file of its own: data that must stay on this machine.
//!
//! A removed row leaves a record without its text (`removed.rs`); a routed row leaves its text, and nothing of it
//! is anywhere else. Only the owner may read the files.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, SchemaRef};

use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::row_layout::RowLayout;
use crate::formats::shard_file::FinishedFile;

/// Column that says under which rule of the step a row left.
pub const RULE: &str = "routed_rule";
/// Column that holds what the rule measured.
pub const VALUE: &str = "routed_value";

/// Why a row leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route<'a> {
    /// Rule within the step.
    pub rule: &'a str,
    /// What it measured.
    pub value: Option<f64>,
}

/// The routed rows of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedFile {
    /// Name of the step.
    pub step: String,
    /// Rows in the file.
    pub rows: u64,
    /// The file.
    pub file: FinishedFile,
}

struct Open {
    step: String,
    layout: RowLayout,
    writer: ParquetWriter,
}

/// Routed rows of one task: a Parquet file for each step that routes any.
#[derive(Default)]
pub struct RoutedRows {
    /// Start of the files' paths; without one, rows are counted only.
    base: Option<PathBuf>,
    open: Vec<Open>,
    rows: u64,
}

impl RoutedRows {
    /// From now on rows go to files `<base>.routed.<step>.parquet`.
    pub fn write_to(&mut self, base: impl Into<PathBuf>) {
        self.base = Some(base.into());
    }

    /// Rows routed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the rows that have a route, and are still in, out of the batch. Returns how many.
    ///
    /// # Errors
    /// `Io` when writing fails; `ColumnType` when the batch differs from those before.
    pub fn route(&mut self, batch: &mut Batch, routes: &[Option<Route<'_>>], step: &str) -> Result<u64> {
        let leaves = |row: usize| batch.is_kept(row) && routes[row].is_some();
        let leaving = BooleanBuffer::collect_bool(batch.rows(), leaves);
        let rows = leaving.count_set_bits() as u64;
        if rows == 0 {
            return Ok(0);
        }
        if let Some(base) = &self.base {
            let taken = with_reasons(batch, routes, &leaving)?;
            let place = if let Some(place) = self.open.iter().position(|open| open.step == step) {
                place
            } else {
                self.open.push(open(base, &taken, step)?);
                self.open.len() - 1
            };
            let Open { layout, writer, .. } = &mut self.open[place];
            writer.write(&layout.rows(&taken)?)?;
        }
        batch.retain(&!&leaving)?;
        self.rows += rows;
        Ok(rows)
    }

    /// Closes the files, in the order of the steps that wrote first.
    ///
    /// # Errors
    /// `Io` when writing fails.
    pub fn finish(self) -> Result<Vec<RoutedFile>> {
        let files = self.open.into_iter().map(|Open { step, writer, .. }| {
            let rows = writer.rows();
            Ok(RoutedFile { step, rows, file: writer.finish()? })
        });
        files.collect()
    }
}

/// The rows that leave, with the columns [`RULE`] and [`VALUE`].
fn with_reasons(batch: &Batch, routes: &[Option<Route<'_>>], leaving: &BooleanBuffer) -> Result<Batch> {
    let (mut rules, mut values) = (StringBuilder::new(), Float64Builder::new());
    for route in routes {
        rules.append_option(route.map(|route| route.rule));
        values.append_option(route.and_then(|route| route.value));
    }
    let mut taken = batch.clone();
    taken.set_column(Field::new(RULE, DataType::Utf8, true), Arc::new(rules.finish()))?;
    taken.set_column(Field::new(VALUE, DataType::Float64, true), Arc::new(values.finish()))?;
    taken.retain(leaving)?;
    Ok(taken)
}

fn open(base: &Path, batch: &Batch, step: &str) -> Result<Open> {
    let layout = RowLayout::new(&batch.schema(), &[]);
    let mut path = base.as_os_str().to_owned();
    path.push(format!(".routed.{step}.parquet"));
    create_private(Path::new(&path))?;
    let writer = ParquetWriter::create(Path::new(&path), SchemaRef::clone(layout.schema()))?;
    Ok(Open { step: step.to_owned(), layout, writer })
}

/// Makes an empty file that only its owner may read, before anything is in it.
fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(KernelError::io("create", path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Identity;
    use crate::test_folder::TestFolder;
    use arrow_array::StringArray;

    fn batch() -> Batch {
        let texts = StringArray::from(vec!["a", "b", "c", "d"]);
        let identity = Identity::of_file("f", vec![0, 2, 4, 6], StringArray::new_null(4));
        Batch::new(identity, vec![(Field::new("text", DataType::Utf8, true), Arc::new(texts))]).unwrap()
    }

    #[test]
    fn rows_leave_once_and_only_the_owner_reads_them() {
        let folder = TestFolder::new();
        let route = |value| Some(Route { rule: "email", value: Some(value) });
        let mut routed = RoutedRows::default();
        routed.write_to(folder.join("task"));
        let mut rows = batch();
        assert_eq!(routed.route(&mut rows, &[None, route(3.0), None, route(0.0)], "pii").unwrap(), 2);
        assert_eq!(routed.route(&mut rows, &[route(1.0), route(1.0), None, None], "pii-2").unwrap(), 1);
        assert_eq!((rows.kept_rows(), rows.is_kept(2), routed.rows()), (1, true, 3));
        let files = routed.finish().unwrap();
        let of = |file: &RoutedFile| (file.step.clone(), file.rows);
        assert_eq!(files.iter().map(of).collect::<Vec<_>>(), [("pii".into(), 2), ("pii-2".into(), 1)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&files[0].file.path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn without_a_place_rows_are_only_counted() {
        let mut routed = RoutedRows::default();
        let mut rows = batch();
        let all = [Some(Route { rule: "ip", value: None }); 4];
        assert_eq!(routed.route(&mut rows, &all, "pii").unwrap(), 4);
        assert_eq!((rows.kept_rows(), routed.rows(), routed.finish().unwrap().len()), (0, 4, 0));
    }
}
