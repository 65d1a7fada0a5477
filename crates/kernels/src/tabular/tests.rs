//! Fitting as a whole: whatever the cut into tasks and batches, the same parameters, those of plain loops.

use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, UInt8Array, cast::AsArray};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::apply::{ApplyOptions, Table, Unknown};
use super::decide::{TaskSeen, resolve};
use super::fit::{Collector, FitOptions};
use super::values::Scalar;
use super::{StepPlan, Transform};
use crate::batch::{Batch, Identity};
use crate::error::Result;
use crate::removed::RemovedLog;
use crate::test_folder::TestFolder;

type Row = (Option<f64>, Option<i64>, Option<String>);

fn batch(rows: &[Row]) -> Batch {
    let ids: StringArray = rows.iter().map(|_| None::<&str>).collect();
    let identity = Identity::of_file("a.csv", (0..rows.len() as u64).collect(), ids);
    let field = |name: &str, kind| Field::new(name, kind, true);
    let x: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>());
    let n: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
    let s: ArrayRef = Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>());
    let columns = vec![
        (field("x", DataType::Float64), x),
        (field("n", DataType::Int64), n),
        (field("s", DataType::Utf8), s),
    ];
    Batch::new(identity, columns).unwrap()
}

const FILL: &str = r#""method":"fill","value":0,"becomes":"float64""#;
const STANDARD: &str = r#""method":"standard","mean":0,"scale":1"#;
const MIN_MAX: &str = r#""method":"min-max","min":0,"max":1,"range":[0,1],"clip":false"#;

