"""Measuring: intervals, baselines that are kept, labels set by hand, the tables."""

import csv
import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from huiyin.errors import InputError
from huiyin.records import Place
from nlp.analyser import Analyser
from nlp.training import baseline, hand, reading, scores
from nlp.training.data import Example
from nlp.training.evaluate import Report, ranking
from nlp.training.tables import ClassScore, Score, SetScore, per_class, summary


def test_the_interval_is_that_of_macro_f1_on_samples() -> None:
    order = np.random.default_rng(3)
    gold = order.integers(0, 4, 300)
    guess = np.where(order.random(300) < 0.7, gold, order.integers(0, 4, 300))
    picks = np.random.default_rng(0).integers(0, 300, (1000, 300))
    plain = [
        f1_score(gold[p], guess[p], labels=sorted(set(gold[p])), average="macro", zero_division=0)
        for p in picks
    ]
    low, high = scores.interval(gold, guess)
    assert (low, high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=1e-9)
    assert low < scores.macro_f1(gold, guess) < high


def _examples(count: int, seed: int) -> list[Example]:
    order = random.Random(seed)
    words = {"positive": "开心高兴满意", "neutral": "通知公告时间", "negative": "气死投诉差劲"}
    return [
        Example("".join(order.choices(words[label], k=9)), {"sentiment": label}, {}, "sentiment")
        for _ in range(count) for label in words
    ]  # fmt: skip


def test_the_svm_learns_and_its_answers_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, dev = _examples(30, 1), {"sentiment": _examples(10, 2), "emotion/usual": []}
    first = baseline.svm("sentiment", train, dev, tmp_path)
    gold = [
        ("positive", "neutral", "negative").index(i.labels["sentiment"]) for i in dev["sentiment"]
    ]
    assert set(first) == {"sentiment"}
    assert scores.macro_f1(gold, first["sentiment"]) > 0.9
    fitted = []
    pipeline = baseline.pipeline
    monkeypatch.setattr(baseline, "pipeline", lambda: fitted.append(1) or pipeline())
    assert baseline.svm("sentiment", train, dev, tmp_path) == first
    assert not fitted
    baseline.svm("sentiment", train[:-1], dev, tmp_path)
    assert fitted


def test_snownlp_answers_from_its_own_weights(tmp_path: Path) -> None:
    pytest.importorskip("snownlp")
    texts = {
        "positive": "质量很好，非常满意，下次还来", "neutral": "今天下午三点开会",
        "negative": "太差了，退货，垃圾，上当受骗",
    }  # fmt: skip
    dev = {"sentiment": [Example(t, {"sentiment": label}, {}, "") for label, t in texts.items()]}
    found = baseline.snow(dev, tmp_path)["sentiment"]
    assert (found[0], found[2]) == (0, 2)


