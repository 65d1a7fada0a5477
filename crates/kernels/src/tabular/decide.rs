//! From what every task saw of a step's columns to the step's parameters.

use std::path::{Path, PathBuf};

use super::exact_sum::Totals;
use super::fit::{ColumnSeen, Found, Place, StepSeen};
use super::runs::{Placed, key_at_rank, merge};
use super::values::{Kind, Scalar, float_key, float_of_key};
use super::{ColumnPlan, Find, StepPlan, Transform};
use crate::dedup::segments::{Segment, SegmentWriter};
use crate::error::{KernelError, Result};

/// What one task saw: its file, and the JSON of its segment.
pub struct TaskSeen {
    /// The task's file.
    pub path: PathBuf,
    /// A [`StepSeen`] for each step, as JSON.
    pub json: Vec<u8>,
}

/// Steps whose parameters are found together, and what every task saw for them.
struct Together<'a> {
    plans: &'a [StepPlan],
    seen: Vec<(&'a Path, Vec<StepSeen>)>,
}

/// A column over all tasks.
struct Whole<'a> {
    name: &'a str,
    kind: Kind,
    values: u64,
    missing: u64,
    infinite: Option<&'a Place>,
    parts: Vec<(&'a Path, &'a Found)>,
    /// What an earlier step puts where values are missing.
    filling: Option<Scalar>,
}

/// Finds the parameters of the step at `index` of those that were looked at together, and writes them, as one segment
/// of JSON, to `path`. A column of more than `max_categories` categories is an error.
///
/// # Errors
/// `Fit` when a column has infinities, too many categories, or no value where one is needed; `Io` and `Format` from
/// the files.
pub fn resolve(
    plans: &[StepPlan],
    index: usize,
    tasks: &[TaskSeen],
    max_categories: usize,
    path: impl AsRef<Path>,
) -> Result<(u64, Vec<Segment>)> {
    let seen = tasks.iter().map(|task| {
        let steps: Vec<StepSeen> = serde_json::from_slice(&task.json)
            .map_err(|error| KernelError::format("what a task saw of columns", error))?;
        if steps.len() == plans.len() {
            Ok((task.path.as_path(), steps))
        } else {
            Err(KernelError::internal("a task saw other steps"))
        }
    });
    let together = Together { plans, seen: seen.collect::<Result<_>>()? };
    let plan = plans.get(index).ok_or_else(|| KernelError::internal("there are fewer steps"))?;
    let rows = together.seen.iter().map(|(_, steps)| steps[index].rows).sum();
    let columns = plan.columns.iter().map(|column| match column.find {
        Some(find) => {
            let mut whole = together.whole(index, column)?;
            whole.filling = together.filling(index, &column.name)?;
            found(column, find, rows, &whole, max_categories)
        }
        None => Ok(column.clone()),
    });
    let columns = columns.collect::<Result<_>>()?;
    let plan = StepPlan { rows: Some(rows), columns, ..plan.clone() };
    let mut json = serde_json::to_vec_pretty(&plan).map_err(KernelError::internal)?;
    json.push(b'\n');
    let mut file = SegmentWriter::create(path)?;
    file.append(0, &json)?;
    file.finish()
}

impl Together<'_> {
    /// A column in which a step finds something.
    fn whole<'a>(&'a self, step: usize, column: &'a ColumnPlan) -> Result<Whole<'a>> {
        let mut searched = self.plans[step].columns.iter().filter(|one| one.find.is_some());
        let at = searched.position(|one| one.name == column.name);
        let of = |(path, steps): &'a (&'a Path, Vec<StepSeen>)| Some((*path, steps[step].columns.get(at?)?));
        let parts: Option<Vec<(&Path, &ColumnSeen)>> = self.seen.iter().map(of).collect();
        let parts = parts.ok_or_else(|| KernelError::internal("a task saw fewer columns"))?;
        Ok(Whole {
            name: &column.name,
            kind: column.kind,
            values: parts.iter().map(|(_, part)| part.values).sum(),
            missing: parts.iter().map(|(_, part)| part.missing).sum(),
            infinite: parts.iter().find_map(|(_, part)| part.infinite.as_ref()),
            parts: parts.iter().map(|(path, part)| (*path, &part.found)).collect(),
            filling: None,
        })
    }

    /// The value that an earlier step puts where the column lacks one. The step itself sees the column with it, but
    /// the tasks saw it without: what they did not see is so many times this value.
    fn filling(&self, step: usize, name: &str) -> Result<Option<Scalar>> {
        for (earlier, plan) in self.plans[..step].iter().enumerate().rev() {
            let Some(column) = plan.columns.iter().find(|one| one.name == name) else { continue };
            let Transform::Fill { value, .. } = &column.transform else { return Ok(None) };
            return match column.find {
                Some(find) => self.whole(earlier, column)?.fill(find),
                None => Ok(value.clone()),
            };
        }
        Ok(None)
    }
}

