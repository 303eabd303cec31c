"""Teaching a small encoder: what it learns from, that it learns it, and that it can be stopped."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, BertModel

from nlp.model import Model
from nlp.ngrams import BUCKETS, Ngrams, grams_of
from nlp.training import TrainConfig, data, ngrams, pairs, student, targets, train
from nlp.training.config import LABELS
from nlp.training.student import StudentConfig
from nlp.training.targets import Teacher
from tests.nlp.test_training import base, folder

__all__ = ["base", "folder"]  # fixtures

SMALL = StudentConfig(
    layers=1, hidden=16, attention_heads=2, texts=200, epochs=2, labelled_times=1,
    batch_tokens=512, learning_rate=3e-3, pair_every=3, pair_batch=6, checkpoint_every=4,
)  # fmt: skip


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
    home = tmp_path_factory.mktemp("student")
    return TrainConfig(
        data=folder, out=home / "out", work=home / "work", base=str(base), vocabulary=120,
        max_length=32, bf16=False, learning_rate=3e-3, batch_tokens=512, max_steps=30, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def teacher(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("teacher")
    return train(dataclasses.replace(config, out=home / "one", work=home / "work"))


@pytest.fixture(scope="module")
def taught(config: TrainConfig, teacher: Path) -> Path:
    return student.train(config, SMALL, [Teacher.of(str(teacher))], silent)


def test_a_student_agrees_with_its_teacher(
    config: TrainConfig, teacher: Path, taught: Path
) -> None:
    texts = [one.text for one in data.load(config).dev["emotion/usual"]]
    said = [Model(where, threads=1).read(texts) for where in (teacher, taught)]
    tops = [[max(r.probabilities["emotion"], key=r.probabilities["emotion"].__getitem__)
             for r in readings] for readings in said]  # fmt: skip
    agree = np.mean([one == other for one, other in zip(*tops, strict=True)])
    assert agree > 0.6
    assert Model(taught, threads=1).dims == 16


def test_vectors_are_the_bases_on_their_main_axes(config: TrainConfig, taught: Path) -> None:
    kept = np.load(config.work / "vectors.npy").astype(np.float32)
    axes = targets.principal_axes(kept, 16)
    assert np.allclose(axes.T @ axes, np.eye(16), atol=1e-3)
    exact, short = kept @ kept.T, (kept @ axes) @ (kept @ axes).T
    assert np.abs(exact - short).mean() < 0.05


def test_a_stopped_run_ends_like_an_undisturbed_one(
    config: TrainConfig, teacher: Path, taught: Path, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    again = dataclasses.replace(config, out=tmp_path / "out", work=tmp_path / "work")
    (tmp_path / "work").mkdir()
    shutil.copy(config.work / "vectors.npy", tmp_path / "work")
    shutil.copy(config.work / "vectors.done", tmp_path / "work")

    def stop(done: int, of: int) -> None:
        if of < 100 and done == 6:  # the texts are read, six steps are done
            raise Stop

    with pytest.raises(Stop):
        student.train(again, SMALL, [Teacher.of(str(teacher))], stop)
    assert (tmp_path / "work" / "student.pt").exists()
    student.train(again, SMALL, [Teacher.of(str(teacher))], silent)
    for name in ("model.safetensors", "heads.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (taught / name).read_bytes()


def test_a_deeper_student_begins_as_the_earlier_one(taught: Path) -> None:
    earlier = AutoModel.from_pretrained(taught, dtype=torch.float32, add_pooling_layer=False).eval()
    about = AutoConfig.from_pretrained(taught, num_hidden_layers=2)
    deeper = BertModel(about, add_pooling_layer=False).eval()
    ids = torch.randint(5, about.vocab_size, (6, 12), generator=torch.Generator().manual_seed(1))

    def alike() -> float:
        states = [one(input_ids=ids).last_hidden_state for one in (earlier, deeper)]
        return float(torch.cosine_similarity(*states, dim=-1).mean())

    with torch.no_grad():
        before = alike()
        student.begin_as(deeper, taught)
        assert alike() > max(0.95, before)
    with pytest.raises(ValueError, match="更深"):
        student.begin_as(
            BertModel(AutoConfig.from_pretrained(taught, num_hidden_layers=0)), taught
        )  # fmt: skip


def test_a_teacher_of_one_task_is_asked_that_alone(
    config: TrainConfig, teacher: Path, tmp_path: Path
) -> None:
    alone = dataclasses.replace(
        config, out=tmp_path / "emotion", work=tmp_path / "teaching", tasks=("emotion",),
        vector_weight=0.0, max_steps=5,
    )  # fmt: skip
    made = train(alone)
    assert json.loads((made / "heads.json").read_text())["labels"].keys() == {"emotion"}
    assert not (alone.work / "vectors.npy").exists()
    others = ",".join(task for task in LABELS if task != "emotion")
    asked = [Teacher.of(str(made)), Teacher.of(f"{teacher}:{others}")]
    sets = data.load(config)
    plain = dataclasses.replace(config, work=tmp_path / "work", ngram_shares={})
    found = targets.make(plain, asked, 10, 16, sets, silent)
    assert np.isfinite(found.probabilities).all()
    place = targets.slices()["emotion"]
    whole = dataclasses.replace(plain, work=tmp_path / "whole")
    of_one = targets.make(whole, [Teacher.of(str(teacher))], 10, 16, sets, silent)
    other = np.delete(np.arange(targets.OUTPUTS), np.arange(place.start, place.stop))
    assert np.array_equal(found.probabilities[:, other], of_one.probabilities[:, other])
    assert not np.array_equal(found.probabilities[:, place], of_one.probabilities[:, place])
    with pytest.raises(ValueError, match="没有学过：intent"):
        Teacher.of(f"{made}:intent")
    nobody = dataclasses.replace(plain, work=tmp_path / "nobody")
    with pytest.raises(ValueError, match="没有一位老师懂"):
        targets.make(nobody, asked[:1], 10, 16, sets, silent)


def test_texts_of_another_run_are_refused(
    config: TrainConfig, teacher: Path, taught: Path, tmp_path: Path
) -> None:
    shutil.copytree(config.work, tmp_path / "work")
    (tmp_path / "work" / "student.pt").unlink()
    mark = tmp_path / "work" / "vectors.done"
    mark.write_text(f"{'0' * 64} {mark.read_text().split()[1]}")  # as many texts, but others
    other = dataclasses.replace(config, out=tmp_path / "out", work=tmp_path / "work")
    with pytest.raises(ValueError, match="另一批文本"):
        student.train(other, SMALL, [Teacher.of(str(teacher))], silent)


def test_held_messages_are_in_no_pair(config: TrainConfig) -> None:
    found = pairs.load(config)
    titles = [str(row["title"]) for row in data.rows(
        config.data / "labelled" / "category_full.jsonl.gz")]  # fmt: skip
    held = {title for title in titles if pairs.held(title)}
    assert found and held
    assert not held & {one for pair in found for one in pair}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_ngrams_of_a_text_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    found = grams_of(texts)
    assert len(found.starts) == len(texts) + 1 and found.starts[-1] == len(found.buckets)
    assert int(found.buckets.max(initial=0)) < BUCKETS
    for number, text in enumerate(texts):
        alone = grams_of([text]).buckets
        part = found.buckets[found.starts[number] : found.starts[number + 1]]
        assert sorted(alone.tolist()) == sorted(part.tolist())


def test_ngrams_learn_and_come_back_from_their_file(config: TrainConfig, tmp_path: Path) -> None:
    sets = data.load(config)
    made = ngrams.fit(sets.train)
    assert ngrams.dev_scores(made, sets.dev)["emotion/usual"] > 0.9
    made.save(tmp_path)
    again = Ngrams.load(tmp_path)
    texts = ["今天真开心呀", "", "气死我了" * 300]
    for task, names in LABELS.items():
        one, other = made.probabilities(texts)[task], again.probabilities(texts)[task]
        assert one.shape == (3, len(names)) and np.allclose(one, other)
        assert np.allclose(one.sum(1), 1, atol=1e-5)


def test_the_best_share_is_found() -> None:
    right = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    wrong = np.eye(3, dtype=np.float32)[[1, 2, 0, 1]]
    gold = np.array([0, 1, 2, 0])
    assert ngrams.best_share([right], [wrong], [gold]) == 0.0
    assert ngrams.best_share([wrong], [right], [gold]) > 0.5


def test_ngrams_in_the_folder_answer_with_the_encoder(
    config: TrainConfig, taught: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(taught, tmp_path / "model"))
    (folder / ngrams.FILE).unlink(missing_ok=True)
    alone = Model(folder)
    fitted = ngrams.fitted(data.load(config).train, config.work)
    half = ngrams.only(fitted, {"emotion": 0.5, "category": 0.0})
    assert half is not None and list(half.labels) == ["emotion"]
    half.save(folder)
    both, text = Model(folder), "气死我了太过分"
    assert both.id != alone.id
    one, two = alone.read([text])[0], both.read([text])[0]
    assert one.probabilities["category"] == two.probabilities["category"]
    temperature = json.loads((folder / "heads.json").read_text())["temperatures"]["emotion"]
    sharp = np.array(list(one.probabilities["emotion"].values())) ** temperature
    mean = (sharp / sharp.sum() + half.probabilities([text])["emotion"][0]) / 2
    wanted = mean ** (1 / temperature) / (mean ** (1 / temperature)).sum()
    assert list(two.probabilities["emotion"].values()) == pytest.approx(wanted, abs=2e-3)
