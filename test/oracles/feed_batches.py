"""Writes a small run, and prints what the Python loader gives of it.

Reads {"folder": …, "options": {…}, "epochs": N}, and perhaps "by", a column to mix by, writes the run into the folder when it is not there, and prints a list
of batches, each with its fields as lists.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python/tests"))

from gristmill import Difficulty, Loader, Mixture  # noqa: E402
from runs import random_documents, write_run  # noqa: E402

FIELDS = ("tokens", "labels", "position_ids", "loss_mask", "attention_mask", "cu_seqlens", "sample_ids", "dataset_ids")

request = json.load(sys.stdin)
folder = Path(request["folder"])
if not folder.exists():
    columns = {"grade": [at % 10 for at in range(160)], "lang": ["en" if at % 3 else "zh" for at in range(160)]}
    write_run(folder, random_documents(160, 40), 32, shards=3, columns=columns)
options = request["options"]
if "difficulty" in options:
    options["difficulty"] = Difficulty(**options["difficulty"])
runs = Mixture.by(folder, request["by"]) if "by" in request else folder
batches = []
with Loader(runs, as_numpy=True, **options) as loader:
    for _ in range(request["epochs"]):
        batches += [{name: batch[name].astype(int).ravel().tolist() for name in FIELDS} for batch in loader]
json.dump(batches, sys.stdout)
