"""A small invented archive for the console's tests: one incident, its alert, cases, notices."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from archive.base import Archive
from huiyin.people import People
from huiyin.records import (
    Account,
    Alert,
    AlertState,
    Analysis,
    Author,
    AuthorKind,
    Case,
    Category,
    Claim,
    Delivery,
    Gap,
    Incident,
    IncidentState,
    Kind,
    Labelled,
    Level,
    Media,
    Metrics,
    Origin,
    Place,
    Post,
    Role,
    Sentence,
    Source,
    Urgency,
    append_act,
    text_sha,
)

CITY, WATER = "weibo:1001", "weibo:1002"
MODEL = "test-model"
INCIDENT = "incident:water-main"
ALERT = "alert:water-main"
CASE, CASE_LATE = "case:weibo:5001", "case:weibo:5002"
EVIL = (
    '<script>window.hacked=1</script><img src=x onerror="window.hacked=1"> '
    "[点我](javascript:alert(1)) ![图](https://evil.example/x.png) $\\frac{1}{2}$ **粗** "
    "`代码` :red[红] # 标题"
)
PASSWORD = "Ceshi-mima-2026"
PLACE = Place(adcode="410105", name="金水区", text="金水")


@dataclass
class Seeded:
    """What the tests need to know of the archive."""

    now: datetime
    one_time: dict[str, str] = field(default_factory=dict)
    """One-time passwords by login name; the others have `PASSWORD`."""


def analysis(
    text: str, *, intent: str = "其他", sentiment: str = "negative", urgency: float = 0.2,
    needs_answer: float = 0.2,
) -> Analysis:  # fmt: skip
    return Analysis(
        model=MODEL, text_sha=text_sha(None, text),
        sentiment=Labelled(label=sentiment, probabilities={sentiment: 0.88, "neutral": 0.1}),
        emotion=Labelled(label="angry", probabilities={"angry": 0.7}),
        intent=Labelled(label=intent, probabilities={intent: 0.8}),
        category=Category(path=("城乡建设",), probabilities={"城乡建设": 0.9}),
        needs_answer=needs_answer,
        urgency=Urgency(score=urgency, reasons=("有人受困",) if urgency >= 0.5 else ()),
        places=(PLACE,),
    )  # fmt: skip


def post(
    number: int, text: str, at: datetime, *, kind: Kind = Kind.POST, author: Author | None = None,
    offices: tuple[str, ...] = (CITY, WATER), delay: float = 180.0, url: str | None = None,
    parent: str | None = None, media: tuple[Media, ...] = (),
) -> Post:  # fmt: skip
    read = at + timedelta(seconds=delay)
    return Post(
        id=f"weibo:{number}", kind=kind, text=text, created_at=at, collected_at=read, read_at=read,
        url=url or f"https://m.weibo.cn/status/{number}", offices=offices, mentions=offices[:1],
        author=author or Author(key=f"k{number}", region="河南"), parent=parent, root=parent,
        metrics=Metrics(reposts=number % 7, comments=None, likes=number % 31, read_at=read),
        media=media, source=Origin(spider="weibo_official", query="mentions", run="r1"),
    )  # fmt: skip


CROWD = (
    "经三路路口水管爆了，水有半米深，车都过不去",
    "经三路爆管，整条街都淹了，谁来管管",
    "我们小区停水了，打热线一直占线",
    "经三路和农科路口全是水，请绕行",
    "早上六点就开始喷水，到现在没人来关阀门",
    "@云州发布 经三路爆水管，老人出不了门，请尽快处理",
    "水漫到一楼门口了，有没有人通知抢修",
)
NOTICES = (
    "【停水通知】因经三路供水管道爆裂，经三路沿线停水，抢修预计当日18时完成，"
    "恢复供水时间以自来水公司通知为准。咨询电话：96966。",
    "【便民提示】停水期间，经三路社区服务站门前设临时供水点，供应时间为每日7时至21时。",
    "【公交调整】受经三路道路积水影响，11月22日28路、61路公交车临时绕行农业路，积水排除后恢复原线路。",
)


def seed(archive: Archive, now: datetime) -> Seeded:
    """Fill an empty archive."""
    seeded = Seeded(now)
    _accounts(archive)
    _people(archive, seeded)
    _incident(archive, now)
    _appeals(archive, now)
    _sources(archive, now)
    return seeded


def _accounts(archive: Archive) -> None:
    archive.create(
        Account(id=CITY, offices=(CITY,), uid="1001", name="云州发布", level=1, unit="市委宣传部")
    )
    archive.create(
        Account(id=WATER, offices=(WATER, CITY), uid="1002", name="云州供水", level=2,
                parent=CITY, unit="市自来水公司", duties=("停水", "供水", "水管"))
    )  # fmt: skip


def _people(archive: Archive, seeded: Seeded) -> None:
    people = People(archive, lambda: seeded.now)
    rows = (
        ("lin", "林拟稿", (Role.DRAFTER,), ("*",)),
        ("zhao", "赵审核", (Role.REVIEWER,), ("*",)),
        ("wang", "王值班", (Role.ON_CALL,), ("*",)),
        ("chen", "陈双岗", (Role.DRAFTER, Role.REVIEWER), ("*",)),
        ("yuan", "袁外单位", (Role.DRAFTER, Role.REVIEWER, Role.ON_CALL), ("weibo:9999",)),
        ("gao", "高管理", (Role.OPERATOR,), ("*",)),
        ("xin", "新来的", (Role.DRAFTER,), ("*",)),
    )
    for person_id, name, roles, offices in rows:
        password = people.add(person_id, name, roles, offices, by="system:test")
        if person_id == "xin":
            seeded.one_time[person_id] = password
        else:
            people.change_password(people.sign_in(person_id, password), password, PASSWORD)


def _incident(archive: Archive, now: datetime) -> None:
    start = now - timedelta(hours=3)
    posts = []
    for n in range(22):
        minutes = 170 * (1 - (1 - n / 22) ** 0.45) if n else 0.0
        official = n == 18
        author = (
            Author(key="gov", kind=AuthorKind.GOVERNMENT, name="云州交警", region="河南")
            if official
            else None
        )
        text = CROWD[n % len(CROWD)] + ("" if n < len(CROWD) else f"（{n}）")
        media = (Media(kind="picture", url="https://wx1.sinaimg.cn/a.jpg"),) if n % 5 == 1 else ()
        posts.append(
            post(4000 + n, text, start + timedelta(minutes=minutes), author=author, media=media)
        )
    posts.append(post(4100, EVIL, start + timedelta(minutes=160), url="javascript:alert(1)"))
    archive.put_posts(posts)
    archive.write_analyses([(one.id, analysis(one.text, urgency=0.6)) for one in posts])
    archive.mark_incidents({one.id: INCIDENT for one in posts})
    alerted = posts[4].collected_at + timedelta(seconds=2)
    archive.create(
        Incident(
            id=INCIDENT, offices=(CITY, WATER), state=IncidentState.ACTIVE,
            title="经三路水管爆裂，沿街积水 <b>半米</b> $x$",
            summary=(
                Sentence(text="经三路路口水管爆裂。", posts=("weibo:4000", "weibo:4003")),
                Sentence(text="有居民说早上六点起喷水，尚无人关阀。", posts=("weibo:4004",)),
                Sentence(text=EVIL, posts=("weibo:4100",)),
            ),
            suspected_level=Level.LARGER, level_reasons=("23 条帖子提到积水", "有老人出行受阻"),
            score={"novelty": 1.2, "growth": 2.5, "authors": 3.1, "total": 9.3},
            key_posts=("weibo:4000", "weibo:4005", "weibo:4100"), places=(PLACE,),
            claims=(
                Claim(text="受伤 2 人", standing="有依据", about="数字", posts_for=("weibo:4018",),
                      evidence=("官方或媒体帖子这样说（weibo:4018）",)),
                Claim(text=EVIL, standing="有争议", about="责任", risk=0.82, debunk="weibo:4018",
                      posts_for=("weibo:4100", "weibo:4003"), posts_against=("weibo:4018",),
                      evidence=("只有未认证的个人账号在说", "2 名互不相干的人说亲眼所见",
                                "官方或媒体帖子与它矛盾（weibo:4018）")),
            ),
            accounts=(CITY, WATER), posts=23, authors=19, first_post_at=posts[0].created_at,
            last_post_at=posts[-2].created_at, opened_at=posts[2].collected_at, alerted_at=alerted,
            reading_delay_seconds=180.0, deadlines={"answer": now + timedelta(hours=45)},
        )
    )  # fmt: skip
    archive.create(
        Incident(
            id="incident:parking", offices=(CITY,), title="体育馆周边停车难", posts=3, authors=3,
            score={"total": 0.4}, first_post_at=start, last_post_at=start + timedelta(hours=1),
            opened_at=start + timedelta(minutes=20),
        )
    )  # fmt: skip
    archive.create(
        Alert(
            id=ALERT, offices=(CITY, WATER), incident=INCIDENT, rule="burst",
            state=AlertState.SENT, title="【疑似较大】经三路水管爆裂", text="水有半米深",
            reasons=("19 位独立作者", "得分 9.3，超过 1.0"), created_at=alerted,
            deliveries=(Delivery(channel="webhook", recipient="wang", state="sent", attempts=1,
                                 sent_at=alerted + timedelta(seconds=1)),),
            acts=append_act((), at=alerted, actor="system:alerts", what="alert"),
        )
    )  # fmt: skip


def _appeals(archive: Archive, now: datetime) -> None:
    government = Author(key="water", kind=AuthorKind.GOVERNMENT, name="云州供水")
    notices = [
        post(3000 + n, text, now - timedelta(hours=2, minutes=20 - n), kind=Kind.NOTICE,
             author=government)
        for n, text in enumerate(NOTICES)
    ]  # fmt: skip
    asks = [
        post(5001, "@云州供水 经三路停水什么时候能恢复？家里有老人等着用水，打电话没人接。",
             now - timedelta(hours=1)),
        post(5002, "@云州发布 28路公交今天怎么不走经三路了？上班等了半小时。" + EVIL,
             now - timedelta(hours=50)),
    ]  # fmt: skip
    thread = post(5003, "同问，我们楼也停了", now - timedelta(minutes=50), kind=Kind.COMMENT,
                  parent="weibo:5001")  # fmt: skip
    archive.put_posts([*notices, *asks, thread])
    understood = [(one.id, analysis(one.text, intent="咨询", needs_answer=0.9)) for one in asks]
    understood += [(one.id, analysis(one.text, sentiment="neutral")) for one in (*notices, thread)]
    archive.write_analyses(understood)
    for one, account, urgency in ((asks[0], WATER, 0.7), (asks[1], CITY, 0.2)):
        archive.create(
            Case(id=f"case:{one.id}", offices=(CITY, WATER), post=one.id, account=account,
                 intent="咨询", category=("城乡建设", "供水"), urgency=urgency,
                 opened_at=one.collected_at, due_at=one.created_at + timedelta(hours=48),
                 acts=append_act((), at=one.collected_at, actor="system:responder", what="open"))
        )  # fmt: skip


def _sources(archive: Archive, now: datetime) -> None:
    gap = Gap(starts_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1, minutes=40),
              reason="平台返回“请求过于频繁”")  # fmt: skip
    archive.create(
        Source(id="source:1001:mentions", offices=(CITY,), spider="weibo_official",
               parameters={"endpoint": "mentions", "uid": "1001"},
               account=CITY, every_seconds=900, state="ok",
               last_ok_at=now - timedelta(minutes=4), covered_since=now - timedelta(days=3),
               gaps=(gap,))
    )  # fmt: skip
    archive.create(
        Source(id="source:1002:comments", offices=(WATER, CITY), spider="weibo_official",
               parameters={"endpoint": "comments_to_me", "uid": "1002"},
               account=WATER, every_seconds=900,
               state="login_expired", reason="平台答复 21327：授权已过期",
               last_ok_at=now - timedelta(hours=5),
               gaps=(Gap(starts_at=now - timedelta(hours=5), reason="授权已过期"),))
    )  # fmt: skip


def seed_home(home: Path, now: datetime) -> Seeded:
    """Make a home folder with settings and a filled archive; nothing else is needed to serve it."""
    from archive import open_archive

    home.mkdir(parents=True, exist_ok=True)
    (home / "huiyin.toml").write_text('[office]\nname = "云州市委宣传部"\nid = "weibo:1001"\n')
    (home / "var").mkdir(exist_ok=True)
    archive = open_archive(f"sqlite:///{home / 'var' / 'huiyin.db'}")
    try:
        return seed(archive, now)
    finally:
        archive.close()
