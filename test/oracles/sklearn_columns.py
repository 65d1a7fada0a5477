"""Fits scikit-learn's transformers on columns and applies them.

Reads {"train": {column: [value, ...]}, "later": {...}, "tasks": {name: {"column", "kind", ...}}} from standard input;
writes, for each task, {"parameters", "train", "later"}: what was found, and the columns as they become. Null is a
missing value, both ways. Kinds: mean, median, most_frequent, standard, min-max (range, clip), one-hot (drop), ordinal;
a list of kinds is done one after the other.
"""

import json
import sys

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler


def column(values: list) -> np.ndarray:
    """One feature: floats with NaN for null, or objects with None."""
    if any(isinstance(value, str | bool) for value in values):
        return np.array(values, dtype=object).reshape(-1, 1)
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def transformer(kind: str, task: dict, train: np.ndarray):
    missing = None if train.dtype == object else np.nan
    match kind:
        case "mean" | "median" | "most_frequent":
            return SimpleImputer(strategy=kind, missing_values=missing)
        case "standard":
            return StandardScaler()
        case "min-max":
            return MinMaxScaler(feature_range=tuple(task.get("range", [0, 1])), clip=task.get("clip", False))
        case "one-hot":
            return OneHotEncoder(sparse_output=False, handle_unknown="ignore", drop=task.get("drop"))
        case "ordinal":
            return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    raise ValueError(kind)


def parameters(fitted) -> dict:
    """What was found, as plain JSON."""
    match fitted:
        case SimpleImputer():
            return {"value": fitted.statistics_[0]}
        case StandardScaler():
            return {"mean": fitted.mean_[0], "scale": fitted.scale_[0]}
        case MinMaxScaler():
            return {"min": fitted.data_min_[0], "max": fitted.data_max_[0]}
        case _:
            return {"categories": fitted.categories_[0].tolist()}


def plain(value):
    """NaN as null, numpy's scalars as Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def run(request: dict, task: dict) -> dict:
    train, later = (column(request[part][task["column"]]) for part in ("train", "later"))
    kinds = task["kind"] if isinstance(task["kind"], list) else [task["kind"]]
    for kind in kinds:
        if kind == "ordinal" and train.dtype == object:
            # None would be a category like any other; what is missing keeps NaN.
            train, later = (np.where(values == None, np.nan, values) for values in (train, later))  # noqa: E711
        fitted = transformer(kind, task, train).fit(train)
        train, later = fitted.transform(train), fitted.transform(later)

    def rows(values: np.ndarray) -> list:
        return values.tolist() if kinds[-1] == "one-hot" else values[:, 0].tolist()

    return {"parameters": parameters(fitted), "train": rows(train), "later": rows(later)}


def main() -> None:
    request = json.load(sys.stdin)
    answers = {name: plain(run(request, task)) for name, task in request["tasks"].items()}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
