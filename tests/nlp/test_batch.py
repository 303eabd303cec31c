"""`analyse_file`: good rows go through, bad ones are named, the output is whole or absent."""

import gzip
import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huiyin.errors import FileFormatError, InputError
from huiyin.records import Analysis, Category, Labelled, Urgency, text_sha
from nlp import batch
from nlp.analyser import Analyser
from nlp.base import Text
from nlp.batch import analyse_file


class Echo:
    """An understanding that needs no model: remembers what it was asked."""

    model = "echo"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        self.asked.append(len(texts))
        one = Labelled(label="neutral", probabilities={"neutral": 1.0})
        return [
            Analysis(
                model=self.model,
                text_sha=text_sha(item.title, item.text),
                sentiment=one,
                emotion=one,
                intent=one,
                category=Category(path=("城乡建设",), probabilities={"城乡建设": 1.0}),
                needs_answer=0.5,
                urgency=Urgency(score=0.0),
            )
            for item in texts
        ]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b"" for _ in texts]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_of_the_output_is_exactly_as_promised(analyser: Analyser, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    text = "郑州金水区停水三天没人管，气死了"
    row = {"id": "1", "title": "停水", "text": text, "created_at": "2026-01-01"}
    source.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    report = analyse_file(source, target, analyser, region="410100")
    assert (report.read, report.written, report.skipped, report.bad) == (1, 1, 0, [])
    (found,) = lines(target)
    assert list(found) == [
        "id", "sentiment", "emotion", "intent", "category", "needs_answer", "urgency", "places",
    ]  # fmt: skip
    for name, labels in (
        ("sentiment", {"positive", "neutral", "negative"}),
        ("emotion", {"happy", "angry", "sad", "fear", "surprise", "neutral"}),
        ("intent", {"求助", "投诉", "举报", "咨询", "建议", "表扬", "其他"}),
    ):
        assert set(found[name]) == {"label", "probabilities"}  # type: ignore[call-overload]
        assert set(found[name]["probabilities"]) == labels  # type: ignore[index]
    assert set(found["category"]) == {"path", "probabilities"}  # type: ignore[call-overload]
    assert set(found["urgency"]) == {"score", "reasons"}  # type: ignore[call-overload]
    assert found["places"] == [{"adcode": "410105", "name": "金水区", "text": "郑州金水区"}]


BAD = [
    (b"{", "JSON"),
    (b"[1]", "不是 JSON 对象"),
    (b'"text"', "不是 JSON 对象"),
    (b'{"id": "2"}', "缺少 text"),
    (b'{"id": "2", "text": ""}', "缺少 text"),
    (b'{"id": "2", "text": 5}', "缺少 text"),
    (b'{"text": "a"}', "缺少 id"),
    (b'{"id": true, "text": "a"}', "缺少 id"),
    (b'{"id": "2", "text": "a", "title": 3}', "title"),
    ('{"id": "2", "text": "乱码"}'.encode("gb18030"), "UTF-8"),
    (b"[" * 100_000, "JSON"),
    (b'{"id": ' + b"9" * 10_000 + b"}", "JSON"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_line_is_named_and_the_rest_goes_through(
    tmp_path: Path, bad: bytes, reason: str
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"id": 1, "text": "a"}\n'
    source.write_bytes(good + b"\n" + bad + b"\n" + b'{"id": "3", "text": "c"}')
    report = analyse_file(source, target, Echo())
    assert [row["id"] for row in lines(target)] == ["1", "3"]
    assert (report.read, report.written, report.skipped) == (3, 2, 1)
    (one,) = report.bad
    assert (one.file, one.line) == (str(source), 3)
    assert reason in one.reason
    assert one.mend


def test_bom_blank_lines_windows_ends_and_repeated_ids(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    row = b'{"id": "a", "text": "x"}\r\n'
    source.write_bytes(b"\xef\xbb\xbf" + row + b"\r\n  \n" + row)
    report = analyse_file(source, target, Echo())
    assert [line["id"] for line in lines(target)] == ["a", "a"]
    (note,) = report.bad
    assert not note.skipped
    assert (note.line, report.written, report.skipped) == (4, 2, 0)


def test_an_empty_file_gives_an_empty_output(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.touch()
    assert analyse_file(source, target, Echo()).read == 0
    assert target.read_bytes() == b""


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed_in_and_out(tmp_path: Path, suffix: str) -> None:
    opener = gzip.open if suffix == ".gz" else lzma.open
    source, target = tmp_path / f"in.jsonl{suffix}", tmp_path / f"out.jsonl{suffix}"
    with opener(source, "wb") as file:
        file.write(b'{"id": "1", "text": "a"}\n')
    analyse_file(source, target, Echo())
    with opener(target, "rt", encoding="utf-8") as file:
        assert json.loads(str(file.read()))["id"] == "1"


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_cut_off_archive_leaves_the_old_output(tmp_path: Path, suffix: str) -> None:
    opener = gzip.open if suffix == ".gz" else lzma.open
    source, target = tmp_path / f"in.jsonl{suffix}", tmp_path / "out.jsonl"
    with opener(source, "wb") as file:
        file.writelines(b'{"id": "%d", "text": "%d"}\n' % (n, n * n) for n in range(5000))
    source.write_bytes(source.read_bytes()[:-2000])
    target.write_text("old", encoding="utf-8")
    with pytest.raises(FileFormatError, match="不完整或已损坏"):
        analyse_file(source, target, Echo())
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "out.jsonl"])


def test_wrong_places_are_input_errors(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with pytest.raises(InputError, match="没有这个文件"):
        analyse_file(source, tmp_path / "out.jsonl", Echo())
    source.write_bytes(b'{"id": "1", "text": "a"}\n')
    with pytest.raises(InputError, match="无法写出"):
        analyse_file(source, tmp_path / "no" / "out.jsonl", Echo())
    with pytest.raises(InputError, match="同一个文件"):
        analyse_file(source, source, Echo())
    with pytest.raises(InputError, match="无法读取"):
        analyse_file(tmp_path, tmp_path / "out.jsonl", Echo())


def test_a_ten_megabyte_line_is_read(analyser: Analyser, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    long = json.dumps({"id": "long", "text": "停水了" * 3_500_000}, ensure_ascii=False)
    source.write_text(long + '\n{"id": "2", "text": "好"}\n', encoding="utf-8")
    assert analyse_file(source, target, analyser).written == 2


def test_a_monstrous_line_is_skipped_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LONGEST_LINE", 1000)
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(
        b'{"id": "1", "text": "' + b"a" * 5000 + b'"}\n{"id": "2", "text": "b"}\n' + b"c" * 3000
    )
    report = analyse_file(source, target, Echo())
    assert [row["id"] for row in lines(target)] == ["2"]
    assert [(one.line, "超过" in one.reason) for one in report.bad] == [(1, True), (3, True)]


def test_it_streams_and_tells_its_progress(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f'{{"id": "{n}", "text": "t{n}"}}\n' for n in range(1300)), "utf-8")
    echo, told, each = Echo(), [], []
    report = analyse_file(
        source, target, echo,
        progress=lambda done, total: told.append((done, total)),
        each=lambda row, analysis: each.append((row["id"], analysis.model)),
    )  # fmt: skip
    assert echo.asked == [512, 512, 276]
    assert told == [(512, None), (1024, None), (1300, None)]
    assert each == [(str(n), "echo") for n in range(1300)]
    assert [row["id"] for row in lines(target)] == [str(n) for n in range(1300)]
    assert report.written == 1300


def test_the_report_of_many_bad_lines_stays_small(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("x\n" * 3000, encoding="utf-8")
    report = analyse_file(source, target, Echo())
    assert (report.skipped, len(report.bad)) == (3000, batch.MOST_BAD)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.binary(max_size=60) | st.builds(
    lambda i, t: json.dumps({"id": i, "text": t}).encode(), st.integers(), st.text(max_size=20)
), max_size=8))  # fmt: skip
def test_whatever_the_bytes_the_counts_add_up(tmp_path: Path, rows: list[bytes]) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\n".join(rows))
    report = analyse_file(source, target, Echo())
    assert report.read == report.written + report.skipped
    assert len(lines(target)) == report.written
