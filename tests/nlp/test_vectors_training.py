"""Drawing sentence vectors together: pairs come nearer, the rest stays, a stopped run goes on."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoModel, BertModel

from nlp.text import tokenise
from nlp.training import TrainConfig, pairs, vectors
from nlp.training.vectors import VectorsConfig
from tests.nlp.test_training import base, folder

__all__ = ["base", "folder"]  # fixtures

RUN = VectorsConfig(steps=30, batch=16, length=32, learning_rate=3e-3, checkpoint_every=5)


def silent(_done: int, _of: int) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    """One thread here, so that runs are equal; as many as before afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def config(base: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """On a base whose vectors differ from text to text, as a trained one's do."""
    home = tmp_path_factory.mktemp("vectors")
    torch.manual_seed(1)
    about = AutoConfig.from_pretrained(base, initializer_range=0.3)
    BertModel(about, add_pooling_layer=False).save_pretrained(home / "base")
    shutil.copy(base / "tokenizer.json", home / "base")
    return TrainConfig(
        data=folder, out=home / "out", work=home / "work", base=str(home / "base"), max_length=32,
        bf16=False, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(config: TrainConfig) -> Path:
    return vectors.train(config, RUN, silent)


def _read(where: Path | str, texts: list[str], config: TrainConfig) -> Tensor:
    encoder = AutoModel.from_pretrained(where, dtype=torch.float32, add_pooling_layer=False).eval()
    tokenizer = Tokenizer.from_file(str(Path(where) / "tokenizer.json"))
    with torch.no_grad():
        return vectors.read(encoder, tokenise(tokenizer, texts, 32), config)


def test_partners_are_told_apart_better_than_before(config: TrainConfig, drawn: Path) -> None:
    one, other = (list(side) for side in zip(*pairs.load(config)[-60:], strict=True))
    before, after = (
        float(vectors.contrast(_read(where, one, config), _read(where, other, config)))
        for where in (config.base, drawn)
    )
    assert after < before - 0.3  # of ln 60 = 4.1 at most


def test_holding_keeps_vectors_nearer_the_bases(
    config: TrainConfig, drawn: Path, tmp_path: Path
) -> None:
    loose = dataclasses.replace(config, out=tmp_path / "out", work=tmp_path / "work")
    vectors.train(loose, dataclasses.replace(RUN, hold_weight=0.0), silent)
    texts = [one for one, _ in pairs.load(config)[:60]]
    at_first = _read(config.base, texts, config)
    held, free = (
        float((at_first * _read(where, texts, config)).sum(-1).mean())
        for where in (drawn, tmp_path / "out")
    )
    assert held > free


def test_a_stopped_run_ends_like_an_undisturbed_one(
    config: TrainConfig, drawn: Path, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, _of: int) -> None:
        if done == 13:
            raise Stop

    again = dataclasses.replace(config, out=tmp_path / "out", work=tmp_path / "work")
    with pytest.raises(Stop):
        vectors.train(again, RUN, stop)
    vectors.train(again, RUN, silent)
    name = "model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (drawn / name).read_bytes()


def test_without_pairs_it_says_so(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "labelled").mkdir()
    empty = dataclasses.replace(config, data=tmp_path, work=tmp_path / "work")
    with pytest.raises(ValueError, match="没有成对的文字"):
        vectors.train(empty, RUN, silent)
