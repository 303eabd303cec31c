"""The table of what makes which suspected level, as data that an office can change (TOML).

The shipped table is nlp/data/levels.toml; its head says how it is written. Every mistake in a table
is an `InputError` that names file, line, key and the mend.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from huiyin.errors import FileFormatError, InputError
from huiyin.records import Level
from nlp.incidents.figures import NAMES

SHIPPED = Path(__file__).parents[1] / "data" / "levels.toml"
HURT, LOST, VOICES, SEVERITY = "伤员", "死亡和失踪", "声音", "严重性"
QUANTITIES = (*NAMES, HURT, LOST, VOICES, SEVERITY)
LEVELS = {level.removeprefix("疑似"): level for level in Level}
DANGER = "险情"
"""Matter that the words of the lexicon decide; its own words are added to them."""
_WORDS = ("level", "because", "basis", "matter", "unless")


@dataclass(frozen=True)
class Rule:
    """One row: the level it gives when every condition holds."""

    level: Level
    because: str
    basis: str
    least: Mapping[str, float]
    """Quantity -> the least that it must be."""
    matter: str = ""
    unless: tuple[str, ...] = ()

    def holds(self, seen: Mapping[str, float], matters: Collection[str]) -> bool:
        """True when all conditions hold for the quantities seen and the matters spoken of."""
        if self.matter and self.matter not in matters:
            return False
        if any(one in matters for one in self.unless):
            return False
        return all(seen.get(name, 0) >= least for name, least in self.least.items())


@dataclass(frozen=True)
class Levels:
    """A table that was read."""

    rules: tuple[Rule, ...]
    """The highest level first."""
    matters: Mapping[str, re.Pattern[str] | None]
    witnesses: int
    file: str = ""

    def matters_of(self, text: str) -> set[str]:
        """Kinds of happening whose words a text holds."""
        return {
            name for name, words in self.matters.items() if words is not None and words.search(text)
        }

    def decide(self, seen: Mapping[str, float], matters: Collection[str]) -> Rule | None:
        """The rule of the highest level that holds."""
        return next((rule for rule in self.rules if rule.holds(seen, matters)), None)


@lru_cache(maxsize=8)
def read_levels(file: Path | None = None) -> Levels:
    """Read a table; None = the shipped one. Raises `InputError` with file, line, key and mend."""
    file = file or SHIPPED
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"等级表读不了：{error}",
            "检查设置 incidents.levels 的路径和编码（UTF-8）",
            file=str(file),
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise FileFormatError(
            f"不是正确的 TOML：{error}", "改正这一行的写法；中文名要加引号，例如 \"死亡\" = 3",
            file=str(file),
            line=int(line[1]) if line else None,
        ) from error  # fmt: skip
    return _Reader(file, text).table(table)


class _Reader:
    """Checks what TOML said; knows the line of each table for the error."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = str(file)
        self._lines = text.splitlines()

    def table(self, data: Mapping[str, Any]) -> Levels:
        for key in data:
            if key not in ("witnesses", "matter", "rule"):
                self._wrong(key, f"不认识“{key}”", "只能有 witnesses、[[matter]]、[[rule]]")
        witnesses = data.get("witnesses", 2)
        if not isinstance(witnesses, int) or isinstance(witnesses, bool) or witnesses < 1:
            self._wrong("witnesses", "须为 1 以上的整数", "例如 witnesses = 2")
        matters = self._matters(data.get("matter", []))
        rows = data.get("rule", [])
        if not isinstance(rows, list) or not rows:
            self._wrong("rule", "表里没有 [[rule]]", "至少写一条，可从自带的表复制")
        rules = [self._rule(number, row, matters) for number, row in enumerate(rows)]
        order = tuple(Level)
        rules.sort(key=lambda rule: order.index(rule.level))
        return Levels(tuple(rules), matters, witnesses, self._file)

    def _matters(self, rows: Any) -> dict[str, re.Pattern[str] | None]:
        found: dict[str, re.Pattern[str] | None] = {DANGER: None}
        for number, row in enumerate(rows if isinstance(rows, list) else [None]):
            at = ("matter", number)
            if not isinstance(row, dict) or not isinstance(row.get("name"), str):
                self._wrong("name", "[[matter]] 没有名称", '例如 name = "食物中毒"', at)
            for key in row:
                if key not in ("name", "words"):
                    self._wrong(key, f"[[matter]] 不认识“{key}”", "只能有 name 和 words", at)
            words = row.get("words", [])
            if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
                self._wrong("words", "words 须为词的列表", '例如 words = ["食堂", "聚餐"]', at)
            pattern = "|".join(map(re.escape, words))
            found[row["name"]] = re.compile(pattern) if words else None
        return found

    def _rule(self, number: int, row: Any, matters: Collection[str]) -> Rule:
        at = ("rule", number)
        if not isinstance(row, dict) or row.get("level") not in LEVELS:
            given = row.get("level") if isinstance(row, dict) else row
            self._wrong("level", f"level 写的是“{given}”", f"须为 {'、'.join(LEVELS)} 之一", at)
        least = {}
        for key, value in row.items():
            if key in _WORDS:
                continue
            if key not in QUANTITIES:
                self._wrong(key, f"不认识的数量“{key}”", f"可用：{'、'.join(QUANTITIES)}", at)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                self._wrong(key, f"{key} 须为大于 0 的数", f'例如 "{key}" = 3', at)
            least[key] = float(value)
        if not least:
            self._wrong("level", "这一条没有任何数量条件", '至少写一个，例如 "死亡" = 3', at)
        unless = row.get("unless", [])
        named = [*(unless if isinstance(unless, list) else [unless]), row.get("matter", "")]
        for name in named:
            if name and name not in matters:
                self._wrong(
                    "matter" if name == row.get("matter") else "unless",
                    f"没有名为“{name}”的 [[matter]]", f"可用：{'、'.join(matters)}，或先写一个", at,
                )  # fmt: skip
        return Rule(
            LEVELS[row["level"]], str(row.get("because", "")) or str(least),
            str(row.get("basis", "")), least, str(row.get("matter", "")), tuple(named[:-1]),
        )  # fmt: skip

    def _wrong(self, key: str, what: str, mend: str, at: tuple[str, int] | None = None) -> NoReturn:
        raise InputError(what, mend, file=self._file, line=self._line(key, at))

    def _line(self, key: str, at: tuple[str, int] | None) -> int | None:
        """1-based line of a key: in the n-th table of a name, or anywhere."""
        start = 0
        if at is not None:
            heads = [n for n, line in enumerate(self._lines) if line.strip() == f"[[{at[0]}]]"]
            if at[1] >= len(heads):
                return None
            start = heads[at[1]]
        for number in range(start, len(self._lines)):
            line = self._lines[number].strip()
            if number > start and at is not None and line.startswith("["):
                break
            if re.match(rf"[\"']?{re.escape(key)}[\"']?\s*=", line):
                return number + 1
        return start + 1
