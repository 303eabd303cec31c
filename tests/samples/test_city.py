"""The shipped city: how much there is, that it holds together, and that it gives nothing away."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crawler.accounts import AccountBook, load_accounts
from crawler.sample_platform import City
from crawler.sample_platform.playback import NAMED, id_seconds
from tests.samples.conftest import YUNDU

KEY: dict[str, str] = json.loads((Path(__file__).parent / "appeals_key.json").read_text())
TELLTALE = {
    "label", "labels", "intent", "sentiment", "emotion", "category", "incident", "event",
    "event_id", "needs_answer", "urgency", "rumour", "rumor", "answer", "notice_id",
}  # fmt: skip


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set()


def test_counts(city: City) -> None:
    counts = Counter(entry.kind for entry in city.entries)
    assert 580 <= counts["status"] + counts["comment"] + counts["message"] <= 660
    assert counts["status"] >= 380
    assert counts["comment"] >= 120
    assert counts["message"] >= 60
    assert counts["notice"] >= 40
    assert len(city.accounts) == 30


def test_matrix_has_four_levels_and_its_parents(city: City) -> None:
    by_uid = {account.uid: account for account in city.accounts}
    assert Counter(account.level for account in city.accounts) == {1: 1, 2: 16, 3: 8, 4: 5}
    for account in city.accounts:
        assert account.unit and account.duties and account.region
        if account.parent is not None:
            assert by_uid[account.parent].level == account.level - 1


def test_matrix_is_read_by_the_account_book() -> None:
    book = AccountBook(load_accounts(YUNDU / "accounts.json"))
    assert len(book) == 30
    station = book.by_name["地铁市民中心站"]
    assert [book.accounts[one].level for one in book.ancestors(station)] == [3, 2, 1]


def test_ids_are_unique_and_encode_their_time(city: City) -> None:
    assert len({entry.id for entry in city.entries}) == len(city.entries)
    for entry in city.entries:
        assert id_seconds(entry.id) == entry.created_at.timestamp()
        assert entry.raw["idstr"] == entry.raw["mid"] == str(entry.id)


def test_everything_but_the_notices_lies_in_the_day(city: City) -> None:
    for entry in city.of("status", "comment", "message"):
        assert entry.created_at.date() == city.info.day


def test_every_status_reaches_an_official_account_or_is_a_repost(city: City) -> None:
    names = {account.name for account in city.accounts}
    for entry in city.of("status"):
        named = names.intersection(NAMED.findall(entry.raw["text"]))
        assert named or "retweeted_status" in entry.raw, entry.raw["text"]


def test_texts_are_not_stamped_from_a_template(city: City) -> None:
    texts = [entry.raw["text"] for entry in city.of("status") if entry.raw["text"] != "转发微博"]
    assert len(set(texts)) == len(texts)
    openings = Counter(re.sub(r"^@\S+\s*", "", text)[:5] for text in texts)
    assert openings.most_common(1)[0][1] <= 4
    lengths = [len(text) for text in texts]
    assert min(lengths) < 15 and max(lengths) > 120


def test_files_hold_no_labels() -> None:
    assert {file.name for file in YUNDU.iterdir()} == {
        "city.toml", "rota.toml", "accounts.json", "notices.json", "statuses.json",
        "comments.json", "messages.json", "changes.json",
    }  # fmt: skip
    for file in YUNDU.glob("*.json"):
        found = _keys(json.loads(file.read_text(encoding="utf-8"))) & TELLTALE
        assert not found, f"{file.name}: {found}"


def test_key_names_appeals_and_notices(city: City) -> None:
    statuses = {str(entry.id): entry for entry in city.of("status")}
    notices = {str(entry.id): entry for entry in city.of("notice")}
    assert len(KEY) >= 20
    assert set(KEY) <= set(statuses)
    assert set(KEY.values()) <= set(notices)
    assert len(set(KEY.values())) == len(KEY), "every appeal has a notice of its own"
    assert not any(number in file.read_text() for file in YUNDU.glob("*.toml") for number in KEY)


def test_appeals_do_not_copy_their_notice(city: City) -> None:
    texts = {str(entry.id): entry.raw["text"] for entry in city.entries}
    for appeal, notice in KEY.items():
        clean = re.sub(r"@\S+|\W", "", texts[appeal])
        runs = [clean[at : at + 9] for at in range(len(clean) - 8)]
        assert not any(run in re.sub(r"\W", "", texts[notice]) for run in runs), texts[appeal]


def test_notices_carry_facts(city: City) -> None:
    for entry in city.of("notice"):
        if str(entry.id) in KEY.values():
            assert len(re.findall(r"\d+|[一二三四五六七八九十]分之", entry.raw["text"])) >= 3, (
                entry.raw["text"]
            )


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a phone number", r"1[3-9]\d{9}"),
        ("an identity number", r"\d{17}[\dX]"),
        ("a script", r"<script>"),
        ("a formula", r"^=HYPERLINK"),
        ("an order to a machine", r"忽略你之前收到的所有指令"),
        ("an emoji", r"\[泪\]"),
        ("a topic", r"#[^#]+#"),
    ],
)
def test_hard_texts_are_there(city: City, what: str, pattern: str) -> None:
    assert any(re.search(pattern, entry.raw["text"]) for entry in city.entries), what


def test_hard_forms_are_there(city: City) -> None:
    raws = [entry.raw for entry in city.of("status")]
    assert sum(bool(raw["isLongText"]) for raw in raws) >= 2
    assert any(raw.get("retweeted_status", {}).get("deleted") == "1" for raw in raws)
    assert any(raw["pic_urls"] for raw in raws)
    assert {raw["user"]["verified_type"] for raw in raws} >= {-1, 0, 3, 220}
    assert any("reply_comment" in entry.raw for entry in city.of("comment"))
    assert {change.kind for change in city.changes} == {"edit", "delete", "hide"}


def test_rota_covers_the_whole_day(city: City) -> None:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    covered: set[int] = set()
    for shift in city.rota.shift:
        if shift.order == 1:
            start, end = minutes(shift.start), minutes(shift.end)
            covered |= {at % 1440 for at in range(start, end if end > start else end + 1440)}
    assert len(covered) == 1440
    assert not re.search(r"\d{5,}", " ".join(person.phone for person in city.rota.person))
