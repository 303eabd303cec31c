"""Which format a file is of."""

from __future__ import annotations

from crawler.importers.base import Head, Importer
from crawler.importers.files import Opened
from crawler.importers.mapped import Mapped
from crawler.importers.media_crawler import MediaCrawler, is_about_persons
from crawler.importers.official import OfficialJson
from crawler.importers.own import OwnJson
from crawler.importers.pages import refusal
from crawler.importers.weibo_crawler import WeiboCrawlerComments, WeiboCrawlerPosts
from crawler.importers.weibo_search import WeiboSearch
from crawler.importers.weibo_spider import WeiboSpider
from crawler.privacy import masked
from huiyin.errors import FileFormatError


def known_formats() -> list[Importer]:
    """All formats that are recognised by themselves, the most particular first."""
    return [
        WeiboSearch(), WeiboCrawlerPosts(), WeiboCrawlerComments(), WeiboSpider(), MediaCrawler(),
        OfficialJson(), OwnJson(),
    ]  # fmt: skip


def recognise_file(opened: Opened, mapped: Mapped | None) -> Importer:
    """The file's format. Raises `FileFormatError` that names the nearest formats and the mend."""
    head, file = opened.head, str(opened.path)
    if mapped is not None:
        if mapped.recognise(head):
            return mapped
        raise FileFormatError(
            f"没有映射文件所说的列 {'、'.join(mapped.missing(head))}；文件的列是 {_shown(head)}",
            "改正映射文件里的列名", file=file,
        )  # fmt: skip
    if head.shape == "objects" and (wrong := refusal(head.first)):
        raise FileFormatError(wrong[0], wrong[1], file=file)
    for importer in known_formats():
        if importer.recognise(head):
            return importer
    if is_about_persons(head):
        raise FileFormatError(
            "这是用户资料，不是帖子；回音不收集个人资料", "只导入帖子和评论文件", file=file
        )
    raise FileFormatError(
        f"不认识的格式，列是 {_shown(head)}；最接近的是 {_nearest(head)}",
        "检查导出工具的设置，或用 --map 写明各列的含义（见 docs/importing.md）", file=file,
    )  # fmt: skip


def _shown(head: Head) -> str:
    names = [masked(name)[:20] for name in head.columns[:20] if name]
    return "、".join(names) + ("…" if len(head.columns) > 20 else "") or "（空）"


def _nearest(head: Head) -> str:
    have = set(head.columns)
    order = sorted(known_formats(), key=lambda one: -len(have & set(one.columns)))
    return "；".join(
        f"{one.title}（{'、'.join(one.columns[:6])}…，相同 {len(have & set(one.columns))} 列）"
        for one in order[:2]
    )
