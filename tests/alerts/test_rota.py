from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts import load_rota, on_call, save_rota
from archive.base import Archive
from huiyin.errors import FileFormatError, InputError
from tests.alerts.conftest import NOW, Clock, person, shift

ROTA = """
[[shift]]
person = "zhou"
starts_at = 2026-03-05T08:00:00+08:00
ends_at = 2026-03-05T20:00:00+08:00
channels = ["webhook", "log"]

[[shift]]
person = "wu"
from = "20:00"
to = "08:00"
order = 2

[[shift]]
person = "all"
from = "00:00"
to = "24:00"
order = 3
"""


def test_both_forms_of_a_turn(tmp_path: Path) -> None:
    file = tmp_path / "rota.toml"
    file.write_text(ROTA, encoding="utf-8")
    shifts = load_rota(file, Clock())
    fixed = [one for one in shifts if one.person == "zhou"]
    assert [(one.starts_at, one.channels) for one in fixed] == [
        (datetime(2026, 3, 5, 0, tzinfo=UTC), ("webhook", "log"))
    ]
    nights = [one for one in shifts if one.person == "wu"]
    assert all(one.ends_at - one.starts_at == timedelta(hours=12) for one in nights)
    assert nights[0].starts_at == datetime(2026, 3, 4, 12, tzinfo=UTC)  # last night may still run
    whole = [one for one in shifts if one.person == "all"]
    assert all(one.ends_at - one.starts_at == timedelta(days=1) for one in whole)
    assert len({one.id for one in shifts}) == len(shifts)


def test_saving_twice_changes_nothing(tmp_path: Path, archive: Archive) -> None:
    file = tmp_path / "rota.toml"
    file.write_text(ROTA, encoding="utf-8")
    shifts = load_rota(file, Clock())
    assert save_rota(archive, shifts) == len(shifts)
    assert save_rota(archive, shifts) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        'person = "z"\nstarts_at = 2026-03-05T08:00:00\nends_at = 2026-03-05T20:00:00',
        'person = "z"\nfrom = "8 Uhr"\nto = "20:00"',
        'from = "08:00"\nto = "20:00"',
        'person = "z"\nfrom = "08:00"\nto = "20:00"\nphone = "1"',
        'person = "z"\nstarts_at = 2026-03-05T20:00:00+08:00\nends_at = 2026-03-05T08:00:00+08:00',
    ],
)
def test_a_wrong_turn_is_named(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "rota.toml"
    file.write_text(f'[[shift]]\nperson = "a"\nfrom = "00:00"\nto = "01:00"\n[[shift]]\n{wrong}\n')
    with pytest.raises(InputError, match="第 2 个班次"):
        load_rota(file, Clock())


@pytest.mark.parametrize("text", ["= 1", "x = 1", "shift = 3"])
def test_no_rota_at_all(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rota.toml"
    file.write_text(text)
    with pytest.raises(FileFormatError):
        load_rota(file, Clock())


def test_who_is_called_first(archive: Archive) -> None:
    for name in ("zhou", "wu", "late"):
        archive.create(person(name))
    archive.create(person("far", offices=("weibo:9",)))
    archive.create(shift("wu", order=2))
    archive.create(shift("zhou", order=1))
    archive.create(shift("far", order=1))
    archive.create(shift("late", order=1, hours=-0.5))
    rota = on_call(archive, ("weibo:1",), NOW)
    assert [one.person for one in rota.people] == ["zhou", "wu"]
    assert rota.warning == ""
    assert on_call(archive, ("weibo:1",), NOW + timedelta(hours=5)).warning
