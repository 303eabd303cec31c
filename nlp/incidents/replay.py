"""Runs a past stream through archive, understanding, detector and alerts in event time.

Nothing here decides: a temporary archive is filled step by step, the same `Detector` as in `watch`
groups what is pending, and the alerts' step is called at the moment an incident is alerted. Every
post is taken as collected the moment it was posted (or when it arrived, `as_collected`); an
incident opens and alerts `HOLD` (1 s) after the post that made it so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from archive.base import TIMEZONE, Archive
from huiyin.records import Alert, Incident, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.base import Text, Understanding
from nlp.incidents.base import AlertStep, OpenArchive, Prepare, Progress, ReplayReport
from nlp.incidents.detector import HOLD, Detector
from nlp.incidents.report import Curve, render
from nlp.incidents.spool import STEP_POSTS, Spool, to_json

_ALL = Scope.everything()
_ZONE = ZoneInfo(TIMEZONE)


@dataclass
class _Clock:
    """The time inside the replay."""

    now: datetime = field(default_factory=lambda: datetime.fromtimestamp(0, UTC))

    def __call__(self) -> datetime:
        return self.now


def replay(
    file: Path,
    out_dir: Path,
    *,
    understanding: Understanding,
    settings: IncidentSettings,
    prepare: Prepare,
    open_archive: OpenArchive,
    office: str = "office:default",
    region: str | None = None,
    alert_step: AlertStep | None = None,
    as_collected: bool = False,
    progress: Progress | None = None,
) -> ReplayReport:
    """Replay `file` and write incidents.jsonl, alerts.jsonl and report.html into `out_dir`.

    `office` owns posts that name none; `region` is its adcode. The same input gives the same
    incidents.jsonl byte for byte. Raises `FileFormatError` when the file cannot be opened.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="huiyin-replay-") as folder:
        spool = Spool(Path(folder), as_collected=as_collected)
        archive = open_archive(f"sqlite:///{folder}/replay.db")
        try:
            spool.fill(file, prepare)
            run = _Run(archive, understanding, settings, office, region, alert_step)
            done, total = 0, len(spool)
            for posts in spool.steps():
                run.step(posts)
                done += len(posts)
                if progress is not None:
                    progress(done, total)
            run.finish()
            return _write(archive, spool, file, out_dir, run)
        finally:
            archive.close()
            spool.close()


class _Run:
    """One replay under way."""

    def __init__(
        self,
        archive: Archive,
        understanding: Understanding,
        settings: IncidentSettings,
        office: str,
        region: str | None,
        alert_step: AlertStep | None,
    ) -> None:
        self._archive, self._understanding = archive, understanding
        self._office, self._region, self._alert_step = office, region, alert_step
        self.settings = settings
        self.clock = _Clock()
        self._detector = Detector(
            archive,
            jurisdiction="replay",
            settings=settings,
            clock=self.clock,
            limit=STEP_POSTS,
            event_time=True,
            lease=False,
        )

    def step(self, posts: list[Post]) -> None:
        """Store, analyse, group; alert when the detector says so."""
        owned = [
            post if post.offices else post.model_copy(update={"offices": (self._office,)})
            for post in posts
        ]
        self._archive.put_posts(owned)
        texts = [Text(text=post.text, title=post.title, region=self._region) for post in owned]
        analyses = self._understanding.analyse(texts)
        ids = [post.id for post in owned]
        self._archive.write_analyses(list(zip(ids, analyses, strict=True)))
        latest = max(post.collected_at for post in owned)
        self.clock.now = max(self.clock.now, latest + HOLD + timedelta(microseconds=1))
        while (report := self._detector.run_once()).posts:
            if self._alert_step is not None:
                for _, alerted_at in report.alerted:
                    self._alert_step(self._archive, alerted_at)

    def finish(self) -> None:
        """Let the quiet ones age to the end of the stream."""
        self.clock.now += timedelta(minutes=2)
        self._detector.run_once()


def _write(archive: Archive, spool: Spool, file: Path, out_dir: Path, run: _Run) -> ReplayReport:
    row_ids = spool.row_ids()
    incidents = sorted(_all_incidents(archive), key=lambda one: (one.opened_at, one.id))
    members: dict[str, list[tuple[str, datetime]]] = {}
    curve = Curve()
    for post in archive.iter_posts(_ALL):
        curve.add(post.created_at)
        if post.incident:
            members.setdefault(post.incident, []).append((post.id, post.created_at))
    alerts = sorted(_all_alerts(archive), key=lambda one: (one.created_at, one.id))
    files = tuple(out_dir / name for name in ("incidents.jsonl", "alerts.jsonl", "report.html"))
    _lines(files[0], (_line(one, members.get(one.id, []), row_ids) for one in incidents))
    _lines(files[1], (to_json(_alert(one)) for one in alerts))
    page = render(
        name=file.name,
        incidents=incidents,
        members=members,
        row_ids=row_ids,
        alerts=alerts,
        stream=curve,
        rejected=spool.rejected,
        read=spool.read,
        settings=run.settings,
    )
    with _whole(files[2]) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return ReplayReport(
        read=spool.read,
        posts=len(spool),
        incidents=len(incidents),
        alerted=sum(one.alerted_at is not None for one in incidents),
        alerts=len(alerts),
        rejected=tuple(spool.rejected),
        files=files,
    )


def _all_incidents(archive: Archive) -> Iterator[Incident]:
    after = ""
    while page := archive.records(Incident, _ALL, limit=1000, after=after):
        after = page[-1].record.id
        for stored in page:
            yield stored.record


def _all_alerts(archive: Archive) -> Iterator[Alert]:
    after = ""
    while page := archive.records(Alert, _ALL, limit=1000, after=after):
        after = page[-1].record.id
        for stored in page:
            yield stored.record


def _line(
    incident: Incident, members: Iterable[tuple[str, datetime]], row_ids: dict[str, str]
) -> str:
    return to_json(
        {
            "id": incident.id,
            "title": incident.title,
            "suspected_level": incident.suspected_level,
            "opened_at": local(incident.opened_at),
            "alerted_at": local(incident.alerted_at) if incident.alerted_at else None,
            "posts": [row_ids.get(post_id, post_id) for post_id, _ in members],
        }
    )


def _alert(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.id,
        "incident": alert.incident,
        "rule": alert.rule,
        "title": alert.title,
        "text": alert.text,
        "reasons": list(alert.reasons),
        "created_at": local(alert.created_at),
    }


def local(moment: datetime) -> str:
    """ISO time in Asia/Shanghai, to the second."""
    return moment.astimezone(_ZONE).isoformat(timespec="seconds")


def _lines(file: Path, lines: Iterable[str]) -> None:
    with _whole(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(line + "\n")


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A file appears under its name only when it is complete."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
