"""Broken, odd and wrong files: what can be read goes in, the rest is reported by line."""

from __future__ import annotations

import gzip
import json
import lzma
import multiprocessing
import os
import pickle
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive import Packer, open_archive
from archive.base import Archive
from crawler import AccountBook, Identity, import_files
from crawler.importers import reading
from huiyin.errors import ArchiveBusy, FileFormatError, HuiyinError
from huiyin.records import Post, Scope

Bring = Callable[..., tuple[Any, dict[str, Post]]]
HEADER = "id,weibo_id,created_at,user_screen_name,text,pic_url,like_count"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
EVERYTHING = Scope.everything()


def comment(number: int, text: str = "家里停水了", likes: object = 1) -> str:
    return (
        f"{4607741009594608 + number}\t,4607741009594608,2021-02-23 12:30:00,小李,{text},,{likes}"
    )


def csv_of(*rows: str) -> str:
    return "\r\n".join((HEADER, *rows)) + "\r\n"


def write(folder: Path, data: bytes | str, name: str = "file") -> Path:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_encodings_and_compression(
    bring: Bring, tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    data = pack(csv_of(comment(0), comment(1, "𠮷野家门口有臭味")).encode(encoding))
    report, posts = bring(write(tmp_path, data, "no-suffix-that-helps"))
    assert (report.read, report.new) == (2, 2)
    assert posts["weibo:4607741009594609"].text == "𠮷野家门口有臭味"


def test_gb18030_after_a_megabyte_of_ascii(bring: Bring, tmp_path: Path) -> None:
    rows = [comment(number, "plain words of no meaning " * 8) for number in range(6000)]
    data = csv_of(*rows).replace("小李", "li").encode() + comment(7000, "中文").encode("gb18030")
    _, posts = bring(write(tmp_path, data))
    assert posts["weibo:4607741009601608"].text == "中文"


def test_one_broken_byte_spoils_one_row(bring: Bring, tmp_path: Path) -> None:
    good = [comment(number) for number in range(50)]
    data = csv_of(*good[:25]).encode() + comment(99, "坏").encode()[:-6] + b"\xe5,,1\r\n"
    data += "\r\n".join(good[25:]).encode()
    report, _posts = bring(write(tmp_path, data))
    assert (report.new, report.skipped) == (50, 1)
    assert report.reasons == [{"line": 27, "reason": "有无法解码的字节"}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("编号,4607741009594608,2021-02-23 12:30:00,小李,停水,,1", "编号"),
        ("4.60774E+15,4607741009594608,2021-02-23 12:30:00,小李,停水,,1", "科学计数法"),
        ("4607741009594700,4607741009594608,2021-02-23 12:30:00,小李,,,1", "没有正文"),
        ("4607741009594700,4607741009594608,2021-02-23 12:30:00,小李,停水,三天,,1", "8 列"),
        ("4607741009594700,4607741009594608", "2 列"),
        ("12,4607741009594608,2921-02-23 12:30:00,小李,停水,,1", "将来"),
        ("12,4607741009594608,5分钟前,小李,停水,,1", "--as-of"),
        ("12,4607741009594608,说不清,小李,停水,,1", "写法"),
    ],
)
def test_bad_rows_are_reported_without_their_content(
    bring: Bring, tmp_path: Path, row: str, reason: str
) -> None:
    report, _posts = bring(write(tmp_path, csv_of(comment(0), row, "", comment(1))))
    assert (report.read, report.new, report.skipped) == (3, 2, 1)
    assert report.reasons[0]["line"] == 3 and reason in report.reasons[0]["reason"]
    assert "小李" not in json.dumps(report.as_dict(), ensure_ascii=False)


