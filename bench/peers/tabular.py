"""A table made ready for training with pandas and scikit-learn, on one core.

Usage: tabular.py make TABLE.parquet ROWS, tabular.py sklearn TABLE.parquet OUT

``make`` writes rows of eight numbers, a tenth of them missing in four columns, and three categories. ``sklearn`` fills,
scales and encodes them as its documentation teaches it, with a ColumnTransformer of pipelines, writes Parquet, and
prints one JSON object: rows and categories, as a check on the answer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = [f"n{at}" for at in range(8)]
FILLED, RANGED = NUMBERS[:4], NUMBERS[4:]
ONE_HOT, ORDINAL = ["city", "kind"], ["grade"]
ROW_GROUP = 100_000


def make(table: str, rows: int) -> None:
    """Writes the table."""
    random = np.random.default_rng(1)
    columns: dict[str, pa.Array] = {}
    for at, name in enumerate(NUMBERS):
        values = random.normal(10.0 * at, 1.0 + at, rows)
        missing = random.random(rows) < 0.1 if name in FILLED else None
        columns[name] = pa.array(values, mask=missing)
    for name, count in (("city", 50), ("kind", 4), ("grade", 10)):
        columns[name] = pa.array([f"{name}-{at}" for at in range(count)]).take(pa.array(random.integers(0, count, rows)))
    pq.write_table(pa.table(columns), table, row_group_size=ROW_GROUP)


def transform(table: str, out: str) -> None:
    """Fits, applies and writes."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

    frame = pq.read_table(table, use_threads=False).to_pandas(use_threads=False)
    one_hot = OneHotEncoder(sparse_output=False, dtype=np.uint8)
    ordinal = OrdinalEncoder(dtype=np.int64)
    columns = ColumnTransformer(
        [
            ("filled", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), FILLED),
            ("ranged", MinMaxScaler(), RANGED),
            ("one-hot", one_hot, ONE_HOT),
            ("ordinal", ordinal, ORDINAL),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    ready = columns.fit_transform(frame)
    Path(out).mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(ready, nthreads=1), f"{out}/table.parquet", compression="zstd")
    encoders = (columns.named_transformers_["one-hot"], columns.named_transformers_["ordinal"])
    categories = sum(len(found) for encoder in encoders for found in encoder.categories_)
    print(json.dumps({"check": len(ready) + categories}))


def main() -> None:
    kind, table, last = sys.argv[1:]
    if kind == "make":
        make(table, int(last))
    else:
        transform(table, last)


if __name__ == "__main__":
    main()
