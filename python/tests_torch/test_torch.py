"""The loader in PyTorch: tensors, DataLoader, torchdata, and a training run that is stopped and resumed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import numpy as np
import pytest
import torch
import transformers
from gristmill import Loader
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
