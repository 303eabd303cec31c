"""Where the concrete classes meet: builds every part from the settings, on demand.

Only the command line and the console import this. Heavy parts (the model, Scrapy) are loaded when
they are first asked for, so that light commands stay quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from archive import open_archive
from archive.base import Archive, Waiting
from archive.keeping.switching import follow
from archive.options import ArchiveOptions, is_servers
from huiyin.clock import Clock, monotonic, system_clock
from huiyin.errors import ArchiveError
from huiyin.people import People
from huiyin.records import Account, Person, Role, Scope, Setting
from huiyin.secret import author_secret, fingerprint
from huiyin.settings import Settings, load_settings

if TYPE_CHECKING:
    from alerts import Alerter
    from crawler import AccountBook, Identity
    from huiyin.contacts import Contacts
    from huiyin.following import Following
    from nlp import AnalysisStage
    from nlp.base import Understanding
    from nlp.categories import Corrections, Versions
    from nlp.incidents import Detector, IncidentDesk
    from responder import CaseOpener, Desk

ALL = Scope.everything()
KEY_SETTING = "author-key-fingerprint"


class App:
    """All parts over one archive. Parts are made on first use and kept."""

    def __init__(
        self, settings: Settings, archive: Archive, clock: Clock, archive_url: str = ""
    ) -> None:
        self.settings = settings
        self.archive = archive
        self.clock = clock
        self.archive_url = archive_url or settings.archive_url
        """Of the archive in use: another one than the settings say after a switch."""
        self._asked_at = float("-inf")
        self._has_moved = False

    @cached_property
    def people(self) -> People:
        """Who may sign in."""
        return People(self.archive, self.clock, session_hours=self.settings.console.session_hours)

    @cached_property
    def identity(self) -> Identity:
        """Makes author keys and masks texts. `SettingsError` before `huiyin init`."""
        from crawler import Identity

        return Identity(author_secret(self.settings.path(self.settings.secrets.folder)))

    @property
    def accounts(self) -> AccountBook:
        """The official accounts as the archive has them now."""
        from crawler import AccountBook

        return AccountBook([one.record for one in self.archive.records(Account, ALL, limit=10_000)])

    @cached_property
    def understanding(self) -> Understanding:
        """The model (loads torch)."""
        return load_model(self.settings)

    @cached_property
    def analysis(self) -> AnalysisStage:
        """The stage that `work` runs."""
        from nlp import AnalysisStage

        return AnalysisStage(
            self.archive, self.understanding, clock=self.clock,
            region=self.settings.office.region or None, batch=self.settings.nlp.batch,
        )  # fmt: skip

    @cached_property
    def detector(self) -> Detector:
        """Groups posts into incidents; run by `watch`."""
        from nlp.incidents import Detector

        return Detector(
            self.archive, jurisdiction="default", settings=self.settings.incident_rules,
            clock=self.clock,
        )  # fmt: skip

    @cached_property
    def contacts(self) -> Contacts:
        """Sealed contact details."""
        from huiyin.contacts import Contacts

        return Contacts(self.archive, self.settings.path(self.settings.secrets.folder))

    @cached_property
    def incident_desk(self) -> IncidentDesk:
        """What people do with incidents."""
        from nlp.incidents import IncidentDesk

        return IncidentDesk(self.archive, settings=self.settings.incident_rules, clock=self.clock)

    @cached_property
    def following(self) -> Following:
        """Searches that follow incidents; run by `watch`."""
        from huiyin.following import Following

        return Following(self.archive, self.settings, self.clock)

    @cached_property
    def alerter(self) -> Alerter:
        """Sends alerts; run by `watch`."""
        from alerts import Alerter, configured_channels

        return Alerter(
            self.archive, configured_channels(self.settings.alerts, self.clock),
            settings=self.settings.alerts, clock=self.clock, link=self.incident_link,
        )  # fmt: skip

    @cached_property
    def desk(self) -> Desk:
        """Cases, drafts, review and publishing."""
        from responder import Desk

        return Desk(
            self.archive, embedder=_Lazy(self), clock=self.clock,
            own_accounts=(self.settings.office.id,),
        )  # fmt: skip

    @cached_property
    def case_opener(self) -> CaseOpener:
        """Opens a case for each appeal; run by `work`."""
        from responder import CaseOpener

        return CaseOpener(self.archive, self.clock)

    @cached_property
    def corrections(self) -> Corrections:
        """Reviewers' corrections of categories."""
        from nlp.categories import Corrections

        return Corrections(self.archive, self.clock)

    @property
    def category_versions(self) -> Versions:
        """The office's own categories as they lie on disk."""
        from nlp.categories import Versions

        return Versions(self.settings.path(self.settings.nlp.categories))

    @property
    def engine(self) -> Archive:
        """The archive itself, without the spool: for the operator's commands."""
        inner: Archive = getattr(self.archive, "inner", self.archive)
        return inner

    def moved(self) -> bool:
        """True when another archive is in use now; asked of this one once a second at most."""
        if not self._has_moved and monotonic() - self._asked_at >= 1.0:
            self._asked_at = monotonic()
            with suppress(ArchiveError):  # away or busy: whoever needs it will say so
                found = self.archive.sealed()
                self._has_moved = found is not None and found.state == "moved"
        return self._has_moved

    @property
    def waiting(self) -> Waiting | None:
        """Writes that wait on this host because the archive's servers are away; None = none."""
        if not self._spooled:
            return None
        from archive.spool import waiting_in

        return waiting_in(self.archive)

    @property
    def _spooled(self) -> bool:
        return "archive.spool" in sys.modules  # a light start does without it

    def retry_waiting(self) -> int:
        """Try writes again that the archive refused; returns how many."""
        if not self._spooled:
            return 0
        from archive.spool import take_back

        return take_back(self.archive)

    @property
    def console_url(self) -> str:
        """Where people open the console."""
        return f"http://{self.settings.console.host}:{self.settings.console.port}"

    def incident_link(self, incident: str) -> str:
        """Address of an incident's page in the console."""
        return f"{self.console_url}/incidents?id={quote(incident, safe='')}"

    def init(self) -> list[str]:
        """Make folders and the author-key secret; returns what was made. Twice changes nothing."""
        folder = self.settings.path(self.settings.secrets.folder)
        from huiyin.contacts import make_keys

        existed = (folder / "author.key").exists()
        mark = fingerprint(author_secret(folder, create=True))
        stored = self.archive.get(Setting, KEY_SETTING, ALL)
        if stored is None:
            self.archive.create(Setting(id=KEY_SETTING, value=mark))
        made = [] if existed else [f"{folder / 'author.key'}（作者密钥，请另存一份到库外）"]
        if make_keys(folder):
            made.append(f"{folder / 'contact.key'}（封存联系方式的密钥，请另存一份到库外）")
        return made

    def with_roles(self, role: Role) -> list[Person]:
        """The active people who have a role."""
        return [one for one in self.people.everyone() if one.active and role in one.roles]


