"""Leaders' message boards and 12345 portals: questions, and the answers that come days later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from crawler.attachments import LARGEST, attachment_text
from crawler.boards import (
    Detail,
    Entry,
    Layout,
    ListPage,
    find_date,
    load_layout,
    read_detail,
    read_list,
)
from crawler.build import Builder
from crawler.page_text import public_url
from crawler.spiders.doors import DoorSpider, text_of
from crawler.visits import Visit
from crawler.wrong_pages import wrong_page
from huiyin.errors import (
    CollectError,
    LayoutChanged,
    LoginExpired,
    QuotaExceeded,
    SourceBlocked,
)
from huiyin.records import AuthorKind, Gap, Kind, Post

_AGAIN_A_VISIT = 20
_OPEN_KEPT = 500
_MOST_ATTACHMENTS = 5
_MOST_MISREAD = 3
"""Pages one after another without a word understood: then it is the layout."""
_MOST_TRIES = 5
_ATTACHED_TEXT = 20_000
_RECHECK = timedelta(hours=6)
_LABEL = re.compile(r"^[\s【\[]*[^：:\s]{2,8}[\s】\]]*[:：]\s*")
"""答复单位： before the name."""


class MessageBoardSpider(DoorSpider):
    """Reads a list down to what is known, then the pages of what is new or still unanswered."""

    name = kind = "message_board"

    async def visit(self, visit: Visit) -> None:
        layout = load_layout(visit.source.parameters["layout"], self.job.layouts)
        entries, cut = await self._new_entries(visit, layout)
        visit.overlaps = visit.overlaps and not cut
        missing_before = dict(visit.memory.get("missing") or {})
        await self._inline(visit, layout, [one for one in entries if not one.url])
        # Oldest first: should it break off, what is stored has no hole in it.
        for entry in reversed([one for one in entries if one.url]):
            await self._one(visit, layout, entry)
        await self._look_again(visit, layout, missing_before)
        last = visit.source.last_ok_at
        fresh = len((visit.memory.get("missing") or {}).keys() - missing_before.keys())
        if fresh:
            visit.unread = Gap(
                starts_at=last or visit.started, ends_at=max(visit.started, last or visit.started),
                reason=f"{fresh} 个页面没有读到，会再读几次", missed=fresh,
            )  # fmt: skip
        if cut and last and visit.oldest:
            visit.unread = Gap(
                starts_at=min(last, visit.oldest), ends_at=visit.oldest, state="cut_off",
                reason=f"新内容超过 {layout.list.most_pages} 页，再往前的没有读到",
            )  # fmt: skip

    # ------------------------------------------------------------ the list

    async def _new_entries(self, visit: Visit, layout: Layout) -> tuple[list[Entry], bool]:
        """Entries that are not stored, and whether the page limit came before the known ones."""
        found: dict[str, Entry] = {}
        url, number = layout.list.url, 1
        seen_pages: set[str] = set()
        while url:
            page = await self._list_page(visit, url, layout, number)
            ids = {native_of(one, layout, self.job): one for one in page.entries}
            known = await self._known(layout, ids)
            known |= set(visit.memory.get("missing") or {})
            fresh = {key: one for key, one in ids.items() if key not in known and key not in found}
            found.update(fresh)
            digest = "\n".join(ids)
            if ids:
                visit.overlaps = not known.isdisjoint(ids)
            if not fresh and (known or digest in seen_pages):
                return list(found.values()), False  # pinned ones alone would leave some unknown
            seen_pages.add(digest)
            if number >= layout.list.most_pages:
                return list(found.values()), bool(page.following) and visit.source.cursor != ""
            url, number = page.following, number + 1
        return list(found.values()), False

    async def _list_page(self, visit: Visit, url: str, layout: Layout, number: int) -> ListPage:
        text = text_of(await self.fetch(url, visit=visit))
        try:
            return read_list(text, url, layout, number)
        except LayoutChanged:
            if number > 1:  # beyond the last page many sites show a page without entries
                visit.overlaps = visit.overlaps and wrong_page(text) is None
                return ListPage((), "")
            raise wrong_page(text) or LayoutChanged(
                "列表页里找不到条目，页面可能改版了",
                "重新运行 huiyin source learn，更新页面说明文件",
            ) from None

    async def _known(self, layout: Layout, natives: dict[str, Entry]) -> set[str]:
        ids = [f"{layout.platform}:{one}" for one in natives]
        stored = await self.in_thread(lambda: self.job.store.known(ids))
        return {one.partition(":")[2] for one in stored}

    # ------------------------------------------------------------ entries

    async def _inline(self, visit: Visit, layout: Layout, entries: Sequence[Entry]) -> int:
        build = self.builder(visit)
        made: list[Post] = []
        for entry in entries:
            detail = read_detail(entry.node, layout.list.url, layout)
            made += self.posts(visit, lambda e=entry, d=detail: self._make(e, d, layout, build))  # type: ignore[misc]
        await self.put(visit, made)
        return len(made)

    async def _one(self, visit: Visit, layout: Layout, entry: Entry) -> None:
        """Read one entry's page, or note that it is missing. Raises when all of them are."""
        native = native_of(entry, layout, self.job)
        try:
            detail = await self._detail(entry, layout)
        except LayoutChanged:
            in_a_row = visit.memory["misread"] = int(visit.memory.get("misread") or 0) + 1
            if in_a_row >= _MOST_MISREAD:
                raise
            self._miss(visit, native, entry)
            return
        except (LoginExpired, QuotaExceeded, SourceBlocked):
            raise
        except CollectError:  # this page alone, or the whole site?
            in_a_row = visit.memory["failed"] = int(visit.memory.get("failed") or 0) + 1
            if in_a_row >= _MOST_MISREAD:
                raise
            self._miss(visit, native, entry)
            return
        visit.memory["misread"] = visit.memory["failed"] = 0
        (visit.memory.get("missing") or {}).pop(native, None)
        detail = await self._with_attachments(detail)
        build = self.builder(visit)
        made = self.posts(visit, lambda: self._make(entry, detail, layout, build))
        await self.put(visit, made)
        self._remember(visit, layout, entry, detail, made)

    async def _detail(self, entry: Entry, layout: Layout) -> Detail:
        away = urlsplit(entry.url).hostname != urlsplit(layout.list.url).hostname
        if away and entry.title:  # an article on another site: its title is all that is ours
            return Detail("", entry.title, "", "", "", "", "")
        text = text_of(await self.fetch(entry.url))
        detail = read_detail(Selector(text), entry.url, layout)
        if not detail.text:
            raise wrong_page(text) or LayoutChanged(
                "详情页里找不到正文，页面可能改版了",
                "重新运行 huiyin source learn，更新页面说明文件",
            )
        return detail

    @staticmethod
    def _miss(visit: Visit, native: str, entry: Entry) -> None:
        visit.bad += 1
        missing = visit.memory.setdefault("missing", {})
        tries = int((missing.pop(native, None) or ["", 0])[1])
        missing[native] = [public_url(entry.url), tries + 1]
        while len(missing) > _OPEN_KEPT:
            del missing[next(iter(missing))]

    async def _with_attachments(self, detail: Detail) -> Detail:
        parts = [detail.text]
        for url, name in detail.attachments[:_MOST_ATTACHMENTS]:
            try:
                body = (await self.fetch(url, largest=LARGEST)).body
                read = await self.in_thread(lambda data=body: attachment_text(data))  # type: ignore[misc]
                parts.append(f"【附件：{name}】\n{read[:_ATTACHED_TEXT]}")
            except CollectError as error:
                parts.append(f"【附件：{name}，内容未读：{error.message}】")
        return replace(detail, text="\n".join(parts)) if len(parts) > 1 else detail

    def _make(self, entry: Entry, detail: Detail, layout: Layout, build: Builder) -> list[Post]:
        return board_posts(entry, detail, layout, build, native_of(entry, layout, self.job))

    # ------------------------------------------------------------ answers that come later

    def _remember(
        self, visit: Visit, layout: Layout, entry: Entry, detail: Detail, made: list[Post]
    ) -> None:
        """Keep the address of a question without an answer, to look at it again."""
        if layout.kind != "message" or not layout.detail.answer or not made:
            return
        waiting = dict(visit.memory.get("open") or {})
        native = native_of(entry, layout, self.job)
        waiting.pop(native, None)
        url = public_url(entry.url)
        since = made[0].created_at
        young = self.job.clock() - since < timedelta(days=layout.answer_days)
        if not detail.answer and young and url:
            waiting[native] = [url, since.isoformat(), self.job.clock().isoformat()]
        visit.memory["open"] = dict(list(waiting.items())[-_OPEN_KEPT:])

    async def _look_again(
        self, visit: Visit, layout: Layout, missing: Mapping[str, Sequence[Any]]
    ) -> None:
        now = self.job.clock()
        waiting: dict[str, Any] = visit.memory.get("open") or {}
        due = sorted(
            (one for one in waiting.values() if now - datetime.fromisoformat(one[2]) >= _RECHECK),
            key=lambda one: str(one[2]),
        )  # fmt: skip
        lost = [url for url, tries in missing.values()
                if url and tries <= _MOST_TRIES]  # fmt: skip
        for url in [*lost[:_AGAIN_A_VISIT], *(one[0] for one in due[:_AGAIN_A_VISIT])]:
            await self._one(visit, layout, Entry(url, "", "", Selector("<a></a>")))