def _data_folder(home: Path, texts: list[str]) -> Path:
    (home / "streams").mkdir()
    with gzip.open(home / "streams/gov_comments.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    return home


def _labels(folder: Path, name: str, rows: list[dict[str, str]]) -> None:
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_hand_labels_meet_their_texts(tmp_path: Path) -> None:
    folder = _data_folder(tmp_path, ["停水了 @某用户", "你好", "不相干"])
    labels = tmp_path / "labels"
    labels.mkdir()
    assert hand.mentions(folder, labels) == {}
    _labels(labels, "mentions", [
        {"needs_answer": "yes", "sha256_16": _key("停水了 @某用户"), "intent": "投诉", "note": "x"},
        {"needs_answer": "no", "sha256_16": _key("你好"), "intent": "", "note": ""},
        {"needs_answer": "no", "sha256_16": "0" * 16, "intent": "其他", "note": "text not here"},
    ])  # fmt: skip
    found = hand.mentions(folder, labels)
    assert [(i.text, i.labels) for i in found["intent/mentions"]] == [
        ("停水了", {"intent": "投诉"})
    ]
    assert [i.labels["needs_answer"] for i in found["needs_answer/mentions"]] == ["yes", "no"]
    _labels(labels, "danger", [
        {"sha256_16": _key("停水了 @某用户"), "danger": "yes"},
        {"sha256_16": _key("你好"), "danger": "no"}, {"sha256_16": _key("不相干"), "danger": "?"},
    ])  # fmt: skip
    both = hand.scored("danger", "danger", folder, len, lambda text: True, labels)
    assert both == ([True, False], [8.0, 2.0])
    one = hand.scored("danger", "danger", folder, len, lambda text: text != "你好", labels)
    assert one == ([True], [8.0])


def test_codes_are_compared_as_the_labels_name_them() -> None:
    def codes(*found: str) -> set[str]:
        return reading.codes([Place(adcode=one, name="x", text="x") for one in found])

    assert codes("410105003") == {"410105"}
    assert codes("410000", "410100", "410105") == {"410105"}
    assert codes("410000", "130100") == {"410000", "130100"}
    assert codes() == set()


def test_places_and_paths_are_measured_on_their_own_texts(
    tmp_path: Path, analyser: Analyser, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["郑州市金水区停水三天，物业不管", "今天天气不错", "石家庄的路灯坏了"]
    folder, labels = _data_folder(tmp_path, texts), tmp_path / "labels"
    labels.mkdir()
    assert reading.places(folder, analyser) is None and reading.tree(folder, analyser) == ()
    codes = ["410105", "", "110000"]
    _labels(labels, "places", [
        {"sha256_16": _key(text), "adcodes": code} for text, code in zip(texts, codes, strict=True)
    ])  # fmt: skip
    _labels(labels, "taxonomy", [
        {"sha256_16": _key(texts[0]), "level1": "城乡建设", "level2": "公用事业", "level3": ""},
        {"sha256_16": _key(texts[1]), "level1": "无", "level2": "", "level3": ""},
    ])  # fmt: skip
    monkeypatch.setattr(hand.rows, "__defaults__", (labels,))
    found = reading.places(folder, analyser)
    assert found is not None
    assert (found.rows, found.wanted, found.precision, found.recall) == (3, 2, 0.5, 0.5)
    assert found.low <= found.f1 <= found.high
    levels = reading.tree(folder, analyser)
    assert [(one.level, one.rows, one.classes) for one in levels] == [(1, 2, 2), (2, 1, 1)]


def test_a_ranking_has_its_interval() -> None:
    found = ranking("x", [True] * 20 + [False] * 30, [*range(50, 30, -1), *range(30)])
    assert found is not None
    assert (found.auc, found.rows, found.wanted) == (1.0, 50, 20)
    assert found.low <= found.auc <= found.high
    assert ranking("x", [True, True], [1, 2]) is None


def test_the_tables_say_what_was_measured() -> None:
    classes = tuple(
        ClassScore(label, 10, 9, 0.5, 0.5, f1, {baseline.SVM: 0.4})
        for label, f1 in (("投诉", 0.8), ("咨询", 0.6))
    )
    one = SetScore(
        "intent", 20, Score(0.7, 0.6, 0.8), {baseline.SVM: Score(0.5, 0.4, 0.6)}, 0.03, classes, 4
    )
    report = Report("m", (one,), (5, 0.8, 0.9), ())
    assert "| intent | 20 | 0.700（0.600–0.800） | 0.500（0.400–0.600） | — | 0.030 |" in summary(
        [one]
    )
    assert "| intent | 投诉 | 10 | 9 | 0.500 | 0.500 | 0.800 | 0.400 |" in per_class([one])
    for part in ("两类 F1 的平均 0.700", "其中 4 条", "recall@1 0.800", "模型 m"):
        assert part in report.table()
    assert one.f1_of("投诉", "求助") is None


def test_a_card_is_never_written_of_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huiyin.commands.models import evaluate

    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    monkeypatch.setenv("HUIYIN_NLP__MODELS__SENTIMENT__PATH", "their/model")
    with pytest.raises(InputError, match="只写随附的模型"):
        evaluate(data=tmp_path, card=tmp_path / "card.md")
    assert not (tmp_path / "card.md").exists()
