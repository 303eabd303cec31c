"""The table of suspected levels as an office's own file: used, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from huiyin.errors import InputError
from huiyin.records import Level
from nlp.incidents.levels import SHIPPED, read_levels
from nlp.incidents.severity import Figure, suspect

DEAD = Figure("死亡", 2, ("t:1", "t:2"), 2, official=True)


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "levels.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_an_office_may_start_lower(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        '[[rule]]\nlevel = "重大"\nbecause = "死亡 2 人以上"\nbasis = "本市预案"\n"死亡" = 2\n',
    )
    level, reasons = suspect(1.0, 3, ("险情",), [DEAD], levels=read_levels(file))
    assert level is Level.MAJOR
    assert any("死亡 2 人以上" in one and "本市预案" in one for one in reasons)
    assert suspect(1.0, 3, ("险情",), [DEAD])[0] is Level.ORDINARY


def test_witnesses_needed_is_a_number_of_the_table(tmp_path: Path) -> None:
    seen = Figure("死亡", 30, ("t:1", "t:2", "t:3"), 3, official=False, witnesses=3)
    assert suspect(1.0, 3, (), [seen])[0] is Level.EXTRAORDINARY
    strict = SHIPPED.read_text(encoding="utf-8").replace("witnesses = 2", "witnesses = 4")
    assert (
        suspect(1.0, 3, (), [seen], levels=read_levels(table(tmp_path, strict)))[0]
        is Level.ORDINARY
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[rule]]\nlevel = \n", 2, "TOML"),
        ('witnesses = 0\n[[rule]]\nlevel = "重大"\n"死亡" = 1\n', 1, "witnesses"),
        (
            '[[rule]]\nlevel = "重大"\n"死亡" = 1\n\n[[rule]]\nlevel = "严重"\n"死亡" = 1\n',
            6,
            "严重",
        ),
        ('[[rule]]\nlevel = "重大"\n"阵亡" = 1\n', 3, "阵亡"),
        ('[[rule]]\nlevel = "重大"\n"死亡" = "三"\n', 3, "大于 0"),
        ('[[rule]]\nlevel = "重大"\n', 2, "条件"),
        ('[[rule]]\nlevel = "重大"\nmatter = "火灾"\n"死亡" = 1\n', 3, "火灾"),
        ('[[rule]]\nlevel = "重大"\nunless = ["火灾"]\n"死亡" = 1\n', 3, "火灾"),
        (
            '[[matter]]\nname = "火灾"\nwords = "火"\n[[rule]]\nlevel = "重大"\n"死亡" = 1\n',
            3,
            "words",
        ),
        ("levels = 3\n", 1, "levels"),
        ("", None, "rule"),
    ],
)
def test_mistakes_name_file_line_and_mend(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    file = table(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_levels(file)
    assert caught.value.file == str(file)
    assert caught.value.mend
    assert words in str(caught.value)
    if line is not None:
        assert caught.value.line == line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"incidents\.levels"):
        read_levels(tmp_path / "none.toml")
