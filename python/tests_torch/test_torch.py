"""The loader in PyTorch: tensors, DataLoader, torchdata, and a training run that is stopped and resumed."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import numpy as np
import pytest
import torch
import transformers
from gristmill import AutoBatch, GristmillError, Loader
from runs import Run, random_documents, write_run
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ids below 64, so that a small model learns something."""
    return write_run(tmp_path_factory.mktemp("runs") / "torch", random_documents(200, 40, 0, 64), 32, vocabulary=64)


def ids(batches: Any) -> list[list[int]]:
    return [batch["sample_ids"].tolist() for batch in batches]


def test_tensors_are_views_of_native_memory(run: Run) -> None:
    with Loader(run.path, batch_size=4, seed=1) as loader, Loader(run.path, batch_size=4, seed=1, as_numpy=True) as other:
        for batch, expected in zip(loader, other, strict=True):
            assert batch["tokens"].dtype == torch.int32
            assert batch["labels"].dtype == torch.int64
            assert batch["loss_mask"].dtype == torch.bool
            for name in ("tokens", "labels", "cu_seqlens", "loss_mask"):
                np.testing.assert_array_equal(batch[name].numpy(), expected[name])
    with Loader(run.path, batch_size=4, dtype=torch.int64) as loader:
        held = [next(iter(loader)) for _ in range(5)]
        copies = [batch["tokens"].clone() for batch in held]
        for _ in range(10):
            next(iter(loader))
        assert all(torch.equal(batch["tokens"], copy) for batch, copy in zip(held, copies, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.bool])
def test_masks_have_the_type_that_was_asked_for(run: Run, dtype: torch.dtype) -> None:
    names: Any = ("loss_mask", "attention_mask", "causal_mask")
    told = dict.fromkeys(names, dtype)
    with Loader(run.path, batch_size=4, seed=1, dtype=told, fields=("tokens", *names)) as loader:
        with Loader(run.path, batch_size=4, seed=1, as_numpy=True) as other:
            for batch, expected in zip(loader, other, strict=True):
                for name in names[:2]:
                    assert batch[name].dtype == dtype
                    np.testing.assert_array_equal(batch[name].float().numpy(), expected[name])
    causal = batch["causal_mask"]
    assert causal.dtype == dtype
    scores = torch.randn(32, 32)
    seen = torch.ones(32, 32).tril().bool()
    masked = scores.masked_fill(~causal, -torch.inf) if dtype == torch.bool else scores + causal.float()
    assert torch.equal(masked, scores.masked_fill(~seen, -torch.inf))


def test_attention_takes_the_causal_mask(run: Run) -> None:
    attention = torch.nn.functional.scaled_dot_product_attention
    query, key, value = torch.randn(3, 4, 2, 32, 8).unbind()
    expected = attention(query, key, value, is_causal=True)
    for dtype in ("bool", "float32"):
        with Loader(run.path, batch_size=4, dtype={"causal_mask": dtype}) as loader:
            batch, other = next(iter(loader)), next(iter(loader))
            assert batch["causal_mask"] is other["causal_mask"]
            torch.testing.assert_close(attention(query, key, value, attn_mask=batch["causal_mask"]), expected)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_device_it_is_said(run: Run) -> None:
    for options in ({"pin_memory": True}, {"device": "cuda"}, {"batch_size": AutoBatch(sample_bytes=1000)}):
        with pytest.raises(GristmillError, match="no CUDA device"):
            Loader(run.path, **{"batch_size": 4, **options})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_batches_arrive_on_the_device(run: Run) -> None:
    fields = ("tokens", "labels", "cu_seqlens", "max_seqlen", "causal_mask")
    with Loader(run.path, batch_size=4, seed=1, fields=fields) as loader:
        expected = [{name: value.clone() for name, value in batch.items() if name != "max_seqlen"} for batch in loader]
    for options in ({"device": "cuda"}, {"device": "cuda", "buffers": 2, "prefetch": 1}):
        with Loader(run.path, batch_size=4, seed=1, fields=fields, **options) as loader:
            got = list(loader)
        for batch, own in zip(got, expected, strict=True):
            for name, value in own.items():
                assert batch[name].is_cuda and torch.equal(batch[name].cpu(), value)
        assert got[0]["causal_mask"] is got[1]["causal_mask"]
    with Loader(run.path, batch_size=4, seed=1, pin_memory=True) as loader:
        assert next(iter(loader))["tokens"].is_pinned()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_batch_size_is_measured_on_the_device(run: Run) -> None:
    def step(batch: Any) -> None:
        torch.zeros(len(batch["tokens"]) << 20, dtype=torch.uint8, device="cuda").sum()

    budget = torch.cuda.memory_allocated() + (100 << 20)
    with Loader(run.path, batch_size=AutoBatch(budget, step=step)) as loader:
        assert loader.batch_size is not None and 90 <= loader.batch_size <= 100


