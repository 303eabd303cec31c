"""The pictures' worker and its queue, put together from the settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from huiyin.app import App
from huiyin.errors import InputError
from huiyin.settings import Settings

if TYPE_CHECKING:
    from crawler.pictures.keeping import Pictures
    from crawler.pictures.links import LinkQueue


def links_of(settings: Settings) -> LinkQueue | None:
    """Where the crawl process notes links; None = pictures are off."""
    from crawler.pictures.links import LinkQueue

    if not settings.pictures.enabled:
        return None
    return LinkQueue(
        settings.path(settings.pictures.folder), settings.path(settings.secrets.folder)
    )


def worker_of(app: App) -> Pictures:
    """The worker over the archive. Raises `InputError` when pictures are off."""
    from crawler.pictures.fetching import Fetcher
    from crawler.pictures.keeping import Pictures
    from crawler.pictures.store import PictureStore

    told = app.settings.pictures
    queue = links_of(app.settings)
    if queue is None:
        raise InputError("没有打开图片采集", "在 huiyin.toml 写 pictures.enabled = true")
    fetcher = Fetcher(told.hosts, app.settings.collect.allow_hosts, int(told.max_mb * 1024 * 1024))
    return Pictures(
        app.archive, queue, PictureStore(app.settings.path(told.folder)), fetcher,
        lambda: app.accounts, app.clock, timedelta(days=told.keep_days), told.read,
    )  # fmt: skip
