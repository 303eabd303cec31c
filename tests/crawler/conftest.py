from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from archive.base import Archive
from crawler import AccountBook, FileReport, Identity, import_files
from crawler.build import Builder
from huiyin.records import Account, Post, Scope

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OFFICE = "office:default"


def account(uid: str, name: str, parent: str | None = None) -> Account:
    return Account(
        id=f"weibo:{uid}", uid=uid, name=name, level=2, parent=parent,
        offices=(f"weibo:{uid}", *((parent,) if parent else ())),
    )  # fmt: skip


@pytest.fixture
def book() -> AccountBook:
    return AccountBook([account("101", "云渡发布"), account("102", "云渡水务", "weibo:101")])


@pytest.fixture
def identity() -> Identity:
    return Identity(b"secret of a test".ljust(32, b"."))


@pytest.fixture
def build(book: AccountBook, identity: Identity) -> Builder:
    return Builder(identity=identity, accounts=book, office=OFFICE, spider="test", at=NOW, now=NOW)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    yield opened
    opened.close()


@pytest.fixture
def bring(
    archive: Archive, book: AccountBook, identity: Identity
) -> Callable[..., tuple[FileReport, dict[str, Post]]]:
    """Import one file; returns the report and every stored post by id."""

    def act(file: Path, **options: Any) -> tuple[FileReport, dict[str, Post]]:
        (report,) = import_files(
            [file], archive=archive, identity=identity, accounts=book, office=OFFICE,
            clock=lambda: NOW, **options,
        )  # fmt: skip
        return report, {post.id: post for post in archive.iter_posts(Scope.everything())}

    return act
