"""Words, times, curves and the command line of the console."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from huiyin.records import (
    AlertState,
    Analysis,
    AuthorKind,
    CaseState,
    Category,
    DraftState,
    Gap,
    IncidentState,
    Kind,
    Labelled,
    Level,
    Urgency,
)
from huiyin.settings import load_settings
from ui import words
from ui.charts import curve, recount, spark, touching
from ui.parts import LEVEL_CLASS, analysis_badges
from ui.run import console_command, console_environment, console_url
from ui.style import CSS
from ui.when import ago, due, span_words, when

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
UI = Path(__file__).parents[2] / "ui"


def test_every_translated_label_has_its_english():
    used = set()
    for file in UI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "t"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                used.add(node.args[0].value)
    assert used
    assert used - set(words.ENGLISH) == set()


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (words.INCIDENT_STATE, IncidentState),
        (words.ALERT_STATE, AlertState),
        (words.CASE_STATE, CaseState),
        (words.DRAFT_STATE, DraftState),
        (words.KIND, Kind),
        (words.AUTHOR, AuthorKind),
    ],
)
def test_every_state_has_a_chinese_name(table: dict[str, str], kind: type):
    assert set(table) == {one.value for one in kind}


def test_every_suspected_level_says_so():
    assert all(level.value.startswith("疑似") for level in LEVEL_CLASS)
    assert set(LEVEL_CLASS) == set(Level)


def test_times_are_in_shanghai():
    assert when(NOW - timedelta(minutes=12), NOW) == "11-22 08:48（12 分钟前）"
    assert when(datetime(2025, 1, 1, tzinfo=UTC), NOW).startswith("2025-01-01 08:00")
    assert ago(NOW + timedelta(hours=3), NOW) == "3 小时后"
    assert due(NOW - timedelta(minutes=20), NOW) == "已超时 20 分钟"
    assert due(NOW + timedelta(hours=47, minutes=59), NOW) == "还剩 47 小时 59 分"
    assert span_words(59.6) == "1 分钟"
    assert span_words(3 * 86400) == "3 天"


@given(some.lists(some.integers(0, 40_000_000), min_size=1, max_size=80))
def test_a_curve_counts_every_post_once(seconds: list[int]):
    times = [NOW + timedelta(seconds=one) for one in seconds]
    made = curve(times)
    assert sum(made.counts) == len(times)
    assert len(made.starts) <= 62
    assert made.starts[0] <= min(times)
    assert max(times) < made.starts[-1] + made.step
    assert recount(made, times) == made


def test_an_open_gap_lasts_until_now_and_is_hatched_not_zero():
    open_gap = Gap(starts_at=NOW - timedelta(hours=2), reason="授权已过期")
    assert touching([open_gap], NOW - timedelta(hours=3), NOW) == [(NOW - timedelta(hours=2), NOW)]
    assert touching([open_gap], NOW - timedelta(hours=9), NOW - timedelta(hours=3)) == []
    hours = [(NOW - timedelta(hours=4 - n), 3 if n < 2 else 0) for n in range(4)]
    assert spark(hours, [open_gap]).count('class="gap"') == 2
    assert spark(hours, []).count('class="gap"') == 0


def test_the_style_sheet_asks_for_nothing_from_elsewhere():
    assert not re.search(r"url\(|@import|https?:", CSS)


def test_command_keeps_to_the_machine(tmp_path: Path):
    (tmp_path / "huiyin.toml").write_text("[console]\nsession_hours = 2\n")
    settings = load_settings(tmp_path)
    command = console_command(settings, 8765)
    options = dict(part.removeprefix("--").split("=", 1) for part in command if "=" in part)
    assert options["server.address"] == "127.0.0.1"
    assert options["server.port"] == "8765"
    assert options["server.enableXsrfProtection"] == "true"
    assert options["server.enableCORS"] == "true"
    assert options["browser.gatherUsageStats"] == "false"
    assert options["server.fileWatcherType"] == "none"
    assert options["server.headless"] == "true"
    assert options["client.showErrorDetails"] == "none"
    assert options["server.disconnectedSessionTTL"] == "7200"
    assert not any("http" in value for value in options.values())
    environment = console_environment(settings)
    assert environment["HUIYIN_HOME"] == str(tmp_path)
    assert environment["HUIYIN_ARCHIVE__URL"] == settings.archive_url
    again = load_settings(Path(environment["HUIYIN_HOME"]))
    assert again.model_dump() == settings.model_dump()
    assert console_url(settings, 8765) == "http://127.0.0.1:8765"


def _badges(language: str | None) -> str:
    same = Labelled(label="neutral", probabilities={"neutral": 1.0})
    analysis = Analysis(
        model="m", text_sha="s", sentiment=same, emotion=same, intent=same, needs_answer=0.5,
        category=Category(path=(), probabilities={}), urgency=Urgency(score=0), language=language,
    )  # fmt: skip
    return " ".join(str(one) for one in analysis_badges(analysis))


def test_other_languages_and_traditional_texts_are_marked():
    assert "藏文，须人来看" in _badges("bo")
    assert "繁体" in _badges("zh-Hant")
    assert _badges("zh-Hans") == _badges(None) == _badges("xx")
    assert not {"zh-Hans", ""} & set(words.LANGUAGES)
