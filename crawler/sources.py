"""Sources in the archive: which there are, how far each has come, and what it did not cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.health import SLOW_SECONDS, add_hour, is_silent, state_of
from crawler.rounds import Reading, joined
from crawler.values import weibo_id_time
from crawler.weibo_api import ENDPOINTS
from huiyin.errors import CollectError, Conflict
from huiyin.records import Gap, Scope, Source
from huiyin.settings import WeiboSettings

SPIDER = "weibo_official"
SEARCH = "weibo_search"
PUSH = "weibo_push"
EVERYTHING = Scope.everything()
_GAPS_KEPT = 200
_FIELDS_KEPT = 100
_QUIET = timedelta(seconds=30)
"""An unchanged source is written this often at most: each write waits for the disk."""
TEMPORARY, AFTER_TEMPORARY = "source:incident:", "source:incident;"
"""Ids of the temporary sources begin so; all of them lie before the second."""
CUT_OFF = "cut_off"
BEHIND = "behind"
SILENT = "silent"


@dataclass(frozen=True)
class SpiderKind:
    """A kind of source: the spider that reads it and what it must be told."""

    name: str
    title: str
    """In Chinese."""
    where: str
    """module:class, imported when a crawl starts."""
    needs: tuple[str, ...] = ()
    """Parameters that must be given."""
    knows: tuple[str, ...] = ()
    """Parameters that may be given."""
    every_seconds: float = 900.0
    one_of: tuple[str, ...] = ()
    """Exactly one of these must be given."""
    token: bool = False
    """True: works with the access token of `parameters["uid"]`."""


SPIDERS = {
    one.name: one
    for one in (
        SpiderKind(
            SPIDER, "微博官方接口", "crawler.spiders.weibo_official:WeiboOfficial",
            needs=("endpoint", "uid"), knows=("host", "of", "q", "weight"), token=True,
        ),
        SpiderKind(
            SEARCH, "微博商业搜索", "crawler.spiders.weibo_search:WeiboSearch", needs=("uid",),
            knows=("q", "watch", "province", "provinces", "exclude", "since_days"),
            one_of=("q", "watch"), token=True,
        ),
        SpiderKind(
            PUSH, "微博商业推送", "crawler.spiders.weibo_push:WeiboPush", needs=("subid",),
            knows=("watch",), every_seconds=1.0,
        ),
    )
}  # fmt: skip


def ensure_sources(
    archive: Archive, accounts: AccountBook, weibo: WeiboSettings, uids: Iterable[str] | None = None
) -> list[Source]:
    """A `Source` for each list of each account that has a token; known ones keep their cursor.

    `uids`: the accounts that have one (default: those of the settings).
    """
    sources = []
    for uid in weibo.tokens if uids is None else uids:
        account = accounts.find("weibo", uid, None)
        account_id = account.id if account else f"weibo:{uid}"
        offices = account.offices if account and account.offices else (account_id,)
        for name, endpoint in ENDPOINTS.items():
            if not endpoint.usual:
                continue
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


def known_sources(archive: Archive, spiders: Iterable[str] | None = tuple(SPIDERS)) -> list[Source]:
    """All sources that one of these spiders reads (None = any), in id order.

    Without the temporary ones that ended: there is one for each incident of years.
    """
    found: dict[str, Source] = {}
    after = ""
    while page := archive.records(Source, EVERYTHING, limit=500, after=after):
        found |= {one.record.id: one.record for one in page}
        after = page[-1].record.id
        if after.startswith(TEMPORARY):
            after = AFTER_TEMPORARY
    if any(one.startswith(TEMPORARY) for one in found):
        open_ones = archive.records(Source, EVERYTHING, state="temporary", limit=500)
        found |= {one.record.id: one.record for one in open_ones}
    return [
        one for _, one in sorted(found.items())
        if one.ended_at is None and (spiders is None or one.spider in spiders)
    ]  # fmt: skip


# ---------------------------------------------------------------- after a reading


def after_reading(
    source: Source, now: datetime, one: Reading, unknown: Mapping[str, int] | None = None
) -> Source:
    """The source after a reading ended: state, cursor, gaps. `source` as the archive has it now.

    `unknown`: fields of answers that no table names.
    """
    if one.idle and any(gap.ends_at is None for gap in source.gaps):
        return source  # nothing was asked, so what is wrong may still be so
    cursor, ahead = joined(int(source.cursor or 0), (*source.ahead, *one.done))
    moved = source.model_copy(
        update={"cursor": str(cursor or ""), "ahead": ahead, "answer_seconds": one.answer_seconds}
    )
    if unknown and dict(source.unknown_fields).keys() != unknown.keys():
        fields = tuple(sorted(unknown.items()))[:_FIELDS_KEPT]
        moved = moved.model_copy(update={"unknown_fields": fields})
    if one.error is not None:
        moved = moved.model_copy(update={"gaps": kept((*moved.gaps, *one.gaps))})
        return after_failure(moved, now, one.error)
    return after_success(
        moved, now, oldest=one.oldest_time(), truncated=one.truncated, missed=one.missed,
        backlog=one.backlog, fresh=one.fresh, before=one.source, more=tuple(one.gaps),
        stored=source,
    )  # fmt: skip


def after_success(
    source: Source, now: datetime, *, oldest: datetime, truncated: bool = False,
    missed: int | None = None, backlog: bool = False, fresh: int = 0, before: Source | None = None,
    more: tuple[Gap, ...] = (), stored: Source | None = None,
) -> Source:  # fmt: skip
    """The source after a round that stored everything it read. Open gaps end now; `more` stay.

    `stored`: the record as it was, given back when there is nothing to write.

    `truncated`: between the cursor of `before` and `oldest` about `missed` were not shown; that
    stays visible. `backlog`: there is more to read, so no gap counts as caught up yet.
    """
    before = before or source
    hours = source.hours
    if before.cursor and not before.ahead and not backlog:  # not a first or a late reading
        hours = add_hour(hours, now, fresh)
    silent = not backlog and is_silent(hours, now)
    gaps = tuple(
        gap if silent and gap.state == SILENT and gap.ends_at is None
        else _ended(gap, now, backlog)
        for gap in source.gaps
    )  # fmt: skip
    cut_off = (_missed(before, oldest, missed),) if truncated else ()
    gaps = (*gaps, *more, *cut_off)
    gaps = _with_backlog(gaps, before, oldest) if backlog else gaps
    state, reason = _standing(source, silent)
    if silent and not any(gap.ends_at is None for gap in gaps):
        gaps = (*gaps, Gap(starts_at=before.last_ok_at or now, reason=reason, state=state))
    changed = source.model_copy(
        update={
            "state": state, "reason": reason, "gaps": kept(gaps), "last_ok_at": now,
            "tried_at": now, "hours": hours, "covered_since": _since(source, oldest),
            "state_since": source.state_since if state == source.state else now,
        }
    )  # fmt: skip
    known = stored or source
    quiet = known.last_ok_at is not None and now - known.last_ok_at < _QUIET and not fresh
    return known if quiet and told_by(changed) == told_by(known) else changed


def _standing(source: Source, silent: bool) -> tuple[str, str]:
    """State and reason of a source whose reading went well."""
    if silent:
        return SILENT, "比平时这个时候少得多"
    if (source.answer_seconds or 0.0) > SLOW_SECONDS:
        return "slow", f"平台每次回答约要 {source.answer_seconds:.0f} 秒"
    return "ok", ""


def _missed(before: Source, oldest: datetime, missed: int | None) -> Gap:
    """What the platform did not show between what was stored and what was read."""
    reason = "新内容太多，超过平台一次能给出的页数，中间这一段没有读到"
    if missed:
        reason += f"，约 {missed} 条"
    start = min(_time_of(before) or before.last_ok_at or oldest, oldest)
    return Gap(starts_at=start, ends_at=oldest, reason=reason, state=CUT_OFF, missed=missed)


def _with_backlog(gaps: tuple[Gap, ...], before: Source, oldest: datetime) -> tuple[Gap, ...]:
    """The gaps, with one for what is still to be read unless one is open for it."""
    edge = _time_of(before)
    if edge is None or any(_is_pending(gap) for gap in gaps):
        return gaps
    return (*gaps, Gap(starts_at=edge, ends_at=max(edge, oldest), reason="还在补读", state=BEHIND))


def told_by(source: Source) -> tuple[object, ...]:
    """What a page shows of a source; that it was read once more is no news."""
    return (source.state, source.reason, source.gaps, source.cursor, source.ahead,
            source.covered_since)  # fmt: skip


def _since(source: Source, oldest: datetime) -> datetime:
    if source.covered_since is None or (source.ahead and oldest < source.covered_since):
        return oldest
    return source.covered_since


def _time_of(source: Source) -> datetime | None:
    """Up to when everything is stored, where the numbers tell a time."""
    if source.spider == SEARCH:
        return datetime.fromtimestamp(int(source.cursor), UTC) if source.cursor else None
    if (
        source.spider == PUSH
        or not source.cursor.isdigit()
        or source.parameters.get("endpoint") == "messages"
    ):
        return source.last_ok_at
    return weibo_id_time(source.cursor)


def _is_pending(gap: Gap) -> bool:
    return gap.caught_up_at is None and gap.state != CUT_OFF


def _ended(gap: Gap, now: datetime, backlog: bool) -> Gap:
    if not _is_pending(gap):
        return gap
    caught_up = None if backlog else now
    return gap.model_copy(update={"ends_at": gap.ends_at or now, "caught_up_at": caught_up})


def after_failure(source: Source, now: datetime, error: CollectError) -> Source:
    """The source after a round that failed: its state, the reason, and an open gap."""
    return stopped(source, now, state_of(error), str(error), error.message)


def stopped(source: Source, now: datetime, state: str, reason: str, short: str = "") -> Source:
    """The source while it cannot be read; a gap of that state is open, and only one."""
    if source.ended_at is not None:
        return source  # its last reading failed after it ended: nobody looks any more
    gaps = source.gaps
    starts = source.last_ok_at or now
    if gaps and gaps[-1].ends_at is None and gaps[-1].state != state:
        gaps = (*gaps[:-1], gaps[-1].model_copy(update={"ends_at": now}))
        starts = now
    if not gaps or gaps[-1].ends_at is not None:
        gaps = (*gaps, Gap(starts_at=starts, reason=short or reason, state=state))
    changed: Mapping[str, object] = {
        "state": state, "reason": reason, "gaps": kept(gaps), "tried_at": now,
        "state_since": source.state_since if state == source.state else now,
    }  # fmt: skip
    return source.model_copy(update=changed)


def kept(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """At most 200 gaps: first the oldest that were caught up go, then the two oldest become one.

    No time that was not covered is ever dropped.
    """
    found = list(gaps)
    while len(found) > _GAPS_KEPT:
        done = next((gap for gap in found if gap.caught_up_at is not None), None)
        if done is not None:
            found.remove(done)
            continue
        first, second = found[0], found[1]
        found[:2] = [
            first.model_copy(
                update={
                    "starts_at": min(first.starts_at, second.starts_at),
                    "ends_at": max(first.ends_at or first.starts_at, second.ends_at or
                                   second.starts_at),
                    "missed": (first.missed or 0) + (second.missed or 0) or None,
                }
            )
        ]  # fmt: skip
    return tuple(found)