def test_quotes_newlines_nul_and_a_quote_never_closed(bring: Bring, tmp_path: Path) -> None:
    rows = [comment(1, '"第一行\r\n第二行, ""引""\u2028还有"'), comment(2, "有\0空字节"),
            comment(3, '"没有收尾'), *(comment(number) for number in range(4, 60))]  # fmt: skip
    report, posts = bring(write(tmp_path, csv_of(*rows)))
    assert posts["weibo:4607741009594609"].text == '第一行\r\n第二行, "引"\u2028还有'
    assert posts["weibo:4607741009594610"].text == "有空字节"
    assert (report.new, report.skipped) == (58, 1)
    assert report.reasons == [{"line": 5, "reason": "引号没有配对"}]


def test_a_line_of_ten_megabytes(bring: Bring, tmp_path: Path) -> None:
    long = "停水" * (10 << 20 >> 3)
    report, posts = bring(write(tmp_path, csv_of(comment(0, long), comment(1))))
    assert report.new == 2 and len(posts["weibo:4607741009594608"].text) == len(long)


def test_json_lists_lines_and_odd_lines(bring: Bring, tmp_path: Path) -> None:
    rows = [
        {"id": f"a{n}", "text": f"第{n}条停水", "created_at": "2021-07-20 10:00:00"}
        for n in range(3000)
    ]
    for text in (json.dumps(rows), json.dumps(rows, indent=2, ensure_ascii=False)):
        report, posts = bring(write(tmp_path, text))
        assert report.read == 3000 and len(posts) == 3000
    lines = [json.dumps(row) for row in rows[:3]]
    text = (
        "\ufeff"
        + lines[0]
        + "\n"
        + '{"id": "cut", "te\n\n[1]\n"x"\n'
        + lines[1]
        + ",\n\0"
        + lines[2]
    )
    report, _ = bring(write(tmp_path, text))
    assert (report.read, report.skipped) == (6, 3)
    assert [one["line"] for one in report.reasons] == [2, 4, 5]