fn found(
    column: &ColumnPlan,
    find: Find,
    rows: u64,
    whole: &Whole<'_>,
    max_categories: usize,
) -> Result<ColumnPlan> {
    if let Some(Place { file, position }) = whole.infinite {
        let reason = format!("it holds an infinity, first in the row {file}:{position}");
        return Err(whole.error(reason));
    }
    let transform = match &column.transform {
        Transform::Fill { becomes, .. } => {
            let value = whole.fill(find)?;
            // There may be no rows at all; but rows that stay without a value were not asked for.
            if value.is_none() && rows > 0 {
                return Err(whole.error("no row has a value that the others could get".to_owned()));
            }
            Transform::Fill { value, becomes: *becomes }
        }
        Transform::Standard { .. } => {
            let (mean, scale) = whole.standard().unzip();
            Transform::Standard { mean, scale }
        }
        Transform::MinMax { range, clip, .. } => {
            let (min, max) = whole.extent().unzip();
            Transform::MinMax { min, max, range: *range, clip: *clip }
        }
        Transform::OneHot { drop, .. } => {
            let mut categories: Vec<_> = whole.categories(max_categories)?.into_iter().map(Some).collect();
            if whole.missing > 0 && whole.filling.is_none() {
                categories.push(None);
            }
            Transform::OneHot { categories, drop: *drop }
        }
        Transform::Ordinal { .. } => Transform::Ordinal { categories: whole.categories(max_categories)? },
        Transform::Drop => Transform::Drop,
    };
    Ok(ColumnPlan { find: None, missing: Some(whole.missing), transform, ..column.clone() })
}

impl Whole<'_> {
    fn error(&self, reason: String) -> KernelError {
        KernelError::Fit { column: self.name.to_owned(), reason }
    }

    fn runs(&self) -> Vec<Placed<'_>> {
        let runs = self.parts.iter().map(|&(path, found)| match found {
            Found::Runs { runs } => (path, runs.as_slice()),
            _ => (path, [].as_slice()),
        });
        runs.flat_map(|(path, runs)| runs.iter().map(move |run| (path, run))).collect()
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (_, found) in &self.parts {
            if let Found::Sums(part) = found {
                totals.merge(part.clone());
            }
        }
        if let Some(value) = self.filling.as_ref().and_then(Scalar::number) {
            totals.add_repeated(value, self.missing);
        }
        totals
    }

    fn fill(&self, find: Find) -> Result<Option<Scalar>> {
        if self.values == 0 {
            return Ok(None);
        }
        Ok(match find {
            Find::Mean => self.totals().mean().map(Scalar::Float),
            Find::Median => Some(Scalar::Float(self.median()?)),
            _ => self.mode()?,
        })
    }

    /// As numpy has it: the middle value, or the mean of the two in the middle.
    fn median(&self) -> Result<f64> {
        let runs = self.runs();
        let at = |rank| Ok::<f64, KernelError>(float_of_key(key_at_rank(&runs, rank)?));
        let low = at((self.values - 1) / 2)?;
        if self.values % 2 == 1 {
            return Ok(low);
        }
        let high = at(self.values / 2)?;
        let mean = f64::midpoint(low, high);
        Ok(mean)
    }

    /// The value that occurs most often; of several the smallest, which comes first.
    fn mode(&self) -> Result<Option<Scalar>> {
        let mut most: Option<(Vec<u8>, u64)> = None;
        merge(&self.runs(), |key, count| {
            if most.as_ref().is_none_or(|(_, highest)| count > *highest) {
                most = Some((key.to_vec(), count));
            }
            Ok(true)
        })?;
        most.map(|(key, _)| Scalar::of_key(&key, self.kind)).transpose()
    }

    /// Mean and deviation; the deviation of a column that scikit-learn takes for constant is 1.
    ///
    /// Its test allows for the rounding of its own sums (`_is_constant_feature`); ours have none, but a column is to be
    /// scaled the same.
    fn standard(&self) -> Option<(f64, f64)> {
        let totals = self.totals();
        let (mean, (variance, deviation)) = (totals.mean()?, totals.variance()?);
        let count = totals.count() as f64;
        let bound = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
        let constant = variance.is_finite() && variance <= bound;
        Some((mean, if constant || deviation == 0.0 { 1.0 } else { deviation }))
    }

    fn extent(&self) -> Option<(f64, f64)> {
        let filling = self.filled().and_then(Scalar::number).map(float_key);
        if self.values == 0 && filling.is_none() {
            return None;
        }
        let (mut lowest, mut highest) = (filling.unwrap_or(u64::MAX), filling.unwrap_or(0));
        for (_, found) in &self.parts {
            if let Found::Extent { low, high } = found {
                lowest = lowest.min(*low);
                highest = highest.max(*high);
            }
        }
        Some((float_of_key(lowest), float_of_key(highest)))
    }

    /// The value that an earlier step puts into rows, if there are any.
    fn filled(&self) -> Option<&Scalar> {
        self.filling.as_ref().filter(|_| self.missing > 0)
    }

    fn categories(&self, max: usize) -> Result<Vec<Scalar>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        merge(&self.runs(), |key, _| {
            keys.push(key.to_vec());
            Ok(keys.len() <= max)
        })?;
        if let Some(key) = self.filled().and_then(|value| value.key(self.kind))
            && let Err(place) = keys.binary_search(&key)
        {
            keys.insert(place, key);
        }
        if keys.len() > max {
            return Err(self.error(format!("it has more than {max} categories")));
        }
        keys.iter().map(|key| Scalar::of_key(key, self.kind)).collect()
    }
}
