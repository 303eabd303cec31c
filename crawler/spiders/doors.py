"""What the spiders of feeds and pages share: the polling loop, one polite fetch, one writer.

A visit is a coroutine that reads one source from top to bottom. It fetches through Scrapy's
downloader, so robots.txt, delays, retries, redirects and the guard hold for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, TypeVar, cast

import scrapy
import structlog
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response, TextResponse
from twisted.internet.error import DNSLookupError
from twisted.internet.error import TimeoutError as NoAnswer

from crawler.build import Builder
from crawler.doors import DoorJob
from crawler.guard import GuardedResolver, RefusedAddress
from crawler.importers.base import reason_of
from crawler.page_text import decode
from crawler.visits import Visit, after_visit, memory_of
from huiyin.errors import (
    ArchiveAway,
    ArchiveError,
    CollectError,
    HuiyinError,
    InputError,
    QuotaExceeded,
    SourceBlocked,
    SourceRefused,
)
from huiyin.records import Post, Source

log = structlog.get_logger("crawler")
T = TypeVar("T")
_TICK = 0.1
_LOOK_EVERY = 5.0
"""Seconds between two looks at which sources there are."""
_AT_ONCE = 8
"""Sources read at the same time."""
_LONGEST_WAIT = timedelta(days=1)
_LATER = datetime.max.replace(tzinfo=UTC)
_SOON = datetime.min.replace(tzinfo=UTC)
_BAD_ROW = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


class DoorSpider(scrapy.Spider):
    """Reads each source of its kind when it is due, until the job ends."""

    kind: ClassVar[str]
    """`Source.spider` of the sources it reads."""

    def __init__(self, job: DoorJob, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self._due: dict[str, datetime] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{self.kind}-writer")

    # ------------------------------------------------------------ the loop

    async def start(self) -> AsyncIterator[Any]:
        """Run until told to stop; in a single round, until each source was read once."""
        try:
            await self._loop()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._writer.shutdown()
        return
        yield  # requests are sent by the visits themselves

    async def _loop(self) -> None:
        clock = asyncio.get_running_loop().time
        looked = float("-inf")
        known: dict[str, Source] = {}
        while not self.job.stopping():
            if clock() - looked >= _LOOK_EVERY:
                looked, known = clock(), await self._mine(known)
            now = self.job.clock()
            for source in known.values():
                if len(self._tasks) >= _AT_ONCE:
                    break
                if source.id not in self._tasks and self._due.get(source.id, _SOON) <= now:
                    self._due[source.id] = _LATER
                    self._tasks[source.id] = asyncio.create_task(self._read(source))
            if self.job.once and all(self._due.get(one) == _LATER for one in known):
                await asyncio.gather(*self._tasks.values())
                return
            await asyncio.sleep(_TICK)

    async def _mine(self, before: dict[str, Source]) -> dict[str, Source]:
        try:
            found = await self.in_thread(self.job.store.sources)
        except HuiyinError as error:
            log.warning("sources not read", error=str(error))
            return before
        return {one.id: one for one in found if one.spider == self.kind and self.job.wants(one)}

    async def _read(self, source: Source) -> None:
        try:
            visit = Visit(
                source, self.job.clock(), memory_of(source), answer_seconds=source.answer_seconds
            )
            try:
                await self.visit(visit)
            except CollectError as error:
                visit.error = error
            except InputError as error:  # its parameters or its layout
                visit.error = SourceRefused(error.message, error.mend)
            except ArchiveError as error:
                visit.error = CollectError(f"读到的内容没能入库：{error.message}", error.mend)
            except _BAD_ROW as error:
                # no traceback: it would show the page's words
                log.error("page not understood", source=source.id, error=_place_of(error))
                visit.error = CollectError(f"读不懂这一页（{type(error).__name__}）", "请报告")
            await self._finish(visit)
        finally:
            self._tasks.pop(source.id, None)

    async def _finish(self, visit: Visit) -> None:
        source, now = visit.source, self.job.clock()
        due = next_reading(source, visit.error, now)
        try:
            await self.in_thread(
                lambda: self.job.store.change(source.id, lambda one: after_visit(one, visit, now))
            )
        except ArchiveAway as error:
            log.warning("source not updated", source=source.id, error=str(error))
        except HuiyinError as error:
            log.error("source not updated", source=source.id, error=str(error))
        self._due[source.id] = _LATER if self.job.once else due
        if visit.error is not None:
            log.warning("source failed", source=source.id, reason=str(visit.error))
        elif visit.fresh or visit.bad or visit.unread:
            log.info("source read", source=source.id, read=visit.read, new=visit.fresh,
                     not_understood=visit.bad, cut_off=visit.unread is not None)  # fmt: skip

    async def visit(self, visit: Visit) -> None:
        """Read the source once; raise `CollectError` when it could not be read."""
        raise NotImplementedError

    # ------------------------------------------------------------ what visits use

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what waits for the disk in this spider's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def builder(self, visit: Visit) -> Builder:
        """Makes this source's posts; everything it makes is masked."""
        now = self.job.clock()
        return Builder(
            identity=self.job.identity, accounts=self.job.accounts, office=visit.source.account,
            spider=self.kind, at=now, now=now, as_of=now, always=True,
        )  # fmt: skip

    def posts(self, visit: Visit, make: Callable[[], Sequence[Post]]) -> list[Post]:
        """The posts of one item; one that cannot be understood is counted and stops no other."""
        try:
            made = list(make())
        except _BAD_ROW as error:
            visit.bad += 1
            log.warning("item not understood", source=visit.source.id, reason=reason_of(error))
            return []
        query = visit.source.id.removeprefix("source:")
        return [
            one.model_copy(update={"source": one.source.model_copy(update={"query": query})})
            for one in made
        ]

    async def put(self, visit: Visit, posts: Sequence[Post]) -> int:
        """Store posts; how many were new. Raises `ArchiveError`."""
        unique = list({one.id: one for one in posts}.values())
        if not unique:
            return 0
        done = await self.in_thread(lambda: self.job.store.put(unique))
        for one in unique:
            visit.saw(one.created_at)
        visit.fresh += done.new
        self.job.progress(visit.source.id, done)
        return done.new

    async def fetch(
        self, url: str, *, visit: Visit | None = None, headers: dict[str, str] | None = None,
        largest: int | None = None,
    ) -> Response:  # fmt: skip
        """Fetch a page, politely. Raises `CollectError` for every other answer than 200 and 304."""
        meta: dict[str, Any] = {"handle_httpstatus_list": [304]}
        if largest:
            meta["download_maxsize"] = largest
        request = scrapy.Request(url, headers=headers, dont_filter=True, meta=meta)
        engine: Any = self.crawler.engine
        try:
            response = await engine.download_async(request)
        except RefusedAddress as error:
            raise SourceRefused(*_split(str(error))) from error
        except IgnoreRequest as error:
            raise _ignored(error) from error
        except Exception as error:
            raise self._no_answer(error) from error
        if visit is not None:  # without the time that politeness waited
            visit.answered(float(request.meta.get("download_latency", 0.0)))
        status = response.status
        if status not in (200, 304):
            said = response.headers.get("Retry-After") or b""
            raise _refusal(status, retry_after(said.decode("latin-1"), self.job.clock()))
        return cast("Response", response)

    def _no_answer(self, error: Exception) -> CollectError:
        resolver = self._resolver()
        refused = resolver.why(str(error)) if resolver else None
        if refused is not None:
            return refused
        if isinstance(error, DNSLookupError):
            return CollectError("找不到这个域名", "检查网址和域名解析；会自动再读")
        name = type(error).__name__
        if name == "DownloadTimeoutError" or isinstance(error, NoAnswer):
            return CollectError("网站太慢，等不到完整的回答", "会自动再读")
        if name in ("DownloadCancelledError", "CancelledError"):
            return CollectError("回答太大，没有读完", "换一个内容少的网址")
        if name == "ResponseDataLossError" or "DataLoss" in str(error):
            return CollectError("回答中途断了", "会自动再读")
        if "certificate" in str(error).lower():
            return CollectError("网站的证书不对，没有读", "请网站的管理者换证书")
        return CollectError(f"连不上网站（{name}）", "检查网络；会自动再读")

    @staticmethod
    def _resolver() -> GuardedResolver | None:
        from twisted.internet import reactor as installed

        resolver = cast("Any", installed).nameResolver
        return resolver if isinstance(resolver, GuardedResolver) else None


