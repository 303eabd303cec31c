"""What is done once a day, with a moved clock: backups by the rule, their proof, doctor's word."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from archive.keeping.backup import all_backups, last_proof
from huiyin import check
from huiyin.app import App
from huiyin.chores import AGAIN_SECONDS, LOOK_EVERY_SECONDS, Chores
from huiyin.errors import ArchiveError
from huiyin.keeping import backup_due, backup_folder, backups_of, daily_backup
from huiyin.secret import FILE, author_secret, fingerprint
from huiyin.settings import Settings, load_settings
from tests.contracts.builders import ALL, post
from tests.elasticsearch import ask
from tests.keeping.test_snapshots import server_folder

DAY = timedelta(days=1)


@dataclass
class Office:
    """One office with its settings, its archive and a clock that can be moved."""

    settings: Settings
    url: str
    archive: Archive
    now: datetime
    left: Callable[[], set[str]]
    """Names of what backups wrote, as the disk or the server has them."""

    @property
    def folder(self) -> Path:
        folder = backup_folder(self.settings)
        assert folder is not None
        return folder

    def state(self) -> tuple[str, str]:
        """What doctor says of the backups."""
        app = App(self.settings, self.archive, lambda: self.now, self.url)
        finding = next(one for one in check._backup(app) if one.what == "备份")
        return finding.state, finding.found

    def daily(self) -> set[str]:
        """The day's backup; names of those that it removed."""
        _, gone = daily_backup(self.settings, self.url, self.now)
        return {one.file for one in gone}


