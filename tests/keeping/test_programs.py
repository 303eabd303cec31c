"""The commands with running programs: a switch leads `huiyin watch` to the new archive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from archive import open_archive
from archive.dump import dump
from tests.contracts.builders import post
from tests.keeping.test_moving import fill


def huiyin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "huiyin", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "HUIYIN_HOME": str(home)}, timeout=120,
    )  # fmt: skip


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def opens(pid: int, file: Path) -> bool:
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if one.readlink() == file:
                return True
        except FileNotFoundError:  # closed while we looked
            continue
    return False


def test_running_programs_follow_the_switch(tmp_path: Path) -> None:
    old, new = tmp_path / "var/huiyin.db", tmp_path / "var/new.db"
    assert huiyin(tmp_path, "init").returncode == 0
    fill(open_archive(f"sqlite:///{old}"), 200)
    watch = subprocess.Popen(
        [sys.executable, "-m", "huiyin", "watch"], env={**os.environ, "HUIYIN_HOME": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert until(lambda: opens(watch.pid, old))
        refused = huiyin(tmp_path, "archive", "switch")
        assert refused.returncode == 1 and "没有搬迁" in refused.stderr
        copied = huiyin(tmp_path, "archive", "copy", "--to", "sqlite:///var/new.db", "--json")
        assert copied.returncode == 0, copied.stderr
        rows = json.loads(copied.stdout)["rows"]
        assert all(row["equal"] and row["source"] == row["target"] for row in rows)
        switched = huiyin(tmp_path, "archive", "switch")
        assert switched.returncode == 0, switched.stderr
        # the same process, begun anew on the other archive
        assert until(lambda: opens(watch.pid, new) and not opens(watch.pid, old))
        assert watch.poll() is None
        # commands go there too, and nothing more reaches the old one
        status = json.loads(huiyin(tmp_path, "archive", "status", "--json").stdout)
        assert status["place"] == str(new)
        back = huiyin(tmp_path, "archive", "switch", "--back")
        assert back.returncode == 0, back.stderr
        assert until(lambda: opens(watch.pid, old) and not opens(watch.pid, new))
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(30) == 0
    finally:
        watch.kill()
        watch.wait()


def test_a_follower_hands_over_to_the_switch(tmp_path: Path) -> None:
    old, new = tmp_path / "var/huiyin.db", tmp_path / "var/new.db"
    assert huiyin(tmp_path, "init").returncode == 0
    archive = open_archive(f"sqlite:///{old}")
    fill(archive, 100)
    follower = subprocess.Popen(
        [sys.executable, "-m", "huiyin", "archive", "copy", "--to", f"sqlite:///{new}", "--follow"],
        env={**os.environ, "HUIYIN_HOME": str(tmp_path)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        target = open_archive(f"sqlite:///{new}")
        assert until(lambda: target.counts()["posts"] == 100)
        archive.put_posts([post(5000)])
        assert until(lambda: target.counts()["posts"] == 101)
        switched = huiyin(tmp_path, "archive", "switch")
        assert switched.returncode == 0, switched.stderr
        assert follower.wait(30) == 0
    finally:
        follower.kill()
        follower.wait()
    assert list(dump(archive)) == list(dump(target))


def test_backup_restore_and_doctor(tmp_path: Path) -> None:
    assert huiyin(tmp_path, "init").returncode == 0
    archive = open_archive(f"sqlite:///{tmp_path / 'var/huiyin.db'}")
    fill(archive, 60)
    before = list(dump(archive))
    assert huiyin(tmp_path, "archive", "daily").returncode == 0
    made = json.loads(huiyin(tmp_path, "archive", "backups", "--json").stdout)
    assert [one["proved"] for one in made] == [True] and made[0]["counts"]["posts"] == 60
    archive.put_posts([post(800)])
    archive.close()
    assert huiyin(tmp_path, "archive", "restore").returncode == 1
    done = huiyin(tmp_path, "archive", "restore", "--force")
    assert done.returncode == 0, done.stderr
    assert list(dump(archive)) == before
