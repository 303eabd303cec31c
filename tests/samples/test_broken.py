"""A broken sample folder is refused with the file, the place and the mend, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.sample_platform import load_city
from crawler.sample_platform.__main__ import main
from huiyin.errors import FileFormatError

Edit = Callable[[Any], None]


def _edit(file: Path, key: str | None, edit: Edit) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    edit(content[key] if key else content)
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _refusal(folder: Path) -> str:
    with pytest.raises(FileFormatError) as caught:
        load_city(folder)
    return str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    assert "没有这个样例文件夹" in _refusal(tmp_path / "nowhere")


def test_empty_folder_names_every_needed_file(tmp_path: Path) -> None:
    text = _refusal(tmp_path)
    for name in ("city.toml", "accounts.json", "notices.json", "statuses.json"):
        assert name in text
    assert "rota.toml" not in text


def test_optional_files_may_be_missing(copy: Path) -> None:
    for name in ("comments.json", "messages.json", "changes.json", "rota.toml"):
        (copy / name).unlink()
    assert {entry.kind for entry in load_city(copy).entries} == {"status", "notice"}


def test_bare_lists_are_read_as_well(copy: Path) -> None:
    file = copy / "messages.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["direct_messages"]
    file.write_text(json.dumps(rows), encoding="utf-8")
    assert len(load_city(copy).of("message")) == len(rows)


def test_cut_json_names_the_line(copy: Path) -> None:
    file = copy / "comments.json"
    file.write_text("\n".join(file.read_text(encoding="utf-8").splitlines()[:7]), encoding="utf-8")
    text = _refusal(copy)
    assert "comments.json 第 7 行" in text and "不是完整的 JSON" in text


def test_wrong_field_names_line_row_and_field(copy: Path) -> None:
    file = copy / "statuses.json"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[4] = lines[4].replace('"created_at": "Thu Sep 17', '"created_at": "9月17日', 1)
    file.write_text("\n".join(lines), encoding="utf-8")
    text = _refusal(copy)
    assert "statuses.json 第 5 行：第 4 条 created_at 不对" in text


@pytest.mark.parametrize(
    ("file", "key", "edit", "expected"),
    [
        ("statuses.json", "statuses", lambda r: r[0]["user"].pop("screen_name"), "screen_name"),
        ("statuses.json", "statuses", lambda r: r[1].update(id=r[0]["id"]), "相同"),
        ("statuses.json", None, lambda c: c.update(statuses={}), "没有 statuses 列表"),
        ("notices.json", "statuses", lambda r: r[0]["user"].update(id=1), "不是矩阵账号"),
        ("messages.json", "direct_messages", lambda r: r[0]["recipient"].update(id=1), "recipient"),
        ("comments.json", "comments", lambda r: r[0].update(status={"id": 5}), "不存在的 5"),
        ("accounts.json", None, lambda r: r[3].update(level=5), "level"),
        ("accounts.json", None, lambda r: r[3].update(parent="77"), "parent 不存在"),
        ("accounts.json", None, lambda r: r[3].update(name=r[2]["name"]), "出现 2 次"),
        ("accounts.json", None, lambda r: r[3].update(colour="red"), "colour"),
        ("changes.json", None, lambda r: r[0].update(id=5), "id 5 不在微博中"),
        ("changes.json", None, lambda r: r[0].update(kind="burn"), "kind"),
    ],
)
def test_each_mistake_is_named(
    copy: Path, file: str, key: str | None, edit: Edit, expected: str
) -> None:
    _edit(copy / file, key, edit)
    text = _refusal(copy)
    assert file in text and expected in text


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("city.toml", "Asia/Shanghai", "Asia/Nowhere", "timezone"),
        ("city.toml", "2026-09-17", "2026-09-16", "晚于 city.toml 的 day"),
        ("city.toml", 'name = "', "name = ", "TOML 语法不对"),
        ("rota.toml", 'person = "tang_yue"', 'person = "nobody"', "nobody 没有登记"),
        ("rota.toml", 'from = "05:30"', 'from = "5点半"', "shift.3.from"),
    ],
)
def test_each_toml_mistake_is_named(
    copy: Path, file: str, old: str, new: str, expected: str
) -> None:
    path = copy / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert expected in _refusal(copy)


def test_all_problems_come_at_once(copy: Path) -> None:
    (copy / "notices.json").write_bytes("云渡".encode("gb18030"))
    _edit(copy / "accounts.json", None, lambda rows: rows[0].pop("name"))
    _edit(copy / "statuses.json", "statuses", lambda rows: rows[0].pop("text"))
    text = _refusal(copy)
    assert "有 3 处要改" in text and "不是 UTF-8" in text


def test_command_says_it_in_one_line_and_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--sample", str(tmp_path / "nowhere")]) == 2
    assert main(["--base-time", "yesterday"]) == 2
    assert main(["--base-time", "2026-09-17T20:36:00"]) == 2
    error = capsys.readouterr().err
    assert "没有这个样例文件夹" in error and "没有时区" in error and "Traceback" not in error
