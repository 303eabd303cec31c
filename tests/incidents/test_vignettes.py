"""Forty written happenings: is the suspected level what a careful officer would note."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from huiyin.records import AuthorKind, Level
from nlp.incidents.claims import said_by
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.levels import read_levels
from nlp.incidents.record import matters_of
from nlp.incidents.severity import suspect
from tests.incidents.helpers import analysed, post

FILE = Path(__file__).with_name("vignettes.toml")
WHO = {"网民": AuthorKind.ORDINARY, "政务": AuthorKind.GOVERNMENT, "媒体": AuthorKind.MEDIA,
       "认证": AuthorKind.VERIFIED}  # fmt: skip
NEEDED = 36


def vignettes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["vignette"]
    return found


def level_of(lines: list[str]) -> Level | None:
    gathering = Gathering()
    for number, line in enumerate(lines):
        who, _, text = line.partition("|")
        one = post(f"{number}", text, number, author_kind=WHO[who])
        gathering.add(member(analysed(one)))
    burst = gathering.burst()
    table = read_levels()
    return suspect(
        burst.severity, burst.voices, burst.kinds, said_by(gathering), levels=table,
        matters=matters_of(gathering.evidence, table),
    )[0]  # fmt: skip


def test_suspected_levels_of_written_happenings() -> None:
    rows = vignettes()
    wrong = [
        f"{row['name']}: {level_of(row['posts'])} statt {row['level'] or None}"
        for row in rows
        if (level_of(row["posts"]) or "") != row["level"]
    ]
    assert len(rows) - len(wrong) >= min(NEEDED, len(rows) - 4), "\n".join(wrong)
