"""RSS, Atom and JSON Feed, RSSHub routes among them: asked for only what changed."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from crawler.build import Builder
from crawler.feeds import Feed, FeedItem, feed_time, read_feed
from crawler.page_text import public_url
from crawler.payloads import post_url
from crawler.spiders.doors import DoorSpider
from crawler.visits import Visit
from crawler.watch_list import WatchList, list_of
from huiyin.errors import CollectError, LayoutChanged
from huiyin.records import AuthorKind, Gap, Kind, Post

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, "
    "application/xml;q=0.9, */*;q=0.5"
)


_KEYS = 300


class FeedSpider(DoorSpider):
    """One request a visit; a feed that did not change costs the site nothing but an answer."""

    name = kind = "feed"

    async def visit(self, visit: Visit) -> None:
        source, memory = visit.source, visit.memory
        url = source.parameters["url"]
        headers = {"Accept": _ACCEPT}
        watch = list_of(source.parameters, self.job.watch_lists)
        mark = hashlib.sha256(repr(watch).encode()).hexdigest()[:16]
        if memory.get("url") == url and memory.get("list", mark) == mark:
            for name, header in (("etag", "If-None-Match"), ("modified", "If-Modified-Since")):
                if memory.get(name):
                    headers[header] = memory[name]
        else:
            known = memory.get("keys") if memory.get("url") == url else None
            memory.clear()
            if known:
                memory["keys"] = known
        response = await self.fetch(url, visit=visit, headers=headers)
        digest = hashlib.sha256(response.body).hexdigest()[:16]
        if response.status == 304 or digest == memory.get("digest"):
            visit.overlaps = True
            return
        said = (response.headers.get("Content-Type") or b"").decode("latin-1")
        feed = read_feed(response.body, said)
        await self.put(visit, self._posts(visit, feed, watch))
        if not feed.whole:
            raise CollectError("订阅源的回答中途断了，断处之后的没有读到", "会自动再读")
        visit.bad += feed.bad
        if visit.bad and visit.bad == len(feed.items) + feed.bad:
            raise CollectError("订阅源里没有一条读得懂", "把网址报告给开发者")
        if not feed.items and memory.get("keys"):
            raise LayoutChanged(
                "订阅源里一条也没有了", "打开网址看一眼：网站清空了就等它，换了地址就改网址"
            )
        keys = [self.job.identity.author_key("feed", one.key) for one in feed.items[:_KEYS]]
        self._note_gap(visit, keys)
        visit.memory = {
            "url": url, "list": mark, "digest": digest, "keys": keys,
            "etag": _header(response, "ETag"), "modified": _header(response, "Last-Modified"),
        }  # fmt: skip

    def _posts(self, visit: Visit, feed: Feed, watch: WatchList | None) -> list[Post]:
        build = self.builder(visit)
        found: list[Post] = []
        for item in feed.items:
            if watch is not None and not watch.caught_by(f"{item.title}\n{item.text}"):
                continue
            found += self.posts(
                visit,
                lambda item=item: [feed_post(item, feed, visit, build)],  # type: ignore[misc]
            )
        return found

    @staticmethod
    def _note_gap(visit: Visit, keys: list[str]) -> None:
        """A feed shows its newest items only: when all of them are new, others have passed."""
        before, last = visit.memory.get("keys"), visit.source.last_ok_at
        visit.overlaps = bool(set(before or ()) & set(keys))
        moved = before is None and any(
            gap.caught_up_at is None and gap.state != "cut_off" for gap in visit.source.gaps
        )
        if last and not visit.overlaps and (moved or (before and keys)):
            end = max(last, min(visit.oldest or visit.started, visit.started))
            reason = "订阅源换了网址" if moved else "订阅源里全是新的"
            visit.unread = Gap(
                starts_at=last, ends_at=end, state="cut_off",
                reason=f"{reason}，中间可能有条目已被挤出，没有读到",
            )  # fmt: skip


def feed_post(item: FeedItem, feed: Feed, visit: Visit, build: Builder) -> Post:
    """The post of an item. One without a date was made, as far as we know, when we saw it first."""
    told = visit.source.parameters
    notice = told.get("kind") == "notice"
    title, text = item.title, item.text
    if not title and not text:
        raise ValueError("没有正文")
    short = title.rstrip(".… ")
    if short and text.replace("\n", " ").startswith(short[:60]):
        title = ""  # RSSHub and others repeat the first words as a title
    platform = "weibo" if item.weibo else told.get("platform", "web")
    key = f"{told['url']}\n{item.key}" if not item.link and "://" not in item.key else item.key
    native = item.weibo or "f" + build.identity.author_key("feed", key)[1:]
    return build.post(
        platform=platform, native=native, text=text or title, title=title if text else None,
        url=post_url(item.weibo) if item.weibo else public_url(item.link) or None,
        created_at=_time(item, build, build.now),
        kind=Kind.NOTICE if notice else Kind.POST,
        name=(told.get("unit") or feed.title) if notice else item.author or None,
        author=AuthorKind.GOVERNMENT if notice else AuthorKind.ORDINARY,
        pictures=item.pictures, videos=item.videos,
    )  # fmt: skip


def _time(item: FeedItem, build: Builder, now: datetime) -> datetime:
    if not item.time:
        return build.time(now, item.weibo or None)
    try:
        return build.time(feed_time(item.time, now), item.weibo or None)
    except ValueError:  # unreadable, or in the future: what counts is that it is there
        return build.time(now, item.weibo or None)


def _header(response: Any, name: str) -> str:
    value = response.headers.get(name) or b""
    return str(value.decode("latin-1"))[:500]
