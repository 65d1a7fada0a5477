"""Writes a small run with numpy alone, and prints what the Python loader gives of it.

Reads {"folder": …, "options": {…}, "epochs": N}, writes the run into the folder when it is not there, and prints a list
of batches, each with its fields as lists.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python/tests"))

from gristmill import Loader  # noqa: E402
from runs import random_documents, write_run  # noqa: E402

FIELDS = ("tokens", "labels", "position_ids", "loss_mask", "attention_mask", "cu_seqlens", "sample_ids", "dataset_ids")

request = json.load(sys.stdin)
folder = Path(request["folder"])
if not folder.exists():
    write_run(folder, random_documents(160, 40), 32, shards=3)
batches = []
with Loader(folder, as_numpy=True, **request["options"]) as loader:
    for _ in range(request["epochs"]):
        batches += [{name: batch[name].astype(int).ravel().tolist() for name in FIELDS} for batch in loader]
json.dump(batches, sys.stdout)
