"""Import files: recognise, read, mask, write; parsing goes on while the archive writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.importers.base import BadRow, FileReport, Head, Importer, read_rows
from crawler.importers.files import BROKEN, Opened, open_file, refusal
from crawler.importers.mapped import Mapped, load_mapping
from crawler.importers.media_crawler import MediaCrawler, is_about_persons
from crawler.importers.official import OfficialJson
from crawler.importers.own import OwnJson
from crawler.importers.weibo_crawler import WeiboCrawlerComments, WeiboCrawlerPosts
from crawler.importers.weibo_search import WeiboSearch
from crawler.importers.weibo_spider import WeiboSpider
from crawler.privacy import Identity, masked
from huiyin.clock import Clock
from huiyin.errors import FileFormatError
from huiyin.records import Post

Progress = Callable[[Path, int, float], None]
"""Called with the file, the rows read so far and the share of the file, 0..1."""

_BATCH = 1000
_WAITING = 4
"""Batches between the reader and the writer: what an import holds in memory at most."""


def known_formats() -> list[Importer]:
    """All formats that are recognised by themselves, the most particular first."""
    return [
        WeiboSearch(), WeiboCrawlerPosts(), WeiboCrawlerComments(), WeiboSpider(), MediaCrawler(),
        OfficialJson(), OwnJson(),
    ]  # fmt: skip


def import_files(
    paths: Sequence[Path],
    *,
    archive: Archive,
    identity: Identity,
    accounts: AccountBook,
    office: str,
    clock: Clock,
    as_of: datetime | None = None,
    mapping: Path | None = None,
    progress: Progress | None = None,
) -> list[FileReport]:
    """Bring the posts of files into the archive; one report a file, in order.

    `office`: account id of posts that name no known account. Texts and counts were read when the
    row says (`last_modify_ts`), else at `as_of`, else when the file was last changed. Importing the
    same file again changes nothing; after a kill, importing again completes it.

    Raises `FileFormatError` before anything is written when one of the files is not recognised,
    `ArchiveError` when the archive cannot write.
    """
    mapped = Mapped(load_mapping(mapping)) if mapping else None
    opened: list[tuple[Path, Importer]] = []
    for path in paths:
        look = open_file(Path(path))
        try:
            opened.append((Path(path), recognise_file(look, mapped)))
        finally:
            look.close()
    reports = []
    for path, importer in opened:
        now = clock()
        build = Builder(
            identity=identity, accounts=accounts, office=office, spider=f"import:{importer.name}",
            at=as_of or min(_changed(path), now), now=now, as_of=as_of,
        )  # fmt: skip
        reports.append(_import_one(path, importer, build, archive, progress))
    return reports


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


# ---------------------------------------------------------------- recognising


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


# ---------------------------------------------------------------- reading and writing


def _import_one(
    path: Path, importer: Importer, build: Builder, archive: Archive, progress: Progress | None
) -> FileReport:
    report = FileReport(file=str(path))
    opened = open_file(path)
    importer.recognise(opened.head)
    writer = _Writer(archive, report)
    try:
        for batch in _batches(_guarded(opened, importer, build), report):
            writer.put(batch)
            if progress is not None:
                progress(path, report.read, opened.share)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    finally:
        opened.close()
    if progress is not None:
        progress(path, report.read, 1.0)
    return report


def _guarded(opened: Opened, importer: Importer, build: Builder) -> Iterator[list[Post] | BadRow]:
    """The rows; a compressed file that is cut off ends with a bad row, what came before stays."""
    rows = read_rows(importer, opened.items, build)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except BROKEN:
            yield BadRow(0, "压缩文件从这里起已损坏，后面的内容读不出来")
            return


def _batches(rows: Iterable[list[Post] | BadRow], report: FileReport) -> Iterator[list[Post]]:
    batch: list[Post] = []
    for row in rows:
        report.read += 1
        if isinstance(row, BadRow):
            report.skip(row)
            continue
        batch += row
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    yield batch


class _Writer:
    """One thread that writes batches in order; reading waits when it is `_WAITING` behind."""

    def __init__(self, archive: Archive, report: FileReport) -> None:
        self._archive = archive
        self._report = report
        self._queue: queue.Queue[list[Post] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="import-writer", daemon=True)
        self._thread.start()

    def put(self, batch: list[Post]) -> None:
        """Hand a batch over; raises what the writer met."""
        self._raise()
        if batch:
            self._queue.put(batch)

    def finish(self) -> None:
        """Wait until all is on disk; raises what the writer met."""
        self._queue.put(None)
        self._thread.join()
        self._raise()

    def abandon(self) -> None:
        """Stop after the batch in hand; what was written stays."""
        if self._thread.is_alive():
            self._error = self._error or InterruptedError()
            self._queue.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep taking, so that the reader never waits for a dead writer
            try:
                done = self._archive.put_posts(batch)
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                self._error = error
                continue
            self._report.new += done.new
            self._report.updated += done.updated
