from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from argon2 import PasswordHasher
from streamlit.testing.v1 import AppTest

from archive.base import Archive
from huiyin.app import App
from responder import Desk
from tests.ui.seed import PASSWORD, Seeded, seed_home

MAIN = Path(__file__).parents[2] / "ui" / "main.py"
TIMEOUT = 60


@dataclass
class Console:
    """A seeded archive and a way to open the console on it."""

    home: Path
    seeded: Seeded
    archive: Archive

    def open(self, page: str = "", *, id: str = "") -> AppTest:
        """The console as a browser tab that nobody signed in to."""
        at = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT).run()
        return go(at, page, id=id) if page else at

    def sign_in(self, name: str, page: str = "", *, id: str = "") -> AppTest:
        """Signed in as `name`, on `page`."""
        at = fill_sign_in(self.open(), name, PASSWORD)
        assert not at.exception, at.exception
        return go(at, page, id=id) if page else at


def fill_sign_in(at: AppTest, name: str, password: str) -> AppTest:
    at.text_input(key="sign-in-name").set_value(name)
    at.text_input(key="sign-in-password").set_value(password)
    return press(at, "登录")


def go(at: AppTest, page: str, *, id: str = "") -> AppTest:
    at.switch_page(f"views/{page}.py")
    at.query_params.clear()
    if id:
        at.query_params["id"] = id
    at.run()
    assert not at.exception, at.exception
    return at


def press(at: AppTest, label: str) -> AppTest:
    """Press the one button with this label (or the first of them)."""
    found = [one for one in at.button if one.label == label]
    assert found, f"no button {label}: {[one.label for one in at.button]}"
    found[0].click()
    at.run()
    assert not at.exception, at.exception
    return at


def labels(at: AppTest) -> list[str]:
    return [one.label for one in at.button]


def page_html(at: AppTest) -> str:
    """All HTML that the page sends."""
    return "\n".join(one.value for one in at.html if "<style>" not in one.value)


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Argon2id with its least cost: these tests sign in a hundred times."""
    patch = pytest.MonkeyPatch()
    patch.setattr(
        "huiyin.people.PasswordHasher",
        lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def evidence_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk without the model: notices are found by words alone."""

    def desk(app: App) -> Desk:
        return Desk(app.archive, clock=app.clock)

    monkeypatch.setattr(App, "desk", property(desk))


@pytest.fixture(scope="session")
def seeded_home(
    tmp_path_factory: pytest.TempPathFactory, quick_hashes: None
) -> tuple[Path, Seeded]:
    home = tmp_path_factory.mktemp("console-seed")
    return home, seed_home(home, datetime.now(UTC))


@pytest.fixture
def console(
    seeded_home: tuple[Path, Seeded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    from archive import open_archive

    home = tmp_path / "home"
    shutil.copytree(seeded_home[0], home)
    monkeypatch.setenv("HUIYIN_HOME", str(home))
    st.cache_resource.clear()
    archive = open_archive(f"sqlite:///{home / 'var' / 'huiyin.db'}")
    yield Console(home, seeded_home[1], archive)
    archive.close()
    st.cache_resource.clear()
