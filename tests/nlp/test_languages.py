"""Languages and scripts: recognised by letters, marked, and not misread."""

import gzip
import json
import os
from pathlib import Path

import pytest

from huiyin.records import Analysis
from nlp.analyser import Analyser
from nlp.base import Text
from nlp.foreign import Classifier, Foreign
from nlp.languages import fold, identify
from nlp.model import Model

# Article 1 of the Universal Declaration of Human Rights, or plain sentences, one a language.
TEXTS = {
    "zh-Hans": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "zh-Hant": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。",
    "en": "All human beings are born free and equal in dignity and rights.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "bo": "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌། ཐོབ་ཐངགི་རང་དབང་འདྲ་མཉམ་དུ་ཡོད་ལ།",
    "ug": "ھەممە ئادەم زانىدىنلا ئەركىن، ئىززەت-ھۆرمەت ۋە ھوقۇقتا باپباراۋەر بولۇپ تۇغۇلغان.",
    "mn": "ᠬᠦᠮᠦᠨ ᠪᠦᠷ ᠲᠥᠷᠥᠵᠦ ᠮᠡᠨᠳᠡᠯᠡᠬᠦ ᠡᠷᠬᠡ ᠴᠢᠯᠥᠭᠡ ᠲᠡᠢ᠂",
    "kk": "Барлық адамдар тумысынан азат және қадір-қасиеті мен құқықтары тең болады.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "ii": "ꊿꂷꃅꄿꐨꐥ，ꌅꅍꂾꇅꇐꄊꐨꐥ。",
    "und-Arab": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.",
    "und-Latn": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_each_language_is_known_by_its_letters(code: str) -> None:
    assert identify(TEXTS[code]) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("iPhone 13 Pro Max 真香", "zh-Hans"), ("优の良品 今天开业", "zh-Hans"),
        ("ヽ(○^㉨^)ﾉ♪ 开心", "zh-Hans"), ("生日快乐！おめでとう～橘真琴，一年级的我们", "zh-Hans"),
        ("轉發微博", "zh-Hant"), ("喂，妳點解唔嚟", "zh-Hant"), ("乾隆年间的著作", "zh-Hans"),
        ("[笑cry][允悲]", None), ("@u12ab34 http://t.cn/A6P8", None), ("666", None), ("", None),
        ("ok", None), ("😭😭😭", None), ("\ud800", None),
        ("请问 Please tell us how to apply for a visa, thank you for all the help", "en"),
    ],
)  # fmt: skip
def test_mixtures(text: str, code: str | None) -> None:
    assert identify(text) == code


def test_folding_keeps_positions_and_leaves_other_languages() -> None:
    text = "請問後天幾點停水？乾隆路、台灣路"
    assert fold(text, "zh-Hant") == "请问后天几点停水？干隆路、台湾路"
    assert fold("乾隆年间的著作，後來", "zh-Hans") == "乾隆年间的著作，后来"
    japanese = "東京都の図書館"
    assert fold(japanese, "ja") is japanese


PAIRS = [
    ("氣死我了，小區停水沒人管，電話打不通！", "气死我了，小区停水没人管，电话打不通！"),
    ("請問新生兒醫保怎麼辦理？需要帶哪些材料？", "请问新生儿医保怎么办理？需要带哪些材料？"),
    ("鄭州市金水區積水齊腰，老人被困，急需救援", "郑州市金水区积水齐腰，老人被困，急需救援"),
]  # fmt: skip


@pytest.mark.parametrize(("traditional", "simplified"), PAIRS)
def test_traditional_texts_are_answered_as_simplified_ones(
    analyser: Analyser, traditional: str, simplified: str
) -> None:
    old, new = analyser.analyse([Text(traditional), Text(simplified)])
    assert (old.language, new.language) == ("zh-Hant", "zh-Hans")
    same = {"language", "text_sha", "places"}
    assert old.model_dump(exclude=same) == new.model_dump(exclude=same)
    assert [place.adcode for place in old.places] == [place.adcode for place in new.places]
    assert all(place.text in traditional for place in old.places)


@pytest.mark.parametrize("code", ["bo", "ug", "en", "ja"])
def test_what_is_not_read_gets_no_opinion(analyser: Analyser, code: str) -> None:
    found = analyser.analyse([Text(TEXTS[code])])[0]
    assert found.language == code
    assert found.sentiment.label == found.emotion.label == "neutral"
    assert found.intent.label == "其他" and found.category.path == ()
    for share in (found.sentiment, found.emotion, found.intent, found.category):
        assert max(share.probabilities.values()) == min(share.probabilities.values())
    assert found.needs_answer == 0.5
    assert found.vector == b""


def test_a_model_of_others_may_read_them(model: Model) -> None:
    class Reads(Classifier):
        id = "sentiment-fake"

        def __init__(self) -> None:
            self.seen: list[str] = []

        def read(self, texts):  # type: ignore[no-untyped-def]
            self.seen += texts
            return [{"positive": 0.1, "neutral": 0.1, "negative": 0.8} for _ in texts]

    other = Reads()
    found = Analyser(model, Foreign({"sentiment": other})).analyse([Text(TEXTS["en"])])[0]
    assert other.seen == [TEXTS["en"]]
    assert found.sentiment.label == "negative"
    assert found.emotion.label == "neutral" and found.category.path == ()


def test_old_records_have_no_language(analyser: Analyser) -> None:
    fields = analyser.analyse([Text("停水了")])[0].model_dump()
    del fields["language"]
    assert Analysis.model_validate(fields).language is None


@pytest.mark.skipif("HUIYIN_REAL_DATA" not in os.environ, reason="HUIYIN_REAL_DATA is not set")
def test_real_posts_are_chinese_and_known_in_both_scripts() -> None:
    opencc = pytest.importorskip("opencc")
    path = Path(os.environ["HUIYIN_REAL_DATA"]) / "labelled/emotion.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(3000), strict=False)]
    known = [identify(text) for text in texts]
    assert sum(one in ("zh-Hans", "zh-Hant", None) for one in known) >= 0.998 * len(texts)
    simplified = [text for text, one in zip(texts, known, strict=True) if one == "zh-Hans"]
    convert, back = opencc.OpenCC("s2t").convert, opencc.OpenCC("t2s").convert
    pairs = [(text, convert(text)) for text in simplified if convert(text) != text]
    assert sum(identify(new) == "zh-Hant" for _, new in pairs) >= 0.995 * len(pairs)
    assert sum(fold(new, "zh-Hant") == back(new) for _, new in pairs) >= 0.98 * len(pairs)
