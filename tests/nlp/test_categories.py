"""An office's own categories: reading its file, fitting, versions, and the default tree."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from huiyin.errors import FileFormatError, InputError, ModelError
from huiyin.records import PERSON
from huiyin.vectors import pack, unpack
from nlp.analyser import Analyser
from nlp.base import Text
from nlp.categories import Versions, choices, default
from nlp.categories.classifier import Classifier, vector_space
from nlp.categories.deciding import Categories, decide
from nlp.categories.fitting import cross_validate, fit
from nlp.categories.fitting import decide as paths_of
from nlp.categories.paths import joined, parse, separator_of
from nlp.model import Model
from nlp.training import categories as training
from tests.nlp.invented import TREE, invented_rows

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str, encoding: str = "utf-8", name: str = "my.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(text.encode(encoding))
        return file

    return make


def silent(done: int, total: int | None) -> None:
    return None


# ---- paths and files


@pytest.mark.parametrize(
    ("written", "separator"),
    [("城建/道路/路灯", "/"), ("城建／道路／路灯", "/"), ("城建>道路>路灯", ">"),
     ("城建 -> 道路 -> 路灯", ">"), ("城建 | 道路｜路灯", "|"), ("城建\\道路\\路灯", "\\"),
     ("城建→道路→路灯", "→"), ("/城建/道路/路灯/", "/")],
)  # fmt: skip
def test_a_path_may_be_written_in_many_ways(written: str, separator: str) -> None:
    assert separator_of([written]) == separator
    assert parse(written, separator) == ("城建", "道路", "路灯")


def test_a_slash_in_a_name_stays_in_the_name() -> None:
    texts = ["交通>出租车/网约车", "交通>公交", "环保>噪声"]
    assert parse(texts[0], separator_of(texts)) == ("交通", "出租车／网约车")


@pytest.mark.parametrize("written", ["=cmd|calc/路灯", "城建/@SUM(A1)", "+1", "-2"])
def test_a_formula_is_no_class(written: str) -> None:
    with pytest.raises(ValueError, match="公式"):
        parse(written)


@pytest.mark.parametrize("written", ["", " / ", "城建//路灯", "城" * 61])
def test_a_broken_path_says_why(written: str) -> None:
    with pytest.raises(ValueError, match=r"[空字]"):
        parse(written)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_offices(write: Write, encoding: str) -> None:
    file = write("text,category\n路灯坏了,城建/道路/路灯\n停水了,城建/供水\n", encoding)
    table = training.read_table(file)
    assert [row.path for row in table.rows] == [("城建", "道路", "路灯"), ("城建", "供水")]


def test_columns_by_level_and_title(write: Write) -> None:
    file = write(
        "工单标题;内容;一级分类;二级分类;三级分类\n路灯;坏了三天;城建;道路;路灯\n水;停了;城建;供水;\n"
    )
    rows = training.read_table(file).rows
    assert rows[0] == training.Row("路灯\n坏了三天", ("城建", "道路", "路灯"))
    assert rows[1].path == ("城建", "供水")


def test_bad_rows_are_named_and_the_good_ones_go_through(write: Write) -> None:
    file = write(
        'text,category\n"路灯\n坏了",城建/路灯\n,城建\n停水,\n井盖,城建//井盖\n只有一列\n停电,城建/电\n停电,城建/电\n'
    )
    table = training.read_table(file)
    assert [row.path for row in table.rows] == [("城建", "路灯"), ("城建", "电")]
    assert (table.read, table.doubled) == (7, 1)
    said = [str(one) for one in table.bad]
    assert [one.line for one in table.bad] == [4, 5, 6, 7]
    assert "my.csv 第 4 行：列 text 是空的" in said[0]
    assert "列 category：类别为空" in said[1]
    assert "中间有一级是空的" in said[2] and "城建/道路/路灯" in said[2]
    assert "只有 1 列" in said[3]


def test_what_is_no_such_file_says_the_mend(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"缺少列.*类别路径.*第一行写 text,category"):
        training.read_table(write("text,别的\n路灯,1\n"))
    with pytest.raises(InputError, match="没有这个文件"):
        training.read_table(tmp_path / "none.csv")
    excel = tmp_path / "a.xlsx"
    excel.write_bytes(b"PK\x03\x04....")
    with pytest.raises(FileFormatError, match="另存为 CSV"):
        training.read_table(excel)
    binary = tmp_path / "b.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(FileFormatError, match="UTF-8"):
        training.read_table(binary)


# ---- fitting


def clouds(
    sizes: dict[tuple[str, ...], int], seed: int = 0, noise: float = 0.35
) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Points around a direction a class; classes of one parent share a part of it."""
    order = np.random.default_rng(seed)

    def direction(path: tuple[str, ...]) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(joined(path).encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=64)

    vectors, paths = [], []
    for path, size in sizes.items():
        whole = path or ("无",)
        middle = sum(direction(whole[: level + 1]) for level in range(len(whole)))
        for _ in range(size):
            point = middle / np.linalg.norm(middle) + noise * order.normal(size=64) / 2
            vectors.append(point / np.linalg.norm(point))
            paths.append(path)
    return np.array(vectors, np.float32), paths


