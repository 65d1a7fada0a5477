"""Tokens, labels, masks and positions against a plain numpy reference."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import numpy as np
import pytest
import reference
from gristmill import GristmillError, Loader
from gristmill.options import FieldName
from runs import Run, write_run

ALL: tuple[FieldName, ...] = ("tokens", "labels", "position_ids", "loss_mask", "attention_mask")


def check_epoch(run: Run, batch_size: int, **options: Any) -> None:
    names = {"shift_labels": "shift", "mask_documents": "masked", "reset_position_ids": "reset", "pad_id": "pad"}
    told = {names[name]: value for name, value in options.items() if name in names}
    with Loader(run.path, batch_size=batch_size, seed=3, as_numpy=True, **options) as loader:
        seen = []
        for batch in loader:
            ids = batch["sample_ids"].tolist()
            seen += [sample for sample in ids if sample >= 0]
            rows = [run.sequences[sample] if sample >= 0 else [] for sample in ids]
            expected = reference.batch(rows, run.length, **told)
            for name in {*batch, *ALL[2:], "cu_seqlens"}:
                np.testing.assert_array_equal(batch[name], expected[name], err_msg=name)
            assert batch["max_seqlen"] == np.diff(expected["cu_seqlens"]).max()
            assert batch.sequences == sum(sample >= 0 for sample in ids)
        assert sorted(seen) == list(range(len(run.sequences)))


@pytest.mark.parametrize(("shift", "masked", "reset"), list(product([True, False], repeat=3)))
def test_every_field_is_what_the_reference_makes(small_run: Run, shift: bool, masked: bool, reset: bool) -> None:
    check_epoch(
        small_run, 7, fields=ALL, shift_labels=shift, mask_documents=masked, reset_position_ids=reset, pad_id=9
    )


def test_ids_of_32_bits(wide_run: Run) -> None:
    check_epoch(wide_run, 5, fields=ALL)


def test_fields_that_were_not_asked_for_are_made_when_looked_up(small_run: Run) -> None:
    check_epoch(small_run, 4, fields=("tokens",), mask_documents=False)


def test_types(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=2, as_numpy=True, fields=ALL) as loader:
        batch = next(iter(loader))
        types = {name: batch[name].dtype.name for name in (*ALL, "cu_seqlens")}
        assert types == {
            "tokens": "int32",
            "labels": "int64",
            "position_ids": "int64",
            "loss_mask": "bool",
            "attention_mask": "bool",
            "cu_seqlens": "int32",
        }
        assert all(array.ctypes.data % 64 == 0 for array in batch.values())
    with Loader(small_run.path, batch_size=2, as_numpy=True, dtype=np.int64) as loader:
        assert next(iter(loader))["tokens"].dtype == np.int64


@pytest.mark.parametrize("fields", [ALL, ("tokens", "labels")])
@pytest.mark.parametrize("mask", ["int32", "int64", "float16", "float32"])
def test_types_that_were_asked_for(small_run: Run, fields: tuple[FieldName, ...], mask: str) -> None:
    dtype = {"labels": "int32", "position_ids": np.int32, "loss_mask": mask, "attention_mask": mask}
    check_epoch(small_run, 6, fields=fields, dtype=dtype)
    with Loader(small_run.path, batch_size=2, as_numpy=True, fields=fields, dtype=dtype) as loader:
        batch = next(iter(loader))
        assert {name: batch[name].dtype.name for name in ALL} == {"tokens": "int32", **{**dtype, "position_ids": "int32"}}


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("cp", [1, 2])
def test_causal_masks_are_made_once_for_a_length(small_run: Run, dtype: str, cp: int) -> None:
    options: dict[str, Any] = {"as_numpy": True, "dtype": {"causal_mask": dtype}, "buckets": (8, 32)}
    masks: dict[int, list[Any]] = {}
    for rank in range(cp):
        with Loader(small_run.path, batch_size=2, rank=rank, mesh={"cp": cp}, **options) as loader:
            own: dict[int, Any] = {}
            for batch in loader:
                length = batch["tokens"].shape[1] * cp
                mask = batch["causal_mask"]
                assert mask is own.setdefault(length, mask)
                assert not mask.flags.writeable
            assert sorted(own) == [8, 32]
            for length, mask in own.items():
                masks.setdefault(length, []).append(mask)
    for length, parts in masks.items():
        mask = np.concatenate(parts)
        seen = np.tril(np.ones((length, length), bool))
        expected = np.where(seen, 0.0, -np.inf) if dtype.startswith("float") else seen
        assert mask.dtype == dtype
        np.testing.assert_array_equal(mask, expected.astype(dtype))


def test_masks_without_padding_are_shared(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=1, as_numpy=True, fields=("tokens",)) as loader:
        full = []
        for batch in loader:
            mask = batch["attention_mask"]
            if batch.token_count == 32:
                full.append(mask)
                assert mask.all() and not mask.flags.writeable
            else:
                assert mask.sum() == batch.token_count and mask.flags.writeable
    assert len(full) > 2 and all(mask is full[0] for mask in full)


def test_a_causal_mask_may_be_too_large(tmp_path: Any) -> None:
    run = write_run(tmp_path / "run", [[1, 2, 3]], 32)
    with Loader(run.path, batch_size=1, as_numpy=True, buckets=(1 << 20,)) as loader:
        with pytest.raises(GristmillError, match="more than a GiB"):
            next(iter(loader))["causal_mask"]


def test_numpy_has_no_bfloat16(small_run: Run) -> None:
    with pytest.raises(GristmillError, match="numpy has no bfloat16"):
        Loader(small_run.path, batch_size=2, as_numpy=True, dtype={"loss_mask": "bfloat16"})


def test_fields_under_other_names(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=2, as_numpy=True, fields={"input_ids": "tokens"}) as loader:
        batch = next(iter(loader))
        assert list(batch) == ["input_ids"]
        with pytest.raises(KeyError, match="this batch has input_ids"):
            batch["labels"]


def test_small_fields_are_items_when_asked_for(small_run: Run) -> None:
    fields: tuple[FieldName, ...] = ("tokens", "cu_seqlens", "max_seqlen", "sample_ids")
    with Loader(small_run.path, batch_size=2, as_numpy=True, fields=fields) as loader:
        batch = next(iter(loader))
        assert tuple(batch) == fields
        assert batch["max_seqlen"] == np.diff(batch["cu_seqlens"]).max()
        moved = type(batch)(batch.items())
        for other in (moved, copy.copy(batch)):
            assert list(map(id, other.values())) == list(map(id, batch.values()))
        with pytest.raises(KeyError, match="name what you need"):
            moved["loss_mask"]
        with pytest.raises(AttributeError, match="its items only"):
            moved.epoch  # noqa: B018


@pytest.mark.parametrize("cp", [2, 4])
def test_context_parallel_ranks_get_slices_of_the_same_sequences(small_run: Run, cp: int) -> None:
    options: dict[str, Any] = {"batch_size": 3, "fields": ALL, "as_numpy": True, "seed": 1}
    with Loader(small_run.path, **options) as whole:
        expected = list_copies(whole)
    slices = []
    for rank in range(cp):
        with Loader(small_run.path, rank=rank, mesh={"cp": cp}, **options) as loader:
            slices.append(list_copies(loader))
    for number, batch in enumerate(expected):
        for name in ALL:
            joined = np.concatenate([one[number][name] for one in slices], axis=1)
            np.testing.assert_array_equal(joined, batch[name], err_msg=name)
        for one in slices:
            np.testing.assert_array_equal(one[number]["cu_seqlens"], batch["cu_seqlens"])


def list_copies(loader: Loader) -> list[dict[str, Any]]:
    return [{name: np.array(batch[name]) for name in (*batch, "cu_seqlens")} for batch in loader]
