"""Masked-language training: what is hidden, and that a stopped run goes on where it was."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from nlp.training import TrainConfig, pretrain
from nlp.training.pretrain import PretrainConfig, hide
from tests.nlp.test_training import base, folder

__all__ = ["base", "folder"]  # fixtures


@pytest.fixture
def config(base: Path, folder: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=folder, out=tmp_path / "encoder", work=tmp_path / "work", base=str(base),
        vocabulary=120, max_length=32, bf16=False,
    )  # fmt: skip


RUN = PretrainConfig(tokens=6000, batch_tokens=256, learning_rate=3e-3, checkpoint_every=5)


def test_hides_about_a_seventh_and_no_special_piece() -> None:
    ids = torch.randint(5, 100, (200, 50))
    ids[:, 0], ids[:, 40:] = 2, 0
    gaps, wanted = hide(ids, 100, torch.Generator().manual_seed(3))
    chosen = wanted != -100
    assert not bool(chosen[:, 0].any()) and not bool(chosen[:, 40:].any())
    assert abs(float(chosen[:, 1:40].float().mean()) - 0.15) < 0.01
    assert torch.equal(wanted[chosen], ids[chosen])
    assert torch.equal(gaps[~chosen], ids[~chosen])
    assert abs(float((gaps[chosen] == 4).float().mean()) - 0.8) < 0.04
    assert bool((hide(torch.tensor([[2, 7, 3]]), 9, torch.Generator())[1] == 7).any())


def test_learns_and_writes_a_folder_that_transformers_loads(
    config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nlp.training.pretrain")
    made = pretrain.pretrain(config, dataclasses.replace(RUN, tokens=8000, batch_tokens=64))
    shown = [one.message for one in caplog.records if "loss" in one.message]
    losses = [float(message.split("loss ")[1]) for message in shown]
    assert losses[-1] < losses[0] - 0.2
    tokenizer = AutoTokenizer.from_pretrained(made)
    encoder = AutoModel.from_pretrained(made)
    assert encoder.config.vocab_size == len(tokenizer)
    assert encoder(**tokenizer("停水", return_tensors="pt")).last_hidden_state.shape[-1] == 32


def test_a_stopped_run_ends_like_an_undisturbed_one(config: TrainConfig, tmp_path: Path) -> None:
    calm = pretrain.pretrain(config, RUN)

    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        if step == 13:
            raise Stopped

    other = dataclasses.replace(config, out=tmp_path / "other", work=tmp_path / "other-work")
    other.work.mkdir()
    for kept in ("vocabulary.json", "pretrain-tokens.npz"):  # what hash order may change
        shutil.copy(config.work / kept, other.work / kept)
    with pytest.raises(Stopped):
        pretrain.pretrain(other, RUN, stop)
    again = pretrain.pretrain(other, RUN)
    assert (again / "model.safetensors").read_bytes() == (calm / "model.safetensors").read_bytes()