SIZES = {("甲", "一", "x"): 40, ("甲", "一", "y"): 40, ("甲", "二"): 40, ("甲",): 40,
         ("乙", "三"): 40, ("乙", "四"): 40, (): 40}  # fmt: skip


def test_probabilities_are_a_tree_of_products() -> None:
    vectors, paths = clouds(SIZES)
    classifier = fit(vectors, paths, "m")
    heads = [{"x": 1.0}] * len(paths)
    for one in decide(classifier, heads, vectors):
        mains = [share for path, share in one.probabilities.items() if "/" not in path]
        assert sum(mains) == pytest.approx(1, abs=1e-3)
        steps = [one.probabilities[joined(one.path[:n])] for n in range(1, len(one.path) + 1)]
        assert steps == sorted(steps, reverse=True)
        assert all(0 <= share <= 1 for share in steps)
    guessed = paths_of(classifier, vectors)
    assert np.mean([a == b for a, b in zip(guessed, paths, strict=True)]) > 0.95
    assert () in guessed and ("甲",) in guessed, "none, and a class of the middle, are decided too"


def test_cross_validated_figures_hold_on_rows_never_seen_and_are_calibrated() -> None:
    from nlp.training.scores import calibration_error

    vectors, paths = clouds(SIZES, noise=0.6)
    classifier, levels, _ = cross_validate(vectors, paths, "m")
    assert [one.level for one in levels] == [1, 2, 3]
    fresh, gold = clouds(dict.fromkeys(SIZES, 150), seed=9, noise=0.6)
    found = decide(classifier, [{"x": 1.0}] * len(gold), fresh)
    right = np.array(
        [(one.path or ("无",))[0] == (path or ("无",))[0]
         for one, path in zip(found, gold, strict=True)]
    )  # fmt: skip
    assert abs(right.mean() - levels[0].accuracy) < 0.08
    assert 0.5 < right.mean() < 0.99, "too easy or too hard to say anything about calibration"
    top = np.array([max(one.probabilities.values()) for one in found])
    shares = np.stack([top, 1 - top], 1)
    assert calibration_error(shares, np.where(right, 0, 1)) < 0.06


def test_a_file_of_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="至少要两个类别"):
        training.fit_rows([training.Row("a", ("甲",))] * 9, np.eye(9, dtype="f4"), "m", {})


