"""Message boards and notices, read by the real spiders over HTTP."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from parsel import Selector

from crawler.attachments import attachment_text
from crawler.boards import find_date, read_detail, read_layout
from crawler.learning import first_entry, propose
from huiyin.errors import CollectError, InputError
from huiyin.records import AuthorKind, Kind
from tests.crawler.doors_conftest import Doors, source
from tests.platforms.boards import (
    Board,
    Letter,
    board_layout,
    docx_with,
    letters,
    notices_site,
    pdf_with,
)
from tests.platforms.sites import Page, Site, running

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
KINDS = ["message_board", "notices"]


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    (tmp_path / "layouts").mkdir()
    return Doors(tmp_path)


@pytest.fixture
def board(doors: Doors) -> Iterator[Board]:
    one = Board(letters(23, datetime.now(UTC)))
    with running(one.site):
        one.publish()
        (doors.folder / "layouts/board.toml").write_text(board_layout(one.site.url))
        yield one


def read(doors: Doors, site: Site, *more: dict[str, object]) -> None:
    sources = [source("b", "message_board", layout="board"), *more]
    doors.run(sources, kinds=["message_board"] if not more else KINDS, allowed=[site.host],
              layouts=str(doors.folder / "layouts"))  # fmt: skip


def test_questions_and_their_answers(doors: Doors, board: Board) -> None:
    board.letters[1].text += " 电话13812345678 张小明 身份证11010519491231002X"
    board.publish()
    read(doors, board.site)
    posts = doors.posts()
    questions = [one for one in posts.values() if one.kind is Kind.MESSAGE]
    answers = [one for one in posts.values() if one.kind is Kind.NOTICE]
    assert {one.id for one in questions} == {f"yundu-board:{n}" for n in range(1, 24)}
    assert {one.parent for one in answers} == {f"yundu-board:{n}" for n in range(3, 24, 3)}
    for one in answers:
        assert one.author.kind is AuthorKind.GOVERNMENT and one.author.name == "云渡市水务局"
        assert one.created_at >= posts[one.parent or ""].created_at
    planted = posts["yundu-board:22"]
    assert "【电话】" in planted.text and "【身份证】" in planted.text
    assert all(one.author.name is None and one.offices == ("weibo:101",) for one in questions)
    known = doors.source("source:b")
    assert known.state == "ok" and not known.gaps
    # the next reading asks for the first page, and for no entry that is known
    asked = sum(board.site.asked.values())
    read(doors, board.site)
    assert sum(board.site.asked.values()) - asked == 2  # robots.txt and the first page
    # an answer that comes later is found when its question is due to be looked at again
    board.letters[2].answer = "已经修好。"
    board.letters.insert(0, Letter(99, "新的问题来了", "路灯不亮", "刚刚"))
    board.publish()
    _age_of_looks(doors)
    read(doors, board.site)
    posts = doors.posts()
    assert posts["yundu-board:21-answer"].text == "已安排抢修，今晚恢复供水。"
    assert posts["yundu-board:99"].text == "路灯不亮"


def _age_of_looks(doors: Doors) -> None:
    """Make the questions without an answer due."""
    from archive import open_archive
    from huiyin.records import Scope, Source

    archive = open_archive(doors.url)
    old = (datetime.now(UTC) - timedelta(hours=7)).isoformat()

    def edit(one: Source) -> Source:
        import json

        memory = json.loads(one.cursor)
        memory["open"] = {key: [url, since, old] for key, (url, since, _) in memory["open"].items()}
        return one.model_copy(update={"cursor": json.dumps(memory)})

    archive.change(Source, "source:b", Scope.everything(), edit)
    archive.close()


def test_bad_days_of_a_board(doors: Doors, board: Board) -> None:
    board.broken = {20}
    board.publish()
    read(doors, board.site)
    one = doors.source("source:b")
    assert len([p for p in doors.posts().values() if p.kind is Kind.MESSAGE]) == 22
    assert one.state == "ok" and one.gaps[0].missed == 1 and "没有读到" in one.gaps[0].reason
    board.broken = set()
    board.changed = True
    board.letters = letters(5, datetime.now(UTC), 24) + board.letters
    board.publish()
    read(doors, board.site)
    changed = doors.source("source:b")
    assert changed.state == "layout" and changed.gaps[-1].ends_at is None
    assert "改版" in changed.reason and changed.last_ok_at == one.last_ok_at
    board.changed, board.login = False, True
    board.publish()
    read(doors, board.site)
    assert doors.source("source:b").state == "login_expired"
    board.login = False
    board.publish()
    read(doors, board.site)
    healed = doors.source("source:b")
    assert healed.state == "ok" and healed.gaps[-1].ends_at
    assert [gap.state for gap in healed.gaps] == ["failing", "layout", "login_expired"]
    assert all(gap.caught_up_at for gap in healed.gaps)
    ids = {p.id for p in doors.posts().values() if p.kind is Kind.MESSAGE}
    assert ids == {f"yundu-board:{n}" for n in range(1, 29)}  # the lost one was read again


def test_more_than_the_pages_of_a_visit_is_a_gap(doors: Doors, board: Board) -> None:
    read(doors, board.site)
    board.letters = letters(60, datetime.now(UTC), 24) + board.letters
    board.publish()
    read(doors, board.site)
    one = doors.source("source:b")
    assert one.state == "ok" and one.gaps[-1].state == "cut_off" and "6 页" in one.gaps[-1].reason
    read(doors, board.site)
    assert not any(gap.caught_up_at for gap in doors.source("source:b").gaps)


def test_killed_while_reading(doors: Doors, board: Board) -> None:
    wait = random.Random(3)
    for _ in range(3):
        child = doors.start(
            [source("b", "message_board", layout="board")], kinds=["message_board"], seconds=60,
            allowed=[board.site.host], layouts=str(doors.folder / "layouts"),
        )  # fmt: skip
        end = time.monotonic() + 60
        asked = sum(board.site.asked.values())
        while sum(board.site.asked.values()) < asked + 4 and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(wait.random() * 0.5)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    read(doors, board.site)
    ids = [p.id for p in doors.posts().values() if p.kind is Kind.MESSAGE]
    assert sorted(ids) == sorted(f"yundu-board:{n}" for n in range(1, 24))


def test_notices_with_tables_and_attachments(doors: Doors) -> None:
    site = Site()
    with running(site):
        layout = notices_site(site, pdf_with("Water off until 8pm"), docx_with("分时供水安排"))
        (doors.folder / "layouts/site.toml").write_text(layout)
        one = source("n", "notices", layout="site")
        doors.run([one], kinds=["notices"], allowed=[site.host],
                  layouts=str(doors.folder / "layouts"))  # fmt: skip
    posts = sorted(doors.posts().values(), key=lambda one: one.created_at)
    assert [one.title for one in posts] == [f"关于第{n}号停水的通知公告" for n in (1, 2, 3)]
    assert all(one.kind is Kind.NOTICE and one.author.name == "云渡市人民政府" for one in posts)
    assert posts[0].created_at == datetime(2026, 11, 11, 0, 30, tzinfo=UTC)
    text = posts[2].text
    assert "东城 | 8时" in text and "Water off until 8pm" in text
    assert "分时供水安排\n格一 | 格二" in text
    assert "【附件：附件3 坏的，内容未读：文件已损坏、加密或太复杂】" in text


def test_attachments_that_are_none() -> None:
    for bad in (b"", b"<html>", b"PK\x03\x04word/", b"%PDF-1.4"):
        with pytest.raises(CollectError):
            attachment_text(bad)


@pytest.mark.parametrize(("text", "expected"), [
    ("刚刚", NOW), ("5分钟前", NOW - timedelta(minutes=5)),
    ("昨天 12:30", datetime(2026, 11, 21, 4, 30, tzinfo=UTC)),
    ("昨天", datetime(2026, 11, 20, 16, 0, tzinfo=UTC)),
    ("发布时间：2026-11-20 08:30 来源：办公室", datetime(2026, 11, 20, 0, 30, tzinfo=UTC)),
    ("[2026/11/20]", datetime(2026, 11, 19, 16, 0, tzinfo=UTC)),
    ("2026年11月20日 8时30分", datetime(2026, 11, 20, 0, 30, tzinfo=UTC)),
    ("11-20 08:30", datetime(2026, 11, 20, 0, 30, tzinfo=UTC)), ("没有", None),
])  # fmt: skip
def test_dates(text: str, expected: datetime | None) -> None:
    found = find_date(text, None, NOW)
    assert found == expected if expected else found is None


def test_wrong_layouts_name_the_place(tmp_path: Path) -> None:
    good = board_layout("http://a.example")
    assert read_layout(good).list.most_pages == 6
    for wrong, place in ((good.replace("ul.letters > li", "ul[["), "list.item"),
                         (good.replace('kind = "message"', 'kind = "x"'), "kind"),
                         (good.replace("(\\d+)", "\\d+"), "id"),
                         (good.replace("[detail]", "[details]"), "detail"),
                         (good + "strange = 1", "strange"), ("name = ", "读不出来")):  # fmt: skip
        with pytest.raises(InputError, match=place):
            read_layout(wrong)
    for name in ("example-board", "example-notices"):
        assert read_layout((Path("crawler/selectors") / f"{name}.toml").read_text())


def test_learning_a_board_and_a_site(board: Board) -> None:
    board.letters[0].answer = "已安排抢修。"
    board.publish()
    page = board.site.pages["/list.html"]
    assert isinstance(page, Page)
    html = page.body.decode("gb18030")
    url = f"{board.site.url}/list.html"
    assert first_entry(html, url) == f"{board.site.url}/show?id=23"
    detail_page = board.site.pages["/show?id=23"]
    assert isinstance(detail_page, Page)
    detail_html = detail_page.body.decode("gb18030")
    proposal = propose(html, url, detail_html, f"{board.site.url}/show?id=23")
    layout = proposal.layout
    assert layout.kind == "message" and layout.id == r"[?&]id=(\d+)" and not proposal.doubts
    found = read_detail(Selector(detail_html), url, layout)
    assert found.text == "第23号小区停水三天了，请尽快处理。" and found.answer == "已安排抢修。"
    assert found.title == "反映第23号小区停水的问题" and "云渡市水务局" in found.answer_unit
    assert "2026-11-21 09:00" in found.answer_date
    site = Site()
    with running(site):
        notices_site(site, b"", b"")
        pages = {path: one.body.decode("gb18030", "replace") for path, one in site.pages.items()
                 if isinstance(one, Page)}  # fmt: skip
        made = propose(pages["/tz/index.html"], f"{site.url}/tz/index.html",
                       pages["/tz/n3.html"], f"{site.url}/tz/n3.html")  # fmt: skip
    assert made.layout.kind == "notice" and made.layout.detail.attachments
    found = read_detail(Selector(pages["/tz/n3.html"]), site.url, made.layout)
    assert found.text.startswith("因检修停水。") and "东城 | 8时" in found.text


def test_question_and_answer_without_printed_words_are_known_by_names(board: Board) -> None:
    listed = board.site.pages["/list.html"]
    assert isinstance(listed, Page)
    html, url = listed.body.decode("gb18030"), f"{board.site.url}/list.html"
    detail = """<html><body><h1>反映小区停水的问题</h1><span>2026-11-20 10:00</span>
        <div class="question">小区停水三天了，请尽快处理。</div>
        <div class="answer">已安排抢修。</div></body></html>"""
    made = propose(html, url, detail, f"{board.site.url}/show?id=23")
    found = read_detail(Selector(detail), url, made.layout)
    assert made.layout.kind == "message"
    assert found.text == "小区停水三天了，请尽快处理。" and found.answer == "已安排抢修。"
    assert any("请核对" in one for one in made.doubts)
    plain = detail.replace("question", "a1").replace("answer", "a2")
    assert propose(html, url, plain, f"{board.site.url}/show?id=23").layout.kind == "notice"


def test_a_learned_layout_reads_the_whole_board(doors: Doors, board: Board) -> None:
    def page(path: str) -> str:
        one = board.site.pages[path]
        assert isinstance(one, Page)
        return one.body.decode("gb18030")

    url = f"{board.site.url}/list.html"
    made = propose(page("/list.html"), url, page("/show?id=21"), f"{board.site.url}/show?id=21")
    (doors.folder / "layouts/board.toml").write_text(made.toml)
    read(doors, board.site)
    kinds = [one.kind for one in doors.posts().values()]
    assert (kinds.count(Kind.MESSAGE), kinds.count(Kind.NOTICE)) == (23, 7)
