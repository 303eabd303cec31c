"""The doors beside Weibo, put together from the settings: feeds, sites, folder, form, stations."""

from __future__ import annotations

import tomllib
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from huiyin.errors import FileFormatError, InputError, unreadable
from huiyin.records import Source
from huiyin.secret import fingerprint
from huiyin.settings import Settings

if TYPE_CHECKING:
    from crawler import AccountBook, Identity
    from crawler.callback import Callback
    from crawler.folder import Inbox
    from crawler.public_form import Form
    from crawler.stations import Stations
    from huiyin.app import App


def stations_of(app: App) -> Stations | None:
    """Takes bundles of other networks; None when no station is known."""
    from crawler.stations import Stations

    keys = app.settings.collect.stations
    if not keys:
        return None
    return Stations(
        app.archive, app.identity, lambda: app.accounts, app.settings.office.id, app.clock, keys,
        fingerprint(app.identity.secret),
    )  # fmt: skip


def inbox_of(app: App) -> Inbox:
    """The folder whose files are imported. Raises `InputError` when none is set."""
    from crawler.folder import Inbox

    told = app.settings.collect
    if not told.inbox:
        raise InputError("没有设置文件夹", '在 huiyin.toml 写 collect.inbox = "收件"')
    stations = stations_of(app)
    return Inbox(
        app.settings.path(Path(told.inbox)), app.archive, app.identity, lambda: app.accounts,
        app.settings.office.id, app.clock, told.inbox_keep_days,
        stations.take if stations else None,
    )  # fmt: skip


def form_of(app: App) -> Form:
    """The public form over the archive."""
    from crawler.public_form import Form
    from huiyin.contacts import Sealer

    sealer = Sealer.of(app.settings.path(app.settings.secrets.folder))
    return Form(app.archive, app.identity, lambda: app.accounts, app.settings.office.id, app.clock,
                sealer)  # fmt: skip


def callback_of(app: App) -> Callback | None:
    """Takes private messages; None unless they are wanted. Raises `InputError` without a secret."""
    from crawler.callback import Callback

    if not app.settings.form.messages:
        return None
    secret = app.settings.weibo.app_secret.get_secret_value()
    if not secret:
        raise InputError("接收私信要有应用密钥", "在 huiyin.toml 写 weibo.app_secret")
    return Callback(app.archive, app.identity, lambda: app.accounts, app.settings.office.id, secret,
                    app.clock)  # fmt: skip


def read_sources(file: Path) -> list[Source]:
    """Sources of a station from its TOML: `[[source]]` name, spider, account, parameters.

    Raises `FileFormatError` that names the place.
    """
    from crawler.doors import check_parameters

    try:
        rows = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("source", [])
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"读不出来：{unreadable(error)}", "检查文件", file=str(file)
        ) from error
    found = []
    for place, row in enumerate(rows, 1):
        try:
            parameters = {key: str(value) for key, value in row.get("parameters", {}).items()}
            check_parameters(str(row.get("spider")), parameters)
            account = str(row["account"])
            found.append(
                Source(
                    id=f"source:{row['name']}", spider=row["spider"], parameters=parameters,
                    account=account, offices=tuple(row.get("offices", (account,))),
                    every_seconds=float(row.get("every_seconds", 900)),
                )
            )  # fmt: skip
        except InputError as error:
            what = f"第 {place} 个来源：{error.message}"
            raise FileFormatError(what, error.mend, file=str(file)) from error
        except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
            raise FileFormatError(
                f"第 {place} 个来源写得不对", "要有 name、spider、account 和 [source.parameters]",
                file=str(file),
            ) from error  # fmt: skip
    if not found:
        raise FileFormatError("没有来源", "写上 [[source]]，见 docs/collecting-two-networks.md",
                              file=str(file))  # fmt: skip
    return found


def run_station(
    settings: Settings, *, folder: Path, station: str, sources: Path, accounts: AccountBook,
    identity: Identity, clock: Any, stop: Event, every: float, once: bool,
) -> None:  # fmt: skip
    """Read sources without an archive and write bundles until `stop`, or once."""
    from threading import Thread

    from crawler.doors import DoorJob, run_doors
    from crawler.outbox import Outbox, station_key

    told = settings.collect
    key = station_key(settings.path(settings.secrets.folder))
    outbox = Outbox(
        folder, station, key, author_mark=fingerprint(identity.secret),
        sources=read_sources(sources), clock=clock,
    )  # fmt: skip
    job = DoorJob(outbox, identity, accounts, clock, stop, settings.path(told.layouts), once=once,
                  watch_lists=settings.path(told.watch_lists), secrets=told.secrets)  # fmt: skip
    ended = Event()

    def close_now_and_then() -> None:
        while not ended.wait(every):
            outbox.close_bundle()

    thread = Thread(target=close_now_and_then, daemon=True)
    thread.start()
    try:
        run_doors(job, told.allow_hosts, told.contact)
    finally:
        ended.set()
        thread.join()
        outbox.close_bundle()