def test_a_tree_survives_its_file_and_a_broken_file_says_so(tmp_path: Path) -> None:
    vectors, paths = clouds(SIZES)
    classifier = fit(vectors, paths, "m")
    classifier.save(tmp_path / "one.npz")
    again = Classifier.load(tmp_path / "one.npz")
    assert paths_of(again, vectors) == paths_of(classifier, vectors)
    whole = (tmp_path / "one.npz").read_bytes()
    (tmp_path / "one.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="huiyin train categories"):
        Classifier.load(tmp_path / "one.npz")


# ---- versions


def kept(versions: Versions, seed: int) -> str:
    vectors, paths = clouds(SIZES, seed)
    return versions.add(fit(vectors, paths, "m"), vectors, paths)


def test_a_history_torn_by_a_power_cut_is_read_and_goes_on(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "categories")
    one, two = kept(versions, 1), kept(versions, 2)
    versions.switch_on(one, "train", AT)
    with (versions.folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"at": "2026-')
    versions.switch_on(two, "train", AT)
    assert [line["to"] for line in versions.history()] == [one, two]
    assert versions.back(AT) == one


def test_versions_are_switched_and_switched_back(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "categories")
    assert versions.current() == "default"
    with pytest.raises(InputError, match="没有可以退回的版本"):
        versions.back(AT)
    one, two, three = kept(versions, 1), kept(versions, 2), kept(versions, 3)
    assert versions.names() == [one, two, three] == ["v0001", "v0002", "v0003"]
    assert versions.current() == "default", "a version was switched on by being kept"
    versions.switch_on(one, "train", AT)
    versions.switch_on(three, "train", AT)
    assert versions.back(AT) == one
    versions.switch_on(two, "train", AT)
    assert [versions.back(AT), versions.back(AT)] == [one, "default"]
    with pytest.raises(InputError, match=r"没有分类版本 v9999.*v0003"):
        versions.switch_on("v9999", "use", AT)
    assert [one["to"] for one in versions.history()][:3] == ["v0001", "v0003", "v0001"]
    vectors, paths = versions.rows(two)
    assert vectors.shape == (len(paths), 64) and set(paths) == set(SIZES)


def test_a_running_program_notices_the_switch_and_other_vectors_are_never_read(
    tmp_path: Path,
) -> None:
    versions, now = Versions(tmp_path), [0.0]

    def embed(texts: Sequence[str]) -> list[bytes]:
        return [np.ones(64, "<f2").tobytes() for _ in texts]

    running = Categories("m", embed, tmp_path, clock=lambda: now[0])
    other = Categories("other", embed, tmp_path, clock=lambda: now[0])
    assert running.name == "default"
    versions.switch_on(kept(versions, 1), "train", AT)
    assert running.name == "default"
    now[0] = 6.0
    assert running.name == "v0001"
    assert choices(versions)[:3] == [(), ("乙",), ("乙", "三")]
    assert other.name == "default", "a tree was used with vectors of another model"


# ---- the default tree


def test_the_default_tree_has_every_class_with_its_examples() -> None:
    paths = default.paths()
    assert len(paths) == 517
    assert len({path[0] for path in paths}) == 15
    assert len({path[1] for path in paths}) == 103
    assert len({path[2] for path in paths}) == 390
    told = {path for path, _ in default.examples()}
    assert set(paths) | {()} == told


def test_the_shipped_file_belongs_to_the_shipped_model(model: Model) -> None:
    kept = Classifier.load(default.SHIPPED)
    assert kept.vectors == vector_space(model.id), "run: huiyin train categories --shipped"
    assert kept.about["edition"] == default.EDITION


def test_another_models_default_is_fitted_once_and_kept(analyser: Analyser, tmp_path: Path) -> None:
    calls = []

    def embed(texts: Sequence[str]) -> list[bytes]:
        calls.append(len(texts))
        found = unpack(analyser.embed(texts))[:, 32:]  # fewer dimensions: another model
        return [pack(one) for one in found]

    first = Categories("another", embed, tmp_path)
    text = "结婚登记要带什么材料"
    head = [dict.fromkeys(analyser.shares([text])[0]["category"], 1 / 7)]
    [said] = first.decide(head, embed([text]))
    assert said.path[0] == "民政"
    assert calls == [1, len(default.examples())]
    again = Categories("another", embed, tmp_path)
    assert again.decide(head, embed([text])) == [said]
    assert calls[2:] == [1], "fitted again although it was kept"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("小区停水三天了，物业说自来水公司在修，什么时候来水", ("城乡建设", "城市建设和市政管理")),
        ("电动车在楼下被偷了，报警以后派出所不立案", ("政法",)),
        ("手机没有信号，宽带天天断网", ("科技与信息产业", "电信")),
        ("村支书贪污低保款，请纪委查处", ("纪检监察", "贪污贿赂")),
        ("结婚登记要带什么材料", ("民政", "社会服务", "婚姻登记")),
        ("征地款被村里扣了，土地被强占，没有征地批文", ("国土资源", "土地征收")),
        ("哈哈哈哈今天心情真好", ()),
        ("转发微博", ()),
    ],
)
def test_clear_paths(analyser: Analyser, text: str, path: tuple[str, ...]) -> None:
    found = analyser.analyse([Text(text)])[0].category
    assert found.path[: len(path)] == path
    assert bool(found.path) is bool(path)
    assert found.by == "default"
    assert found.by != PERSON


