"""Plays a sample city: moves its day to now, and knows what the platform shows at a moment.

Times: the day's last entry falls on the base time. With `live_seconds`, the last
`playback.live_minutes` of the day are pressed into the seconds after the base time instead, and
everything before them ends at the base time. An entry whose moved time lies ahead is not visible.

Ids: rewritten so that `(id >> 22) + 515483463` is the moved creation time in Unix seconds, as on
the platform; the low 22 bits stay. The same base time gives the same ids after a restart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from crawler.sample_platform.city import TIME_FORMAT, Change, City, Entry, Json, parse_time

ID_EPOCH = 515_483_463
"""Unix seconds of id 0; facts: matches five real posts of 2014-2021 to the second."""
LOW_BITS = 22
NAMED = re.compile(r"@([\w\-·]+)")
"""A name ends at the first space, punctuation or full stop, as the platform links it."""
GONE = "抱歉，此微博已被作者删除。查看帮助：http://t.cn/example"
HALF_LIFE_MINUTES = 30.0
"""Counts grow towards the file's numbers; half of the rest is added in this time."""
COUNTS = ("reposts_count", "comments_count", "attitudes_count")


def id_seconds(number: int) -> int:
    """Unix seconds that an id of the platform encodes."""
    return (number >> LOW_BITS) + ID_EPOCH


def id_at(seconds: int, like: int) -> int:
    """Id of the given second that keeps the low bits of `like`."""
    return (seconds - ID_EPOCH) << LOW_BITS | like & ((1 << LOW_BITS) - 1)


@dataclass(frozen=True)
class Warp:
    """Moves sample time to real time and back. All numbers are (Unix) seconds."""

    base: float
    live_from: float
    """Sample time that falls on `base`."""
    live_span: float = 0.0
    live_seconds: float = 0.0

    @classmethod
    def of(cls, city: City, base: datetime, live_seconds: float) -> Warp:
        """The warp that ends the city's day at `base`, or `live_seconds` after it."""
        end = city.ends_at.timestamp()
        if live_seconds <= 0:
            return cls(base.timestamp(), end)
        span = city.info.playback.live_minutes * 60
        return cls(base.timestamp(), end - span, span, live_seconds)

    def real(self, sample: float) -> float:
        """Real time of a sample time."""
        ahead = sample - self.live_from
        if 0 < ahead <= self.live_span:
            ahead *= self.live_seconds / self.live_span
        elif ahead > self.live_span > 0:
            ahead += self.live_seconds - self.live_span
        return self.base + ahead

    def sample(self, real: float) -> float:
        """Sample time of a real time."""
        ahead = real - self.base
        if 0 < ahead <= self.live_seconds:
            ahead *= self.live_span / self.live_seconds
        elif ahead > self.live_seconds > 0:
            ahead += self.live_span - self.live_seconds
        return self.live_from + ahead


@dataclass(frozen=True)
class Shown:
    """An entry with its moved id and creation time (Unix seconds)."""

    entry: Entry
    id: int
    created: int