def test_a_cut_list_and_a_cut_gz_keep_what_came_before(bring: Bring, tmp_path: Path) -> None:
    rows = [
        {"id": f"a{n}", "text": f"第{n}条停水", "created_at": "2021-07-20 10:00:00"}
        for n in range(500)
    ]
    report, _posts = bring(write(tmp_path, json.dumps(rows)[:-20]))
    assert (report.new, report.skipped) == (499, 1)
    noise = random.Random(1)
    lines = "".join(json.dumps({**row, "x": noise.random()}) + "\n" for row in rows * 80)
    cut = gzip.compress(lines.encode())
    report, _posts = bring(write(tmp_path, cut[: len(cut) // 2]))
    assert report.skipped >= 1 and "损坏" in report.reasons[-1]["reason"] and report.read > 1000


def test_half_emoji_are_stored(bring: Bring, tmp_path: Path) -> None:
    row = '{"id": "a", "text": "停水\\ud83d了", "created_at": "2021-07-20 10:00:00"}'
    _, posts = bring(write(tmp_path, row))
    assert posts["file:a"].text == "停水\ufffd了"


PAGES = [
    ("<!DOCTYPE html><html><head><title>登录 - 微博</title></head>", "登录"),
    ("<html><title>Sina Visitor System</title><script>passport.weibo.com", "登录"),
    ("<html><body>访问过于频繁，请稍后再试</body></html>", "频繁"),
    ("<html><title>414 Request-URI Too Large</title></html>", "频繁"),
    ("<html><title>请输入验证码</title></html>", "验证码"),
    ("<html><title>502 Bad Gateway</title></html>", "报错页"),
    ("<html><title>张三 13800138000 的主页</title></html>", "网页"),
    ('{"ok":-100,"url":"https://passport.weibo.com/sso/signin"}', "登录"),
    ('{"request":"/2/x.json","error_code":"21327","error":"expired_token"}', "21327"),
    ('{"ok":0,"msg":"这里还没有内容"}', "访问过于频繁"),
    ("%PDF-1.4", "不支持"),
    ("", "空"),
    ("\ufeff\r\n\r\n", "空"),
    ("随便一段话", "不认识"),
    ('{"a": 1', "没写完"),
]


@pytest.mark.parametrize(("text", "message"), PAGES, ids=range(len(PAGES)))
def test_wrong_pages_are_named_for_what_they_are(
    bring: Bring, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(FileFormatError, match=message) as caught:
        bring(write(tmp_path, text, "export.csv"))
    assert "export.csv" in str(caught.value) and caught.value.mend
    assert "13800138000" not in str(caught.value)


def test_an_unknown_table_names_columns_and_the_nearest_format(
    bring: Bring, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError) as caught:
        bring(write(tmp_path, "id,bid,用户昵称,内容\n1,2,3,4\n"))
    text = str(caught.value)
    assert "用户昵称" in text and "weibo-search" in text and "--map" in text


def test_header_alone_is_no_error(bring: Bring, tmp_path: Path) -> None:
    report, _ = bring(write(tmp_path, HEADER + "\n"))
    assert report.as_dict() == {"file": str(tmp_path / "file"), "read": 0, "new": 0, "updated": 0,
                                "skipped": 0, "reasons": []}  # fmt: skip


def test_again_changes_nothing_and_a_newer_export_refreshes(bring: Bring, tmp_path: Path) -> None:
    file = write(tmp_path, csv_of(*(comment(number) for number in range(2500))))
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    report, first = bring(file, as_of=old)
    assert report.new == 2500
    report, second = bring(file, as_of=old)
    assert (report.read, report.new, report.updated, second) == (2500, 0, 0, first)
    newer = write(tmp_path, csv_of(*(comment(number, likes=9) for number in range(2500))), "newer")
    report, third = bring(newer, as_of=new)
    assert (report.new, report.updated) == (0, 2500)
    assert {post.metrics.likes for post in third.values() if post.metrics} == {9}
    report, fourth = bring(file, as_of=old)  # an old export does not bring old counts back
    assert (report.updated, fourth) == (0, third)


def test_times_of_reading(bring: Bring, tmp_path: Path) -> None:
    file = write(tmp_path, csv_of(comment(0)))
    os.utime(file, (1_700_000_000, 1_700_000_000))
    _, posts = bring(file)
    assert {post.read_at.timestamp() for post in posts.values()} == {1_700_000_000}


def test_one_unknown_file_stops_all_before_anything_is_written(
    archive: Archive, book: AccountBook, identity: Identity, tmp_path: Path
) -> None:
    files = [write(tmp_path, csv_of(comment(0))), write(tmp_path, "<html>", "bad")]
    with pytest.raises(FileFormatError):
        import_files(files, archive=archive, identity=identity, accounts=book, office="o",
                     clock=lambda: datetime.now(UTC))  # fmt: skip
    assert archive.counts()["posts"] == 0


def test_an_error_of_the_archive_comes_out(
    book: AccountBook, identity: Identity, tmp_path: Path
) -> None:
    class Busy:
        def packer(self) -> Packer:
            return pickle.dumps

        def put_packed(self, packed: bytes) -> object:
            raise ArchiveBusy("档案库忙", "稍后再试")

    file = write(tmp_path, csv_of(*(comment(number) for number in range(20_000))))
    with pytest.raises(ArchiveBusy):
        import_files([file], archive=Busy(), identity=identity, accounts=book, office="o",  # type: ignore[arg-type]
                     clock=lambda: datetime.now(UTC))  # fmt: skip


def test_progress_runs_from_nothing_to_all(bring: Bring, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    file = write(tmp_path, csv_of(*(comment(number) for number in range(9000))))
    bring(file, progress=lambda path, rows, share: seen.append((rows, share)))
    assert seen[-1] == (9000, 1.0) and seen == sorted(seen) and len(seen) > 3


def _task(file: Path) -> reading.Task:
    return reading.Task(path=file, secret=b"k" * 32, accounts=(), office="o", at=NOW, now=NOW,
                        as_of=None, mapping=None, pack=pickle.dumps)  # fmt: skip


def test_a_large_file_is_read_ahead_with_the_same_outcome(tmp_path: Path) -> None:
    rows = [comment(number, f"第{number}户停水" * 40) for number in range(8000)]
    rows[4000] = "坏行"
    file = write(tmp_path, csv_of(*rows))

    def content(batches: Iterator[reading.Batch]) -> list[Any]:
        return [(pickle.loads(one.packed), one.bad, one.rows, one.share) for one in batches]  # noqa: S301

    assert content(reading.batches(_task(file))) == content(reading.read(_task(file)))
    assert "k" * 8 not in repr(_task(file))


def test_a_reader_that_dies_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, csv_of(*(comment(number, "停水" * 300) for number in range(8000))))
    kept = subprocess.Popen

    def popen(command: list[str], **options: Any) -> Any:
        code = (
            "import os; from crawler import pipes; from crawler.importers import reading; "
            "pipes.send = lambda *_: os._exit(3); reading.main()"
        )
        return kept([*command[:-1], code], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(HuiyinError, match="中途退出"):
        list(reading.batches(_task(file)))


def _import_in_a_process(file: Path, url: str) -> None:
    archive = open_archive(url)
    import_files([file], archive=archive, identity=Identity(b"k" * 32), accounts=AccountBook(),
                 office="o", as_of=datetime(2026, 1, 1, tzinfo=UTC),
                 clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))  # fmt: skip
    archive.close()


def test_kill_and_run_again_gives_the_undisturbed_end_state(tmp_path: Path) -> None:
    file = write(
        tmp_path, csv_of(*(comment(number, f"第{number}户停水" * 30) for number in range(8000)))
    )
    assert file.stat().st_size > 4 << 20  # read ahead by a process of its own
    killed, calm = (f"sqlite:///{tmp_path / name}" for name in ("killed.db", "calm.db"))
    spawn = multiprocessing.get_context("spawn")
    for seed in range(2):
        child = spawn.Process(target=_import_in_a_process, args=(file, killed))
        child.start()
        database = tmp_path / "killed.db-wal"
        end = time.monotonic() + 60
        while time.monotonic() < end and not (
            database.exists() and database.stat().st_size > 10_000
        ):
            time.sleep(0.01)
        time.sleep(random.Random(seed).random() * 0.5)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    _import_in_a_process(file, killed)
    _import_in_a_process(file, calm)
    ends = []
    for url in (killed, calm):
        archive = open_archive(url)
        ends.append(list(archive.iter_posts(EVERYTHING)))
        assert archive.check() == []
        archive.close()
    assert ends[0] == ends[1] and len(ends[0]) == 8000


class _Forgetful:
    def packer(self) -> Packer:
        return pickle.dumps

    def put_packed(self, packed: bytes) -> Any:
        from archive.base import PutReport

        return PutReport(new=len(pickle.loads(packed)))  # noqa: S301


def test_memory_does_not_grow_with_the_file(identity: Identity, tmp_path: Path) -> None:
    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def go(rows: int) -> None:
        text = csv_of(*(comment(number, "停水" * 100) for number in range(rows)))
        file = write(tmp_path, gzip.compress(text.encode(), 1))
        del text
        before.append(peak())
        import_files([file], archive=_Forgetful(), identity=identity, accounts=AccountBook(),  # type: ignore[arg-type]
                     office="o", clock=lambda: datetime.now(UTC))  # fmt: skip
        after.append(peak())

    before: list[int] = []
    after: list[int] = []
    go(10_000)
    go(60_000)
    assert after[1] - before[1] < 40 * 1024  # KiB; the file's posts would take 150 MB


def test_real_streams(bring: Bring, real_data: Path) -> None:
    for name, rows in (
        ("flood_2021", 2454),
        ("event_posts", 324),
        ("message_board_unlabelled", 2681),
    ):
        report, _posts = bring(real_data / "streams" / f"{name}.jsonl.gz")
        assert (report.read, report.skipped) == (rows, 0)
        assert report.new == rows