class _Lazy:
    """The model behind the responder's `Embedder`, loaded only when a text is embedded."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def model(self) -> str:
        return self._app.understanding.model

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return self._app.understanding.embed(texts)


def load_model(settings: Settings) -> Understanding:
    """The model that the settings name, or the shipped one. `ModelError` when it is broken."""
    from nlp import load_understanding

    folder = settings.nlp.model
    return load_understanding(
        settings.path(Path(folder)) if folder else None, threads=settings.nlp.threads,
        others=settings.nlp.models, home=settings.home,
        categories=settings.path(settings.nlp.categories),
    )  # fmt: skip


def open_engine(settings: Settings, url: str) -> Archive:
    """Open the very archive of a URL: no spool in front, and not led on to another one."""
    if not is_servers(url):
        file = Path(url.removeprefix("sqlite:///"))
        file.parent.mkdir(parents=True, exist_ok=True)
    return open_archive(url, archive_options(settings))


def archive_options(settings: Settings) -> ArchiveOptions:
    """How to sign in to the archive's servers, and what to make there."""
    said = settings.archive
    return ArchiveOptions(
        api_key=said.api_key.get_secret_value(), user=said.user,
        password=said.password.get_secret_value(),
        ca=None if said.ca is None else settings.path(said.ca), verify=said.verify,
        prefix=said.prefix, posts_index=said.posts_index, replicas=said.replicas,
    )  # fmt: skip


def prepare_archive(
    settings: Settings, say: Callable[[list[str]], None], *, only_say: bool = False
) -> list[str]:
    """Make or upgrade the archive; `say` is told before anything is changed. Twice = once."""
    from archive.setup import apply_changes, pending_changes

    url, options = settings.archive_url, archive_options(settings)
    changes = pending_changes(url, options)
    say(changes)
    if changes and not only_say:
        if not is_servers(url):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        apply_changes(url, options)
    return changes


def open_app(
    settings: Settings | None = None, clock: Clock = system_clock, *, drains: bool = True
) -> App:
    """Open the archive that the settings name (made when it does not exist yet), or the one in use

    since `huiyin archive switch`.

    `drains`: hand on at once what waits in the spool; the console leaves it to the others.
    """
    settings = settings or load_settings()
    url, archive = follow(settings.archive_url, lambda one: open_engine(settings, one))
    folder = settings.path(settings.archive.spool)
    # a file has no need of it, but a server that was left by a switch may have filled it before
    if is_servers(url) or (folder / "waiting.db").exists():
        from archive.spool import spooled

        archive = spooled(
            archive, folder,
            limit_bytes=settings.archive.spool_mb << 20, drains=drains, clock=clock,
        )  # fmt: skip
    return App(settings, archive, clock, url)
