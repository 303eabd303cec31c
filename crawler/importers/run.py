"""Import files: recognise, read, mask, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.importers.base import FileReport
from crawler.importers.files import open_file
from crawler.importers.formats import recognise_file
from crawler.importers.mapped import Mapped, load_mapping
from crawler.importers.reading import Task, batches
from crawler.pipes import fewer_collections
from crawler.privacy import Identity
from huiyin.clock import Clock

Progress = Callable[[Path, int, float], None]
"""Called with the file, the rows read so far and the share of the file, 0..1."""


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
    files = [Path(path) for path in paths]
    for file in files:
        with closing(open_file(file)) as opened:
            recognise_file(opened, mapped)
    reports = []
    for file in files:
        now = clock()
        task = Task(
            path=file, secret=identity.secret, accounts=tuple(accounts.accounts.values()),
            office=office, at=as_of or min(_changed(file), now), now=now, as_of=as_of,
            mapping=mapping, pack=archive.packer(),
        )  # fmt: skip
        with fewer_collections():
            reports.append(_import_one(task, archive, progress))
    return reports


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


def _import_one(task: Task, archive: Archive, progress: Progress | None) -> FileReport:
    report = FileReport(file=str(task.path))
    for batch in batches(task):
        done = archive.put_packed(batch.packed)
        report.new += done.new
        report.updated += done.updated
        report.read += batch.rows
        report.refuse(done.rejected)
        for bad in batch.bad:
            report.skip(bad)
        if progress is not None:
            progress(task.path, report.read, batch.share)
    return report