RANK = """
import sys
import torch.distributed as distributed
from gristmill import AutoBatch, Loader
path, rank, store = sys.argv[1:]
distributed.init_process_group("gloo", init_method="file://" + store, rank=int(rank), world_size=2)
def step(batch):
    if len(batch["tokens"]) > (9 if rank == "0" else 13):
        raise MemoryError
    return 0
with Loader(path, batch_size=AutoBatch(10**9, step=step), rank=int(rank), world_size=2) as loader:
    print(loader.batch_size)
"""


def test_ranks_agree_on_a_batch_size(run: Run, tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", RANK, os.fspath(run.path), str(rank), str(tmp_path / "store")] for rank in (0, 1)]
    ranks = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    assert [rank.communicate(timeout=120)[0].split()[-1] for rank in ranks] == ["9", "9"]


def test_a_data_loader_passes_batches_on(run: Run) -> None:
    with Loader(run.path, batch_size=4, seed=1) as loader:
        expected = ids(loader)
    with Loader(run.path, batch_size=4, seed=1) as loader:
        data = DataLoader(loader, batch_size=None, num_workers=0)
        assert len(data) == len(expected)
        assert [batch["tokens"].shape for batch in data] == [(4, 32)] * len(expected)
        assert loader.epoch == 1


@pytest.mark.parametrize("stop", [1, 7])
def test_torchdata_saves_and_resumes(run: Run, stop: int) -> None:
    fields = ("tokens",)
    with Loader(run.path, batch_size=4, seed=1, fields=fields) as loader:
        expected = [batch["tokens"].tolist() for batch in loader]
    with Loader(run.path, batch_size=4, seed=1, fields=fields) as loader:
        data = StatefulDataLoader(loader, batch_size=None, num_workers=0)
        batches = iter(data)
        first = [next(batches)["tokens"].tolist() for _ in range(stop)]
        state = data.state_dict()
    with Loader(run.path, batch_size=4, seed=1, fields=fields) as loader:
        data = StatefulDataLoader(loader, batch_size=None, num_workers=0)
        data.load_state_dict(state)
        assert first + [batch["tokens"].tolist() for batch in data] == expected


class Model(torch.nn.Module):
    """A tiny transformer; documents see themselves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(64, 16)
        self.place = torch.nn.Embedding(32, 16)
        self.layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.out = torch.nn.Linear(16, 64)

    def forward(self, batch: Any) -> Any:
        rows, columns = batch["tokens"].shape
        ends = batch["cu_seqlens"].long()
        document = torch.bucketize(torch.arange(rows * columns), ends[1:], right=True).view(rows, columns)
        seen = (document[:, :, None] == document[:, None, :]) & torch.ones(columns, columns).tril().bool()
        hidden = self.embed(batch["tokens"]) + self.place(batch["position_ids"])
        hidden = self.layer(hidden, src_mask=~seen.repeat_interleave(2, 0))
        return torch.nn.functional.cross_entropy(self.out(hidden).flatten(0, 1), batch["labels"].flatten())


class Training:
    """Model, optimizer and loader, saved and loaded together."""

    def __init__(self, run: Run) -> None:
        torch.manual_seed(0)
        self.model = Model()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)
        self.loader = Loader(run.path, batch_size=8, seed=3)

    def train(self, steps: int) -> list[float]:
        losses: list[float] = []
        while len(losses) < steps:
            for batch in self.loader:
                loss = self.model(batch)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
                if len(losses) == steps:
                    break
        return losses

    def save(self) -> bytes:
        file = io.BytesIO()
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "loader")}
        torch.save(parts, file)
        self.loader.close()
        return file.getvalue()

    def load(self, saved: bytes) -> None:
        for name, state in torch.load(io.BytesIO(saved)).items():
            getattr(self, name).load_state_dict(state)


def test_a_training_run_is_bit_equal_with_and_without_a_stop(run: Run) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    whole = Training(run)
    expected = whole.train(60)  # two epochs and a half
    assert expected[-1] < expected[0]
    first = Training(run)
    got = first.train(17)
    saved = first.save()
    second = Training(run)
    second.load(saved)
    assert got + second.train(43) == expected


def test_lightning_trains_from_a_loader(run: Run, tmp_path: Path) -> None:
    fields = ("tokens", "labels", "position_ids", "cu_seqlens")
    seen: list[list[list[int]]] = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model()

        def training_step(self, batch: Any, _: int) -> Any:
            seen.append(batch["tokens"].tolist())
            return self.model(batch)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    with Loader(run.path, batch_size=8, seed=3, fields=fields) as loader:
        expected = [batch["tokens"].tolist() for _ in range(2) for batch in loader]
    with Loader(run.path, batch_size=8, seed=3, fields=fields) as loader:
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(Module(), train_dataloaders=loader)
    assert seen == expected


class Causal(torch.nn.Module):
    """What the Trainer of Hugging Face expects of a model: named inputs, the loss first."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(64, 16)
        self.out = torch.nn.Linear(16, 64)
        self.seen: list[list[list[int]]] = []

    def forward(self, input_ids: Any, labels: Any) -> Any:
        self.seen.append(input_ids.tolist())
        logits = self.out(self.embed(input_ids))
        return {"loss": torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


def test_the_trainer_of_hugging_face_trains_from_a_loader(run: Run, tmp_path: Path) -> None:
    def open_loader() -> Loader:
        fields: Any = {"input_ids": "tokens", "labels": "labels"}
        return Loader(run.path, batch_size=8, seed=3, fields=fields, dtype="int64")

    with open_loader() as loader:
        expected = [batch["input_ids"].tolist() for batch in loader]
    arguments = transformers.TrainingArguments(
        output_dir=os.fspath(tmp_path),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    model = Causal()
    with open_loader() as loader:
        transformers.Trainer(
            model=model, args=arguments, train_dataset=loader, data_collator=lambda batches: dict(batches[0])
        ).train()
    assert model.seen == expected


TRAINER = """
import os, sys
import torch, transformers
from gristmill import Loader
from test_torch import Causal
fields = {"input_ids": "tokens", "labels": "labels"}
loader = Loader(sys.argv[1], batch_size=8, seed=3, fields=fields, dtype="int64")  # the rank is that of the environment
class OwnRanks(transformers.Trainer):
    def get_train_dataloader(self):
        return self.train_dataset
arguments = transformers.TrainingArguments(
    output_dir=sys.argv[2], num_train_epochs=1, remove_unused_columns=False, report_to=[], save_strategy="no",
    disable_tqdm=True, use_cpu=True, ddp_backend="gloo",
)
model = Causal()
OwnRanks(model=model, args=arguments, train_dataset=loader).train()
torch.save(model.seen, os.path.join(sys.argv[2], os.environ["RANK"]))
"""


def test_the_trainer_of_hugging_face_sees_all_samples_on_two_ranks(run: Run, tmp_path: Path) -> None:
    """Accelerate would divide each rank's share once more."""
    command = [sys.executable, "-c", TRAINER, os.fspath(run.path), os.fspath(tmp_path)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    modules = os.pathsep.join(sys.path)  # this one and those beside it
    shared = {**os.environ, "PYTHONPATH": modules, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in (0, 1)]
    try:
        assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    for rank in (0, 1):
        with Loader(run.path, batch_size=8, seed=3, rank=rank, world_size=2) as loader:
            assert torch.load(tmp_path / str(rank)) == [batch["tokens"].tolist() for batch in loader]