# ---- from the file to the analysis, with the shipped model


def test_eight_rows_a_class_are_enough_and_analyse_uses_them(
    model: Model, tmp_path: Path, write: Write
) -> None:
    learn = invented_rows(8, random.Random(1))
    test = invented_rows(4, random.Random(2), without={text for text, _ in learn})
    out = io.StringIO()
    csv.writer(out).writerows([("text", "category"), *((t, joined(p)) for t, p in learn)])
    table = training.read_table(write(out.getvalue(), "gb18030"))
    office = Analyser(model, categories=tmp_path / "categories")
    versions = Versions(tmp_path / "categories")
    began = time.monotonic()
    report = training.train_from_table(table, office, versions, AT, silent)
    assert time.monotonic() - began < 60
    assert report.version == "v0001" and versions.current() == "v0001"
    assert report.paths == len(TREE) and not report.thin
    fresh = Analyser(model, categories=tmp_path / "categories")
    found = fresh.analyse([Text(text) for text, _ in test])
    assert {one.category.by for one in found} == {"v0001"}
    right = [
        [one.category.path[:n] == path[:n] for one, (_, path) in zip(found, test, strict=True)]
        for n in (1, 3)
    ]
    assert np.mean(right[0]) >= 0.8, "main class"
    assert np.mean(right[1]) >= 0.7, "whole path"
    versions.back(AT)
    assert Analyser(model, categories=tmp_path / "categories").categories.name == "default"
    for file in (tmp_path / "categories").rglob("*"):
        if file.is_file():
            assert learn[0][0].encode() not in file.read_bytes(), "texts were kept"


def test_the_default_tree_on_labelled_messages(real_data: Path, analyser: Analyser) -> None:
    """Floors below what was measured (docs/categories.md), above what the head alone reaches."""
    from nlp.training.taxonomy import measure

    found = measure(real_data, analyser)
    assert found is not None and found.rows == 300
    assert found.levels[0].macro_f1 > found.head.macro_f1 + 0.1
    assert found.levels[0].macro_f1 >= 0.33
    assert all(right >= 0.6 for _, rows, right in found.below if rows > 50)


def test_the_seven_classes_of_the_head_are_hardly_left(real_data: Path, analyser: Analyser) -> None:
    """On the development rows of category_full, whose labels are all among the head's classes."""
    from sklearn.metrics import f1_score

    from nlp.training import data
    from nlp.training.config import TrainConfig

    rows = data.load(TrainConfig(data=real_data, out=real_data, openings=0.0)).dev["category"]
    gold = [one.labels["category"] for one in rows]
    said = analyser.analyse([Text(one.text) for one in rows])
    head = [max(one["category"], key=one["category"].__getitem__)
            for one in analyser.shares([one.text for one in rows])]  # fmt: skip
    classes = sorted(set(gold))
    tree = [(one.category.path or ("无",))[0] for one in said]
    alone = f1_score(gold, head, labels=classes, average="macro")
    joint = f1_score(gold, tree, labels=classes, average="macro")
    assert joint >= alone - 0.01
