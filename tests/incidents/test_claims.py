"""Claims one by one: standing, evidence, risk; and that a rumour raises no level."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import AuthorKind, Claim, Level, Post
from nlp.incidents.claims import judge_claims, said_by
from nlp.incidents.debunks import Debunks
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.rumour import Telling, risk
from nlp.incidents.severity import suspect
from nlp.incidents.statements import Statement, places_in, statements
from tests.incidents.helpers import START, analysed, post, store

GOVERNMENT, MEDIA = AuthorKind.GOVERNMENT, AuthorKind.MEDIA
CANTEEN = (
    "群里说学校两百多个孩子中毒，有一个已经没了，是真的吗？？？我手都在抖",
    "[震惊]听说学府路小学死了一个孩子，两百多人在抢救，120拉了一上午，扩散！！",
    "转：两百多孩子食物中毒，一个没救过来，学校封锁消息不让家长进。求大家帮忙顶上去！！",
    "三年级，刚接到老师电话说孩子恶心，我正往学校赶。今天食堂吃的啥？？学府路小学",
    "我家孩子在学府路小学，吃完午饭吐了两次，已经在医院了",
    "我表姐在医院上班说哪有两百多，急诊也就二十来个，别瞎传行不行",
)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


def gathered(*posts: Post) -> Gathering:
    return Gathering(member(analysed(one)) for one in posts)


def of(about: str, start: str, claims: tuple[Claim, ...]) -> Claim:
    found = [one for one in claims if one.about == about and one.text.startswith(start)]
    assert found, [(one.about, one.text) for one in claims]
    return found[0]


def people(*texts: str) -> list[Post]:
    return [post(f"p{n}", text, n) for n, text in enumerate(texts)]


def level(gathering: Gathering) -> Level | None:
    burst = gathering.burst()
    return suspect(burst.severity, burst.voices, burst.kinds, said_by(gathering))[0]


def test_a_rumour_of_two_hundred_children_raises_no_level() -> None:
    gathering = gathered(*people(*CANTEEN))
    assert level(gathering) is Level.ORDINARY
    claim = of("数字", "中毒 200", judge_claims(gathering))
    assert claim.standing == "未证实"
    assert "只有未认证的个人账号在说" in claim.evidence
    assert "全是转述，没有人说亲眼所见" in claim.evidence
    assert len(claim.posts_for) == 2


def test_the_same_number_by_an_official_raises_it() -> None:
    bulletin = post("o", "截至14时，共有112名学生中毒送医，其中重伤12人", 9, author_kind=GOVERNMENT)
    assert level(gathered(*people(*CANTEEN), bulletin)) is Level.EXTRAORDINARY


def test_a_denial_that_names_the_number_is_no_word_for_it() -> None:
    denial = post(
        "o", "网传“两百多名学生中毒”系谣言。目前27名学生因不适就诊，无人死亡。", 9,
        author_kind=GOVERNMENT,
    )  # fmt: skip
    claims = judge_claims(gathered(*people(*CANTEEN), denial), "学校两百多个孩子中毒")
    rumour = of("数字", "中毒 200", claims)
    assert rumour.standing == "已辟谣"
    assert "t:o" in rumour.posts_against
    assert "t:o" not in rumour.posts_for
    assert of("数字", "死亡 1", claims).standing == "已辟谣", "无人死亡 stands against one dead"
    assert of("数字", "中毒 27", claims).standing == "有依据"
    assert of("数字", "中毒 27", claims).risk is None
    assert (rumour.risk or 0) > 0.5


def test_denial_against_eyewitnesses_is_disputed_never_a_rumour() -> None:
    seen = people(
        "我在现场，脚手架塌了，亲眼看到抬出来5个人，5人死亡",
        "我们楼正对着工地，我看到5名工人遇难，脚手架整个倒了",
        "听说死了5个人",
    )
    denial = post("o", "网传工地坍塌“5人死亡”不属实，系1人轻伤。", 30, author_kind=GOVERNMENT)
    claims = judge_claims(gathered(*seen, denial), "工地脚手架坍塌")
    assert of("数字", "死亡 5", claims).standing == "有争议"
    assert of("经过", "工地", claims).standing == "有争议"
    one_witness = judge_claims(gathered(seen[0], seen[2], denial))
    assert of("数字", "死亡 5", one_witness).standing == "已辟谣"


def test_copies_of_one_source_are_one_source() -> None:
    text = "化工厂爆炸死了五十个人，方圆十里玻璃都碎了，大家快跑啊注意安全"
    copies = [post(f"c{n}", text + "！" * n, n) for n in range(6)]
    claim = of("数字", "死亡 50", judge_claims(gathered(*copies)))
    assert claim.standing == "未证实"
    assert any("按一个来源算" in one for one in claim.evidence)
    assert level(gathered(*copies)) is Level.ORDINARY


def test_cause_blame_and_place_are_claims_of_their_own() -> None:
    posts = people(
        "建新路小学着火了，起因是食堂煤气罐爆炸，我在门口",
        "建新路小学的火，听说是煤气罐爆炸引起的火灾",
        "建新路小学起火，学校封锁消息不让家长进去",
    )
    official = post(
        "o", "经查，建新路小学火灾原因是电动车充电短路，网传煤气罐爆炸不实。", 60,
        author_kind=GOVERNMENT,
    )  # fmt: skip
    claims = judge_claims(gathered(*posts, official))
    assert of("原因", "食堂煤气罐爆炸", claims).standing == "已辟谣"
    assert of("原因", "电动车充电短路", claims).standing == "有依据"
    assert of("责任", "建新路小学起火，学校封锁消息", claims).standing == "未证实"
    assert of("地点", "建新路小学", claims).standing == "有依据"


def test_officials_against_officials_is_disputed() -> None:
    posts = [
        post("m", "记者获悉，事故已致9人死亡", 1, author_kind=MEDIA),
        post("o", "有媒体称“9人死亡”，与事实不符，纯属不实信息。", 9, author_kind=GOVERNMENT),
    ]
    assert of("数字", "死亡 9", judge_claims(gathered(*posts))).standing == "有争议"


def test_a_much_larger_number_than_the_official_one_is_contradicted_a_smaller_is_old() -> None:
    posts = [*people("大桥垮了死了40个人，听人说的", "我听说死了2个人，大桥垮塌"),
             post("o", "大桥垮塌事故造成3人死亡。", 60, author_kind=GOVERNMENT)]  # fmt: skip
    claims = judge_claims(gathered(*posts))
    assert of("数字", "死亡 40", claims).standing == "已辟谣"
    assert of("数字", "死亡 2", claims).standing == "未证实"


def test_like_a_debunked_one_of_the_archive_is_attached_and_settles_nothing() -> None:
    old = post(
        "old", "网传“人贩子在幼儿园门口抢孩子”系谣言，请勿转发。", -9000, author_kind=GOVERNMENT
    )
    other = post("other", "关于自来水停水的传言不实。", -8000, author_kind=GOVERNMENT)
    debunks = Debunks([old, other])
    told = people(
        "紧急扩散！幼儿园门口有人贩子抢孩子，5个孩子失踪", "群里说幼儿园门口人贩子抢走5名孩子失踪了"
    )
    claims = judge_claims(gathered(*told), find_debunk=debunks.find)
    claim = of("数字", "失踪 5", claims)
    assert claim.debunk == "t:old"
    assert claim.standing == "未证实"
    assert any("t:old" in one for one in claim.evidence)
    without = of("数字", "失踪 5", judge_claims(gathered(*told)))
    assert without.debunk is None
    assert (claim.risk or 0) > (without.risk or 0)
    later = Debunks([old.model_copy(update={"created_at": START + timedelta(hours=9)})])
    assert (
        of("数字", "失踪 5", judge_claims(gathered(*told), find_debunk=later.find)).debunk is None
    )


def test_debunks_are_read_from_an_archive(archive: Archive) -> None:
    old = post("old", "网传人贩子在幼儿园门口抢孩子系谣言", -90, author_kind=GOVERNMENT)
    store(archive, [old, *people("有人说这是谣言", "今天天气真好，公园里花都开了")])
    found = Debunks.of(archive)
    assert len(found) == 1
    assert found.find("幼儿园门口人贩子抢孩子", START.timestamp()) == "t:old"


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (Telling(("震惊！速转扩散，大家千万别吃",)), Telling(("今天和朋友吃饭，开心",))),
        (
            Telling(("大桥塌了",), answers=("假的", "谣言")),
            Telling(("大桥塌了",), answers=("哦", "嗯")),
        ),
        (Telling(("大桥塌了",), denied=True), Telling(("大桥塌了",))),
        (Telling(("大桥塌了",)), Telling(("大桥塌了",), witnesses=2)),
        (Telling(("大桥塌了",)), Telling(("大桥塌了",), unverified=0.0)),
    ],
)
def test_each_sign_moves_the_risk(more: Telling, less: Telling) -> None:
    assert 0 <= risk(less) < risk(more) <= 1


def test_the_order_of_posts_changes_nothing() -> None:
    posts = people(*CANTEEN)
    assert judge_claims(gathered(*posts)) == judge_claims(gathered(*posts[::-1]))


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("我们在学府路小学门口", ["学府路小学"]),
        ("刚路过中山路口水管爆了", ["中山路口"]),
        ("去学校看看", []),
    ],
)
def test_places(sentence: str, names: list[str]) -> None:
    assert places_in(sentence) == names


def test_statements_are_kept_apart() -> None:
    found = statements("因电线老化引发火灾，造成3人死亡。学校隐瞒不报。")
    assert {one.about for one in found} == {"数字", "原因", "责任"}
    assert Statement("数字", "死亡:3", "死亡 3 人", found[0].sentence, 3, "死亡") in found
