"""One page of a source, asked for by hand: what would be stored, and nothing is."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from crawler.accounts import AccountBook
from crawler.budget import COMMERCIAL, purse_of
from crawler.build import Builder
from crawler.importers.base import reason_of
from crawler.payload_table import unknown_paths
from crawler.privacy import Identity
from crawler.refreshing import COUNTS
from crawler.rounds import Hole, Round
from crawler.sources import PUSH, SEARCH
from crawler.spiders.weibo_search import PATH, Search
from crawler.watch_list import WatchList, list_of
from crawler.weibo_api import ENDPOINTS, read_page
from huiyin.clock import Clock
from huiyin.errors import CollectError, InputError
from huiyin.records import Post, Source
from huiyin.settings import WeiboSettings

_ROW = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Sight:
    """What a page holds."""

    posts: tuple[Post, ...]
    not_understood: tuple[str, ...]
    unknown_fields: tuple[str, ...]
    total: int | None
    """How many the platform says there are."""


def ask_weibo(
    source: Source, token: str, *, weibo: WeiboSettings, identity: Identity, accounts: AccountBook,
    clock: Clock, watch_lists: Path | None = None,
) -> Sight:  # fmt: skip
    """Fetch one page of a Weibo source. Raises `CollectError`; `InputError` without a token,

    and for a stream.
    """
    if source.spider == PUSH:
        raise InputError(
            "推送是一直开着的连接，不能只读一页来试；它也不用账号的授权",
            "先用 huiyin source preview 看词表或名单（--list）会抓到什么，再启动采集"
            "（huiyin crawl），在 huiyin source list 里看它的状态",
        )
    if not token:
        raise InputError("这个账号没有授权", "huiyin source login，或写 weibo.tokens")
    now = clock()
    path, query, one = _page_of(source, now, list_of(source.parameters, watch_lists))
    body, status = _get(source, weibo, path, query, token)
    page = read_page(body, status, one.endpoint.key if isinstance(one, Round) else "statuses", now)
    build = Builder(
        identity=identity, accounts=accounts, office=source.account, spider=source.spider, at=now,
        now=now, always=True, query=one.query,
    )  # fmt: skip
    posts: dict[str, Post] = {}
    bad: list[str] = []
    for item in page.items:
        try:
            posts |= {post.id: post for post in one.posts(item, build)}
        except _ROW as error:
            bad.append(reason_of(error))
    strange = {path for item in page.items for path in unknown_paths(item)}
    return Sight(tuple(posts.values()), tuple(bad), tuple(sorted(strange)), page.total)


def _page_of(
    source: Source, now: datetime, watch: WatchList | None
) -> tuple[str, dict[str, str], Round | Search]:
    fresh = source.model_copy(update={"cursor": "", "ahead": ()})
    if source.spider == SEARCH:
        search = Search(fresh, now, watch=watch)
        search.plan(1.0)
        return PATH, search.parameters(), search
    name = source.parameters.get("endpoint", "")
    if name not in ENDPOINTS:
        raise InputError(f"没有 {name} 这个列表", f"可用的是 {'、'.join(ENDPOINTS)}")
    if name == COUNTS:
        raise InputError("数字复查不带来新帖子，没有一页可看", "看 huiyin source list 里它的状态")
    endpoint = ENDPOINTS[name]
    extra = {"id": source.parameters["id"]} if source.parameters.get("id") else {}
    one = Round(fresh, now, endpoint=endpoint, holes=[Hole(0, extra=extra)])
    return endpoint.path_for(source), one.parameters() | {"count": "20"}, one


def _get(
    source: Source, weibo: WeiboSettings, path: str, query: dict[str, str], token: str
) -> tuple[bytes, int]:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, tokens in them
    commercial = purse_of(source) == COMMERCIAL
    root = weibo.commercial_url if commercial else weibo.url
    try:
        answer = httpx.get(
            root + path, params={**query, "access_token": token}, timeout=30.0,
            follow_redirects=False,
        )  # fmt: skip
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kind = type(error).__name__
        raise CollectError(f"连不上平台（{kind}）", "检查网络和 weibo.url") from None
    return answer.content, answer.status_code
