"""`huiyin train categories` and `huiyin categories`, as an office runs them."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from archive import open_archive
from huiyin.commands.categories import _refiled
from huiyin.records import PERSON, Scope
from nlp.categories import Corrections, Versions
from nlp.training.categories import Row, Table, train_from_table
from tests.huiyin.test_cli import Run, huiyin  # noqa: F401 - the fixture
from tests.nlp.invented import TREE, invented_rows
from tests.nlp.test_corrections import REVIEWER, START, Counted, put, stored

DAY = "2026-03-05"
pytestmark = pytest.mark.timeout(900)


def test_from_a_file_to_counts_and_back(huiyin: Run, tmp_path: Path) -> None:  # noqa: F811
    rows = invented_rows(8, random.Random(1))
    file = tmp_path / "my.csv"
    with file.open("w", encoding="gb18030", newline="") as out:
        csv.writer(out).writerows(
            [("text", "category"), *((text, " > ".join(path)) for text, path in rows), ("空的", "")]
        )
    done = huiyin("train", "categories", str(file), "--json")
    report = json.loads(done.stdout)
    assert (report["version"], report["rows"], report["classes"]) == ("v0001", 64, len(TREE))
    assert [one["level"] for one in report["levels"]] == [1, 2, 3]
    assert report["levels"][0]["macro_f1"] > 0.6
    assert f"{file} 第 66 行：列 category：类别为空" in done.stderr.replace("\n", "")
    assert "第 66 行" in report["bad"][0]

    posts = tmp_path / "posts.jsonl"
    fresh = invented_rows(2, random.Random(2), without={text for text, _ in rows})
    posts.write_text(
        "".join(
            json.dumps({"id": f"weibo:{n}", "text": text, "created_at": f"{DAY}T08:00:00+08:00"},
                       ensure_ascii=False) + "\n"
            for n, (text, _) in enumerate(fresh)
        ),
        encoding="utf-8",
    )  # fmt: skip
    huiyin("analyse", str(posts), "-o", str(tmp_path / "out.jsonl"), "--no-groups")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    right = 0
    for line, (_, path) in zip(lines, fresh, strict=True):
        found = line["category"]
        assert set(found) == {"path", "probabilities"}
        assert found["probabilities"]["/".join(found["path"])] <= 1
        right += tuple(found["path"]) == path
    assert right >= 12, f"{right} of {len(fresh)} whole paths"

    mapped = json.loads(huiyin("categories", "map", "--json").stdout)
    assert mapped["file"].endswith("mapping.csv") and mapped["classes"] >= len(TREE)
    counted = json.loads(huiyin("categories", "count", "--json").stdout)
    assert counted["total"] == {} and counted["unmapped"] == {}
    found = {one["what"]: one for one in json.loads(huiyin("doctor", "--json", check=False).stdout)}
    assert (found["分类"]["state"], found["分类"]["found"]) == ("ok", "v0001")

    assert "已退回 default" in huiyin("train", "categories", "--back").stdout
    listed = json.loads(huiyin("categories", "list", "--json").stdout)
    assert [(one["version"], one["in_use"]) for one in listed["versions"]] == [
        ("default", True), ("v0001", False),
    ]  # fmt: skip
    assert [one["why"] for one in listed["history"]] == ["train", "back"]
    again = huiyin("train", "categories", "--back", check=False)
    assert again.returncode == 2 and "没有可以退回的版本" in again.stderr


def test_refiling_redoes_what_another_version_decided_and_leaves_peoples_word(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "categories"
    model, versions = Counted(folder), Versions(folder)
    archive = open_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    app = SimpleNamespace(archive=archive, understanding=model)
    rows = invented_rows(8, random.Random(1))
    put(archive, [text for text, _ in rows])
    Corrections(archive).correct("weibo:0", ("别的",), REVIEWER)
    vector = stored(archive, "weibo:1").vector
    table = Table("my.csv", "0", [Row(text, path) for text, path in rows])
    train_from_table(table, model, versions, START, lambda done, total: None)  # type: ignore[arg-type]
    versions.switch_on(versions.add(*again(versions)), "use", START)
    posts = list(archive.iter_posts(Scope.everything()))
    assert _refiled(app, posts) == len(rows) - 1  # type: ignore[arg-type]
    found = archive.get_posts([post.id for post in posts], Scope.everything())
    assert {one.analysis.category.by for one in found.values() if one.analysis} == {
        "v0002", PERSON,
    }  # fmt: skip
    assert stored(archive, "weibo:0").category.path == ("别的",)
    assert stored(archive, "weibo:1").vector == vector, "the vector belongs to the model that read"
    assert _refiled(app, list(archive.iter_posts(Scope.everything()))) == 0  # type: ignore[arg-type]
    archive.close()


def again(versions: Versions):  # type: ignore[no-untyped-def]
    return (versions.load("v0001"), *versions.rows("v0001"))


def test_misuse_says_what_to_do(huiyin: Run, tmp_path: Path) -> None:  # noqa: F811
    nothing = huiyin("train", "categories", check=False)
    assert nothing.returncode == 2 and "--from-corrections" in nothing.stderr
    early = huiyin("train", "categories", "--from-corrections", check=False)
    assert early.returncode == 2 and "改正太少" in early.stderr
    default = huiyin("categories", "map", check=False)
    assert default.returncode == 2 and "不需要对照" in default.stderr
    lost = huiyin("train", "categories", str(tmp_path / "none.csv"), check=False)
    assert lost.returncode == 2 and "没有这个文件" in lost.stderr
    assert len(huiyin("categories", "list", "--tree").stdout.splitlines()) == 517
