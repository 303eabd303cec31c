"""Ten dismissals of one kind cut that kind's alerts on a later replay and lose no confirmed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archive import Archive, open_archive
from huiyin.records import Actor, Incident, Role, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents import Detector, IncidentDesk, Learned, learned_from, replay
from tests.incidents.helpers import START, FakeUnderstanding, post, store
from tests.incidents.test_replay import alert_step, prepare

ALL = Scope.everything()
WANG = Actor("wang", "王值班", frozenset({Role.ON_CALL}), ALL)
SETTINGS = IncidentSettings(window_hours=24)
DAYS = 4
STREETS = "松柏桃梨杏柳枫榆桐槐樟桂竹梅兰"
SAID = (
    "{0}林夜市又有人打人了，围了一圈看热闹的",
    "刚在{0}林夜市看见两个人打人，吵得厉害",
    "{0}林夜市打人那两个被劝开了，没什么大事",
    "谁知道{0}林夜市为什么打人，听说是抢摊位",
)
MORE = (
    "{0}林夜市十几个人打人，桌子全掀了",
    "{0}林夜市打人越闹越大，警车来了三辆",
    "我在{0}林夜市摊位后面躲着，外面还在打人",
    "{0}林夜市打人，隔壁店玻璃碎一地",
    "有人拿凳子打人，{0}林夜市入口封了",
    "{0}林夜市打人那帮人往桥头跑了",
    "{0}林夜市打人，孩子吓哭了找不到妈妈",
    "从{0}林夜市出来，打人的还没散",
)


Row = tuple[str, str, float]
FIRE = ("城南市场着火了，黑烟老高", "城南市场起火，二楼浓烟有人被困", "城南市场大火，火苗窜上来")


def happenings(streets: str, texts: tuple[str, ...], first_day: int) -> list[Row]:
    """(name, text, minutes): one happening every `DAYS` days."""
    return [
        (f"{street}{n}", text.format(street), (first_day + DAYS * place) * 1440 + 9.0 * n)
        for place, street in enumerate(streets)
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Archive]:
    """An archive whose staff dismissed ten small brawls and confirmed a large one."""
    archive = open_archive(f"sqlite:///{tmp_path / 'office.db'}")
    rows = happenings(STREETS[:10], SAID, 0) + happenings("莲", SAID + MORE, 90)
    store(archive, [post(name, text, minutes) for name, text, minutes in rows])
    now = START + timedelta(days=120)
    detector = Detector(archive, settings=SETTINGS, clock=lambda: now, lease=False)
    while detector.run_once().posts:
        pass
    desk = IncidentDesk(archive, settings=SETTINGS, clock=lambda: now)
    for stored in archive.records(Incident, ALL):
        if "莲" in stored.record.title:
            desk.confirm(stored.record.id, WANG)
        else:
            desk.dismiss(stored.record.id, WANG, "夜市口角")
    yield archive
    archive.close()


def told(rows: list[Row], folder: Path, learned: Learned) -> list[str]:
    """Titles of the incidents that a replay alerts."""
    folder.mkdir()
    file = folder / "s.jsonl"
    lines = [
        {"id": name, "text": text, "created_at": (START + timedelta(minutes=minutes)).isoformat()}
        for name, text, minutes in rows
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    replay(
        file, folder / "out", understanding=FakeUnderstanding(), settings=SETTINGS,
        prepare=prepare, open_archive=open_archive, alert_step=alert_step, learned=learned,
    )  # fmt: skip
    text = (folder / "out" / "incidents.jsonl").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    return [one["title"] for one in found if one["alerted_at"]]


def test_ten_dismissals_cut_that_kind_and_lose_no_confirmed(
    office: Archive, tmp_path: Path
) -> None:
    verdicts = [stored.record.verdict for stored in office.records(Incident, ALL)]
    assert verdicts.count("dismissed") == 10
    assert verdicts.count("confirmed") == 1
    rows = (
        happenings(STREETS[10:], SAID, 0)
        + happenings("莲", SAID + MORE, 60)
        + [(f"f{n}", text, 80 * 1440 + 7.0 * n) for n, text in enumerate(FIRE)]
    )
    before = told(rows, tmp_path / "before", Learned())
    after = told(rows, tmp_path / "after", learned_from(office))
    small = [title for title in before if "夜市" in title and "莲" not in title]
    assert len(small) == 5, before
    assert [title for title in after if "夜市" in title and "莲" not in title] == []
    assert any("莲" in title for title in after), "a confirmed one was lost"
    assert any("城南市场" in title for title in after), "another kind was cut"
