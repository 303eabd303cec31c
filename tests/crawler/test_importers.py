# ruff: noqa: E501, SIM905 - rows and headers as the tools write them
"""Each format with its variants, through the whole import into a real archive."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from huiyin.errors import FileFormatError
from huiyin.records import AuthorKind, Kind, Post

Bring = Callable[..., tuple[Any, dict[str, Post]]]

SEARCH = (
    "id,bid,user_id,用户昵称,微博正文,头条文章url,发布位置,艾特用户,话题,转发数,评论数,点赞数,发布时间,"
    "发布工具,微博图片url,微博视频url,retweet_id,ip,user_authentication,会员类型,会员等级"
).split(",")
CRAWLER = (
    "id,bid,正文,头条文章url,原始图片url,视频url,Live Photo视频url,位置,日期,工具,点赞数,评论数,转发数,话题,"
    "@用户,完整日期,是否编辑过,编辑次数"
).split(",")
MID = "4607741009594608"


def table(header: list[str], *rows: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, header, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def save(folder: Path, text: str, name: str = "file.dat", encoding: str = "utf-8-sig") -> Path:
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return file


SEARCH_ROW = {
    "id": MID + "\t", "bid": "K3fnuEfZK", "user_id": "5308742488", "用户昵称": "小王",
    "微博正文": "@云渡水务 家里停水了，\n电话13800138000", "艾特用户": "云渡水务", "转发数": "3", "评论数": "",
    "点赞数": "1.2万", "发布时间": "2021-02-23 12:28", "微博图片url": "http://a/1.jpg,http://a/2.jpg",
    "ip": "河南", "user_authentication": "普通用户",
}  # fmt: skip


def test_weibo_search(bring: Bring, tmp_path: Path) -> None:
    blue = {**SEARCH_ROW, "id": "4607741009594700", "用户昵称": "某报", "user_authentication": "蓝V",
            "retweet_id": MID}  # fmt: skip
    report, posts = bring(save(tmp_path, table(SEARCH, SEARCH_ROW, blue)))
    assert (report.read, report.new, report.skipped) == (2, 2, 0)
    post = posts[f"weibo:{MID}"]
    assert post.text == "@云渡水务 家里停水了，\n电话【电话】"
    assert post.mentions == post.offices == ("weibo:102",)
    assert post.created_at == datetime(2021, 2, 23, 4, 28, 47, tzinfo=UTC)  # seconds from the id
    assert post.metrics is not None
    assert (post.metrics.reposts, post.metrics.comments, post.metrics.likes) == (3, None, 12000)
    assert post.author.region == "河南" and post.author.name is None and post.author.key
    assert post.url == "https://m.weibo.cn/status/K3fnuEfZK"
    assert [one.kind for one in post.media] == ["picture", "picture"]
    second = posts["weibo:4607741009594700"]
    assert second.kind is Kind.REPOST and second.parent == second.root == f"weibo:{MID}"
    assert second.author.kind is AuthorKind.ORGANISATION and second.author.name == "某报"


def test_nothing_of_a_person_reaches_the_file_on_disk(bring: Bring, tmp_path: Path) -> None:
    bring(save(tmp_path, table(SEARCH, SEARCH_ROW)))
    data = b"".join(file.read_bytes() for file in tmp_path.glob("huiyin.db*"))
    for secret in ("13800138000", "5308742488", "小王"):
        assert secret.encode() not in data


def test_weibo_crawler_with_originals(bring: Bring, tmp_path: Path) -> None:
    header = [*CRAWLER, "是否原创", "源用户id", "源用户昵称", *(f"源微博{one}" for one in CRAWLER)]
    row = {
        "id": "4607741009594700\t", "bid": "", "正文": "转发微博", "日期": "2021-02-23", "点赞数": "1",
        "评论数": "0", "转发数": "2", "是否原创": "False", "源用户id": "101\t", "源用户昵称": "云渡发布",
        "源微博id": MID + "\t", "源微博正文": "通知：今晚停水", "源微博点赞数": "9",
        "源微博完整日期": "2021-02-23 12:28:47",
    }  # fmt: skip
    report, posts = bring(save(tmp_path, table(header, row)))
    assert (report.read, report.new) == (1, 2)
    repost, notice = posts["weibo:4607741009594700"], posts[f"weibo:{MID}"]
    assert repost.kind is Kind.REPOST and repost.root == notice.id
    assert repost.author.key is None
    assert notice.kind is Kind.NOTICE and notice.author.name == "云渡发布"
    assert notice.author.kind is AuthorKind.GOVERNMENT and notice.offices == ("weibo:101",)


def test_weibo_crawler_original_only_and_comments(bring: Bring, tmp_path: Path) -> None:
    row = {"id": MID + "\t", "正文": "家里停水", "完整日期": "2021-02-23T12:28:47", "评论数": "0"}
    _, posts = bring(save(tmp_path, table(CRAWLER, row)))
    assert posts[f"weibo:{MID}"].kind is Kind.POST
    header = "id,weibo_id,created_at,user_screen_name,text,pic_url,like_count".split(",")
    comment = {
        "id": "4607741009594999\t", "weibo_id": MID, "created_at": "Tue Feb 23 12:30:00 +0800 2021",
        "user_screen_name": "小李", "text": "<a href='/n/小王'>@小王</a> 我家也是", "like_count": "4",
    }  # fmt: skip
    _, posts = bring(save(tmp_path, table(header, comment), "comments"))
    one = posts["weibo:4607741009594999"]
    assert one.kind is Kind.COMMENT and one.root == one.parent == f"weibo:{MID}"
    assert one.text == "@某用户 我家也是" and one.author.key and one.author.name is None


def test_weibo_spider_header_repeats_and_changes(bring: Bring, tmp_path: Path) -> None:
    short = "微博id,微博正文,头条文章url,原始图片url,微博视频url,发布位置,发布时间,发布工具,点赞数,转发数,评论数"
    long = short.replace("微博视频url", "被转发微博原始图片url,是否为原创微博,微博视频url")
    text = "\r\n".join([
        short, "K3fnuEfZK,第一条,,无,无,无,2021-02-23 12:28,无,1,2,3", short,
        "K3fnuEfZL,第二条,,无,无,无,2021-02-23 12:28,无,1,2,3", long,
        "K3fnuEfZM,转发理由:太气人了 原始用户:张三 转发内容:停水三天,,无,无,False,无,无,2021-02-23 12:28,无,1,2,3",
    ])  # fmt: skip
    report, posts = bring(save(tmp_path, text))
    assert (report.read, report.new, report.skipped) == (3, 3, 0)
    assert posts[f"weibo:{MID}"].text == "第一条"
    assert posts[f"weibo:{MID}"].media == ()
    repost = next(post for post in posts.values() if post.kind is Kind.REPOST)
    assert repost.text == "太气人了//@某用户:停水三天"


OLD_USER = {
    "user_id": "5308742488",
    "nickname": "小王",
    "gender": "m",
    "profile_url": "x",
    "avatar": "y",
}
NOTE = {
    "note_id": MID, "content": "家里停水", "create_time": 1614054527,
    "create_date_time": "2021-02-23 12:28:47", "liked_count": "1", "comments_count": "2",
    "shared_count": "3", "last_modify_ts": 1700000000000, "note_url": f"https://m.weibo.cn/detail/{MID}",
    "source_keyword": "停水",
}  # fmt: skip
COMMENT = {
    "comment_id": "4607741009594999", "create_time": 1614054600,
    "create_date_time": "2021-02-23 12:30:00", "note_id": MID, "content": "我家也是",
    "sub_comment_count": "0", "comment_like_count": "5", "last_modify_ts": 1700000000000,
    "parent_comment_id": "4607741009594999",
}  # fmt: skip


@pytest.mark.parametrize("user", [OLD_USER, {"creator_hash": "abc", "nickname": "小*"}])
def test_media_crawler_weibo_old_and_new(
    bring: Bring, tmp_path: Path, user: dict[str, str]
) -> None:
    place = {"ip_location": "发布于 河南"} if "user_id" in user else {}
    _, posts = bring(save(tmp_path, lines({**NOTE, **place, **user}), encoding="utf-8"))
    post = posts[f"weibo:{MID}"]
    assert post.metrics is not None and post.metrics.read_at == datetime.fromtimestamp(17e8, UTC)
    assert (post.metrics.likes, post.metrics.comments, post.metrics.reposts) == (1, 2, 3)
    assert post.author.key and post.author.name is None
    assert post.author.region == ("河南" if place else None) and post.source.query == "停水"
    _, posts = bring(save(tmp_path, json.dumps([{**COMMENT, **place, **user}]), "list"))
    one = posts["weibo:4607741009594999"]
    assert one.kind is Kind.COMMENT and one.parent == one.root == post.id


PLATFORMS: list[tuple[str, str, dict[str, Any]]] = [
    ("douyin:71", "post", {"aweme_id": "71", "aweme_type": "0", "title": "停水", "desc": "停水",
     "create_time": 1700000000, "user_id": "1", "liked_count": "3", "comment_count": "1",
     "share_count": "0", "ip_location": "河南", "last_modify_ts": 1700000100000,
     "video_download_url": "http://v"}),
    ("douyin:c72", "comment", {"comment_id": "72", "create_time": 1700000000, "aweme_id": "71",
     "content": "我家也是", "creator_hash": "h", "like_count": 3, "parent_comment_id": "0"}),
    ("kuaishou:3xk", "post", {"video_id": "3xk", "video_type": "1", "title": "停水", "desc": "停水",
     "create_time": 1700000000123, "liked_count": "1.5万", "viewd_count": "9", "video_url": "u"}),
    ("kuaishou:c5", "comment", {"comment_id": "5", "create_time": 1700000000123, "video_id": "3xk",
     "content": "我家也是", "user_id": "7", "nickname": "小王", "sub_comment_count": "0"}),
    ("xiaohongshu:66a", "post", {"note_id": "66a", "type": "normal", "title": "停水", "desc": "停三天了",
     "time": 1700000000123, "liked_count": "10+", "image_list": "http://a,http://b", "tag_list": ""}),
    ("xiaohongshu:c66b", "comment", {"comment_id": "66b", "create_time": 1700000000123,
     "note_id": "66a", "content": "我家也是", "pictures": "", "parent_comment_id": 0, "like_count": 2}),
    ("bilibili:99", "post", {"video_id": "99", "video_type": "video", "title": "停水", "desc": "",
     "create_time": 1700000000, "liked_count": "1", "video_danmaku": "2", "video_comment": "3",
     "video_share_count": "4", "video_url": "u"}),
    ("bilibili:c98", "comment", {"comment_id": "98", "parent_comment_id": "0",
     "create_time": 1700000000, "video_id": "99", "content": "我家也是", "like_count": 0}),
    ("tieba:8", "post", {"note_id": "8", "title": "停水", "desc": "停三天了", "note_url": "u",
     "publish_time": "2023-11-15 06:13", "tieba_name": "云渡吧", "total_replay_num": 3}),
    ("tieba:c9", "comment", {"comment_id": "9", "parent_comment_id": "", "content": "我家也是",
     "publish_time": "2023-11-15 06:13", "note_id": "8", "tieba_name": "云渡吧"}),
    ("zhihu:answer-4", "post", {"content_id": "4", "content_type": "answer", "content_text": "停三天了",
     "question_id": "2", "title": "停水怎么办", "created_time": 1700000000, "voteup_count": 5}),
    ("zhihu:c6", "comment", {"comment_id": "6", "content": "我家也是", "publish_time": 1700000000,
     "content_id": "4", "content_type": "answer", "like_count": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("post_id", "kind", "row"), PLATFORMS, ids=[one[0] for one in PLATFORMS])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_media_crawler_platforms(
    bring: Bring, tmp_path: Path, post_id: str, kind: str, row: dict[str, Any], form: str
) -> None:
    text = lines(row) if form == "jsonl" else table(list(row), row)
    report, posts = bring(save(tmp_path, text))
    assert (report.new, report.skipped) == (1, 0), report.reasons
    post = posts[post_id]
    assert post.platform == post_id.partition(":")[0] and post.kind == kind
    assert post.created_at.timestamp() == pytest.approx(1_700_000_000, abs=60)
    if kind == "comment":
        assert post.parent == post.root and post.root is not None
    assert "停" in post.text + (post.title or "") or post.text == "我家也是"
    assert post.url is None or "xsec" not in post.url


def test_files_about_users_are_not_taken_in(bring: Bring, tmp_path: Path) -> None:
    row = {"user_id": "1", "nickname": "小王", "follows": 1, "fans": 2}
    with pytest.raises(FileFormatError, match="不收集个人资料") as caught:
        bring(save(tmp_path, lines(row)))
    assert "小王" not in str(caught.value)


def test_own_form_short_and_dumped(bring: Bring, tmp_path: Path) -> None:
    _, posts = bring(save(tmp_path, lines(
        {"id": "a1", "text": "停水了 @张三", "created_at": "2021-07-20T17:50:15+08:00", "label": None,
         "author": "u1", "verified_type": 3, "lng": 1.5, "likes": "2"},
        {"id": "a2", "text": "我家也是", "created_at": "2021-07-20T18:00:00+08:00", "root": "a1",
         "kind": "comments"},
        {"post": "a1", "account": "云渡发布", "author": "u3", "region": "河南",
         "created_at": "2021-07-20 18:00", "text": "谢谢"},
    )))  # fmt: skip
    assert posts["file:a1"].text == "停水了 @某用户"
    assert posts["file:a1"].author.kind is AuthorKind.MEDIA
    assert posts["file:a2"].root == "file:a1" and posts["file:a2"].kind is Kind.COMMENT
    third = next(post for key, post in posts.items() if key.startswith("file:r"))
    assert third.offices == ("weibo:101",) and third.author.region == "河南"
    dump = tmp_path / "dump.jsonl"
    dump.write_text("".join(one.model_dump_json() + "\n" for one in posts.values()), "utf-8")
    report, again = bring(dump)
    assert (report.read, report.new, report.updated) == (3, 0, 0)
    assert again == posts


def test_a_dump_of_somebody_else_is_masked_too(bring: Bring, tmp_path: Path) -> None:
    row = {
        "id": "weibo:5", "text": "电话13800138000", "created_at": "2021-07-20T10:00:00Z",
        "collected_at": "2021-07-20T10:00:00Z", "read_at": "2021-07-20T10:00:00Z",
        "author": {"key": "5308742488", "kind": "ordinary", "name": "小王"},
        "source": {"spider": "x", "query": "@小王"}, "url": "https://weibo.com/5308742488/K3fnuEfZK",
    }  # fmt: skip
    _, posts = bring(save(tmp_path, lines(row)))
    stored = posts["weibo:5"].model_dump_json()
    assert not any(secret in stored for secret in ("13800138000", "5308742488", "小王"))


def test_any_table_with_a_mapping(bring: Bring, tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["12345 工单", None])
    sheet.append(["工单编号", "来电时间", "诉求标题", "诉求内容", "来电人", "承办单位"])
    sheet.append(
        [
            "GD001",
            datetime(2021, 7, 20, 17, 50),  # noqa: DTZ001 - as Excel keeps it
            "停水",
            "三天没水，电话13800138000",
            "王某",
            "云渡水务",
        ]
    )
    sheet.append([2, "2021-07-20 18:00", "", "", "王某", ""])
    book.save(tmp_path / "orders.xlsx")
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'platform = "12345"\nkind = "message"\n[columns]\nid = "工单编号"\ntext = "诉求内容"\n'
        'title = "诉求标题"\ncreated_at = "来电时间"\nauthor = "来电人"\naccount = "承办单位"\n',
        encoding="utf-8",
    )
    report, posts = bring(tmp_path / "orders.xlsx", mapping=mapping)
    assert (report.read, report.new, report.skipped) == (2, 1, 1)
    assert report.reasons == [{"line": 4, "reason": "没有正文"}]
    post = posts["12345:GD001"]
    assert (
        post.kind is Kind.MESSAGE and post.text == "三天没水，电话【电话】" and post.title == "停水"
    )
    assert post.offices == ("weibo:102",) and post.author.name is None
    assert post.created_at == datetime(2021, 7, 20, 9, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [("platform = 'x'", "columns"), ("text = 1", "text"), ("[columns]\ntext='a'", "created_at"), ("=", "读不出来"),
     ("kind='x'\n[columns]\ntext='a'\ncreated_at='b'", "kind"),
     ("[columns]\ntext='a'\ncreated_at='b'\nphone='c'", "phone"),
     ("[columns]\ntext='没有的列'\ncreated_at='b'", "没有的列")],
)  # fmt: skip
def test_a_wrong_mapping_says_what_is_wrong(
    bring: Bring, tmp_path: Path, text: str, message: str
) -> None:
    mapping = save(tmp_path, text, "map.toml", "utf-8")
    with pytest.raises(FileFormatError, match=message):
        bring(save(tmp_path, table(["a", "b"], {"a": "x", "b": "y"})), mapping=mapping)


def test_a_bad_member_of_a_page_is_one_bad_row(bring: Bring, tmp_path: Path) -> None:
    def status(number: int, **more: Any) -> dict[str, Any]:
        return {"idstr": str(int(MID) + number), "text": "家里停水了", "user": {"id": 1},
                "created_at": "Tue Feb 23 12:28:00 +0800 2021", **more}  # fmt: skip

    old = status(2, created_at="Tue Feb 23 12:28:00 +0800 1993")
    page = {"statuses": [status(1), None, old, status(3)], "total_number": 4}
    mobile = {"ok": 1, "data": {"cards": [
        {"card_type": 58}, {"card_group": [{"mblog": status(4)}, {"mblog": {}}]}, None]}}  # fmt: skip
    detail = {"detail": status(5), "comments": [
        {**status(6), "text": "我家也是"}, 7], "reposts": [status(8)]}  # fmt: skip
    report, posts = bring(save(tmp_path, lines(page, mobile, detail)))
    assert (report.read, report.new, report.skipped) == (11, 6, 5)
    assert {one.rpartition(":")[2][-3:] for one in posts} == {
        str(int(MID) + n)[-3:] for n in (1, 3, 4, 5, 6, 8)}  # fmt: skip
    assert posts[f"weibo:{int(MID) + 6}"].root == f"weibo:{int(MID) + 5}"
    said = [(one["line"], one["reason"]) for one in report.reasons]
    assert said[0] == (1, "statuses 第 2 条：不是帖子对象")
    assert said[1][1].startswith("statuses 第 3 条：时间早于 1995 年")
    assert [one[0] for one in said] == [1, 1, 2, 2, 3]