/// A step that finds everything there is to find, each in a column of its own kind.
fn everything() -> Vec<String> {
    let column = |name: &str, kind: &str, rest: &str| {
        format!(
            r#"{{"plan":{{"schemaVersion":1,"step":"t","columns":[{{"name":"{name}","type":"{kind}",{rest}}}]}}}}"#
        )
    };
    let one_hot = r#""find":"categories","method":"one-hot","categories":[],"drop":"none""#;
    // Fillings last: what is found after a step that fills is that of the filled column.
    vec![
        column("x", "float64", &format!(r#""find":"standard",{STANDARD}"#)),
        column("n", "int64", &format!(r#""find":"min-max",{MIN_MAX}"#)),
        column("n", "int64", r#""find":"categories","method":"ordinal","categories":[]"#),
        column("s", "string", one_hot),
        column("x", "float64", &format!(r#""find":"mean",{FILL}"#)),
        column("x", "float64", &format!(r#""find":"median",{FILL}"#)),
        column("x", "float64", &format!(r#""find":"most-frequent",{FILL}"#)),
        column("n", "int64", &format!(r#""find":"median",{FILL}"#)),
        column("s", "string", r#""find":"most-frequent","method":"fill","value":"","becomes":"string""#),
    ]
}

/// Places of the steps of [`everything`].
mod at {
    pub const SCALE_X: usize = 0;
    pub const RANGE_N: usize = 1;
    pub const ORDINAL_N: usize = 2;
    pub const ONE_HOT_S: usize = 3;
    pub const MEAN_X: usize = 4;
    pub const MEDIAN_X: usize = 5;
    pub const MODE_X: usize = 6;
    pub const MEDIAN_N: usize = 7;
    pub const MODE_S: usize = 8;
}

/// The parameters of every step, from tasks of batches.
fn fit(folder: &TestFolder, steps: &[String], tasks: &[Vec<&[Row]>], limit: usize) -> Result<Vec<String>> {
    let options = format!(r#"{{"steps":[{}]}}"#, steps.join(","));
    let mut seen = Vec::new();
    for (index, batches) in tasks.iter().enumerate() {
        let path = folder.join(index.to_string());
        let options: FitOptions = serde_json::from_str(&options).unwrap();
        let mut collector = Collector::create(&path, options)?.limited(limit);
        for rows in batches {
            collector.add(&batch(rows))?;
        }
        let (_, segments) = collector.finish()?;
        let bytes = std::fs::read(&path).unwrap();
        seen.push(TaskSeen { path, json: bytes[segments[0].offset as usize..].to_vec() });
    }
    let options: FitOptions = serde_json::from_str(&options).unwrap();
    let plans: Vec<StepPlan> = options.steps.into_iter().map(|step| step.plan).collect();
    let resolved = (0..plans.len()).map(|index| {
        let path = folder.join("fitted");
        resolve(&plans, index, &seen, 1000, &path)?;
        Ok(std::fs::read_to_string(path).unwrap())
    });
    resolved.collect()
}

fn transform(json: &str) -> Transform {
    let plan: StepPlan = sonic_rs::from_str(json).unwrap();
    plan.columns.into_iter().next().unwrap().transform
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![
        Just(None),
        (-1e6..1e6_f64).prop_map(Some),
        (0_i32..4).prop_map(|whole| Some(f64::from(whole))),
        Just(Some(f64::NAN)),
        (-1e300..1e300_f64).prop_map(Some),
    ];
    prop::collection::vec((number, prop::option::of(-9_i64..9), prop::option::of("[a-c]{0,2}")), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_cut_gives_the_same_bytes(
        (rows, cuts, batch_rows) in (rows(), prop::collection::vec(0_usize..80, 0..4), 1_usize..20)
    ) {
        // Columns without any value are refused, see below.
        let rows = [vec![(Some(1.5), Some(2), Some("b".to_owned()))], rows].concat();
        let folder = TestFolder::new();
        let whole = fit(&folder, &everything(), &[vec![&rows]], usize::MAX).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let tasks: Vec<Vec<&[Row]>> =
            cuts.windows(2).map(|part| rows[part[0]..part[1]].chunks(batch_rows).collect()).collect();
        prop_assert_eq!(fit(&folder, &everything(), &tasks, 64).unwrap(), whole);
    }

    #[test]
    fn parameters_are_those_of_plain_loops(rows in rows()) {
        let rows = [vec![(Some(1.5), Some(2), Some("b".to_owned()))], rows].concat();
        let folder = TestFolder::new();
        let found: Vec<Transform> =
            fit(&folder, &everything(), &[vec![&rows]], 256).unwrap().iter().map(|json| transform(json)).collect();
        let mut x: Vec<f64> = rows.iter().filter_map(|row| row.0).filter(|x| !x.is_nan()).collect();
        x.sort_by(f64::total_cmp);
        let mut n: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
        n.sort_unstable();
        let mut s: Vec<&str> = rows.iter().filter_map(|row| row.2.as_deref()).collect();
        s.sort_unstable();
        let Transform::Fill { value: median, .. } = &found[at::MEDIAN_X] else { panic!() };
        let middle = f64::midpoint(x[(x.len() - 1) / 2], x[x.len() / 2]);
        prop_assert_eq!(median, &Some(Scalar::Float(middle)));
        let Transform::Fill { value: Some(mode), .. } = &found[at::MODE_X] else { panic!() };
        let often = |value: f64| x.iter().filter(|other| other.total_cmp(&value).is_eq()).count();
        let most = x.iter().copied().reduce(|best, value| if often(value) > often(best) { value } else { best });
        prop_assert_eq!(mode.number(), most);
        let Transform::MinMax { min, max, .. } = &found[at::RANGE_N] else { panic!() };
        prop_assert_eq!((*min, *max), (n.first().map(|&n| n as f64), n.last().map(|&n| n as f64)));
        n.dedup();
        let Transform::Ordinal { categories } = &found[at::ORDINAL_N] else { panic!() };
        prop_assert_eq!(categories.clone(), n.into_iter().map(Scalar::Int).collect::<Vec<_>>());
        s.dedup();
        let mut expected: Vec<Option<Scalar>> =
            s.into_iter().map(|text| Some(Scalar::Text(text.to_owned()))).collect();
        if rows.iter().any(|row| row.2.is_none()) {
            expected.push(None);
        }
        let Transform::OneHot { categories, .. } = &found[at::ONE_HOT_S] else { panic!() };
        prop_assert_eq!(categories.clone(), expected);
    }

    #[test]
    fn a_scale_found_beside_a_filling_is_that_of_the_filled_column(rows in rows(), constant in -9.0..9.0_f64) {
        let rows = [vec![(Some(1.5), Some(2), None)], rows].concat();
        let folder = TestFolder::new();
        let all = everything();
        let given = all[at::MEAN_X].replace("\"find\":\"mean\",", "").replace("\"value\":0", &format!("\"value\":{constant}"));
        let (x, n) = (&all[at::SCALE_X], &all[at::RANGE_N]);
        for (fill, scale) in [(&all[at::MEAN_X], x), (&all[at::MEDIAN_X], x), (&given, x), (&all[at::MEDIAN_N], n)] {
            let both = fit(&folder, &[fill.clone(), scale.clone()], &[vec![&rows]], 256).unwrap();
            let table = Table::new(&both[0], ApplyOptions::default()).unwrap();
            let mut filled = batch(&rows);
            table.apply(&mut filled, &mut RemovedLog::default(), "t").unwrap();
            let name = if scale.contains("\"x\"") { "x" } else { "n" };
            let numbers = filled.column(name).unwrap().as_primitive::<Float64Type>();
            let after: Vec<Row> = numbers.iter().map(|x| (x, None, None)).collect();
            let later = scale.replace("\"n\"", "\"x\"").replace("int64", "float64");
            let expected = fit(&folder, &[later], &[vec![&after]], 256).unwrap();
            prop_assert_eq!(transform(&both[1]), transform(&expected[0]));
        }
    }

    #[test]
    fn parameters_read_back_to_the_bit(mean in any::<f64>(), scale in any::<f64>()) {
        prop_assume!(mean.is_finite() && scale.is_finite());
        // There is one zero, see `values.rs`.
        let (mean, scale) = (mean + 0.0, scale + 0.0);
        let standard = Transform::Standard { mean: Some(mean), scale: Some(scale) };
        let plan = parameters(&standard, "x", "float64");
        let Transform::Standard { mean: Some(m), scale: Some(s) } = transform(&plan) else { panic!() };
        prop_assert_eq!((m.to_bits(), s.to_bits()), (mean.to_bits(), scale.to_bits()));
    }
}

fn parameters(transform: &Transform, name: &str, kind: &str) -> String {
    let mut column = serde_json::to_value(transform).unwrap();
    // Text, since a number of serde_json's own values would pass through its parser.
    column["name"] = name.into();
    column["type"] = kind.into();
    serde_json::json!({ "schemaVersion": 1, "step": "t", "columns": [column] }).to_string()
}

fn apply(parameters: &str, options: ApplyOptions, rows: &[Row]) -> Result<Batch> {
    let mut batch = batch(rows);
    let mut log = RemovedLog::default();
    Table::new(parameters, options)?.apply(&mut batch, &mut log, "t")?;
    Ok(batch)
}

fn one_hot(batch: &Batch, name: &str) -> Vec<Vec<u8>> {
    let list: &ListArray = batch.typed(name, "list").unwrap();
    let values = |list: ArrayRef| list.as_any().downcast_ref::<UInt8Array>().unwrap().values().to_vec();
    list.iter().map(|row| values(row.unwrap())).collect()
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

#[test]
fn categories_found_beside_a_filling_are_those_of_the_filled_column() {
    let folder = TestFolder::new();
    let row = |s: Option<&str>| (None, None, s.map(str::to_owned));
    let (gap, whole) = ([row(Some("c")), row(None), row(Some("a"))], [row(Some("c")), row(Some("a"))]);
    let all = everything();
    let constant = all[at::MODE_S]
        .replace("\"find\":\"most-frequent\",", "")
        .replace("\"value\":\"\"", "\"value\":\"b\"");
    let found = |fill: &String, rows: &[Row]| {
        let both = fit(&folder, &[fill.clone(), all[at::ONE_HOT_S].clone()], &[vec![rows]], 64).unwrap();
        let Transform::OneHot { categories, .. } = transform(&both[1]) else { panic!() };
        categories
    };
    assert_eq!(found(&constant, &gap), ["a", "b", "c"].map(|one| Some(text(one))));
    assert_eq!(found(&constant, &whole), ["a", "c"].map(|one| Some(text(one))));
    assert_eq!(found(&all[at::MODE_S], &gap), ["a", "c"].map(|one| Some(text(one))));
}

#[test]
fn a_column_of_one_value_is_scaled_by_one() {
    let folder = TestFolder::new();
    let rows: Vec<Row> = vec![(Some(0.1), Some(7), None); 10];
    let found = fit(&folder, &everything()[..2], &[vec![&rows]], 64).unwrap();
    assert_eq!(transform(&found[0]), Transform::Standard { mean: Some(0.1), scale: Some(1.0) });
    let scaled = apply(&found[1], ApplyOptions::default(), &rows).unwrap();
    assert!(scaled.column("n").unwrap().as_primitive::<Float64Type>().values().iter().all(|&x| x == 0.0));
}

#[test]
fn what_cannot_be_fitted_names_the_column() {
    let folder = TestFolder::new();
    let message = |rows: &[Row], step: usize| {
        fit(&folder, &everything()[step..=step], &[vec![rows]], 64).unwrap_err().to_string()
    };
    assert_eq!(
        message(&[(Some(1.0), None, None), (Some(f64::NEG_INFINITY), None, None)], at::MEAN_X),
        "column 'x' cannot be fitted: it holds an infinity, first in the row a.csv:1"
    );
    assert_eq!(
        message(&[(None, None, None), (Some(f64::NAN), None, None)], at::MEDIAN_X),
        "column 'x' cannot be fitted: no row has a value that the others could get"
    );
    let many: Vec<Row> = (0..1001).map(|n| (None, Some(n), None)).collect();
    assert_eq!(
        message(&many, at::ORDINAL_N),
        "column 'n' cannot be fitted: it has more than 1000 categories"
    );
}

#[test]
fn no_rows_have_parameters_that_change_nothing() {
    let folder = TestFolder::new();
    let found = fit(&folder, &everything(), &[], 64).unwrap();
    assert_eq!(transform(&found[at::SCALE_X]), Transform::Standard { mean: None, scale: None });
    let later = apply(&found[at::SCALE_X], ApplyOptions::default(), &[(Some(1.0), None, None)]).unwrap();
    assert_eq!(later.column("x").unwrap().null_count(), 1);
}

#[test]
fn rows_that_the_step_will_remove_count_for_nothing() {
    let folder = TestFolder::new();
    let mean = everything()[at::MEAN_X].replace("\"plan\"", "\"without\":[\"s\"],\"plan\"");
    let row = |x: f64, s: Option<&str>| (Some(x), None, s.map(str::to_owned));
    let rows = [row(1.0, Some("a")), row(100.0, None), row(3.0, Some(""))];
    let found = fit(&folder, &[mean], &[vec![&rows]], 64).unwrap();
    assert!(found[0].contains("\"rows\": 2"));
    let Transform::Fill { value, .. } = transform(&found[0]) else { panic!() };
    assert_eq!(value, Some(Scalar::Float(2.0)));
}

#[test]
fn a_category_that_is_not_known() {
    let hot = |drop| Transform::OneHot { categories: vec![Some(text("a")), Some(text("b")), None], drop };
    let plan = parameters(&hot(super::Dropped::None), "s", "string");
    let row = |s: Option<&str>| (None, None, s.map(str::to_owned));
    let rows = [row(Some("b")), row(None), row(Some("c"))];
    let error = apply(&plan, ApplyOptions::default(), &rows).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "GM_CATEGORY");
    assert_eq!(
        error.to_string(),
        "column 's' of the row a.csv:2 holds \"c\", which is none of its categories"
    );
    let ignore =
        ApplyOptions { unknown: Unknown::Ignore, unknown_value: Some(-1), ..ApplyOptions::default() };
    let got = apply(&plan, ignore.clone(), &rows).unwrap();
    assert_eq!(one_hot(&got, "s"), [[0, 1, 0], [0, 0, 1], [0, 0, 0]]);
    let first = parameters(&hot(super::Dropped::First), "s", "string");
    assert_eq!(one_hot(&apply(&first, ignore.clone(), &rows).unwrap(), "s"), [[1, 0], [0, 1], [0, 0]]);
    let ordinal = Transform::Ordinal { categories: vec![Scalar::Text("c".into()), Scalar::Text("b".into())] };
    let got =
        apply(&parameters(&ordinal, "s", "string"), ignore, &[row(Some("b")), row(None), row(Some("x"))])
            .unwrap();
    let ordinals: &Int64Array = got.typed("s", "int64").unwrap();
    assert_eq!(ordinals.iter().collect::<Vec<_>>(), [Some(1), None, Some(-1)]);
}

#[test]
fn a_row_without_a_value_is_removed_and_recorded() {
    let plan = parameters(&Transform::Drop, "x", "float64");
    let mut batch = batch(&[(Some(1.0), None, None), (None, None, None), (Some(f64::NAN), None, None)]);
    let mut log = RemovedLog::default();
    Table::new(&plan, ApplyOptions::default()).unwrap().apply(&mut batch, &mut log, "missing").unwrap();
    assert_eq!(batch.kept_rows(), 1);
    assert_eq!((log.by_rule()[0].rule.as_str(), log.by_rule()[0].rows), ("x", 2));
}

#[test]
fn values_that_do_not_fit_their_column_are_refused() {
    let plan = parameters(
        &Transform::Fill { value: Some(text("x")), becomes: super::values::Kind::Int64 },
        "n",
        "int64",
    );
    assert_eq!(apply(&plan, ApplyOptions::default(), &[]).map(|_| ()).unwrap_err().code(), "GM_FIT");
}
