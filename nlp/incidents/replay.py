"""Runs a past stream through archive, understanding, detector and alerts in event time.

Nothing here decides: a temporary archive is filled step by step, the same `Detector` as in `watch`
groups what is pending, and the alerts' step is called at the moment an incident is alerted. Every
post is taken as collected the moment it was posted (or when it arrived, `as_collected`); an
incident opens and alerts `HOLD` (1 s) after the post that made it so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from archive.base import TIMEZONE, Archive, Filters
from huiyin.records import Alert, Incident, IncidentState, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.base import Text, Understanding
from nlp.incidents.base import AlertStep, OpenArchive, Prepare, Progress, ReplayReport
from nlp.incidents.detector import HOLD, Detector
from nlp.incidents.learning import Learned
from nlp.incidents.report import Curve, Detail, pictured, render
from nlp.incidents.spool import STEP_POSTS, Spool, to_json
from nlp.incidents.story import tell
from nlp.incidents.tuning import Tuning, choose, follow

_ALL = Scope.everything()
FOLLOWED = 3000
"""Posts of an incident that other thresholds are tried on."""
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
    learned: Learned | None = None,
    tune: float | None = None,
) -> ReplayReport:
    """Replay `file` and write incidents.jsonl, alerts.jsonl and report.html into `out_dir`.

    `office` owns posts that name none; `region` is its adcode; `learned` is what its staff taught.
    `tune`: wanted alerts a day; the report then says which thresholds would give them.
    The same input gives the same incidents.jsonl byte for byte. Raises `FileFormatError` when the
    file cannot be opened.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="huiyin-replay-") as folder:
        spool = Spool(Path(folder), as_collected=as_collected)
        archive = open_archive(f"sqlite:///{folder}/replay.db")
        try:
            spool.fill(file, prepare)
            run = _Run(archive, understanding, settings, office, region, alert_step, learned)
            run.play(spool, progress)
            return _write(archive, spool, file, out_dir, run, tune)
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
        learned: Learned | None = None,
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
            learned=learned or Learned(),
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

    def play(self, spool: Spool, progress: Progress | None) -> None:
        """All of the stream, step by step."""
        done, total = 0, len(spool)
        for posts in spool.steps():
            self.step(posts)
            done += len(posts)
            if progress is not None:
                progress(done, total)
        self.finish()

    def finish(self) -> None:
        """Let the quiet ones age to the end of the stream."""
        self.clock.now += timedelta(minutes=2)
        self._detector.run_once()


def _write(
    archive: Archive, spool: Spool, file: Path, out_dir: Path, run: _Run, tune: float | None
) -> ReplayReport:
    row_ids = spool.row_ids()
    every = sorted(_all_incidents(archive), key=lambda one: (one.opened_at, one.id))
    into = {one.id: one.merged_into for one in every if one.merged_into is not None}
    incidents = [one for one in every if one.id not in into]
    members, curve = _members(archive, into)
    alerts = sorted(_all_alerts(archive), key=lambda one: (one.created_at, one.id))
    files = tuple(out_dir / name for name in ("incidents.jsonl", "alerts.jsonl", "report.html"))
    _lines(files[0], (_line(one, members.get(one.id, []), row_ids) for one in incidents))
    _lines(files[1], (to_json(_alert(one, into)) for one in alerts))
    tuning = None
    if tune is not None:
        tuning = _tuned(archive, every, curve, run.settings, tune)
    page = render(
        details=_details(archive, every, curve),
        tuning=tuning,
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
        tuning=tuning,
    )


def _members(
    archive: Archive, into: Mapping[str, str]
) -> tuple[dict[str, list[tuple[str, datetime]]], Curve]:
    """Incident -> its posts with their times; and the curve of the whole stream."""
    members: dict[str, list[tuple[str, datetime]]] = {}
    curve = Curve()
    for post in archive.iter_posts(_ALL):
        curve.add(post.created_at)
        if post.incident:
            name = _goes_on(post.incident, into)
            members.setdefault(name, []).append((post.id, post.created_at))
    return members, curve


def _details(archive: Archive, incidents: Sequence[Incident], stream: Curve) -> dict[str, Detail]:
    """What the pictures show beside the record, for the incidents that have one."""
    found = {}
    for one in pictured(incidents):
        posts = _posts_of(archive, incidents, one.id)
        story = tell(one, posts, max(post.created_at for post in posts)) if posts else None
        found[one.id] = Detail(story, follow(posts[:FOLLOWED], stream.hourly))
    return found


def _tuned(
    archive: Archive, incidents: Sequence[Incident], stream: Curve, settings: IncidentSettings,
    wanted: float,
) -> Tuning:  # fmt: skip
    steps = {
        one.id: follow(_posts_of(archive, incidents, one.id)[:FOLLOWED], stream.hourly)
        for one in incidents
        if one.state is not IncidentState.MERGED
    }
    return choose(
        steps, stream.days, wanted, authors=settings.min_authors, score=settings.min_score
    )


def _posts_of(archive: Archive, incidents: Sequence[Incident], name: str) -> list[Post]:
    """Posts of an incident and of those merged into it, in time order."""
    names, done = [name], 0
    while done < len(names):
        names += [one.id for one in incidents if one.merged_into == names[done]]
        done += 1
    posts = [post for one in names for post in archive.iter_posts(_ALL, Filters(incident=one))]
    return sorted(posts, key=lambda post: (post.created_at, post.id))


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


def _goes_on(name: str, into: Mapping[str, str]) -> str:
    """The incident that goes on where one was merged, perhaps at second hand."""
    while name in into:
        name = into[name]
    return name


def _alert(alert: Alert, into: Mapping[str, str]) -> dict[str, object]:
    return {
        "id": alert.id,
        "incident": _goes_on(alert.incident, into),
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
