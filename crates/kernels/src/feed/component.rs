//! What a feed draws from: a run, or those samples of it that have one value of a column.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::codes::Codes;
use super::columns::Columns;
use super::dataset::{Dataset, Ids, Reading, Stretch};
use crate::error::{KernelError, Result};
use crate::hash::digest128;

/// One run, or a part of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// Its folder.
    pub path: PathBuf,
    /// Its share, in any unit.
    pub weight: Option<f64>,
    /// How many of its tokens an epoch shall have.
    pub tokens: Option<u64>,
    /// The samples that are drawn from; absent for all.
    #[serde(default)]
    pub part: Option<PartConfig>,
}

/// Samples with one value in a column of `docs.parquet`.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// The column.
    pub column: String,
    /// The value, as text.
    pub value: String,
}

/// A run or a part of one, as a dataset of its own.
#[derive(Debug)]
pub struct Component {
    run: Arc<Dataset>,
    part: Option<Part>,
    /// The number that batches give for it.
    number: u32,
}

#[derive(Debug)]
struct Part {
    codes: Arc<Codes>,
    code: u8,
    fingerprint: u64,
}

/// Opens what is drawn from; a run that is named several times is opened once.
///
/// # Errors
/// As [`Dataset::open`] and [`Columns::codes`].
pub fn open(configs: &[DatasetConfig], reading: Reading, check: bool) -> Result<Vec<Component>> {
    let mut runs: Vec<(&Path, Arc<Dataset>)> = Vec::new();
    let mut columns: Vec<(&Path, &str, Arc<Codes>, u64)> = Vec::new();
    let mut components = Vec::with_capacity(configs.len());
    for (number, config) in (0..).zip(configs) {
        let path = config.path.as_path();
        let run = match runs.iter().find(|(known, _)| *known == path) {
            Some((_, run)) => Arc::clone(run),
            None => Arc::new(Dataset::open(path, reading, check)?),
        };
        runs.push((path, Arc::clone(&run)));
        let Some(PartConfig { column, value }) = &config.part else {
            components.push(Component { run, part: None, number });
            continue;
        };
        let own = |config: &&DatasetConfig| config.path == path;
        let parts = configs.iter().filter(own).filter_map(|config| config.part.as_ref());
        let values: Vec<&str> =
            parts.filter(|part| part.column == *column).map(|part| part.value.as_str()).collect();
        let known = columns.iter().find(|known| (known.0, known.1) == (path, column));
        let (codes, table) = if let Some((_, _, codes, table)) = known {
            (Arc::clone(codes), *table)
        } else {
            let tables = Columns::open(path, packing(reading, &run), check)?;
            let codes = Arc::new(tables.codes(&run, column, &values)?);
            columns.push((path, column, Arc::clone(&codes), tables.fingerprint()));
            (codes, tables.fingerprint())
        };
        let code = values.iter().position(|one| one == value).unwrap_or_default() as u8;
        let content = format!("{:016x} {table:016x} {column}\n{value}", run.fingerprint());
        let fingerprint = digest128(content.as_bytes()) as u64;
        components.push(Component { run, part: Some(Part { codes, code, fingerprint }), number });
    }
    Ok(components)
}

/// The length of the packing that is read, if one is.
fn packing(reading: Reading, run: &Dataset) -> Option<u32> {
    matches!(reading, Reading::Packs(_)).then(|| run.length())
}

/// A number of each sample of a run.
#[derive(Debug, Clone)]
pub struct Grades {
    /// The numbers, by the sample's place in the run.
    pub numbers: Arc<Vec<f32>>,
    /// A hash of the tables they are from.
    pub fingerprint: u64,
}

/// The numbers in a column, for the run of each component; a run that several share is read once.
///
/// # Errors
/// As [`Columns::numbers`].
pub fn grades(components: &[Component], column: &str, reading: Reading, check: bool) -> Result<Vec<Grades>> {
    let mut grades: Vec<Grades> = Vec::with_capacity(components.len());
    for component in components {
        let run = &component.run;
        let known = components.iter().zip(&grades).find(|(one, _)| Arc::ptr_eq(&one.run, run));
        let own = if let Some((_, known)) = known {
            known.clone()
        } else {
            let tables = Columns::open(run.folder(), packing(reading, run), check)?;
            let numbers = Arc::new(tables.numbers(run, column)?);
            Grades { numbers, fingerprint: tables.fingerprint() }
        };
        grades.push(own);
    }
    Ok(grades)
}