@pytest.fixture(params=["sqlite", "elasticsearch"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    lines = []
    if request.param == "elasticsearch":
        server = request.getfixturevalue("elasticsearch")
        prefix = request.getfixturevalue("elastic_prefix")
        place = server_folder(server, prefix)
        lines = [
            "[archive]",
            f'url = "{server}/{prefix}"',
            "[backup]",
            f'server_folder = "{place}"',
        ]
    (tmp_path / "huiyin.toml").write_text("\n".join(lines))
    settings = load_settings(tmp_path)
    author_secret(settings.path(settings.secrets.folder), create=True)
    archive = open_archive(settings.archive_url)
    archive.put_posts([post(n) for n in range(20)])

    def left() -> set[str]:
        if request.param == "sqlite":
            return {one.name for one in (tmp_path / "var/backups").glob("*.db.gz")}
        found = ask(server, "GET", f"/_snapshot/{prefix}-backups/*")
        return {one["snapshot"] for one in found.get("snapshots", [])}

    # 04:00 in Shanghai, an hour after the daily moment
    start = datetime.now(UTC).replace(hour=20, minute=0, second=0, microsecond=0)
    yield Office(settings, settings.archive_url, archive, start, left)
    archive.close()
    if request.param == "elasticsearch":
        for name in left():
            ask(server, "DELETE", f"/_snapshot/{prefix}-backups/{name}")
        ask(server, "DELETE", f"/_snapshot/{prefix}-backups")


def test_seven_days_four_weeks_and_a_monthly_proof(office: Office) -> None:
    start, proofs, removed = office.now, set(), set()
    for day in (*range(9), 16, 23, 31, 62):
        office.now = start + day * DAY
        removed |= office.daily()
        proved = last_proof(office.folder)
        assert proved is not None
        proofs.add((proved - start).days)
    assert proofs == {0, 31, 62}
    found = all_backups(office.folder)
    assert {one.file for one in found} == office.left()
    assert removed and not removed & office.left()
    days = [(one.made_at - start).days for one in found]
    # of the last seven that have one, the four last weeks and each month
    assert days[:5] == [62, 31, 23, 16, 8] and 0 not in days[:7]
    assert len(days) <= 7 + 4 + 12
    months = {one.made_at.astimezone().strftime("%Y-%m") for one in found}
    assert len(months) >= 3


def test_doctor_fails_when_the_last_good_one_is_older_than_26_hours(office: Office) -> None:
    fresh = (office.settings.path(office.settings.secrets.folder) / FILE).stat().st_mtime
    office.now = datetime.fromtimestamp(fresh, UTC) + timedelta(hours=25)
    assert office.state() == ("ok", "刚安装，还没到第一次备份的时候")
    office.now += timedelta(hours=2)
    assert office.state() == ("bad", "一份也没有")
    office.daily()
    made = office.now
    assert office.state()[0] == "ok"
    office.now = made + timedelta(hours=25, minutes=59)
    assert office.state()[0] == "ok"
    office.now = made + timedelta(hours=26, minutes=1)
    state, found = office.state()
    assert state == "bad" and "26 小时前" in found
    office.daily()
    assert office.state()[0] == "ok"


def test_a_backup_bears_the_fingerprint_of_the_secret(office: Office) -> None:
    made = backups_of(office.settings, office.url).make(office.now)
    assert all_backups(office.folder) == [made]
    keys = office.settings.path(office.settings.secrets.folder)
    assert made.key_fingerprint == fingerprint(author_secret(keys))
    (keys / FILE).unlink()
    author_secret(keys, create=True)
    office.archive.put_posts([post(99)])
    with pytest.raises(ArchiveError, match="作者密钥"):
        backups_of(office.settings, office.url).restore(made, force=True)
    assert "weibo:99" in office.archive.get_posts(["weibo:99"], ALL)


def test_after_a_switch_the_files_of_before_are_removed_in_their_turn(
    office: Office, tmp_path: Path
) -> None:
    """The folder holds backups of both engines then."""
    other = tmp_path / "other.db"
    open_archive(f"sqlite:///{other}").close()
    start = office.now
    before = backups_of(office.settings, f"sqlite:///{other}")
    made = [before.make(start + hours * timedelta(hours=1)) for hours in range(-9, 0)]
    assert len(list(office.folder.glob("*.db.gz"))) == 9
    now = backups_of(office.settings, office.url)
    now.make(start)
    gone = {one.file for one in now.prune(UTC)}
    assert gone and gone <= {one.file for one in made}
    files = {one.name for one in office.folder.glob("*.db.gz")}
    assert files == {one.file for one in all_backups(office.folder) if one.engine == "sqlite"}
    assert not files & gone


# ---------------------------------------------------------------- the chore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load_settings(tmp_path)
    author_secret(made.path(made.secrets.folder), create=True)
    return made


def ended(chores: Chores) -> list[str]:
    """What `tend` says when the process that it began has ended."""
    end = time.monotonic() + 20
    while chores._process is not None:
        said = chores.tend()
        if said:
            return said
        assert time.monotonic() < end
        time.sleep(0.02)
    return []


def test_the_daily_chore_begins_when_it_is_due(settings: Settings, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = (sys.executable, "-c", f"open({str(runs)!r}, 'a').write('x')")
    at = [datetime.now(UTC), 0.0]
    chores = Chores(settings, lambda: at[0], command=command, monotonic=lambda: at[1])
    assert not backup_due(settings, at[0])  # just installed
    chores.tend()
    at[0] += 25 * timedelta(hours=1)
    assert backup_due(settings, at[0])
    chores.tend()
    assert chores._process is None  # it looks once a minute only
    at[1] += LOOK_EVERY_SECONDS
    chores.tend()
    assert ended(chores) == [] and runs.read_text() == "x"
    chores.stop()


def test_a_chore_that_failed_is_said_and_tried_again_after_an_hour(
    settings: Settings, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x'); raise SystemExit('disk full')"
    at = [datetime.now(UTC) + 2 * DAY, 0.0]
    chores = Chores(
        settings, lambda: at[0], command=(sys.executable, "-c", code), monotonic=lambda: at[1]
    )
    chores.tend()
    [said] = ended(chores)
    assert "没有做成" in said and "daily.log" in said
    assert "disk full" in (tmp_path / "var/log/daily.log").read_text()
    at[1] += AGAIN_SECONDS - 1
    chores.tend()
    assert chores._process is None
    at[1] += 1
    chores.tend()
    assert ended(chores) and runs.read_text() == "xx"


def test_a_chore_that_runs_is_ended_with_the_program(settings: Settings) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    chores = Chores(settings, lambda: datetime.now(UTC) + 2 * DAY, command=command)
    chores.tend()
    process = chores._process
    assert process is not None and process.poll() is None
    chores.stop()
    assert process.poll() is not None
