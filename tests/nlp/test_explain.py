"""Which words spoke for a decision."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from huiyin.cli import app
from nlp.analyser import Analyser
from nlp.base import Shares, Text
from nlp.explain import explain, words


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("气死我了，没人管！[泪][泪]", ["气死我了", "没人管", "[泪]", "[泪]"]),
        ("😭😭👩‍🚒👍🏽🇨🇳", ["😭", "😭", "👩‍🚒", "👍🏽", "🇨🇳"]),
        ("iPhone13涨了3.5% http://t.cn/A6P8", ["iPhone13", "涨", "了", "3.5%", "http://t.cn/A6P8"]),
        ("@某用户 don't 【电话】", ["@某用户", "don't", "【电话】"]),
        ("，。！ ……", []), ("", []), ("བོད་ཡིག", None),
    ],
)  # fmt: skip
def test_words_are_what_a_reader_sees_as_one(text: str, cut: list[str] | None) -> None:
    found = [text[start:end] for start, end in words(text)]
    assert found == cut if cut is not None else found


class Counting:
    """An understanding whose probability is known: each of some words adds its weight."""

    model = "counting"

    def __init__(self, weights: dict[str, float], either: tuple[str, str] | None = None) -> None:
        self.weights, self.either, self.read = weights, either, 0

    def shares(self, texts: Sequence[str]) -> list[Shares]:
        self.read += len(texts)
        found: list[Shares] = []
        for text in texts:
            value = 0.3 + sum(w for word, w in self.weights.items() if word in text)
            value -= 0.1 if self.either and all(word in text for word in self.either) else 0
            found.append({"sentiment": {"negative": value, "positive": 1 - value}})
        return found


def test_the_weights_are_what_each_word_adds() -> None:
    judge = Counting({"停水": 0.25, "没人管": 0.2, "投诉": 0.1, "物业": 0.02, "今天": -0.1})
    said = explain(judge, [Text("小区停水三天没人管，今天投诉物业，大家都去了")])[0]  # type: ignore[arg-type]
    assert [one.word for one in said["sentiment"]] == ["停水", "没人管", "投诉"]
    assert [one.weight for one in said["sentiment"]] == pytest.approx([0.25, 0.2, 0.1], abs=1e-6)


def test_words_that_hide_one_another_are_tried_together() -> None:
    """投诉 and 举报 say the same, so the first of them removed takes 0.1 less than the second."""
    judge = Counting({"停水": 0.25, "物业": 0.05, "投诉": 0.2, "举报": 0.2}, ("投诉", "举报"))
    said = explain(judge, [Text("物业停水，投诉了，举报了，大家都去了")])[0]["sentiment"]  # type: ignore[arg-type]
    assert said[0].word == "停水"
    assert {one.word for one in said[1:]} == {"投诉", "举报"}
    whole = judge.shares(["物业停水，投诉了，举报了，大家都去了", "物业，了，了，大家都去了"])
    fall = whole[0]["sentiment"]["negative"] - whole[1]["sentiment"]["negative"]
    assert sum(one.weight for one in said) == pytest.approx(fall, abs=1e-6)


def test_long_texts_cost_no_more_than_their_best_clauses() -> None:
    filler = "这里的情况大家都知道，" * 150
    judge = Counting({"停水": 0.4, "漏电": 0.2})
    text = filler + "小区停水三天了。" + filler[:600] + "墙面漏电伤人。"
    said = explain(judge, [Text(text[:3990])])[0]["sentiment"]  # type: ignore[arg-type]
    assert said[0].word == "停水"
    assert judge.read < 130


def test_what_nobody_decided_is_not_explained(analyser: Analyser) -> None:
    found = explain(analyser, [Text("བོད་ཡིག་གི་ཡི་གེ"), Text("，。"), Text("")])
    assert found[0] == {}
    assert all(not one for task in found[1:] for one in task.values())


REAL = [
    "气死我了，小区停水三天没人管，物业电话永远打不通，到底还让不让人活了！",
    "今天和朋友一起去海边看了日落，吃了好吃的火锅，真的太开心了，幸福满满",
    "请问新生儿医保怎么办理？需要带哪些材料？去哪个窗口？周末上班吗？",
    "建议在中心小学门口增设红绿灯，方便孩子过马路，上下学时车太多太危险",
]


def test_named_words_weigh_more_than_random_ones(analyser: Analyser) -> None:
    order, better, tried = random.Random(4), 0, 0
    texts = REAL[:3]
    found = explain(analyser, [Text(text) for text in texts])
    for text, share, said in zip(texts, analyser.shares(texts), found, strict=True):
        for task, named in said.items():
            label = max(share[task], key=share[task].__getitem__)
            drawn = [order.sample(words(text), 3) for _ in range(3)]
            sets = [[(one.start, one.end) for one in named], *drawn]
            falls = [
                share[task][label] - one[task][label]
                for one in analyser.shares([_without(text, spans) for spans in sets])
            ]
            assert falls[0] == pytest.approx(sum(one.weight for one in named), abs=0.02)
            tried += 1
            better += falls[0] > sum(falls[1:]) / 3
    assert better >= 0.8 * tried  # few and short; benchmarks/explaining.py measures 500 posts


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text


def test_the_command_writes_words_beside_each_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"id": "1", "title": "停水", "text": REAL[0]}, {"id": "2", "text": "小區停水，沒人管"}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for options in ([], ["--explain"]):
        done = CliRunner().invoke(
            app, ["analyse", str(source), "-o", str(target), "--no-groups", *options]
        )
        assert done.exit_code == 0, done.output
        lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        assert [line.get("language") for line in lines] == [None, "zh-Hant"]
        assert ("explain" in lines[0]) == bool(options)
    read = f"停水\n{REAL[0]}"
    for word in lines[0]["explain"]["emotion"]:
        assert read[word["start"] : word["end"]] == word["word"]
        assert word["weight"] > 0
    assert {"sentiment", "emotion", "intent", "category"} <= set(lines[0]["explain"])