def native_of(entry: Entry, layout: Layout, job: Any) -> str:
    """The entry's number: from its address, or a keyed hash of the address or its words."""
    if layout.id and (found := re.search(layout.id, entry.url)) and found[1]:
        return re.sub(r"[^\w.-]", "-", found[1])[:60]
    if entry.url:
        whole = public_url(entry.url) or entry.url
    else:
        said = str(entry.node.get())
        whole = f"{layout.list.url}\n{hashlib.sha256(said.encode()).hexdigest()}"
    return "b" + str(job.identity.author_key("board", whole))[1:]


def board_posts(
    entry: Entry, detail: Detail, layout: Layout, build: Builder, native: str
) -> list[Post]:
    """A notice, or a question with its answer. Raises `ValueError` when there is no text."""
    if not detail.text:
        raise ValueError("没有正文")
    notice = layout.kind == "notice"
    now = build.now
    asked = find_date(detail.date, layout, now) or find_date(entry.date, layout, now)
    unit = _LABEL.sub("", detail.answer_unit) or layout.unit
    platform, url = layout.platform, public_url(entry.url or layout.list.url) or None
    posts = [
        build.post(
            platform=platform, native=native, text=detail.text,
            title=detail.title or entry.title or None, url=url,
            created_at=build.time(asked or now),
            kind=Kind.NOTICE if notice else Kind.MESSAGE,
            name=(unit or layout.name) if notice else detail.author or None,
            author=AuthorKind.GOVERNMENT if notice else AuthorKind.ORDINARY,
            pictures=detail.pictures,
        )
    ]  # fmt: skip
    if not notice and detail.answer:
        answered = find_date(detail.answer_date, layout, now) or now
        posts.append(
            build.post(
                platform=platform, native=f"{native}-answer", text=detail.answer,
                title=posts[0].title, url=url,
                created_at=build.time(max(answered, posts[0].created_at)), kind=Kind.NOTICE,
                name=unit or layout.name, author=AuthorKind.GOVERNMENT,
                parent=posts[0].id, root=posts[0].id,
            )
        )  # fmt: skip
    return posts
