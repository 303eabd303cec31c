"""Sources in the archive: which there are, how far each has come, and what it did not cover."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.values import weibo_id_time
from crawler.weibo_api import ENDPOINTS
from huiyin.errors import CollectError, Conflict, LoginExpired, QuotaExceeded, SourceRefused
from huiyin.records import Gap, Scope, Source
from huiyin.settings import WeiboSettings

SPIDER = "weibo_official"
EVERYTHING = Scope.everything()
_GAPS_KEPT = 100
_STATES: Mapping[type[CollectError], str] = {
    LoginExpired: "login_expired", QuotaExceeded: "quota", SourceRefused: "refused",
}  # fmt: skip
_QUIET = timedelta(seconds=30)
"""An unchanged source is written this often at most: each write waits for the disk."""


def ensure_sources(archive: Archive, accounts: AccountBook, weibo: WeiboSettings) -> list[Source]:
    """A `Source` for each list of each account that has a token; known ones keep their cursor."""
    sources = []
    for uid in weibo.tokens:
        account = accounts.find("weibo", uid, None)
        account_id = account.id if account else f"weibo:{uid}"
        offices = account.offices if account and account.offices else (account_id,)
        for name in ENDPOINTS:
            wanted = Source(
                id=f"source:weibo:{uid}:{name}", offices=offices, spider=SPIDER,
                parameters={"endpoint": name, "uid": uid}, account=account_id,
                every_seconds=weibo.every_seconds,
            )  # fmt: skip
            sources.append(_ensure(archive, wanted))
    return sources


def _ensure(archive: Archive, wanted: Source) -> Source:
    def adjust(known: Source) -> Source:
        same = {"offices": wanted.offices, "account": wanted.account,
                "every_seconds": wanted.every_seconds}  # fmt: skip
        return known.model_copy(update=same)

    try:
        return archive.create(wanted).record
    except Conflict:
        return archive.change(Source, wanted.id, EVERYTHING, adjust).record


def known_sources(archive: Archive) -> list[Source]:
    """All sources of this spider, in id order."""
    found: list[Source] = []
    after = ""
    while page := archive.records(Source, EVERYTHING, limit=1000, after=after):
        found += [one.record for one in page]
        after = page[-1].record.id
    return [one for one in found if one.spider == SPIDER]


def after_success(
    source: Source, now: datetime, *, newest: int, oldest: datetime, truncated: bool
) -> Source:
    """The source after a round that stored everything it read. Open gaps end now.

    `truncated`: between the cursor and `oldest` something was not read; that stays visible.
    """
    gaps = tuple(
        gap if gap.ends_at else gap.model_copy(update={"ends_at": now}) for gap in source.gaps
    )
    if truncated:
        since = weibo_id_time(source.cursor) or source.last_ok_at or oldest
        reason = "新内容太多，超过平台一次能给出的页数，中间这一段没有读到"
        gaps = (*gaps, Gap(starts_at=min(since, oldest), ends_at=oldest, reason=reason))
    changed = source.model_copy(
        update={
            "state": "ok", "reason": "", "gaps": gaps[-_GAPS_KEPT:], "last_ok_at": now,
            "cursor": str(max(newest, int(source.cursor or 0)) or ""),
            "covered_since": source.covered_since or oldest,
        }
    )  # fmt: skip
    quiet = source.last_ok_at is not None and now - source.last_ok_at < _QUIET
    same = changed.model_copy(update={"last_ok_at": source.last_ok_at})
    return source if quiet and same == source else changed


def after_failure(source: Source, now: datetime, error: CollectError) -> Source:
    """The source after a round that failed: its state, the reason, and an open gap."""
    state = next((name for kind, name in _STATES.items() if isinstance(error, kind)), "failing")
    gaps = source.gaps
    if not any(gap.ends_at is None for gap in gaps):
        gaps = (*gaps, Gap(starts_at=source.last_ok_at or now, reason=error.message))
    changed = {"state": state, "reason": str(error), "gaps": gaps[-_GAPS_KEPT:]}
    return source.model_copy(update=changed)
