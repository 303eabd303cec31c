"""Inside: bundles of collecting stations, taken in order, once each; a missing one is a gap."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.importers.base import BadRow, FileReport, reason_of
from crawler.importers.own import OwnJson
from crawler.outbox import Bundle
from crawler.privacy import Identity, masked
from huiyin.clock import Clock
from huiyin.errors import Conflict, FileFormatError
from huiyin.records import Gap, Post, Scope, Setting, Source

EVERYTHING = Scope.everything()
SPIDER = "station"
_BAD = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


@dataclass
class Stations:
    """Takes bundles. `keys`: station -> public key; `mark`: fingerprint of our author secret."""

    archive: Archive
    identity: Identity
    accounts: Callable[[], AccountBook]
    office: str
    clock: Clock
    keys: Mapping[str, str]
    mark: str

    def take(self, file: Path) -> FileReport | None:
        """Import a bundle; None while an earlier one is missing. Raises `FileFormatError`."""
        bundle = Bundle(file, self.keys)
        last, digest = self._last(bundle.station)
        if bundle.number <= last:
            kept = self.archive.get(Setting, self._mark(bundle, bundle.number), EVERYTHING)
            if kept is None or kept.record.value == bundle.digest:
                return FileReport(file=file.name, reasons=[_line("这个采集包已收过")])
            raise FileFormatError(
                f"第 {bundle.number} 号采集包已收过，内容却不同",
                "采集站重装过就换个站名",
                file=file.name,
            )
        if bundle.number > last + 1:
            self._missing(bundle, last + 1)
            return None
        if digest not in ("*", bundle.previous):
            raise FileFormatError(
                f"第 {bundle.number} 号采集包接不上第 {last} 号",
                "采集站重装过就换个站名",
                file=file.name,
            )
        report = self._import(bundle, file.name)
        self._taken(bundle)
        return report

    def skip(self, station: str, number: int) -> None:
        """Give up on bundle `number`: a person says that it will never come. Its gap stays."""
        last, _ = self._last(station)
        if number != last + 1:
            raise FileFormatError(f"现在缺的是第 {last + 1} 号", "改正编号")
        self._set_last(station, number, "*", came=False)

    # ------------------------------------------------------------ posts

    def _import(self, bundle: Bundle, name: str) -> FileReport:
        now = self.clock()
        build = Builder(
            identity=self.identity, accounts=self.accounts(), office=self.office,
            spider=f"station:{bundle.station}", at=now, now=now,
        )  # fmt: skip
        own, report, posts = OwnJson(), FileReport(file=name), []
        for line, row in enumerate(bundle.rows(), 1):
            report.read += 1
            try:
                if "post" in row:
                    for post in own.posts(row["post"], build):  # masked again: nobody is trusted
                        posts.append(self._rekeyed(post, bundle))
                else:
                    self._standing(Source.model_validate(row["source"]), bundle.station)
            except (*_BAD, ValidationError) as error:
                report.skip(BadRow(line, reason_of(error)))
        for start in range(0, len(posts), 500):
            done = self.archive.put_posts(posts[start : start + 500])
            report.new += done.new
            report.updated += done.updated
            report.refuse(done.rejected)
        return report

    def _rekeyed(self, post: Post, bundle: Bundle) -> Post:
        """The author's key under our own secret, where the station has another one."""
        if bundle.authors == self.mark or not post.author.key:
            return post
        key = self.identity.author_key(f"station:{bundle.station}", post.author.key)
        return post.model_copy(update={"author": post.author.model_copy(update={"key": key})})

    def _standing(self, told: Source, station: str) -> None:
        """What the station says of one of its sources: shown here, read there."""
        said = told.model_copy(
            update={
                "id": f"{told.id}@{station}", "spider": SPIDER, "cursor": "",
                "parameters": {"station": station, "of": told.id.removeprefix("source:")},
                "reason": masked(told.reason),
            }
        )  # fmt: skip
        self._write(said, lambda _: said)

    # ------------------------------------------------------------ numbers

    def _last(self, station: str) -> tuple[int, str]:
        kept = self.archive.get(Setting, f"station:{station}", EVERYTHING)
        if kept is None:
            return 0, ""
        told: dict[str, Any] = json.loads(kept.record.value)
        return int(told["number"]), str(told["digest"])

    def _taken(self, bundle: Bundle) -> None:
        with suppress(Conflict):  # killed after this, before the next line
            self.archive.create(Setting(id=self._mark(bundle, bundle.number), value=bundle.digest))
        self._set_last(bundle.station, bundle.number, bundle.digest)

    def _set_last(self, station: str, number: int, digest: str, *, came: bool = True) -> None:
        value = json.dumps({"number": number, "digest": digest})
        record = Setting(id=f"station:{station}", value=value)
        try:
            self.archive.create(record)
        except Conflict:
            self.archive.change(Setting, record.id, EVERYTHING, lambda _: record)
        now = self.clock()
        self._write(self._source(station, now), lambda one: _went_on(one, now, came))

    @staticmethod
    def _mark(bundle: Bundle, number: int) -> str:
        return f"bundle:{bundle.station}:{number}"

    # ------------------------------------------------------------ the visible gap

    def _source(self, station: str, now: datetime) -> Source:
        return Source(
            id=f"source:station-{station}", spider=SPIDER, account=self.office,
            offices=(self.office,), parameters={"station": station}, state="ok", last_ok_at=now,
            every_seconds=3600.0, covered_since=now,
        )  # fmt: skip

    def _missing(self, bundle: Bundle, number: int) -> None:
        now = self.clock()
        reason = f"采集站 {bundle.station} 的第 {number} 号采集包没有到，后面的先等着"

        def edit(one: Source) -> Source:
            if any(gap.ends_at is None and gap.reason == reason for gap in one.gaps):
                return one
            gaps = tuple(gap for gap in one.gaps if gap.ends_at)
            gap = Gap(starts_at=one.last_ok_at or now, reason=reason)
            return one.model_copy(
                update={"state": "failing", "state_since": now, "gaps": (*gaps, gap)[-100:],
                        "reason": f"{reason}（找到它放进文件夹；确实没有了："
                        f"huiyin inbox --skip {bundle.station}:{number}）"}
            )  # fmt: skip

        fresh = self._source(bundle.station, now).model_copy(update={"last_ok_at": None})
        self._write(edit(fresh), edit)

    def _write(self, fresh: Source, edit: Callable[[Source], Source]) -> None:
        try:
            self.archive.create(fresh)
        except Conflict:
            self.archive.change(Source, fresh.id, EVERYTHING, edit)


def _went_on(source: Source, now: datetime, came: bool) -> Source:
    """The station after a number; `came`: with its bundle, so the gap is caught up."""
    ended = {"ends_at": now, "caught_up_at": now if came else None}
    gaps = tuple(gap if gap.ends_at else gap.model_copy(update=ended) for gap in source.gaps)
    return source.model_copy(
        update={"state": "ok", "reason": "", "last_ok_at": now, "gaps": gaps, "tried_at": now}
    )


def _line(reason: str) -> dict[str, object]:
    return {"line": None, "reason": reason}