class Gone(Exception):
    """The post is not shown any more; `hidden` when its author only hid it."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__(hidden)
        self.hidden = hidden


class Playback:
    """What the platform shows of a city at a moment. Holds no state that changes."""

    def __init__(self, city: City, base: datetime, live_seconds: float = 0.0) -> None:
        self.city = city
        self.warp = Warp.of(city, base, live_seconds)
        self._zone = ZoneInfo(city.info.timezone)
        self._shown = {one.entry.id: one for one in self._move(city.entries)}
        self._by_new_id = {one.id: one for one in self._shown.values()}
        self._changes: dict[int, list[Change]] = {}
        for change in sorted(city.changes, key=lambda change: change.when):
            self._changes.setdefault(change.id, []).append(change)
        self._uid_by_name = {one.name: int(one.uid) for one in city.accounts}
        self.mentions: dict[int, list[Shown]] = {}
        self.timeline: dict[int, list[Shown]] = {}
        self.comments_to: dict[int, list[Shown]] = {}
        self.comment_mentions: dict[int, list[Shown]] = {}
        self.messages: dict[int, list[Shown]] = {}
        self.comments_of: dict[int, list[Shown]] = {}
        self.reposts_of: dict[int, list[Shown]] = {}
        for one in sorted(self._shown.values(), key=lambda one: -one.id):
            self._file(one)

    def visible(self, rows: Iterable[Shown], now: datetime) -> list[Shown]:
        """Rows created by `now`, newest first, those deleted since included."""
        limit = now.timestamp()
        return [one for one in rows if one.created <= limit]

    def find(self, number: int, now: datetime) -> Shown | None:
        """The entry of this (moved) id, None when there is none yet."""
        one = self._by_new_id.get(number)
        return one if one is not None and one.created <= now.timestamp() else None

    def is_gone(self, one: Shown, now: datetime) -> bool:
        """True when a list leaves it out."""
        try:
            self._changed(one.entry, now)
        except Gone:
            return True
        return False

    def render(self, one: Shown, now: datetime) -> Json:
        """The platform's JSON of an entry as of `now`. Raises `Gone`."""
        body = {**one.entry.raw, **self._changed(one.entry, now)}
        body |= {"id": one.id, "idstr": str(one.id), "mid": str(one.id)}
        body["created_at"] = self._format(one.created)
        if one.entry.kind in ("status", "notice"):
            body |= self._counts(one, now)
        for field in ("retweeted_status", "status", "reply_comment"):
            if isinstance(body.get(field), dict):
                body[field] = self._embedded(body[field], now)
        for field in ("pid", "rootid"):
            if field in body:
                body[field] = self._moved_id(int(body[field]))
        return body

    def _file(self, one: Shown) -> None:
        """Put an entry into every list where the platform shows it."""
        raw, kind = one.entry.raw, one.entry.kind
        named = {self._uid_by_name[name] for name in NAMED.findall(raw.get("text", ""))
                 if name in self._uid_by_name}  # fmt: skip
        if kind == "message":
            self.messages.setdefault(raw["recipient"]["id"], []).append(one)
        elif kind == "comment":
            target = raw["status"]["id"]
            self.comments_of.setdefault(target, []).append(one)
            owners = self._owners(raw)
            for uid in owners:
                self.comments_to.setdefault(uid, []).append(one)
            for uid in named - owners:
                self.comment_mentions.setdefault(uid, []).append(one)
        else:
            author = raw["user"]["id"]
            self.timeline.setdefault(author, []).append(one)
            original = raw.get("retweeted_status")
            if isinstance(original, dict):
                self.reposts_of.setdefault(original["id"], []).append(one)
                named |= self._owners({"status": original})
            for uid in named - {author}:
                self.mentions.setdefault(uid, []).append(one)

    def _owners(self, comment: Json) -> set[int]:
        """Uids that a comment answers: the post's author and the answered comment's author."""
        owners = set()
        for field in ("status", "reply_comment"):
            target = comment.get(field)
            if not isinstance(target, dict):
                continue
            known = self._shown.get(target["id"])
            user = (known.entry.raw if known else target).get("user")
            if isinstance(user, dict) and user["id"] != comment.get("user", {}).get("id"):
                owners.add(int(user["id"]))
        return owners

    def _move(self, entries: Iterable[Entry]) -> Iterable[Shown]:
        taken: set[int] = set()
        for entry in sorted(entries, key=lambda entry: (entry.created_at, entry.id)):
            created = int(self.warp.real(entry.created_at.timestamp()))
            number = id_at(created, entry.id)
            while number in taken:  # two entries of one second with equal low bits
                number = id_at(created, number + 1)
            taken.add(number)
            yield Shown(entry, number, created)

    def _changed(self, entry: Entry, now: datetime) -> Json:
        """Fields that edits have replaced by now. Raises `Gone` after a deletion."""
        until = self.warp.sample(now.timestamp())
        fields: Json = {}
        edits = int(entry.raw.get("edit_count", 0))
        for change in self._changes.get(entry.id, ()):
            at = change.when.timestamp()
            if at > until:
                break
            if change.kind != "edit":
                raise Gone(hidden=change.kind == "hide")
            edits += 1
            fields |= {"text": change.text, "edit_count": edits}
            fields["edit_at"] = self._format(int(self.warp.real(at)))
        return fields

    def _counts(self, one: Shown, now: datetime) -> Json:
        age = self.warp.sample(now.timestamp()) - one.entry.created_at.timestamp()
        share = 1.0 - 2.0 ** (-max(age, 0.0) / 60 / HALF_LIFE_MINUTES)
        raw = one.entry.raw
        return {name: round(raw[name] * share) for name in COUNTS if isinstance(raw.get(name), int)}

    def _embedded(self, inner: Json, now: datetime) -> Json:
        """An embedded post or comment as it stands now; outsiders are only moved in time."""
        known = self._shown.get(inner["id"])
        if known is not None:
            try:
                return self.render(known, now)
            except Gone:
                return self._deleted_form(known.id)
        number = self._moved_id(inner["id"])
        if inner.get("deleted") or "user" not in inner:
            return {**inner, **self._deleted_form(number), "text": inner.get("text", GONE)}
        created = self.warp.real(parse_time(inner["created_at"]).timestamp())
        return {**inner, "id": number, "idstr": str(number), "mid": str(number),
                "created_at": self._format(int(created))}  # fmt: skip

    def _deleted_form(self, number: int) -> dict[str, Any]:
        return {"id": number, "idstr": str(number), "mid": str(number),
                "created_at": "", "deleted": "1", "text": GONE}  # fmt: skip

    def _moved_id(self, number: int) -> int:
        known = self._shown.get(number)
        if known is not None:
            return known.id
        return id_at(int(self.warp.real(id_seconds(number))), number)

    def _format(self, seconds: int) -> str:
        return datetime.fromtimestamp(seconds, self._zone).strftime(TIME_FORMAT)