def _place_of(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__} in {where}"


def text_of(response: Response) -> str:
    """The decoded text of a page."""
    said = response.headers.get("Content-Type", b"") or b""
    if not isinstance(response, TextResponse) and not response.body:
        return ""
    return decode(response.body, said.decode("latin-1"))


def _split(said: str) -> tuple[str, str]:
    what, _, mend = said.partition("（")
    return what, mend.removesuffix("）")


def _ignored(error: IgnoreRequest) -> CollectError:
    if "robots.txt" in str(error):
        return SourceRefused("网站的 robots.txt 不允许读这个网址", "请网站的管理者放行，或用导入")
    if "DOWNLOAD_MAXSIZE" in str(error):  # of what was unpacked
        return CollectError("回答解开后太大，没有读完", "换一个内容少的网址")
    return CollectError("没有读成", "会自动再读")


def next_reading(source: Source, error: CollectError | None, now: datetime) -> datetime:
    """When a source is due again after a visit."""
    pause = timedelta(seconds=source.every_seconds)
    until = error.until if error else None
    if isinstance(error, SourceRefused | SourceBlocked) or (
        isinstance(error, QuotaExceeded) and until is None
    ):
        pause *= 10  # a person has to act, or the site wants peace
    return max(now + pause, until or now)


def retry_after(said: str, now: datetime) -> datetime | None:
    """When a site wants to be asked again: seconds or a date of HTTP; at most a day from now."""
    said = said.strip()
    try:
        if said.isascii() and said.isdigit():
            until = now + min(timedelta(seconds=int(said[:9])), _LONGEST_WAIT)
        else:
            until = parsedate_to_datetime(said)
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(until, now + _LONGEST_WAIT) if until > now else None


def _refusal(status: int, until: datetime | None) -> CollectError:
    if status == 429:
        return QuotaExceeded("网站说访问过于频繁（HTTP 429）", "过些时候会自动再读", until=until)
    if status in (412, 414, 418, 432):
        return SourceBlocked(f"网站把我们当成机器人挡住了（HTTP {status}）", "请网站的管理者放行")
    if status in (401, 403, 451):
        return SourceRefused(f"网站拒绝访问（HTTP {status}）", "请网站的管理者放行，或用导入")
    if status in (404, 410):
        return SourceRefused(f"网址不存在了（HTTP {status}）", "换成新的网址")
    if 300 <= status < 400:
        return SourceRefused("网址转来转去，没有尽头", "换成最后的网址")
    return CollectError(f"网站暂时出错（HTTP {status}）", "会自动再读", until=until)
