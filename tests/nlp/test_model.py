"""The shipped model: what it answers, that it answers alike in any batch, who can load it."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from huiyin.errors import ModelError
from huiyin.records import text_sha
from huiyin.vectors import unpack
from nlp import precision
from nlp.analyser import Analyser
from nlp.base import Text
from nlp.model import SHIPPED, Model, plan
from nlp.text import clean, head_and_tail, join

CLEAR = [
    ("气死我了，小区停水三天没人管，物业电话永远打不通！", "negative", "angry"),
    ("今天和朋友一起看了日落，太开心了，幸福满满", "positive", "happy"),
    ("奶奶昨晚走了，我再也见不到她了，好难过", "negative", "sad"),
    ("太可怕了，半夜听到楼道里有人砸门，我吓得不敢出声", "negative", "fear"),
]
APPEALS = [
    ("请问新生儿医保怎么办理？需要带哪些材料？", "咨询"),
    ("投诉幸福小区物业乱收停车费，多次反映无人处理，请有关部门查处", "投诉"),
    ("建议在中心小学门口增设红绿灯，方便孩子过马路", "建议"),
]


@pytest.mark.parametrize(("text", "sentiment", "emotion"), CLEAR)
def test_clear_feelings(analyser: Analyser, text: str, sentiment: str, emotion: str) -> None:
    found = analyser.analyse([Text(text)])[0]
    assert found.sentiment.label == sentiment
    assert found.emotion.label == emotion


@pytest.mark.parametrize(("text", "intent"), APPEALS)
def test_clear_intents(analyser: Analyser, text: str, intent: str) -> None:
    found = analyser.analyse([Text(text)])[0]
    assert found.intent.label == intent
    assert found.needs_answer > 0.5


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("我家门口的河水又黑又臭，化工厂夜里偷排污水，请环保部门查一查", "环境保护"),
        ("公司拖欠农民工工资半年不发，社保也没有交", "劳动和社会保障"),
        ("学校强制学生周末补课，每人收费五百元", "教育文体"),
        ("出租车拒载、不打表，公交车等了四十分钟才来一班", "交通运输"),
        ("人民医院乱收费，医生态度恶劣，病人无处说理", "卫生计生"),
    ],
)
def test_clear_categories(analyser: Analyser, text: str, category: str) -> None:
    assert analyser.analyse([Text(text)])[0].category.path[0] == category


@pytest.mark.parametrize("text", ["转发微博", "转发微博 //@某用户: 太好笑了", "哈哈哈哈哈哈哈"])
def test_chatter_wants_no_answer(analyser: Analyser, text: str) -> None:
    assert analyser.analyse([Text(text)])[0].needs_answer < 0.3


def test_an_advert_wants_no_answer_but_a_complaint_about_one_does(analyser: Analyser) -> None:
    advert, complaint = analyser.analyse(
        [
            Text("关注并转发抽奖，抽3位送手机，加微信领优惠券"),
            Text("投诉某商场抽奖活动弄虚作假，请市场监管部门处理"),
        ]
    )
    assert advert.needs_answer <= 0.05
    assert complaint.needs_answer > 0.5


def test_every_field_is_sound(analyser: Analyser) -> None:
    text = Text("郑州市金水区停电了", title="停电", region="410100")
    found = analyser.analyse([text])[0]
    assert found.model == analyser.model
    assert found.text_sha == text_sha("停电", text.text)
    for labelled in (found.sentiment, found.emotion, found.intent):
        assert labelled.label == max(labelled.probabilities, key=labelled.probabilities.__getitem__)
        assert sum(labelled.probabilities.values()) == pytest.approx(1, abs=1e-3)
    mains = [share for path, share in found.category.probabilities.items() if "/" not in path]
    assert sum(mains) == pytest.approx(1, abs=1e-3)
    assert [place.adcode for place in found.places] == ["410105"]
    assert np.linalg.norm(unpack([found.vector])) == pytest.approx(1, abs=1e-3)
    assert analyser.embed([join(text.title, text.text)]) == [found.vector]


def _mixed_texts() -> list[str]:
    order = random.Random(7)
    words = "小区停水三天了没有人管请问什么时候能来谢谢大家开心难过道路积水学校医院"
    sizes = [order.choice([1, 2, 5, 8, 13, 30, 70, 120, 300]) for _ in range(80)]
    return ["".join(order.choices(words, k=k)) + str(number) for number, k in enumerate(sizes)]


@pytest.mark.parametrize("kind", ["int8", "bf16", "fp32"])
def test_a_text_is_answered_alike_in_any_company(kind: precision.Precision) -> None:
    if kind == "bf16" and precision.choose(int8=False) != "bf16":
        pytest.skip("this processor has no bfloat16 instructions")
    model, texts = Model(precision=kind), _mixed_texts()
    together = model.read(texts)
    shuffled = random.Random(1).sample(range(len(texts)), len(texts))
    model.forget()
    again = model.read([texts[row] for row in shuffled])
    model.forget()
    alone = [model.read([text])[0] for text in texts[:25]]
    for row, reading in zip(shuffled, again, strict=True):
        _assert_alike(together[row].probabilities, reading.probabilities, kind)
    for row, reading in enumerate(alone):
        _assert_alike(together[row].probabilities, reading.probabilities, kind)


def _assert_alike(one: object, two: object, kind: str) -> None:
    allowed = 1.1e-4 if kind == "fp32" else 0.02
    assert isinstance(one, dict) and isinstance(two, dict)
    for task, shares in one.items():
        for label, value in shares.items():
            assert two[task][label] == pytest.approx(value, abs=allowed), (task, label)


def test_copies_are_read_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 0
    run = model.run

    def counting(tokens, width):  # type: ignore[no-untyped-def]
        nonlocal rows
        rows += len(tokens)
        return run(tokens, width)

    model.forget()
    monkeypatch.setattr(model, "run", counting)
    first = model.read(["同一句话"] * 50 + ["另一句话 http://t.cn/A1", "另一句话"])
    assert rows == 2
    assert model.read(["同一句话"]) == first[:1]
    assert rows == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@某用户",
        "http://t.cn/AbC",
        "😭" * 5000,
        "\ud800",
        "\x00",
        "a" * 100_000,
        "字" * 9000,
    ],
)
def test_odd_texts_are_answered(model: Model, text: str) -> None:
    reading = model.read([text])[0]
    assert sum(reading.probabilities["sentiment"].values()) == pytest.approx(1, abs=1e-3)


def test_the_end_of_a_long_message_is_read(model: Model) -> None:
    long = "。" + "这是一段很长的经过说明，" * 300
    praise = model.read([long + "总之衷心感谢，非常满意，大家辛苦了，点赞！"])[0]
    anger = model.read([long + "气死了，太欺负人了，黑心骗子，我要投诉！"])[0]
    key = "negative"
    assert anger.probabilities["sentiment"][key] > praise.probabilities["sentiment"][key]


def test_transformers_and_sentence_transformers_load_the_folder(model: Model) -> None:
    from sentence_transformers import SentenceTransformer

    text = "请问新生儿医保怎么办理？"
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)
    encoder = AutoModel.from_pretrained(SHIPPED, local_files_only=True, dtype=torch.float32).eval()
    with torch.inference_mode():
        states = encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 0].numpy()
    ours = unpack([model.read([text])[0].vector])[0]
    assert float(states @ ours / np.linalg.norm(states)) > 0.999
    other = SentenceTransformer(str(SHIPPED), device="cpu", local_files_only=True)
    vector = other.encode([text], convert_to_numpy=True)[0].astype(np.float32)
    assert float(vector @ ours / np.linalg.norm(vector)) > 0.999
    assert vector.shape == (model.dims,)


def test_the_tokenizer_is_the_same_for_everybody(model: Model) -> None:
    text = clean("Hello 世界 ＡＢＣ 12345 😭😭 [泪]")
    theirs = AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)(text)["input_ids"]
    assert theirs == model.tokenizer.encode(text).ids
    assert theirs.count(model.tokenizer.token_to_id("[UNK]")) == 0


def test_the_folder_is_small_and_licensed() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40_000_000
    assert "MIT" in (SHIPPED / "LICENSE").read_text(encoding="utf-8")
    assert "BAAI/bge-small-zh-v1.5" in (SHIPPED / "NOTICE").read_text(encoding="utf-8")


def test_a_broken_folder_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"缺少 config\.json"):
        Model(tmp_path)
    for path in SHIPPED.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "heads.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="无法读取"):
        Model(tmp_path)


def test_precision_follows_the_processor_and_is_part_of_the_id(model: Model) -> None:
    assert precision.choose(frozenset({"avx2"}), int8=False) == "fp32"
    assert precision.choose(frozenset({"avx2", "avx512_bf16"}), int8=False) == "bf16"
    assert precision.choose(frozenset({"amx_bf16"}), int8=False) == "bf16"
    assert precision.choose(frozenset({"amx_bf16"}), int8=True) == "int8"
    assert model.id.endswith(f"-{model.precision}")
    assert Model(precision="fp32").id != Model(precision="bf16").id


def test_batches_hold_one_width_each() -> None:
    lengths = [random.Random(1).randint(2, 128) for _ in range(50)] + [2, 16, 17, 128]
    rows = [row for rows, _ in plan(lengths) for row in rows]
    assert sorted(rows) == list(range(len(lengths)))
    for members, width in plan(lengths):
        assert {-(-lengths[row] // 16) * 16 for row in members} == {width}
        assert len(members) * width <= 2048


def test_importing_nlp_loads_no_torch() -> None:
    code = "import nlp, sys; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_cleaning() -> None:
    assert clean("回复@某用户:  看 http://t.cn/A6P8 了啊啊啊啊啊啊") == ": 看 了啊啊啊"
    assert clean("ＡＢＣ１２３，你好") == "ABC123，你好"
    assert len(clean("长" * 3 + "短文" * 90_000)) <= 4001
    assert head_and_tail(list(range(100)), 8) == [0, 1, 2, 3, 4, 5, 98, 99]
    assert join("标题", "标题在前") == "标题在前"
    assert join("标题", "正文") == "标题\n正文"
