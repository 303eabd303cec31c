"""The command line as a user runs it: real processes, a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

POSTS = [
    {"id": "1", "text": "望湖路水管爆了，水漫到店里", "created_at": "2026-03-05T08:00:00+08:00"},
    {"id": "2", "text": "小区停水三天，几时来水？", "created_at": "2026-03-05T09:00:00+08:00"},
    {"id": "3", "text": "今天的云真好看", "created_at": "2026-03-05T10:00:00+08:00"},
]  # fmt: skip


@pytest.fixture
def huiyin(tmp_path: Path) -> Run:
    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("HUIYIN_")},
            "HUIYIN_HOME": str(tmp_path), "COLUMNS": "200", "NO_COLOR": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "huiyin", *arguments], cwd=tmp_path, env=environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    file = tmp_path / "posts.jsonl"
    lines = [json.dumps(post, ensure_ascii=False) for post in POSTS]
    file.write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    return file


def test_import_reports_the_bad_line_and_takes_the_rest_once(huiyin: Run, stream: Path) -> None:
    first = json.loads(huiyin("import", str(stream), "--json").stdout)
    assert [(one["read"], one["new"], one["skipped"]) for one in first] == [(4, 3, 1)]
    assert first[0]["reasons"][0]["line"] == 4
    again = json.loads(huiyin("import", str(stream), "--json").stdout)
    assert (again[0]["new"], again[0]["updated"]) == (0, 0)
    found = json.loads(huiyin("search", "停水 OR 水管", "--json", "--timeline", "hour").stdout)
    assert found["total"] == 2 and [count for _start, count in found["timeline"]] == [1, 1]
    assert found["hits"][0]["highlights"]
    assert found["authors_estimated"] is False
    near = json.loads(huiyin("search", "--meaning", "水管漏水没有人修", "--json").stdout)
    assert "水管" in near["hits"][0]["post"]["text"] and near["hits"][0]["score"] > 0


def test_search_points_at_the_wrong_character(huiyin: Run) -> None:
    huiyin("init")
    done = huiyin("search", "(暴雨 AND", check=False)
    assert done.returncode == 2
    assert "^" in done.stderr and "Traceback" not in done.stderr
    empty = huiyin("search", "暴雨")
    assert "没有找到" in empty.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "/no/such/file.csv"],
        ["search", "--facet", "nonsense"],
        ["search", "--since", "tomorrow"],
        ["search", "停水", "--meaning", "停水了"],
        ["user", "add", "a b", "--name", "x", "--role", "拟稿员"],
        ["account", "load", "/no/such.json"],
        ["oncall", "load", "/no/such.toml"],
        ["demo", "--sample", "/no/such/city"],
        ["nonsense"],
    ],
)
def test_misuse_ends_with_two_and_one_clear_message(huiyin: Run, arguments: list[str]) -> None:
    done = huiyin(*arguments, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said and said.strip()


def test_wrong_settings_are_said_before_anything_happens(huiyin: Run, tmp_path: Path) -> None:
    (tmp_path / "huiyin.toml").write_text("[console]\nport = 'x'\nprot = 1\n", encoding="utf-8")
    done = huiyin("search", "x", check=False)
    assert done.returncode == 2
    assert "console.port" in done.stderr and "console.prot" in done.stderr
    assert not (tmp_path / "var").exists()


def test_init_twice_changes_nothing(huiyin: Run, tmp_path: Path) -> None:
    assert "author.key" in huiyin("init").stdout
    secret = (tmp_path / "var/secrets/author.key").read_bytes()
    assert "没有改动" in huiyin("init").stdout
    assert (tmp_path / "var/secrets/author.key").read_bytes() == secret


def test_people_are_added_listed_and_never_twice(huiyin: Run) -> None:
    huiyin("init")
    said = huiyin("user", "add", "lin", "--name", "林", "--role", "拟稿员").stdout
    assert "一次性密码" in said
    assert (
        huiyin("user", "add", "lin", "--name", "林", "--role", "审核员", check=False).returncode
        == 2
    )
    people = json.loads(huiyin("user", "list", "--json").stdout)
    assert [(one["id"], one["roles"]) for one in people] == [("lin", ["拟稿员"])]
    assert "password" not in json.dumps(people)


def test_doctor_says_the_mend_and_fails_when_something_is_bad(huiyin: Run, tmp_path: Path) -> None:
    huiyin("init")
    findings = json.loads(huiyin("doctor", "--json").stdout)
    assert {"档案", "作者密钥", "模型", "队列", "磁盘"} <= {one["what"] for one in findings}
    assert all(one["mend"] for one in findings if one["state"] == "bad")
    (tmp_path / "var/secrets/author.key").write_text("00" * 32)
    done = huiyin("doctor", "--json", check=False)
    bad = [one for one in json.loads(done.stdout) if one["state"] == "bad"]
    assert done.returncode == 1 and "作者密钥" in {one["what"] for one in bad}


def test_export_writes_file_and_note(huiyin: Run, stream: Path, tmp_path: Path) -> None:
    huiyin("import", str(stream))
    huiyin("export", "水", "-o", str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig").count("\n") == 3
    assert json.loads((tmp_path / "out.csv.about.json").read_text(encoding="utf-8"))["posts"] == 2


def test_analyse_writes_the_designs_line_and_the_groups(
    huiyin: Run, stream: Path, tmp_path: Path
) -> None:
    report = json.loads(
        huiyin("analyse", str(stream), "-o", str(tmp_path / "out.jsonl"), "--json").stdout
    )
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["1", "2", "3"]
    assert set(lines[0]) == {
        "id", "sentiment", "emotion", "intent", "category", "needs_answer", "urgency", "places",
    }  # fmt: skip
    assert abs(sum(lines[0]["sentiment"]["probabilities"].values()) - 1) < 0.01
    assert report["read"] == 4 and report["written"] == 3 and "4" in report["bad"][0]


def test_replay_writes_its_three_files(huiyin: Run, tmp_path: Path) -> None:
    file = tmp_path / "stream.jsonl"
    voices = [
        "望湖路水管爆裂，水漫到人行道了，有人被困在店里，救命",
        "望湖路水管爆了！水漫进店里，几个人被困出不来，快来救人",
        "望湖路那边水管爆裂，路面全淹了，店里还有老人被困，求救援",
        "路过望湖路，水管爆裂水很深，有人被困，消防快来",
        "太可怕了，望湖路水管爆裂把路都冲塌了，被困的人还没出来",
    ]
    with file.open("w", encoding="utf-8") as stream:
        for number, text in enumerate(voices):
            row = {"id": f"p{number}", "text": text, "author": f"a{number}",
                   "created_at": f"2026-03-05T08:{number:02d}:00+08:00"}  # fmt: skip
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    huiyin("replay", str(file), "-o", str(tmp_path / "out"))
    incidents = [
        json.loads(line)
        for line in (tmp_path / "out/incidents.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(incidents) == 1
    assert set(incidents[0]["posts"]) == {f"p{number}" for number in range(5)}
    assert incidents[0]["alerted_at"] and incidents[0]["opened_at"].startswith("2026-03-05T")
    alerts = (tmp_path / "out/alerts.jsonl").read_text("utf-8").splitlines()
    assert len(alerts) == 1
    report = (tmp_path / "out/report.html").read_text("utf-8")
    assert "望湖路" in report and "http://" not in report.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("typed", "words"),
    [("account load", "缺少参数 file"), ("source list --nope", "没有 --nope 这个选项"),
     ("collect", "缺少选项 --outbox"), ("nope", "没有 nope 这个命令"),
     ("user add a --name b --role zz", "--role 不能是“zz”")],
)  # fmt: skip
def test_a_command_typed_wrong_is_told_in_chinese(huiyin: Run, typed: str, words: str) -> None:
    done = huiyin(*typed.split(), check=False)
    assert done.returncode == 2 and words in done.stderr and "Usage" not in done.stderr
