"""`huiyin init` as a process, over a change of the archive's structure: said, done, done once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from archive.schema import STEPS, migrate
from huiyin.records import Lease
from tests.archive.reindexer import upgrade
from tests.contracts.builders import ALL, analysis, counts, post
from tests.elasticsearch import ask
from tests.keeping.test_programs import huiyin


def structure(server: str, prefix: str) -> tuple[Any, list[Any]]:
    """All that init may change, as the server tells it."""
    kinds = ("_index_template", "_component_template")
    indices = ask(server, "GET", f"/{prefix}-*")
    for one in indices.values():
        one["settings"]["index"].pop("version", None)
    return indices, [ask(server, "GET", f"/{kind}/{prefix}-*") for kind in kinds]


@pytest.fixture
def home(tmp_path: Path, elasticsearch: str, elastic_prefix: str) -> Path:
    (tmp_path / "huiyin.toml").write_text(f'[archive]\nurl = "{elasticsearch}/{elastic_prefix}"\n')
    return tmp_path


def test_a_change_of_the_mapping_on_a_server(
    home: Path, elasticsearch: str, elastic_prefix: str
) -> None:
    url = f"{elasticsearch}/{elastic_prefix}"
    empty = huiyin(home, "init", "--plan")
    assert empty.returncode == 0 and f"要新建模板 {elastic_prefix}-posts" in empty.stdout
    indices, templates = structure(elasticsearch, elastic_prefix)
    assert indices == {} and not any(one for many in templates for one in many.values())
    assert huiyin(home, "init").returncode == 0

    archive = open_archive(url)
    archive.put_posts([post(n, metrics=counts(0, likes=n)) for n in range(200)])
    archive.write_analyses([("weibo:7", analysis("第7条"))])
    archive.create(Lease(id="lease:a", owner="me", beat=1))
    posts = archive.get_posts([f"weibo:{n}" for n in range(200)], ALL)
    lease = archive.get(Lease, "lease:a", ALL)
    archive.close()
    made = upgrade(url)  # another version of the program gave it another structure
    before = structure(elasticsearch, elastic_prefix)

    refused = huiyin(home, "search", "停水")
    assert refused.returncode == 1 and "huiyin init" in refused.stderr
    plan = huiyin(home, "init", "--plan")
    assert plan.returncode == 0, plan.stderr
    assert f"要更新模板 {elastic_prefix}-posts" in plan.stdout
    for index in made:
        new = f"{index[:-6]}000003"
        assert f"要把索引 {index} 重写为 {new}" in plan.stdout.replace("\n", "")
    assert structure(elasticsearch, elastic_prefix) == before

    done = huiyin(home, "init")
    assert done.returncode == 0, done.stderr
    assert f"正在更新模板 {elastic_prefix}-posts" in done.stdout
    after = structure(elasticsearch, elastic_prefix)
    assert after != before
    archive = open_archive(url)
    assert archive.get_posts(list(posts), ALL) == posts and len(posts) == 200
    found = archive.get(Lease, "lease:a", ALL)
    assert found is not None and lease is not None and found.record == lease.record
    assert archive.check() == []
    archive.close()

    again = huiyin(home, "init")
    assert again.returncode == 0 and "没有改动" in again.stdout
    nothing = huiyin(home, "init", "--plan")
    assert "没有要改的" in nothing.stdout
    assert structure(elasticsearch, elastic_prefix) == after


def test_an_older_file(tmp_path: Path) -> None:
    file = tmp_path / "var/huiyin.db"
    file.parent.mkdir()
    connection = sqlite3.connect(file, isolation_level=None)
    migrate(connection, STEPS[:-1])
    connection.close()
    before = file.read_bytes()
    plan = huiyin(tmp_path, "init", "--plan")
    step = f"从第 {len(STEPS) - 1} 版升到第 {len(STEPS)} 版"
    assert plan.returncode == 0 and f"要把档案结构{step}" in plan.stdout
    assert file.read_bytes() == before
    done = huiyin(tmp_path, "init")
    assert done.returncode == 0 and f"正在把档案结构{step}" in done.stdout
    again = huiyin(tmp_path, "init")
    assert again.returncode == 0 and "没有改动" in again.stdout
    assert "没有要改的" in huiyin(tmp_path, "init", "--plan").stdout