impl Component {
    /// The component as bands of rising numbers, none of them empty; batches name them as they name it.
    #[must_use]
    pub fn bands(&self, numbers: &[f32], bands: u8) -> Vec<Self> {
        let codes = Arc::new(Codes::bands(numbers, bands));
        let band = |code| Self {
            run: Arc::clone(&self.run),
            part: Some(Part { codes: Arc::clone(&codes), code, fingerprint: self.fingerprint() }),
            number: self.number,
        };
        (0..bands).filter(|&code| codes.count(code) > 0).map(band).collect()
    }

    /// Where the run lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.run.folder()
    }

    /// The number that batches give for it.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is not a whole run.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.part.is_some()
    }

    /// Ids of a full sequence, or the most that are taken of a document.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.run.length()
    }

    /// Samples: sequences or documents.
    #[must_use]
    pub fn sequences(&self) -> u64 {
        self.part.as_ref().map_or_else(|| self.run.sequences(), |part| part.codes.count(part.code))
    }

    /// Highest id + 1, when the run knows it.
    #[must_use]
    pub fn vocabulary_size(&self) -> Option<u32> {
        self.run.vocabulary_size()
    }

    /// A hash of the content.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.part.as_ref().map_or_else(|| self.run.fingerprint(), |part| part.fingerprint)
    }

    /// The place in the run of a sample of this component.
    #[must_use]
    pub fn place(&self, sample: u64) -> u64 {
        self.part.as_ref().map_or(sample, |part| part.codes.sample(part.code, sample))
    }

    /// Asks the memory for where the sample at a place of the run lies.
    pub fn ask(&self, place: u64) {
        self.run.ask(place);
    }

    /// Ids of a sample: all of a document; a packed sequence counts as full.
    ///
    /// # Errors
    /// As [`Dataset::document_length`].
    pub fn sample_length(&self, sample: u64) -> Result<u32> {
        if self.run.reads_documents() {
            self.run.document_length(self.place(sample))
        } else {
            Ok(self.length())
        }
    }

    /// Appends the stretches of the sample at a place of the run to `out`, as [`Dataset::stretches`].
    ///
    /// # Errors
    /// As [`Dataset::stretches`].
    pub fn stretches(&self, place: u64, longest: u32, out: &mut Vec<Stretch>) -> Result<u64> {
        self.run.stretches(place, longest, out)
    }

    /// The ids of a stretch, as [`Dataset::ids`].
    ///
    /// # Errors
    /// As [`Dataset::ids`].
    pub fn ids(&self, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>> {
        self.run.ids(stretch, from, length)
    }
}

/// The mean of the ids that are taken of a sample, for each component. It looks at every length once.
///
/// # Errors
/// As [`Dataset::document_length`].
pub fn mean_lengths(components: &[Component]) -> Result<Vec<f64>> {
    let mut means: Vec<Option<f64>> = vec![None; components.len()];
    for at in 0..components.len() {
        if means[at].is_some() {
            continue;
        }
        let run = &components[at].run;
        let same = |one: &Component| {
            let codes = |one: &Component| one.part.as_ref().map(|part| Arc::as_ptr(&part.codes));
            Arc::ptr_eq(&one.run, run) && codes(one) == codes(&components[at])
        };
        let codes = components[at].part.as_ref().map(|part| &part.codes);
        let mut sums = vec![0_u64; codes.map_or(1, |codes| codes.kinds())];
        for sample in 0..run.sequences() {
            let code = codes.map_or(Some(0), |codes| codes.get(sample));
            if let Some(sum) = code.and_then(|code| sums.get_mut(usize::from(code))) {
                *sum += u64::from(run.document_length(sample)?.min(run.length()));
            }
        }
        for (mean, one) in means.iter_mut().zip(components).filter(|(_, one)| same(one)) {
            let code = one.part.as_ref().map_or(0, |part| usize::from(part.code));
            *mean = Some(sums[code] as f64 / one.sequences().max(1) as f64);
        }
    }
    let means: Option<Vec<f64>> = means.into_iter().collect();
    means.ok_or_else(|| KernelError::internal("a component has no mean length"))
}
