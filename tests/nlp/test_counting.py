"""An office's classes in the shared tree: proposals, the file that people edit, counts of halls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.errors import InputError
from huiyin.records import Account, Category, Scope
from huiyin.vectors import pack, unpack
from nlp.analyser import Analyser
from nlp.categories import mapping
from nlp.categories.counting import MOST, count, halls_under, own_counts
from nlp.categories.mapping import BY_EXAMPLES, BY_NAME, BY_PERSON, NOT_FOUND, Row
from tests.nlp.invented import invented_rows
from tests.nlp.test_corrections import START, analysis
from tests.nlp.test_stage import post

ALL = Scope.everything()
LIGHTS = ("城建", "道路", "路灯")
PUBLIC = ("城乡建设", "城市建设和市政管理", "城市公共设施")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    yield opened
    opened.close()


def file_of(archive: Archive, number: int, path: tuple[str, ...], *offices: str) -> None:
    one = post(number, offices=offices)
    archive.put_posts([one])
    category = Category(path=path, probabilities={})
    archive.write_analyses([(one.id, analysis(one.text, category, pack([1.0])))])


# ---- the mapping


def test_classes_are_proposed_by_name_and_by_their_examples(analyser: Analyser) -> None:
    rows = invented_rows(8, random.Random(4))
    rows += [("登记结婚要什么材料", ("民生", "婚姻登记"))] * 2
    vectors = unpack(analyser.embed([text for text, _ in rows]))
    paths = [path for _, path in rows]
    own = sorted({path[:n] for path in paths for n in range(1, len(path) + 1)})
    names = unpack(analyser.embed([mapping.name_of(path) for path in own]))
    tree = analyser.categories.classifier
    found = {row.own: row for row in mapping.propose(own, names, vectors, paths, tree)}
    assert set(found) == set(own)
    married = found["民生", "婚姻登记"]
    assert (married.shared, married.why) == (("民政", "社会服务", "婚姻登记"), BY_NAME)
    for path, main in (
        (("城建", "道路", "路灯"), "城乡建设"),
        (("劳动", "工资"), "劳动和社会保障"),
        (("教育", "收费"), "教育文体"),
        (("城建", "供水"), "城乡建设"),
    ):
        assert (found[path].shared or ("",))[0] == main, found[path]
        assert found[path].why == BY_EXAMPLES
    assert all((row.shared is None) == (row.why == NOT_FOUND) for row in found.values())
    torn = mapping.propose([("两样",)], names[:1] * 0, vectors[[0, 60]], [("两样",)] * 2, tree)
    assert torn[0].shared is None, "examples of two classes, and a name that says nothing"


def test_what_people_wrote_in_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "mapping.csv"
    mapping.write(file, [Row(LIGHTS, None, NOT_FOUND, 0.1), Row(("环境",), ("环境保护",), BY_NAME)])
    text = file.read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == "本单位类别,共用类别,依据,把握"
    edited = text.replace("城建/道路/路灯,,未对应", f"城建/道路/路灯,{'/'.join(PUBLIC)},人工")
    file.write_text(edited, encoding="utf-8-sig")
    kept = mapping.read(file)
    anew = [
        Row(LIGHTS, ("交通运输",), BY_EXAMPLES, 0.6), Row(("环境",), None, NOT_FOUND, 0.0),
        Row(("新类",), None, NOT_FOUND, 0.0),
    ]  # fmt: skip
    merged = {row.own: row for row in mapping.merged(anew, kept)}
    assert merged[LIGHTS].shared == PUBLIC and merged[LIGHTS].why == BY_PERSON
    assert merged["环境",].shared == ("环境保护",)
    assert merged["新类",].shared is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("城建,不存在的类,人工,1", r"mapping.csv 第 2 行：列 共用类别.*没有“不存在的类”"),
        (",城乡建设,人工,1", r"第 2 行：列 本单位类别：类别为空"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "mapping.csv"
    file.write_text(f"本单位类别,共用类别,依据,把握\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=said):
        mapping.read(file)


# ---- the counts


def test_halls_are_counted_in_shared_classes_and_the_unmapped_listed(archive: Archive) -> None:
    city, water, road = "weibo:1", "weibo:2", "weibo:3"
    for one, parent in ((city, None), (water, city), (road, city), ("weibo:9", None)):
        archive.create(Account(id=one, uid=one[6:], name=one, level=2, parent=parent))
    file_of(archive, 1, LIGHTS, road)
    file_of(archive, 2, LIGHTS, road, water)
    file_of(archive, 3, ("城建", "供水"), water)
    file_of(archive, 4, ("奇怪的类",), water)
    file_of(archive, 5, (), water)
    file_of(archive, 6, ("环境保护", "环境污染"), road)
    file_of(archive, 7, LIGHTS, "weibo:9")
    rows = [Row(LIGHTS, PUBLIC, BY_PERSON), Row(("城建",), ("城乡建设",), BY_NAME)]
    halls = halls_under(archive, ALL, city)
    assert halls == [city, water, road]
    found = count(archive, ALL, halls, rows)
    assert found.posts == {city: 0, water: 4, road: 3}
    assert found.by_office[road][PUBLIC] == 2
    assert found.by_office[water][("城乡建设",)] == 2, "a class holds what lies below it"
    assert found.by_office[road][("环境保护", "环境污染")] == 1
    assert found.by_office[water][()] == 1
    assert found.total[("城乡建设",)] == 3, "a post of two halls counts once"
    assert found.unmapped == {("奇怪的类",): 1}
    assert count(archive, Scope.of("weibo:77"), halls, rows).total[("城乡建设",)] == 0


def test_more_classes_than_a_facet_shows_are_all_counted(archive: Archive) -> None:
    posts = [post(n) for n in range(MOST + 40)]
    archive.put_posts(posts)
    paths = [("城建", f"类{n}") for n in range(MOST + 39)] + [("环境",)]
    archive.write_analyses(
        [(one.id, analysis(one.text, Category(path=path, probabilities={}), pack([1.0])))
         for one, path in zip(posts, paths, strict=True)]
    )  # fmt: skip
    from archive.base import Filters

    found, total = own_counts(archive, ALL, Filters(since=START - timedelta(days=1)), [("环境",)])
    assert total == MOST + 40
    assert len(found) < total, "a facet of one level cannot show more than it has room for"
